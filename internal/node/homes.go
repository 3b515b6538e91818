package node

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay"
	"pushcart/overlay/api"
	"pushcart/relay"
)

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
	maps.DeleteFunc(c.moved, func(_ string, m movedTo) bool { return time.Since(m.at) > movedKept })
	c.moved[name] = movedTo{to, gen, time.Now()}
	delete(c.prepared, name)
	c.mu.Unlock()
	c.giveWay(name, gen)
	desk, ok := c.n.desks.Export(name)
	gate.Unlock()
	if !ok {
		http.Error(w, "this node has no cards of the stream", http.StatusNotFound)
		return
	}
	// A node that goes away is no fault of ours.
	_, _ = w.Write(desk)
}

// giveWay yields a stream to a claim of another node, of which the directory may not have told yet.
func (c *cluster) giveWay(name string, gen int64) {
	c.handing.Lock()
	defer c.handing.Unlock()
	c.mu.Lock()
	one := c.claims[name]
	c.mu.Unlock()
	if one != nil && one.entry.Gen < gen {
		c.n.log.Warn("another node has the stream now: this one follows it", "stream", name, "gen", one.entry.Gen, "other", gen)
		c.yield(name, one)
	}
}

// movedTo is where a stream has gone that was here, until the directory tells so too, and under which generation.
type movedTo struct {
	node string
	gen  int64
	at   time.Time
}

const (
	// movedFor is how long that may take, where the directory takes claims.
	movedFor = 5 * time.Second
	// movedKept is for how long it is remembered where it does not.
	movedKept = 10 * time.Minute
)

// movedSince tells whether another node has just asked for the cards of a stream with a later claim than one of a generation.
func (c *cluster) movedSince(name string, gen int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.moved[name]
	return ok && m.gen > gen && time.Since(m.at) < movedFor
}

// home is the node that answers for a stream's cards: its origin, and before a show one that all nodes agree on.
func (c *cluster) home(stream string) string {
	e, ok := c.directory.Lookup(stream)
	c.mu.Lock()
	moved, gone := c.moved[stream]
	if gone && ok && e.Gen >= moved.gen { // the directory tells so now
		delete(c.moved, stream)
		gone = false
	}
	c.mu.Unlock()
	switch {
	case gone && ok && e.Origin == c.trust.Identity().Name, gone && !ok && time.Since(moved.at) < movedFor:
		return moved.node
	case ok:
		return e.Origin
	}
	return relay.Home(stream, c.directory.Self(), c.directory.Peers())
}

// handIn gives the directory what a stream's desk has at last, when the stream is not this node's any more.
func (c *cluster) handIn(name string, gen int64) {
	gate := c.gates.of(name)
	gate.Lock() // commands that are being carried out are in it
	defer gate.Unlock()
	if desk, ok := c.n.desks.Export(name); ok {
		c.directory.PutCards(name, gen, desk)
	}
}

// elsewhere is the way to the node that answers for a stream's cards; nil is this one.
func (c *cluster) elsewhere(stream string) http.RoundTripper {
	home := c.home(stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, mine := c.claims[stream]
	_, coming := c.coming[stream]
	switch {
	case home != c.trust.Identity().Name:
		delete(c.prepared, stream) // what the desk here knows is out of date from now on
		return c.directory.Transport(home)
	case !mine && (coming || c.left || !c.listed()):
		return onItsWay{}
	}
	return nil
}

// listed tells whether this node knows where streams are, which it does a few seconds after its start.
func (c *cluster) listed() bool {
	select {
	case <-c.directory.Listed():
		return true
	default:
		return false
	}
}

// onItsWay answers for a stream that this node is taking over or giving up, or does not know of yet: its cards are not here. The API
// asks again in a moment.
type onItsWay struct{}

// RoundTrip implements http.RoundTripper.
func (onItsWay) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the stream is on its way to this node")
}

// desk opens a stream's desk, which this node answers for.
func (c *cluster) desk(name string) (api.Desk, error) {
	if err := c.prepare(name); err != nil {
		return nil, err
	}
	d, err := c.n.desks.Desk(name)
	if err != nil {
		return nil, err
	}
	return gated{d, c, name}, nil
}

// prepared is when a desk without an origin was brought up to date.
type prepared struct {
	done chan struct{} // closed when it is
	err  error         // why it is not
	at   time.Time     // when it began
}

// Bounds of what is prepared.
const (
	// preparedFor is for how long a desk counts as up to date: there may have been a show at another node since.
	preparedFor = 5 * time.Second
	// mostPrepared is how many streams are remembered whose desks are.
	mostPrepared = 10000
)

// prepare has a desk of a stream without an origin, whose cards this node answers for, go on with what another node's was. All who
// want it meanwhile wait.
func (c *cluster) prepare(name string) error {
	c.mu.Lock()
	if _, mine := c.claims[name]; mine {
		c.mu.Unlock()
		return nil
	}
	p := c.prepared[name]
	if p != nil && time.Since(p.at) < preparedFor {
		c.mu.Unlock()
		<-p.done
		return p.err
	}
	if len(c.prepared) >= mostPrepared {
		clear(c.prepared)
	}
	p = &prepared{done: make(chan struct{}), at: time.Now()}
	c.prepared[name] = p
	c.mu.Unlock()
	defer close(p.done)
	if err := c.bringCards(context.Background(), name); err != nil {
		p.err = &overlay.Refusal{
			Reason: overlay.ReasonBusy, Message: "The stream's cards cannot be had from the other nodes at this time. Send the request again in a moment.",
		}
		c.mu.Lock()
		if c.prepared[name] == p {
			delete(c.prepared, name)
		}
		c.mu.Unlock()
	}
	return p.err
}

// carried is what other nodes may ask for over the directory: the API, and the desks of streams that move.
func (c *cluster) carried(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET "+deskPath+"{name}", c.giveDesk)
	return mux
}
