package e2e

import (
	"slices"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

const cdnConfigs = "../../configs/cdn"

// crowd is how many watch behind a cache.
const crowd = 50

// TestCDNNginx has nginx, with the configuration that is delivered for it, stand in front of a region whose nodes copy a show: of
// the viewers of a part one asks a node, nobody gets an old playlist, and a node's death is the cache's to cope with.
func TestCDNNginx(t *testing.T) {
	t.Parallel()
	behindCache(t, "nginx", func(c *testkit.Cluster) *testkit.CDN { return testkit.Nginx(t, cdnConfigs, c) })
}

// TestCDNVarnish is the same for Varnish.
func TestCDNVarnish(t *testing.T) {
	t.Parallel()
	behindCache(t, "Varnish", func(c *testkit.Cluster) *testkit.CDN { return testkit.Varnish(t, cdnConfigs, c) })
}

func behindCache(t *testing.T, name string, start func(*testkit.Cluster) *testkit.CDN) {
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		Nodes:    []testkit.ClusterMember{{Name: "us-1", Region: "us"}, {Name: "eu-1", Region: "eu"}, {Name: "eu-2", Region: "eu"}},
		Cores:    1,
		Settings: regionSettings + noLadder,
	})
	origin := c.Node("us-1")
	_, halt := onAir(t, origin, "show?key="+publishKey, 0)
	defer halt()
	waitFor(t, origin, "show")
	cache := start(c)
	direct := viewersAs(t, newAtlas(), "show", []string{"video"}, true, origin)
	direct.reach(t, 2)

	a := newAudience(t, name, cache.URL, "show")
	first := a.watch(t, 1, "video")
	testkit.EventuallyWithin(t, sometime, "the cache gives the show", func() bool { _, of := a.hits(); return of > 5 })
	first()
	a.all = nil
	a.watch(t, crowd, "video")
	joins := a.join(t, "video")
	a.onward(t, 2)
	a.forget()
	a.onward(t, 14)
	share, of := a.hits()
	bad, why := a.trouble()
	a.mu.Lock()
	slices.Sort(a.ages)
	t.Logf("%s: %.2f %% of %d parts hit; %v, playlists %v, %s", name, share*100, of, a.parts, a.playlists, why)
	t.Logf("%s: bare playlists are %v (half) and %v (99 of 100) old, %v at most", name,
		gauge(a.ages, .5), gauge(a.ages, .99), gauge(a.ages, 1))
	oldest := gauge(a.ages, 1)
	a.mu.Unlock()
	late := a.lateness(direct.all[0])
	t.Logf("%s: viewers have a playlist %v (half) and %v (99 of 100) after who asks the origin; the longest time without news was %v", name,
		gauge(late, .5), gauge(late, .99), a.stalls().Round(time.Millisecond))
	if share <= .95 || of < crowd*40 {
		t.Errorf("%s: %.2f %% of %d parts hit, want more than 95", name, share*100, of)
	}
	if bad > 0 {
		t.Errorf("%s: refused: %s", name, why)
	}
	// A second, as nodes say, which nginx may take for two; and what the machine is late by.
	if oldest > 3*time.Second {
		t.Errorf("%s: a bare playlist was %v old", name, oldest)
	}

	// The node that the cache asks goes, and then the region's other one.
	for _, left := range []int{1, 0} {
		serving := busiest(t, c.Nodes[1:])
		a.forget()
		serving.Kill()
		a.onward(t, 2)
		bad, why := a.trouble()
		t.Logf("%s: %s was killed, %d left in the region: the longest time without news was %v; refused: %d: %s", name,
			serving.Name, left, a.stalls().Round(time.Millisecond), bad, why)
		if d := a.stalls(); d > 8*time.Second {
			t.Errorf("%s: viewers had no news for %v", name, d)
		}
	}
	joins()
	a.judge(t)
}

// busiest is the node that answered most requests for media and playlists since it started, of those that run.
func busiest(t *testing.T, nodes []*testkit.ClusterNode) (most *testkit.ClusterNode) {
	t.Helper()
	top := -1.
	for _, n := range nodes {
		if !n.Up() {
			continue
		}
		if v := n.Metric("pushcart_hls_waiting_requests"); v > top {
			most, top = n, v
		}
	}
	return most
}

// gauge is share, rounded for people.
func gauge(sorted []time.Duration, of float64) time.Duration {
	return share(sorted, of).Round(time.Millisecond)
}
