package directory

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pushcart/relay"
)

// Headers of messages in buckets, as NATS' key-value stores have them.
const (
	headerOperation = "KV-Operation"
	operationDelete = "DEL"
)

// node is what is known of another node.
type node struct {
	peer     relay.Peer
	instance string
	before   string    // the instance before this one: which comes again where two nodes have one name
	warned   time.Time // when that was told last
	seen     time.Time // by this node's clock
	dead     bool      // it said goodbye, or was not heard for long
}

// Peers implements relay.Directory: those that were heard within five seconds by this node's clock.
func (d *Directory) Peers() []relay.Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	list := make([]relay.Peer, 0, len(d.nodes))
	for _, n := range d.nodes {
		if n.dead || now.Sub(n.seen) >= d.opts.pace.node {
			continue
		}
		p := n.peer
		p.Streams, p.Seen = slices.Clone(p.Streams), n.seen
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b relay.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// beats gives signs of life and looks after those of others.
func (d *Directory) beats(ctx context.Context) {
	tick := time.NewTicker(d.opts.pace.beat)
	defer tick.Stop()
	for {
		d.beat()
		d.sweep()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beat sends a heartbeat. It goes to the bucket and, being a message like any other, to all nodes that are connected: those
// hear it also while the bucket has no majority.
func (d *Directory) beat() {
	b := beat{Peer: d.Self(), Instance: d.instance, Clock: d.now()}
	data, err := appendBeat(b)
	if err != nil {
		d.log.Error("this node cannot tell the others of itself", "error", err)
		return
	}
	m := nats.NewMsg(nodesPrefix + d.opts.Self.Name)
	m.Reply, m.Data = d.acks, data
	m.Header.Set(jetstream.MsgTTLHeader, d.opts.pace.node.String())
	if err := d.nc.PublishMsg(m); err != nil {
		d.log.Debug("a heartbeat could not be sent", "error", err)
	}
}

// goodbye takes this node off the list at once, instead of after five seconds.
func (d *Directory) goodbye() {
	m := nats.NewMsg(nodesPrefix + d.opts.Self.Name)
	m.Header.Set(headerOperation, operationDelete)
	m.Header.Set(jetstream.MsgTTLHeader, d.opts.pace.node.String())
	if d.nc.PublishMsg(m) == nil {
		_ = d.nc.FlushTimeout(time.Second)
	}
}

// acknowledged takes the bucket's answers to heartbeats.
func (d *Directory) acknowledged(m *nats.Msg) {
	var ack struct {
		Stream string          `json:"stream"`
		Error  json.RawMessage `json:"error"`
	}
	if len(m.Data) == 0 || len(m.Data) > maxRecord || json.Unmarshal(m.Data, &ack) != nil || ack.Stream == "" || ack.Error != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acked = d.now()
	d.contactLocked(d.acked)
	d.judgeLocked(d.acked)
}

// contactLocked notes a sign of life from outside, by which this node knows that it is not the one that is cut off.
func (d *Directory) contactLocked(now time.Time) {
	if now.Sub(d.contact) >= d.opts.pace.sick {
		d.linked = now
	}
	d.contact = now
}

// heard takes a heartbeat or a goodbye.
func (d *Directory) heard(m *nats.Msg) {
	key := strings.TrimPrefix(m.Subject, nodesPrefix)
	now := d.now()
	if m.Header.Get(headerOperation) != "" {
		d.mu.Lock()
		defer d.mu.Unlock()
		if n := d.nodes[key]; n != nil && !n.dead {
			d.diedLocked(n, "it said goodbye")
		}
		return
	}
	b, err := parseBeat(key, m.Data)
	if err != nil {
		d.ignored("node", "malformed")
		d.log.Debug("a heartbeat is not used", "key", key, "error", err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Name == d.opts.Self.Name {
		d.twinLocked(b, now)
		return
	}
	d.contactLocked(now)
	n := d.nodes[b.Name]
	switch {
	case n == nil && len(d.nodes) >= maxNodes:
		d.ignored("node", "too_many")
		return
	case n == nil:
		n = &node{dead: true}
		d.nodes[b.Name] = n
	}
	news := n.dead || n.instance != b.Instance || !alike(n.peer, b.Peer)
	switch {
	case !n.dead && n.instance != b.Instance && n.before == b.Instance:
		if now.Sub(n.warned) >= time.Minute {
			n.warned = now
			d.ignored("node", "same_name")
			d.log.Error("two nodes have one name: give each a node.name of its own", "node", b.Name, "address", n.peer.Address, "and", b.Address)
		}
	case (n.dead || n.instance != b.Instance) && now.Sub(n.warned) >= time.Minute:
		d.log.Info("a node is there", "node", b.Name, "region", b.Region, "version", b.Version)
	}
	if n.instance != b.Instance {
		n.before = n.instance
	}
	n.peer, n.instance, n.seen, n.dead = b.Peer, b.Instance, now, false
	if !b.Clock.IsZero() {
		d.metrics.clocks.WithLabelValues(b.Name).Set(now.Sub(b.Clock).Seconds())
	}
	if news {
		d.countPeersLocked()
		d.signalLocked()
	}
}

// twinLocked notices a second node of this node's name, whose streams and this one's would be mixed up.
func (d *Directory) twinLocked(b beat, now time.Time) {
	if b.Instance == d.instance || now.Sub(d.warned) < time.Minute {
		return
	}
	d.warned = now
	d.ignored("node", "same_name")
	d.log.Error("another node has this node's name: give each a node.name of its own", "node", b.Name, "its address", b.Address)
}

// alike tells whether two heartbeats differ in figures only.
func alike(a, b relay.Peer) bool {
	if a.Region != b.Region || a.Address != b.Address || a.URL != b.URL || a.Version != b.Version || !a.Started.Equal(b.Started) ||
		a.Keys != b.Keys || a.Load.Full != b.Load.Full || a.Load.Draining != b.Load.Draining {
		return false
	}
	return slices.EqualFunc(a.Streams, b.Streams, func(x, y relay.Held) bool {
		return x.Stream == y.Stream && x.Gen == y.Gen && x.From == y.From
	})
}

// diedLocked takes a node off the list.
func (d *Directory) diedLocked(n *node, why string) {
	n.dead = true
	d.metrics.clocks.DeleteLabelValues(n.peer.Name)
	n.seen = d.now().Add(-d.opts.pace.node)
	d.log.Info("a node is gone", "node", n.peer.Name, "region", n.peer.Region, "why", why)
	d.countPeersLocked()
	d.signalLocked()
}

func (d *Directory) countPeersLocked() {
	count := 0
	for _, n := range d.nodes {
		if !n.dead {
			count++
		}
	}
	d.metrics.peers.Set(float64(count))
}

// goneLocked is for how long nothing was heard of a node; 0 for this node, and while this node may itself be cut off. A node that
// was never heard counts from when this node began to hear others.
func (d *Directory) goneLocked(name string, now time.Time) time.Duration {
	if name == d.opts.Self.Name || now.Sub(d.contact) >= d.opts.pace.sick {
		return 0
	}
	from := d.linked
	if n := d.nodes[name]; n != nil {
		if !n.dead && now.Sub(n.seen) < d.opts.pace.node {
			return 0
		}
		if n.seen.After(from) {
			from = n.seen
		}
	}
	return now.Sub(from)
}

// sweep notices who is not heard any more, and what has expired.
func (d *Directory) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	d.judgeLocked(now)
	for name, n := range d.nodes {
		silent := now.Sub(n.seen)
		switch {
		case !n.dead && silent >= d.opts.pace.node:
			seen := n.seen
			d.diedLocked(n, "it has not been heard for a while")
			n.seen = seen
		case silent >= d.opts.pace.keep:
			delete(d.nodes, name)
		}
	}
	d.sweepRecordsLocked(now)
}
