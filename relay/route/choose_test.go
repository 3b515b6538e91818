package route

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"pushcart/relay"
)

// nearestTo is the name of the node that is nearest to a country, for show.
func nearestTo(f *fake, s Settings, country string) string {
	e, ok := f.Lookup("show")
	if !ok {
		return "no stream"
	}
	t := router(f, s)
	p, ok := t.nearest(e, t.order(s, country, f.self))
	if !ok {
		return ""
	}
	return p.Name
}

// TestNearest: region, room, what a node holds and load decide, in this order.
func TestNearest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, country string
		change        func(*fake)
		want          string
	}{
		{"holder of the region, though busier", "DE", nil, "eu-1"},
		{"other region", "US", nil, "us-2"},
		{"nobody holds it there", "JP", nil, "asia-1"},
		{"by continent", "FR", nil, "eu-1"},
		{"by everywhere", "BR", nil, "us-2"},
		{"unknown country: where the viewer came to", "", nil, "eu-1"},
		{"a region without nodes: the first of the fallback", "AU", nil, "us-2"},
		{"and the second when the first has none", "AU", func(f *fake) { f.peers = f.peers[:2] }, "eu-1"},
		{"the holder takes no further peers", "US", func(f *fake) { f.peers[3].Load.Full = true }, "us-2"},
		{"viewers cannot reach the holder", "US", func(f *fake) { f.peers[3].URL = "" }, "us-1"},
		{"what it says of itself is no address", "US", func(f *fake) { f.peers[3].URL = "javascript:alert(1)//" }, "us-1"},
		{"load among holders", "US", func(f *fake) {
			f.peers[2].Streams = f.peers[3].Streams
			f.peers[3].Load.CPU = 3
		}, "us-1"},
		{"a load that is no number", "US", func(f *fake) { f.peers[3].Load.CPU = math.NaN() }, "us-2"},
		{"the holder is drained", "US", func(f *fake) { f.peers[3].Load.Draining = true }, "us-1"},
		{"the whole region is drained", "US", func(f *fake) { f.peers[2].Load.Draining, f.peers[3].Load.Draining = true, true }, "eu-1"},
		{"forbidden in the region", "US", func(f *fake) { f.entries[0].Regions = []string{"eu", "asia"} }, "eu-1"},
		{"nowhere to be reached", "US", func(f *fake) { f.entries[0].Regions = []string{"moon"} }, ""},
	} {
		f := world()
		if tt.change != nil {
			tt.change(f)
		}
		if got := nearestTo(f, settings(), tt.country); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestStable: of nodes that are alike a stream has always the same, streams are spread, and a node that goes moves only its own.
func TestStable(t *testing.T) {
	t.Parallel()
	f := &fake{self: relay.Peer{Name: "eu-0", Region: "eu"}}
	for i := range 5 {
		f.peers = append(f.peers, node(fmt.Sprintf("us-%d", i), "us", 0.1*float64(i)/2))
	}
	s := settings()
	before, count := map[string]string{}, map[string]int{}
	choose := func(f *fake, stream string) string {
		r := router(f, s)
		p, _ := r.nearest(relay.Entry{Stream: stream}, r.order(s, "US", f.self))
		return p.Name
	}
	for i := range 500 {
		stream := fmt.Sprintf("show%d", i)
		before[stream] = choose(f, stream)
		count[before[stream]]++
	}
	for _, p := range f.peers {
		if n := count[p.Name]; n < 60 || n > 140 {
			t.Errorf("%s has %d of 500 streams", p.Name, n)
		}
	}
	f.peers = f.peers[1:]
	for stream, name := range before {
		if now := choose(f, stream); name != "us-0" && now != name {
			t.Errorf("%s moved from %s to %s", stream, name, now)
		}
	}
}

// TestElsewhere: a viewer is sent on only where that is nearer, and once.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, target, header string
		change               func(*fake, *Settings)
		want                 string
	}{
		{"abroad", "/live/show/index.m3u8", "US", nil, "https://us-2.example.com/live/show/index.m3u8?via=eu-1"},
		{"abroad, by the query", "/live/show/index.m3u8?country=us", "", nil, "https://us-2.example.com/live/show/index.m3u8?via=eu-1"},
		{"at home", "/live/show/index.m3u8", "DE", nil, ""},
		{"a neighbour is no nearer", "/live/show/index.m3u8", "DE", func(f *fake, _ *Settings) {
			f.peers[1].Streams, f.self.Streams = f.self.Streams, nil
		}, ""},
		{"at home, which is drained", "/live/show/index.m3u8", "DE", func(f *fake, _ *Settings) { f.self.Load.Draining = true }, "https://eu-2.example.com/live/show/index.m3u8?via=eu-1"},
		{"at home, where all are drained", "/live/show/index.m3u8", "DE", func(f *fake, _ *Settings) {
			f.self.Load.Draining = true
			for i := range f.peers {
				f.peers[i].Load.Draining = true
			}
		}, ""},
		{"unknown", "/live/show/index.m3u8", "XX", nil, ""},
		{"no header", "/live/show/index.m3u8", "", nil, ""},
		{"sent here", "/live/show/index.m3u8?via=us-2", "US", nil, ""},
		{"off", "/live/show/index.m3u8", "US", func(_ *fake, s *Settings) { s.Redirect = false }, ""},
		{"header that is not configured", "/live/show/index.m3u8", "US", func(_ *fake, s *Settings) { s.CountryHeader = "" }, ""},
		{"no such stream", "/live/show/index.m3u8", "US", func(f *fake, _ *Settings) { f.entries = nil }, ""},
		{"not reachable there, and the fallback is us", "/live/show/index.m3u8", "JP", func(f *fake, _ *Settings) { f.peers[0].URL = "" }, "https://us-2.example.com/live/show/index.m3u8?via=eu-1"},
		{"no place at all for the country", "/live/show/index.m3u8", "US", func(f *fake, s *Settings) { f.peers, s.Fallback = nil, nil }, ""},
		{"may not be here", "/live/show/index.m3u8", "DE", func(f *fake, _ *Settings) { f.entries[0].Regions = []string{"asia"} }, "https://asia-1.example.com/live/show/index.m3u8?via=eu-1"},
		{"base with a path", "/live/show/index.m3u8", "US", func(f *fake, _ *Settings) { f.peers[3].URL = "https://cdn.example.com/us" }, "https://cdn.example.com/us/live/show/index.m3u8?via=eu-1"},
	} {
		f, s := world(), settings()
		if tt.change != nil {
			tt.change(f, &s)
		}
		r := httptest.NewRequest(http.MethodGet, tt.target, nil)
		if tt.header != "" {
			r.Header.Set("CF-IPCountry", tt.header)
		}
		if got := router(f, s).Elsewhere(r, "show"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		w := httptest.NewRecorder()
		if did := router(f, s).Redirect(w, r, "show"); did != (tt.want != "") {
			t.Errorf("%s: redirected: %v", tt.name, did)
		} else if did && (w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != tt.want || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %d %v", tt.name, w.Code, w.Header())
		}
	}
}

// BenchmarkElsewhere is what each request for a multivariant playlist costs with redirects on, among 50 nodes.
func BenchmarkElsewhere(b *testing.B) {
	f := world()
	for i := range 50 {
		f.peers = append(f.peers, node(fmt.Sprintf("us-%d", i+3), "us", 0.2, "show"))
	}
	t := router(f, settings())
	r := httptest.NewRequest(http.MethodGet, "/live/show/index.m3u8", nil)
	r.Header.Set("CF-IPCountry", "US")
	b.ReportAllocs()
	for b.Loop() {
		if t.Elsewhere(r, "show") == "" {
			b.Fatal("nowhere")
		}
	}
}
