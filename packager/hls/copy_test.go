package hls

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/packager/window"
)

// copied makes a copy of a show, without media.
func copied(t *testing.T, s *show) *show {
	t.Helper()
	c := &show{Presentation: window.NewCopy("show", s.Settings), n: s.n}
	c.look(t, s)
	return c
}

// look takes the present view and state of the origin.
func (c *show) look(t *testing.T, s *show) {
	t.Helper()
	if err := c.CopyView(s.Load().Head()); err != nil {
		t.Fatal(err)
	}
	c.video = c.Load().Rendition("video")
	if err := c.Adopt(c.video, state(s.video.Load(), func() bool { return false })); err != nil {
		t.Fatal(err)
	}
}

// goOn writes parts at the origin and applies them to the copy, with media or without.
func (c *show) goOn(t *testing.T, s *show, parts int, media bool) {
	t.Helper()
	for range parts {
		at := s.video.Load()
		s.add(1)
		for at.Successor() != nil {
			st, ok := window.Diff(at, at.Successor())
			if !ok {
				t.Fatal("no step")
			}
			part := sent(*st.Part, func() bool { return media })
			st.Part = &part
			if err := c.Apply(c.video, st); err != nil {
				t.Fatal(err)
			}
			at = at.Successor()
		}
	}
}

// bring fills a part.
func (c *show) bring(t *testing.T, msn int64, part int) {
	t.Helper()
	if err := c.Fill(c.video, 7, msn, part, fmt.Appendf(nil, "<part %d>", (msn-100)*10+int64(part))); err != nil {
		t.Fatal(err)
	}
}

// TestAbsentMediaAreWaitedFor: what a copy knows of, and has no bytes of yet, is answered as soon as they come, and with 503 when
// they do not; playlists wait for nothing.
func TestAbsentMediaAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		c := copied(t, s)
		h := newTestHandler(c)
		began := time.Now()
		if a, b := get(h, "/live/show/video.m3u8"), get(newTestHandler(s), "/live/show/video.m3u8"); a.Code != 200 ||
			a.Body.String() != b.Body.String() || a.Header().Get("Etag") != b.Header().Get("Etag") {
			t.Errorf("%d: another playlist than the origin's", a.Code)
		}
		part, segment, never := asks(t.Context(), h, "/live/show/video/7-100.3.m4s"), asks(t.Context(), h, "/live/show/video/7-101.m4s"), asks(t.Context(), h, "/live/show/video/7-102.4.m4s")
		synctest.Wait()
		if len(part) > 0 || len(segment) > 0 || time.Since(began) != 0 {
			t.Fatal("absent media were answered")
		}
		c.bring(t, 100, 3)
		if got := <-part; got.Code != 200 || got.Body.String() != "<part 3>" || got.Header().Get("Etag") != `"7-100.3"` {
			t.Errorf("the part: %d %q", got.Code, got.Body)
		}
		for n := range 10 {
			synctest.Wait()
			if len(segment) > 0 {
				t.Fatalf("the segment was answered with %d parts", n)
			}
			c.bring(t, 101, n)
		}
		if got := <-segment; got.Code != 200 || got.Body.String() != get(newTestHandler(s), "/live/show/video/7-101.m4s").Body.String() {
			t.Errorf("the segment: %d %q", got.Code, got.Body)
		}
		if time.Since(began) != 0 {
			t.Errorf("what had come was answered after %v", time.Since(began))
		}
		if got := <-never; got.Code != 503 || time.Since(began) != 12*time.Second {
			t.Errorf("what never came: %d after %v", got.Code, time.Since(began))
		}
	})
}

// TestCopiesAreWaitedForWhenBehind: who was told of a part by a node that is ahead gets it from the copy a moment later. What is
// further ahead than a playlist may be asked for is refused, and on the origin all that is not hinted at.
func TestCopiesAreWaitedForWhenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		c := copied(t, s)
		h := newTestHandler(c)
		h.opt.Settings = func() Settings { return Settings{} }
		answers := map[string]<-chan *httptest.ResponseRecorder{}
		for _, name := range []string{"7-102.5", "7-102.9", "7-103.2", "7-103", "8-103.1"} {
			answers[name] = asks(t.Context(), h, "/live/show/video/"+name+".m4s")
		}
		synctest.Wait()
		for name, got := range answers {
			if len(got) > 0 {
				t.Errorf("%s: %d", name, (<-got).Code)
			}
		}
		c.goOn(t, s, 16, true) // up to 104.0
		for name, got := range answers {
			want := 200
			if name[0] == '8' {
				want = 404 // it turned out to be another origin's
			}
			if got := <-got; got.Code != want {
				t.Errorf("%s: %d", name, got.Code)
			}
		}
		for _, path := range []string{"7-107.0", "7-104.40", "6-105.0", "7-103.12"} {
			if got := get(h, "/live/show/video/"+path+".m4s"); got.Code != 404 {
				t.Errorf("%s: %d", path, got.Code)
			}
		}
		origin := newTestHandler(s)
		for _, path := range []string{"7-104.2", "7-105.1", "8-104.1", "8-105.0", "7-105"} {
			if got := get(origin, "/live/show/video/"+path+".m4s"); got.Code != 404 {
				t.Errorf("%s at the origin: %d", path, got.Code)
			}
		}
		// An initialisation section comes with the segment that needs it.
		in := asks(t.Context(), h, "/live/show/video/init-new.mp4")
		synctest.Wait()
		if len(in) > 0 {
			t.Errorf("an initialisation section that may come: %d", (<-in).Code)
		}
		st := window.Step{
			Begin: &window.Segment{Gen: 7, MSN: 105, Start: c.video.Load().End(), Init: &window.Init{Name: "init-new.mp4", Data: []byte("new")}},
			Part:  &window.Part{Data: []byte("x"), Duration: partTicks}, Last: window.Position{MSN: 105}, NextMSN: 106, Gen: 7, Listed: 100,
		}
		if err := c.Apply(c.video, st); err != nil {
			t.Fatal(err)
		}
		if got := <-in; got.Code != 200 || got.Body.String() != "new" {
			t.Errorf("an initialisation section that came: %d", got.Code)
		}
	})
}

// TestTakeoverNames: one presentation has segments of several generations. What was cut is called by the one that cut it, its parts
// by the one that made them; a copy that was further keeps what it has told of; and who waits goes on waiting over the change.
func TestTakeoverNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		c := copied(t, s) // up to 102.4
		for msn := int64(100); msn < 103; msn++ {
			for part := range 10 {
				c.bring(t, msn, part)
			}
		}
		s.add(2) // which the new origin has not
		old, h := newTestHandler(s), newTestHandler(c)
		for _, handler := range []*Handler{old, h} {
			handler.opt.Settings = func() Settings { return Settings{} }
		}
		waits := asks(t.Context(), old, "/live/show/video.m3u8?_HLS_msn=103&_HLS_part=2")
		synctest.Wait()
		before := get(h, "/live/show/video.m3u8").Header().Get("Etag")

		s.Renounce()
		c.Continue(8)
		cut := get(h, "/live/show/video.m3u8")
		for _, want := range []string{"video/7-101.m4s\n", "video/7-102.4.m4s", "\nvideo/8-102.m4s\n", `URI="video/8-103.0.m4s"`} {
			if !strings.Contains(cut.Body.String(), want) {
				t.Errorf("no %q in\n%s", want, cut.Body)
			}
		}
		if tag := cut.Header().Get("Etag"); tag == before {
			t.Errorf("another playlist has the tag %s too", tag)
		}
		if len(waits) > 0 {
			t.Errorf("who waits at the origin before is answered %d", (<-waits).Code)
		}
		c.n = 30
		c.add(4) // 8-103.0 to 3
		if err := s.Adopt(s.video, state(c.video.Load(), func() bool { return true })); err != nil {
			t.Fatal(err)
		}
		if got := <-waits; got.Code != 200 || !strings.Contains(got.Body.String(), "8-103.2") {
			t.Errorf("who waited at the origin before: %d", got.Code)
		}
		for name, want := range map[string][2]int{ // at the new origin, at the one before
			"7-101": {200, 200}, "7-102": {404, 404}, "8-102": {200, 200}, "7-102.4": {200, 200}, "8-102.4": {404, 404},
			"7-102.6": {404, 200}, "8-103.3": {200, 200}, "7-103.3": {404, 404}, "8-101": {404, 404},
		} {
			for i, handler := range []*Handler{h, old} {
				if got := get(handler, "/live/show/video/"+name+".m4s"); got.Code != want[i] {
					t.Errorf("%s at %d: %d, want %d", name, i, got.Code, want[i])
				} else if tag := got.Header().Get("Etag"); got.Code == 200 && tag != `"`+name+`"` {
					t.Errorf("%s has the tag %s", name, tag)
				}
			}
		}
		if got := get(h, "/live/show/video/8-102.m4s").Body.String(); got != "<part 20><part 21><part 22><part 23><part 24>" {
			t.Errorf("the cut segment is %q", got)
		}
	})
}

// TestTagsOfTwoOrigins: two that go on from the same position, because they do not know of each other, give other playlists under
// other tags.
func TestTagsOfTwoOrigins(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	a, b := copied(t, s), copied(t, s)
	a.Continue(8)
	b.Continue(9)
	x, y := get(newTestHandler(a), "/live/show/video.m3u8"), get(newTestHandler(b), "/live/show/video.m3u8")
	if x.Body.String() == y.Body.String() || x.Header().Get("Etag") == y.Header().Get("Etag") {
		t.Errorf("both are %s:\n%s\n%s", x.Header().Get("Etag"), x.Body, y.Body)
	}
}

// TestEndOfACopy: it ends as its origin did, and what is absent then is still waited for.
func TestEndOfACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(15)
		c := copied(t, s)
		h := newTestHandler(c)
		at := s.video.Load()
		s.End()
		waits := asks(t.Context(), h, "/live/show/video.m3u8?_HLS_msn=101&_HLS_part=8")
		synctest.Wait()
		st, _ := window.Diff(at, at.Successor())
		if err := c.Apply(c.video, st); err != nil {
			t.Fatal(err)
		}
		if err := c.CopyView(s.Load().Head()); err != nil {
			t.Fatal(err)
		}
		if got := <-waits; got.Code != 200 || !strings.HasSuffix(got.Body.String(), "#EXT-X-ENDLIST\n") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		part := asks(t.Context(), h, "/live/show/video/7-101.4.m4s")
		synctest.Wait()
		c.bring(t, 101, 4)
		if got := <-part; got.Code != 200 {
			t.Errorf("a part of an ended copy: %d", got.Code)
		}
		if got := get(h, "/live/show/video/7-101.5.m4s"); got.Code != 404 {
			t.Errorf("a part behind the end: %d", got.Code)
		}
	})
}

// TestArrivingInMidShow: a viewer who comes from a node that is no more asks for a playlist, a part or an initialisation section of a
// stream that this node does not have yet. It is fetched, and the request waits for it.
func TestArrivingInMidShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler()
		demanded := make(chan string, 100)
		h.opt.Demand = func(name string) bool { demanded <- name; return name == "show" }
		h.opt.Settings = func() Settings { return Settings{} }
		answers := map[string]<-chan *httptest.ResponseRecorder{}
		for _, path := range []string{"video.m3u8?_HLS_msn=102&_HLS_part=5", "video.m3u8", "video/7-102.4.m4s", "video/7-101.m4s", "video/init-abc.mp4", "index.m3u8"} {
			answers[path] = asks(t.Context(), h, "/live/show/"+path)
		}
		unknown := asks(t.Context(), h, "/live/show/audio.m3u8")
		synctest.Wait()
		if len(demanded) != len(answers)+1 {
			t.Errorf("%d requests demanded the stream", len(demanded))
		}
		c := &show{Presentation: window.NewCopy("show", s.Settings)}
		h.opt.Registry.Add(c.Presentation)
		synctest.Wait()
		for path, got := range answers {
			if len(got) > 0 {
				t.Errorf("%s is answered %d before there is anything", path, (<-got).Code)
			}
		}
		if err := c.CopyView(s.Load().Head()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for path, got := range answers {
			if len(got) > 0 && path != "index.m3u8" {
				t.Errorf("%s is answered %d before its rendition has come", path, (<-got).Code)
			}
		}
		c.look(t, s)
		synctest.Wait()
		if got := answers["video.m3u8"]; len(got) == 0 {
			t.Error("the playlist is not given as soon as it is there")
		}
		for n := range 25 {
			c.bring(t, int64(100+n/10), n%10)
		}
		c.goOn(t, s, 1, true)
		for path, got := range answers {
			if got := <-got; got.Code != 200 {
				t.Errorf("%s: %d %s", path, got.Code, got.Body)
			}
		}
		if got := <-unknown; got.Code != 404 {
			t.Errorf("a rendition that there is not: %d", got.Code)
		}
		if got := get(h, "/live/other/video/7-102.4.m4s"); got.Code != 404 {
			t.Errorf("a stream that nobody has: %d", got.Code)
		}
		h.opt.Registry.Remove(c.Presentation)
		for len(demanded) > 0 {
			<-demanded
		}
		for _, path := range []string{"favicon.ico", "video/7-102.x.m4s", "video/", ""} {
			if got := get(h, "/live/show/"+path); got.Code != 404 || len(demanded) > 0 {
				t.Errorf("%q: %d, and the stream is fetched", path, got.Code)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newTestHandler()
		h.opt.Demand = func(string) bool { return true }
		began := time.Now()
		got := get(h, "/live/show/video/7-102.4.m4s")
		if got.Code != 503 || got.Header().Get("Retry-After") == "" || time.Since(began) != demandWait {
			t.Errorf("a stream that does not come: %d after %v", got.Code, time.Since(began))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ask(ctx, h, http.MethodGet, "/live/show/video/7-102.4.m4s")
		if time.Since(began) != demandWait {
			t.Error("a viewer who has gone is waited for")
		}
	})
}

// TestForbidden: of a stream that the region may not have nothing is given, and nothing is fetched.
func TestForbidden(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	h := newTestHandler(s)
	h.opt.Demand = func(string) bool { t.Error("it is fetched"); return true }
	h.opt.Elsewhere = func(*http.Request, string) string { t.Error("it is looked for elsewhere"); return "" }
	h.opt.Poster = func(context.Context, string) ([]byte, time.Time, bool) {
		t.Error("a poster")
		return nil, time.Time{}, false
	}
	h.opt.Forbidden = func(name string) bool { return name == "show" }
	for _, path := range []string{"index.m3u8", "video.m3u8", "video/7-100.m4s", "video/7-100.1.m4s", "video/init-abc.mp4", "poster.jpg"} {
		got := get(h, "/live/show/"+path)
		if got.Code != 451 || got.Header().Get("Cache-Control") != "no-store" || !strings.Contains(got.Body.String(), "region") {
			t.Errorf("%s: %d, cached %q: %s", path, got.Code, got.Header().Get("Cache-Control"), got.Body)
		}
	}
}

// TestElsewhere: only who begins to watch is sent to another node, each by itself.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	h := newTestHandler(s)
	h.opt.Elsewhere = func(r *http.Request, name string) string {
		if name != "show" || r.Header.Get("User-Agent") != "far" {
			return ""
		}
		return "https://eu.example.com/live/show/index.m3u8"
	}
	got := get(h, "/live/show/index.m3u8", "User-Agent", "far")
	if got.Code != 307 || got.Header().Get("Location") != "https://eu.example.com/live/show/index.m3u8" || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	if got.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page's player may not follow it")
	}
	if got := get(h, "/live/show/index.m3u8", "User-Agent", "near"); got.Code != 200 {
		t.Errorf("who is near: %d", got.Code)
	}
	if got := get(h, "/live/show/video.m3u8", "User-Agent", "far"); got.Code != 200 {
		t.Errorf("who watches already: %d", got.Code)
	}
}

// TestMultivariantTag: the tag of a multivariant playlist tells its bytes and nothing else, on every node.
func TestMultivariantTag(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(35)
	first := get(newTestHandler(s), "/live/show/index.m3u8")
	c := copied(t, s)
	if got := get(newTestHandler(c), "/live/show/index.m3u8"); got.Header().Get("Etag") != first.Header().Get("Etag") || got.Body.String() != first.Body.String() {
		t.Errorf("a copy gives\n%s\nand not\n%s", got.Body, first.Body)
	}
	s.add(3)
	if got := get(newTestHandler(s), "/live/show/index.m3u8"); got.Header().Get("Etag") != first.Header().Get("Etag") {
		t.Error("it changes with each part")
	}
	s.Append(s.video, window.Part{Data: make([]byte, 1e6), Duration: partTicks}, nil)
	s.Complete(s.video)
	if got := get(newTestHandler(s), "/live/show/index.m3u8"); got.Header().Get("Etag") == first.Header().Get("Etag") || got.Body.String() == first.Body.String() {
		t.Error("a bigger segment does not show")
	}
}

// TestRegistryLists: each name stands for its newest presentation.
func TestRegistryLists(t *testing.T) {
	t.Parallel()
	g := NewRegistry()
	if g.Get("a") != nil || len(g.All()) != 0 {
		t.Error("an empty registry has something")
	}
	b, a := window.NewPresentation("b", window.Settings{}), window.NewPresentation("a", window.Settings{})
	newer := window.NewCopy("a", window.Settings{})
	for _, p := range []*window.Presentation{b, a, newer} {
		g.Add(p)
	}
	if all := g.All(); len(all) != 2 || all[0] != newer || all[1] != b || g.Get("a") != newer {
		t.Errorf("%v", all)
	}
	g.Remove(newer)
	if g.Get("a") != a {
		t.Error("the one before is gone too")
	}
}

// BenchmarkApply is one part that a copy takes, with its playlist.
func BenchmarkApply(b *testing.B) {
	s := newShow(7)
	s.add(200)
	c := window.NewCopy("show", s.Settings)
	if err := c.CopyView(s.Load().Head()); err != nil {
		b.Fatal(err)
	}
	r := c.Load().Rendition("video")
	if err := c.Adopt(r, state(s.video.Load(), func() bool { return true })); err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256(nil)
	b.ReportAllocs()
	for b.Loop() {
		at := s.video.Load()
		s.add(1)
		st, ok := window.Diff(at, at.Successor())
		if !ok {
			b.Fatal("no step")
		}
		part := *st.Part
		part.Sum = sum
		st.Part = &part
		if err := c.Apply(r, st); err != nil {
			b.Fatal(err)
		}
	}
}
