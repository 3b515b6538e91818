package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// longRegions has the tests of several nodes look for as long as people would.
var longRegions = flag.Bool("long", false, "have the tests of several regions look for longer")

// regionSettings is what all nodes of a cluster have besides their addresses. The stream "show" has cards, "vip" must not leave
// eu, "twice" has two publishers.
const regionSettings = `
hls: {segment_duration: 1s, max_segment_duration: 2s, dvr: 20s}
publish:
  reconnect_window: 30s
  keys:
    - {stream: show, key: ` + publishKey + `}
    - {stream: vip, key: ` + publishKey + `}
    - {stream: warm, key: ` + publishKey + `}
    - {stream: twice, key: ` + publishKey + `}
    - {stream: twice, key: ` + standbyKey + `, standby: true}
studio: {tokens: [{stream: show, token: ` + operatorToken + `}]}
`

const standbyKey = "the-standby-of-the-show"

// noLadder is for clusters that have none: the trial of encoders takes time.
const noLadder = "ladder: {ffmpeg: \"\"}\n"

// atlas has all that viewers of several nodes were given. What it finds wrong it remembers.
type atlas struct {
	mu sync.Mutex // guards what follows
	// names are media and cards by path: one content each, and the nodes that gave it.
	names map[string]*content
	// tips are states of playlists, by rendition, kind and ETag.
	tips map[string]*content
	// wrong is what must not be.
	wrong []string
}

// content is what a name stands for.
type content struct {
	sum   [sha256.Size]byte
	size  int
	text  string // of playlists, to show what differs
	nodes map[string]bool
}

func newAtlas() *atlas { return &atlas{names: map[string]*content{}, tips: map[string]*content{}} }

// note remembers what a node gave under a name. A name has one content, on whichever node and whenever it is asked for.
func (a *atlas) note(in map[string]*content, node, name string, body []byte, text bool) {
	sum := sha256.Sum256(body)
	a.mu.Lock()
	defer a.mu.Unlock()
	c := in[name]
	if c == nil {
		c = &content{sum: sum, size: len(body), nodes: map[string]bool{}}
		if text {
			c.text = string(body)
		}
		in[name] = c
	}
	if c.sum != sum {
		differ := ""
		if text {
			differ = ": " + firstDifference(c.text, string(body))
		}
		a.failLocked("%s has two contents, of %d bytes on %v and of %d on %s%s", name, c.size, sortedKeys(c.nodes), len(body), node, differ)
	}
	c.nodes[node] = true
}

func (a *atlas) fail(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failLocked(format, args...)
}

func (a *atlas) failLocked(format string, args ...any) {
	if len(a.wrong) < 20 {
		a.wrong = append(a.wrong, fmt.Sprintf(format, args...))
	}
}

// judge reports what was wrong, and how much was looked at.
func (a *atlas) judge(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.wrong {
		t.Error(w)
	}
	t.Logf("no name with two contents: %d media and documents, of which %d were had from more than one node; %d states of playlists, of which %d",
		len(a.names), shared(a.names), len(a.tips), shared(a.tips))
	for _, k := range sortedKeys(a.tips) {
		if os.Getenv("TEST_TIPS") != "" {
			t.Logf("tip %s %v", k, sortedKeys(a.tips[k].nodes))
		}
	}
}

func shared(in map[string]*content) (n int) {
	for _, c := range in {
		if len(c.nodes) > 1 {
			n++
		}
	}
	return n
}

func sortedKeys[V any](m map[string]V) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// firstDifference shows the first line that two texts differ in.
func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		var p, q string
		if i < len(x) {
			p = x[i]
		}
		if i < len(y) {
			q = y[i]
		}
		if p != q {
			return fmt.Sprintf("line %d is %q, and %q", i+1, p, q)
		}
	}
	return "no difference"
}

// tour is a viewer of one rendition on one node, who takes every playlist and every part, and goes on asking whatever happens.
type tour struct {
	a         *atlas
	node      string
	base      string // folder of the stream on the node
	rendition string
	client    *http.Client
	plain     bool // only playlists, no media

	mu      sync.Mutex           // guards what follows
	arrived map[string]time.Time // when a position was there first, by "MSN.PART"
	listed  map[string]bool      // media that a playlist told of
	last    time.Time
	stall   time.Duration // the longest time without anything new
	stallAt time.Time
	errors  map[string]int
	newest  *testkit.Playlist
	high    [2]int64 // position
	ended   bool
}

// tours are viewers of several nodes.
type tours struct {
	*atlas
	all  []*tour
	stop func()
}

// viewersOf sends viewers of some renditions to nodes until stop, or the test's end.
func viewersOf(t *testing.T, a *atlas, stream string, renditions []string, nodes ...*testkit.ClusterNode) *tours {
	t.Helper()
	return viewersAs(t, a, stream, renditions, false, nodes...)
}

func viewersAs(t *testing.T, a *atlas, stream string, renditions []string, plain bool, nodes ...*testkit.ClusterNode) *tours {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &tours{atlas: a}
	var group sync.WaitGroup
	for _, n := range nodes {
		tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
		t.Cleanup(tr.CloseIdleConnections)
		for _, r := range renditions {
			v := &tour{a: a, node: n.Name, base: n.HTTP + "/live/" + stream + "/", rendition: r, client: &http.Client{Transport: tr}, plain: plain, last: time.Now(),
				arrived: map[string]time.Time{}, listed: map[string]bool{}, errors: map[string]int{}, high: [2]int64{-1, -1}}
			g.all = append(g.all, v)
			group.Go(func() { v.run(ctx) })
		}
	}
	g.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	t.Cleanup(g.stop)
	return g
}

// run follows the playlist.
func (v *tour) run(ctx context.Context) {
	query := ""
	for i := 0; ctx.Err() == nil; i++ {
		l := v.reload(ctx, query)
		if l == nil {
			query = ""
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if l.Ended {
			v.mu.Lock()
			v.ended = true
			v.mu.Unlock()
			return
		}
		msn, part := l.Next()
		query = fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", msn, part)
		// The same state as a delta update, of which there are two kinds.
		if i%4 == 1 && !v.plain {
			v.delta(ctx, l, "YES")
		} else if i%4 == 3 && !v.plain {
			v.delta(ctx, l, "v2")
		}
	}
}

// requestTime bounds a request: a node may let it wait for three target durations.
const requestTime = 8 * time.Second

// get fetches something; ok is false, and the error noted, where that fails.
func (v *tour) get(ctx context.Context, ref string) (body []byte, etag string, ok bool) {
	inner, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	status, header, body, err := testkit.Get(inner, v.client, v.base+ref)
	if ctx.Err() != nil {
		return nil, "", false
	}
	why := ""
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer"
	case err != nil:
		why = "no connection"
	case status != http.StatusOK:
		why = fmt.Sprint(status)
	default:
		return body, header.Get("Etag"), true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.errors[why]++
	return nil, "", false
}

// reload gets a playlist, notes it, and takes what is new in it.
func (v *tour) reload(ctx context.Context, query string) *testkit.Playlist {
	body, etag, ok := v.get(ctx, v.rendition+".m3u8"+query)
	if !ok {
		return nil
	}
	now := time.Now()
	v.a.note(v.a.tips, v.node, v.rendition+" "+etag, body, true)
	l := testkit.ParsePlaylist(string(body))
	v.take(l, now)
	if v.plain {
		return l
	}
	for _, ref := range v.unseen(l) {
		if media, _, ok := v.get(ctx, ref); ok {
			v.a.note(v.a.names, v.node, ref, media, false)
			v.mu.Lock()
			v.listed[ref] = true
			v.mu.Unlock()
		}
	}
	return l
}

// take notes what a playlist has got to.
func (v *tour) take(l *testkit.Playlist, now time.Time) {
	msn, part := l.Next()
	at := [2]int64{msn, int64(part)}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch slices.Compare(at[:], v.high[:]) {
	case -1:
		v.a.fail("%s: %s goes back from %v to %v", v.node, v.rendition, v.high, at)
	case 1:
		if v.newest != nil {
			if gap := now.Sub(v.last); gap > v.stall {
				v.stall, v.stallAt = gap, now
			}
		}
		v.last, v.high = now, at
		v.arrived[fmt.Sprint(msn, ".", part)] = now
	}
	v.newest = l
}

// unseen lists the media of a playlist that were not fetched yet: initialisation, segments, parts.
func (v *tour) unseen(l *testkit.Playlist) (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	add := func(ref string) {
		if ref != "" && !v.listed[ref] && !slices.Contains(all, ref) {
			all = append(all, ref)
		}
	}
	for i := range l.Segments {
		g := &l.Segments[i]
		add(g.Map)
		for _, p := range g.Parts {
			if !p.Gap {
				add(p.URI)
			}
		}
		if !g.Gap && g.Complete {
			add(g.URI)
		}
	}
	return all
}

// delta gets the present state as an update to what is known.
func (v *tour) delta(ctx context.Context, l *testkit.Playlist, kind string) {
	last := l.Last()
	if last == nil {
		return
	}
	body, etag, ok := v.get(ctx, fmt.Sprintf("%s.m3u8?_HLS_msn=%d&_HLS_part=%d&_HLS_skip=%s", v.rendition, last.MSN, max(0, len(last.Parts)-1), kind))
	if ok {
		v.a.note(v.a.tips, v.node, v.rendition+" "+kind+" "+etag, body, true)
	}
}

// position is how far the viewer has got.
func (v *tour) position() (at [2]int64, l *testkit.Playlist) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.high, v.newest
}

// of are the viewers on a node.
func (g *tours) of(node string) (all []*tour) {
	for _, v := range g.all {
		if v.node == node {
			all = append(all, v)
		}
	}
	return all
}

// reach waits until all viewers have a segment with a number, or more.
func (g *tours) reach(t *testing.T, msn int64) {
	t.Helper()
	g.wait(t, time.Now().Add(sometime), msn)
}

// on waits until all viewers have got some segments further than the furthest of them is now.
func (g *tours) on(t *testing.T, segments int64) {
	t.Helper()
	deadline := time.Now().Add(sometime)
	g.wait(t, deadline, 0)
	far := int64(0)
	for _, v := range g.all {
		at, _ := v.position()
		far = max(far, at[0])
	}
	g.wait(t, deadline, far+segments)
}

// wait waits until all viewers are at a segment, or further.
func (g *tours) wait(t *testing.T, deadline time.Time, msn int64) {
	t.Helper()
	for _, v := range g.all {
		for {
			if at, _ := v.position(); at[0] >= msn {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not all viewers got to segment %d:\n%s", msn, g.where())
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
	}
}

// where tells how far everybody is.
func (g *tours) where() string {
	var b strings.Builder
	for _, v := range g.all {
		v.mu.Lock()
		fmt.Fprintf(&b, "%s %s: %v, last news %.1f s ago, errors %v\n", v.node, v.rendition, v.high, time.Since(v.last).Seconds(), v.errors)
		v.mu.Unlock()
	}
	return b.String()
}

// tell prints what each node's viewers had to wait for, and what failed.
func (g *tours) tell(t *testing.T) {
	t.Helper()
	for _, v := range g.all {
		v.mu.Lock()
		t.Logf("%s %s: %d positions, %d media; longest time without news %.2f s; errors %v", v.node, v.rendition, len(v.arrived), len(v.listed), v.stall.Seconds(), v.errors)
		v.mu.Unlock()
	}
}

// forget starts to measure stalls anew.
func (g *tours) forget() {
	for _, v := range g.all {
		v.mu.Lock()
		v.stall = 0
		v.mu.Unlock()
	}
}

// longest is the longest stall of the viewers of a node since forget.
func (g *tours) longest(node string) (d time.Duration) {
	for _, v := range g.of(node) {
		v.mu.Lock()
		d = max(d, v.stall)
		v.mu.Unlock()
	}
	return d
}

// everywhere wants all media between two segments that any node's playlists listed to be had from all nodes. What a viewer did not
// get around to is asked for now.
func (g *tours) everywhere(t *testing.T, stream string, nodes []*testkit.ClusterNode, from, to int64) {
	t.Helper()
	type missed struct {
		name string
		node *testkit.ClusterNode
	}
	var all []missed
	had := 0
	g.atlas.mu.Lock()
	for name, c := range g.names {
		if msn, ok := numberOf(name); ok && msn >= from && msn < to {
			had++
			for _, n := range nodes {
				if !c.nodes[n.Name] {
					all = append(all, missed{name, n})
				}
			}
		}
	}
	g.atlas.mu.Unlock()
	for _, m := range all {
		g.note(g.names, m.node.Name, m.name, bodyOf(t, m.node.HTTP+"/live/"+stream+"/"+m.name, http.StatusOK), false)
	}
	t.Logf("%d media of segments %d to %d were had from each of %v, %d only when all was over", had, from, to, namesOf(nodes), len(all))
	if had == 0 {
		t.Error("nothing was compared")
	}
}

// numberOf is the media sequence number in a media name, RENDITION/GEN-MSN.m4s or RENDITION/GEN-MSN.PART.m4s.
func numberOf(name string) (msn int64, ok bool) {
	_, file, _ := strings.Cut(name, "/")
	var gen int64
	n, _ := fmt.Sscanf(file, "%d-%d", &gen, &msn)
	return msn, n == 2
}

// later is by how much later positions were there on a node than on another one, sorted.
func (g *tours) later(node, than, rendition string) (all []time.Duration) {
	var a, b *tour
	for _, v := range g.all {
		if v.rendition == rendition && v.node == node {
			a = v
		}
		if v.rendition == rendition && v.node == than {
			b = v
		}
	}
	if a == nil || b == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, when := range a.arrived {
		if first, ok := b.arrived[at]; ok {
			all = append(all, when.Sub(first))
		}
	}
	slices.Sort(all)
	return all
}

// share is a value that so many of sorted ones do not exceed.
func share(sorted []time.Duration, of float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, sort.Search(len(sorted), func(i int) bool { return float64(i+1) >= of*float64(len(sorted)) }))]
}

// waitFor asks a node for a stream until it can be played, and tells how long that took and how often it was refused.
func waitFor(t *testing.T, n *testkit.ClusterNode, stream string) (master string, took time.Duration, refused int) {
	t.Helper()
	began := time.Now()
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for time.Since(began) < sometime {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		status, _, body, err := testkit.Get(ctx, client, n.Master(stream))
		cancel()
		if err == nil && status == http.StatusOK {
			return string(body), time.Since(began), refused
		}
		refused++
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s does not give %s", n.Name, stream)
	return "", 0, 0
}

// usualClips are two minutes of a key frame each second. They are made before anybody connects, which takes a while.
func usualClips(t *testing.T) (video, audio *testkit.Clip) {
	t.Helper()
	return testkit.Pictures(t).Repeat(6), testkit.Sound(t).Repeat(6)
}

// onAir publishes the usual pictures and sound at a node, from a time in the clips on. stop ends that without a word.
func onAir(t *testing.T, n *testkit.ClusterNode, key string, from time.Duration) (p *testkit.Publisher, stop func()) {
	t.Helper()
	video, audio := usualClips(t)
	p = testkit.Publish(t, n.RTMP, key)
	halt := p.Live(testkit.Script{Video: video, Audio: audio, From: from, Speed: 1})
	return p, func() { halt(); p.Drop() }
}

// sendUntilLost publishes like onAir, to a node that will be killed: that it is gone is no error.
func sendUntilLost(t *testing.T, n *testkit.ClusterNode, key string, from time.Duration) (stop func()) {
	t.Helper()
	video, audio := usualClips(t)
	p := testkit.Publish(t, n.RTMP, key)
	p.Configure(from, video, audio)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Play(ctx, testkit.Script{Video: video, Audio: audio, From: from, Speed: 1})
	}()
	stop = sync.OnceFunc(func() { cancel(); p.Drop(); <-done })
	t.Cleanup(stop)
	return stop
}

// bodyOf gets a URL of a node, and wants a status.
func bodyOf(t *testing.T, url string, want int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("GET %s: status %d, want %d: %v: %.300s", url, res.StatusCode, want, err, body)
	}
	return body
}

// names of nodes.
func namesOf(nodes []*testkit.ClusterNode) (all []string) {
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	return all
}
