package route

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"pushcart/relay"
)

func options(f *fake) ClusterOptions {
	return ClusterOptions{
		Directory: f,
		Now:       func() time.Time { return testNow },
		Certificate: func(node string) (time.Time, bool) {
			return testNow.Add(200 * 24 * time.Hour), node == "eu-1"
		},
		Throughput: func(node, stream string) (float64, bool) { return 750_000, node == "us-2" && stream == "show" },
	}
}

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/cluster", nil))
	return w
}

func TestClusterJSON(t *testing.T) {
	t.Parallel()
	f := world()
	f.entries = append(f.entries, relay.Entry{Stream: "another", Origin: "gone", Region: "eu", Gen: 5, Regions: []string{"eu"}, Standby: true})
	w := get(JSON(options(f)))
	var c Cluster
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Nodes) != 5 || c.Self != "eu-1" || !c.Directory.Healthy || !c.At.Equal(testNow) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s", w.Body)
	}
	n := c.Nodes[1] // eu-1, by name behind asia-1
	if n.Name != "eu-1" || !n.Self || n.Uptime != 3*3600 || n.SeenAgo != 0 || n.CertificateDays == nil || *n.CertificateDays != 200 || n.Holds != 1 {
		t.Errorf("this node is %+v", n)
	}
	if n := c.Nodes[0]; n.SeenAgo != 1 || n.CertificateDays != nil || n.Self {
		t.Errorf("another node is %+v", n)
	}
	if fmt.Sprintf("%+v", c.Streams) != "[{Stream:another Origin:gone Region:eu Gen:5 Live:false Standby:true OriginLost:true Regions:[] Allowed:[eu] Holders:0} "+
		"{Stream:show Origin:eu-1 Region:eu Gen:1700000000000 Live:true Standby:false OriginLost:false Regions:[eu us] Allowed:[] Holders:2}]" {
		t.Errorf("streams are %+v", c.Streams)
	}
	if len(c.Links) != 1 || c.Links[0].From != "eu-1" || c.Links[0].To != "us-2" || c.Links[0].LagMS != 87 || c.Links[0].Rate == nil || *c.Links[0].Rate != 750_000 {
		t.Errorf("links are %+v", c.Links)
	}
	for _, secret := range []string{"secret", "credential"} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("it tells %q", secret)
		}
	}
}

// text is a page's text without its marks.
func text(page string) string {
	page = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(html.UnescapeString(page)), " ")
}

func TestClusterPage(t *testing.T) {
	t.Parallel()
	f := world()
	f.peers[0].Seen = testNow.Add(-4 * time.Second)
	f.peers[1].Load.Full = true
	w := get(Page(options(f)))
	got := text(w.Body.String())
	for _, want := range []string{
		"Pushcart cluster: 5 nodes, 1 streams", "As eu-1 sees it, 2026-11-21 20:00:00 UTC", "Directory: well for 1 h 0 min",
		"eu-1 eu this node 1.00 7 2 1 200 days left 3 h 0 min 1.2.3", "asia-1 asia 4 s ago 0.10 7 2 0 – 3 h 0 min 1.2.3", "eu-2 full eu",
		"show eu-1 live eu, us 2 all regions eu 1700000000000", "show eu-1 us-2 87 ms 42.3 6.00 Mbit/s 1700000000000",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page has no %q:\n%s", want, got)
		}
	}
	body := w.Body.String()
	if !strings.Contains(body, `<meta http-equiv="refresh" content="2">`) || !strings.Contains(body, "width=device-width") || !strings.Contains(body, `<span class="bad">4 s ago`) {
		t.Error("the page is not fetched again, not for phones, or does not mark a node that was last heard of 4 s ago")
	}
	// The style has to be, byte for byte, what the policy allows.
	if style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body); style == nil || style[1] != pageStyle || strings.Contains(body, "style=") || strings.Contains(body, "<script") {
		t.Error("the page has a style that its policy forbids, or a script")
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "style-src 'sha256-") {
		t.Errorf("the policy is %q", policy)
	}

	f.healthy, f.entries, f.peers = false, nil, nil
	if got := text(get(Page(options(f))).Body.String()); !strings.Contains(got, "Directory: cannot be reached") || !strings.Contains(got, "Streams none Copies none") {
		t.Errorf("alone:\n%s", got)
	}
}

// TestClusterHostile: what nodes say of themselves is shown as text, numbers that are none as 0, and lists end.
func TestClusterHostile(t *testing.T) {
	t.Parallel()
	f := world()
	evil := `<script>alert(1)</script>"'&`
	f.peers[0].Name, f.peers[0].Region, f.peers[0].Version = evil, evil, evil
	f.peers[0].Load.CPU = math.NaN()
	f.peers[0].Streams = []relay.Held{{Stream: evil, From: evil, Lag: math.Inf(1)}}
	f.entries = append(f.entries, relay.Entry{Stream: evil, Origin: evil, Region: evil, Regions: []string{evil}})
	for i := range maxStreams {
		f.entries = append(f.entries, relay.Entry{Stream: fmt.Sprint("s", i)})
	}
	for i := range maxLinks {
		f.peers[1].Streams = append(f.peers[1].Streams, relay.Held{Stream: fmt.Sprint("s", i), From: "eu-1"})
	}
	for i := range maxNodes {
		f.peers = append(f.peers, relay.Peer{Name: fmt.Sprint("n", i)})
	}
	w := get(Page(options(f)))
	if body := w.Body.String(); strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script&gt;") || !strings.HasSuffix(body, "</html>\n") {
		t.Error("the page has a node's markup in it, or not its text, or ends early")
	}
	if got := text(w.Body.String()); !strings.Contains(got, "and 5 more") || !strings.Contains(got, "and 2 more") {
		t.Error("the page does not say what it leaves out")
	}
	w = get(JSON(options(f)))
	var c Cluster
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || len(c.Nodes) != maxNodes || len(c.Streams) != maxStreams || len(c.Links) != maxLinks ||
		c.MoreNodes != 5 || c.MoreStreams != 2 || c.MoreLinks != 2 {
		t.Errorf("%v: %d nodes, %d streams, %d links; %d, %d, %d more", err, len(c.Nodes), len(c.Streams), len(c.Links), c.MoreNodes, c.MoreStreams, c.MoreLinks)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{0: "0 s", 59.4: "59 s", 60: "1 min", 3599: "59 min", 3600: "1 h 0 min", 86400: "24 h 0 min", 172800: "2 d"} {
		if got := span(seconds); got != want {
			t.Errorf("%v s is %q, want %q", seconds, got, want)
		}
	}
}
