package relay

import (
	"math/rand/v2"
	"slices"
	"time"

	"pushcart/packager/window"
)

// lookup brings the entry up to date; false when the directory has none at present.
func (c *copied) lookup() bool {
	e, ok := c.m.opt.Directory.Lookup(c.stream)
	if !ok || e.Gen < c.entry.Gen {
		return ok
	}
	if e.Gen > c.entry.Gen {
		c.changedAt = time.Now()
		clear(c.penalties)
		c.redirect = ""
	}
	c.entry = e
	if e.Origin != c.m.self.Name {
		c.before = e.Origin
	}
	return true
}

// outdated tells whether the present link has to be cut, because the stream has another origin. A node in between has a moment
// to follow.
func (c *copied) outdated(now *link, before Entry, clock time.Time) bool {
	if now == nil {
		c.graceEnd = time.Time{}
		return false
	}
	if c.entry.Gen > before.Gen && before.Gen != 0 && c.entry.Origin != c.m.self.Name {
		if now.peer.Name == before.Origin && c.entry.Origin != before.Origin {
			c.graceEnd = time.Time{}
			return true
		}
		c.graceEnd = clock.Add(c.m.pace.grace)
	}
	if c.graceEnd.IsZero() {
		return false
	}
	if c.t.gen() >= c.entry.Gen {
		c.graceEnd = time.Time{}
	} else if !clock.Before(c.graceEnd) {
		c.graceEnd = time.Time{}
		c.penalties.failed(now.peer.Name, clock, rand.Float64())
		return true
	}
	return false
}

// candidates are the nodes to copy from, the best first.
func (c *copied) candidates() []string {
	if healthy, _ := c.m.opt.Directory.Healthy(); healthy {
		clear(c.heard)
	}
	for _, p := range c.m.opt.Directory.Peers() {
		c.heard[p.Name] = p
	}
	peers := make([]Peer, 0, len(c.heard))
	for _, p := range c.heard {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int { return index(a.Name > b.Name) - index(a.Name < b.Name) })
	names := sources(c.m.self, peers, c.entry, c.m.reachable)
	p, ok := c.heard[c.redirect]
	if !ok || !permitted(c.entry, p.Region) || !c.m.reachable(p) || p.Name == c.m.self.Name || slices.Contains(names, p.Name) {
		return names
	}
	at := len(names)
	if origin := slices.Index(names, c.entry.Origin); origin >= 0 && p.Region == c.m.self.Region {
		at = origin // it saves the way to the origin's region
	}
	return slices.Insert(names, at, p.Name)
}

// better tells whether the best node is a better one than that which is copied from.
func (c *copied) better(names []string, best string, now *link) bool {
	if best == "" || best == now.peer.Name {
		return false
	}
	if closed(now.unfit) {
		return true
	}
	present := slices.Index(names, now.peer.Name)
	return present < 0 || slices.Index(names, best) < present
}

// stalled tells whether a node has brought nothing for a while that others have: its own way to the origin may be lost, and it
// answers all the same.
func (c *copied) stalled(now *link, clock time.Time) bool {
	c.t.mu.Lock()
	at, _ := leading(c.t.p)
	c.t.mu.Unlock()
	if at != c.reached || c.reachedAt.Before(c.movedAt) {
		c.reached, c.reachedAt = at, clock
		return false
	}
	if clock.Sub(c.reachedAt) < c.m.pace.stall {
		return false
	}
	for _, p := range c.heard {
		for _, h := range p.Streams {
			if h.Stream == c.stream && p.Name != now.peer.Name && h.Gen >= c.entry.Gen && sooner(at, window.Position{MSN: h.MSN, Part: h.Part}) {
				return true
			}
		}
	}
	return false
}

// vanished tells whether the stream's origin is gone for good: the directory, which is well, has not had an entry for a while,
// and no node gives the stream. there tells that one of the two is.
func (c *copied) vanished(there bool, clock time.Time) bool {
	healthy, _ := c.m.opt.Directory.Healthy()
	if there || !healthy {
		c.goneSince = time.Time{}
		return false
	}
	if c.goneSince.IsZero() {
		c.goneSince = clock
	}
	if clock.Sub(c.goneSince) < c.m.pace.vanish {
		return false
	}
	c.goneSince = time.Time{}
	return true
}
