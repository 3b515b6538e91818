package relay

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// maxNodes bounds how many nodes of a path there may be in front of this one: the origin and one that copied from it.
const maxNodes = 2

// sources returns the names of the nodes that a stream may be copied from, the best first.
//
// One node of each region crosses the ocean: the one with the highest rendezvous weight among the region's live nodes, self
// included. Its region's other nodes copy from it, or from those between it and themselves where it cannot be had. A node never
// asks one of a lower weight before the origin, so that the nodes of a region cannot wait for one another. In the origin's own
// region everybody asks the origin.
//
// Behind the origin come other nodes that have the stream from the origin itself: where the way to the origin is lost, or the
// origin is behind a firewall, they may have what this node cannot get. reachable tells which nodes can be called at all.
func sources(self Peer, peers []Peer, e Entry, reachable func(Peer) bool) []string {
	var names []string
	add := func(p Peer) {
		if p.Name != self.Name && !slices.Contains(names, p.Name) && reachable(p) {
			names = append(names, p.Name)
		}
	}
	if self.Region != e.Region {
		own := Weight(e.Stream, self.Name)
		var ahead []Peer
		for _, p := range peers {
			if p.Region == self.Region && p.Name != e.Origin && before(Weight(e.Stream, p.Name), p.Name, own, self.Name) {
				ahead = append(ahead, p)
			}
		}
		byWeight(e.Stream, ahead)
		for _, full := range []bool{false, true} {
			for _, p := range ahead {
				if p.Load.Full == full && permitted(e, p.Region) {
					add(p)
				}
			}
		}
	}
	var second []Peer
	for _, p := range peers {
		if p.Name == e.Origin {
			add(p)
			continue
		}
		if holds(p, e) && permitted(e, p.Region) {
			second = append(second, p)
		}
	}
	byWeight(e.Stream, second)
	slices.SortStableFunc(second, func(a, b Peer) int { return index(b.Region == self.Region) - index(a.Region == self.Region) })
	for _, p := range second {
		add(p)
	}
	return names
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// holds tells whether a node has a stream from its origin directly, as far as it told.
func holds(p Peer, e Entry) bool {
	return slices.ContainsFunc(p.Streams, func(h Held) bool { return h.Stream == e.Stream && h.From == e.Origin })
}

// byWeight sorts nodes by their rendezvous weight for a stream, the highest first.
func byWeight(stream string, peers []Peer) {
	slices.SortFunc(peers, func(a, b Peer) int {
		if before(Weight(stream, a.Name), a.Name, Weight(stream, b.Name), b.Name) {
			return -1
		}
		return 1
	})
}

func before(a uint64, aName string, b uint64, bName string) bool {
	if a != b {
		return a > b
	}
	return aName < bName
}

// Weight is the rendezvous hash of a stream and a node: each node that comes or goes moves only the streams that are its own.
func Weight(stream, node string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(stream))
	h.Write([]byte{0})
	h.Write([]byte(node))
	// FNV's high bits hardly depend on the last letters, which is where names of nodes differ.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// checkPath tells why a path, from the origin to the node that was asked, is none to copy by; "" is none.
func checkPath(path []string, self, asked string) string {
	switch {
	case len(path) == 0 || path[len(path)-1] != asked:
		return "its path does not end with it"
	case slices.Contains(path, self):
		return "it has the stream from this node: " + strings.Join(path, ", ")
	case len(path) > maxNodes:
		return "it is too far from the origin: " + strings.Join(path, ", ")
	}
	return ""
}

// Waits between attempts at a node that failed. Each is made longer by up to a quarter, so that those whom one failure
// took away do not come back at the same moment.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
)

// penalties say which nodes failed lately and until when each is left alone. For one goroutine at a time.
type penalties map[string]*penalty

type penalty struct {
	failures int
	until    time.Time
}

// failed leaves a node alone for a while, for longer with each failure in a row; random is from 0 to below 1.
func (p penalties) failed(node string, now time.Time, random float64) {
	n := p[node]
	if n == nil {
		n = &penalty{}
		p[node] = n
	}
	wait := backOff(n.failures, random)
	n.failures++
	n.until = now.Add(wait)
}

// choose returns the first of the nodes that is not left alone; "" when all are, and for how long then.
func (p penalties) choose(nodes []string, now time.Time) (string, time.Duration) {
	wait := longestWait
	for _, name := range nodes {
		n := p[name]
		if n == nil || !now.Before(n.until) {
			return name, 0
		}
		wait = min(wait, n.until.Sub(now))
	}
	return "", wait
}

// backOff is how long to wait after so many failures in a row before this one.
func backOff(before int, random float64) time.Duration {
	wait := min(firstWait<<min(before, 10), longestWait)
	return wait + time.Duration(float64(wait)*random/4)
}
