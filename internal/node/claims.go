package node

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pushcart/ingest"
	"pushcart/internal/auth"
	"pushcart/internal/stream"
	"pushcart/overlay"
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
	one := &c.claiming[maphash.String(c.seed, name)%uint64(len(c.claiming))]
	one.Lock() // two publishers of one stream, one after the other
	defer one.Unlock()
	return c.claimOne(ctx, name, credential, standby)
}

func (c *cluster) claimOne(ctx context.Context, name, credential string, standby bool) (release func(), err error) {
	before := c.home(name)
	c.mu.Lock()
	c.coming[name] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.coming, name)
		c.mu.Unlock()
	}()
	wanted := relay.Claim{Stream: name, Credential: credential, Standby: standby, Regions: c.n.cfg.Load().RegionsOf(name)}
	entry, err := c.directory.Claim(ctx, wanted)
	switch {
	case errors.Is(err, relay.ErrStandby):
		return nil, ingest.ErrStandby
	case errors.Is(err, relay.ErrTaken):
		return nil, ingest.RefuseTaken(name)
	case errors.Is(err, relay.ErrUnreachable) && standby && c.known(name):
		// The one that it stands by for may be well on the other side, and must not be fenced off when the network heals.
		return nil, ingest.ErrStandby
	case errors.Is(err, relay.ErrUnreachable):
		// The show goes on: a generation above all that is known holds until the directory can be asked.
		entry = c.directory.Assert(wanted)
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
	asked := make(chan []byte, 1)
	go func() { asked <- c.askDesk(ctx, name, before, entry.Gen) }()
	if one.copied, err = c.manager.TakeOver(ctx, name, entry); err != nil {
		c.n.log.Warn("other nodes have more of the stream than could be fetched: it goes on with what is here", "stream", name, "error", err)
	}
	c.bringCards(ctx, name, desk.Snapshot().Desk, <-asked)
	c.mu.Lock()
	c.claims[name] = one
	delete(c.moved, name)
	c.mu.Unlock()
	c.spread.changed(name)
	return func() { c.release(name, entry.Gen) }, nil
}

// known tells whether the directory knows a stream, as far as this node has heard.
func (c *cluster) known(name string) bool {
	_, ok := c.directory.Lookup(name)
	return ok
}

// bringCards has the stream's desk go on with what the last origin's was: as the directory has it, or others.
func (c *cluster) bringCards(ctx context.Context, name string, others ...[]byte) {
	ctx, cancel := context.WithTimeout(ctx, cardsTime)
	defer cancel()
	latest, err := c.directory.Cards(ctx, name)
	if err != nil && !errors.Is(err, directory.ErrNoCards) {
		c.n.log.Warn("the directory did not give the stream's cards: those that this node knows of go on", "stream", name, "error", err)
	}
	for _, snapshot := range append(others, latest) {
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
		return // it has gone over already
	}
	delete(c.claims, name)
	delete(c.prepared, name)
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

// deskPath is where nodes ask one another for the cards of a stream that moves, over the directory.
const deskPath = "/relay/desk/"

// mostMoved is the largest state of a desk, as it moves.
const mostMoved = overlay.MostSnapshot

// askDesk has the node that had a stream's cards give them up, since this one has the stream now. It returns their state; nil where
// it is not to be had, as of a node that is gone: what the directory has goes on then.
func (c *cluster) askDesk(ctx context.Context, name, node string, gen int64) []byte {
	if node == c.trust.Identity().Name || !slices.ContainsFunc(c.directory.Peers(), func(p relay.Peer) bool { return p.Name == node }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cardsTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+node+deskPath+name+"?gen="+strconv.FormatInt(gen, 10), nil)
	if err != nil {
		return nil
	}
	resp, err := c.directory.Transport(node).RoundTrip(r)
	if err != nil {
		c.n.log.Debug("the last node of a stream did not give its cards", "stream", name, "node", node, "error", err)
		return nil
	}
	defer resp.Body.Close()
	desk, err := io.ReadAll(io.LimitReader(resp.Body, mostMoved+1))
	if err != nil || resp.StatusCode != http.StatusOK || len(desk) > mostMoved {
		return nil
	}
	return desk
}

// giveDesk answers a node that has a stream now. What is asked of the stream's cards from now on goes there.
func (c *cluster) giveDesk(w http.ResponseWriter, r *http.Request) {
	name, to := r.PathValue("name"), r.Header.Get("Pushcart-Carried")
	gen, err := strconv.ParseInt(r.URL.Query().Get("gen"), 10, 64)
	if err != nil || auth.ValidName(name) != nil || to == "" {
		http.Error(w, "ask for the desk of a stream with the generation of your claim", http.StatusBadRequest)
		return
	}
	if own, mine := c.generation(name); mine && own >= gen {
		http.Error(w, "this node has the stream, with a generation that is not lower", http.StatusConflict)
		return
	}
	gate := c.gates.of(name)
	gate.Lock() // commands that were let in have been carried out now
	c.mu.Lock()
	maps.DeleteFunc(c.moved, func(_ string, m movedTo) bool { return time.Since(m.at) > movedFor })
	c.moved[name] = movedTo{to, time.Now()}
	c.mu.Unlock()
	c.superseded(name, gen)
	gate.Unlock()
	desk, ok := c.n.desks.Export(name)
	if !ok {
		http.Error(w, "this node has no cards of the stream", http.StatusNotFound)
		return
	}
	// A node that goes away is no fault of ours.
	_, _ = w.Write(desk)
}

// movedTo is where a stream has gone that was here, until the directory tells so too.
type movedTo struct {
	node string
	at   time.Time
}

// movedFor is how long that may take.
const movedFor = 10 * time.Second

// home is the node that answers for a stream's cards: its origin, and before a show one that all nodes agree on.
func (c *cluster) home(stream string) string {
	c.mu.Lock()
	moved, gone := c.moved[stream]
	c.mu.Unlock()
	e, ok := c.directory.Lookup(stream)
	switch {
	case gone && time.Since(moved.at) < movedFor && (!ok || e.Origin == c.trust.Identity().Name):
		return moved.node
	case ok:
		return e.Origin
	}
	return relay.Home(stream, c.directory.Self(), c.directory.Peers())
}

// elsewhere is the way to the node that answers for a stream's cards; nil is this one.
func (c *cluster) elsewhere(stream string) http.RoundTripper {
	c.mu.Lock()
	_, coming := c.coming[stream]
	c.mu.Unlock()
	if coming {
		return onItsWay{}
	}
	home := c.home(stream)
	if _, mine := c.generation(stream); mine || home == c.trust.Identity().Name {
		return nil
	}
	c.mu.Lock()
	delete(c.prepared, stream) // what the desk here knows is out of date from now on
	c.mu.Unlock()
	return c.directory.Transport(home)
}

// onItsWay answers for a stream that this node is taking over: its cards are not here yet. The API asks again in a moment.
type onItsWay struct{}

// RoundTrip implements http.RoundTripper.
func (onItsWay) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the stream is on its way to this node")
}

// prepare has a desk of a stream without an origin, whose cards this node answers for, go on with what another node's was.
func (c *cluster) prepare(name string) {
	if _, mine := c.generation(name); mine {
		return
	}
	c.mu.Lock()
	_, fresh := c.prepared[name]
	if len(c.prepared) >= mostPrepared {
		clear(c.prepared)
	}
	c.prepared[name] = struct{}{}
	c.mu.Unlock()
	if fresh {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cardsTime)
	defer cancel()
	c.bringCards(ctx, name)
}

// mostPrepared bounds how many streams are remembered whose desks are up to date.
const mostPrepared = 10000

// carried is what other nodes may ask for over the directory: the API, and the desks of streams that move.
func (c *cluster) carried(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET "+deskPath+"{name}", c.giveDesk)
	return mux
}
