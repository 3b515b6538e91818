package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The fake origin's presentation: 25 frames a second in parts of 10 frames and segments of 5 parts.
const (
	partLength   = 400 * time.Millisecond
	segmentParts = 5
	window       = 10  // segments in the playlist
	firstMSN     = 100 // of the presentation
	history0     = 12  // segments that are there when the clock starts
	gapMSN       = 116 // a gap in the second video rendition
	cutMSN       = 121 // ends after 3 parts, then the publisher is gone for a while
	endMSN       = 134 // the first that never comes
	away         = 8 * time.Second

	showMSN, hideMSN = 113, 115               // a card is shown and hidden in their second parts,
	showAt           = 120 * time.Millisecond // that far from their start
)

// genPart and genSegment are what the origin has.
type genPart struct {
	data     []byte
	length   time.Duration
	gap, key bool
}

type genSegment struct {
	msn      int64
	start    time.Duration // media time
	disc     bool
	initName string
	gap      bool
	whole    bool
	parts    []genPart
	bytes    []byte // of all parts
}

func (g *genSegment) length() (d time.Duration) {
	for _, p := range g.parts {
		d += p.length
	}
	return d
}

// genRange is a date range; gone is set when it left the playlists.
type genRange struct {
	id         string
	start, end time.Duration // media time; end 0 is open
	changed    time.Time
	gone       time.Time
}

type rend struct {
	name      string
	video     bool
	width     int
	height    int
	size      int // of a key frame
	segments  []*genSegment
	sequence  uint32
	gapsAt    int64
	mediaTime time.Duration
	next      int64 // number of the segment in the making
	part      int
	behind    int // parts that are yet to be held back
}

// faults are the ways in which the fake origin can be wrong. The zero value is a right one.
type faults struct {
	text   func(o *origin, r *rend, q url.Values, body string) string
	master func(body string) string
	chunk  func(r *rend, msn int64, part int, c *mkChunk)
	// events changes the event messages of a video rendition's part, which begins at the time given, in ticks.
	events func(r *rend, msn int64, part int, start uint64, list []mkEvent) []mkEvent
	// keepRanges has v2 updates with all date ranges; hasty ones leave out what has changed.
	keepRanges, hasty bool
	init              func(r *rend, data []byte) []byte
	header            func(u *url.URL, status int, h http.Header)
	handle            func(o *origin, w http.ResponseWriter, req *http.Request) bool
	serve             func(o *origin, u *url.URL, data []byte) []byte
	// cutEarly ends this segment after its fourth part, which shows only with the next segment's first.
	cutEarly int64
	// length changes how long a part is; 0 is as usual.
	length func(msn int64, part int) time.Duration
	// delay holds a part back.
	delay func(msn int64, part int) time.Duration
	// date moves the dates in a rendition's playlist.
	date func(r *rend, t time.Duration) time.Duration
	// initName names the initialization section of a segment.
	initName func(msn int64) string
	// first changes the index of the first segment in the playlist.
	first func(o *origin, i int) int
	// behind is how many parts renditions come later than the first one.
	behind map[string]int
	// partly has only so many parts of the gap be one; 0 is all.
	partly int
	// keep is how many segments more than 2 stay fetchable behind the window.
	keep int
	// window, edge, skipAt and timeout replace the defaults when they are not 0.
	window                int
	edge, skipAt, timeout time.Duration
}

func or[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

// origin is an LL-HLS server with everything in it that the rules speak of.
type origin struct {
	f     faults
	epoch time.Time

	asks chan struct{} // has an entry when asked changed

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	asked   map[string]position // the farthest that was asked for, by rendition
	rends   []*rend
	ranges  []*genRange
	ended   bool
}

// lead is the rendition that is never behind another.
func (o *origin) lead() *rend { return o.rends[0] }

func newOrigin(f faults) *origin {
	o := &origin{
		f: f, epoch: time.Now(), changed: make(chan struct{}),
		asks: make(chan struct{}, 1), asked: make(map[string]position),
	}
	o.rends = []*rend{
		{name: "hi", video: true, width: 1280, height: 720, size: 1200},
		{name: "lo", video: true, width: 640, height: 360, size: 600, gapsAt: gapMSN},
		{name: "en"},
	}
	o.ranges = []*genRange{{id: "card-open", changed: o.epoch}}
	for _, r := range o.rends {
		r.next = firstMSN
	}
	for range history0 * segmentParts {
		o.step()
	}
	for _, r := range o.rends {
		r.behind = f.behind[r.name]
	}
	return o
}

// live publishes parts at their time until the presentation is over.
func (o *origin) live(ctx context.Context, pace time.Duration) {
	tick := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	for tick(pace) {
		o.mu.Lock()
		back := o.lead().next == cutMSN+1 && o.lead().part == 0
		var late time.Duration
		if o.f.delay != nil {
			late = o.f.delay(o.lead().next, o.lead().part)
		}
		o.mu.Unlock()
		if late > 0 && !tick(late) {
			return
		}
		if back && !tick(away) {
			return
		}
		if o.step() {
			return
		}
	}
}

// follow publishes a part when it has been asked for in each rendition, so that the presentation is as fast as its players.
// A player that is done asks for nothing: after patience the others get on without it.
func (o *origin) follow(ctx context.Context, patience time.Duration) {
	for over := false; !over; {
		late := time.After(patience)
		for waits := !o.askedByAll(); waits; {
			select {
			case <-ctx.Done():
				return
			case <-late:
				waits = false
			case <-o.asks:
				waits = !o.askedByAll()
			}
		}
		over = o.step()
	}
}

// ask notes what a player asks for.
func (o *origin) ask(r *rend, at position) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked[r.name].before(at) {
		o.asked[r.name] = at
	}
	select {
	case o.asks <- struct{}{}:
	default:
	}
}

func (o *origin) askedByAll() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.rends {
		if o.asked[r.name].before(position{r.next, int64(r.part)}) {
			return false
		}
	}
	return true
}

// step publishes one part of every rendition and tells whether the presentation is over.
func (o *origin) step() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { close(o.changed); o.changed = make(chan struct{}) }()
	if o.lead().next == endMSN {
		o.ended = true
		return true
	}
	for _, r := range o.rends {
		if r.behind > 0 {
			r.behind--
			continue
		}
		if r.next == o.f.cutEarly && r.part == 4 {
			r.segments[len(r.segments)-1].whole = true
			r.next, r.part = r.next+1, 0
		}
		parts := segmentParts
		if r.next == cutMSN {
			parts = 3
		}
		last := r.part == parts-1
		o.publish(r, last)
		if r.part++; last {
			r.next, r.part = r.next+1, 0
		}
	}
	o.rangesStep()
	return false
}

func (o *origin) publish(r *rend, last bool) {
	if r.part == 0 {
		seg := &genSegment{msn: r.next, initName: "init-1.mp4", gap: r.gapsAt == r.next && o.f.partly == 0}
		if r.next > cutMSN {
			seg.initName = "init-2.mp4"
		}
		if o.f.initName != nil {
			seg.initName = or(o.f.initName(r.next), seg.initName)
		}
		if r.next == cutMSN+1 {
			seg.disc = true
			r.mediaTime += away
		}
		r.segments = append(r.segments, seg)
	}
	seg := r.segments[len(r.segments)-1]
	gap := seg.gap || r.gapsAt == r.next && r.part < o.f.partly
	begins := r.part == 0 || r.gapsAt == r.next && r.part == o.f.partly
	c := &mkChunk{sequence: r.sequence + 1, track: 1}
	length := partLength
	if o.f.length != nil {
		length = or(o.f.length(r.next, r.part), partLength)
	}
	whole := length
	frames := int(length / (40 * time.Millisecond))
	if r.video {
		c.decode = uint64(r.mediaTime / time.Millisecond * 90)
		for i := range frames {
			s := mkSample{3600, flagsDelta, nal(0x41, r.size/4)}
			if i == 0 && begins {
				s = mkSample{3600, flagsSync, nal(0x65, r.size)}
			}
			c.samples = append(c.samples, s)
		}
		if r.part == 0 {
			seg.start = r.mediaTime
		}
		list := r.tell(c.decode)
		if o.f.events != nil {
			list = o.f.events(r, r.next, r.part, c.decode, list)
		}
		for _, e := range list {
			c.front = append(c.front, e.bytes()...)
		}
	} else {
		// Audio parts end at the first frame that starts at or after the video's end.
		from, to := audioFrames(r.mediaTime), audioFrames(r.mediaTime+length)
		c.decode = from * 1024
		for range to - from {
			c.samples = append(c.samples, mkSample{1024, flagsSync, bytes.Repeat([]byte{0x21}, 200)})
		}
		length = time.Duration(to-from) * 1024 * time.Second / 48000
		if r.part == 0 {
			seg.start = time.Duration(from) * 1024 * time.Second / 48000
		}
	}
	if o.f.chunk != nil {
		o.f.chunk(r, seg.msn, r.part, c)
	}
	r.sequence++
	r.mediaTime += whole
	p := genPart{data: c.bytes(), length: length, gap: gap, key: !r.video || begins}
	seg.parts = append(seg.parts, p)
	if !gap || seg.gap {
		seg.bytes = append(seg.bytes, p.data...)
	}
	seg.whole = last
}

func audioFrames(t time.Duration) uint64 {
	n := int64(t) * 48000
	frames := n / (1024 * int64(time.Second))
	if n%(1024*int64(time.Second)) != 0 {
		frames++
	}
	return uint64(frames)
}

// tell lists the event messages of the part in the making: what is shown from its first frame on, where it begins a segment,
// and what changes within it.
func (r *rend) tell(start uint64) (list []mkEvent) {
	showing := r.next > showMSN && r.next < hideMSN || r.next == showMSN && r.part > 1 || r.next == hideMSN && r.part <= 1
	texts := map[bool]string{false: "open", true: "open and 1"}
	if r.part == 0 {
		list = append(list, tellAt(start, uint32(r.next), texts[showing]))
	}
	if (r.next == showMSN || r.next == hideMSN) && r.part == 1 {
		list = append(list, tellAt(start+uint64(showAt/time.Millisecond*90), uint32(1000+r.next), texts[!showing]))
	}
	return list
}

// rangesStep opens and closes cards, and drops what the window has left behind.
func (o *origin) rangesStep() {
	r := o.lead()
	at := r.mediaTime - partLength + showAt
	switch {
	case r.next == showMSN && r.part == 2:
		o.ranges = append(o.ranges, &genRange{id: "card-1", start: at, changed: time.Now()})
	case r.next == hideMSN && r.part == 2:
		o.ranges[1].end, o.ranges[1].changed = at, time.Now()
	}
	first := r.mediaTime
	for _, r := range o.rends {
		first = min(first, r.segments[o.firstIndex(r)].start)
	}
	for _, g := range o.ranges {
		if g.end != 0 && g.end < first && g.gone.IsZero() {
			g.gone = time.Now()
		}
	}
}

// firstIndex is the index of the first segment in a rendition's playlist.
func (o *origin) firstIndex(r *rend) int {
	whole := len(r.segments)
	if whole > 0 && !r.segments[whole-1].whole {
		whole--
	}
	i := max(0, whole-or(o.f.window, window))
	if o.f.first != nil {
		i = o.f.first(o, i)
	}
	return i
}

func (r *rend) has(at position) bool {
	if at.part < 0 {
		return r.next > at.msn
	}
	if at.msn < r.next {
		i := int(at.msn - firstMSN)
		return i < 0 || int(at.part) < len(r.segments[i].parts) || at.msn+1 < r.next || r.part > 0
	}
	return at.msn == r.next && int64(r.part) > at.part
}

// ServeHTTP implements http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if o.f.handle != nil && o.f.handle(o, w, req) {
		return
	}
	w = &faultyWriter{ResponseWriter: w, u: req.URL, f: o.f.header}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	name := strings.TrimPrefix(req.URL.Path, "/live/show/")
	if name == "index.m3u8" {
		o.text(w, req, o.master(), "max-age=1")
		return
	}
	for _, r := range o.rends {
		if name == r.name+".m3u8" {
			o.playlist(w, req, r)
			return
		}
		if file, ok := strings.CutPrefix(name, r.name+"/"); ok {
			o.file(w, req, r, file)
			return
		}
	}
	o.refuse(w, http.StatusNotFound)
}

type faultyWriter struct {
	http.ResponseWriter
	u    *url.URL
	f    func(u *url.URL, status int, h http.Header)
	done bool
}

func (w *faultyWriter) WriteHeader(status int) {
	if !w.done && w.f != nil {
		w.f(w.u, status, w.Header())
	}
	w.done = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *faultyWriter) Write(b []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

func (o *origin) refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "max-age=1")
	http.Error(w, http.StatusText(status), status)
}

func (o *origin) text(w http.ResponseWriter, req *http.Request, body, cache string) {
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", cache)
	h.Set("Vary", "Accept-Encoding")
	data := []byte(body)
	suffix := ""
	if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
		data, suffix = zip(data), "-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", fmt.Sprintf(`"%x%s"`, hash([]byte(body)), suffix))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}

// zippers saves the tables that each new writer would make. A sync.Pool forgets, under the race detector on purpose, and
// making a writer anew is what the detector is slowest with.
var zippers struct {
	sync.Mutex
	free []*gzip.Writer
}

// zip compresses as little as gzip can, which costs the race detector least by far.
func zip(data []byte) []byte {
	zippers.Lock()
	var z *gzip.Writer
	if n := len(zippers.free); n > 0 {
		z, zippers.free = zippers.free[n-1], zippers.free[:n-1]
	} else {
		z, _ = gzip.NewWriterLevel(nil, gzip.NoCompression)
	}
	zippers.Unlock()
	var b bytes.Buffer
	z.Reset(&b)
	z.Write(data)
	z.Close()
	zippers.Lock()
	zippers.free = append(zippers.free, z)
	zippers.Unlock()
	return b.Bytes()
}

func hash(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// wait blocks until ok, which is called with the lock held. It gives up after three target durations.
func (o *origin) wait(ctx context.Context, ok func() bool) bool {
	timeout := time.After(or(o.f.timeout, 6*time.Second))
	for {
		o.mu.Lock()
		done, changed := ok(), o.changed
		o.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (o *origin) playlist(w http.ResponseWriter, req *http.Request, r *rend) {
	q := req.URL.Query()
	o.mu.Lock()
	ended, next, part := o.ended, r.next, r.part
	o.mu.Unlock()
	cache := "max-age=1"
	if !ended && (q.Has("_HLS_msn") || q.Has("_HLS_part")) {
		at := position{-1, -1}
		var err1, err2 error
		at.msn, err1 = strconv.ParseInt(q.Get("_HLS_msn"), 10, 64)
		if q.Has("_HLS_part") {
			at.part, err2 = strconv.ParseInt(q.Get("_HLS_part"), 10, 64)
			if at.part < 0 {
				err2 = strconv.ErrRange
			}
		}
		far := at.msn > next+1 || at.msn >= next && at.part > int64(part)+8
		if err1 != nil || err2 != nil || at.msn < 0 || far {
			o.refuse(w, http.StatusBadRequest)
			return
		}
		o.ask(r, at)
		if !o.wait(req.Context(), func() bool { return o.ended || r.has(at) }) {
			o.refuse(w, http.StatusServiceUnavailable)
			return
		}
		cache = "max-age=12"
	}
	o.mu.Lock()
	body := o.render(r, q.Get("_HLS_skip"))
	o.mu.Unlock()
	if o.f.text != nil {
		body = o.f.text(o, r, q, body)
	}
	o.text(w, req, body, cache)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 5, 64) }

func (o *origin) date(t time.Duration) string {
	return o.epoch.Add(t).UTC().Format("2006-01-02T15:04:05.000Z")
}

func (o *origin) render(r *rend, skip string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	first := o.firstIndex(r)
	segs := r.segments[first:]
	discs := 0
	for _, s := range r.segments[:first] {
		if s.disc {
			discs++
		}
	}
	line("#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-TARGETDURATION:2")
	line("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES,PART-HOLD-BACK=1.5,HOLD-BACK=6.0")
	line("#EXT-X-PART-INF:PART-TARGET=0.41")
	line("#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d", segs[0].msn, discs)
	left := time.Duration(0) // from the start of a segment to the end of the last whole one
	for _, s := range segs {
		if s.whole {
			left += s.length()
		}
	}
	skipped := 0
	if skip != "" && !o.ended {
		rest := left
		for skipped < len(segs) && rest-segs[skipped].length() > or(o.f.skipAt, 12*time.Second) {
			rest -= segs[skipped].length()
			skipped++
		}
		if skipped > 0 && skip == "v2" {
			line("#EXT-X-SKIP:SKIPPED-SEGMENTS=%d,RECENTLY-REMOVED-DATERANGES=\"%s\"", skipped, o.removed())
		} else if skipped > 0 {
			line("#EXT-X-SKIP:SKIPPED-SEGMENTS=%d", skipped)
		}
	}
	initName := ""
	for i, s := range segs {
		if i >= skipped {
			o.renderSegment(line, r, s, &initName, left)
		} else {
			initName = s.initName
		}
		left -= s.length()
	}
	o.renderTail(line, r, skip != "" && skipped > 0 && skip == "v2")
	return b.String()
}

func (o *origin) removed() string {
	var ids []string
	for _, r := range o.ranges {
		if !r.gone.IsZero() && time.Since(r.gone) < 12*time.Second {
			ids = append(ids, r.id)
		}
	}
	return strings.Join(ids, "\t")
}

func (o *origin) renderSegment(line func(string, ...any), r *rend, s *genSegment, initName *string, left time.Duration) {
	if s.disc {
		line("#EXT-X-DISCONTINUITY")
	}
	if s.initName != *initName {
		line(`#EXT-X-MAP:URI="%s/%s"`, r.name, s.initName)
		*initName = s.initName
	}
	start := s.start
	if o.f.date != nil {
		start += o.f.date(r, start)
	}
	line("#EXT-X-PROGRAM-DATE-TIME:%s", o.date(start))
	if left-s.length() <= or(o.f.edge, 6*time.Second) {
		for i, p := range s.parts {
			attrs := ""
			if p.key {
				attrs = ",INDEPENDENT=YES"
			}
			if p.gap {
				attrs += ",GAP=YES"
			}
			line(`#EXT-X-PART:DURATION=%s,URI="%s/1-%d.%d.m4s"%s`, seconds(p.length), r.name, s.msn, i, attrs)
		}
	}
	if !s.whole {
		return
	}
	if s.gap {
		line("#EXT-X-GAP")
	}
	line("#EXTINF:%s,\n%s/1-%d.m4s", seconds(s.length()), r.name, s.msn)
}

func (o *origin) renderTail(line func(string, ...any), r *rend, skipRanges bool) {
	for _, g := range o.ranges {
		old := time.Since(g.changed) > 12*time.Second && !o.f.keepRanges || o.f.hasty
		if !g.gone.IsZero() || skipRanges && old {
			continue
		}
		end := ""
		if g.end != 0 {
			end = fmt.Sprintf(`,END-DATE="%s"`, o.date(g.end))
		}
		line(`#EXT-X-DATERANGE:ID="%s",CLASS="shop.card",START-DATE="%s"%s,X-CARD="blue"`, g.id, o.date(g.start), end)
	}
	if o.ended {
		line("#EXT-X-ENDLIST")
		return
	}
	line(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="%s/1-%d.%d.m4s"`, r.name, r.next, r.part)
	for _, other := range o.rends {
		if other != r {
			last := other.segments[len(other.segments)-1]
			line(`#EXT-X-RENDITION-REPORT:URI="%s.m3u8",LAST-MSN=%d,LAST-PART=%d`, other.name, last.msn, len(last.parts)-1)
		}
	}
}

func (o *origin) file(w http.ResponseWriter, req *http.Request, r *rend, file string) {
	h := w.Header()
	data, status := o.lookup(req.Context(), r, file)
	if status != http.StatusOK {
		o.refuse(w, status)
		return
	}
	if o.f.serve != nil {
		data = o.f.serve(o, req.URL, data)
	}
	h.Set("Content-Type", "audio/mp4")
	if r.video {
		h.Set("Content-Type", "video/mp4")
	}
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", fmt.Sprintf(`"%x"`, hash([]byte(file))))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}

func (o *origin) lookup(ctx context.Context, r *rend, file string) ([]byte, int) {
	if strings.HasPrefix(file, "init-") {
		data := mkInit(48000, "soun", aacEntry(2), 0, 0)
		if r.video {
			data = mkInit(90000, "vide", avcEntry(r.width, r.height), r.width, r.height)
		}
		if o.f.init != nil {
			data = o.f.init(r, data)
		}
		return data, http.StatusOK
	}
	numbers := strings.Split(strings.TrimSuffix(strings.TrimPrefix(file, "1-"), ".m4s"), ".")
	msn, err := strconv.ParseInt(numbers[0], 10, 64)
	if err != nil {
		return nil, http.StatusNotFound
	}
	if len(numbers) == 1 {
		o.mu.Lock()
		defer o.mu.Unlock()
		keep := o.f.keep + 2
		i := int(msn - firstMSN)
		if i < max(0, o.firstIndex(r)-keep) || i >= len(r.segments) || !r.segments[i].whole || r.segments[i].gap {
			return nil, http.StatusNotFound
		}
		return r.segments[i].bytes, http.StatusOK
	}
	part, err := strconv.Atoi(numbers[1])
	if err != nil {
		return nil, http.StatusNotFound
	}
	var data []byte
	if !o.wait(ctx, func() bool {
		i := int(msn - firstMSN)
		if i >= 0 && i < len(r.segments) && part < len(r.segments[i].parts) {
			if p := r.segments[i].parts[part]; !p.gap {
				data = p.data
			}
			return true
		}
		return o.ended || msn != r.next || part != r.part
	}) {
		return nil, http.StatusServiceUnavailable
	}
	if data == nil {
		return nil, http.StatusNotFound
	}
	return data, http.StatusOK
}

// master is the multivariant playlist, with the rates of what is there.
func (o *origin) master() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	peak, average := make(map[string]float64), make(map[string]float64)
	for _, r := range o.rends {
		var bytes, length float64
		for _, s := range r.segments {
			if s.gap || !s.whole {
				continue
			}
			n, d := float64(len(s.bytes)), s.length().Seconds()
			bytes, length = bytes+n, length+d
			peak[r.name] = max(peak[r.name], n*8/d)
		}
		average[r.name] = bytes * 8 / length
	}
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	b.WriteString(`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="en.m3u8"` + "\n")
	for _, r := range o.rends {
		if r.video {
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%.0f,AVERAGE-BANDWIDTH=%.0f,SCORE=%d,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=%dx%d,FRAME-RATE=25.000,AUDIO=\"aud\",CLOSED-CAPTIONS=NONE\n%s.m3u8\n",
				peak[r.name]+peak["en"], average[r.name]+average["en"], r.height, r.width, r.height, r.name)
		}
	}
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%.0f,AVERAGE-BANDWIDTH=%.0f,SCORE=1,CODECS=\"mp4a.40.2\",AUDIO=\"aud\",CLOSED-CAPTIONS=NONE\nen.m3u8\n", peak["en"], average["en"])
	if o.f.master != nil {
		return o.f.master(b.String())
	}
	return b.String()
}

// direct calls the handler in this process: requests wait on channels only, so that a synctest bubble's clock runs.
type direct struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	a := &answered{header: make(http.Header)}
	d.h.ServeHTTP(a, req) // which ends with the request's context
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	res := &http.Response{
		StatusCode: or(a.status, http.StatusOK), Header: a.header, ContentLength: -1, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil {
		res.ContentLength = n
	}
	return res, nil
}

// answered takes a handler's answer.
type answered struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *answered) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) { a.status = or(a.status, status) }

// Write implements http.ResponseWriter.
func (a *answered) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}
