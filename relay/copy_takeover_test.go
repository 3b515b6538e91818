package relay

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// claim makes a node the origin of a stream.
func (n *testNode) claim(stream string) Entry {
	n.t.Helper()
	e, err := n.Claim(n.t.Context(), Claim{Stream: stream, Credential: "host"})
	if err != nil {
		n.t.Fatal(err)
	}
	return e
}

// hold lets a node read live media and steps for as long as open is true; others pass.
func (n *testNode) hold(open *atomic.Bool) {
	f := func(_ string, conn net.Conn) net.Conn {
		return tampered(conn, func(_ string, r wire.Record) []byte {
			if (r.Type == wire.TypeStep || r.Type == wire.TypeChunk && r.Flags&wire.FlagBackfill == 0) && !open.Load() {
				return []byte{}
			}
			return unchanged(r)
		})
	}
	n.tamper.Store(&f)
}

func last(p *window.Presentation) window.Position {
	at, _ := p.Load().Rendition("video").Load().Last()
	return at
}

// TestTakeOver: a node becomes the origin of a stream whose origin is gone, goes on where the one that had most of it was, and
// the others follow it with the presentations that their viewers have.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, behind, further := c.node("eu-1", "eu"), c.node("us-1", "us"), c.node("asia-1", "asia")
	show := origin.show("show")
	show.write(7)
	var open atomic.Bool
	open.Store(true)
	behind.hold(&open)
	p := behind.demand("show")
	q := further.demand("show")
	show.copied(behind)
	show.copied(further)
	open.Store(false)
	show.write(4) // which the one that takes over does not get
	show.copied(further)
	if last(p) == last(q) {
		t.Fatal("it has all")
	}
	open.Store(true)
	origin.stop()
	further.tell()
	e := behind.claim("show")
	got, err := behind.manager.TakeOver(t.Context(), "show", e)
	if err != nil || got != p {
		t.Fatalf("it took %p, not %p: %v", got, p, err)
	}
	if why := show.differ(p); why != "" {
		t.Errorf("what the other node has was not brought: %s", why)
	}
	if behind.manager.Path("show") != nil || behind.manager.Incoming("show", "video") != nil || len(behind.manager.Copies()) != 0 {
		t.Error("the manager still has what was given away")
	}
	if behind.removed != 0 {
		t.Error("viewers lost the presentation")
	}
	next := behind.goOn(p, e)
	next.write(12)
	next.copied(further)
	if further.presentation("show") != q {
		t.Error("viewers of another node have another presentation")
	}
	if n := behind.metric("pushcart_relay_copy_takeovers_total", takenFurther); n != 1 {
		t.Errorf("%v takeovers counted", n)
	}
	segments := q.Load().Rendition("video").Load().Segments
	for i := 1; i < len(segments); i++ {
		if segments[i].MSN != segments[i-1].MSN+1 {
			t.Errorf("segment %d comes after %d", segments[i].MSN, segments[i-1].MSN)
		}
	}
}

// TestTakeOverFromNothing: a node that never copied the stream gets it from those who did; where nobody has it, there is nothing.
func TestTakeOverFromNothing(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, holder, fresh := c.node("eu-1", "eu"), c.node("us-1", "us"), c.node("asia-1", "asia")
	show := origin.show("show")
	show.write(9)
	holder.demand("show")
	show.copied(holder)
	origin.stop()
	holder.tell()
	e := fresh.claim("show")
	p, err := fresh.manager.TakeOver(t.Context(), "show", e)
	if err != nil || p == nil {
		t.Fatalf("nothing was taken over: %v", err)
	}
	if fresh.presentation("show") != p {
		t.Error("viewers do not have it")
	}
	if why := show.differ(p); why != "" {
		t.Error(why)
	}
	next := fresh.goOn(p, e)
	next.write(6)
	next.copied(holder)

	e = fresh.claim("other")
	if p, err := fresh.manager.TakeOver(t.Context(), "other", e); p != nil || err != nil {
		t.Errorf("%v, %v was taken over of what nobody has", p, err)
	}
	if n := fresh.metric("pushcart_relay_copy_takeovers_total", takenNothing); n != 1 {
		t.Errorf("%v takeovers of nothing counted", n)
	}
}

// TestTakeOverPrefix: media that are announced and that nobody has are left out, unless viewers were told of them.
func TestTakeOverPrefix(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, holder, fresh := c.node("eu-1", "eu"), c.node("us-1", "us"), c.node("asia-1", "asia")
	show := origin.show("show")
	show.write(13)
	f := func(_ string, conn net.Conn) net.Conn { // the holder never gets the last three parts' media
		return tampered(conn, func(_ string, r wire.Record) []byte {
			if r.Type == wire.TypeChunk {
				if chunk, err := wire.ParseChunk(r.Payload); err == nil && chunk.MSN == show.Settings.FirstMSN+2 {
					return []byte{}
				}
			}
			return unchanged(r)
		})
	}
	holder.tamper.Store(&f)
	q := holder.demand("show")
	eventually(t, "two segments", func() bool {
		r := q.Load().Rendition("video")
		at, ok := r.Load().Last()
		a := q.Load().Rendition("audio").Load()
		return ok && at.Part == 2 && !r.Load().Segments[1].Absent() && !r.Load().Segments[0].Absent() &&
			len(a.Segments) == 3 && !a.Segments[0].Absent() && !a.Segments[1].Absent()
	})
	origin.stop()
	holder.tell()
	e := fresh.claim("show")
	p, err := fresh.manager.TakeOver(t.Context(), "show", e)
	if err != nil || p == nil {
		t.Fatalf("nothing was taken over: %v", err)
	}
	for _, r := range p.Load().Renditions {
		at, _ := r.Load().Last()
		if want := (window.Position{MSN: show.Settings.FirstMSN + 1, Part: 4}); at != want {
			t.Errorf("%s goes to %v; there are media up to %v", r.Name, at, want)
		}
	}
	next := fresh.goOn(p, e)
	was := last(q)
	next.write(4)
	if at := last(q); sooner(at, was) {
		t.Errorf("the holder's viewers went back from %v to %v", was, at)
	}
	next.write(6)
	eventually(t, "following", func() bool { return sooner(was, last(q)) })
}

// TestZombie: an origin that does not know that it was replaced is listened to no more, and viewers never go back: what it
// published beyond the new origin freezes, until that has passed it.
func TestZombie(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	zombie, heir, far := c.node("eu-1", "eu"), c.node("us-1", "us"), c.node("asia-1", "asia")
	far.manager.pace.grace = time.Minute // that is for nodes in between, not for the origin that was
	show := zombie.show("show")
	show.write(7)
	var open atomic.Bool
	open.Store(true)
	heir.hold(&open)
	p := heir.demand("show")
	q := far.demand("show")
	show.copied(heir)
	show.copied(far)
	open.Store(false)
	show.write(15) // only the far one has these
	show.copied(far)
	was := last(q)
	c.remove("asia-1") // the heir cannot ask it
	e := heir.claim("show")
	// The heir cannot reach the zombie either.
	nobody := func(_ string, conn net.Conn) net.Conn { conn.Close(); return conn }
	heir.tamper.Store(&nobody)
	got, err := heir.manager.TakeOver(t.Context(), "show", e)
	if err != nil || got != p {
		t.Fatalf("it took %v: %v", got, err)
	}
	next := heir.goOn(p, e)
	eventually(t, "the new origin", func() bool { return far.from("show") == "us-1" })
	show.write(9) // the zombie goes on, and nobody listens
	next.write(3)
	eventually(t, "state that is behind", func() bool { return far.metric("pushcart_relay_copy_states_total", stateBehind) > 0 })
	if at := last(q); at != was {
		t.Fatalf("the far node went from %v to %v; the new origin is at %v", was, at, last(p))
	}
	next.write(12)
	next.copied(far)
	if far.presentation("show") != q {
		t.Error("viewers have another presentation")
	}
	for _, g := range q.Load().Rendition("video").Load().Segments {
		if g.Gen != show.entry.Gen && g.Gen != e.Gen {
			t.Errorf("segment %d of generation %d", g.MSN, g.Gen)
		}
	}

	// The zombie hears of it, and copies into what its viewers have.
	zombie.manager.Follow(show.Presentation)
	zombie.manager.Demand("show")
	next.write(20)
	next.copied(zombie)
	if zombie.presentation("show") != show.Presentation {
		t.Error("viewers of the superseded origin have another presentation")
	}
}

// TestNewShow: another show under the same name is another presentation; the one before stays for a while.
func TestNewShow(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	far.settings.Store(&Settings{Keep: 300 * time.Millisecond})
	show := origin.show("show")
	show.write(7)
	p := far.demand("show")
	show.copied(far)
	again := origin.show("show") // as after a crash: nothing of the first is there
	again.write(4)
	again.copied(far)
	if far.presentation("show") == p {
		t.Error("two shows in one presentation")
	}
	if _, ok := p.Load().Rendition("video").Load().Last(); !ok || p.Load().Ended {
		t.Error("the one before was taken from its viewers")
	}
	eventually(t, "removal of the one before", func() bool {
		far.mu.Lock()
		defer far.mu.Unlock()
		return len(far.held["show"]) == 1 && far.removed == 1
	})
}

// TestReverse: an origin that cannot be called is copied over connections that it made, and keeps some ready.
func TestReverse(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	address := far.Self().Address
	hidden := origin.Self()
	hidden.Address = ""
	c.set(hidden)
	show := origin.show("show")
	show.write(7)
	if far.manager.Demand("show"); far.presentation("show") != nil {
		t.Fatal("it was called without an address")
	}
	pusher := NewPusher(PushOptions{
		Peers: []string{"us-1"}, Handler: origin.server, Registerer: origin.registry, Dial: origin.dialName(address),
	})
	ctx, stop := contextOf(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pusher.Run(ctx)
	}()
	p := far.demand("show")
	show.copied(far)
	show.write(6)
	show.copied(far)
	spare := func() float64 { return far.metric("pushcart_relay_reverse_spare_connections", "") }
	eventually(t, "spare connections", func() bool { return spare() == DefaultSpare })
	eventually(t, "count of index, video, audio and what is spare", func() bool {
		return origin.metric("pushcart_relay_reverse_dials_total", "ok") == DefaultSpare+3
	})
	stop()
	<-done
	eventually(t, "end of the connections", func() bool { return spare() == 0 })
	if p.Load().Ended {
		t.Error("the show was ended with the connections")
	}
	if n := far.metric("pushcart_relay_reverse_refused_total", ""); n != 0 {
		t.Errorf("%v connections refused", n)
	}
	// It comes back.
	ctx, stop = contextOf(t)
	again := NewPusher(PushOptions{Peers: []string{"us-1"}, Handler: origin.server, Dial: origin.dialName(address), Spare: 5})
	done = make(chan struct{})
	go func() {
		defer close(done)
		again.Run(ctx)
	}()
	show.write(4)
	show.copied(far)
	stop()
	<-done
}

// TestSilentTakeOver: nodes that do not answer delay a takeover by its bound at most.
func TestSilentTakeOver(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	far.manager.pace.gather = 100 * time.Millisecond
	show := origin.show("show")
	show.write(7)
	p := far.demand("show")
	show.copied(far)
	deaf := func(_ string, conn net.Conn) net.Conn {
		return tampered(conn, func(string, wire.Record) []byte { return nil })
	}
	far.tamper.Store(&deaf)
	e := far.claim("show")
	begun := time.Now()
	got, err := far.manager.TakeOver(t.Context(), "show", e)
	if err != nil || got != p {
		t.Fatalf("it took %v: %v", got, err)
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
	if why := show.differ(p); why != "" {
		t.Error("what was there is not there any more: " + why)
	}
	if n := far.metric("pushcart_relay_copy_takeovers_total", takenAsIs); n != 1 {
		t.Errorf("%v takeovers counted: %s", n, fmt.Sprint(far.manager.Copies()))
	}
}

// TestFollowsTooLate: where a viewer's request has the stream copied before its superseded origin hears of that, the origin's own
// presentation is let go of after a while, like that of a show that is over.
func TestFollowsTooLate(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	zombie, heir := c.node("eu-1", "eu"), c.node("us-1", "us")
	zombie.settings.Store(&Settings{Keep: 300 * time.Millisecond})
	show := zombie.show("show")
	show.write(9)
	p := heir.demand("show")
	show.copied(heir)
	e := heir.claim("show")
	if _, err := heir.manager.TakeOver(t.Context(), "show", e); err != nil {
		t.Fatal(err)
	}
	heir.goOn(p, e).write(3)
	zombie.manager.Demand("show")
	eventually(t, "a copy beside its own", func() bool { return zombie.presentations("show") == 2 })
	zombie.manager.Follow(show.Presentation)
	eventually(t, "removal of the one that nobody writes", func() bool {
		return zombie.presentations("show") == 1 && zombie.presentation("show") != show.Presentation
	})
}
