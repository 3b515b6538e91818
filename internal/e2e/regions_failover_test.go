package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// threeRegions are three core nodes, and one more in the second region.
func threeRegions() []testkit.ClusterMember {
	return []testkit.ClusterMember{
		{Name: "eu-1", Region: "eu", Country: "DE"}, {Name: "us-1", Region: "us", Country: "US"},
		{Name: "ap-1", Region: "ap", Country: "JP"}, {Name: "us-2", Region: "us", Country: "US"},
	}
}

// watched are viewers of the usual show on nodes that copy it, who have been there for some segments.
func watched(t *testing.T, stream string, nodes ...*testkit.ClusterNode) (*atlas, *tours) {
	t.Helper()
	a := newAtlas()
	for _, n := range nodes {
		waitFor(t, n, stream)
	}
	g := viewersOf(t, a, stream, []string{"video", "audio"}, nodes...)
	g.on(t, 3)
	g.forget()
	return a, g
}

// TestRegionsOriginKilled kills the origin in the middle of a show with cards. The publisher comes to another node, and for
// viewers it is one show: numbers go on, behind one discontinuity, no name stands for two things, what was shown before is shown
// after, and commands that are given meanwhile are carried out once.
func TestRegionsOriginKilled(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, testkit.ClusterOptions{Nodes: threeRegions()[:3], Settings: regionSettings + noLadder})
	eu, us, ap := c.Node("eu-1"), c.Node("us-1"), c.Node("ap-1")
	newHost(t, eu.HTTP).products(3)
	stop := sendUntilLost(t, eu, "show?key="+publishKey, 0)
	a, g := watched(t, "show", eu, us, ap)
	newHost(t, ap.HTTP).show("main", "c1", time.Time{})
	before := newHost(t, us.HTTP).slots()
	if len(before.Slots) != 1 || before.Slots[0].Card != "c1" {
		t.Fatalf("%s knows of %+v", us.Name, before)
	}
	g.on(t, 1)
	g.forget()

	// A strict client looks on while it happens.
	judged := make(chan func(), 1)
	go func() {
		report, err := check(t, ap.Master("show"), conformance.Options{Duration: 12 * time.Second, LooseHints: true, DecodeSlack: time.Millisecond, Off: hasty})
		judged <- func() {
			if err != nil {
				t.Errorf("strict client: %v", err)
			}
			for _, x := range report.Violations {
				t.Errorf("strict client: %s", x)
			}
		}
	}()
	g.on(t, 1)

	began := time.Now()
	eu.Kill()
	stop()
	// Commands to both nodes that are left, each as clients do: again and again with one key, until somebody says that it is done.
	commands := commanding(t, us, ap)
	// The publisher's own wait, and that it finds the other node.
	testkit.EventuallyWithin(t, sometime, "the publisher is let in", func() bool { return time.Since(began) > 500*time.Millisecond })
	_, leave := onAir(t, us, "show?key="+publishKey, 12*time.Second)
	t.Logf("the publisher is on %s %.2f s after %s was killed", us.Name, time.Since(began).Seconds(), eu.Name)
	left := &tours{atlas: a, all: append(g.of(us.Name), g.of(ap.Name)...)}
	left.on(t, 4)
	commands(t)
	for _, n := range []*testkit.ClusterNode{us, ap} {
		t.Logf("%s: viewers were without news for %.2f s", n.Name, g.longest(n.Name).Seconds())
		for _, r := range []string{"video", "audio"} {
			l := testkit.NewViewer(t, n.Master("show")).Playlist(r)
			if l.Discontinuities()+int(l.Discontinuity) != 1 || l.Ended {
				t.Errorf("%s %s: %d discontinuities, ended %v:\n%s", n.Name, r, l.Discontinuities()+int(l.Discontinuity), l.Ended, l.Text)
			}
		}
	}
	after := newHost(t, ap.HTTP).slots()
	if len(after.Slots) != 1 || after.Slots[0].Card != "c1" || after.Epoch < before.Epoch {
		t.Errorf("the cards were %+v, and are %+v", before, after)
	}
	(<-judged)()

	// The node that was killed comes back, as one that copies.
	eu.Restart()
	c.Whole()
	_, took, _ := waitFor(t, eu, "show")
	t.Logf("%s is back: its first viewer waited %.2f s", eu.Name, took.Seconds())
	g.on(t, 2)
	g.stop()
	g.tell(t)
	a.judge(t)
	if from := copiedFrom(t, eu, "show"); from != us.Name {
		t.Errorf("%s copies from %q", eu.Name, from)
	}
	leave()
}

// commanding has clients put new cards on the list by nodes, without rest, each with a key until it is acknowledged. The function
// that it returns stops them and wants every command to have been carried out, exactly once.
func commanding(t *testing.T, nodes ...*testkit.ClusterNode) func(*testing.T) {
	t.Helper()
	end := make(chan struct{})
	var group sync.WaitGroup
	type client struct {
		node        string
		done, tries int
		wait        time.Duration
		wrong       []string
	}
	clients := make([]*client, len(nodes))
	for i, n := range nodes {
		x := &client{node: n.Name}
		clients[i] = x
		h := newHost(t, n.HTTP)
		group.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(100 * time.Millisecond):
				}
				card, began := fmt.Sprint("from-", x.node, "-", x.done), time.Now()
				for {
					a, err := h.ask(http.MethodPut, "/cards/"+card, product(card, "1.00"), "Idempotency-Key", "key-of-"+card)
					x.tries++
					if r, ok := granted(a, err); ok {
						if x.done++; r.Rev != 1 && len(x.wrong) < 3 {
							x.wrong = append(x.wrong, fmt.Sprintf("the new card %s has revision %d", card, r.Rev))
						}
						x.wait = max(x.wait, time.Since(began))
						break
					}
					if err == nil && a.status < 500 && a.status != http.StatusConflict && a.status != http.StatusTooManyRequests {
						x.wrong = append(x.wrong, fmt.Sprintf("%s: status %d: %.200s", card, a.status, a.body))
						return
					}
					if time.Since(began) > sometime {
						x.wrong = append(x.wrong, fmt.Sprintf("%s is not taken: status %d, %v: %.200s", card, a.status, err, a.body))
						return
					}
					select {
					case <-time.After(50 * time.Millisecond):
					case <-t.Context().Done():
						return
					}
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { close(end); group.Wait() })
	t.Cleanup(stop)
	return func(t *testing.T) {
		t.Helper()
		stop()
		for i, x := range clients {
			for _, w := range x.wrong {
				t.Errorf("by %s: %s", x.node, w)
			}
			// What was acknowledged is there, whichever node is asked.
			list := newHost(t, nodes[len(nodes)-1-i].HTTP).cards()
			lost := 0
			for n := range x.done {
				if strings.Count(list, fmt.Sprintf("%q", fmt.Sprint("from-", x.node, "-", n))) == 0 {
					lost++
				}
			}
			if lost > 0 {
				t.Errorf("by %s: %d commands were acknowledged, and are lost", x.node, lost)
			}
			t.Logf("by %s: %d commands in %d tries; the longest took %.2f s, %d are lost", x.node, x.done, x.tries, x.wait.Seconds(), lost)
		}
	}
}
