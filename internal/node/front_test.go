package node_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// edgeAsk sends a request with headers and returns the answer, whose body is closed.
func edgeAsk(t *testing.T, c *http.Client, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestEdge: what stands in front of viewers is in force on both listeners, changes with the configuration, and is counted.
func TestEdge(t *testing.T) {
	t.Parallel()
	const shop, other = "https://shop.example.com", "https://other.example.com"
	change := func(c *config.Config) {
		testkit.WithTLS(t, c)
		c.HTTP.TLSAddress, c.RTSP.TLSAddress = "127.0.0.1:0", ""
		c.HTTP.HSTS = config.Duration(time.Hour)
		c.HTTP.AllowedOrigins = []string{shop, "https://*.shop.example"}
		c.HTTP.TrustedProxies = []string{"127.0.0.1"}
		c.HTTP.MaxConnectionsPerAddress = 50
		c.Studio.Tokens = []config.Token{{Stream: "show", Token: "operators-long-token"}}
	}
	n := testkit.Start(t, change)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	secure := "https://" + n.Address("https").String()

	for _, base := range []string{n.HTTP(), secure} {
		for _, path := range []string{"/live/nothing/index.m3u8", "/live/nothing/poster.jpg", "/live/nothing/cards/a/1.json", "/api/openapi.yaml", "/api/v1/streams"} {
			res, _ := edgeAsk(t, client, "GET", base+path, "Origin", shop)
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != shop || !strings.Contains(strings.Join(res.Header["Vary"], ","), "Origin") {
				t.Errorf("%s%s: %q, %v", base, path, got, res.Header["Vary"])
			}
			if res, _ := edgeAsk(t, client, "GET", base+path, "Origin", other); res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s%s is open to another site", base, path)
			}
		}
		res, _ := edgeAsk(t, client, "GET", base+"/nothing")
		if res.StatusCode != 404 || res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", base, res.StatusCode, res.Header)
		}
		if got := res.Header.Get("Strict-Transport-Security"); (got == "max-age=3600") != (base == secure) {
			t.Errorf("%s: HSTS %q", base, got)
		}
	}
	if res, _ := edgeAsk(t, client, "GET", n.HTTP()+"/nothing", "X-Forwarded-Proto", "https"); res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS through the proxy")
	}
	// Wrong tokens are the viewer's, not the proxy's.
	guess := func(from string) int {
		res, _ := edgeAsk(t, client, "GET", n.HTTP()+"/api/v1/streams/show/cards", "Authorization", "Bearer wrong-token-of-some-length", "X-Forwarded-For", from)
		return res.StatusCode
	}
	blocked := false
	for range 40 {
		blocked = blocked || guess("198.51.100.7") == http.StatusTooManyRequests
	}
	if !blocked || guess("198.51.100.8") != http.StatusUnauthorized {
		t.Errorf("guessing from one address is turned away: %v; from another: %d", blocked, guess("198.51.100.8"))
	}
	if res, _ := edgeAsk(t, client, "GET", n.Admin()+"/nothing"); !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("the operator's side: %v", res.Header)
	}
	metrics := testkit.Scrape(t, n.Admin())
	if metrics.Value("pushcart_http_connections") < 2 {
		t.Error("connections are not counted")
	}
	if left := metrics.Value("pushcart_tls_certificate_expiry_seconds", "source", "file"); left <= 0 {
		t.Errorf("the certificate is valid for %v s", left)
	}

	c := testkit.Config(change)
	c.HTTP.AllowedOrigins, c.HTTP.HSTS = []string{"*"}, 0
	n.Reload(c)
	res, _ := edgeAsk(t, client, "GET", secure+"/live/nothing/index.m3u8", "Origin", other)
	if res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("behind a reload: %v", res.Header)
	}
	if res, _ := edgeAsk(t, client, "GET", secure+"/nothing"); res.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("behind a reload: %v", res.Header)
	}
}

// TestNoAuthority: a node starts without the authority that is to give its certificate, says so, and ends in order.
func TestNoAuthority(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) {
		c.HTTP.TLSAddress = "127.0.0.1:0"
		c.HTTP.HSTS = config.Duration(time.Hour)
		c.ACME = config.ACME{Domains: []string{"edge.example"}, Agree: true, Directory: "https://127.0.0.1:1/directory", HTTPAddress: "127.0.0.1:0"}
	})
	if _, err := tls.Dial("tcp", n.Address("https").String(), &tls.Config{ServerName: "edge.example"}); err == nil {
		t.Error("there is a certificate from nowhere")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	res, _ := edgeAsk(t, client, "GET", "http://"+n.Address("acme").String()+"/watch/show")
	if at := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || at != "https://"+n.Address("https").String()+"/watch/show" {
		t.Errorf("%d to %q", res.StatusCode, at)
	}
	if res, _ := edgeAsk(t, client, "GET", "http://"+n.Address("acme").String()+"/.well-known/acme-challenge/xyz"); res.StatusCode == http.StatusOK {
		t.Error("a proof is given that nobody asked for")
	}
	deadline := time.Now().Add(10 * time.Second)
	for testkit.Scrape(t, n.Admin()).Value("pushcart_tls_certificate_failures_total", "source", "acme") < 1 {
		if time.Now().After(deadline) {
			t.Fatal("no failure is counted")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if testkit.Scrape(t, n.Admin()).Value("pushcart_tls_handshake_failures_total", "reason", "no_certificate") < 1 {
		t.Error("the handshake is not counted")
	}
}
