package directory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"pushcart/relay"
)

// suite is what any directory has to do, seen from two of its nodes.
func suite(t *testing.T, a, b *site) {
	ctx := context.Background()
	aName, bName := a.Self().Name, b.Self().Name
	changed := b.Changed()

	first := a.must(relay.Claim{Stream: "show", Credential: "host", Regions: []string{"eu", "us"}})
	if first.Origin != aName || first.Region != a.Self().Region || !first.Live || len(first.Secret) != 32 {
		t.Fatalf("the claim's entry is %+v", first)
	}
	b.sees("show", first.Gen, patience)
	select {
	case <-changed:
	case <-time.After(3 * time.Second):
		t.Error("Changed was not closed when an entry came")
	}
	got, _ := b.Lookup("show")
	if got.Origin != aName || string(got.Secret) != string(first.Secret) || len(got.Regions) != 2 {
		t.Errorf("the other node has %+v", got)
	}

	// Another credential, and a standby.
	if _, err := b.Claim(ctx, claimOf("show", "stranger")); !errors.Is(err, relay.ErrTaken) {
		t.Errorf("another credential: %v, not ErrTaken", err)
	}
	standby := relay.Claim{Stream: "show", Credential: "spare", Standby: true}
	if _, err := b.Claim(ctx, standby); !errors.Is(err, relay.ErrStandby) {
		t.Errorf("a standby: %v, not ErrStandby", err)
	}
	// The publisher returns to the same node.
	if again := a.must(claimOf("show", "host")); again.Gen != first.Gen || string(again.Secret) != string(first.Secret) {
		t.Errorf("a return to the same node has generation %d, not %d", again.Gen, first.Gen)
	}
	// It goes away: the standby takes over after a while; it comes back: the standby gives way at once.
	a.SetLive("show", first.Gen, false)
	await(t, patience, "the other node hears that the publisher is away", func() bool { e, _ := b.Lookup("show"); return !e.Live })
	var second relay.Entry
	await(t, patience, "the standby takes over", func() (ok bool) {
		e, err := b.Claim(ctx, standby)
		second = e
		return err == nil
	})
	if second.Gen <= first.Gen || second.Origin != bName || !second.Standby {
		t.Errorf("the standby's entry is %+v, the first one's generation was %d", second, first.Gen)
	}
	await(t, patience, "the first origin is told", func() bool { return a.supersededBy("show") == second.Gen })
	a.sees("show", second.Gen, patience)
	third := a.must(claimOf("show", "host"))
	if third.Gen <= second.Gen {
		t.Errorf("generation %d follows %d", third.Gen, second.Gen)
	}
	await(t, patience, "the standby is told", func() bool { return b.supersededBy("show") == third.Gen })
	// A phone that changes its network.
	fourth := b.must(claimOf("show", "host"))
	await(t, patience, "the origin that was left is told", func() bool { return a.supersededBy("show") == fourth.Gen })
	// What a superseded origin says is not heard.
	a.Release("show", third.Gen)
	a.SetLive("show", third.Gen, false)
	if e, ok := b.Lookup("show"); !ok || !e.Live || e.Gen != fourth.Gen {
		t.Errorf("a superseded origin changed the entry to %+v", e)
	}
	// Entries outlast their time to live.
	until := time.Now().Add(quick.entry + time.Second)
	await(t, patience, "time passes", func() bool { return time.Now().After(until) })
	if e, ok := a.Lookup("show"); !ok || e.Gen != fourth.Gen {
		t.Error("the entry was not renewed")
	}
	b.Release("show", fourth.Gen)
	a.sees("show", 0, patience)
	if len(a.Entries()) != 0 || len(b.Entries()) != 0 {
		t.Errorf("entries are left: %v, %v", a.Entries(), b.Entries())
	}
	fifth := a.must(claimOf("show", "stranger"))
	if fifth.Gen <= fourth.Gen {
		t.Errorf("after a release generation %d follows %d", fifth.Gen, fourth.Gen)
	}
	a.Release("show", fifth.Gen)
	// A standby and its primary on one node: the stream stays where it is.
	spare := a.must(relay.Claim{Stream: "both", Credential: "spare", Standby: true})
	primary := a.must(claimOf("both", "host"))
	if primary.Gen != spare.Gen || string(primary.Secret) != string(spare.Secret) || primary.Standby || primary.Credential != "host" {
		t.Errorf("on the same node the entry %+v follows %+v", primary, spare)
	}
	await(t, patience, "the other node knows whose it is", func() bool { e, _ := b.Lookup("both"); return e.Credential == "host" && !e.Standby })
	if a.supersededBy("both") != 0 {
		t.Error("a node was told that it has superseded itself")
	}
	a.Release("both", primary.Gen)

	for _, s := range []*site{a, b} {
		for _, p := range s.Peers() {
			if p.Name == s.Self().Name || p.Region == "" || p.Version != "test" || p.Keys == "" || p.Load.Viewers != 7 ||
				len(p.Streams) != 1 || p.Streams[0].Stream != "held" || time.Since(p.Seen) > quick.node+5*time.Second {
				t.Errorf("%s has the peer %+v", s.Self().Name, p)
			}
		}
		if len(s.Peers()) == 0 {
			t.Errorf("%s has no peers", s.Self().Name)
		}
	}
}

// figures gives heartbeats something to carry.
func figures(o *Options) {
	o.Load = func() relay.Load { return relay.Load{CPU: 0.5, Viewers: 7} }
	o.Held = func() []relay.Held { return []relay.Held{{Stream: "held", Gen: 5, MSN: 6, Part: 7}} }
}

// race has ten claim one stream at once: of ten credentials one wins; of one credential's ten claims the last one stays.
func race(t *testing.T, sites []*site) {
	var wg sync.WaitGroup
	errs, entries := make([]error, 10), make([]relay.Entry, 10)
	for i := range 10 {
		wg.Go(func() {
			entries[i], errs[i] = sites[i%len(sites)].claimSoon(claimOf("raced", fmt.Sprint("host-", i)))
		})
	}
	wg.Wait()
	won := relay.Entry{}
	for i, err := range errs {
		switch {
		case err == nil && won.Gen != 0:
			t.Errorf("two have won: %s and %s", won.Credential, entries[i].Credential)
		case err == nil:
			won = entries[i]
		case !errors.Is(err, relay.ErrTaken):
			t.Errorf("claim %d: %v, not ErrTaken", i, err)
		}
	}
	if won.Gen == 0 {
		t.Fatal("nobody has won")
	}
	for i := range sites {
		sites[i].sees("raced", won.Gen, patience)
	}
	gens := make([]int64, len(sites))
	for i := range sites {
		wg.Go(func() { gens[i] = sites[i].must(claimOf("moving", "host")).Gen })
	}
	wg.Wait()
	last := max(gens[0], gens[1], gens[2])
	for i := range sites {
		sites[i].sees("moving", last, patience)
		if gens[i] != last {
			await(t, patience, "a loser is told", func() bool { return sites[i].supersededBy("moving") > gens[i] })
		}
	}
}

// trial is a test among several that run at once.
type trial struct {
	name string
	run  func(*testing.T)
}

// together runs tests at once, as many as there is room for and in this order, however few processors there are: they wait nearly
// all of their time.
func together(t *testing.T, room int, trials ...trial) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, room)
	for _, x := range trials {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			t.Run(x.name, x.run)
		})
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	before := runtime.NumGoroutine()
	// Those with elections take the longest.
	together(t, 6, trial{"leader lost", testLeaderLost}, trial{"partition", testPartition}, trial{"origin killed", testOriginKilled},
		trial{"cores", testCores}, trial{"node lost", testNodeLost}, trial{"external", testExternal}, trial{"restart", testRestart},
		trial{"carried vanish", testCarriedVanish}, trial{"deaf watch", testDeafWatch}, trial{"leaf", testLeaf}, trial{"alone", testAlone},
		trial{"listed", testListed}, trial{"single", testSingle})
	await(t, patience, "all goroutines of nodes have ended", func() bool { return runtime.NumGoroutine() <= before+3 })
}

// testSingle has a node that is alone: it opens no port.
func testSingle(t *testing.T) {
	s := cores(t, 1, nil)[0]
	if a := s.server.Addr(); a != nil {
		t.Errorf("it listens at %s", a)
	}
	if a := s.server.ClusterAddr(); a != nil {
		t.Errorf("it listens at %s", a)
	}
	e := s.must(claimOf("show", "host"))
	s.Release("show", e.Gen)
	s.sees("show", 0, patience)
	s.stop()
	s.start() // its file of cards is still there, and the release was not forgotten before the end
	await(t, patience, "it is back", func() bool { return ready(s, 0) })
	if _, ok := s.Lookup("show"); ok {
		t.Error("what was released is there again")
	}
}

// testCores has what needs three core nodes that are well. Their clocks are five seconds apart.
func testCores(t *testing.T) {
	sites := cores(t, 3, func(i int, o *Options) {
		figures(o)
		o.Now = func() time.Time { return time.Now().Add(time.Duration(i-1) * 5 * time.Second) }
	})
	together(t, 3,
		trial{"suite", func(t *testing.T) { suite(t, sites[2], sites[0]) }},
		trial{"cards", func(t *testing.T) { cards(t, sites[0], sites[1], 1200<<10, 10) }},
		trial{"tunnel", func(t *testing.T) { whole(t, sites[0], sites[1], 0, maxInline+1) }},
	)
	t.Run("race", func(t *testing.T) { race(t, sites) })
	t.Run("hostile", func(t *testing.T) { hostile(t, sites[0], sites[1]) })
}

// testLeaf has a leaf node at a core node that is alone, all over TLS.
func testLeaf(t *testing.T) {
	ca, address := newAuthority(t), freePorts(t, 1)[0]
	core := cores(t, 1, func(_ int, o *Options) { o.Leaf, o.TLS = address, ca.config("node-0"); figures(o) })[0]
	o := Options{Self: self(1), Mode: Leaf, URLs: []string{address}, TLS: ca.config("node-1")}
	figures(&o)
	leaf := up(t, o)
	await(t, patience, "the leaf has the directory", func() bool { return ready(leaf, 1) && ready(core, 1) })
	together(t, 3,
		trial{"suite", func(t *testing.T) { suite(t, leaf, core) }},
		trial{"tunnel", func(t *testing.T) { whole(t, leaf, core, 10, maxInline+1) }},
	)
	t.Run("stranger", func(t *testing.T) {
		stranger := up(t, Options{Self: self(2), Mode: Leaf, URLs: []string{address}, TLS: newAuthority(t).config("node-2")})
		plain := up(t, Options{Self: self(3), Mode: Leaf, URLs: []string{address}})
		until := time.Now().Add(1500 * time.Millisecond)
		await(t, patience, "strangers try", func() bool { return time.Now().After(until) })
		for _, s := range []*site{stranger, plain} {
			if s.server.NumLeafNodes() != 0 || len(s.Peers()) != 0 {
				t.Errorf("%s was let in without a certificate of the cluster", s.opts.Self.Name)
			}
		}
	})
}

// testExternal has two nodes at a NATS server that is not theirs, with its usual limit of a message.
func testExternal(t *testing.T) {
	address := operator(t)
	sites := make([]*site, 2)
	for i := range sites {
		o := Options{Self: self(i), Mode: External, URLs: []string{address}}
		figures(&o)
		sites[i] = up(t, o)
	}
	for _, s := range sites {
		await(t, patience, "the directory is there", func() bool { return ready(s, 1) })
	}
	together(t, 3,
		trial{"suite", func(t *testing.T) { suite(t, sites[0], sites[1]) }},
		trial{"cards", func(t *testing.T) { cards(t, sites[0], sites[1], 900<<10, 1200<<10, 1100<<10, 10) }},
		trial{"tunnel", func(t *testing.T) {
			whole(t, sites[0], sites[1], 0, 10, maxInline, maxInline+1, maxBody)
			carried(t, sites[0], sites[1])
		}},
	)
}
