package authority

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// Bounds of calls to the callback.
const (
	// mostCalls is how many may be in flight.
	mostCalls = 64
	// mostCallsOfNetwork of them may be for publishers of one network, so that no network has them all.
	mostCallsOfNetwork = 16
	// mostWaiting is how many may wait for their turn.
	mostWaiting = 1024
	// mostWaitingOfNetwork of them may be for one network.
	mostWaitingOfNetwork = 256
)

// errFull is the answer to a call for which there is no place to wait in.
var errFull = errors.New("too many publishers wait for the callback")

// gate bounds the calls that are in flight, in all and by network. Who finds no place waits, in order, passing by those whose network
// has all of its own.
type gate struct {
	mu      sync.Mutex // guards what follows
	flying  int
	of      map[netip.Addr]*share
	waiting []*turn
}

// share is what a network has.
type share struct{ flying, waiting int }

// turn is one call's place. It is left exactly once.
type turn struct {
	from netip.Addr
	come chan struct{} // closed when it is its turn
	up   bool          // it is in flight; guarded by the gate's mu
}

// enter takes a place, in flight or among those who wait. Its error is errFull.
func (g *gate) enter(from netip.Addr) (*turn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.of[from]
	if s == nil {
		s = &share{}
	}
	t := &turn{from: from, come: make(chan struct{})}
	if g.flying < mostCalls && s.flying < mostCallsOfNetwork {
		g.flying++
		s.flying++
		t.up = true
		close(t.come)
	} else {
		if len(g.waiting) >= mostWaiting || s.waiting >= mostWaitingOfNetwork {
			return nil, errFull
		}
		s.waiting++
		g.waiting = append(g.waiting, t)
	}
	if g.of == nil {
		g.of = map[netip.Addr]*share{}
	}
	g.of[from] = s
	return t, nil
}

// wait waits for the turn to come.
func (t *turn) wait(ctx context.Context) error {
	select {
	case <-t.come:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the place up, to the next whose turn it is.
func (g *gate) leave(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.of[t.from]
	if !t.up {
		s.waiting--
		for i, w := range g.waiting {
			if w == t {
				g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
				break
			}
		}
	} else {
		s.flying--
		g.flying--
		g.nextLocked()
	}
	if s.flying == 0 && s.waiting == 0 {
		delete(g.of, t.from)
	}
}

// nextLocked lets one go whose network has a place left.
func (g *gate) nextLocked() {
	for i, w := range g.waiting {
		s := g.of[w.from]
		if s.flying >= mostCallsOfNetwork {
			continue
		}
		g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
		s.waiting--
		s.flying++
		g.flying++
		w.up = true
		close(w.come)
		return
	}
}

// counts is how many calls are in flight, and how many wait.
func (g *gate) counts() (flying, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flying, len(g.waiting)
}
