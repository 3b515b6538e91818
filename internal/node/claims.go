package node

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
	"pushcart/packager"
	"pushcart/packager/window"
	"pushcart/relay"
	"pushcart/relay/directory"
)

// claim is a stream that this node is the origin of.
type claim struct {
	entry relay.Entry
	// copied is what other nodes had of the stream, for the packager to go on with; nil where nobody had anything, or once it was
	// taken.
	copied *window.Presentation
	// stream that the claim is for and its packager, once it has begun.
	stream   *stream.Stream
	packager *packager.Packager
}

// cardsTime is how long the cards of a stream that comes from another node may take.
const cardsTime = time.Second

// claim makes this node the origin of a stream for a publisher that has come, and brings here what the others have of it.
func (c *cluster) claim(ctx context.Context, name, credential string, standby bool) (release func(), err error) {
	asked := relay.Claim{Stream: name, Credential: credential, Standby: standby, Regions: c.n.cfg.Load().RegionsOf(name)}
	entry, err := c.directory.Claim(ctx, asked)
	switch {
	case errors.Is(err, relay.ErrStandby):
		return nil, ingest.ErrStandby
	case errors.Is(err, relay.ErrTaken):
		return nil, ingest.RefuseTaken(name)
	case errors.Is(err, relay.ErrUnreachable):
		// The show goes on: a generation above all that is known holds until the directory can be asked.
		entry = c.directory.Assert(asked)
		c.n.log.Warn("the directory cannot be reached: the stream begins without its word for it, and asks again", "stream", name, "gen", entry.Gen)
	case err != nil:
		return nil, err
	}
	c.mu.Lock()
	held := c.claims[name]
	c.mu.Unlock()
	if held != nil && held.entry.Gen == entry.Gen {
		return nil, nil // the publisher came back to this node
	}
	one := &claim{entry: entry}
	desk := c.spread.of(name) // the copy's, which ends
	if one.copied, err = c.manager.TakeOver(ctx, name, entry); err != nil {
		c.n.log.Warn("other nodes have more of the stream than could be fetched: it goes on with what is here", "stream", name, "error", err)
	}
	c.bringCards(ctx, name, desk.Snapshot().Desk)
	c.mu.Lock()
	c.claims[name] = one
	c.mu.Unlock()
	c.spread.changed(name)
	return func() { c.release(name, entry.Gen) }, nil
}

// bringCards has the stream's desk go on with what the last origin's was: as the directory has it, or a copy that is here.
func (c *cluster) bringCards(ctx context.Context, name string, copied []byte) {
	ctx, cancel := context.WithTimeout(ctx, cardsTime)
	defer cancel()
	latest, err := c.directory.Cards(ctx, name)
	if err != nil && !errors.Is(err, directory.ErrNoCards) {
		c.n.log.Warn("the directory did not give the stream's cards: those that this node knows of go on", "stream", name, "error", err)
	}
	for _, snapshot := range [][]byte{latest, copied} {
		if len(snapshot) == 0 {
			continue
		}
		if err := c.n.desks.Import(name, snapshot); err != nil {
			c.n.log.Error("the stream's cards could not be taken over from its last node", "stream", name, "error", err)
		}
	}
}

// promoted keeps a copy of the stream warm that a standby here waits for. When to try it leaves to the standby, which asks again
// each second.
func (c *cluster) promoted(name string) <-chan struct{} {
	c.manager.Demand(name)
	return nil
}

// generation is that of a stream of which this node is the origin; false for others.
func (c *cluster) generation(name string) (gen int64, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.claims[name]
	if one == nil {
		return 0, false
	}
	return one.entry.Gen, true
}

// begin tells how the packager of a stream that begins is to number it: with the claim's generation, going on with what was
// copied. ok is false where there is no claim, as for a stream that began before it was asked for.
func (c *cluster) begin(name string) (gen int64, copied *window.Presentation, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.claims[name]
	if one == nil {
		return 0, nil, false
	}
	return one.entry.Gen, one.copied, true
}

// begun notes the packager of a stream that has begun.
func (c *cluster) begun(s *stream.Stream, k *packager.Packager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.claims[s.Name()]; one != nil {
		one.copied, one.stream, one.packager = nil, s, k
	}
}

// from is the date before which the timeline of a stream must not begin: the end of what was copied, where the last origin's
// clock was ahead of this one's.
func (c *cluster) from(name string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.claims[name]; one != nil && one.packager != nil {
		return one.packager.Begins()
	}
	return time.Time{}
}

// release gives a claim up.
func (c *cluster) release(name string, gen int64) {
	c.mu.Lock()
	one := c.claims[name]
	if one != nil && one.entry.Gen == gen {
		delete(c.claims, name)
	}
	c.mu.Unlock()
	c.directory.Release(name, gen)
}

// superseded hears that another node has a stream now, with a higher generation: what this one has of it becomes a copy.
func (c *cluster) superseded(name string, gen int64) {
	c.mu.Lock()
	one := c.claims[name]
	if one == nil || one.entry.Gen >= gen {
		c.mu.Unlock()
		return
	}
	delete(c.claims, name)
	c.mu.Unlock()
	c.n.log.Warn("another node has the stream now: this one follows it", "stream", name, "gen", one.entry.Gen, "newer", gen)
	c.n.hub.Yield(name)
	if one.packager != nil {
		c.manager.Follow(one.packager.Presentation())
	}
}

// changed hears how a stream of this node is.
func (c *cluster) changed(s *stream.Stream, state stream.State) {
	name := s.Name()
	c.mu.Lock()
	one := c.claims[name]
	mine := one != nil && one.stream == s // and not of the show before it
	c.mu.Unlock()
	if !mine {
		return
	}
	switch state {
	case stream.Live:
		c.directory.SetLive(name, one.entry.Gen, true)
	case stream.Waiting:
		c.directory.SetLive(name, one.entry.Gen, false)
	case stream.Ended:
		c.release(name, one.entry.Gen)
	}
}

// leave has the streams of this node wait for their publishers to come to another one: the node stops, and the show does not.
func (c *cluster) leave() {
	c.mu.Lock()
	names := slices.Sorted(maps.Keys(c.claims))
	c.mu.Unlock()
	for _, name := range names {
		c.mu.Lock()
		one := c.claims[name]
		delete(c.claims, name)
		c.mu.Unlock()
		if one != nil {
			c.directory.SetLive(name, one.entry.Gen, false)
			c.n.hub.Yield(name)
		}
	}
}

// home is the node that answers for a stream's cards: its origin, and before a show one that all nodes agree on.
func (c *cluster) home(stream string) string {
	if e, ok := c.directory.Lookup(stream); ok {
		return e.Origin
	}
	return relay.Home(stream, c.directory.Self(), c.directory.Peers())
}

// elsewhere is the way to the node that answers for a stream's cards; nil is this one.
func (c *cluster) elsewhere(stream string) http.RoundTripper {
	home := c.home(stream)
	if _, mine := c.generation(stream); mine || home == c.trust.Identity().Name {
		return nil
	}
	return c.directory.Transport(home)
}

// prepare has a desk that is opened here for a stream without an origin go on with what another node's was.
func (c *cluster) prepare(name string) {
	if _, mine := c.generation(name); mine || c.n.desks.Peek(name) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cardsTime)
	defer cancel()
	c.bringCards(ctx, name, nil)
}
