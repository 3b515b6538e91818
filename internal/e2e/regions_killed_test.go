package e2e

import (
	"context"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestRegionsNodesKilled kills nodes that are not the origin: the one by which a region gets the show, the one that leads the
// directory, and two of the three that keep it. Shows go on, those who come see what is known, and all is well when they are back.
func TestRegionsNodesKilled(t *testing.T) {
	t.Parallel()
	members := []testkit.ClusterMember{
		{Name: "us-1", Region: "us"}, {Name: "ap-1", Region: "ap"}, {Name: "sa-1", Region: "sa"},
		{Name: "eu-1", Region: "eu"}, {Name: "us-2", Region: "us"},
	}
	c := testkit.NewCluster(t, testkit.ClusterOptions{Nodes: members, Settings: regionSettings + noLadder})
	eu := c.Node("eu-1")
	cores := c.Nodes[:3]
	onAir(t, eu, "show?key="+publishKey, 0)
	onAir(t, eu, "warm?key="+publishKey, 0)
	a, g := watched(t, "show", c.Nodes...)
	alive := func() *tours {
		left := &tours{atlas: a}
		for _, n := range c.Nodes {
			if n.Up() {
				left.all = append(left.all, g.of(n.Name)...)
			}
		}
		return left
	}
	// after kills nodes, and tells what viewers of the others had to wait.
	after := func(what string, killed ...*testkit.ClusterNode) {
		t.Helper()
		g.forget()
		for _, n := range killed {
			n.Kill()
		}
		alive().on(t, 3)
		for _, n := range c.Nodes {
			if n.Up() {
				t.Logf("%s: viewers on %s were without news for %.2f s", what, n.Name, g.longest(n.Name).Seconds())
			}
		}
	}
	back := func(nodes ...*testkit.ClusterNode) {
		t.Helper()
		for _, n := range nodes {
			n.Restart()
		}
		c.Whole()
		g.on(t, 1)
	}

	puller := pullerOf(t, c, "us", "show", eu)
	after("the region's puller was killed", puller)
	back(puller)

	leader := leaderOf(t, cores)
	began := time.Now()
	after("the directory's leader was killed, "+leader.Name, leader)
	testkit.EventuallyWithin(t, sometime, "the directory takes claims again", func() bool {
		m, ok := eu.TryScrape()
		return ok && m.Value("pushcart_directory_healthy") == 1
	})
	t.Logf("the directory took claims %.2f s later at the latest", time.Since(began).Seconds())
	_, leave := onAir(t, eu, "vip?key="+publishKey, 0)
	waitFor(t, eu, "vip")
	leave()
	back(leader)

	// us-2 has no copy of warm yet: what is known of it is enough.
	two := []*testkit.ClusterNode{cores[0], cores[1]}
	after("two of three core nodes were killed", two...)
	testkit.EventuallyWithin(t, sometime, "the directory is not well", func() bool {
		m, ok := eu.TryScrape()
		return ok && m.Value("pushcart_directory_healthy") == 0
	})
	if p, had := c.Node("us-2"), c.Node("us-2").Metric("pushcart_relay_copies"); had != 1 {
		t.Errorf("%s has %v copies", p.Name, had)
	}
	_, took, _ := waitFor(t, c.Node("us-2"), "warm")
	t.Logf("without a majority, the first viewer of another show waited %.2f s", took.Seconds())
	bodyOf(t, eu.Master("show"), http.StatusOK)
	back(two...)

	atOnce(t, c.Node("us-1"), c.Node("sa-1"), eu)
	g.on(t, 1)
	g.stop()
	g.tell(t)
	a.judge(t)
}

// atOnce has the same publisher come to two nodes at the same moment: one of them has the show in the end, and the other one sends
// its connection away.
func atOnce(t *testing.T, one, other, watching *testkit.ClusterNode) {
	t.Helper()
	video, audio := usualClips(t)
	nodes := []*testkit.ClusterNode{one, other}
	publishers := []*testkit.Publisher{testkit.Dial(t, one.RTMP, nil), testkit.Dial(t, other.RTMP, nil)}
	codes, gone := make([]string, 2), make([]chan struct{}, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var both sync.WaitGroup
	for i, p := range publishers {
		gone[i] = make(chan struct{})
		both.Go(func() { codes[i] = p.Open("vip?key=" + publishKey).Code })
	}
	both.Wait()
	for i, p := range publishers {
		if codes[i] != "NetStream.Publish.Start" {
			close(gone[i])
			continue
		}
		p.Configure(0, video, audio)
		go func() {
			defer close(gone[i])
			p.Play(ctx, testkit.Script{Video: video, Audio: audio, Speed: 1})
		}()
	}
	left := -1
	testkit.EventuallyWithin(t, sometime, "one of two publishers at once is left", func() bool {
		left = -1
		for i := range gone {
			select {
			case <-gone[i]:
			default:
				if left >= 0 {
					return false
				}
				left = i
			}
		}
		return left >= 0
	})
	waitFor(t, watching, "vip")
	testkit.Eventually(t, "it is the one that the others copy from", func() bool { return copiedFrom(t, watching, "vip") == nodes[left].Name })
	t.Logf("of two publishers at once, the one on %s is left: the answers were %v", nodes[left].Name, codes)
	cancel()
	for i := range gone {
		<-gone[i]
		publishers[i].Drop()
	}
}

// pullerOf is the node by which a region gets a stream from its origin.
func pullerOf(t *testing.T, c *testkit.Cluster, region, stream string, origin *testkit.ClusterNode) *testkit.ClusterNode {
	t.Helper()
	var puller *testkit.ClusterNode
	testkit.Eventually(t, "one node of "+region+" gets "+stream+" from the origin", func() bool {
		puller = nil
		count := 0
		for _, n := range c.Nodes {
			if n.Region == region && copiedFrom(t, n, stream) == origin.Name {
				puller = n
				count++
			}
		}
		return count == 1
	})
	return puller
}

var leading = regexp.MustCompile(`JetStream cluster new metadata leader: ([a-z0-9-]+)`)

// leaderOf is the node that leads the directory, as the core nodes' logs have it.
func leaderOf(t *testing.T, cores []*testkit.ClusterNode) *testkit.ClusterNode {
	t.Helper()
	for _, n := range cores {
		if all := leading.FindAllStringSubmatch(n.Log.String(), -1); len(all) > 0 {
			for _, o := range cores {
				if o.Name == all[len(all)-1][1] {
					return o
				}
			}
		}
	}
	t.Fatal("no log tells who leads the directory")
	return nil
}
