package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
	"pushcart/internal/tracing"
	"pushcart/packager"
	"pushcart/packager/window"
	"pushcart/relay"
	"pushcart/relay/directory"
)

// claim is a stream that this node is the origin of.
type claim struct {
	entry relay.Entry

	// cluster.mu guards what follows.

	// copied is what other nodes had of the stream, for the packager to go on with; nil where nobody had anything, or once it was
	// taken.
	copied *window.Presentation
	// stream that the claim is for and its packager, once it has begun; beginning tells that it is about to.
	stream    *stream.Stream
	packager  *packager.Packager
	beginning bool
	// expiry ends a show whose publisher was not let in after all; nil before that.
	expiry *time.Timer
}

// cardsTime is how long the cards of a stream that comes from another node may take.
const cardsTime = time.Second

// claim makes this node the origin of a stream for a publisher that has come, and brings here what the others have of it.
func (c *cluster) claim(ctx context.Context, name, credential string, standby bool) (release func(), err error) {
	done, err := c.arrive(ctx, name)
	if err != nil {
		return nil, err
	}
	defer done()
	before := c.home(name)
	entry, err := c.ask(ctx, relay.Claim{
		Stream: name, Credential: credential, Standby: standby, Regions: c.n.cfg.Load().RegionsOf(name),
	})
	if err != nil {
		return nil, err
	}
	c.handing.Lock()
	c.mu.Lock()
	held := c.claims[name]
	c.mu.Unlock()
	if held != nil && held.entry.Gen == entry.Gen {
		c.handing.Unlock()
		return nil, nil // the publisher came back to this node
	}
	if held != nil {
		// A standby and whom it stands by for are both at this node, or the stream went and came while nobody told: one goes on
		// with what the other has made, under the new generation.
		c.yield(name, held)
	}
	c.handing.Unlock()

	defer c.handOver(name)()
	one := &claim{entry: entry}
	desk := c.spread.of(name) // the copy's, which ends
	asked := make(chan []byte, 1)
	go func() { asked <- c.askDesk(ctx, name, before, entry.Gen) }()
	moving := c.n.tracing.Within(ctx, tracing.Internal, "relay.takeover")
	moving.SetInt("pushcart.generation", entry.Gen)
	one.copied, err = c.manager.TakeOver(ctx, name, entry)
	moving.End(failureOf(err))
	if err != nil {
		c.n.log.Warn("other nodes have more of the stream than could be fetched: it goes on with what is here", "stream", name, "error", err)
	}
	// What cannot be had is logged: the show goes on without.
	_ = c.bringCards(ctx, name, desk.Snapshot().Desk, <-asked)
	return c.settle(name, one, standby)
}

// arrive waits for claims of the same stream on this node. Until done is called the stream is about to come here.
func (c *cluster) arrive(ctx context.Context, name string) (done func(), err error) {
	for {
		c.mu.Lock()
		if c.left {
			c.mu.Unlock()
			return nil, stream.ErrClosed
		}
		before := c.coming[name]
		if before == nil {
			mine := make(chan struct{})
			c.coming[name] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.coming, name)
				c.mu.Unlock()
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask claims a stream in the directory.
func (c *cluster) ask(ctx context.Context, wanted relay.Claim) (relay.Entry, error) {
	name := wanted.Stream
	entry, err := c.directory.Claim(ctx, wanted)
	if err == nil && c.movedSince(name, entry.Gen) {
		// The directory has not told this node yet that the stream went to another one, which has asked for its cards already.
		c.directory.Release(name, entry.Gen)
		entry, err = c.directory.Claim(ctx, wanted)
	}
	switch {
	case errors.Is(err, relay.ErrStandby):
		return entry, ingest.ErrStandby
	case errors.Is(err, relay.ErrTaken):
		return entry, ingest.RefuseTaken(name)
	case errors.Is(err, relay.ErrUnreachable) && wanted.Standby && c.known(name):
		// The one that it stands by for may be well on the other side, and must not be fenced off when the network heals.
		return entry, ingest.ErrStandby
	case errors.Is(err, relay.ErrUnreachable):
		// The show goes on: a generation above all that is known holds until the directory can be asked.
		entry = c.directory.Assert(wanted)
		c.n.log.Warn("the directory cannot be reached: the stream begins without its word for it, and asks again", "stream", name, "gen", entry.Gen)
		return entry, nil
	}
	return entry, err
}

// settle makes a claim this node's, unless another node has the stream by now: what was brought here is followed then.
func (c *cluster) settle(name string, one *claim, standby bool) (release func(), err error) {
	c.handing.Lock()
	defer c.handing.Unlock()
	if !c.holds(one.entry) || c.movedSince(name, one.entry.Gen) {
		c.n.log.Warn("another node took the stream while it was on its way here", "stream", name, "gen", one.entry.Gen)
		if one.copied != nil {
			c.manager.Follow(one.copied)
		}
		if standby {
			return nil, ingest.ErrStandby
		}
		return nil, ingest.Refuse(ingest.ReasonElsewhere, "Another node took this stream over: its publisher has connected there too. "+
			"Stop this encoder, or start it again to take the stream back.")
	}
	c.mu.Lock()
	left := c.left
	if !left {
		c.claims[name] = one
		delete(c.moved, name)
	}
	c.mu.Unlock()
	c.n.copies.Drop(name) // the desk has the documents now
	if left {
		c.directory.SetLive(name, one.entry.Gen, false) // its publisher goes to another node, and so does the show
		return nil, stream.ErrClosed
	}
	c.spread.changed(name)
	return func() { c.abandon(name, one) }, nil
}

// handOver keeps viewers' requests from starting another copy of a stream which this node's presentation is about to become, until
// the function is called.
func (c *cluster) handOver(name string) (over func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed[name]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.handed[name]--; c.handed[name] == 0 {
			delete(c.handed, name)
		}
	}
}

// own tells whether what viewers have of a stream is not for a copy to make: this node is its origin, or is becoming or ceasing to be.
func (c *cluster) own(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims[name] != nil || c.handed[name] > 0
}

// holds tells whether a claim of this node's is in force, as far as it has heard.
func (c *cluster) holds(mine relay.Entry) bool {
	e, ok := c.directory.Lookup(mine.Stream)
	return ok && e.Origin == c.trust.Identity().Name && e.Gen == mine.Gen
}

// known tells whether the directory knows a stream, as far as this node has heard.
func (c *cluster) known(name string) bool {
	_, ok := c.directory.Lookup(name)
	return ok
}

// bringCards has the stream's desk go on with what the last origin's was: as the directory has it, or others. Its error is that the
// directory could not be asked.
func (c *cluster) bringCards(ctx context.Context, name string, others ...[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, cardsTime)
	defer cancel()
	latest, missed := c.directory.Cards(ctx, name)
	if errors.Is(missed, directory.ErrNoCards) {
		missed = nil
	}
	if missed != nil {
		c.n.log.Warn("the directory did not give the stream's cards: those that this node knows of go on", "stream", name, "error", missed)
	}
	for _, snapshot := range append(others, latest) {
		if len(snapshot) == 0 {
			continue
		}
		if err := c.n.desks.Import(name, snapshot); err != nil {
			c.n.log.Error("the stream's cards could not be taken over from its last node", "stream", name, "error", err)
		}
	}
	return missed
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
// copied. ok is false where there is no claim: another node took it in this very moment. begun follows.
func (c *cluster) begin(name string) (gen int64, copied *window.Presentation, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.claims[name]
	if one == nil {
		return 0, nil, false
	}
	one.beginning = true
	return one.entry.Gen, one.copied, true
}

// begun notes the packager of a stream that has begun.
func (c *cluster) begun(s *stream.Stream, k *packager.Packager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.claims[s.Name()]
	if one == nil {
		c.strays[s] = k
		return
	}
	if one.expiry != nil {
		one.expiry.Stop()
		one.expiry = nil
	}
	one.copied, one.stream, one.packager, one.beginning = nil, s, k, false
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

// changed hears how a stream of this node is.
func (c *cluster) changed(s *stream.Stream, state stream.State) {
	name := s.Name()
	c.mu.Lock()
	one, stray := c.claims[name], c.strays[s]
	delete(c.strays, s)
	mine := one != nil && one.stream == s // and not of the show before it
	c.mu.Unlock()
	if stray != nil {
		// Between the claim and the publisher's first word another node has taken the stream.
		c.n.log.Warn("a publisher is sent away, since another node has the stream now", "stream", name)
		c.n.hub.Yield(name)
		c.n.registry.Remove(stray.Presentation())
		return
	}
	if !mine {
		return
	}
	switch state {
	case stream.Live:
		c.directory.SetLive(name, one.entry.Gen, true)
	case stream.Waiting:
		c.directory.SetLive(name, one.entry.Gen, false)
	case stream.Ended:
		c.release(name, one)
	}
}

// release gives a claim up: the show is over.
func (c *cluster) release(name string, one *claim) {
	c.mu.Lock()
	if c.claims[name] == one {
		delete(c.claims, name)
	}
	c.mu.Unlock()
	c.handIn(name, one.entry.Gen)
	c.directory.Release(name, one.entry.Gen)
	c.spread.forget(name)
	c.tidy()
}

// abandon takes back a claim whose publisher was not let in. A show that came here from another node waits for its publisher as it
// would have waited there.
func (c *cluster) abandon(name string, one *claim) {
	c.mu.Lock()
	if c.claims[name] != one || one.stream != nil || one.beginning {
		c.mu.Unlock()
		return
	}
	if one.copied == nil {
		c.mu.Unlock()
		c.release(name, one)
		return
	}
	wait := time.Duration(c.n.cfg.Load().Publish.ReconnectWindow)
	one.expiry = time.AfterFunc(wait, func() { c.expire(name, one) })
	c.mu.Unlock()
	c.directory.SetLive(name, one.entry.Gen, false)
}

// expire ends a show whose publisher did not return.
func (c *cluster) expire(name string, one *claim) {
	c.mu.Lock()
	if c.claims[name] != one || one.expiry == nil || one.beginning {
		c.mu.Unlock()
		return
	}
	p := one.copied
	c.mu.Unlock()
	c.release(name, one)
	p.End()
	c.n.shows.linger(p, lingers(c.n.cfg.Load()))
}

// superseded hears that another node has a stream now: what this one has of it becomes a copy. The generation that it is told may be
// lower than this node's, where that was never granted.
func (c *cluster) superseded(name string, gen int64) {
	c.handing.Lock()
	defer c.handing.Unlock()
	c.mu.Lock()
	one := c.claims[name]
	c.mu.Unlock()
	if one == nil || c.holds(one.entry) {
		return // it has gone over already, or it is an earlier claim that was lost
	}
	c.n.log.Warn("another node has the stream now: this one follows it", "stream", name, "gen", one.entry.Gen, "other", gen)
	c.yield(name, one)
}

// yield gives a claim up to another node, or to the next claim of this one: the publisher is sent away, and the presentation becomes
// a copy. handing must be held, so that who finds the claim gone finds the copy there.
func (c *cluster) yield(name string, one *claim) {
	defer c.handOver(name)()
	c.mu.Lock()
	for c.claims[name] == one && one.beginning {
		c.mu.Unlock()
		c.n.hub.Get(name) // the hub makes the stream at this moment, under its lock
		c.mu.Lock()
	}
	if c.claims[name] != one {
		c.mu.Unlock()
		return
	}
	delete(c.claims, name)
	delete(c.prepared, name)
	p := one.copied
	if one.packager != nil {
		p = one.packager.Presentation()
	}
	if one.expiry != nil {
		one.expiry.Stop()
	}
	c.mu.Unlock()
	if one.stream != nil {
		c.n.hub.Yield(name)
	}
	if p != nil {
		c.manager.Follow(p)
	}
}

// leave has the streams of this node wait for their publishers to come to another one: the node stops, and the show does not.
func (c *cluster) leave() {
	c.mu.Lock()
	c.left = true // whoever comes now is refused
	names := slices.Sorted(maps.Keys(c.claims))
	c.mu.Unlock()
	for _, name := range names {
		c.mu.Lock()
		one := c.claims[name]
		delete(c.claims, name)
		if one != nil && one.expiry != nil {
			one.expiry.Stop()
		}
		c.mu.Unlock()
		if one != nil {
			c.directory.SetLive(name, one.entry.Gen, false)
			c.n.hub.Leave(name)
			c.handIn(name, one.entry.Gen)
		}
	}
}
