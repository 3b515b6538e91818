package e2e

import (
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestRegionsFrozen is the same with an origin that stands still for a while, as a virtual machine does that is moved, and then goes
// on as if nothing had been: with all that its publisher has sent meanwhile.
func TestRegionsFrozen(t *testing.T) {
	t.Parallel()
	apart(t, false)
}

// TestRegionsPartition cuts the origin off from all others while its publisher goes on, and another connection of the publisher
// takes the show over elsewhere. When the cut is healed, the first origin follows: what viewers have of either is one show each,
// and no name was given two contents.
func TestRegionsPartition(t *testing.T) {
	t.Parallel()
	apart(t, true)
}

// apart has an origin be lost to all others for a while, by the lab's wires or by standing still.
func apart(t *testing.T, lab bool) {
	c := testkit.NewCluster(t, testkit.ClusterOptions{Nodes: threeRegions()[:3], Settings: regionSettings + noLadder, Lab: lab})
	eu, us, ap := c.Node("eu-1"), c.Node("us-1"), c.Node("ap-1")
	if c.Lab != nil {
		for i, n := range c.Nodes {
			for _, o := range c.Nodes[i+1:] {
				c.Lab.Set(n.Port, o.Port, testkit.Link{Delay: 20 * time.Millisecond, Loss: 0.002, Seed: uint64(i)})
			}
		}
	}
	begin := time.Now()
	zombie := sendUntilLost(t, eu, "show?key="+publishKey, 0)
	a, g := watched(t, "show", c.Nodes...)
	left := &tours{atlas: a, all: append(g.of(us.Name), g.of(ap.Name)...)}

	// One path is lost: ap-1 gets the show by way of us-1.
	if c.Lab != nil {
		c.Lab.CutBetween(eu.Port, ap.Port, true)
		lost := time.Now()
		testkit.EventuallyWithin(t, sometime, "ap-1 goes round", func() bool { return copiedFrom(t, ap, "show") == us.Name })
		g.on(t, 2)
		t.Logf("the path from %s to %s was lost: it went round after %.2f s, viewers were without news for %.2f s", eu.Name, ap.Name,
			time.Since(lost).Seconds(), g.longest(ap.Name).Seconds())
		c.Lab.CutBetween(eu.Port, ap.Port, false)
		g.on(t, 1)
		g.forget()
	}

	// The cut: of the lab's wires, or the origin stops for a while as a program, with its connections open.
	if c.Lab != nil {
		c.Lab.Cut(eu.Port, true)
	} else {
		eu.Freeze()
	}
	cut := time.Now()
	testkit.EventuallyWithin(t, sometime, "the others miss the origin", func() bool {
		m, ok := us.TryScrape()
		return ok && m.Value("pushcart_directory_peers") == 1 && m.Value("pushcart_directory_healthy") == 1
	})
	t.Logf("the others missed %s after %.2f s", eu.Name, time.Since(cut).Seconds())
	sendUntilLost(t, us, "show?key="+publishKey, time.Since(begin))
	left.on(t, 4)
	for _, n := range []*testkit.ClusterNode{us, ap} {
		t.Logf("%s: viewers were without news for %.2f s", n.Name, g.longest(n.Name).Seconds())
	}
	if c.Lab != nil {
		// Behind the cut the show went on by itself, and a new one begins.
		if stall := g.longest(eu.Name); stall > 5*time.Second {
			t.Errorf("viewers on the cut-off origin were without news for %v", stall)
		}
		sendUntilLost(t, eu, "warm?key="+publishKey, 0)
		_, took, _ := waitFor(t, eu, "warm")
		t.Logf("a show that began behind the cut, without a directory, could be watched there after %.2f s", took.Seconds())
	}

	if c.Lab != nil {
		c.Lab.Cut(eu.Port, false)
	} else {
		eu.Thaw()
	}
	healed := time.Now()
	testkit.EventuallyWithin(t, sometime, "the first origin is told", func() bool {
		return eu.Metric("pushcart_directory_superseded_total") == 1
	})
	t.Logf("the first origin was fenced %.2f s after the cut was healed", time.Since(healed).Seconds())
	c.Whole()
	testkit.EventuallyWithin(t, sometime, "it follows the new one", func() bool { return copiedFrom(t, eu, "show") == us.Name })
	g.on(t, 4)
	zombie()
	if c.Lab != nil {
		_, took, _ := waitFor(t, ap, "warm")
		t.Logf("what began behind the cut: its first viewer on %s waited %.2f s", ap.Name, took.Seconds())
	}
	t.Logf("%s: viewers were without news for %.2f s in all this", eu.Name, g.longest(eu.Name).Seconds())
	g.stop()
	g.tell(t)
	a.judge(t)
	// From then on everybody has the same.
	if err := sameTail(t, a, c.Nodes); err != "" {
		t.Error(err)
	}
}

// sameTail compares what nodes have of the last segments: "" is the same.
func sameTail(t *testing.T, a *atlas, nodes []*testkit.ClusterNode) (different string) {
	t.Helper()
	for _, r := range []string{"video", "audio"} {
		var want []string
		for i, n := range nodes {
			var got []string
			l := testkit.NewViewer(t, n.Master("show")).Playlist(r)
			for _, s := range l.Segments {
				if s.Complete {
					got = append(got, s.URI)
				}
			}
			got = got[max(0, len(got)-4) : len(got)-1]
			if i == 0 {
				want = got
				continue
			}
			common := 0
			for _, x := range got {
				for _, y := range want {
					if x == y {
						common++
					}
				}
			}
			if common == 0 {
				different += n.Name + " has none of the segments that " + nodes[0].Name + " has; "
			}
		}
	}
	return different
}
