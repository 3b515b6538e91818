package e2e

import (
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestRegionsSkew has nodes whose clocks are five seconds ahead and behind. They copy from each other, and when the show moves from
// the one that is ahead to the one that is behind, and back, neither numbers nor the media's dates go back.
func TestRegionsSkew(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		Program: testkit.BuildSkewed(t),
		Nodes: []testkit.ClusterMember{
			{Name: "eu-1", Region: "eu", Env: testkit.Skewed(5 * time.Second)}, {Name: "us-1", Region: "us", Env: testkit.Skewed(-5 * time.Second)},
			{Name: "ap-1", Region: "ap"},
		},
		Settings: regionSettings + noLadder,
	})
	eu, us, ap := c.Node("eu-1"), c.Node("us-1"), c.Node("ap-1")
	begin := time.Now()
	stop := sendUntilLost(t, eu, "show?key="+publishKey, 0)
	a, g := watched(t, "show", c.Nodes...)
	// The clocks are really wrong: the dates that the show has tell.
	if off := time.Until(endOf(testkit.NewViewer(t, ap.Master("show")).Playlist("video"))); off < 3*time.Second || off > 6*time.Second {
		t.Fatalf("the show's dates are %v off", off)
	}
	for _, move := range []struct{ from, to *testkit.ClusterNode }{{eu, us}, {us, eu}} {
		before := endOf(testkit.NewViewer(t, ap.Master("show")).Playlist("video"))
		g.forget()
		stop()
		stop = sendUntilLost(t, move.to, "show?key="+publishKey, time.Since(begin))
		g.on(t, 3)
		t.Logf("from %s to %s: viewers on %s were without news for %.2f s, on %s for %.2f s, on %s for %.2f s", move.from.Name, move.to.Name,
			eu.Name, g.longest(eu.Name).Seconds(), us.Name, g.longest(us.Name).Seconds(), ap.Name, g.longest(ap.Name).Seconds())
		for _, n := range c.Nodes {
			l := testkit.NewViewer(t, n.Master("show")).Playlist("video")
			last := time.Time{}
			for _, s := range l.Segments {
				if s.Wall.Before(last) {
					t.Errorf("%s: segment %d is dated %v, the one before ends at %v", n.Name, s.MSN, s.Wall, last)
				}
				last = s.Wall.Add(s.Duration - 30*time.Millisecond)
			}
			if end := endOf(l); end.Before(before) {
				t.Errorf("%s: the show ends at %v, and did at %v", n.Name, end, before)
			}
		}
	}
	if from := copiedFrom(t, us, "show"); from != eu.Name {
		t.Errorf("%s copies from %q", us.Name, from)
	}
	g.stop()
	g.tell(t)
	a.judge(t)
}
