package relay

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
)

// ManagerOptions are what a Manager needs. Functions are for any goroutine; all but Dial do no I/O.
type ManagerOptions struct {
	// Directory of the cluster.
	Directory Directory
	// Dial makes a TLS connection to a node's relay (Peer.Address) and checks that it is that node.
	Dial func(ctx context.Context, p Peer) (net.Conn, error)
	// Token makes what this node shows for a stream; nil shows nothing.
	Token func(e Entry) (string, error)
	// Added is called with a presentation that viewers may have from now on, Removed with one that is forgotten.
	Added, Removed func(*window.Presentation)
	// Own tells that this node's packager writes a stream, or did until a moment ago and Follow is about to be called: it is not
	// copied then, whatever the directory says. nil is never.
	Own func(stream string) bool
	// Viewers and Peers tell how many viewers a stream had in the last seconds, and how many nodes copy it from this one. nil is none.
	Viewers, Peers func(stream string) int
	// Cards makes what takes a copied stream's cards; nil, or a nil sink, takes none.
	Cards func(stream string) CardSink
	// Settings in force; nil is Settings{}.
	Settings func() Settings
	// Reverse has connections of nodes that cannot be called; nil is none.
	Reverse *ReversePool
	// Log and Registerer may be nil.
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock that copies are dated by, and that tells what is idle; nil is time.Now.
	Now func() time.Time
}

// Manager copies streams whose origins are other nodes. All methods are for any goroutine.
type Manager struct {
	opt     ManagerOptions
	metrics *copyMetrics
	pace    pace
	self    Peer
	wg      sync.WaitGroup // of everything that Run waits for

	mu     sync.Mutex // guards what follows
	ctx    context.Context
	copies map[string]*copied
	kept   []kept
	taking map[string]bool // streams that this node is about to be the origin of
	full   time.Time       // when it was last said that there are too many copies
}

// kept is a presentation of a show that is over, or that another took the place of.
type kept struct {
	stream string
	gen    int64
	p      *window.Presentation
	path   []string
	ended  bool
	until  time.Time
}

// NewManager makes a Manager, which copies nothing before Run.
func NewManager(o ManagerOptions) *Manager {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Settings == nil {
		o.Settings = func() Settings { return Settings{} }
	}
	for _, f := range []*func(*window.Presentation){&o.Added, &o.Removed} {
		if *f == nil {
			*f = func(*window.Presentation) {}
		}
	}
	if o.Own == nil {
		o.Own = func(string) bool { return false }
	}
	return &Manager{
		opt: o, metrics: newCopyMetrics(o.Registerer), pace: usualPace, self: o.Directory.Self(),
		copies: map[string]*copied{}, taking: map[string]bool{},
	}
}

func (m *Manager) settings() Settings { return m.opt.Settings().withDefaults() }

// Run copies what is to be kept warm and what was asked for until ctx ends, and returns when everything that was started has
// ended. It is called once. Presentations stay as they are then.
func (m *Manager) Run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	ticker := time.NewTicker(m.pace.tick)
	defer ticker.Stop()
	for ctx.Err() == nil {
		changed := m.opt.Directory.Changed()
		m.prefetch()
		m.forget()
		select {
		case <-changed:
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	cancel(errStopped)
	m.mu.Unlock()
	m.wg.Wait()
}

// prefetch starts copies of what is to be kept warm.
func (m *Manager) prefetch() {
	s := m.settings()
	if len(s.Prefetch) == 0 {
		return
	}
	for _, e := range m.opt.Directory.Entries() {
		if s.prefetched(e.Stream) && e.Origin != m.self.Name && permitted(e, m.self.Region) {
			m.demand(e.Stream, false)
		}
	}
}

// forget lets go of presentations that were kept for long enough.
func (m *Manager) forget() {
	now := m.opt.Now()
	m.mu.Lock()
	var old []*window.Presentation
	m.kept = slices.DeleteFunc(m.kept, func(k kept) bool {
		over := !now.Before(k.until)
		if over {
			old = append(old, k.p)
		}
		return over
	})
	m.mu.Unlock()
	for _, p := range old {
		m.opt.Removed(p)
	}
}

// Demand says that a viewer asks for a stream's playlist, and tells whether it is, or is about to be, copied: the directory
// knows it, another node is its origin, and its policy allows this region. Of one for which there is no room at this time it says so
// too: it is there, and may be had in a moment. It does no I/O.
func (m *Manager) Demand(stream string) bool {
	_, ok := m.demand(stream, true)
	return ok
}

// demand returns a stream's copy, which it starts where there is none; false when there is nothing to copy, and nil where there is no
// room for it. asked tells that somebody wants it now.
func (m *Manager) demand(stream string, asked bool) (*copied, bool) {
	e, known := m.opt.Directory.Lookup(stream)
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.copies[stream]; c != nil {
		if asked {
			c.asked.Store(m.opt.Now().UnixNano())
		}
		return c, !known || permitted(e, m.self.Region)
	}
	switch {
	case m.ctx == nil || m.ctx.Err() != nil || !known || e.Origin == m.self.Name || m.taking[stream] || m.opt.Own(stream):
		return nil, false
	case !permitted(e, m.self.Region):
		m.metrics.refused.WithLabelValues(demandForbidden).Inc()
		return nil, false
	case slices.ContainsFunc(m.kept, func(k kept) bool { return k.ended && k.stream == stream && e.Gen <= k.gen }):
		return nil, false // the show is over; what there is of it is there
	case len(m.copies) >= m.settings().MaxCopies:
		m.metrics.refused.WithLabelValues(demandFull).Inc()
		if now := m.opt.Now(); now.Sub(m.full) > time.Minute {
			m.full = now
			m.opt.Log.Warn("a stream is not copied, since enough others are: raise relay.max_copies", "stream", stream, "copies", len(m.copies))
		}
		return nil, true
	}
	c := m.newLocked(stream)
	c.asked.Store(m.opt.Now().UnixNano())
	m.startLocked(c)
	return c, true
}

// newLocked makes a copy.
func (m *Manager) newLocked(stream string) *copied {
	c := &copied{
		m: m, stream: stream, t: newTarget(stream, m.opt.Now, m.metrics), done: make(chan struct{}), began: m.opt.Now(),
		penalties: penalties{}, heard: map[string]Peer{},
	}
	if m.opt.Cards != nil {
		if sink := m.opt.Cards(stream); sink != nil {
			c.sink = &lockedSink{to: sink}
		}
	}
	c.ctx, c.cancel = context.WithCancelCause(m.ctx)
	return c
}

// startLocked runs a copy.
func (m *Manager) startLocked(c *copied) {
	m.copies[c.stream] = c
	m.metrics.copies.Set(float64(len(m.copies)))
	m.wg.Go(func() {
		c.cancel(c.run())
		c.over(context.Cause(c.ctx)) // the first cause counts: a takeover may have come just before
		close(c.done)
	})
}

// over lets go of a copy that runs no more.
func (c *copied) over(why error) {
	m := c.m
	p, viewed, ended, _ := c.t.presentation()
	var path []string
	c.t.mu.Lock()
	path = c.t.path
	c.t.mu.Unlock()
	m.mu.Lock()
	if m.copies[c.stream] == c {
		delete(m.copies, c.stream)
		m.metrics.copies.Set(float64(len(m.copies)))
	}
	m.mu.Unlock()
	said := why
	if m.ctx.Err() != nil {
		said = errStopped
	}
	m.opt.Log.Info("a stream is not copied any more", "stream", c.stream, "why", said)
	if why == errTaken {
		return // TakeOver has it
	}
	if c.sink != nil {
		c.sink.Close()
	}
	switch {
	case p == nil || !viewed:
	case ended:
		m.keep(c.stream, p, path)
	case why == errIdle || why == errForbidden:
		c.t.take()
		m.opt.Removed(p)
	}
}

// keep keeps a presentation for those who watch it to its end.
func (m *Manager) keep(stream string, p *window.Presentation, path []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, kept{
		stream: stream, gen: p.Gen(), p: p, path: path, ended: p.Load().Ended, until: m.opt.Now().Add(m.settings().Keep),
	})
}

// Forbidden tells whether this region may not have a stream. It is for each request: it does no I/O.
func (m *Manager) Forbidden(stream string) bool {
	e, known := m.opt.Directory.Lookup(stream)
	return known && !permitted(e, m.self.Region)
}

// Await has a stream copied that a peer asks for, and waits until it is known what it consists of, two seconds at most. It
// returns nil where there is nothing to wait for: also where this node is asking that very peer.
func (m *Manager) Await(ctx context.Context, stream, peer string) *window.Presentation {
	c, ok := m.demand(stream, true)
	if !ok || c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.pace.await)
	defer cancel()
	for {
		p, viewed, _, changed := c.t.presentation()
		if viewed {
			return p
		}
		c.mu.Lock()
		circle := c.trying == peer || c.from == peer
		c.mu.Unlock()
		if circle {
			return nil
		}
		select {
		case <-changed:
		case <-c.done:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// Path returns the names of the nodes from a copied stream's origin to this one, both among them; nil for a stream that is not
// copied.
func (m *Manager) Path(stream string) []string {
	m.mu.Lock()
	c := m.copies[stream]
	if c == nil {
		defer m.mu.Unlock()
		for _, k := range slices.Backward(m.kept) {
			if k.stream == stream {
				return k.path
			}
		}
		return nil
	}
	m.mu.Unlock()
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	return c.t.path
}

// Incoming returns what is arriving of a copied rendition; nil for one that is not copied.
func (m *Manager) Incoming(stream, rendition string) *Incoming {
	m.mu.Lock()
	c := m.copies[stream]
	m.mu.Unlock()
	if c == nil {
		return nil
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if rep := c.t.replicas[rendition]; rep != nil {
		return rep.incoming
	}
	return nil
}

// Follow copies into a presentation that was this node's own, because another node has become the stream's origin. Its writer
// has stopped by now; Follow calls Renounce. Viewers keep it.
func (m *Manager) Follow(p *window.Presentation) {
	p.Renounce()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ctx == nil || m.ctx.Err() != nil:
		return
	case m.copies[p.Stream] != nil || p.Load().Ended:
		// A viewer's request was quicker: what he gets is another presentation of the same show. This one is for who has names of it.
		m.kept = append(m.kept, kept{
			stream: p.Stream, gen: p.Gen(), p: p, ended: p.Load().Ended, until: m.opt.Now().Add(m.settings().Keep),
		})
		return
	}
	c := m.newLocked(p.Stream)
	c.asked.Store(m.opt.Now().UnixNano())
	c.added = p
	c.t.p, c.t.viewed = p, true
	for _, r := range p.Load().Renditions {
		c.t.replicas[r.Name] = &replica{name: r.Name, r: r, incoming: NewIncoming()}
	}
	m.startLocked(c)
}
