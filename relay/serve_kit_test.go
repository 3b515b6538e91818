package relay

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
	"pushcart/relay/trust"
	"pushcart/relay/wire"
)

// serveDirectory is a directory of one stream, which a test writes.
type serveDirectory struct {
	Directory
	self Peer

	mu    sync.Mutex
	entry Entry
	peers []Peer
}

func (d *serveDirectory) Self() Peer { return d.self }

func (d *serveDirectory) Peers() []Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers
}

func (d *serveDirectory) Lookup(stream string) (Entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entry, stream == d.entry.Stream
}

// setRegions changes the stream's policy.
func (d *serveDirectory) setRegions(regions ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entry.Regions = regions
}

// served is a node that serves one presentation over TLS on loopback.
type served struct {
	*Server
	t         testing.TB
	dir       string // of the cluster's CA
	addr      string
	directory *serveDirectory
	metrics   *prometheus.Registry

	mu sync.Mutex
	p  *window.Presentation
}

const serveStream = "show"

var serveSecret = bytes.Repeat([]byte{7}, 32)

// serve starts a server of a presentation, on a node in region "eu" of a cluster of its own, or of dir's.
func serve(t testing.TB, name, dir string, p *window.Presentation, change func(*ServerOptions)) *served {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	s := &served{t: t, dir: dir, p: p, metrics: prometheus.NewRegistry(), directory: &serveDirectory{
		self:  Peer{Name: name, Region: "eu", Keys: "{}"},
		entry: Entry{Stream: serveStream, Origin: name, Region: "eu", Secret: serveSecret},
	}}
	opts := ServerOptions{
		Directory: s.directory, Identity: trust.Peer, Registerer: s.metrics,
		Verify: func(token, stream, node string) error {
			return trust.Verify(serveSecret, token, stream, node, time.Now())
		},
		Presentation: func(stream string) *window.Presentation {
			s.mu.Lock()
			defer s.mu.Unlock()
			if stream != serveStream {
				return nil
			}
			return s.p
		},
	}
	if change != nil {
		change(&opts)
	}
	s.Server = NewServer(opts)
	cred, err := trust.Development(dir, name, "eu", trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = NewCongestion(nil, nil).Listener(l)
	s.addr = l.Addr().String()
	h := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Serve(tls.NewListener(l, cred.ServerTLS("http/1.1")))
	}()
	t.Cleanup(func() {
		s.Close()
		h.Close()
		<-done
	})
	return s
}

// set replaces the presentation that the node has.
func (s *served) set(p *window.Presentation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p = p
}

// request is what a test asks a server; what is left empty is right.
type request struct {
	node, region, rendition, query, path, gen, token, method, stream string
}

// ask sends a request and returns the answer, whose body ends with the test.
func (s *served) ask(q request) *http.Response {
	s.t.Helper()
	q.node, q.region = cmp.Or(q.node, "peer"), cmp.Or(q.region, "us")
	q.stream, q.method = cmp.Or(q.stream, serveStream), cmp.Or(q.method, http.MethodGet)
	cred, err := trust.Development(s.dir, q.node, q.region, trust.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := (&tls.Dialer{Config: cred.ClientTLS(s.directory.self.Name)}).DialContext(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	target := "https://node/relay/1/" + q.stream
	if q.rendition != "" {
		target += "/" + q.rendition
	}
	if q.query != "" {
		target += "?" + q.query
	}
	r, err := http.NewRequestWithContext(s.t.Context(), q.method, target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if q.token == "" {
		q.token = trust.Token(serveSecret, q.stream, q.node, time.Now().Add(time.Minute))
	}
	r.Header.Set("Authorization", "Bearer "+q.token)
	r.Header.Set("Pushcart-Path", cmp.Or(q.path, q.node))
	if q.gen != "" {
		r.Header.Set("Pushcart-Gen", q.gen)
	}
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	s.t.Cleanup(transport.CloseIdleConnections)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// metric is the value of a metric, with all its labels' values summed up or with one.
func (s *served) metric(name, label string) float64 {
	s.t.Helper()
	return metricOf(s.t, s.metrics, name, label)
}

// show writes a presentation.
type show struct {
	*window.Presentation
	video *window.Rendition
	init  *window.Init
	parts int
	size  int // of a part
}

// tickPart is how long a part of a show lasts, segmentParts how many a segment has.
const (
	tickPart     = window.Rate / 5
	segmentParts = 5
)

func newShow(size int) *show {
	p := window.NewPresentation(serveStream, window.Settings{TargetDuration: 2, DVR: 6 * time.Second, FirstMSN: 1000, Gen: 7})
	s := &show{Presentation: p, size: size}
	s.video = p.AddRendition("video", true, 1000)
	p.SetPartTarget(tickPart)
	p.SetVariants([]window.Variant{{Video: s.video, Codecs: "avc1.64001f", Width: 640, Height: 360}})
	s.newInit("first")
	return s
}

func (s *show) newInit(text string) {
	s.init = s.AddInit(s.video, &window.Init{Name: initName([]byte(text)), Data: []byte(text)})
}

// write adds parts, of which each fifth begins a segment.
func (s *show) write(n int) {
	for range n {
		part := window.Part{Data: randomBytes(s.size), Size: s.size, Duration: tickPart, Independent: s.parts%segmentParts == 0}
		if s.parts%3 == 2 {
			part.Ranges = &window.RangeSet{All: []window.DateRange{{ID: fmt.Sprint(s.parts), Class: "c", Value: "v", Start: time.UnixMilli(int64(s.parts))}}}
		}
		var begin *window.Segment
		if s.parts%segmentParts == 0 {
			begin = &window.Segment{Init: s.init, Wall: time.UnixMilli(1_700_000_000_000 + int64(s.parts)*200).UTC()}
		}
		s.Append(s.video, part, begin)
		s.parts++
	}
}

// follower reads a rendition's log as a copy does, and holds all that comes against what was announced.
type follower struct {
	t    testing.TB
	log  *wire.Reader
	copy *window.Presentation
	r    *window.Rendition

	in         *Incoming
	hello      *wire.Hello
	inits      map[string]*window.Init
	state      *wire.State
	live, fill []byte
	liveAt     wire.Chunk
	states     int
	steps      int
	backfilled []Position
	bye        *wire.Bye
}

func follow(t testing.TB, body io.Reader) *follower {
	f := &follower{t: t, in: NewIncoming(), log: wire.NewReader(body), inits: map[string]*window.Init{}}
	return f
}

// next reads one record and does what it says. It is false at the end.
func (f *follower) next() bool {
	f.t.Helper()
	rec, err := f.log.Next()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			f.t.Logf("the log ends: %v", err)
		}
		return false
	}
	if err := f.take(rec); err != nil {
		f.t.Fatalf("record of type %d: %v", rec.Type, err)
	}
	return true
}

func (f *follower) take(rec wire.Record) (err error) {
	switch rec.Type {
	case wire.TypeHello:
		if f.hello, err = wire.ParseHello(rec.Payload); err != nil {
			return err
		}
		if f.copy == nil {
			f.copy = window.NewCopy(f.hello.Stream, settingsOf(f.hello, nil))
			if err := f.copy.CopyView(window.ViewHead{Renditions: []window.RenditionHead{{Name: "video", Video: true}}}); err != nil {
				return err
			}
			f.r = f.copy.Load().Rendition("video")
		}
	case wire.TypeInit:
		i, err := wire.ParseInit(rec.Payload)
		if err != nil {
			return err
		}
		w, err := windowInit(i)
		if err != nil {
			return err
		}
		f.inits[i.Name] = w
	case wire.TypeState:
		if f.state == nil {
			f.state = &wire.State{}
		}
		more, err := f.state.Parse(rec)
		if err != nil || more {
			return err
		}
		s, err := snapshotOf(f.state, f.initOf)
		if err != nil {
			return err
		}
		f.state = nil
		f.states++
		return f.copy.Adopt(f.r, s)
	case wire.TypeChunk:
		c, err := wire.ParseChunk(rec.Payload)
		if err != nil {
			return err
		}
		return f.chunk(c, rec.Flags)
	case wire.TypeStep:
		st, err := wire.ParseStep(rec.Payload)
		if err != nil {
			return err
		}
		return f.step(st, rec.Flags)
	case wire.TypePing:
		_, err = wire.ParsePing(rec.Payload)
	case wire.TypeBye:
		f.bye, err = wire.ParseBye(rec.Payload)
	default:
		return fmt.Errorf("it does not belong into a rendition's log")
	}
	return err
}

func (f *follower) initOf(name string) *window.Init { return f.inits[name] }

func (f *follower) chunk(c wire.Chunk, flags uint8) error {
	if flags&wire.FlagBackfill == 0 {
		if c.Offset == 0 {
			f.in.Begin(c.Gen, c.MSN, c.Part, c.Size)
			f.live = nil
		}
		if c.Offset != len(f.live) {
			return fmt.Errorf("a chunk begins at %d, %d bytes are there", c.Offset, len(f.live))
		}
		f.in.Write(c.Data)
		f.live, f.liveAt = f.in.Bytes(), c
		return nil
	}
	if c.Offset == 0 {
		f.fill = nil
	}
	if c.Offset != len(f.fill) {
		return fmt.Errorf("a chunk of backfill begins at %d, %d bytes are there", c.Offset, len(f.fill))
	}
	f.fill = append(f.fill, c.Data...)
	if len(f.fill) < c.Size {
		return nil
	}
	g := f.r.Load().Segment(c.MSN)
	if g == nil {
		return nil
	}
	if sum := sha256.Sum256(f.fill); g.Parts[c.Part].Sum != sum {
		return fmt.Errorf("backfill of %d.%d has another sum", c.MSN, c.Part)
	}
	if !g.Parts[c.Part].Absent() {
		return fmt.Errorf("backfill of %d.%d, which is there", c.MSN, c.Part)
	}
	f.backfilled = append(f.backfilled, Position{c.Gen, c.MSN, c.Part})
	return f.copy.Fill(f.r, c.Gen, c.MSN, c.Part, f.fill)
}

func (f *follower) step(st *wire.Step, flags uint8) error {
	ws, err := windowStep(st, f.initOf)
	if err != nil {
		return err
	}
	if ws.Part != nil && !ws.Part.Gap && flags&wire.FlagAbsent == 0 {
		if f.liveAt.MSN != st.MSN || f.liveAt.Part != st.Index || len(f.live) != st.Part.Size || sha256.Sum256(f.live) != st.Part.Sum {
			return fmt.Errorf("step %d.%d comes with %d bytes of %d.%d", st.MSN, st.Index, len(f.live), f.liveAt.MSN, f.liveAt.Part)
		}
		ws.Part.Data = f.live
		f.live = nil
	}
	f.steps++
	return f.copy.Apply(f.r, ws)
}

// until reads until a condition holds.
func (f *follower) until(what string, condition func() bool) {
	f.t.Helper()
	for !condition() {
		if !f.next() {
			f.t.Fatalf("the log ended before %s; bye: %+v", what, f.bye)
		}
	}
}

// end reads to the end and returns the bye's reason.
func (f *follower) end() wire.Reason {
	f.t.Helper()
	for f.next() {
	}
	if f.bye == nil {
		return ""
	}
	return f.bye.Reason
}

// same fails unless the copy is what the origin is, media too where nothing may be absent.
func (f *follower) same(want *window.Rendition) {
	f.t.Helper()
	got, have := f.r.Load(), want.Load()
	if diff := differ(got, have); diff != "" {
		f.t.Fatalf("the copy differs: %s", diff)
	}
}

// complete tells whether the copy has all media.
func (f *follower) complete() bool {
	if f.r == nil {
		return false
	}
	s := f.r.Load()
	return len(s.Segments) > 0 && !slices.ContainsFunc(s.Segments, (*window.Segment).Absent)
}

// differ tells in what two snapshots differ; "" is in nothing.
func differ(a, b *window.Snapshot) string {
	if len(a.Segments) != len(b.Segments) || a.Listed != b.Listed || a.NextMSN != b.NextMSN || a.Gen != b.Gen || a.Ended != b.Ended ||
		a.Amended != b.Amended || a.Independent != b.Independent || a.PartTarget != b.PartTarget || !slices.Equal(a.Reports, b.Reports) {
		return fmt.Sprintf("%d segments listed from %d, next %d, and %d from %d, next %d; or in flags", len(a.Segments), a.Listed, a.NextMSN, len(b.Segments), b.Listed, b.NextMSN)
	}
	if (a.Ranges == nil) != (b.Ranges == nil) || a.Ranges != nil && !slices.EqualFunc(a.Ranges.All, b.Ranges.All, func(x, y window.DateRange) bool {
		return x.ID == y.ID && x.Class == y.Class && x.Value == y.Value && x.Start.Equal(y.Start) && x.End.Equal(y.End)
	}) {
		return "date ranges"
	}
	for i := range a.Segments {
		x, y := a.Segments[i], b.Segments[i]
		if x.Gen != y.Gen || x.Closed != y.Closed || x.MSN != y.MSN || x.Init.Name != y.Init.Name || !bytes.Equal(x.Init.Data, y.Init.Data) || x.Start != y.Start ||
			!x.Wall.Equal(y.Wall) || x.Discontinuity != y.Discontinuity || x.DiscontinuitySequence != y.DiscontinuitySequence || x.Complete != y.Complete ||
			x.Duration != y.Duration || x.Size != y.Size || len(x.Parts) != len(y.Parts) {
			return fmt.Sprintf("segment %d with %d parts, and %d with %d; or in what they say", x.MSN, len(x.Parts), y.MSN, len(y.Parts))
		}
		for k := range x.Parts {
			p, q := &x.Parts[k], &y.Parts[k]
			if p.Duration != q.Duration || p.Independent != q.Independent || p.Gap != q.Gap || p.ExpectCut != q.ExpectCut || p.Lag != q.Lag || p.Size != q.Size {
				return fmt.Sprintf("part %d.%d", x.MSN, k)
			}
			if !p.Absent() && !bytes.Equal(p.Data, q.Data) {
				return fmt.Sprintf("media of part %d.%d", x.MSN, k)
			}
		}
	}
	return ""
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(end) {
			t.Fatalf("no %s within 10 s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// randomBytes do not get smaller on their way, nor do two parts have the same.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
