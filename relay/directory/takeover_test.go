package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pushcart/relay"
)

// leaderOf is the index of the node that leads the bucket of streams.
func leaderOf(t *testing.T, sites []*site) int {
	t.Helper()
	info, err := (*sites[0].buckets.streams.Load()).Info(t.Context())
	if err != nil || info.Cluster == nil {
		t.Fatalf("who leads: %v", err)
	}
	for i := range sites {
		if sites[i].opts.Self.Name == info.Cluster.Leader {
			return i
		}
	}
	t.Fatalf("nobody of the test leads, but %q", info.Cluster.Leader)
	return 0
}

// cabled are options of core nodes whose routes all go over cables, and those cables; cables[i] are all of node i's.
func cabled(t *testing.T) (tweak func(i int, o *Options), cables [][]*cable) {
	ports := freePorts(t, 4)
	routes, nowhere := ports[:3], ports[3]
	cables = make([][]*cable, 3)
	ways := make([][]string, 3)
	for i := range routes {
		for j := range routes {
			address := routes[j]
			if i != j {
				c := lay(t, address)
				cables[i], cables[j] = append(cables[i], c), append(cables[j], c)
				address = c.address
			}
			ways[i] = append(ways[i], address)
		}
	}
	return func(i int, o *Options) {
		o.Cluster, o.Cores, o.advertise = routes[i], ways[i], nowhere // else nodes tell each other of ways around the cables
	}, cables
}

// testOriginKilled kills the node that is the origin, leads the buckets and feeds watches, as a loss of power would: nothing is
// handed over. The publisher comes to another node as soon as there is another leader. The third node has to know at once, although
// its watch may be fed by the dead one.
func testOriginKilled(t *testing.T) {
	tweak, cables := cabled(t)
	patient := quick
	// Neither a renewal nor the regular check helps.
	patient.renew, patient.entry, patient.check = 20*time.Second, 60*time.Second, 20*time.Second
	sites := cores(t, 3, func(i int, o *Options) { tweak(i, o); o.pace = patient })
	leader := leaderOf(t, sites)
	dead, b, c := sites[leader], sites[(leader+1)%3], sites[(leader+2)%3]
	show := dead.must(claimOf("show", "host"))
	b.sees("show", show.Gen, patience)
	c.sees("show", show.Gen, patience)
	for _, x := range cables[leader] {
		x.sever()
	}
	var moved int64
	await(t, patience, "the publisher is at another node", func() bool {
		e, err := b.Claim(context.Background(), claimOf("show", "host"))
		moved = e.Gen
		return err == nil
	})
	granted := time.Now()
	c.sees("show", moved, 10*time.Second)
	t.Logf("the third node knew it %s later", time.Since(granted).Round(time.Millisecond))
}

// deaf has a node's watch give nothing, without an end, as when the server that feeds it is gone.
func (s *site) deaf(t *testing.T) {
	t.Helper()
	bucket := *s.buckets.streams.Load()
	names := bucket.ConsumerNames(t.Context())
	for name := range names.Name() {
		if err := bucket.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
}

// testDeafWatch takes the watches of two nodes away. One learns what others tell, long before anything else helps; the other one
// has its watch made anew.
func testDeafWatch(t *testing.T) {
	address := operator(t)
	sites := make([]*site, 2)
	for i := range sites {
		o := Options{Self: self(i), Mode: External, URLs: []string{address}, pace: quick}
		if i == 0 {
			o.pace.check = time.Minute // NATS itself needs ten seconds
		}
		sites[i] = up(t, o)
	}
	for _, s := range sites {
		await(t, patience, "the directory is there", func() bool { return ready(s, 1) })
	}
	a, b := sites[0], sites[1]
	show := a.must(claimOf("show", "host"))
	b.sees("show", show.Gen, patience)
	a.deaf(t)
	moved := b.must(claimOf("show", "host"))
	b.SetLive("show", moved.Gen, false)
	await(t, 8*time.Second, "the old origin is told", func() bool { return a.supersededBy("show") == moved.Gen })
	await(t, 8*time.Second, "it hears that the publisher is away", func() bool { e, _ := a.Lookup("show"); return e.Gen == moved.Gen && !e.Live })
	b.Release("show", moved.Gen)
	a.sees("show", 0, 8*time.Second)
	// What nobody tells comes by the watch alone.
	b.deaf(t)
	other := good("other", show.Gen)
	data, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.js.Publish(t.Context(), streamsPrefix+"other", data); err != nil {
		t.Fatal(err)
	}
	b.sees("other", other.Gen, 8*time.Second)
}

// listed tells whether a node has read the list of streams to its end.
func listed(s *site) bool {
	select {
	case <-s.Listed():
		return true
	default:
		return false
	}
}

// testListed has nodes that come to streams which are there already: when Listed is closed they know all of them, and not before
// there is a directory.
func testListed(t *testing.T) {
	address := operator(t)
	first := up(t, Options{Self: self(0), Mode: External, URLs: []string{address}})
	await(t, patience, "the directory is there", func() bool { return ready(first, 0) })
	if !listed(first) {
		t.Error("the list is read, but not told to be")
	}
	gens := map[string]int64{}
	for i := range 100 {
		name := fmt.Sprint("show-", i)
		gens[name] = first.must(claimOf(name, "host")).Gen
	}
	second := up(t, Options{Self: self(1), Mode: External, URLs: []string{address}})
	select {
	case <-second.Listed():
	case <-time.After(20 * time.Second):
		t.Fatal("the list did not come to its end")
	}
	for name, gen := range gens {
		if e, ok := second.Lookup(name); !ok || e.Gen != gen {
			t.Errorf("with the whole list the entry of %s is %+v", name, e)
		}
	}
	// What it said at the very last is in the bucket when it has stopped.
	var leaving []relay.Entry
	for i := range 50 {
		leaving = append(leaving, second.must(claimOf(fmt.Sprint("leaving-", i), "host")))
	}
	for _, e := range leaving {
		second.SetLive(e.Stream, e.Gen, false)
	}
	second.Close()
	second.stop()
	for _, x := range leaving {
		m, err := (*first.buckets.streams.Load()).GetLastMsgForSubject(t.Context(), streamsPrefix+x.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := parseEntry(x.Stream, m.Data, time.Now()); err != nil || e.Live {
			t.Fatalf("the node that stopped has left %+v, %v", e, err)
		}
	}
	if !listed(second) {
		t.Error("the list was told to be read, and is not any more")
	}
}

// TestFollowing has what a watch is held against.
func TestFollowing(t *testing.T) {
	t.Parallel()
	start := time.Unix(1700000000, 0)
	info := func(created time.Time, last uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{Created: created, State: jetstream.StreamState{LastSeq: last}}
	}
	for _, c := range []struct {
		what  string
		after time.Duration
		infos []*jetstream.StreamInfo
		want  error // of the last one; the others give none
	}{
		{"nothing new", time.Second, []*jetstream.StreamInfo{info(start, 7), info(start, 7)}, nil},
		{"something new, which may be on its way", time.Second, []*jetstream.StreamInfo{info(start, 7), info(start, 8)}, nil},
		{"it did not come", time.Second, []*jetstream.StreamInfo{info(start, 8), info(start, 9)}, errBehind},
		{"another bucket", time.Second, []*jetstream.StreamInfo{info(start.Add(1), 7)}, errReset},
		{"less than what has come, for a moment", time.Second, []*jetstream.StreamInfo{info(start, 6), info(start, 7)}, nil},
		{"less than what has come", time.Second, []*jetstream.StreamInfo{info(start, 6), info(start, 6)}, errReset},
		{"it is old", relistEvery + 1, []*jetstream.StreamInfo{info(start, 7)}, relistError("regular")},
	} {
		f := following{began: start, moved: start, created: start, seen: 7}
		for i, info := range c.infos {
			want := c.want
			if i < len(c.infos)-1 {
				want = nil
			}
			if err := f.check(info, start.Add(c.after)); err != want {
				t.Errorf("%s: check %d gives %v, not %v", c.what, i+1, err, want)
			}
		}
	}
}
