package node_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// whole starts a node with everything that has metrics: a cluster's, with a ladder, webhooks and traces. Nobody takes the latter.
func whole(t *testing.T) *testkit.Node {
	t.Helper()
	cert := testkit.NewCertificate(t, "testkit")
	return fleetOf(t, func(c *config.Config) {
		c.TLS.Certificate, c.TLS.Key, c.HTTP.TLSAddress = cert.CertFile, cert.KeyFile, "127.0.0.1:0"
		c.RTSP.Address, c.RTSP.UDPAddress, c.SRT.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		c.WHIP.UDPAddress, c.WHIP.TCPAddress = "127.0.0.1:0", "127.0.0.1:0"
		c.Ladder.FFmpeg, c.Ladder.Encoders = "ffmpeg", []string{"cpu"}
		c.Tracing.Endpoint, c.Tracing.Sample = "http://127.0.0.1:1", 100
		c.Webhooks.Targets = []config.WebhookTarget{{URL: "http://127.0.0.1:1/hook", Secret: "a-secret-of-the-test-with-32-chars"}}
		c.Publish.ReconnectWindow = config.Duration(time.Second)
	}, "a")["a"]
}

// scrape gets /metrics in a format.
func scrape(t *testing.T, n *testkit.Node, accept string) (body []byte, kind string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", n.Admin()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return b.Bytes(), response.Header.Get("Content-Type")
}

// promtool runs Prometheus' own checks, with an input or none.
func promtool(t *testing.T, input []byte, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v (it is in the package prometheus: make deps-test)\n%s", strings.Join(args, " "), err, out)
	}
}

// TestMetricNames: what a node that was used exports keeps Prometheus' and OpenMetrics' rules, in both formats.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	n := whole(t)
	_, stop := air(t, n, firstKey)
	defer stop()
	put(t, n, "lamp")
	v := goesOn(t, n, "parts")
	if v == nil {
		t.Fatal("no playlist")
	}

	plain, kind := scrape(t, n, "text/plain")
	if !strings.HasPrefix(kind, "text/plain") {
		t.Error(kind)
	}
	promtool(t, plain, "check", "metrics")
	open, kind := scrape(t, n, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text") || !bytes.HasSuffix(open, []byte("\n# EOF\n")) {
		t.Errorf("%s, and it ends %q", kind, open[max(0, len(open)-20):])
	}
	// OpenMetrics 1.0 "MetricFamily": one name, one type; a counter's samples have _total, which the name has not.
	types, lines := map[string]string{}, bufio.NewScanner(bytes.NewReader(open))
	family := ""
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 3 && fields[1] == "TYPE":
			if types[fields[2]] != "" {
				t.Errorf("%s is a %s and a %s", fields[2], types[fields[2]], fields[3])
			}
			types[fields[2]] = fields[3]
		case len(fields) > 2 && fields[0] == "#":
			family = fields[2]
		case len(fields) > 1 && fields[0] != "#":
			name, _, _ := strings.Cut(fields[0], "{")
			if !strings.HasPrefix(name, family) {
				t.Errorf("%s stands among the samples of %s", name, family)
			}
		}
	}
	for name, labels := range n.Described() {
		if !ours.MatchString(name) {
			continue
		}
		bare, counts := strings.CutSuffix(name, "_total")
		if types[bare] == "gauge" && counts {
			t.Errorf("%s is a gauge, and %s a counter", bare, name)
		}
		if unitless.MatchString(name) {
			t.Errorf("%s: use base units (seconds, bytes) and plain words", name)
		}
		if slices.Contains(labels, "remote") || slices.Contains(labels, "address") || slices.Contains(labels, "conn") || slices.Contains(labels, "agent") {
			t.Errorf("%s: labels %q have no bounds", name, labels)
		}
	}
	if len(types) < 150 {
		t.Errorf("only %d families: something is not registered", len(types))
	}
}

var (
	ours     = regexp.MustCompile(`^pushcart_`)
	unitless = regexp.MustCompile(`(_ms|_millis|_milliseconds|_minutes|_hours|_days|_days_left|_kb|_mb|_kilobytes|_megabytes|_bits|_bps|_percent|_count|_sum|_bucket|[A-Z]|__)(_total)?$`)
)

// TestStreamMetrics: a stream's series say what goes on, and go with the stream; a card's way into the media is measured.
func TestStreamMetrics(t *testing.T) {
	t.Parallel()
	n := whole(t)
	src, stop := air(t, n, firstKey)
	put(t, n, "lamp")
	goesOn(t, n, "parts")
	if status, body := clientOf(t, n).ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, operatorsToken); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	testkit.Eventually(t, "the card is in the media", func() bool {
		return histogram(testkit.Scrape(t, n.Admin()), "pushcart_packager_card_delay_seconds") > 0
	})
	var m testkit.Metrics
	testkit.Eventually(t, "the publisher's rate is known", func() bool { // it is not until some of the media has passed
		m = testkit.Scrape(t, n.Admin())
		return m.Value("pushcart_stream_received_bytes_per_second") > 0
	})
	for name, want := range map[string]float64{
		"pushcart_stream_live": 1, "pushcart_stream_origin": 1, "pushcart_stream_away_seconds": 0, "pushcart_stream_reconnects_total": 0,
		"pushcart_window_numbers_back_total": 0, "pushcart_ready": 1, "pushcart_config_refused": 0, "pushcart_stream_clock_offset_seconds": 0,
	} {
		if m[name] == nil || m.Value(name) != want {
			t.Errorf("%s is %v, want %v", name, m.Value(name), want)
		}
	}
	for _, name := range []string{"pushcart_stream_viewers", "pushcart_stream_window_bytes", "pushcart_hls_rendered_playlists_total"} {
		if m.Value(name) <= 0 {
			t.Errorf("%s is %v", name, m.Value(name))
		}
	}
	if age := m.Value("pushcart_stream_part_age_seconds"); m["pushcart_stream_part_age_seconds"] == nil || age < 0 || age > 10 {
		t.Errorf("the newest part is %v s old", age)
	}
	for _, name := range []string{"pushcart_packager_part_delay_seconds", "pushcart_hls_wake_seconds", "pushcart_cards_journal_sync_seconds"} {
		if histogram(m, name) == 0 {
			t.Errorf("%s has no observation", name)
		}
	}
	stop()
	if s, ok := src.(interface{ Leave() }); ok {
		s.Leave()
	}
	testkit.EventuallyWithin(t, 20*time.Second, "the stream's series are gone", func() bool {
		m = testkit.Scrape(t, n.Admin())
		for name := range m {
			if strings.HasPrefix(name, "pushcart_stream_") {
				return false
			}
		}
		return true
	})
	if m.Value("pushcart_streams_ended_total", "how", "ended") != 1 || m.Value("pushcart_packager_queued_frames") != 0 {
		t.Errorf("%v streams ended, %v frames wait", m.Value("pushcart_streams_ended_total"), m.Value("pushcart_packager_queued_frames"))
	}
}

// TestReconnectIsCounted: a publisher that comes back, and how long it was away.
func TestReconnectIsCounted(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	begin := func() *testkit.Publisher {
		p := testkit.Publish(t, n.RTMP(), "show")
		p.Configure(0, testkit.Sound(t))
		return p
	}
	begin().Drop()
	testkit.Eventually(t, "it is away", func() bool {
		m := testkit.Scrape(t, n.Admin())
		return m.Value("pushcart_streams", "state", "waiting") == 1 && m.Value("pushcart_stream_live") == 0 && m["pushcart_stream_live"] != nil
	})
	p := begin()
	testkit.Eventually(t, "it is back", func() bool {
		m := testkit.Scrape(t, n.Admin())
		return m.Value("pushcart_ingest_reconnects_total") == 1 && histogram(m, "pushcart_ingest_absence_seconds") == 1 &&
			m.Value("pushcart_stream_reconnects_total", "stream", "show") == 1
	})
	p.Leave()
}

// TestReloadsAreCounted: by what came of them.
func TestReloadsAreCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	with := func(change func(*config.Config)) *config.Config {
		return testkit.Config(func(c *config.Config) { c.Data.Directory = dir; change(c) })
	}
	n := testkit.Start(t, func(c *config.Config) { c.Data.Directory = dir })
	n.Reload(with(func(c *config.Config) {}))
	n.ReloadRefused()
	expect := func(applied, unchanged, refused, now float64) {
		t.Helper()
		m := testkit.Scrape(t, n.Admin())
		const name = "pushcart_config_reloads_total"
		if m.Value(name, "result", "applied") != applied || m.Value(name, "result", "unchanged") != unchanged ||
			m.Value(name, "result", "refused") != refused || m.Value("pushcart_config_refused") != now {
			t.Errorf("%v, and refused is %v", m[name], m.Value("pushcart_config_refused"))
		}
	}
	expect(0, 1, 1, 1)
	n.Reload(with(func(c *config.Config) { c.HLS.DVR += config.Duration(time.Minute) }))
	expect(1, 1, 1, 0)
	n.Reload(with(func(c *config.Config) { c.Studio.Tokens = []config.Token{{Stream: "", Token: "x"}} }))
	expect(1, 1, 2, 1)
}

// histogram is how many observations one has.
func histogram(m testkit.Metrics, name string) uint64 {
	n := uint64(0)
	for _, one := range m[name].GetMetric() {
		n += one.GetHistogram().GetSampleCount()
	}
	return n
}
