package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"pushcart/relay"
)

// testNodeLost has an origin's node die: it leaves the list, a standby takes over at once, another credential when the entry has
// expired; and the node comes back without what it held.
func testNodeLost(t *testing.T) {
	address := operator(t)
	sites := make([]*site, 2)
	for i := range sites {
		sites[i] = up(t, Options{Self: self(i), Mode: External, URLs: []string{address}})
	}
	for _, s := range sites {
		await(t, patience, "the directory is there", func() bool { return ready(s, 1) })
	}
	a, b := sites[0], sites[1]
	show, other := a.must(claimOf("show", "host")), a.must(claimOf("other", "host"))
	b.sees("show", show.Gen, patience)
	b.sees("other", other.Gen, patience)
	a.nc.Close() // in silence
	died := time.Now()
	await(t, patience, "the node is off the list", func() bool { return len(b.Peers()) == 0 })
	if d := time.Since(died); d < quick.node/2 {
		t.Errorf("a node was taken for dead after %s of silence", d)
	}
	if _, ok := b.Lookup("show"); !ok {
		t.Error("the entry is gone with its node, before it expired")
	}
	if _, err := b.Claim(context.Background(), claimOf("other", "stranger")); !errors.Is(err, relay.ErrTaken) {
		t.Errorf("another credential: %v, not ErrTaken", err)
	}
	if e := b.must(relay.Claim{Stream: "show", Credential: "spare", Standby: true}); e.Gen <= show.Gen {
		t.Errorf("generation %d follows %d", e.Gen, show.Gen)
	}
	await(t, patience, "the other entry expires", func() bool { _, ok := b.Lookup("other"); return !ok })
	if e := b.must(claimOf("other", "stranger")); e.Gen <= other.Gen {
		t.Errorf("after it expired generation %d follows %d", e.Gen, other.Gen)
	}
	a.stop()
	a.start()
	await(t, patience, "the node is back", func() bool { return ready(a, 1) && ready(b, 1) })
	if e, ok := a.Lookup("other"); !ok || e.Origin != b.Self().Name {
		t.Errorf("the node that came back has %+v", e)
	}
}

// testRestart has an origin's node start anew within its entries' time to live: its streams wait for their publishers, a standby
// may have them, and their own publisher too.
func testRestart(t *testing.T) {
	address := operator(t)
	slow := quick
	slow.entry, slow.claim = 20*time.Second, 2*time.Second
	sites := make([]*site, 2)
	for i := range sites {
		sites[i] = up(t, Options{Self: self(i), Mode: External, URLs: []string{address}, pace: slow})
	}
	for _, s := range sites {
		await(t, patience, "the directory is there", func() bool { return ready(s, 1) })
	}
	a, b := sites[0], sites[1]
	show := a.must(claimOf("show", "host"))
	mine := a.must(claimOf("mine", "host"))
	b.sees("show", show.Gen, patience)
	a.stop()
	a.start()
	await(t, patience, "the node is back", func() bool { return ready(a, 1) && ready(b, 1) })
	if e := a.must(claimOf("mine", "host")); e.Gen <= mine.Gen {
		t.Errorf("after a restart generation %d follows %d", e.Gen, mine.Gen)
	}
	if _, ok := a.Lookup("show"); ok {
		t.Error("a node that started anew says that it is the origin of what it has forgotten")
	}
	await(t, patience, "the others hear that the publisher is not there", func() bool { e, ok := b.Lookup("show"); return ok && !e.Live })
	await(t, patience, "the standby has it", func() bool {
		_, err := b.Claim(context.Background(), relay.Claim{Stream: "show", Credential: "spare", Standby: true})
		return err == nil
	})
}

// testLeaderLost kills the core node that leads, then has only one of three left, then all again.
func testLeaderLost(t *testing.T) {
	sites := cores(t, 3, nil)
	leader := leaderOf(t, sites)
	dead, b, c := sites[leader], sites[(leader+1)%3], sites[(leader+2)%3]
	held, theirs := b.must(claimOf("held", "host")), dead.must(claimOf("theirs", "host"))
	c.sees("held", held.Gen, patience)
	c.sees("theirs", theirs.Gen, patience)
	dead.kill()
	// The others go on hearing each other while they elect.
	if len(b.Peers()) == 0 {
		t.Error("the nodes have lost each other with their leader")
	}
	await(t, patience, "another leads", func() bool {
		_, err := c.Claim(context.Background(), claimOf("theirs", "host"))
		return err == nil
	})
	if e, ok := c.Lookup("held"); !ok || e.Gen != held.Gen {
		t.Errorf("an entry was lost with the leader: %+v", e)
	}
	// Only one is left.
	c.kill()
	await(t, patience, "the last one knows that it is alone", func() bool { ok, _ := b.Healthy(); return !ok && len(b.Peers()) == 0 })
	if e, ok := b.Lookup("held"); !ok || e.Gen != held.Gen || len(b.Entries()) == 0 {
		t.Errorf("without a majority the entry is %+v", e)
	}
	if e := b.must(claimOf("held", "host")); e.Gen != held.Gen {
		t.Errorf("without a majority a return to the same node has generation %d, not %d", e.Gen, held.Gen)
	}
	began := time.Now()
	fresh := claimOf("fresh", "host")
	if _, err := b.Claim(context.Background(), fresh); !errors.Is(err, relay.ErrUnreachable) || time.Since(began) > quick.claim+2*time.Second {
		t.Errorf("without a majority a claim gives %v after %s", err, time.Since(began))
	}
	e := b.Assert(fresh)
	if got, ok := b.Lookup("fresh"); !ok || got.Gen != e.Gen || e.Gen == 0 {
		t.Errorf("the provisional entry is %+v", got)
	}
	dead.start()
	c.start()
	for _, s := range sites {
		await(t, patience, "the directory is back", func() bool { return ready(s, 2) })
	}
	for _, s := range []*site{dead, c} {
		s.sees("held", held.Gen, patience)
		s.sees("fresh", e.Gen, patience)
	}
	if b.supersededBy("held") != 0 || b.supersededBy("fresh") != 0 {
		t.Error("an origin lost its streams in the outage")
	}
}

// testPartition cuts an origin's node off. Its publisher moves to the others; it is told when it is back, and what it began
// meanwhile is taken or refused.
func testPartition(t *testing.T) {
	ports := freePorts(t, 4)
	routes, nowhere := ports[:3], ports[3]
	var cables []*cable
	sites := cores(t, 3, func(i int, o *Options) {
		o.Cluster = routes[i]
		o.Cores = nil
		o.advertise = nowhere // else nodes tell each other of ways around the cables
		for j := range routes {
			address := routes[j]
			if i != j && (i == 0 || j == 0) {
				c := lay(t, address)
				cables = append(cables, c)
				address = c.address
			}
			o.Cores = append(o.Cores, address)
		}
	})
	a, b := sites[0], sites[1]
	show := a.must(claimOf("show", "host"))
	b.sees("show", show.Gen, patience)
	for _, c := range cables {
		c.cut()
	}
	await(t, patience, "both sides know", func() bool {
		healthy, _ := a.Healthy()
		return !healthy && len(a.Peers()) == 0 && len(b.Peers()) == 1
	})
	var moved relay.Entry
	await(t, patience, "the publisher is at another node", func() bool {
		e, err := b.Claim(context.Background(), claimOf("show", "host"))
		moved = e
		return err == nil
	})
	theirs := b.must(claimOf("contested", "theirs"))
	// The one that is cut off goes on by itself.
	if e, ok := a.Lookup("show"); !ok || e.Gen != show.Gen || a.supersededBy("show") != 0 {
		t.Errorf("cut off, the origin has %+v", e)
	}
	if _, err := a.Claim(context.Background(), claimOf("contested", "ours")); !errors.Is(err, relay.ErrUnreachable) {
		t.Errorf("cut off, a claim gives %v", err)
	}
	contested, alone := a.Assert(claimOf("contested", "ours")), a.Assert(claimOf("alone", "ours"))
	if contested.Gen == 0 || contested.Gen == theirs.Gen {
		t.Errorf("the provisional generation is %d", contested.Gen)
	}
	for _, c := range cables {
		c.mend()
	}
	await(t, patience, "the old origin is told", func() bool { return a.supersededBy("show") == moved.Gen })
	await(t, patience, "a provisional claim against a live publisher is refused", func() bool {
		return a.supersededBy("contested") == theirs.Gen
	})
	b.sees("alone", alone.Gen, patience)
	a.sees("show", moved.Gen, patience)
	a.sees("contested", theirs.Gen, patience)
}

// testAlone starts one of three core nodes, then the others: the first one does not wait for them where it need not, and what it
// began alone is in the directory when there is one.
func testAlone(t *testing.T) {
	routes := freePorts(t, 3)
	began := time.Now()
	option := func(i int) Options {
		return Options{Self: self(i), Mode: Core, Dir: t.TempDir(), Cluster: routes[i], Cores: routes}
	}
	first := up(t, option(0))
	if d := time.Since(began); d > startWithin/2 {
		t.Errorf("the first node took %s to start without the others", d)
	}
	if _, err := first.Claim(context.Background(), claimOf("show", "host")); !errors.Is(err, relay.ErrUnreachable) {
		t.Errorf("alone, a claim gives %v", err)
	}
	if got := first.reachable(); got != "1 of 3 reachable" {
		t.Errorf("the log says %q", got)
	}
	show := first.Assert(claimOf("show", "host"))
	second := up(t, option(1))
	await(t, patience, "the nodes know each other without a directory", func() bool { return len(first.Peers()) == 1 && len(second.Peers()) == 1 })
	if healthy, _ := second.Healthy(); healthy {
		t.Error("the directory takes claims before it is there")
	}
	if listed(first) || listed(second) {
		t.Error("the list of streams was read before there was one")
	}
	third := up(t, option(2))
	third.sees("show", show.Gen, patience)
	second.sees("show", show.Gen, patience)
}
