package e2e

import (
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestRegionsStandby sends a show twice, to two nodes: when the first publisher goes, or its node dies, the one that stands by
// goes on within seconds, and when the first is back, it has the show again.
func TestRegionsStandby(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, testkit.ClusterOptions{Nodes: threeRegions()[:3], Settings: regionSettings + noLadder})
	eu, us, ap := c.Node("eu-1"), c.Node("us-1"), c.Node("ap-1")
	begin := time.Now()
	first := sendUntilLost(t, eu, "twice?key="+publishKey, 0)
	waitFor(t, eu, "twice")
	// The standby sends what a second encoder sends of the same: all the time, whoever is shown.
	sendUntilLost(t, us, "twice?key="+standbyKey, time.Since(begin))
	a, g := watched(t, "twice", ap, us)
	origin := func() string {
		for _, s := range clusterOf(t, ap).Streams {
			if s.Stream == "twice" {
				return s.Origin
			}
		}
		return ""
	}
	if now := origin(); now != eu.Name {
		t.Fatalf("the show is from %q, want %s", now, eu.Name)
	}
	// moved waits until the show comes from a node, and goes on there, and tells what it cost.
	moved := func(what string, to *testkit.ClusterNode) {
		t.Helper()
		testkit.EventuallyWithin(t, sometime, what+": the show comes from "+to.Name, func() bool { return origin() == to.Name })
		g.on(t, 2)
		t.Logf("%s: viewers on %s were without news for %.2f s, on %s for %.2f s", what, ap.Name, g.longest(ap.Name).Seconds(), us.Name, g.longest(us.Name).Seconds())
		g.forget()
	}

	first()
	moved("the publisher left", us)
	first = sendUntilLost(t, eu, "twice?key="+publishKey, time.Since(begin))
	moved("it is back", eu)
	eu.Kill()
	first()
	moved("its node was killed", us)
	eu.Restart()
	c.Whole()
	sendUntilLost(t, eu, "twice?key="+publishKey, time.Since(begin))
	moved("both are back", eu)

	g.stop()
	for _, n := range []*testkit.ClusterNode{ap, us} {
		for _, r := range []string{"video", "audio"} {
			l := testkit.NewViewer(t, n.Master("twice")).Playlist(r)
			if l.Ended || l.Discontinuities()+int(l.Discontinuity) != 4 {
				t.Errorf("%s %s: %d discontinuities, want 4, ended %v", n.Name, r, l.Discontinuities()+int(l.Discontinuity), l.Ended)
			}
		}
	}
	g.tell(t)
	a.judge(t)
}
