package relay

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// TestServeBehind: a peer that did not read for a while gets the newest state instead of what it missed, and the missed media
// behind the newest.
func TestServeBehind(t *testing.T) {
	t.Parallel()
	origin := newShow(300_000)
	origin.write(2)
	s := serve(t, "origin", "", origin.Presentation, func(o *ServerOptions) {
		o.Limits = func() Limits { return Limits{MaxBacklog: 1 << 20} }
	})
	f := follow(t, s.ask(request{rendition: "video"}).Body)
	f.until("all media", f.complete)
	// 60 parts are 18 MB: more than the kernel keeps for a connection here, of which 1 MiB may be behind.
	origin.write(40)
	f.until("the next state", func() bool { return f.states == 2 })
	f.until("the end", func() bool { last, _ := f.r.Load().Last(); want, _ := origin.video.Load().Last(); return last == want })
	f.until("all media", f.complete)
	f.same(origin.video)
	if got := s.metric("pushcart_relay_sent_states_total", "behind"); got < 1 {
		t.Errorf("the metric counts %v states for peers behind", got)
	}
	origin.write(1)
	f.until("a step again", func() bool { return differ(f.r.Load(), origin.video.Load()) == "" })
	origin.End()
	f.end()
	seen := map[Position]bool{}
	for _, at := range f.backfilled {
		if seen[at] {
			t.Errorf("%v was sent twice", at)
		}
		seen[at] = true
	}
}

// TestServeFull: when there are as many copies as there may be, who comes is sent to another holder, or told to come again; a
// further log of a copy that was admitted is given.
func TestServeFull(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(3)
	s := serve(t, "origin", "", origin.Presentation, func(o *ServerOptions) {
		o.Limits = func() Limits { return Limits{MaxPeers: 1} }
	})
	if a := s.ask(request{}); a.StatusCode != http.StatusOK {
		t.Fatalf("the first peer is answered by %d", a.StatusCode)
	}
	if a := s.ask(request{rendition: "video"}); a.StatusCode != http.StatusOK {
		t.Errorf("the first peer's rendition is answered by %d", a.StatusCode)
	}
	if n, full := s.Load(); n != 1 || !full || s.Peers(serveStream) != 1 || s.Peers("other") != 0 {
		t.Errorf("%d peers, full %v, %d of the stream", n, full, s.Peers(serveStream))
	}
	if a := s.ask(request{node: "second"}); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "1" {
		t.Errorf("the second peer is answered by %d, Retry-After %q", a.StatusCode, a.Header.Get("Retry-After"))
	}
	holds := []Held{{Stream: serveStream, From: "origin"}}
	s.directory.mu.Lock()
	s.directory.peers = []Peer{
		{Name: "second", Region: "us"},
		{Name: "busy", Region: "us", Address: "192.0.2.1:1", Streams: holds, Load: Load{Full: true}},
		{Name: "elsewhere", Region: "eu", Address: "192.0.2.2:1", Streams: holds},
		{Name: "near", Region: "us", Address: "192.0.2.3:1", Streams: holds, Load: Load{Peers: 3}},
		{Name: "hidden", Region: "us", Streams: holds},
		{Name: "without", Region: "us", Address: "192.0.2.4:1"},
	}
	s.directory.mu.Unlock()
	a := s.ask(request{node: "second", rendition: "video", query: "have=7:1000.0-7:1000.0"})
	if want := "https://192.0.2.3:1/relay/1/show/video?have=7:1000.0-7:1000.0"; a.StatusCode != http.StatusTemporaryRedirect ||
		a.Header.Get("Location") != want || a.Header.Get("Pushcart-Node") != "near" {
		t.Errorf("the second peer is answered by %d to %q at %q", a.StatusCode, a.Header.Get("Location"), a.Header.Get("Pushcart-Node"))
	}
	if s.metric("pushcart_relay_refusals_total", "full") != 1 || s.metric("pushcart_relay_refusals_total", "redirected") != 1 {
		t.Error("the refusals were not counted")
	}
}

// TestServeEnds: a log ends with a bye that says why, as soon as there is a reason.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		why  wire.Reason
		do   func(s *served)
	}{
		{"another log of the same", wire.Replaced, func(s *served) { s.ask(request{rendition: "video"}) }},
		{"another presentation", wire.Superseded, func(s *served) { s.set(newShow(1).Presentation) }},
		{"policy", wire.Refused, func(s *served) { s.directory.setRegions("eu") }},
		{"the node stops", wire.Stopping, func(s *served) { s.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			origin := newShow(1000)
			origin.write(3)
			s := serve(t, "origin", "", origin.Presentation, nil)
			f := follow(t, s.ask(request{rendition: "video"}).Body)
			f.until("all media", f.complete)
			c.do(s)
			if why := f.end(); why != c.why {
				t.Errorf("the log ended for %q, want %q", why, c.why)
			}
			eventually(t, "count", func() bool { return s.metric("pushcart_relay_logs_ended_total", string(c.why)) == 1 })
		})
	}
}

// TestServeLoop: a node that turns out to be on the stream's way to this one loses its log.
func TestServeLoop(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(3)
	path := make(chan []string, 1)
	path <- []string{"first", "origin"}
	s := serve(t, "origin", "", origin.Presentation, func(o *ServerOptions) {
		o.Path = func(string) []string { p := <-path; path <- p; return p }
	})
	f := follow(t, s.ask(request{rendition: "video"}).Body)
	f.until("all media", f.complete)
	<-path
	path <- []string{"first", "peer", "origin"}
	if why := f.end(); why != wire.Redirect {
		t.Errorf("the log ended for %q", why)
	}
	if a := s.ask(request{node: "fourth"}); a.StatusCode != http.StatusLoopDetected {
		t.Errorf("a third hop is answered by %d", a.StatusCode)
	}
}

// TestServeCutsSlow: a peer that takes nothing is cut, whatever there is to send.
func TestServeCutsSlow(t *testing.T) {
	t.Parallel()
	origin := newShow(1 << 20)
	origin.write(20)
	s := serve(t, "origin", "", origin.Presentation, nil)
	body := s.ask(request{rendition: "video"}).Body
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cut", func() bool { return s.metric("pushcart_relay_logs_ended_total", "too slow") == 1 })
	if n, _ := s.Load(); n != 0 {
		t.Errorf("%d peers are left", n)
	}
}

// TestServeClose: Close ends logs that wait, write and are stuck, and nothing of them is left.
func TestServeClose(t *testing.T) {
	t.Parallel()
	origin := newShow(1 << 20)
	origin.write(20)
	s := serve(t, "origin", "", origin.Presentation, nil)
	for i := range 3 {
		s.ask(request{node: fmt.Sprintf("stuck-%d", i), rendition: "video"})
		s.ask(request{node: fmt.Sprintf("stuck-%d", i)})
	}
	began := time.Now()
	s.Close()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("Close took %v", d)
	}
	if n, _ := s.Load(); n != 0 {
		t.Errorf("%d peers are left", n)
	}
	s.mu.Lock()
	if len(s.logs)+len(s.sums) != 0 {
		t.Errorf("%d logs and %d sums are left", len(s.logs), len(s.sums))
	}
	s.mu.Unlock()
	if a := s.ask(request{}); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Pushcart-Reason") != "stopping" {
		t.Errorf("a closed server answers %d", a.StatusCode)
	}
	mine := fmt.Sprintf("%p", s.Server)
	stack := make([]byte, 1<<20)
	stack = stack[:runtime.Stack(stack, true)]
	for g := range strings.SplitSeq(string(stack), "\n\n") {
		if strings.Contains(g, "(*Server).serve(") && strings.Contains(g, mine) {
			t.Errorf("a log still runs:\n%s", g)
		}
	}
}

// TestServePings: an idle log is never silent for long.
func TestServePings(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(1)
	clock := time.UnixMilli(1234567890123)
	s := serve(t, "origin", "", origin.Presentation, func(o *ServerOptions) { o.Now = func() time.Time { return clock } })
	r := wire.NewReader(s.ask(request{rendition: "video"}).Body)
	last := time.Now()
	for pings := 0; pings < 3; {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if now := time.Now(); now.Sub(last) > 2500*time.Millisecond {
			t.Errorf("%v of silence", now.Sub(last))
		}
		last = time.Now()
		if rec.Type == wire.TypePing {
			pings++
			if p, err := wire.ParsePing(rec.Payload); err != nil || !p.Clock.Equal(clock) || p.Sequence != 1 {
				t.Errorf("ping %+v, %v", p, err)
			}
		}
	}
}

// TestServeAdopted: what a node adopted as a whole itself goes on as a state, and what it fills in later as backfill.
func TestServeAdopted(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(12)
	middle := window.NewCopy(serveStream, origin.Settings)
	if err := middle.CopyView(origin.Load().Head()); err != nil {
		t.Fatal(err)
	}
	r := middle.Load().Rendition("video")
	s := serve(t, "middle", "", middle, nil)
	f := follow(t, s.ask(request{rendition: "video"}).Body)
	f.until("the empty state", func() bool { return f.states == 1 })
	sums := &sumSet{of: map[Position][32]byte{}}
	st := stateOf(origin.video.Load(), sums.sum)
	whole, err := snapshotOf(&st, origin.video.Init)
	if err != nil {
		t.Fatal(err)
	}
	if err := middle.Adopt(r, whole); err != nil {
		t.Fatal(err)
	}
	f.until("the state", func() bool { return f.states == 2 })
	f.same(origin.video)
	if len(f.backfilled) != 0 {
		t.Fatal("media came that were not there")
	}
	g := origin.video.Load().Segment(1001)
	if err := middle.Fill(r, 7, 1001, 0, g.Parts[0].Data, g.Parts[1].Data); err != nil {
		t.Fatal(err)
	}
	f.until("two parts", func() bool { return len(f.backfilled) == 2 })
	// A step whose media are not there is told all the same.
	old := origin.video.Load()
	origin.write(1)
	step, ok := window.Diff(old, origin.video.Load())
	if !ok {
		t.Fatal("no step")
	}
	absent := *step.Part
	absent.Sum, absent.Data, absent.Size = sums.sum(Position{7, 1002, 2}, step.Part), nil, 1000
	media := step.Part.Data
	step.Part = &absent
	if err := middle.Apply(r, step); err != nil {
		t.Fatal(err)
	}
	f.until("the step", func() bool { return f.steps == 1 })
	if err := middle.Fill(r, 7, 1002, 2, media); err != nil {
		t.Fatal(err)
	}
	f.until("its media", func() bool { return len(f.backfilled) == 3 })
	f.same(origin.video)
}
