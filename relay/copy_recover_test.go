package relay

import (
	"crypto/sha256"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// TestStalled: a puller that is there and brings nothing, since its own way is lost, is left for the origin, and asked again
// when it has caught up.
func TestStalled(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin := c.node("eu-1", "eu")
	names := ranked("show")
	first, second := c.node(names[0], "us"), c.node(names[1], "us")
	show := origin.show("show")
	show.write(7)
	var open atomic.Bool
	open.Store(true)
	first.hold(&open)
	second.demand("show")
	show.copied(second)
	if from := second.from("show"); from != names[0] {
		t.Fatalf("it copies from %q", from)
	}
	open.Store(false)
	show.write(4)
	at := last(show.Presentation)
	p := origin.Self()
	p.Streams = []Held{{Stream: "show", Gen: show.entry.Gen, MSN: at.MSN, Part: at.Part}}
	c.set(p)
	show.copied(second)
	if n := second.failures(failStalled); n == 0 {
		t.Error("the stall is not counted")
	}
	p.Streams = nil
	c.set(p)
	open.Store(true)
	eventually(t, "the puller's return", func() bool {
		show.pace()
		return second.from("show") == names[0]
	})
	show.copied(second)
	show.copied(first)
}

// TestRenditionLost: when one rendition's connection breaks, it alone is made anew, and of what is there nothing is sent again.
func TestRenditionLost(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	show := origin.show("show")
	show.write(12)
	var breaks, opened, sent atomic.Int64
	f := func(_ string, conn net.Conn) net.Conn {
		return tampered(conn, func(target string, r wire.Record) []byte {
			switch {
			case r.Type == wire.TypeHello && strings.HasSuffix(target, "/video"):
				opened.Add(1)
			case r.Type == wire.TypeChunk && r.Flags&wire.FlagBackfill != 0 && strings.HasSuffix(target, "/video"):
				sent.Add(1)
			case r.Type == wire.TypeStep && strings.HasSuffix(target, "/video") && breaks.CompareAndSwap(1, 0):
				conn.Close()
			}
			return unchanged(r)
		})
	}
	far.tamper.Store(&f)
	far.demand("show")
	show.copied(far)
	moves := far.metric("pushcart_relay_copy_moves_total", "")
	logs := far.metric("pushcart_relay_copy_logs_total", "")
	before := sent.Load()
	breaks.Store(1)
	show.write(2)
	show.copied(far)
	show.write(2)
	show.copied(far)
	if opened.Load() != 2 {
		t.Errorf("the rendition was opened %d times", opened.Load())
	}
	if n := far.metric("pushcart_relay_copy_logs_total", "") - logs; n != 1 {
		t.Errorf("%v logs were opened", n)
	}
	if n := far.metric("pushcart_relay_copy_moves_total", "") - moves; n != 0 {
		t.Errorf("%v moves to another node", n)
	}
	if n := sent.Load() - before; n > 2 {
		t.Errorf("%d stretches of media came again", n)
	}
}

// TestCircle: two nodes that each take the other for the region's puller do not wait for one another.
func TestCircle(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.node("eu-1", "eu").show("show").write(3)
	far := c.node("us-1", "us")
	m := far.manager
	m.mu.Lock()
	k := m.newLocked("show")
	m.copies["show"] = k
	m.mu.Unlock()
	k.trying = "us-2"
	begun := time.Now()
	if p := m.Await(t.Context(), "show", "us-2"); p != nil || time.Since(begun) > quickPace.await/2 {
		t.Errorf("%v after %v", p, time.Since(begun))
	}
	m.mu.Lock()
	delete(m.copies, "show")
	m.mu.Unlock()
	if p := m.Await(t.Context(), "nothing", "us-2"); p != nil {
		t.Error("something of nothing")
	}
	if p := m.Await(t.Context(), "show", "us-2"); p == nil {
		t.Error("nothing where nobody is in the way")
	}
}

// TestNothingIsLeft: a node that stops leaves no goroutine behind, whatever it was doing. It is not parallel, since it counts.
func TestNothingIsLeft(t *testing.T) {
	ours := func() int {
		buf := make([]byte, 4<<20)
		n := 0
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "pushcart/relay.(*") || strings.Contains(g, "pushcart/relay.tampered") {
				n++
			}
		}
		return n
	}
	before := ours()
	c := newTestCluster(t)
	origin, near, far := c.node("eu-1", "eu"), c.node("us-1", "us"), c.node("us-2", "us")
	hidden := c.node("eu-2", "eu")
	p := hidden.Self()
	p.Address = ""
	c.set(p)
	show := origin.show("show")
	show.write(7)
	alone := hidden.show("alone")
	alone.write(3)
	pusher := NewPusher(PushOptions{Peers: []string{"us-1", "nowhere"}, Handler: hidden.server, Dial: hidden.dialName(near.Self().Address)})
	ctx, stop := contextOf(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pusher.Run(ctx)
	}()
	near.demand("alone")
	far.demand("show")
	alone.copied(near)
	show.copied(far)
	deaf := func(_ string, conn net.Conn) net.Conn {
		return tampered(conn, func(string, wire.Record) []byte { return nil })
	}
	far.tamper.Store(&deaf) // one copy that hangs in the middle of its beginning
	far.manager.Demand("alone")
	eventually(t, "attempt", func() bool { return len(far.manager.Copies()) == 2 })
	stop()
	<-done
	for _, n := range []*testNode{far, near, origin, hidden} {
		n.stop()
	}
	eventually(t, "end of all goroutines", func() bool { return ours() <= before })
}

// TestLowerGeneration: a node that does not know yet that the stream has a new generation gives nothing to one that does; when it
// knows, it is asked again soon.
func TestLowerGeneration(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	show := origin.show("show")
	show.write(7)
	e := origin.claim("show")
	far.manager.Demand("show")
	eventually(t, "several refusals", func() bool { return far.failures(failGeneration) >= 7 })
	if far.presentation("show") != nil {
		t.Fatal("a lower generation was copied")
	}
	next := origin.goOn(show.Presentation, e)
	begun := time.Now()
	next.write(3)
	next.copied(far)
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("it was asked again after %v", d)
	}
}

// TestEarly: while a node brings a rendition well, another one that is further takes its place only with the media of what it is
// further by; when the first one is gone, at once.
func TestEarly(t *testing.T) {
	t.Parallel()
	media := []byte("media of a part")
	state := func(parts int) []byte {
		g := wire.Segment{Gen: 7, MSN: 1, Init: initName([]byte("init"))}
		for range parts {
			g.Parts = append(g.Parts, wire.Part{Size: len(media), Sum: sha256.Sum256(media), Duration: tickPart, Independent: true})
		}
		b, err := wire.AppendInit(nil, &wire.Init{Name: g.Init, Data: []byte("init")})
		if err != nil {
			t.Fatal(err)
		}
		if b, err = wire.AppendState(b, &wire.State{Segments: []wire.Segment{g}, Listed: 1, Gen: 7, NextMSN: 2, Independent: true}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, gone := range []bool{false, true} {
		first := benchTracker(t)
		take(t, first, state(2))
		l := &link{m: first.link.m, t: first.link.t, peer: Peer{Name: "eu-2"}, entry: first.link.entry, presentation: first.link.presentation}
		l.ready, l.ctx = make(chan struct{}), t.Context()
		second := &tracker{
			link: l, rep: first.rep, inits: map[string]*window.Init{}, aside: NewIncoming(), back: NewIncoming(), gone: make(chan struct{}),
		}
		if gone {
			first.release()
		}
		take(t, second, state(4))
		at, _ := first.rep.r.Load().Last()
		if gone {
			if at.Part != 3 || first.rep.holder != second {
				t.Errorf("viewers are kept at part %d", at.Part)
			}
			continue
		}
		if at.Part != 1 || first.rep.holder != first {
			t.Fatalf("viewers are at part %d, whose media have not come", at.Part)
		}
		for part := 3; part >= 2; part-- {
			b, err := wire.AppendChunk(nil, &wire.Chunk{Gen: 7, MSN: 1, Part: part, Size: len(media), Data: media}, wire.FlagBackfill)
			if err != nil {
				t.Fatal(err)
			}
			take(t, second, wire.AppendPing(b, wire.Ping{Clock: time.Unix(1000, 0)}))
		}
		s := first.rep.r.Load()
		if at, _ := s.Last(); at.Part != 3 || first.rep.holder != second || s.Segments[0].Parts[2].Absent() || s.Segments[0].Parts[3].Absent() {
			t.Errorf("viewers are at part %d, with all media there", at.Part)
		}
		if !first.replaced() || second.replaced() {
			t.Error("who brings the rendition is not known")
		}
	}
}
