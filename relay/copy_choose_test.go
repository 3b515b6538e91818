package relay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/packager/window"
)

// TestSources: whom a node copies from.
func TestSources(t *testing.T) {
	t.Parallel()
	e := Entry{Stream: "show", Origin: "eu-1", Region: "eu"}
	names := ranked("show")
	peer := func(name, region string) Peer { return Peer{Name: name, Region: region, Address: "a:1"} }
	eu1, eu2 := peer("eu-1", "eu"), peer("eu-2", "eu")
	first, second, third := peer(names[0], "us"), peer(names[1], "us"), peer(names[2], "us")
	asia := peer("asia-1", "asia")
	asia.Streams = []Held{{Stream: "show", From: "eu-1"}}
	all := []Peer{asia, eu1, eu2, first, second, third}
	without := func(names ...string) []Peer {
		return slices.DeleteFunc(slices.Clone(all), func(p Peer) bool { return slices.Contains(names, p.Name) })
	}
	changed := func(p Peer, change func(*Peer)) []Peer {
		others := without(p.Name)
		change(&p)
		return append(others, p)
	}
	for _, c := range []struct {
		name  string
		self  Peer
		peers []Peer
		e     Entry
		want  []string
	}{
		{"the region's first", first, all, e, []string{"eu-1", "asia-1"}},
		{"its second", second, all, e, []string{names[0], "eu-1", "asia-1"}},
		{"its third", third, all, e, []string{names[0], names[1], "eu-1", "asia-1"}},
		{"its third without the first", third, without(names[0]), e, []string{names[1], "eu-1", "asia-1"}},
		{"its third without the others", third, without(names[0], names[1]), e, []string{"eu-1", "asia-1"}},
		{"a full first one", third, changed(first, func(p *Peer) { p.Load.Full = true }), e, []string{names[1], names[0], "eu-1", "asia-1"}},
		{"a first one that cannot be called", third, changed(first, func(p *Peer) { p.Address = "" }), e, []string{names[1], "eu-1", "asia-1"}},
		{"the origin's region", eu2, all, e, []string{"eu-1", "asia-1"}},
		{"an origin that cannot be called", first, changed(eu1, func(p *Peer) { p.Address = "" }), e, []string{"asia-1"}},
		{"a second that has it from the origin", first, changed(second, func(p *Peer) { p.Streams = []Held{{Stream: "show", From: "eu-1"}} }), e,
			[]string{"eu-1", names[1], "asia-1"}},
		{"a second that has it from another", first, changed(second, func(p *Peer) { p.Streams = []Held{{Stream: "show", From: names[2]}} }), e,
			[]string{"eu-1", "asia-1"}},
		{"a region that may not have it", first, all, Entry{Stream: "show", Origin: "eu-1", Region: "eu", Regions: []string{"eu", "us"}}, []string{"eu-1"}},
		{"nobody", first, nil, e, nil},
	} {
		peers := slices.Clone(c.peers)
		rand.Shuffle(len(peers), func(i, k int) { peers[i], peers[k] = peers[k], peers[i] })
		got := sources(c.self, peers, c.e, func(p Peer) bool { return p.Address != "" })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}

// TestWeight: each node is the first of about as many streams, and one that goes moves only those that were its own.
func TestWeight(t *testing.T) {
	t.Parallel()
	var peers []Peer
	for i := range 5 {
		peers = append(peers, Peer{Name: fmt.Sprintf("us-%d", i+1)})
	}
	const streams = 2000
	count := map[string]int{}
	moved := 0
	for i := range streams {
		stream := fmt.Sprintf("show-%d", i)
		all := slices.Clone(peers)
		byWeight(stream, all)
		count[all[0].Name]++
		fewer := slices.Clone(peers[:4])
		byWeight(stream, fewer)
		if all[0].Name != fewer[0].Name && all[0].Name != "us-5" {
			moved++
		}
	}
	for name, n := range count {
		if n < streams/5*3/4 || n > streams/5*5/4 {
			t.Errorf("%s has %d of %d streams", name, n, streams)
		}
	}
	if moved > 0 || len(count) != 5 {
		t.Errorf("%d streams moved for no reason; %v", moved, count)
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path []string
		good bool
	}{
		{[]string{"asked"}, true},
		{[]string{"origin", "asked"}, true},
		{[]string{"origin", "middle", "asked"}, false},
		{[]string{"self", "asked"}, false},
		{[]string{"asked", "origin"}, false},
		{nil, false},
	} {
		if why := checkPath(c.path, "self", "asked"); (why == "") != c.good {
			t.Errorf("%v: %q", c.path, why)
		}
	}
}

// TestPenalties: who fails is left alone for longer each time, 5 s and a quarter at most, and the next one is taken meanwhile.
func TestPenalties(t *testing.T) {
	t.Parallel()
	p := penalties{}
	now := time.Unix(1000, 0)
	names := []string{"a", "b"}
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		p.failed("a", now, 0)
		if name, _ := p.choose(names, now); name != "b" {
			t.Fatalf("%q is chosen after %d failures of a", name, i+1)
		}
		if name, wait := p.choose(names[:1], now); name != "" || wait != want*time.Millisecond {
			t.Errorf("%q after %v, not %v ms", name, wait, int64(want))
		}
		now = now.Add(want * time.Millisecond)
		if name, _ := p.choose(names, now); name != "a" {
			t.Errorf("%q is chosen after the wait", name)
		}
	}
	if d := backOff(100, 1); d != longestWait+longestWait/4 {
		t.Errorf("%v at the most", d)
	}
	if _, wait := p.choose(nil, now); wait != longestWait {
		t.Errorf("%v without nodes", wait)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := Settings{Prefetch: []string{"show-*", "["}}.withDefaults()
	if s.Idle != DefaultIdle || s.MaxCopies != DefaultMaxCopies || s.Keep != DefaultKeep {
		t.Errorf("%+v", s)
	}
	if !s.prefetched("show-1") || s.prefetched("other") || s.prefetched("[") {
		t.Error("patterns match what they should not, or the reverse")
	}
}

// TestHave: what a request says that there is, in ranges, the newest first, eight at most.
func TestHave(t *testing.T) {
	t.Parallel()
	part := func(have bool) window.Part {
		if have {
			return window.Part{Size: 1, Data: []byte{1}}
		}
		return window.Part{Size: 1}
	}
	segment := func(gen, msn int64, parts string) *window.Segment {
		g := &window.Segment{Gen: gen, MSN: msn}
		for _, p := range parts {
			g.Parts = append(g.Parts, part(p == 'x'))
		}
		return g
	}
	s := &window.Snapshot{Segments: []*window.Segment{segment(7, 1, "xx-"), segment(7, 2, "---"), segment(7, 3, "-x"), segment(8, 4, "xx")}}
	if got, want := have(s), "7:3.1-8:4.1,7:1.0-7:1.1"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	s.Segments = []*window.Segment{segment(7, 1, "x-x-x-x-x-x-x-x-x-x")}
	if ranges, err := parseHave(have(s)); err != nil || len(ranges) != 8 {
		t.Errorf("%v, %v", ranges, err)
	}
	if have(&window.Snapshot{}) != "" {
		t.Error("something of nothing")
	}
}
