package relay

import (
	"net/http"
	"strings"
	"testing"

	"pushcart/relay/wire"
)

// TestServeFollows: a copy has each of the origin's snapshots, byte for byte, from the state at which it joined, and gets what was
// there before it, newest segment first.
func TestServeFollows(t *testing.T) {
	t.Parallel()
	origin := newShow(40_000)
	origin.write(13)
	s := serve(t, "origin", "", origin.Presentation, nil)
	f := follow(t, s.ask(request{rendition: "video"}).Body)
	f.until("the state", func() bool { return f.states == 1 })
	f.same(origin.video)
	f.until("all media", f.complete)
	last := f.backfilled[0]
	for _, at := range f.backfilled {
		if at.MSN > last.MSN || at.MSN == last.MSN && at.Part < last.Part {
			t.Fatalf("backfill %v comes after %v", at, last)
		}
		last = at
	}
	for i := range 40 {
		if i == 17 {
			origin.newInit("second")
		}
		origin.write(1)
		want := origin.video.Load()
		f.until("the step", func() bool { return differ(f.r.Load(), want) == "" })
	}
	if f.states != 1 || f.steps != 40 {
		t.Errorf("%d states and %d steps, want 1 and 40", f.states, f.steps)
	}
	origin.End()
	if why := f.end(); why != wire.Ended {
		t.Errorf("the log ended for %q", why)
	}
	f.same(origin.video)
	if got := s.metric("pushcart_relay_sent_steps_total", ""); got < 40 {
		t.Errorf("the metric counts %v steps", got)
	}
}

// TestServeEmpty: a rendition without a part is given from its first one on.
func TestServeEmpty(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	s := serve(t, "origin", "", origin.Presentation, nil)
	f := follow(t, s.ask(request{rendition: "video"}).Body)
	f.until("the empty state", func() bool { return f.states == 1 })
	origin.write(7)
	f.until("seven parts", func() bool { return f.steps == 7 })
	f.same(origin.video)
}

// TestServeHave: a peer that says what it has gets the rest only.
func TestServeHave(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(20)
	s := serve(t, "origin", "", origin.Presentation, nil)
	f := follow(t, s.ask(request{rendition: "video", query: "have=7:1000.0-7:1001.2,7:1003.1-7:1003.1"}).Body)
	f.until("the rest", func() bool { return len(f.backfilled) == 20-8-1 })
	origin.write(1)
	f.until("the step", func() bool { return f.steps == 1 })
	for _, at := range f.backfilled {
		if at.MSN == 1000 || at.MSN == 1001 && at.Part <= 2 || at.MSN == 1003 && at.Part == 1 {
			t.Errorf("%v came, which the peer has", at)
		}
	}
	origin.End()
	if f.end(); len(f.backfilled) != 11 {
		t.Errorf("%d parts came, want 11: %v", len(f.backfilled), f.backfilled)
	}
}

// TestServeRefuses: each request that must not be granted is refused with its reason, and counted.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(3)
	s := serve(t, "origin", "", origin.Presentation, nil)
	s.directory.setRegions("eu", "us")
	cases := []struct {
		name   string
		q      request
		status int
		reason string
	}{
		{"region", request{region: "cn", node: "abroad"}, http.StatusForbidden, "region"},
		{"token of another node", request{token: "forged"}, http.StatusForbidden, "token"},
		{"unknown stream", request{stream: "nothing"}, http.StatusNotFound, "unknown"},
		{"unknown rendition", request{rendition: "nothing"}, http.StatusNotFound, "unknown"},
		{"itself in the path", request{path: "peer,origin"}, http.StatusLoopDetected, "loop"},
		{"a long path", request{path: "peer,b,c"}, http.StatusLoopDetected, "loop"},
		{"a path without end", request{path: strings.Repeat("a", 2000)}, http.StatusBadRequest, "request"},
		{"the node itself", request{node: "origin", region: "eu", path: "x"}, http.StatusLoopDetected, "loop"},
		{"a lower generation", request{gen: "6"}, http.StatusConflict, "generation"},
		{"a higher generation", request{gen: "8"}, http.StatusConflict, "generation"},
		{"no generation", request{gen: "-1"}, http.StatusBadRequest, "request"},
		{"have", request{rendition: "video", query: "have=1:2.3-1:2.2"}, http.StatusBadRequest, "request"},
		{"too many ranges", request{rendition: "video", query: "have=" + strings.Repeat("1:2.3-1:2.3,", 9)}, http.StatusBadRequest, "request"},
		{"another method", request{method: http.MethodHead}, http.StatusMethodNotAllowed, "request"},
	}
	for _, c := range cases {
		before := s.metric("pushcart_relay_refusals_total", c.reason)
		a := s.ask(c.q)
		if a.StatusCode != c.status || a.Header.Get("Pushcart-Reason") != c.reason {
			t.Errorf("%s: answer %d %q, want %d %q", c.name, a.StatusCode, a.Header.Get("Pushcart-Reason"), c.status, c.reason)
		}
		if got := s.metric("pushcart_relay_refusals_total", c.reason); got != before+1 {
			t.Errorf("%s: counted %v times", c.name, got-before)
		}
		if c.status == http.StatusConflict && a.Header.Get("Pushcart-Gen") != "7" {
			t.Errorf("%s: the answer says generation %q", c.name, a.Header.Get("Pushcart-Gen"))
		}
	}
	if a := s.ask(request{gen: "7"}); a.StatusCode != http.StatusOK {
		t.Errorf("the right request is answered by %d", a.StatusCode)
	}
}
