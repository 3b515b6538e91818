package relay

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// memoryCluster is what the nodes of a test know of one another and of streams: a directory in memory, for any number of nodes.
type memoryCluster struct {
	mu      sync.Mutex
	peers   map[string]Peer
	entries map[string]Entry
	last    map[string]int64 // highest generation that each stream ever had
	changed chan struct{}
}

func newMemoryCluster() *memoryCluster {
	return &memoryCluster{peers: map[string]Peer{}, entries: map[string]Entry{}, last: map[string]int64{}, changed: make(chan struct{})}
}

// change does something to the cluster and tells all its directories.
func (c *memoryCluster) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

// set makes a node known as it is now, and remove forgets it.
func (c *memoryCluster) set(p Peer)         { c.change(func() { c.peers[p.Name] = p }) }
func (c *memoryCluster) remove(name string) { c.change(func() { delete(c.peers, name) }) }

// drop forgets a stream's entry, as when its origin is gone for longer than the entry lasts.
func (c *memoryCluster) drop(stream string) { c.change(func() { delete(c.entries, stream) }) }

// policy sets the regions of a stream.
func (c *memoryCluster) policy(stream string, regions ...string) {
	c.change(func() {
		e := c.entries[stream]
		e.Regions = regions
		c.entries[stream] = e
	})
}

// directory is one node's view of the cluster.
func (c *memoryCluster) directory(self string) *memoryDirectory {
	return &memoryDirectory{cluster: c, self: self}
}

// memoryDirectory is a Directory. A cut one still knows what it knew, and hears of nothing.
type memoryDirectory struct {
	cluster *memoryCluster
	self    string

	mu      sync.Mutex
	cut     bool
	peers   map[string]Peer
	entries map[string]Entry
	never   chan struct{}
}

// setCut takes the way to the cluster away, or gives it back.
func (d *memoryDirectory) setCut(cut bool) {
	d.cluster.change(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cut = cut
		d.peers, d.entries = nil, nil
		d.never = make(chan struct{})
		if cut {
			// Signs of life do not come any more; entries are remembered.
			d.peers, d.entries = map[string]Peer{}, maps.Clone(d.cluster.entries)
		}
	})
}

// forget has a cut directory lose what it knew of a stream.
func (d *memoryDirectory) forget(stream string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.entries, stream)
}

func (d *memoryDirectory) read(f func(peers map[string]Peer, entries map[string]Entry, changed chan struct{})) {
	d.cluster.mu.Lock()
	defer d.cluster.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		f(d.peers, d.entries, d.never)
		return
	}
	f(d.cluster.peers, d.cluster.entries, d.cluster.changed)
}

func (d *memoryDirectory) Self() Peer {
	d.cluster.mu.Lock()
	defer d.cluster.mu.Unlock()
	return d.cluster.peers[d.self]
}

func (d *memoryDirectory) Peers() (all []Peer) {
	d.read(func(peers map[string]Peer, _ map[string]Entry, _ chan struct{}) {
		for _, name := range slices.Sorted(maps.Keys(peers)) {
			if name != d.self {
				p := peers[name]
				p.Seen = time.Now()
				all = append(all, p)
			}
		}
	})
	return all
}

func (d *memoryDirectory) Lookup(stream string) (e Entry, ok bool) {
	d.read(func(_ map[string]Peer, entries map[string]Entry, _ chan struct{}) { e, ok = entries[stream] })
	return e, ok
}

func (d *memoryDirectory) Entries() (all []Entry) {
	d.read(func(_ map[string]Peer, entries map[string]Entry, _ chan struct{}) {
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			all = append(all, entries[name])
		}
	})
	return all
}

func (d *memoryDirectory) Changed() (changed <-chan struct{}) {
	d.read(func(_ map[string]Peer, _ map[string]Entry, c chan struct{}) { changed = c })
	return changed
}

func (d *memoryDirectory) Claim(_ context.Context, c Claim) (e Entry, err error) {
	if healthy, _ := d.Healthy(); !healthy {
		return Entry{}, ErrUnreachable
	}
	k := d.cluster
	k.change(func() {
		gen := max(k.last[c.Stream]+1, 7)
		k.last[c.Stream] = gen
		e = Entry{
			Stream: c.Stream, Origin: d.self, Region: k.peers[d.self].Region, Gen: gen, Credential: c.Credential, Standby: c.Standby,
			Live: true, Regions: c.Regions, Secret: serveSecret,
		}
		k.entries[c.Stream] = e
	})
	return e, nil
}

func (d *memoryDirectory) SetLive(stream string, gen int64, live bool) {
	d.cluster.change(func() {
		if e := d.cluster.entries[stream]; e.Gen == gen {
			e.Live = live
			d.cluster.entries[stream] = e
		}
	})
}

func (d *memoryDirectory) Release(stream string, gen int64) {
	d.cluster.change(func() {
		if d.cluster.entries[stream].Gen == gen {
			delete(d.cluster.entries, stream)
		}
	})
}

func (d *memoryDirectory) Healthy() (bool, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.cut, time.Time{}
}
