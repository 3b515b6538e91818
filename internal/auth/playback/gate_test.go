package playback

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGate(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, []string{"demo-*", "open"}, Key{"k1", secretOne})
	h := newHouse(t, p)
	show := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)})
	gone := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon})
	for _, tt := range []struct {
		target string
		want   Reason
		path   string // that the handler sees
	}{
		// Without a token.
		{"/live/ab/index.m3u8", Missing, ""},
		{"/live/ab/video/1-2.3.m4s", Missing, ""},
		{"/live/ab/video/init-x.mp4", Missing, ""},
		{"/live/ab/poster.jpg", Missing, ""},
		{"/live/ab/cards/lamp/1.json", Missing, ""},
		{"/live/", Missing, ""},
		{"/live/ab", Missing, ""},
		{"/live//ab/index.m3u8", Missing, ""},
		{"/live/open/index.m3u8", "", "/live/open/index.m3u8"},
		{"/live/demo-1/index.m3u8", "", "/live/demo-1/index.m3u8"},
		{"/live/demo/index.m3u8", Missing, ""},
		{"/live/open2/index.m3u8", Missing, ""},
		{"/live/../ab/index.m3u8", Missing, ""},
		{"/live/open%2F..%2Fab/index.m3u8", "", "/live/open/../ab/index.m3u8"}, // of the stream open, which has nothing of the name
		{"/liv%65/ab/index.m3u8", Missing, ""},
		{"/api/v1/where/ab", Missing, ""},
		{"/api/v1/where/ab%2Fc", Missing, ""},
		{"/api/v1/where/open", "", "/api/v1/where/open"},
		{"/api/v1/streams", "", "/api/v1/streams"},
		{"/api/v1/streams/ab", "", "/api/v1/streams/ab"},
		{"/watch/ab", "", "/watch/ab"},
		{"/", "", "/"},
		{"/.well-known/jwks.json", "", "/.well-known/jwks.json"},

		// With a good one.
		{show + "/live/ab/index.m3u8?_HLS_msn=7", "", "/live/ab/index.m3u8"},
		{show + "/live/ab/video/1-2.3.m4s", "", "/live/ab/video/1-2.3.m4s"},
		{show + "/live/ab/poster.jpg", "", "/live/ab/poster.jpg"},
		{show + "/live/ab/cards/lamp/1.json", "", "/live/ab/cards/lamp/1.json"},
		{show + "/api/v1/where/ab", "", "/api/v1/where/ab"},
		{show + "/api/v1/streams/ab", "", "/api/v1/streams/ab"},
		{show + "/watch/ab", "", "/watch/ab"},
		{show + "/live/open/index.m3u8", "", "/live/open/index.m3u8"},

		// For another stream, above all for one whose name begins with this one's.
		{show + "/live/abc/index.m3u8", WrongStream, ""},
		{show + "/live/a/index.m3u8", WrongStream, ""},
		{show + "/live/AB/index.m3u8", WrongStream, ""},
		{show + "/live//index.m3u8", WrongStream, ""},
		{show + "/live/../live/ab/index.m3u8", WrongStream, ""},
		{show + "/live/./ab/index.m3u8", WrongStream, ""},
		{show + "/api/v1/where/abc", WrongStream, ""},
		{show + "/api/v1/where/ab/", WrongStream, ""},
		{show + "/api/v1/streams/abc", WrongStream, ""},
		{show + "/watch/abc", "", "/watch/abc"}, // the page is for everybody: what it fetches is not

		// What is below a signed address is what viewers need.
		{show, WrongPath, ""},
		{show + "/", WrongPath, ""},
		{show + "//live/ab/index.m3u8", WrongPath, ""},
		{show + "/../live/ab/index.m3u8", WrongPath, ""},
		{show + show + "/live/ab/index.m3u8", WrongPath, ""},
		{show + "/studio/ab", WrongPath, ""},
		{show + "/publish/ab", WrongPath, ""},
		{show + "/whip/ab", WrongPath, ""},
		{show + "/api/v1/streams", WrongPath, ""},
		{show + "/api/v1/streams/ab/cards", WrongPath, ""},
		{show + "/api/v1/sources/ab", WrongPath, ""},
		{show + VerifyPath, WrongPath, ""},
		{show + "%2Flive/ab/index.m3u8", WrongPath, ""},
		{show + "/live/ab%2Findex.m3u8", WrongPath, ""},
		{show + "/live/%61b%2F/index.m3u8", WrongPath, ""},
		{"/p//live/ab/index.m3u8", WrongPath, ""},
		{"/p/", WrongPath, ""},
		{"/p/p/live/ab/index.m3u8", Malformed, ""},
		{"/p/live/ab/index.m3u8", WrongPath, ""},
		{"/P" + show[2:] + "/live/ab/index.m3u8", "", "/P" + show[2:] + "/live/ab/index.m3u8"}, // nothing of ours

		// With one that is no good.
		{gone + "/live/ab/index.m3u8", Expired, ""},
		{gone + "/live/ab/video/1-2.3.m4s", Expired, ""},
		{gone + "/watch/ab", "", "/watch/ab"},
		{gone + "/assets/x.js", "", "/assets/x.js"},
		{show + "x/live/ab/index.m3u8", Malformed, ""},
		{"/p/x/watch/ab", "", "/watch/ab"},
		{"/p/" + strings.Repeat("x", 8000) + "/live/ab/index.m3u8", Malformed, ""},
		{"/p/" + strings.Repeat("x", 8000) + "/watch/ab", "", "/watch/ab"},
	} {
		h.want(tt.target, tt.want)
		if h.path != tt.path {
			t.Errorf("%.100s: the handler sees %q, want %q", tt.target, h.path, tt.path)
		}
		if tt.want == "" && strings.HasPrefix(tt.target, show+"/live/ab") && h.prefix != show {
			t.Errorf("%.100s: the prefix is %q", tt.target, h.prefix)
		}
		if len(h.prefix) > maxToken+len(Prefix) {
			t.Errorf("%.100s: a prefix of %d characters is passed on", tt.target, len(h.prefix))
		}
	}
	if h.refusedFor(WrongStream) != 9 || h.count("pushcart_playback_refused_total") == 0 {
		t.Errorf("%v refused for the wrong stream", h.refusedFor(WrongStream))
	}
	// A page of another site may ask whether it may ask.
	for _, target := range []string{"/live/ab/index.m3u8", gone + "/live/ab/index.m3u8", show + "/live/abc/index.m3u8"} {
		if status, reason := h.ask(http.MethodOptions, target); status != http.StatusOK {
			t.Errorf("OPTIONS %s: %d %s", target, status, reason)
		}
	}
	// Nothing is let in by other methods that GET does not let in.
	for _, method := range []string{"HEAD", "POST", "options", "DELETE"} {
		if status, _ := h.ask(method, "/live/ab/index.m3u8"); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", method, status)
		}
	}
}

// TestOff: without keys everybody is let in, with a signed address or without.
func TestOff(t *testing.T) {
	t.Parallel()
	signed := mustKeys(t, Key{"k1", secretOne})
	text := mustSign(t, signed, Token{Stream: "ab", Expires: noon.Add(-time.Hour)})
	for _, p := range []*Policy{nil, mustPolicy(t, nil), mustPolicy(t, []string{"x"})} {
		h := newHouse(t, p)
		h.want("/live/ab/index.m3u8", "")
		h.want("/p/"+text+"/live/ab/index.m3u8", "")
		if h.path != "/live/ab/index.m3u8" {
			t.Errorf("the handler sees %q", h.path)
		}
		h.want("/p/"+text+"/studio/ab", WrongPath)
		if !h.gate.Allows(httptest.NewRequest("GET", "/", nil), "ab") {
			t.Error("somebody may not know of a stream that is open")
		}
	}
}

// TestClockEdges: a token is good up to its second, and not in it.
func TestClockEdges(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	target := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon}) + "/live/ab/index.m3u8"
	for _, tt := range []struct {
		at   time.Duration
		want Reason
	}{{-time.Nanosecond, ""}, {0, Expired}, {time.Nanosecond, Expired}, {1e6 * time.Hour, Expired}, {-1e6 * time.Hour, ""}} {
		h.now = noon.Add(tt.at)
		h.want(target, tt.want)
	}
	for seconds, want := range map[int64]Reason{0: Expired, 1: Expired, 99999999999: ""} {
		h.now = noon
		h.want("/p/"+mustSign(t, p.Keys(), Token{Stream: "ab", Expires: time.Unix(seconds, 0)})+"/live/ab/index.m3u8", want)
	}
}

// TestKeysChange: what the cache remembers is of the keys that were in force.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	target := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)}) + "/live/ab/index.m3u8"
	for range 3 {
		h.want(target, "")
	}
	if n := h.count("pushcart_playback_signatures_total"); n != 1 {
		t.Errorf("the signature was computed %v times", n)
	}
	h.policy.Store(mustPolicy(t, nil, Key{"k2", secretTwo}))
	h.want(target, UnknownKey)
	h.policy.Store(mustPolicy(t, nil, Key{"k1", secretTwo}))
	h.want(target, BadSignature)
	h.policy.Store(mustPolicy(t, nil, Key{"k2", secretTwo}, Key{"k1", secretOne}))
	h.want(target, "")
}

// TestCacheCollisions: tokens that share a slot are told apart.
func TestCacheCollisions(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	var targets [2]string
	for i, stream := range []string{"ab", "cd"} {
		targets[i] = mustSign(t, p.Keys(), Token{Stream: stream, Expires: noon.Add(time.Hour)})
	}
	for slot := range h.gate.cache.slots { // as if both hashed to each of them
		h.gate.cache.slots[slot].Store(&cached{hash: uint64(slot), text: targets[0], keys: p.Keys(), token: Token{Stream: "cd", Expires: noon.Add(time.Hour)}})
	}
	h.want("/p/"+targets[0]+"/live/cd/index.m3u8", WrongStream)
	h.want("/p/"+targets[1]+"/live/cd/index.m3u8", "")
	h.want("/p/"+targets[0]+"/live/ab/index.m3u8", "")
}

func TestCountry(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	target := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour), Countries: []string{"SE", "NO"}}) + "/live/ab/video/1-2.3.m4s"
	for country, want := range map[string]Reason{"SE": "", "NO": "", "DE": WrongCountry, "": UnknownCountry, "se": WrongCountry, "SE-NO": WrongCountry} {
		h.country = country
		h.want(target, want)
	}
	h.gate.opt.Country = nil
	h.want(target, UnknownCountry)
	if says := refusals[UnknownCountry].Detail; !strings.Contains(says, "routing.country_header") {
		t.Errorf("an operator does not learn what to set: %s", says)
	}
}

// TestTrusted: a CDN that verifies gets media without a token, and nothing but media; a token that comes along counts.
func TestTrusted(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	h.trusted = true
	h.want("/live/ab/index.m3u8", "")
	h.want("/live/ab/video/1-2.3.m4s", "")
	h.want("/live/ab/cards/lamp/1.json", "")
	h.want("/api/v1/where/ab", Missing)
	h.want("/p/"+mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon})+"/live/ab/index.m3u8", Expired)
	h.want("/api/v1/streams/ab", "")
	if h.gate.Allows(h.seen, "ab") {
		t.Error("whoever asks through the CDN may know of the stream")
	}
}

// TestAllows: whoever has a signed address may know what its viewers may, and of that stream alone.
func TestAllows(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, []string{"open"}, Key{"k1", secretOne})
	h := newHouse(t, p)
	for target, want := range map[string]string{
		"/api/v1/streams/ab": "open",
		"/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)}) + "/api/v1/streams/ab": "ab open",
		"/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)}) + "/watch/ab":          "open",
	} {
		h.want(target, "")
		var got []string
		for _, stream := range []string{"", "ab", "abc", "open"} {
			if h.gate.Allows(h.seen, stream) {
				got = append(got, stream)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: may know of %q, want %q", target, got, want)
		}
	}
}

// TestCarry: an address on another node has the token, too.
func TestCarry(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	prefix := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)})
	h.want(prefix+"/live/ab/index.m3u8", "")
	if got := Carry(h.seen, "https://us.example/live/ab/index.m3u8?x=1"); got != "https://us.example"+prefix+"/live/ab/index.m3u8?x=1" {
		t.Errorf("carried to %s", got)
	}
	if got := Carry(h.seen, ""); got != "" {
		t.Errorf("nowhere became %s", got)
	}
	if got := Carry(httptest.NewRequest("GET", "/live/ab/index.m3u8", nil), "https://us.example/x"); got != "https://us.example/x" {
		t.Errorf("without a token: %s", got)
	}
}

func FuzzGate(f *testing.F) {
	p := mustPolicy(f, []string{"open-*"}, Key{"k1", secretOne})
	good := mustSign(f, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)})
	for _, path := range []string{"/", "/live/ab/index.m3u8", "/p/" + good + "/live/ab/x", "/p/" + good + "/live/abc/x", "/p/a/p/b/live/ab", "/p/" + good + "//live/ab", "/p/" + good + "/live/ab%2f", "/live/open-1/../ab/x", "*", "/p"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest("GET", "http://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		u, err := r.URL.Parse("http://h" + path)
		if err != nil {
			return
		}
		r.URL = u
		h := newHouse(t, p)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if h.seen == nil {
			// What a node refuses, it tells no proxy to let in.
			if status, _, _ := h.verdict(u.RequestURI()); status == http.StatusNoContent {
				t.Errorf("%q: refused with %d, and a proxy is told to let it in", path, w.Code)
			}
			return
		}
		// Whatever is let in and is media, as the node's handler reads it, is of an open stream or of the token's own.
		if rest, ok := strings.CutPrefix(h.path, "/live/"); ok {
			stream, _, _ := strings.Cut(rest, "/")
			if !strings.HasPrefix(stream, "open-") && !(stream == "ab" && strings.HasPrefix(u.Path, "/p/"+good+"/")) {
				t.Errorf("%q: media of %q are given out", path, stream)
			}
		}
		if strings.HasPrefix(h.path, Prefix) {
			t.Errorf("%q: the handler sees a signed address, %q", path, h.path)
		}
	})
}

type nothing struct{ h http.Header }

func (n nothing) Header() http.Header         { return n.h }
func (n nothing) Write(b []byte) (int, error) { return len(b), nil }
func (n nothing) WriteHeader(int)             {}

func BenchmarkGate(b *testing.B) {
	p := mustPolicy(b, []string{"demo-*"}, Key{"k1", secretOne})
	sign := func(t Token) string { return "/p/" + mustSign(b, p.Keys(), t) }
	late := noon.Add(time.Hour)
	for _, bb := range []struct {
		name   string
		policy *Policy
		target string
	}{
		{"off", nil, "/live/ab/video/1-2.3.m4s"},
		{"part", p, sign(Token{Stream: "ab", Expires: late}) + "/live/ab/video/1-2.3.m4s"},
		{"playlist with a limit", p, sign(Token{Stream: "ab", Expires: late, Viewers: 10}) + "/live/ab/video.m3u8"},
		{"open", p, "/live/demo-1/video/1-2.3.m4s"},
		{"bad signature", p, "/p/1.k1.ab.1893456000." + strings.Repeat("A", signatureSize) + "/live/ab/video/1-2.3.m4s"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			g := New(Options{Policy: func() *Policy { return bb.policy }, Now: func() time.Time { return noon }})
			handler := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := httptest.NewRequest("GET", bb.target, nil)
				w := nothing{http.Header{}}
				for pb.Next() {
					handler.ServeHTTP(w, r)
				}
			})
		})
	}
}

func ExampleKeys_Sign() {
	keys, err := NewKeys([]Key{{ID: "k1", Secret: "0123456789abcdef0123456789abcdef"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := keys.Sign(Token{Stream: "show", Expires: time.Unix(1893456000, 0), Countries: []string{"SE", "NO"}, Viewers: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("https://live.example.com" + Prefix + token + "/watch/show")
	// Output: https://live.example.com/p/1.k1.show.1893456000.cSE-NO.v100.X3zeo3TDiGD9OSnVBrs0uYAo8ELJSvfXHy5myiRXrMs/watch/show
}
