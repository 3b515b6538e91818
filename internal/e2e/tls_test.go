package e2e

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// secured adds TLS listeners to a configuration.
func secured(cert *testkit.Certificate) func(*config.Config) {
	return func(c *config.Config) {
		quick(c)
		c.RTMP.TLSAddress, c.HTTP.TLSAddress = "127.0.0.1:0", "127.0.0.1:0"
		c.TLS.Certificate, c.TLS.Key = cert.CertFile, cert.KeyFile
	}
}

// TestEverythingOverTLS publishes over RTMPS and plays over HTTPS with HTTP/1.1 and HTTP/2.
func TestEverythingOverTLS(t *testing.T) {
	t.Parallel()
	cert := testkit.NewCertificate(t, "first")
	n := testkit.Start(t, secured(cert))
	p := testkit.Dial(t, n.Address("rtmps").String(), cert.Trust(t))
	if s := p.Open("show"); s.Code != "NetStream.Publish.Start" {
		t.Fatalf("publish over RTMPS: %+v", s)
	}
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 3*time.Second)
	if s := stream(t, n, "show"); s.Protocol != "rtmps" {
		t.Errorf("the API says %s", s.Protocol)
	}
	master := "https://" + n.Address("https").String() + "/live/show/index.m3u8"
	for _, major := range []int{1, 2} {
		v := testkit.NewViewer(t, master)
		v.Client = client(t, cert.Trust(t), major, false)
		v.Join()
		l := reached(v, "video", 2500*time.Millisecond)
		if got := majorOf(t, v.Client, master); got != major {
			t.Errorf("HTTP/%d was spoken, want HTTP/%d", got, major)
		}
		v.Fetch(l.Segments[0].URI, http.StatusOK)
	}
	// Plain RTMP on the RTMPS port and the other way round ends without harm.
	testkit.WantClosedAfter(t, n.Address("rtmps").String(), "\x03")
	testkit.WantClosedAfter(t, n.Address("rtmp").String(), "\x16\x03\x01")
	p.Leave()
}

// TestHTTP2InClearText speaks h2c with prior knowledge, as proxies do.
func TestHTTP2InClearText(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, quick)
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Client = client(t, nil, 2, true)
	v.Join()
	l := reached(v, "video", 2900*time.Millisecond) // all of it, so that nothing more comes by itself
	v.Fetch(l.Segments[0].URI, http.StatusOK)
	if got := majorOf(t, v.Client, n.Master("show")); got != 2 {
		t.Errorf("HTTP/%d was spoken", got)
	}
	// A hundred waits on one connection, as of a proxy, are all answered by the next part.
	msn, part := l.Next()
	answers := make(chan error, 100)
	for range 100 {
		go func() {
			status, _, body, err := testkit.Get(t.Context(), v.Client, blockingURL(n, "video", msn, part))
			if err == nil && (status != http.StatusOK || !strings.Contains(string(body), "#EXT-X-PART:")) {
				err = errStatus(status)
			}
			answers <- err
		}()
	}
	testkit.Eventually(t, "all requests wait", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_hls_waiting_requests") == 100
	})
	if err := p.Play(t.Context(), testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), From: 3 * time.Second, To: 4 * time.Second}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := <-answers; err != nil {
			t.Errorf("a waiting request: %v", err)
		}
	}
}

// TestCertificateIsReplaced has the certificate renewed under a running node: new connections get the new one, streams go on.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	cert := testkit.NewCertificate(t, "first")
	n := testkit.Start(t, secured(cert))
	p := testkit.Dial(t, n.Address("rtmps").String(), cert.Trust(t))
	p.Open("show")
	https := n.Address("https").String()
	if name := testkit.Served(t, https); name != "first" {
		t.Errorf("certificate %q is served", name)
	}
	cert.Renew(t, "second")
	testkit.Eventually(t, "the new certificate is served", func() bool { return testkit.Served(t, https) == "second" })
	if name := testkit.Served(t, n.Address("rtmps").String()); name != "second" {
		t.Errorf("certificate %q is served to publishers", name)
	}
	// Files that cannot be used change nothing.
	testkit.Overwrite(t, cert.CertFile, "nonsense")
	testkit.Eventually(t, "the file that cannot be used is noticed", func() bool {
		if name := testkit.Served(t, https); name != "second" {
			t.Errorf("after a file that cannot be used, certificate %q is served", name)
		}
		return n.Log.Has("TLS certificate cannot be used", "the old one stays")
	})
	burst(t, p, testkit.Pictures(t), nil, 0, 2*time.Second)
	p.Leave()
}

// client makes a client for one version of HTTP.
func client(t *testing.T, secure *tls.Config, major int, clear bool) *http.Client {
	tr := &http.Transport{DisableCompression: true, TLSClientConfig: secure, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(major == 1)
	tr.Protocols.SetHTTP2(major == 2 && !clear)
	tr.Protocols.SetUnencryptedHTTP2(major == 2 && clear)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func majorOf(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.ProtoMajor
}
