package relay

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"pushcart/packager/window"
)

// print is what viewers can tell of a snapshot.
func print(s *window.Snapshot) string {
	last, _ := s.Last()
	open := s.Open() != nil
	listed := int64(0)
	if len(s.Segments) > 0 {
		listed = s.Segments[s.Listed].MSN
	}
	return fmt.Sprint(last, open, listed, s.NextMSN, s.Gen, s.Independent, s.Ended, s.Amended, s.Reports)
}

// TestCopySequence: each snapshot of a copy is one of the origin's, in its order, and the copy ends as the show does.
func TestCopySequence(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	far.settings.Store(&Settings{Idle: time.Minute, Keep: 200 * time.Millisecond})
	show := origin.show("show")
	show.write(12)

	var mu sync.Mutex
	said := map[string]bool{} // by the origin
	walk := func(r *window.Rendition, see func(*window.Snapshot)) *sync.WaitGroup {
		var wg sync.WaitGroup
		s := r.Load()
		wg.Go(func() {
			for see(s); !s.Ended; see(s) {
				<-s.Changed()
				s = s.Successor()
			}
		})
		return &wg
	}
	video := show.Load().Rendition("video")
	origins := walk(video, func(s *window.Snapshot) {
		mu.Lock()
		defer mu.Unlock()
		said[print(s)] = true
	})
	p := far.demand("show")
	if p == show.Presentation || !p.Copied() {
		t.Fatal("the copy is no copy")
	}
	show.copied(far)
	var copied []string
	copies := walk(p.Load().Rendition("video"), func(s *window.Snapshot) { copied = append(copied, print(s)) })
	for range 40 {
		show.write(1)
		time.Sleep(time.Millisecond)
	}
	show.copied(far)
	show.End()
	origins.Wait()
	copies.Wait()
	show.copied(far)
	for i, s := range copied {
		if !said[s] {
			t.Errorf("snapshot %d of the copy is none of the origin's: %s", i, s)
		}
	}
	if len(copied) < 40 {
		t.Errorf("the copy had %d snapshots: steps were left out", len(copied))
	}
	eventually(t, "end of the presentation", func() bool { return p.Load().Ended && len(far.manager.Copies()) == 0 })
	if far.manager.Demand("show") {
		t.Error("a show that is over is copied again")
	}
	eventually(t, "removal of what was kept", func() bool { return far.presentation("show") == nil })
	if n := len(far.manager.Copies()); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	far.mu.Lock()
	defer far.mu.Unlock()
	if sink := far.cards["show"]; !sink.closed || sink.keys != "keys of eu-1" {
		t.Errorf("the cards' sink has %+v", sink)
	}
}

// TestLateRendition: a rung that begins in mid-show is copied too, and what a first viewer waits for comes at once.
func TestLateRendition(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	show := origin.show("show")
	far.demand("show")
	show.write(3) // the copy is there before the first part
	show.copied(far)
	r := show.AddRendition("360p", true, show.Settings.FirstMSN)
	v := show.Load().Variants
	show.SetVariants(append(v[:1:1], window.Variant{Video: r, Audio: v[0].Audio, Codecs: "avc1.64001f,mp4a.40.2", Width: 320, Height: 180}))
	show.parts = 0 // each rendition begins a segment
	show.write(7)
	show.copied(far)
}

// TestDemand: what is copied, what is not, and until when.
func TestDemand(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	show := origin.show("show")
	show.write(3)
	local := origin.show("local")
	local.write(3)
	c.policy("local", "eu")

	if far.manager.Demand("nothing") {
		t.Error("a stream that nobody has is copied")
	}
	if origin.manager.Demand("show") {
		t.Error("a node copies its own stream")
	}
	if far.manager.Demand("local") || !far.manager.Forbidden("local") || far.manager.Forbidden("show") || origin.manager.Forbidden("local") {
		t.Error("a stream is copied to where its policy does not allow it")
	}
	if n := far.metric("pushcart_relay_copy_refused_total", demandForbidden); n != 1 {
		t.Errorf("%v streams counted as forbidden", n)
	}
	if far.own.Store(true); far.manager.Demand("show") {
		t.Error("a stream is copied while this node has not given its own up")
	}
	far.own.Store(false)

	// A viewer keeps the copy, then nobody does.
	far.viewers.Store(1)
	far.settings.Store(&Settings{Idle: 50 * time.Millisecond})
	far.demand("show")
	show.copied(far)
	time.Sleep(150 * time.Millisecond) // three times what it may be idle
	if far.presentation("show") == nil {
		t.Fatal("a copy with a viewer was given up")
	}
	far.viewers.Store(0)
	eventually(t, "release", func() bool { return far.presentation("show") == nil && len(far.manager.Copies()) == 0 })

	// A policy that changes ends the copy of who may not have it any more.
	far.settings.Store(&Settings{})
	far.demand("show")
	show.copied(far)
	c.policy("show", "eu", "asia")
	eventually(t, "end of what is forbidden", func() bool { return far.presentation("show") == nil && !far.manager.Demand("show") })
	c.policy("show")

	// There may be so many and no more.
	far.settings.Store(&Settings{MaxCopies: 1})
	far.demand("show")
	c.policy("local")
	if !far.manager.Demand("local") {
		t.Error("a stream for which there is no room is taken for none")
	}
	if far.manager.Await(t.Context(), "local", "us-2") != nil || len(far.manager.Copies()) != 1 {
		t.Error("two streams are copied, one is allowed")
	}
	if n := far.metric("pushcart_relay_copy_refused_total", demandFull); n != 2 {
		t.Errorf("%v streams counted as too many", n)
	}
}

// TestPrefetch: what is to be kept warm is copied unasked, and nothing else.
func TestPrefetch(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	far.settings.Store(&Settings{Prefetch: []string{"[", "warm-*"}, Idle: 40 * time.Millisecond})
	warm, cold := origin.show("warm-1"), origin.show("cold")
	warm.write(3)
	cold.write(3)
	warm.copied(far)
	time.Sleep(120 * time.Millisecond) // three times what it may be idle
	warm.write(4)
	warm.copied(far)
	if far.presentation("cold") != nil {
		t.Error("a stream was copied that nobody asked for")
	}
	far.mu.Lock()
	defer far.mu.Unlock()
	if far.removed != 0 {
		t.Error("what is to be kept warm was given up and begun again")
	}
}

// ranked names three nodes of a region in the order in which they copy a stream.
func ranked(stream string) []string {
	peers := []Peer{{Name: "us-1"}, {Name: "us-2"}, {Name: "us-3"}}
	byWeight(stream, peers)
	return []string{peers[0].Name, peers[1].Name, peers[2].Name}
}

// TestOnePuller: of a region's nodes one copies from the origin and the others from it; when it dies, the next one does, and
// viewers see no hole. When it is back, it is asked again.
func TestOnePuller(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin := c.node("eu-1", "eu")
	names := ranked("show")
	first, second, third := c.node(names[0], "us"), c.node(names[1], "us"), c.node(names[2], "us")
	show := origin.show("show")
	show.write(8)
	third.demand("show") // nobody asked the first one: it has to start for its peer
	show.copied(third)
	second.demand("show")
	show.copied(second)
	if a, b, d := first.from("show"), second.from("show"), third.from("show"); a != "eu-1" || b != names[0] || d != names[0] {
		t.Fatalf("%s copies from %q, %s from %q, %s from %q", names[0], a, names[1], b, names[2], d)
	}
	if path := fmt.Sprint(third.manager.Path("show")); path != fmt.Sprintf("[eu-1 %s %s]", names[0], names[2]) {
		t.Errorf("the path is %s", path)
	}
	if n := origin.server.Peers("show"); n != 1 {
		t.Errorf("%d nodes copy from the origin", n)
	}
	first.stop()
	show.write(6)
	show.copied(second)
	show.copied(third)
	eventually(t, "the next puller", func() bool { return second.from("show") == "eu-1" && third.from("show") == names[1] })
	if second.removed+third.removed != 0 {
		t.Error("viewers lost their presentation")
	}

	back := c.node(names[0], "us")
	p := second.presentation("show")
	whole := walkWhole(p.Load().Rendition("video"))
	eventually(t, "the first puller's return", func() bool {
		show.pace()
		return second.from("show") == names[0] && third.from("show") == names[0] && back.from("show") == "eu-1"
	})
	show.write(6)
	show.copied(second)
	show.copied(third)
	show.End()
	if holes := <-whole; holes != 0 {
		t.Errorf("%d snapshots were published without the media of their last part", holes)
	}
}

// walkWhole counts the snapshots whose last part was absent when it was published.
func walkWhole(r *window.Rendition) <-chan int {
	holes := make(chan int, 1)
	s := r.Load()
	go func() {
		n := 0
		for !s.Ended {
			<-s.Changed()
			s = s.Successor()
			if last, ok := s.Last(); ok {
				if part, ok := s.Part(last); ok && part.Absent() {
					n++
				}
			}
		}
		holes <- n
	}()
	return holes
}

// TestFull: a node that takes no more peers sends us on, and we get the stream from elsewhere.
func TestFull(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin := c.node("eu-1", "eu")
	names := ranked("show")
	first, second, third := c.node(names[0], "us"), c.node(names[1], "us"), c.node(names[2], "us")
	first.limits.Store(&Limits{MaxPeers: 1})
	show := origin.show("show")
	show.write(4)
	second.demand("show")
	show.copied(second)
	third.demand("show")
	show.copied(third)
	if from := third.from("show"); from == names[0] || from == "" {
		t.Errorf("it copies from %q, which is full", from)
	}
	if second.from("show") != names[0] {
		t.Error("who was there first has lost its place")
	}
	if third.failures(failFull) == 0 {
		t.Error("the refusal is not counted")
	}
}

// lines remembers the connections that a node made.
type lines struct {
	mu    sync.Mutex
	conns []net.Conn
	keep  func(string, net.Conn) net.Conn
}

func (l *lines) add(_ string, c net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return c
}

// cut breaks them all.
func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// TestDirectoryLost: without the directory running copies go on, over another node too; a stream that is gone from a directory
// that is well has ended.
func TestDirectoryLost(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	origin, far := c.node("eu-1", "eu"), c.node("us-1", "us")
	show := origin.show("show")
	show.write(4)
	var lines lines
	lines.keep = lines.add
	far.tamper.Store(&lines.keep)
	p := far.demand("show")
	show.copied(far)
	far.setCut(true)
	show.write(4)
	show.copied(far)

	// The connections break, and are made anew to a node that is only remembered.
	lines.cut()
	show.write(4)
	show.copied(far)
	if far.failures(failClosed) == 0 {
		t.Error("the loss is not counted")
	}

	far.forget("show") // that it knows of no entry any more tells nothing, as long as it cannot be asked
	origin.http.Close()
	lines.cut()
	eventually(t, "failure", func() bool { return far.failures(failUnreachable) > 0 })
	time.Sleep(2 * quickPace.vanish)
	if p.Load().Ended {
		t.Fatal("the show was ended while the directory could not be asked")
	}
	origin.stop()
	c.drop("show")
	far.setCut(false)
	eventually(t, "end of the show", func() bool { return p.Load().Ended })
	if !p.Load().Rendition("video").Load().Ended {
		t.Error("a rendition has not ended: viewers wait for ever")
	}
}
