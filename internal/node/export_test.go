package node

import (
	"bytes"
	"context"
	"time"

	"pushcart/internal/stream"
	"pushcart/overlay/api"
	"pushcart/packager/window"
	"pushcart/relay"
	"pushcart/relay/directory"
)

// What tests of several nodes do to one of them, beside what its ports let them.

// Directory is the node's.
func (n *Node) Directory() *directory.Directory { return n.cluster.directory }

// Hub is the node's.
func (n *Node) Hub() *stream.Hub { return n.hub }

// Presentation is what viewers of the node have of a stream; nil is nothing.
func (n *Node) Presentation(name string) *window.Presentation { return n.registry.Get(name) }

// Claim is what a door does before it lets a publisher in.
func (n *Node) Claim(ctx context.Context, name, credential string, standby bool) (release func(), err error) {
	return n.cluster.claim(ctx, name, credential, standby)
}

// Assert claims a stream as while the directory cannot be reached.
func (n *Node) Assert(name, credential string) error {
	one := &claim{entry: n.cluster.directory.Assert(relay.Claim{Stream: name, Credential: credential})}
	_, err := n.cluster.settle(name, one, false)
	return err
}

// Origin tells whether the node takes itself for a stream's origin.
func (n *Node) Origin(name string) bool {
	_, mine := n.cluster.generation(name)
	return mine
}

// Desk opens a stream's desk as the API does.
func (n *Node) Desk(name string) (api.Desk, error) { return n.cluster.desk(name) }

// KeepDesk keeps a stream's desk from being given away until the function is called.
func (n *Node) KeepDesk(name string) (let func()) {
	l := n.cluster.gates.of(name)
	l.RLock()
	return l.RUnlock
}

// Following tells whether the node copies a stream.
func (n *Node) Following(name string) bool {
	for _, s := range n.cluster.manager.Copies() {
		if s.Stream == name {
			return true
		}
	}
	return false
}

// Unprepared has the node forget that a stream's desk is up to date.
func (n *Node) Unprepared(name string) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if p := n.cluster.prepared[name]; p != nil {
		p.at = time.Time{}
	}
}

// HandedIn tells whether the directory has what the node's desk of a stream has.
func (n *Node) HandedIn(ctx context.Context, name string) bool {
	kept, err := n.cluster.directory.Cards(ctx, name)
	desk, ok := n.desks.Export(name)
	return err == nil && ok && bytes.Equal(kept, desk)
}
