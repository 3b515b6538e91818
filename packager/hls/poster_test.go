package hls

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gallery hands out posters.
type gallery struct {
	jpeg  []byte
	at    time.Time
	asked []string
}

func (g *gallery) poster(_ context.Context, name string) ([]byte, time.Time, bool) {
	g.asked = append(g.asked, name)
	return g.jpeg, g.at, name == "show" && g.jpeg != nil
}

func newGallery(t *testing.T) (*gallery, *Handler) {
	t.Helper()
	g := &gallery{jpeg: bytes.Repeat([]byte{0xff, 0xd8}, 50), at: epoch}
	s := newShow(7)
	s.add(25)
	reg := NewRegistry()
	reg.Add(s.Presentation)
	return g, NewHandler(Options{Registry: reg, Metrics: NewMetrics(prometheus.NewRegistry()), Poster: g.poster,
		Demand:   func(name string) bool { t.Errorf("a poster has %s fetched", name); return false },
		Settings: func() Settings { return Settings{MinReadRate: 1 << 14} }})
}

func TestPoster(t *testing.T) {
	t.Parallel()
	g, h := newGallery(t)
	first := get(h, "/live/show/poster.jpg")
	if first.Code != 200 || !bytes.Equal(first.Body.Bytes(), g.jpeg) {
		t.Fatalf("%d, %d bytes", first.Code, first.Body.Len())
	}
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Content-Length": "100", "Cache-Control": "public, max-age=2", "Access-Control-Allow-Origin": "*",
		"Last-Modified": epoch.Format(http.TimeFormat), "X-Content-Type-Options": "nosniff",
	} {
		if got := first.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	tag := first.Header().Get("Etag")
	if len(tag) < 3 || !strings.HasPrefix(tag, `"`) {
		t.Errorf("the ETag is %s", tag)
	}
	head := ask(context.Background(), h, http.MethodHead, "/live/show/poster.jpg")
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != "100" || head.Header().Get("Etag") != tag {
		t.Errorf("HEAD: %d, %d bytes, %v", head.Code, head.Body.Len(), head.Header())
	}
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"If-None-Match", tag, 304}, {"If-None-Match", `"other"`, 200}, {"If-None-Match", "*", 304},
		{"If-Modified-Since", epoch.Format(http.TimeFormat), 304},
		{"If-Modified-Since", epoch.Add(-time.Second).Format(http.TimeFormat), 200},
		{"Range", "bytes=0-9", 206}, {"Range", "bytes=100-", 416},
	} {
		got := get(h, "/live/show/poster.jpg", c.header, c.value)
		if got.Code != c.want || got.Code == 304 && got.Body.Len() > 0 {
			t.Errorf("%s: %s: %d, want %d", c.header, c.value, got.Code, c.want)
		}
	}
	g.at = epoch.Add(5 * time.Second)
	if next := get(h, "/live/show/poster.jpg", "If-None-Match", tag); next.Code != 200 || next.Header().Get("Etag") == tag {
		t.Errorf("the next poster of the same size: %d", next.Code)
	}
	if n := h.opt.Registry.Viewers("show", time.Now()); n != 0 {
		t.Errorf("posters count as %d viewers", n)
	}
}

func TestNoPoster(t *testing.T) {
	t.Parallel()
	g, h := newGallery(t)
	g.jpeg = nil
	for path, want := range map[string]string{
		"/live/show/poster.jpg": "this stream has no poster, or none yet\n",
		"/live/else/poster.jpg": "no such stream, or not live yet\n",
	} {
		if got := get(h, path); got.Code != 404 || got.Body.String() != want || got.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %q", path, got.Code, got.Body)
		}
	}
	if n := len(g.asked); n != 2 {
		t.Errorf("asked for %q", g.asked)
	}
	h.opt.Poster = nil
	if got := get(h, "/live/show/poster.jpg"); got.Code != 404 {
		t.Errorf("a node without posters: %d", got.Code)
	}
	if got := ask(context.Background(), h, http.MethodPost, "/live/show/poster.jpg"); got.Code != 405 {
		t.Errorf("POST: %d", got.Code)
	}
}

// TestPosterMetrics: posters are counted as a kind of their own.
func TestPosterMetrics(t *testing.T) {
	t.Parallel()
	_, h := newGallery(t)
	reg := prometheus.NewRegistry()
	h.opt.Metrics = NewMetrics(reg)
	tag := get(h, "/live/show/poster.jpg").Header().Get("Etag")
	get(h, "/live/show/poster.jpg", "If-None-Match", tag)
	get(h, "/live/nobody/poster.jpg")
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			key := ""
			for _, l := range m.GetLabel() {
				key = l.GetValue() + " " + key
			}
			if v := m.GetCounter().GetValue(); v != 0 {
				got[f.GetName()+" "+key] = v
			}
		}
	}
	want := map[string]float64{
		"pushcart_hls_requests_total poster 200 ": 1, "pushcart_hls_requests_total poster 304 ": 1, "pushcart_hls_requests_total poster 404 ": 1,
		"pushcart_hls_response_bytes_total poster ": 100 + float64(len(noStream)) + 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestPosterWaits: who waits for a poster is one of those who wait, of whom an address has so many.
func TestPosterWaits(t *testing.T) {
	t.Parallel()
	_, h := newGallery(t)
	h.opt.Settings = func() Settings { return Settings{MaxWaitingPerAddress: 1} }
	asked, made := make(chan bool), make(chan bool)
	h.opt.Poster = func(context.Context, string) ([]byte, time.Time, bool) {
		asked <- true
		<-made
		return []byte{0xff, 0xd8}, epoch, true
	}
	first := make(chan int)
	go func() { first <- get(h, "/live/show/poster.jpg").Code }()
	<-asked
	if second := get(h, "/live/show/poster.jpg"); second.Code != http.StatusTooManyRequests {
		t.Errorf("the second: %d", second.Code)
	}
	close(made)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first: %d", code)
	}
	if len(h.waiting.byHost) != 0 {
		t.Errorf("still waiting: %v", h.waiting.byHost)
	}
}
