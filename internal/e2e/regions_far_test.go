package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestRegionsFar has an origin that nobody can dial, behind a firewall, 75 ms away: it keeps connections to the node that copies
// from it, by which the log flows. It measures how much later than the link's own delay parts are there, over one hop and two.
func TestRegionsFar(t *testing.T) {
	t.Parallel()
	// The firewalled origin knows of one core node, and that one is dialled by it for all purposes.
	members := []testkit.ClusterMember{
		{Name: "us-1", Region: "us"},
		{Name: "eu-1", Region: "eu", Push: []string{"us-1"}},
		{Name: "ap-1", Region: "ap"},
	}
	c := testkit.NewCluster(t, testkit.ClusterOptions{Nodes: members, Cores: 1, Settings: regionSettings + noLadder, Lab: true, Before: func(c *testkit.Cluster) {
		if c.Lab == nil {
			return
		}
		eu, us, ap := c.Node("eu-1").Port, c.Node("us-1").Port, c.Node("ap-1").Port
		far := testkit.Link{Delay: farAway}
		c.Lab.Set(eu, us, far)
		c.Lab.Set(us, ap, far)
		c.Lab.Set(eu, ap, testkit.Link{Cut: true})
		far.Undialled = true
		c.Lab.SetOneWay(us, eu, far)
	}})
	us, eu, ap := c.Node("us-1"), c.Node("eu-1"), c.Node("ap-1")
	onAir(t, eu, "show?key="+publishKey, 0)
	a, g := watched(t, "show", us, ap)
	if from := copiedFrom(t, us, "show"); from != eu.Name {
		t.Errorf("%s copies from %q", us.Name, from)
	}
	if c.Lab != nil {
		if from := copiedFrom(t, ap, "show"); from != us.Name {
			t.Errorf("%s copies from %q: the origin cannot be reached from there", ap.Name, from)
		}
		used := us.Metric("pushcart_relay_reverse_spare_connections")
		t.Logf("%s has %v spare connections of the node behind the firewall", us.Name, used)
	}
	g.stop()

	// Parts as they come, by their hints, on all three at once.
	parts := 40
	if *longRegions {
		parts = 300
	}
	var group sync.WaitGroup
	came := map[string]map[string]time.Time{}
	var mu sync.Mutex
	for _, n := range c.Nodes {
		group.Go(func() {
			at := hinted(t, n, parts)
			mu.Lock()
			defer mu.Unlock()
			came[n.Name] = at
		})
	}
	group.Wait()
	delay := time.Duration(0)
	if c.Lab != nil {
		delay = wireDelay(t, eu.Port, us.Port)
	}
	for _, hop := range [][2]string{{"eu-1", "us-1"}, {"us-1", "ap-1"}} {
		var added []time.Duration
		for name, at := range came[hop[1]] {
			if first, ok := came[hop[0]][name]; ok {
				added = append(added, at.Sub(first)-delay)
			}
		}
		slices.Sort(added)
		t.Logf("%s to %s: %d parts were there %v (half of them) and %v (99 of 100) later than the link takes, which is %v", hop[0], hop[1], len(added),
			share(added, .5).Round(10*time.Microsecond), share(added, .99).Round(10*time.Microsecond), delay.Round(10*time.Microsecond))
		if len(added) < parts/2 {
			t.Errorf("%s to %s: %d parts were compared", hop[0], hop[1], len(added))
		}
	}
	a.judge(t)
}

const farAway = 75 * time.Millisecond

// hinted asks for parts before they are there, as players do, and tells when each was whole.
func hinted(t *testing.T, n *testkit.ClusterNode, parts int) map[string]time.Time {
	at := map[string]time.Time{}
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	get := func(ref string) []byte {
		ctx, cancel := context.WithTimeout(t.Context(), requestTime)
		defer cancel()
		status, _, body, err := testkit.Get(ctx, client, n.HTTP+"/live/show/"+ref)
		if err != nil || status != http.StatusOK {
			return nil
		}
		return body
	}
	query := ""
	for deadline := time.Now().Add(sometime); len(at) < parts && time.Now().Before(deadline) && t.Context().Err() == nil; {
		body := get("video.m3u8" + query)
		if body == nil {
			query = ""
			continue
		}
		l := testkit.ParsePlaylist(string(body))
		if l.Hint != "" {
			if get(l.Hint) != nil {
				at[l.Hint] = time.Now()
			}
		}
		msn, part := l.Next()
		query = fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", msn, part)
	}
	return at
}

// wireDelay is half of what a byte takes there and back, at the median.
func wireDelay(t *testing.T, from, to *testkit.LabPort) time.Duration {
	t.Helper()
	l, err := to.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { l.Close(); <-done }()
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := from.Dial(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetNoDelay(true)
	var took []time.Duration
	for range 15 {
		began := time.Now()
		b := []byte{1}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began)/2)
	}
	slices.Sort(took)
	return share(took, .5)
}
