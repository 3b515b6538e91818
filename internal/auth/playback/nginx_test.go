package playback

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNginx runs configs/cdn/nginx-signed.conf in front of a node's gate: viewers with tokens of their own share what is in the cache,
// nobody has it without one, and the node is asked for few verdicts.
func TestNginx(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Fatalf("%v: make deps-test installs what tests need", err)
	}
	p := mustPolicy(t, []string{"open"}, Key{"k1", secretOne})
	var fetched, asked atomic.Int64
	gate := New(Options{
		Policy:  func() *Policy { return p },
		Trusted: func(r *http.Request) bool { return r.Header.Get("Pushcart-CDN") == "the-secret" },
		Address: func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") },
	})
	verify := gate.Verify()
	media := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		fmt.Fprint(w, r.URL.Path)
	}))
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == VerifyPath {
			asked.Add(1)
			verify.ServeHTTP(w, r)
			return
		}
		media.ServeHTTP(w, r)
	}))
	t.Cleanup(node.Close)
	base := nginx(t, strings.TrimPrefix(node.URL, "http://"))

	sign := func(token Token) string { return Prefix + mustSign(t, p.Keys(), token) }
	late := time.Now().Add(time.Hour)
	one, two := sign(Token{Stream: "ab", Expires: late}), sign(Token{Stream: "ab", Expires: late.Add(time.Second)})
	expired, limited := sign(Token{Stream: "ab", Expires: time.Now().Add(-time.Second)}), sign(Token{Stream: "ab", Expires: late, Viewers: 1})
	get := func(target, program string) (status int, body, cache, reason string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque, r.URL.RawQuery = target, "" // as it is written
		r.Header.Set("User-Agent", program)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text), res.Header.Get("X-Cache"), res.Header.Get(ReasonHeader)
	}
	for i, tt := range []struct {
		target, program string
		status          int
		body            string // of an answer, or the reason of a refusal
		cache           string
	}{
		{one + "/live/ab/video/1-2.m4s", "one", 200, "/live/ab/video/1-2.m4s", "MISS"},
		{one + "/live/ab/video/1-2.m4s", "one", 200, "/live/ab/video/1-2.m4s", "HIT"},
		{two + "/live/ab/video/1-2.m4s", "two", 200, "/live/ab/video/1-2.m4s", "HIT"},
		{one + "/live/ab/index.m3u8", "one", 200, "/live/ab/index.m3u8", "MISS"},
		{two + "/live/ab/index.m3u8", "two", 200, "/live/ab/index.m3u8", "HIT"},
		{"/live/ab/video/1-2.m4s", "one", 403, "missing", ""},
		{expired + "/live/ab/video/1-2.m4s", "one", 403, "expired", ""},
		{one + "x/live/ab/video/1-2.m4s", "one", 403, "malformed", ""},
		{one + "/live/abc/video/1-2.m4s", "one", 403, "wrong_stream", ""},
		{limited + "/live/ab/index.m3u8", "one", 200, "/live/ab/index.m3u8", "HIT"},
		{limited + "/live/ab/index.m3u8", "two", 403, "too_many_viewers", ""},
		{limited + "/live/ab/video/1-2.m4s", "one", 200, "/live/ab/video/1-2.m4s", "HIT"},
		{"/live/open/index.m3u8", "one", 200, "/live/open/index.m3u8", "MISS"},
		{"/watch/ab", "one", 200, "/watch/ab", "MISS"},
		{one + "/watch/ab", "one", 200, "/watch/ab", "MISS"},
		// What nginx resolves: it is never what somebody gets without a token for it.
		{"/live/open/../ab/video/1-2.m4s", "one", 403, "wrong_path", ""},
		{"/watch/../live/ab/video/1-2.m4s", "one", 403, "wrong_path", ""},
		{"/assets/%2e%2e/live/ab/video/1-2.m4s", "one", 403, "wrong_path", ""},
		{one + "/../../live/ab/video/1-2.m4s", "one", 403, "wrong_path", ""},
		{"/api/../live/ab/video/1-2.m4s", "one", 403, "wrong_path", ""},
	} {
		status, body, cache, reason := get(tt.target, tt.program)
		if status != 200 {
			body = reason
		}
		if status != tt.status || body != tt.body || cache != tt.cache {
			t.Errorf("%d: %s as %s: %d %q %q, want %d %q %q", i+1, tt.target, tt.program, status, body, cache, tt.status, tt.body, tt.cache)
		}
	}
	// The API is passed on to the node, which resolves nothing.
	if status, body, _, _ := get("/api/v1/../../live/ab/video/1-2.m4s", "one"); status == 200 && !strings.HasPrefix(body, "/api/") {
		t.Errorf("media by way of the API: %d %s", status, body)
	}
	before := asked.Load()
	for i := range 20 {
		if status, _, _, _ := get(fmt.Sprintf("%s/live/ab/video/1-2.m4s?%d", one, i), "one"); status != 200 {
			t.Errorf("a part: %d", status)
		}
	}
	// One more when the five seconds end in the middle of it.
	if n := asked.Load() - before; n > 2 {
		t.Errorf("the node was asked for %d verdicts for 20 parts of one viewer", n)
	}
}

// nginx runs the configuration in front of a node, and returns its address.
func nginx(t *testing.T, node string) string {
	t.Helper()
	const configs = "../../../configs/cdn"
	text, err := os.ReadFile(filepath.Join(configs, "nginx-signed.conf"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	conf := strings.NewReplacer("/tmp/nginx", filepath.Join(dir, "nginx"), "listen 8080;", "listen "+address+";", "worker_processes auto;", "worker_processes 1;").Replace(string(text))
	for name, content := range map[string]string{
		"nginx.conf":   conf,
		"origins.conf": "upstream origins { server " + node + "; keepalive 4; }\nupstream elsewhere { server " + node + "; }\n",
		"secret.conf":  `map "" $cdn_secret { default "the-secret"; }` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"), "-g", "daemon off; master_process off;"} // as whoever runs the test, to whom the folder belongs
	if out, err := exec.CommandContext(t.Context(), "nginx", append([]string{"-t"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "nginx", args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	var log strings.Builder
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was told to end
		if t.Failed() {
			t.Logf("nginx:\n%.6000s", log.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not listen")
		}
		time.Sleep(10 * time.Millisecond) // until it does
	}
}
