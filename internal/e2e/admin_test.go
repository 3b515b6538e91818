package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"pushcart/internal/testkit"
)

// TestMetricsKeepToTheConventions scrapes a node that has done a bit of everything.
func TestMetricsKeepToTheConventions(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, guarded)
	p := testkit.Publish(t, n.RTMP(), "show?key=show-secret-1")
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 3*time.Second)
	refused := testkit.Dial(t, n.RTMP(), nil)
	refused.Open("show?key=wrong-secret")
	refused.Ended()
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	l := reached(v, "video", 2500*time.Millisecond)
	v.Fetch(l.Segments[0].URI, http.StatusOK)
	v.Fetch("nothing.m3u8", http.StatusNotFound)

	status, header, body, err := testkit.Get(t.Context(), http.DefaultClient, n.Admin()+"/metrics")
	if err != nil || status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %v, %v", status, header, err)
	}
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range problems {
		t.Errorf("%s: %s", x.Metric, x.Text)
	}
	for name := range testkit.Scrape(t, n.Admin()) {
		if !strings.HasPrefix(name, "pushcart_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("metric %s has no prefix of ours", name)
		}
	}
	m := testkit.Scrape(t, n.Admin())
	for _, c := range []struct {
		name   string
		labels []string
		least  float64
	}{
		{"pushcart_streams", []string{"state", "live"}, 1},
		{"pushcart_ingest_publishers", []string{"protocol", "rtmp"}, 1},
		{"pushcart_ingest_sessions_total", nil, 1},
		{"pushcart_ingest_refusals_total", []string{"reason", "bad_key"}, 1},
		{"pushcart_rtmp_open_connections", nil, 1},
		{"pushcart_rtmp_bytes_received_total", nil, 10000},
		{"pushcart_packager_parts_total", nil, 10},
		{"pushcart_hls_requests_total", nil, 3},
		{"pushcart_window_bytes", nil, 10000},
		{"pushcart_build_info", []string{"version", "test"}, 1},
		{"pushcart_http_connections", nil, 1},
	} {
		if got := m.Value(c.name, c.labels...); got < c.least {
			t.Errorf("%s%v is %v, want %v at least", c.name, c.labels, got, c.least)
		}
	}
}

// TestHealth asks as a container's health check and a load balancer do.
func TestHealth(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	testkit.Eventually(t, "the node is ready", func() bool {
		status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.Admin()+"/readyz")
		return err == nil && status == http.StatusOK
	})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 200, "/nothing": 404} {
		if status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.Admin()+path); err != nil || status != want {
			t.Errorf("admin %s: status %d, want %d: %v", path, status, want, err)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/healthz"} {
		if status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+path); err != nil || status != http.StatusNotFound {
			t.Errorf("the viewers' side answers %s with %d: %v", path, status, err)
		}
	}
}
