package node

import (
	"context"
	"hash/maphash"
	"sync"

	"pushcart/overlay"
	"pushcart/overlay/api"
)

// gates have commands for a stream's cards and the moving away of the stream keep clear of each other: a command that is let in is
// carried out and acknowledged before the state is given to another node, and one that comes later is not carried out here.
type gates struct {
	all  [64]sync.RWMutex
	seed maphash.Seed
}

func (g *gates) of(stream string) *sync.RWMutex {
	return &g.all[maphash.String(g.seed, stream)%uint64(len(g.all))]
}

// gated is the desk of a stream that may move.
type gated struct {
	api.Desk
	c      *cluster
	stream string
}

// Do implements api.Desk.
func (d gated) Do(ctx context.Context, command overlay.Command) (overlay.Result, error) {
	gate := d.c.gates.of(d.stream)
	gate.RLock()
	defer gate.RUnlock()
	if d.c.elsewhere(d.stream) != nil {
		return overlay.Result{}, &overlay.Refusal{Reason: overlay.ReasonClosed, Message: "The stream has just gone to another node: send this again."}
	}
	return d.Desk.Do(ctx, command)
}
