package front

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// open is a handler that opens what it has to all sites.
func open(vary string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Access-Control-Allow-Origin"] = []string{"*"}
		if vary != "" {
			h["Vary"] = []string{vary}
		}
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Range")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, "media")
	})
}

func fetch(f *Front, next http.Handler, method, origin string) http.Header {
	r := httptest.NewRequest(method, "/live/show/video/1.m4s", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	f.Handler(next).ServeHTTP(w, r)
	return w.Result().Header
}

// TestOrigins: which sites get what is open, and what caches are told of it.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const shop = "https://shop.example.com"
	for _, c := range []struct {
		allowed []string
		origin  string
		want    string
		vary    bool
	}{
		{nil, shop, "*", false},
		{[]string{"*"}, shop, "*", false},
		{[]string{shop, "*"}, "https://evil.example", "*", false},
		{[]string{"*"}, "", "*", false},
		// One site: the same for everybody, so that caches keep one copy.
		{[]string{shop}, shop, shop, false},
		{[]string{shop}, "https://evil.example", shop, false},
		{[]string{shop}, "", shop, false},
		{[]string{"HTTPS://Shop.Example.com:443"}, shop, shop, false},
		// Several.
		{[]string{shop, "http://localhost:3000"}, shop, shop, true},
		{[]string{shop, "http://localhost:3000"}, "http://localhost:3000", "http://localhost:3000", true},
		{[]string{shop, "http://localhost:3000"}, "http://localhost", "", true},
		{[]string{shop, "http://localhost:3000"}, "http://shop.example.com", "", true},
		{[]string{shop, "http://localhost:3000"}, shop + ".evil.example", "", true},
		{[]string{shop, "http://localhost:3000"}, "null", "", true},
		{[]string{shop, "http://localhost:3000"}, "", "", true},
		// Below a domain.
		{[]string{"https://*.example.com"}, shop, shop, true},
		{[]string{"https://*.example.com"}, "https://a.b.example.com", "https://a.b.example.com", true},
		{[]string{"https://*.example.com"}, "https://example.com", "", true},
		{[]string{"https://*.example.com"}, "https://.example.com", "", true},
		{[]string{"https://*.example.com"}, "http://shop.example.com", "", true},
		{[]string{"https://*.example.com"}, "https://evilexample.com", "", true},
		{[]string{"https://*.example.com"}, "https://evil.test/.example.com", "", true},
		{[]string{"https://*.example.com"}, "https://evil.test:1.example.com", "", true},
		{[]string{"https://*.example.com"}, "https://u@x.example.com", "", true},
		{[]string{"https://*.example.com"}, shop + ":8443", "", true},
		{[]string{"https://*.example.com:8443"}, shop + ":8443", shop + ":8443", true},
	} {
		f := start(t, Settings{AllowedOrigins: c.allowed})
		for _, method := range []string{"GET", "OPTIONS"} {
			h := fetch(f, open(""), method, c.origin)
			if got := h.Get("Access-Control-Allow-Origin"); got != c.want || (h.Get("Vary") == "Origin") != c.vary {
				t.Errorf("%v, %s from %q: %q, Vary %q", c.allowed, method, c.origin, got, h.Get("Vary"))
			}
			if got := h.Get("Access-Control-Allow-Methods"); (got != "") != (method == "OPTIONS" && c.want != "") {
				t.Errorf("%v, %s from %q: methods %q", c.allowed, method, c.origin, got)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are let in")
			}
		}
	}
}

// TestOriginsVary: what varies already goes on to.
func TestOriginsVary(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{AllowedOrigins: []string{"https://a.example", "https://b.example"}})
	for given, want := range map[string]string{"Accept-Encoding": "Accept-Encoding, Origin", "CF-IPCountry": "CF-IPCountry, Origin", "": "Origin"} {
		if got := strings.Join(fetch(f, open(given), "GET", "https://a.example")["Vary"], ", "); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

// TestOriginsClosed: what is open to no site stays so, and answers without a body are narrowed as well.
func TestOriginsClosed(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{AllowedOrigins: []string{"https://a.example", "https://b.example"}})
	h := fetch(f, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "token needed") }), "GET", "https://a.example")
	if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Vary") != "" {
		t.Errorf("%v", h)
	}
	silent := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Access-Control-Allow-Origin", "*") })
	if h := fetch(f, silent, "GET", "https://evil.example"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without a body: %v", h)
	}
	flushed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		c := http.NewResponseController(w)
		if err := c.Flush(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})
	if h := fetch(f, flushed, "GET", "https://evil.example"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("flushed: %v", h)
	}
	early := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusOK)
	})
	if h := fetch(f, early, "GET", "https://evil.example"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("behind early hints: %v", h)
	}
}

// TestValidOrigin: what can stand in the configuration.
func TestValidOrigin(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"*", "https://shop.example.com", "http://localhost:3000", "https://*.example.com", "https://[::1]:8443", "https://192.0.2.1"} {
		if err := ValidOrigin(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "null", "shop.example.com", "https://", "https://shop.example.com/", "ftp://shop.example.com", "https://*", "https://*.", "https://*.com",
		"https://a.*.example.com", "https://a b", "https://u@shop.example.com", "https://*example.com", "**", "https://shop.example.com?x", strings.Repeat("x", 1000),
	} {
		if err := ValidOrigin(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if len(err.Error()) > 300 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
	}
	f := start(t, Settings{AllowedOrigins: []string{"https://a.example", "https://b.example"}})
	if err := f.Configure(Settings{AllowedOrigins: []string{"nonsense"}}); err == nil || !strings.Contains(err.Error(), "http.allowed_origins") {
		t.Errorf("%v", err)
	}
	if got := fetch(f, open(""), "GET", "https://a.example").Get("Access-Control-Allow-Origin"); got != "https://a.example" {
		t.Errorf("the settings before are gone: %q", got)
	}
}

// TestPages: what everything that is no media has, and what handlers may say otherwise.
func TestPages(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /there", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'self'")
		fmt.Fprint(w, "page")
	})
	f := start(t, Settings{HSTS: 365 * 24 * time.Hour, TrustedProxies: networks("10.0.0.0/8")})
	h := f.Handler(f.Pages(mux))
	get := func(method, target, remote string, headers ...string) *http.Response {
		r := httptest.NewRequest(method, target, nil)
		r.RemoteAddr = remote
		with(headers...)(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for target, status := range map[string]int{"/nothing": 404, "/there": 405} {
		r := get("POST", target, "198.51.100.1:1")
		if r.StatusCode != status || r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") ||
			!strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %d %v", target, r.StatusCode, r.Header)
		}
	}
	if r := get("GET", "/there", "198.51.100.1:1"); r.Header.Get("Content-Security-Policy") != "script-src 'self'" {
		t.Errorf("the page's own policy is gone: %v", r.Header)
	}
	const year = "max-age=31536000"
	for _, c := range []struct{ target, remote, proto, want string }{
		{"http://live.example/there", "198.51.100.1:1", "", ""},
		{"https://live.example/there", "198.51.100.1:1", "", year},
		{"https://live.example/nothing", "198.51.100.1:1", "", year},
		{"http://live.example/there", "10.0.0.1:1", "https", year},
		{"http://live.example/there", "10.0.0.1:1", "http", ""},
		{"http://live.example/there", "198.51.100.1:1", "https", ""},
	} {
		if got := get("GET", c.target, c.remote, "X-Forwarded-Proto", c.proto).Header.Get("Strict-Transport-Security"); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if err := f.Configure(Settings{}); err != nil {
		t.Fatal(err)
	}
	if got := get("GET", "https://live.example/there", "198.51.100.1:1").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("switched off: %q", got)
	}
}

// TestToTLS: the port for certificates sends pages to TLS when HSTS is on, and only there.
func TestToTLS(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{HSTS: time.Hour})
	for _, c := range []struct {
		method, target, host string
		port, status         int
		at                   string
	}{
		{"GET", "/watch/show?a=b", "live.example", 443, 308, "https://live.example/watch/show?a=b"},
		{"HEAD", "/", "live.example:80", 8443, 308, "https://live.example:8443/"},
		{"GET", "/a%2Fb", "[2001:db8::1]:80", 443, 308, "https://[2001:db8::1]/a%2Fb"},
		{"GET", "//evil.example/x", "live.example", 443, 308, "https://live.example//evil.example/x"},
		{"POST", "/", "live.example", 443, 404, ""},
		{"GET", "/", "", 443, 404, ""},
		{"GET", "/", "evil.example/x?", 443, 404, ""},
		{"GET", "/", "u@evil.example", 443, 404, ""},
		{"GET", "/", "a\r\nb", 443, 404, ""},
		{"GET", "/", "[::1", 443, 404, ""},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL, _ = r.URL.Parse("http://x" + c.target)
		r.Host = c.host
		w := httptest.NewRecorder()
		f.ToTLS(c.port).ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Location") != c.at {
			t.Errorf("%+v: %d %q", c, w.Code, w.Header().Get("Location"))
		}
	}
	w := httptest.NewRecorder()
	start(t, Settings{}).ToTLS(443).ServeHTTP(w, httptest.NewRequest("GET", "http://live.example/", nil))
	if w.Code != 404 {
		t.Errorf("without HSTS: %d", w.Code)
	}
}
