package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func tree() fs.FS {
	return fstest.MapFS{
		"index.html":             {Data: []byte("<!doctype html><title>list</title>")},
		"watch.html":             {Data: []byte("<!doctype html>" + strings.Repeat("<p>watch</p>", 100))},
		"studio.html":            {Data: []byte("<!doctype html><title>studio</title>")},
		"publish.html":           {Data: []byte("<!doctype html><title>publish</title>")},
		"assets/page-1a2b3c.js":  {Data: []byte(strings.Repeat("play();\n", 200))},
		"assets/page-1a2b3c.css": {Data: []byte("p{color:red}")},
		"assets/odd":             {Data: []byte{0, 1, 2}},
	}
}

func pages(tree fs.FS) http.Handler {
	mux := http.NewServeMux()
	load(tree).register(mux, func() []string { return []string{"shop.example.com", "*.cdn.example.com"} })
	return mux
}

func get(h http.Handler, target string, header ...string) *http.Response {
	return do(h, http.MethodGet, target, header...)
}

func do(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPages(t *testing.T) {
	s := pages(tree())
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; " +
		"img-src 'self' data: https://shop.example.com https://*.cdn.example.com; " +
		"connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
	// Only the page that goes live may use camera and microphone.
	const none = "camera=(), geolocation=(), microphone=(), payment=()"
	devices := map[string]string{
		"list": none, "watch": none, "studio": none, "publish": "camera=(self), geolocation=(), microphone=(self), payment=()",
	}
	for target, want := range map[string]string{
		"/": "list", "/watch/demo": "watch", "/watch/%E7%9B%B4": "watch", "/studio/demo": "studio", "/publish/demo": "publish",
	} {
		r := get(s, target)
		if r.StatusCode != http.StatusOK || !strings.Contains(string(body(t, r)), want) {
			t.Errorf("%s: status %d, or not the page with %q", target, r.StatusCode, want)
		}
		for name, value := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Content-Security-Policy": policy,
			"Permissions-Policy": devices[want],
		} {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", target, name, got, value)
			}
		}
	}
}

// TestContentPolicy holds that hosts, and nothing else, get into the policy, whatever the allow-list has.
func TestContentPolicy(t *testing.T) {
	for _, tt := range []struct {
		images []string
		want   string
	}{
		{nil, "data:"},
		{[]string{"*"}, "data: https:"},
		{[]string{"a.example.com", "*.b.example.com", "xn--bcher-kva.example"}, "data: https://a.example.com https://*.b.example.com https://xn--bcher-kva.example"},
		{[]string{"", "a b", "a;script-src *", "a,b", "http://a", "a/b", "*.*", "a*", "-a", "a.", "'unsafe-inline'", "data:", "a\r\nX: y"}, "data:"},
	} {
		policy := contentPolicy(tt.images)
		_, rest, _ := strings.Cut(policy, "img-src 'self' ")
		got, _, _ := strings.Cut(rest, ";")
		if got != tt.want || strings.Count(policy, ";") != 10 {
			t.Errorf("%q: pictures from %q, want %q; all of it: %s", tt.images, got, tt.want, policy)
		}
	}
}

func TestSDK(t *testing.T) {
	s := load(fstest.MapFS{
		"pushcart-cards.js":   {Data: []byte(strings.Repeat("export {};\n", 100))},
		"pushcart-cards.d.ts": {Data: []byte("export {};")},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sdk/{name}", s.library)
	for target, kind := range map[string]string{
		"/sdk/pushcart-cards.js":   "text/javascript; charset=utf-8",
		"/sdk/pushcart-cards.d.ts": "application/typescript; charset=utf-8",
	} {
		r := get(mux, target, "Origin", "https://shop.example.com", "Accept-Encoding", "gzip")
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", target, r.StatusCode)
		}
		for name, value := range map[string]string{
			"Content-Type": kind, "Cache-Control": cacheSDK, "Access-Control-Allow-Origin": "*",
			"Cross-Origin-Resource-Policy": "cross-origin", "X-Content-Type-Options": "nosniff",
		} {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", target, name, got, value)
			}
		}
		again := get(mux, target, "Accept-Encoding", "gzip", "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || again.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s, seen before: status %d, headers %v", target, again.StatusCode, again.Header)
		}
	}
	for _, target := range []string{"/sdk/", "/sdk/none.js", "/sdk/..%2fsite%2findex.html"} {
		if r := get(mux, target); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", target, r.StatusCode)
		}
	}
}

func TestAssets(t *testing.T) {
	s := pages(tree())
	for target, kind := range map[string]string{
		"/assets/page-1a2b3c.js":  "text/javascript; charset=utf-8",
		"/assets/page-1a2b3c.css": "text/css; charset=utf-8",
		"/assets/odd":             "application/octet-stream",
	} {
		r := get(s, target)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kind || r.Header.Get("Cache-Control") != cacheAsset {
			t.Errorf("%s: status %d, headers %v", target, r.StatusCode, r.Header)
		}
	}
	for _, target := range []string{"/assets/", "/assets/none.js", "/assets/..%2findex.html", "/index.html", "/watch/", "/watch/a/b", "/nothing"} {
		if r := get(s, target); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", target, r.StatusCode)
		}
	}
}

func TestGzip(t *testing.T) {
	s := pages(tree())
	plain := get(s, "/assets/page-1a2b3c.js")
	zipped := get(s, "/assets/page-1a2b3c.js", "Accept-Encoding", "br, gzip;q=0.8")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", zipped.Header)
	}
	if plain.Header.Get("Vary") != "Accept-Encoding" || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("plain: headers %v", plain.Header)
	}
	if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Error("plain and gzip have the same entity tag")
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(unzipped, body(t, plain)) {
		t.Errorf("gzip holds something else (%v)", err)
	}
	if r := get(s, "/assets/page-1a2b3c.css", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "" {
		t.Error("12 bytes are compressed")
	}
}

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip; q=0.1": true, "*": true, "*;q=0": false, "gzip;q=0, *": false, "br": false, "gzip;q=x": false,
		"identity, x-gzip": true, ",,;": false,
	} {
		if got := acceptsGzip([]string{value}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestRevalidation(t *testing.T) {
	s := pages(tree())
	for _, encoding := range []string{"identity", "gzip"} {
		tag := get(s, "/watch/a", "Accept-Encoding", encoding).Header.Get("ETag")
		for _, sent := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			r := get(s, "/watch/b", "Accept-Encoding", encoding, "If-None-Match", sent)
			if r.StatusCode != http.StatusNotModified || len(body(t, r)) != 0 || r.Header.Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %s: status %d, tag %s", encoding, sent, r.StatusCode, r.Header.Get("ETag"))
			}
		}
		if r := get(s, "/watch/a", "Accept-Encoding", encoding, "If-None-Match", `"other"`); r.StatusCode != http.StatusOK {
			t.Errorf("another tag: status %d", r.StatusCode)
		}
	}
}

func TestMethods(t *testing.T) {
	s := pages(tree())
	r := do(s, http.MethodHead, "/watch/a")
	if r.StatusCode != http.StatusOK || r.ContentLength == 0 || len(body(t, r)) != 0 {
		t.Errorf("HEAD: status %d, length %d", r.StatusCode, r.ContentLength)
	}
	for _, target := range []string{"/", "/watch/a", "/assets/odd"} {
		if r := do(s, http.MethodPost, target); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
			t.Errorf("POST: status %d, headers %v", r.StatusCode, r.Header)
		}
	}
}

func TestNotBuilt(t *testing.T) {
	s := pages(fstest.MapFS{})
	r := get(s, "/watch/demo")
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body(t, r)), "make build") {
		t.Errorf("status %d", r.StatusCode)
	}
	if r := get(s, "/assets/x.js"); r.StatusCode != http.StatusNotFound {
		t.Errorf("asset: status %d", r.StatusCode)
	}
}

// TestEmbedded holds what is embedded to the pages' Content-Security-Policy and to names that change with content. It
// holds in a fresh clone too, where nothing is built yet.
func TestEmbedded(t *testing.T) {
	inline := regexp.MustCompile(`(?is)<script[^>]*>\s*[^<\s]|<style|\son[a-z]+=|\sstyle=|javascript:`)
	remote := regexp.MustCompile(`(?i)(src|href)="(https?:)?//`)
	hashed := regexp.MustCompile(`^assets/[^/]+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)
	for name, f := range load(built("site")).files {
		switch {
		case strings.HasSuffix(name, ".html"):
			if m := inline.Find(f.plain); m != nil {
				t.Errorf("%s: %q is inline: the Content-Security-Policy forbids it", name, m)
			}
			if m := remote.Find(f.plain); m != nil {
				t.Errorf("%s: %q loads from elsewhere", name, m)
			}
		case !hashed.MatchString(name):
			t.Errorf("%s: the name has no content hash, yet caches keep it for ever", name)
		}
	}
}

// TestRegister mounts what is embedded: both pages answer, or say that they are not built.
func TestRegister(t *testing.T) {
	mux := http.NewServeMux()
	hosts := []string{"shop.example.com", "*.cdn.example.com"}
	Register(mux, func() []string { return hosts }, nil)
	for _, target := range []string{"/", "/watch/a", "/studio/a", "/publish/a"} {
		r := get(mux, target)
		if built := r.StatusCode == http.StatusOK; !built && r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", target, r.StatusCode)
		}
	}
	if r := get(mux, "/sdk/pushcart-cards.js"); r.StatusCode != http.StatusOK && r.StatusCode != http.StatusNotFound {
		t.Errorf("SDK: status %d", r.StatusCode)
	}
	for _, tt := range []struct {
		hosts []string
		want  string
	}{
		{hosts, "; img-src 'self' data: https://shop.example.com https://*.cdn.example.com; "},
		{nil, "; img-src 'self' data:; "},
		{[]string{"*"}, "; img-src 'self' data: https:; "},
	} {
		hosts = tt.hosts
		r := get(mux, "/watch/a")
		if policy := r.Header.Get("Content-Security-Policy"); r.StatusCode == http.StatusOK && !strings.Contains(policy, tt.want) {
			t.Errorf("with %q: policy %s", tt.hosts, policy)
		}
		if policy := contentPolicy(tt.hosts); !strings.Contains(policy, tt.want) {
			t.Errorf("with %q: policy %s", tt.hosts, policy)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("gzip;q=0.5, *", `W/"abc", "def"`)
	f.Add(";;q=", "*")
	s := pages(tree())
	f.Fuzz(func(t *testing.T, encoding, tags string) {
		r := get(s, "/watch/a", "Accept-Encoding", encoding, "If-None-Match", tags)
		if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusNotModified {
			t.Errorf("status %d", r.StatusCode)
		}
	})
}
