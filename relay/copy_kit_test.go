package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/packager/window"
	"pushcart/relay/trust"
	"pushcart/relay/wire"
)

// quickPace is for tests, in which nobody is far away.
var quickPace = pace{
	silence: 1500 * time.Millisecond, dial: time.Second, await: 2 * time.Second, grace: 200 * time.Millisecond, chase: 2 * time.Second,
	stall: 100 * time.Millisecond, calm: 20 * time.Millisecond, vanish: 150 * time.Millisecond, gather: time.Second, tick: 10 * time.Millisecond,
}

// testCluster is nodes on loopback, each with a server and a manager.
type testCluster struct {
	*memoryCluster
	t   *testing.T
	dir string // of the CA
}

func newTestCluster(t *testing.T) *testCluster {
	return &testCluster{memoryCluster: newMemoryCluster(), t: t, dir: t.TempDir()}
}

// testNode is a node.
type testNode struct {
	*memoryDirectory
	cluster  *testCluster
	t        *testing.T
	name     string
	cred     *trust.Credentials
	manager  *Manager
	server   *Server
	pool     *ReversePool
	registry *prometheus.Registry
	http     *http.Server
	stop     func() // ends the node, as a crash does: nobody is told good-bye
	settings atomic.Pointer[Settings]
	limits   atomic.Pointer[Limits]
	viewers  atomic.Int64
	own      atomic.Bool                                            // what ManagerOptions.Own tells of all streams
	tamper   atomic.Pointer[func(peer string, c net.Conn) net.Conn] // sees each connection that is made

	mu      sync.Mutex
	held    map[string][]*window.Presentation // the newest last
	removed int
	cards   map[string]*memorySink
}

// memorySink remembers what came of a stream's cards.
type memorySink struct {
	mu     sync.Mutex
	keys   string
	cards  []wire.Card
	desk   string
	closed bool
}

func (s *memorySink) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *memorySink) Keys(jwks string)     { s.set(func() { s.keys = jwks }) }
func (s *memorySink) Card(c wire.Card)     { s.set(func() { s.cards = append(s.cards, c) }) }
func (s *memorySink) Desk(snapshot []byte) { s.set(func() { s.desk = string(snapshot) }) }
func (s *memorySink) Close()               { s.set(func() { s.closed = true }) }

// node starts a node.
func (c *testCluster) node(name, region string) *testNode {
	c.t.Helper()
	cred, err := trust.Development(c.dir, name, region, trust.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	n := &testNode{
		memoryDirectory: c.directory(name), cluster: c, t: c.t, name: name, cred: cred, registry: prometheus.NewRegistry(),
		held: map[string][]*window.Presentation{}, cards: map[string]*memorySink{},
	}
	n.settings.Store(&Settings{Idle: time.Minute, Keep: time.Minute})
	n.limits.Store(&Limits{})
	c.set(Peer{Name: name, Region: region, Address: l.Addr().String(), Keys: "keys of " + name})
	n.pool = NewReversePool(ReverseOptions{Identify: func(r *http.Request) (string, error) {
		name, _, err := trust.Peer(r.TLS.PeerCertificates[0])
		return name, err
	}, Registerer: n.registry})
	n.manager = NewManager(ManagerOptions{
		Directory: n, Reverse: n.pool, Registerer: n.registry,
		Dial: n.dial,
		Token: func(e Entry) (string, error) {
			return trust.Token(e.Secret, e.Stream, name, time.Now().Add(time.Minute)), nil
		},
		Added: func(p *window.Presentation) { n.add(p) },
		Removed: func(p *window.Presentation) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.held[p.Stream] = slices.DeleteFunc(slices.Clone(n.held[p.Stream]), func(o *window.Presentation) bool { return o == p })
			n.removed++
		},
		Own:     func(string) bool { return n.own.Load() },
		Viewers: func(string) int { return int(n.viewers.Load()) },
		Peers:   func(stream string) int { return n.server.Peers(stream) },
		Cards: func(stream string) CardSink {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.cards[stream] = &memorySink{}
			return n.cards[stream]
		},
		Settings: func() Settings { return *n.settings.Load() },
		Log:      testLog(c.t, name),
	})
	n.manager.pace = quickPace
	n.server = NewServer(ServerOptions{
		Directory: n, Identity: trust.Peer, Registerer: n.registry, Reverse: n.pool,
		Verify: func(token, stream, node string) error {
			return trust.Verify(serveSecret, token, stream, node, time.Now())
		},
		Presentation: n.presentation, Await: n.manager.Await, Path: n.manager.Path, Incoming: n.manager.Incoming,
		Limits: func() Limits { return *n.limits.Load() },
	})
	n.http = &http.Server{Handler: n.server}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { n.manager.Run(ctx) })
	wg.Go(func() { _ = n.http.Serve(tls.NewListener(l, cred.ServerTLS("http/1.1"))) })
	n.stop = sync.OnceFunc(func() {
		c.remove(name)
		n.http.Close() // connections break off first
		cancel()
		n.server.Close()
		n.pool.Close()
		wg.Wait()
	})
	c.t.Cleanup(n.stop)
	eventually(c.t, "manager", func() bool {
		n.manager.mu.Lock()
		defer n.manager.mu.Unlock()
		return n.manager.ctx != nil
	})
	return n
}

func (n *testNode) dial(ctx context.Context, p Peer) (net.Conn, error) {
	conn, err := (&tls.Dialer{Config: n.cred.ClientTLS(p.Name)}).DialContext(ctx, "tcp", p.Address)
	if f := n.tamper.Load(); f != nil && err == nil {
		conn = (*f)(p.Name, conn)
	}
	return conn, err
}

func (n *testNode) add(p *window.Presentation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[p.Stream] = append(slices.Clone(n.held[p.Stream]), p)
}

// presentation is the newest one of a stream; nil is none.
func (n *testNode) presentation(stream string) *window.Presentation {
	n.mu.Lock()
	defer n.mu.Unlock()
	if all := n.held[stream]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// presentations is how many of a stream there are.
func (n *testNode) presentations(stream string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.held[stream])
}

// tell brings what the cluster knows of what the node holds up to date.
func (n *testNode) tell() {
	p := n.Self()
	p.Streams = nil
	for _, s := range n.manager.Copies() {
		p.Streams = append(p.Streams, s.Held())
	}
	n.cluster.set(p)
}

// from is the node that a stream is copied from.
func (n *testNode) from(stream string) string {
	for _, s := range n.manager.Copies() {
		if s.Stream == stream {
			return s.From
		}
	}
	return ""
}

// metric is the value of a counter or gauge, with one label value or summed up.
func (n *testNode) metric(name, label string) float64 {
	n.t.Helper()
	return metricOf(n.t, n.registry, name, label)
}

// metricOf is the value of a counter or gauge in a registry: with a label's value, or of all, summed up.
func metricOf(t testing.TB, from prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (label == "" || slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetValue() == label })) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// failures is how many logs failed for a reason.
func (n *testNode) failures(reason string) float64 {
	return n.metric("pushcart_relay_copy_failures_total", reason)
}

// script writes a show of two renditions.
type script struct {
	*window.Presentation
	node  *testNode
	entry Entry
	parts int
}

// show has a node claim a stream and begin a show.
func (n *testNode) show(stream string) *script {
	n.t.Helper()
	e, err := n.Claim(n.t.Context(), Claim{Stream: stream, Credential: "host"})
	if err != nil {
		n.t.Fatal(err)
	}
	p := window.NewPresentation(stream, window.Settings{TargetDuration: 2, DVR: 6 * time.Second, FirstMSN: 1000 * e.Gen, Gen: e.Gen})
	s := &script{Presentation: p, node: n, entry: e}
	video, audio := p.AddRendition("video", true, p.Settings.FirstMSN), p.AddRendition("audio", false, p.Settings.FirstMSN)
	p.SetPartTarget(tickPart)
	group := &window.AudioGroup{ID: "audio", Members: []window.AudioMember{{Rendition: audio, Name: "en", Language: "en", Channels: 2}}}
	p.SetVariants([]window.Variant{{Video: video, Audio: group, Codecs: "avc1.64001f,mp4a.40.2", Width: 640, Height: 360, FrameRate: 30}})
	n.add(p)
	return s
}

// goOn is a script of a presentation that was taken over.
func (n *testNode) goOn(p *window.Presentation, e Entry) *script {
	p.Continue(e.Gen)
	return &script{Presentation: p, node: n, entry: e}
}

// write adds parts to all renditions, of which each fifth begins a segment.
func (s *script) write(n int) {
	for range n {
		for _, r := range s.Load().Renditions {
			data := fmt.Appendf(nil, "%s %d of %d: %s", r.Name, s.parts, s.entry.Gen, strings.Repeat("media ", 200+s.parts%7))
			part := window.Part{Data: data, Size: len(data), Duration: tickPart, Independent: s.parts%segmentParts == 0}
			var begin *window.Segment
			if s.parts%segmentParts == 0 {
				text := fmt.Appendf(nil, "%s of %d", r.Name, s.entry.Gen)
				begin = &window.Segment{
					Init: s.AddInit(r, &window.Init{Name: initName(text), Data: text}),
					Wall: time.UnixMilli(1_700_000_000_000 + int64(s.parts)*200).UTC(), Discontinuity: s.parts == 0 && s.entry.Gen > s.Settings.Gen,
				}
			}
			s.Append(r, part, begin)
		}
		s.parts++
	}
}

// pace adds a part when the last one is older than 150 ms: a source that catches up has to be able to, on a busy machine too.
func (s *script) pace() {
	if time.Since(s.Load().Rendition("video").Load().At) > 150*time.Millisecond {
		s.write(1)
	}
}

// copied waits until a node shows what the script has written, media too.
func (s *script) copied(n *testNode) {
	n.t.Helper()
	why := ""
	end := time.Now().Add(8 * time.Second)
	for time.Now().Before(end) {
		if why = s.differ(n.presentation(s.Stream)); why == "" {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	n.t.Fatalf("node %s does not have what was written: %s; %+v", n.name, why, n.manager.Copies())
}

// differ tells in what a presentation differs.
func (s *script) differ(p *window.Presentation) string {
	if p == nil {
		return "there is no presentation"
	}
	for _, r := range s.Load().Renditions {
		o := p.Load().Rendition(r.Name)
		if o == nil {
			return "there is no rendition " + r.Name
		}
		got := o.Load()
		if why := differ(got, r.Load()); why != "" {
			return r.Name + ": " + why
		}
		if slices.ContainsFunc(got.Segments, (*window.Segment).Absent) {
			return r.Name + ": media are absent"
		}
	}
	if a, b := fmt.Sprintf("%+v", p.Load().Head()), fmt.Sprintf("%+v", s.Load().Head()); a != b {
		return "the view is " + a + ", not " + b
	}
	return ""
}

// demand asks for a stream until it is there.
func (n *testNode) demand(stream string) *window.Presentation {
	n.t.Helper()
	eventually(n.t, "copy of "+stream+" at "+n.name, func() bool { return n.manager.Demand(stream) && n.presentation(stream) != nil })
	return n.presentation(stream)
}

// tampered is a connection whose answers' records go through change, which returns what is to be read instead of one; nil reads
// nothing more, without the connection's end.
func tampered(conn net.Conn, change func(target string, r wire.Record) []byte) net.Conn {
	near, far := net.Pipe()
	var target atomic.Pointer[string]
	asked := make(chan struct{})
	go func() { // requests
		defer conn.Close()
		from := bufio.NewReader(far)
		r, err := http.ReadRequest(from)
		if err != nil {
			close(asked)
			return
		}
		target.Store(&r.URL.Path)
		close(asked)
		if r.Write(conn) == nil {
			_, _ = from.WriteTo(conn)
		}
	}()
	go func() { // answers
		defer far.Close()
		defer conn.Close()
		<-asked
		from := bufio.NewReader(conn)
		for {
			line, err := from.ReadBytes('\n')
			if err != nil {
				return
			}
			if _, err := far.Write(line); err != nil {
				return
			}
			if len(bytes.TrimSpace(line)) == 0 {
				break
			}
		}
		for log := wire.NewReader(from); ; {
			r, err := log.Next()
			if err != nil {
				return
			}
			out := change(*target.Load(), r)
			if out == nil {
				var one [1]byte
				_, _ = far.Read(one[:]) // until the reader goes
				return
			}
			if _, err := far.Write(out); err != nil {
				return
			}
		}
	}()
	return near
}

// unchanged is a record as it came.
func unchanged(r wire.Record) []byte {
	b, err := wire.AppendRecord(nil, r.Type, r.Flags, r.Payload)
	if err != nil {
		panic(errors.New("a record that was read cannot be written"))
	}
	return b
}

// contextOf is a context that ends with the test, or before.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx, cancel
}

// dialName dials nodes at an address by their names.
func (n *testNode) dialName(address string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, peer string) (net.Conn, error) {
		return n.dial(ctx, Peer{Name: peer, Address: address})
	}
}

func bufioReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }

// testLog writes to the test's log.
func testLog(t *testing.T, node string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("of", node)
}
