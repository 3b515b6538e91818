package node_test

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

const (
	operatorsToken = "operators-token"
	firstKey       = "the-key-of-the-publisher"
	secondKey      = "the-key-of-who-stands-by"
)

// freePort is an address on loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fleet starts nodes that know each other, in this process: the first is the core, the others are its leaves. Each has a region of
// its name. What is published under "show" is copied by all that are asked for it.
func fleet(t *testing.T, names ...string) map[string]*testkit.Node {
	t.Helper()
	return fleetOf(t, func(*config.Config) {}, names...)
}

// fleetOf is a fleet whose configuration change adapts.
func fleetOf(t *testing.T, change func(*config.Config), names ...string) map[string]*testkit.Node {
	t.Helper()
	dir, leaf := t.TempDir(), freePort(t)
	all := map[string]*testkit.Node{}
	for i, name := range names {
		all[name] = testkit.Start(t, func(c *config.Config) {
			c.Node.Name, c.Cluster.Region = name, name
			c.Cluster.Address, c.Cluster.Directory, c.Cluster.Development = "127.0.0.1:0", filepath.Join(dir, "authority"), true
			if i == 0 {
				c.Cluster.Core, c.Cluster.ListenLeaf = []string{"127.0.0.1:6222"}, config.Address(leaf)
			} else {
				c.Cluster.LeafOf = []string{leaf}
			}
			c.HLS.SegmentDuration, c.HLS.PartDuration = config.Duration(time.Second), config.Duration(200*time.Millisecond)
			c.RTSP.Address, c.RTSP.UDPAddress, c.SRT.Address, c.WHIP.UDPAddress, c.WHIP.TCPAddress = "", "", "", "", ""
			c.Studio.Tokens = []config.Token{{Stream: "show", Token: operatorsToken}}
			c.Cards.Hosts = []string{"shop.example.com"}
			c.Publish.ReconnectWindow = config.Duration(20 * time.Second)
			c.Publish.Keys = []config.Key{{Stream: "show", Key: firstKey}, {Stream: "show", Key: secondKey, Standby: true}}
			change(c)
		})
	}
	for name, n := range all {
		testkit.Eventually(t, name+" knows the others", func() bool {
			healthy, _ := n.Directory().Healthy()
			select {
			case <-n.Directory().Listed():
			default:
				return false
			}
			return healthy && len(n.Directory().Peers()) == len(names)-1
		})
	}
	return all
}

// air publishes sound under "show" at a node until it is stopped, or sent away. A publisher that is not let in ends the test.
func air(t *testing.T, n *testkit.Node, key string) (src testkit.Source, stop func()) {
	t.Helper()
	tracks := []testkit.Media{{Clip: testkit.Sound(t)}}
	src, err := testkit.OpenRTMP(t, n.RTMP(), testkit.Show{Name: "show", Key: key, Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for at := range 1000 { // over again, as fast as it is
			for _, s := range tracks[0].Clip.Samples {
				again := s
				again.DTS += time.Duration(at) * tracks[0].Clip.Length
				timer := time.NewTimer(20 * time.Millisecond)
				select {
				case <-ended:
					timer.Stop()
					return
				case <-timer.C:
				}
				if src.Write(0, &again) != nil {
					return // it was sent away
				}
			}
		}
	}()
	over := false
	stop = func() {
		if !over {
			over = true
			close(ended)
			<-done
		}
	}
	t.Cleanup(stop)
	return src, stop
}

// goesOn wants viewers of a node to get a number of parts more than there are, and the show not to end.
func goesOn(t *testing.T, n *testkit.Node, what string) *testkit.Playlist {
	t.Helper()
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	msn, part := v.Playlist("audio").Next()
	return v.Until("audio", what, func(p *testkit.Playlist) bool {
		m, k := p.Next()
		return m > msn || m == msn && k > part+1
	})
}

// originOf is who a node takes for the origin of "show"; "" is nobody.
func originOf(n *testkit.Node) string {
	e, _ := n.Directory().Lookup("show")
	return e.Origin
}

// awaitOrigin waits until all nodes agree on the origin of "show".
func awaitOrigin(t *testing.T, all map[string]*testkit.Node, want string) {
	t.Helper()
	for name, n := range all {
		testkit.Eventually(t, name+" takes "+want+" for the origin", func() bool {
			return originOf(n) == want && n.Origin("show") == (name == want)
		})
	}
}

// put makes a card of "show".
func put(t *testing.T, n *testkit.Node, id string) {
	t.Helper()
	c := clientOf(t, n)
	status, body := c.ask("PUT", cards+"/"+id, fmt.Sprintf(`{"id":%q,"name":"Lamp","url":"https://shop.example.com/lamp"}`, id), operatorsToken)
	if status/100 != 2 {
		t.Fatalf("PUT card %s: %d %s", id, status, body)
	}
}

// listed are the identifiers of the cards of "show".
func listed(t *testing.T, n *testkit.Node) string {
	t.Helper()
	status, body := clientOf(t, n).ask("GET", cards, "", operatorsToken)
	var list struct{ Cards []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
		t.Fatalf("GET cards: %d %s", status, body)
	}
	var ids []string
	for _, c := range list.Cards {
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, " ")
}
