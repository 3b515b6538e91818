package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
	"pushcart/relay/route"
)

// TestRegionsOnDemand is about which node has which stream when: a first viewer has it brought, a last one has it dropped, what is
// asked for by name is there before, what must not leave its region does not, a node that gives enough sends peers on, and viewers
// are told where to go.
func TestRegionsOnDemand(t *testing.T) {
	t.Parallel()
	const routing = `
routing:
  redirect: true
  countries:
    - {country: US, region: us}
    - {country: JP, region: ap}
    - {country: "*", region: eu}
`
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		Nodes: []testkit.ClusterMember{
			{Name: "eu-1", Region: "eu", Settings: `relay: {max_peers: 2, policies: [{stream: vip, regions: [eu]}]}`},
			{Name: "us-1", Region: "us", Settings: `relay: {idle: 5s}`},
			{Name: "ap-1", Region: "ap", Settings: `relay: {prefetch: ["wa*"]}`},
		},
		Settings: strings.Replace(regionSettings, "reconnect_window: 30s", "reconnect_window: 2s", 1) + noLadder + routing,
	})
	eu, us, ap := c.Node("eu-1"), c.Node("us-1"), c.Node("ap-1")
	onAir(t, eu, "warm?key="+publishKey, 0)
	onAir(t, eu, "vip?key="+publishKey, 0)
	_, leave := onAir(t, eu, "show?key="+publishKey, 0)

	// What has a name that is asked for comes without a viewer, and nothing else does.
	testkit.Eventually(t, "ap-1 has warm, and us-1 has nothing", func() bool {
		return copiedFrom(t, eu, "warm") == "" && ap.Metric("pushcart_relay_copies") == 1 && us.Metric("pushcart_relay_copies") == 0
	})
	_, took, _ := waitFor(t, ap, "warm")
	t.Logf("%s: the first viewer of a stream that is kept warm waited %.3f s", ap.Name, took.Seconds())

	// What must not leave its region: the node says why, and asked for nothing.
	for _, n := range []*testkit.ClusterNode{us, ap} {
		for range 3 {
			bodyOf(t, n.Master("vip"), http.StatusUnavailableForLegalReasons)
		}
		if refused := n.Metric("pushcart_hls_requests_total", "status", "451") + n.Metric("pushcart_hls_requests_total", "code", "451"); refused != 3 {
			t.Errorf("%s counts %v of the 3 requests that it refused", n.Name, refused)
		}
	}
	bodyOf(t, eu.Master("vip"), http.StatusOK)
	if n := us.Metric("pushcart_relay_copies"); n != 0 {
		t.Errorf("%s has %v copies", us.Name, n)
	}

	// The first viewer has it brought.
	_, took, refused := waitFor(t, us, "show")
	t.Logf("%s: the first viewer waited %.3f s, refused %d times", us.Name, took.Seconds(), refused)
	if got := us.Metric("pushcart_relay_copies"); got != 1 {
		t.Errorf("%s has %v copies", us.Name, got)
	}
	// The origin gives two copies now, and no more: the third is brought from the second.
	_, took, refused = waitFor(t, ap, "show")
	t.Logf("%s: the first viewer waited %.3f s, refused %d times: the origin is full", ap.Name, took.Seconds(), refused)
	if from := copiedFrom(t, ap, "show"); from != us.Name && !eventually(t, func() bool { return copiedFrom(t, ap, "show") == us.Name }) {
		t.Errorf("%s copies from %q", ap.Name, from)
	}
	if sent := eu.Metric("pushcart_relay_refusals_total", "reason", "redirected") + eu.Metric("pushcart_relay_refusals_total", "reason", "full"); sent == 0 && ap.Metric("pushcart_relay_copy_moves_total") < 2 {
		t.Errorf("%s sent nobody on, though it is full", eu.Name)
	}

	whereTo(t, c, eu)

	// The last viewer has it dropped: of us-1 when nobody watches there, and nobody copies from it.
	for _, n := range c.Nodes {
		n.Metric("pushcart_hls_waiting_requests")
	}
	began := time.Now()
	testkit.EventuallyWithin(t, sometime, "us-1 copies for ap-1", func() bool { return us.Metric("pushcart_relay_peers") == 1 })
	ap.Stop()
	testkit.EventuallyWithin(t, sometime, "us-1 gives up what nobody watches", func() bool { return us.Metric("pushcart_relay_copies") == 0 })
	t.Logf("%s gave the stream up %.1f s after its last viewer", us.Name, time.Since(began).Seconds())
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("it was given up after %v", took)
	}
	testkit.Eventually(t, "eu-1 gives no more copies", func() bool { return eu.Metric("pushcart_relay_peers") == 0 })
	_, took, _ = waitFor(t, us, "show")
	t.Logf("%s: the first viewer since waited %.3f s", us.Name, took.Seconds())

	// A show that ends, ends everywhere.
	leave()
	testkit.NewViewer(t, us.Master("show")).Ended("video")
}

// eventually is like testkit.Eventually, for what is no error by itself.
func eventually(t *testing.T, ok func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return true
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	return false
}

// whereTo asks where viewers of countries find the show.
func whereTo(t *testing.T, c *testkit.Cluster, n *testkit.ClusterNode) {
	t.Helper()
	for country, region := range map[string]string{"US": "us", "JP": "ap", "DE": "eu", "BR": "eu"} {
		var w route.Where
		if err := json.Unmarshal(bodyOf(t, n.HTTP+"/api/v1/where/show?country="+country, http.StatusOK), &w); err != nil {
			t.Fatal(err)
		}
		if w.Origin.Node != "eu-1" || w.Nearest == nil || w.Nearest.Region != region || len(w.Nodes) != 3 {
			t.Errorf("viewers in %s are sent to %+v: %+v", country, w.Nearest, w)
			continue
		}
		// The players' own way: the playlist redirects where another region is nearer, once.
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.Master("show")+"?country="+country, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cancel()
		to := res.Header.Get("Location")
		switch {
		case region == n.Region && res.StatusCode != http.StatusOK:
			t.Errorf("a viewer in %s gets status %d from the nearest node", country, res.StatusCode)
		case region != n.Region && (res.StatusCode != http.StatusTemporaryRedirect || !strings.HasPrefix(to, c.Node(region+"-1").HTTP+"/live/show/")):
			t.Errorf("a viewer in %s gets status %d, and is sent to %q", country, res.StatusCode, to)
		case region != n.Region:
			bodyOf(t, to, http.StatusOK)
		}
	}
	var w route.Where
	body := bodyOf(t, n.HTTP+"/api/v1/where/vip?country=US", http.StatusOK)
	if err := errors.Join(json.Unmarshal(body, &w)); err != nil || len(w.Nodes) != 1 || w.Nodes[0].Region != "eu" {
		t.Errorf("what must not leave eu is said to be on %+v, %v", w.Nodes, err)
	}
}
