package node

import (
	"bytes"
	"context"
	"sync"
	"time"

	"pushcart/relay"
	"pushcart/relay/wire"
)

// Bounds of what other nodes get of a stream's cards.
const (
	// spreadEvery is how often they are told of changes at most.
	spreadEvery = 200 * time.Millisecond
	// deskEvery is how often the whole state of a desk goes with the relay at most: the directory has it sooner.
	deskEvery = 2 * time.Second
	// mostDesk is the largest state of a desk that goes with the relay, in bytes. The directory has larger ones.
	mostDesk = 512 << 10
	// mostCopiedCards is how many revisions of a copied stream are passed on.
	mostCopiedCards = 1024
)

// told is what this node tells others of a stream's cards.
type told struct {
	mu      sync.Mutex // guards what follows
	state   relay.CardsState
	changed chan struct{} // that state has
	// For spreadCards: when the desk was last put into state, and what the directory has of it.
	desk time.Time
	kept []byte
}

func newTold() *told {
	t := &told{changed: make(chan struct{})}
	t.state.Changed = t.changed
	return t
}

// Snapshot implements relay.Cards.
func (t *told) Snapshot() relay.CardsState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// change replaces the state by what f makes of it: it must not change what is there, others have that.
func (t *told) change(f func(*relay.CardsState)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next, changed := t.state, make(chan struct{})
	next.Changed = changed
	f(&next)
	close(t.changed)
	t.state, t.changed = next, changed
}

// spread is which streams' cards have changed here, and what is told of all.
type spread struct {
	mu     sync.Mutex // guards what follows
	dirty  map[string]struct{}
	told   map[string]*told
	signal chan struct{} // holds one value while dirty has something
}

func newSpread() *spread {
	return &spread{dirty: map[string]struct{}{}, told: map[string]*told{}, signal: make(chan struct{}, 1)}
}

// changed hears of a change of a stream's desk.
func (s *spread) changed(name string) {
	s.mu.Lock()
	s.dirty[name] = struct{}{}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// take returns the names that changed.
func (s *spread) take() map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.dirty
	s.dirty = map[string]struct{}{}
	return names
}

// of returns what is told of a stream.
func (s *spread) of(name string) *told {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.told[name]
	if t == nil {
		t = newTold()
		s.told[name] = t
	}
	return t
}

// count is of how many streams something is told.
func (s *spread) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

// forget drops what is told of a stream.
func (s *spread) forget(name string) {
	s.mu.Lock()
	t := s.told[name]
	delete(s.told, name)
	s.mu.Unlock()
	if t != nil {
		t.change(func(*relay.CardsState) {}) // who waits for a change goes on with what comes in its place
	}
}

// spreadCards brings the cards of this node's streams to the directory and to those who copy them, until ctx ends.
func (c *cluster) spreadCards(ctx context.Context) {
	pace := time.NewTicker(spreadEvery)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.spread.signal:
		}
		for name := range c.spread.take() {
			if c.spreadOne(name, time.Now()) {
				c.spread.changed(name)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
	}
}

// spreadOne tells the others of a stream's cards. It tells whether something is left for later.
func (c *cluster) spreadOne(name string, now time.Time) (again bool) {
	gen, mine := c.generation(name)
	if !mine {
		if _, live := c.directory.Lookup(name); !live && c.listed() { // what is prepared before a show
			if desk, ok := c.n.desks.Export(name); ok {
				c.directory.PutCards(name, 0, desk)
			}
		}
		return false
	}
	shelf, _ := c.n.desks.Shelf(name)
	cards := make([]wire.Card, len(shelf))
	for i, d := range shelf {
		cards[i] = wire.Card{ID: d.ID, Rev: d.Rev, Epoch: d.Epoch, Document: d.Doc, Shown: d.Shown}
	}
	desk, ok := c.n.desks.Export(name)
	t := c.spread.of(name)
	if ok && !bytes.Equal(desk, t.kept) {
		c.directory.PutCards(name, gen, desk)
		t.kept = desk
	}
	if again = now.Sub(t.desk) < deskEvery; !again {
		t.desk = now
	}
	t.change(func(s *relay.CardsState) {
		s.Cards, s.Keys = cards, ""
		switch {
		case len(desk) > mostDesk:
			s.Desk = nil
		case !again:
			s.Desk = desk
		}
	})
	return again
}

// cards is what the relay asks for what to tell of a stream's cards.
func (c *cluster) cards(stream string) relay.Cards { return c.spread.of(stream) }

// copiedCards takes what comes of a copied stream's cards: for this node's viewers, for those who copy from here, and for a takeover.
type copiedCards struct {
	c      *cluster
	stream string
}

// Keys implements relay.CardSink.
func (k copiedCards) Keys(jwks string) {
	k.c.spread.of(k.stream).change(func(s *relay.CardsState) { s.Keys = jwks })
	k.c.n.learn(k.stream, jwks)
}

// Card implements relay.CardSink.
func (k copiedCards) Card(w wire.Card) {
	if err := k.c.n.copies.Put(k.stream, w.Epoch, w.ID, w.Rev, w.Document, w.Shown); err != nil {
		k.c.n.log.Debug("a card of a copied stream is not taken", "stream", k.stream, "card", w.ID, "error", err)
		return
	}
	k.c.spread.of(k.stream).change(func(s *relay.CardsState) { s.Cards = withCard(s.Cards, w) })
}

// withCard returns the list with a card, in the place of the same revision where that is there. The oldest that is not shown goes
// when there are too many.
func withCard(all []wire.Card, w wire.Card) []wire.Card {
	next := make([]wire.Card, 0, len(all)+1)
	for _, o := range all {
		if o.ID != w.ID || o.Rev != w.Rev || o.Epoch != w.Epoch {
			next = append(next, o)
		}
	}
	next = append(next, w)
	for i := 0; len(next) > mostCopiedCards && i < len(next); {
		if next[i].Shown && len(next) < 2*mostCopiedCards {
			i++
			continue
		}
		next = append(next[:i], next[i+1:]...)
	}
	return next
}

// Desk implements relay.CardSink.
func (k copiedCards) Desk(snapshot []byte) {
	k.c.spread.of(k.stream).change(func(s *relay.CardsState) { s.Desk = snapshot })
}

// Close implements relay.CardSink.
func (k copiedCards) Close() {
	k.c.posters.forget(k.stream)
	k.c.mu.Lock()
	_, mine := k.c.claims[k.stream]
	_, coming := k.c.coming[k.stream]
	k.c.mu.Unlock()
	if mine {
		return
	}
	k.c.spread.forget(k.stream)
	if !coming { // else viewers have the documents from here until the desk has them
		k.c.n.copies.Drop(k.stream)
	}
}

// mostTold is how many streams are told of before it is looked for those that are neither here nor copied any more.
const mostTold = 1000

// tidy forgets what was told of streams that are over, and that were asked for once more at their end.
func (c *cluster) tidy() {
	if c.spread.count() <= mostTold {
		return
	}
	copied := map[string]bool{}
	for _, s := range c.manager.Copies() {
		copied[s.Stream] = true
	}
	c.spread.mu.Lock()
	defer c.spread.mu.Unlock()
	for name := range c.spread.told {
		if _, mine := c.generation(name); !mine && !copied[name] {
			delete(c.spread.told, name)
		}
	}
}
