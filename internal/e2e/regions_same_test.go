package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
	"pushcart/relay/route"
)

// TestRegionsSame publishes a show with a ladder and cards in one region and watches it in three: all that viewers get is the
// same everywhere, byte for byte, for one ocean crossed once.
func TestRegionsSame(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		Nodes: []testkit.ClusterMember{
			{Name: "eu-1", Region: "eu", Country: "DE"}, {Name: "us-1", Region: "us", Country: "US"},
			{Name: "us-2", Region: "us", Country: "US"}, {Name: "ap-1", Region: "ap", Country: "JP"},
		},
		Settings: regionSettings + `
ladder:
  encoders: [cpu]
  max_cpu: 100
  threads: 1
  ladders:
    - {name: small, rungs: [144p 100k, 90p 60k]}
  streams:
    - {stream: show, ladder: small}
`,
	})
	origin := c.Node("eu-1")
	pictures, sound := testkit.LadderPictures(t, "30").Repeat(6), testkit.Sound(t).Repeat(6)
	tried(t, origin.HTTP)
	h := newHost(t, origin.HTTP)
	h.products(3)
	p := testkit.Publish(t, origin.RTMP, "show?key="+publishKey)
	halt := p.Live(testkit.Script{Video: pictures, Audio: sound, Speed: 1})
	v := testkit.NewViewer(t, origin.Master("show"))
	v.Patience = sometime
	v.Join()
	climbed(t, v, "144p", "90p")
	renditions := []string{"video", "144p", "90p", "audio"}

	// Viewers of all nodes but one; the last one has its first viewer in mid-show.
	a := newAtlas()
	here, there := []*testkit.ClusterNode{origin, c.Node("us-1"), c.Node("us-2")}, c.Node("ap-1")
	for _, n := range here[1:] {
		_, took, refused := waitFor(t, n, "show")
		t.Logf("%s: the first viewer waited %.2f s, refused %d times", n.Name, took.Seconds(), refused)
	}
	g := viewersOf(t, a, "show", renditions, here...)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- newHost(t, here[1].HTTP).busy(stop) }()
	g.on(t, 6)

	began := time.Now()
	_, took, refused := waitFor(t, there, "show")
	late := viewersOf(t, a, "show", renditions, there)
	t.Logf("%s: the first viewer in mid-show waited %.2f s, refused %d times", there.Name, took.Seconds(), refused)
	late.on(t, 0)
	v2 := testkit.NewViewer(t, there.Master("show"))
	for _, r := range renditions {
		for _, s := range v2.Playlist(r).Segments {
			if s.Complete {
				a.note(a.names, there.Name, s.URI, v2.Fetch(s.URI, http.StatusOK), false)
			}
		}
	}
	t.Logf("%s: all that viewers can seek back to was there after %.2f s", there.Name, time.Since(began).Seconds())

	all := append(here, there)
	from := firstOf(late)
	long := int64(12)
	if *longRegions {
		long = 60
	}
	late.on(t, long)
	g.on(t, 1)
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	sameShow(t, a, all)
	to := lastCommon(t, g, late)
	g.stop()
	late.stop()
	g.tell(t)
	late.tell(t)
	g.everywhere(t, "show", all, from, to)
	a.judge(t)
	for _, r := range renditions {
		for _, n := range all[1:] {
			group := g
			if n == there {
				group = &tours{atlas: a, all: append(append([]*tour(nil), g.all...), late.all...)}
			}
			d := group.later(n.Name, origin.Name, r)
			t.Logf("%s %s: %d positions were there %v (half of them) and %v (99 of 100) after the origin's", n.Name, r, len(d),
				share(d, .5).Round(100*time.Microsecond), share(d, .99).Round(100*time.Microsecond))
		}
	}

	// One of the two in the region crosses the ocean.
	crossed := 0
	for _, n := range c.Nodes[1:] {
		from := copiedFrom(t, n, "show")
		t.Logf("%s copies from %s", n.Name, from)
		if n.Region == "us" && from == origin.Name {
			crossed++
		} else if n.Region == "us" && !strings.HasPrefix(from, "us-") {
			t.Errorf("%s copies from %q", n.Name, from)
		}
	}
	if crossed != 1 {
		t.Errorf("%d nodes of the region copy from the origin, want one", crossed)
	}
	for _, n := range c.Nodes {
		if bad := n.Metric("pushcart_relay_copy_failures_total"); bad != 0 {
			t.Errorf("%s: %v logs failed", n.Name, bad)
		}
	}
	halt()
	p.Leave()
	for _, n := range c.Nodes {
		n.Stop()
	}
}

// firstOf is the number of the first segment that all viewers of a group have from its beginning.
func firstOf(g *tours) (msn int64) {
	for _, v := range g.all {
		at, _ := v.position()
		msn = max(msn, at[0]+1)
	}
	return msn
}

// lastCommon is the number of a segment before which everybody has everything.
func lastCommon(t *testing.T, groups ...*tours) int64 {
	t.Helper()
	to := int64(1 << 62)
	for _, g := range groups {
		for _, v := range g.all {
			at, _ := v.position()
			to = min(to, at[0])
		}
	}
	return to - 1
}

// copiedFrom is the node that one copies a stream from, as the operator's page of that one has it; "" is none.
func copiedFrom(t *testing.T, n *testkit.ClusterNode, stream string) string {
	t.Helper()
	for _, l := range clusterOf(t, n).Links {
		if l.Stream == stream && l.To == n.Name {
			return l.From
		}
	}
	return ""
}

// clusterOf is the cluster as a node sees it.
func clusterOf(t *testing.T, n *testkit.ClusterNode) (c route.Cluster) {
	t.Helper()
	if err := json.Unmarshal(bodyOf(t, n.Admin+"/cluster.json", http.StatusOK), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// sameShow wants the multivariant playlist, the state of the cards, their keys and their documents to be the same on all nodes:
// documents on those that stand in one country.
func sameShow(t *testing.T, a *atlas, nodes []*testkit.ClusterNode) {
	t.Helper()
	text := func(url string) string { return string(bodyOf(t, url, http.StatusOK)) }
	testkit.Eventually(t, "all nodes have the same multivariant playlist", func() bool {
		first := text(nodes[0].Master("show"))
		for _, n := range nodes[1:] {
			if text(n.Master("show")) != first {
				return false
			}
		}
		return true
	})
	var state slots
	testkit.Eventually(t, "all nodes know the same slots", func() bool {
		state = newHost(t, nodes[0].HTTP).slots()
		for _, n := range nodes[1:] {
			if s := newHost(t, n.HTTP).slots(); fmt.Sprint(s) != fmt.Sprint(state) {
				return false
			}
		}
		return true
	})
	if len(state.Slots) == 0 {
		t.Fatal("no card is shown")
	}
	for _, s := range state.Slots {
		for _, n := range nodes {
			path := fmt.Sprintf("/live/show/cards/%s/%d.json?e=%d", s.Card, s.Rev, state.Epoch)
			a.note(a.names, n.Name, n.Country+path, bodyOf(t, n.HTTP+path, http.StatusOK), true)
		}
	}
}
