package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// pace are the times of a Manager.
type pace struct {
	// silence of a log after which its connection counts as dead.
	silence time.Duration
	// dial bounds a connection's making, and the wait for the answer to a request.
	dial time.Duration
	// await bounds how long a peer's request waits for a copy to begin.
	await time.Duration
	// grace is what a node in between has for following the stream to its new origin.
	grace time.Duration
	// chase is how long a better source may need to catch up with what is published, before it counts as none.
	chase time.Duration
	// stall is how long a source may bring nothing while other nodes are further, before it is left.
	stall time.Duration
	// calm is how long a source is kept at least, before a better one takes its place.
	calm time.Duration
	// vanish is how long a stream has to be gone from a directory that is well, before its show counts as over.
	vanish time.Duration
	// gather bounds what a takeover waits for others' logs.
	gather time.Duration
	// tick is how often a copy looks whether it is still wanted, where Settings.Idle is not shorter.
	tick time.Duration
}

var usualPace = pace{
	silence: 2500 * time.Millisecond, dial: dialTimeout, await: 2 * time.Second, grace: 1500 * time.Millisecond, chase: 3 * time.Second,
	stall: 2 * time.Second, calm: time.Second, vanish: 5 * time.Second, gather: time.Second, tick: time.Second,
}

// Why a copy ended.
var (
	errIdle      = errors.New("nobody watches or copies it")
	errForbidden = errors.New("this region may not have it any more")
	errEnded     = errors.New("the show is over")
	errTaken     = errors.New("this node becomes its origin")
	errStopped   = errors.New("the node stops")
)

// copied is a stream that is copied.
type copied struct {
	m      *Manager
	stream string
	t      *target
	sink   CardSink // may be nil
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when run has returned
	asked  atomic.Int64  // when somebody last asked for it, in ns of Unix time
	began  time.Time

	mu      sync.Mutex // guards what follows, which run writes
	from    string     // node that is copied from; "" is none
	trying  string     // node that is called
	source  string     // node that all renditions came from last; "" is none yet
	why     string     // why the last move was made
	lastErr string
	told    string // of it, in the log
	moves   int
	added   *window.Presentation // that Added was called with

	// For run's goroutine.
	entry     Entry     // as last heard
	before    string    // the last origin but this node
	changedAt time.Time // when the generation was heard of
	penalties penalties
	heard     map[string]Peer // nodes that were there when the directory was well
	redirect  string          // node that a full one has sent us to
	graceEnd  time.Time
	movedAt   time.Time
	goneSince time.Time
	reached   window.Position // of the leading rendition's last part, and since when
	reachedAt time.Time
}

// lockedSink lets the links of a copy use one sink.
type lockedSink struct {
	mu sync.Mutex
	to CardSink
}

func (s *lockedSink) Keys(jwks string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to.Keys(jwks)
}

func (s *lockedSink) Card(c wire.Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to.Card(c)
}

func (s *lockedSink) Desk(snapshot []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to.Desk(snapshot)
}

func (s *lockedSink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to.Close()
}

// run copies until the copy is not wanted any more, and tells why.
func (c *copied) run() error {
	var now, next *link // what is copied over, and what is to take its place
	defer func() {
		for _, l := range []*link{now, next} {
			if l != nil {
				l.stop()
			}
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	established := false // now has been ready
	var nextSince time.Time
	for {
		changed := c.m.opt.Directory.Changed()
		_, _, ended, told := c.t.presentation()
		if ended && (now == nil || c.t.complete()) {
			return errEnded // what has not come by then is not to be had any more
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		if !c.wanted() {
			return errIdle
		}
		clock := time.Now()
		before := c.entry
		known := c.lookup()
		if known && !permitted(c.entry, c.m.self.Region) {
			return errForbidden
		}
		if c.outdated(now, before, clock) {
			now.stop()
			now, established = nil, false
		}
		if next != nil && next.floor < c.entry.Gen {
			next.stop()
			next = nil
		}
		names := c.candidates()
		best, wait := c.penalties.choose(names, clock)
		if now != nil && best == now.peer.Name && closed(now.unfit) {
			// It is left as soon as there is another; it is not asked again before.
			best, wait = c.penalties.choose(slices.DeleteFunc(names, func(name string) bool { return name == now.peer.Name }), clock)
		}
		switch {
		case c.entry.Origin == c.m.self.Name:
			// TakeOver is on its way. What comes meanwhile is welcome.
		case now == nil && next != nil:
			now, next, established = next, nil, false
			c.note(now, moveFailed)
		case now == nil && best != "":
			now, established = c.link(best), false
			reason := moveFailed
			switch {
			case c.entry.Gen != before.Gen && before.Gen != 0:
				reason = moveOrigin
			case c.movedAt.IsZero():
				reason = moveFirst
			}
			c.note(now, reason)
		case now != nil && next == nil && established && c.better(names, best, now) && clock.Sub(c.movedAt) >= c.m.pace.calm:
			next, nextSince = c.link(best), clock
		}
		if next != nil && clock.Sub(nextSince) >= c.m.pace.chase {
			c.m.opt.Log.Debug("a better source does not catch up", "stream", c.stream, "node", next.peer.Name)
			c.penalties.failed(next.peer.Name, clock, rand.Float64())
			next.stop()
			next = nil
		}
		if now != nil && c.stalled(now, clock) {
			now.stop()
			c.lost(now.peer.Name, fail(failStalled, "nothing comes from it, and other nodes are further"))
			now, established = nil, false
			continue
		}
		if c.vanished(known || established, clock) {
			c.t.end()
			continue
		}

		pauses := []time.Duration{c.tick()}
		if best == "" {
			pauses = append(pauses, wait)
		}
		if !c.graceEnd.IsZero() {
			pauses = append(pauses, c.graceEnd.Sub(clock))
		}
		if next != nil {
			pauses = append(pauses, nextSince.Add(c.m.pace.chase).Sub(clock))
		}
		timer.Reset(max(slices.Min(pauses), time.Millisecond))
		var nowDone, nowReady, nowUnfit, nextDone, nextReady <-chan struct{}
		if now != nil {
			if nowDone = now.done; !established {
				nowReady = now.ready
			}
			if !closed(now.unfit) {
				nowUnfit = now.unfit
			}
		}
		if next != nil {
			nextDone, nextReady = next.done, next.ready
		}
		select {
		case <-c.ctx.Done():
		case <-changed:
		case <-told:
		case <-nowUnfit:
		case <-timer.C:
		case <-nowReady:
			established = true
			delete(c.penalties, now.peer.Name)
			c.established(now)
		case <-nextReady:
			now.stop()
			now, next, established = next, nil, true
			delete(c.penalties, now.peer.Name)
			c.note(now, moveBetter)
			c.established(now)
		case <-nowDone:
			c.failed(now)
			now, established = nil, false
		case <-nextDone:
			c.failed(next)
			next = nil
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// link begins to copy from a node.
func (c *copied) link(name string) *link {
	l := &link{
		m: c.m, t: c.t, peer: c.heard[name], entry: c.entry, floor: c.entry.Gen, sink: c.sink,
		replaced: func(p *window.Presentation) { c.m.keep(c.stream, p, nil) },
		viewed:   c.viewed,
	}
	c.mu.Lock()
	c.trying = name
	c.mu.Unlock()
	l.start(c.ctx)
	return l
}

// viewed shows a presentation to viewers, once it is known what it consists of.
func (c *copied) viewed(p *window.Presentation) {
	c.mu.Lock()
	first := c.added != p
	c.added = p
	c.mu.Unlock()
	if first {
		c.m.opt.Added(p)
	}
}

// note remembers and counts a move to another node.
func (c *copied) note(l *link, reason string) {
	c.movedAt = time.Now()
	c.m.metrics.moves.WithLabelValues(reason).Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = l.peer.Name
	c.moves++
	c.why = reason
}

// established notes that all renditions come.
func (c *copied) established(l *link) {
	c.redirect = ""
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.trying != "" && c.moves == 1 && c.lastErr == ""
	c.from, c.trying, c.lastErr, c.told = l.peer.Name, "", "", ""
	if first {
		c.m.metrics.first.Observe(c.m.opt.Now().Sub(c.began).Seconds())
	}
	if c.source == "" {
		c.m.opt.Log.Info("a stream is copied", "stream", c.stream, "node", l.peer.Name)
	} else if c.source != l.peer.Name {
		c.m.opt.Log.Info("a stream is copied from another node", "stream", c.stream, "node", l.peer.Name, "before", c.source, "reason", c.why)
	}
	c.source = l.peer.Name
}

// failed notes that a link has ended.
func (c *copied) failed(l *link) {
	if l.err != nil && !errors.Is(l.err, errGiven) {
		c.lost(l.peer.Name, l.err)
	}
}

// fresh are the reasons for which a new origin cannot be copied from for a moment.
var fresh = map[string]bool{failGeneration: true, failUnknown: true, failBehind: true, failRefused: true}

// lost leaves a node alone for a while.
func (c *copied) lost(node string, err error) {
	var f *failure
	if errors.As(err, &f) && f.node != "" {
		c.redirect = f.node
		delete(c.penalties, f.node)
	}
	reason := reasonOf(err)
	c.m.metrics.failures.WithLabelValues(reason).Inc()
	c.penalties.failed(node, time.Now(), rand.Float64())
	if node == c.entry.Origin && fresh[reason] && time.Since(c.changedAt) < longestWait {
		// It has only just claimed the stream, and is about to have it.
		c.penalties[node].failures = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from == node {
		c.from = ""
	}
	c.lastErr = node + ": " + err.Error()
	level := slog.LevelDebug
	switch {
	case f != nil && f.node != "":
		// It has named another one.
	case fresh[reason] && time.Since(c.changedAt) < longestWait:
		// The stream has just moved, and nodes hear of it one after the other.
	case c.told != c.lastErr:
		c.told = c.lastErr
		level = slog.LevelWarn
	}
	c.m.opt.Log.Log(context.Background(), level, "a stream cannot be copied from a node", "stream", c.stream, "node", node, "reason", reason, "error", err)
}

// tick is how often it is looked whether the copy is wanted.
func (c *copied) tick() time.Duration {
	return min(c.m.pace.tick, c.m.settings().Idle/4)
}

// wanted tells whether somebody watches or copies the stream, or did lately, or it is to be kept warm.
func (c *copied) wanted() bool {
	s := c.m.settings()
	if e, ok := c.m.opt.Directory.Lookup(c.stream); ok && s.prefetched(c.stream) && e.Origin != c.m.self.Name {
		return true
	}
	now := c.m.opt.Now()
	if now.Sub(time.Unix(0, c.asked.Load())) < s.Idle {
		return true
	}
	if c.m.opt.Viewers != nil && c.m.opt.Viewers(c.stream) > 0 || c.m.opt.Peers != nil && c.m.opt.Peers(c.stream) > 0 {
		c.asked.Store(now.UnixNano())
		return true
	}
	return false
}
