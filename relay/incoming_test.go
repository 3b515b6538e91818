package relay

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// middle is a node that has a copy of a show and feeds what arrives by hand.
type middle struct {
	t      *testing.T
	origin *show
	copy   *window.Presentation
	r      *window.Rendition
	in     *Incoming
	s      *served
	at     *window.Snapshot
	sums   *sumSet
}

func newMiddle(t *testing.T, origin *show) *middle {
	m := &middle{
		t: t, origin: origin, copy: window.NewCopy(serveStream, origin.Settings), in: NewIncoming(),
		at: origin.video.Load(), sums: &sumSet{of: map[Position][32]byte{}},
	}
	if err := m.copy.CopyView(origin.Load().Head()); err != nil {
		t.Fatal(err)
	}
	m.r = m.copy.Load().Rendition("video")
	st := stateOf(m.at, m.sums.sum)
	whole, err := snapshotOf(&st, origin.video.Init)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range m.at.Segments {
		for k := range g.Parts {
			whole.Segments[i].Parts[k].Data = g.Parts[k].Data
		}
	}
	if err := m.copy.Adopt(m.r, whole); err != nil {
		t.Fatal(err)
	}
	m.s = serve(t, "middle", "", m.copy, func(o *ServerOptions) {
		o.Incoming = func(string, string) *Incoming { return m.in }
		o.Path = func(string) []string { return []string{"origin", "middle"} }
	})
	return m
}

// next is the origin's next step and the position of its part.
func (m *middle) next() (window.Step, Position) {
	m.t.Helper()
	next := m.at.Successor()
	st, ok := window.Diff(m.at, next)
	if !ok {
		m.t.Fatal("no step")
	}
	m.at = next
	return st, Position{next.Segments[len(next.Segments)-1].Gen, st.Last.MSN, st.Last.Part}
}

// apply publishes a step, whose media have arrived.
func (m *middle) apply(st window.Step, at Position) {
	m.t.Helper()
	m.in.Done()
	part := *st.Part
	part.Sum, part.Data = m.sums.sum(at, st.Part), m.in.Bytes()
	st.Part = &part
	if err := m.copy.Apply(m.r, st); err != nil {
		m.t.Fatal(err)
	}
}

// TestIncomingCutThrough: half of a part is with the third node before the middle one has the other half; a part whose sum turns
// out wrong is given up and published by nobody, and the right one goes on its way after it.
func TestIncomingCutThrough(t *testing.T) {
	t.Parallel()
	origin := newShow(100_000)
	origin.write(6)
	m := newMiddle(t, origin)
	f := follow(t, m.s.ask(request{rendition: "video"}).Body)
	f.until("all media", f.complete)
	before := f.r.Load()

	origin.write(1)
	st, at := m.next()
	bad := slices.Clone(st.Part.Data)
	bad[10] ^= 1
	m.in.Begin(at.Gen, at.MSN, at.Part, len(bad))
	m.in.Write(bad[:50_000])
	f.until("half of the part", func() bool { return len(f.live) == 50_000 })
	if f.liveAt.Size != len(bad) || f.liveAt.MSN != at.MSN || f.liveAt.Part != at.Part {
		t.Errorf("what comes is of %d.%d with %d bytes", f.liveAt.MSN, f.liveAt.Part, f.liveAt.Size)
	}
	m.in.Write(bad[50_000:])
	f.until("the part", func() bool { return len(f.live) == 100_000 })
	m.in.Abort()
	if now := m.r.Load(); differ(now, before) != "" || f.r.Load() != before {
		t.Fatal("a part was published whose sum is wrong")
	}

	m.in.Begin(at.Gen, at.MSN, at.Part, len(bad))
	m.in.Write(st.Part.Data[:70_000])
	f.until("most of the right part", func() bool { return len(f.live) == 70_000 })
	m.in.Write(st.Part.Data[70_000:])
	m.apply(st, at)
	f.until("the step", func() bool { return f.steps == 1 })
	f.same(origin.video)

	// A peer that joins in the middle of a part gets its first bytes.
	origin.write(1)
	st, at = m.next()
	m.in.Begin(at.Gen, at.MSN, at.Part, len(st.Part.Data))
	m.in.Write(st.Part.Data[:30_000])
	late := follow(t, m.s.ask(request{rendition: "video", node: "late"}).Body)
	late.until("the beginning", func() bool { return len(late.live) == 30_000 })
	m.in.Write(st.Part.Data[30_000:])
	m.apply(st, at)
	for _, f := range []*follower{f, late} {
		f.until("the step", func() bool { return differ(f.r.Load(), origin.video.Load()) == "" })
	}
	if got := m.s.metric("pushcart_relay_forwarded_bytes_total", ""); got < 230_000 {
		t.Errorf("the metric counts %v bytes", got)
	}
}

// TestIncomingRandom: however parts arrive, are given up and begin anew, what is published further on is right.
func TestIncomingRandom(t *testing.T) {
	t.Parallel()
	origin := newShow(20_000)
	origin.write(3)
	m := newMiddle(t, origin)
	f := follow(t, m.s.ask(request{rendition: "video"}).Body)
	f.until("all media", f.complete)
	const parts = 120
	random := rand.New(rand.NewPCG(3, 4))
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for range parts {
			origin.write(1)
			st, at := m.next()
			for random.IntN(3) == 0 { // attempts that fail
				m.in.Begin(at.Gen, at.MSN, at.Part, len(st.Part.Data))
				m.in.Write(randomBytes(1 + random.IntN(len(st.Part.Data))))
				if random.IntN(2) == 0 {
					m.in.Abort()
				}
			}
			m.in.Begin(at.Gen, at.MSN, at.Part, len(st.Part.Data))
			for rest := st.Part.Data; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(9000))
				m.in.Write(rest[:n])
				rest = rest[n:]
			}
			m.apply(st, at)
		}
		origin.End()
		next := m.at.Successor()
		st, _ := window.Diff(m.at, next)
		if err := m.copy.Apply(m.r, st); err != nil {
			t.Error(err)
		}
	}()
	if why := f.end(); why != wire.Ended {
		t.Errorf("the log ended for %q", why)
	}
	<-fed
	f.until("all media", f.complete)
	f.same(origin.video)
}

// TestIncomingBounds: what a part claims to have is not allocated before it comes, and more than that is not taken.
func TestIncomingBounds(t *testing.T) {
	t.Parallel()
	in := NewIncoming()
	in.Begin(1, 2, 3, wire.MaxPart)
	if c := cap(in.Bytes()); c > firstRoom {
		t.Errorf("%d bytes were allocated for a claim", c)
	}
	in.Begin(1, 2, 3, 10)
	in.Write(bytes.Repeat([]byte{1}, 8))
	first := in.Bytes()
	in.Write(bytes.Repeat([]byte{2}, 8))
	if got := in.Bytes(); len(got) != 10 || got[9] != 2 {
		t.Errorf("the part is %v", got)
	}
	in.Begin(1, 2, 4, 5)
	in.Write([]byte{9, 9, 9, 9, 9})
	if next := in.Bytes(); &first[:11][10] != &next[0] {
		t.Error("the next part does not follow in memory")
	}
	if !bytes.Equal(first, bytes.Repeat([]byte{1}, 8)) {
		t.Errorf("bytes that were read have changed: %v", first)
	}
	now, changed := in.load()
	if in.verified(now.At, now.attempt) {
		t.Error("a part is verified that was not said to be")
	}
	in.Done()
	if !in.verified(Position{1, 2, 4}, now.attempt) || in.verified(Position{1, 2, 3}, now.attempt) || in.verified(Position{1, 2, 4}, now.attempt-1) {
		t.Error("another attempt is verified than the one that was done")
	}
	in.Abort()
	select {
	case <-changed:
	default:
		t.Error("nobody is told that the part is given up")
	}
}

// BenchmarkIncoming is what it takes to have a part of 75 kB pass.
func BenchmarkIncoming(b *testing.B) {
	in := NewIncoming()
	part := make([]byte, 75_000)
	b.SetBytes(int64(len(part)))
	b.ReportAllocs()
	for i := range b.N {
		in.Begin(1, int64(i), 0, len(part))
		for from := 0; from < len(part); from += liveChunk {
			in.Write(part[from:min(len(part), from+liveChunk)])
		}
		in.Done()
	}
}

// TestCongestion: a listener asks for what connections need, and a refusal ends nothing.
func TestCongestion(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := NewCongestion(nil, reg)
	if err := c.Control("tcp", "", refusing{}); err != nil {
		t.Errorf("a refused option ends the connection: %v", err)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "pushcart_relay_congestion" || families[0].Metric[0].GetGauge().GetValue() != 1 {
		t.Errorf("metrics are %v, %v", families, err)
	}
}

// refusing is a socket that gives nothing.
type refusing struct{}

func (refusing) Control(func(uintptr)) error      { return context.Canceled }
func (refusing) Read(func(uintptr) bool) error    { return context.Canceled }
func (refusing) Write(f func(uintptr) bool) error { return context.Canceled }
