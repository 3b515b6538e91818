package webhooks

import (
	"slices"
	"time"
)

const (
	// mostRequests is how many requests a target gets at once, each for another stream.
	mostRequests = 4
	firstPause   = time.Second
	lastPause    = 5 * time.Minute
	// longestHold is the most that Retry-After can ask for.
	longestHold = time.Hour
)

// target is one that is told, and what waits for it. Guarded by the dispatcher's mutex.
type target struct {
	Target
	d        *Dispatcher
	key      key
	name     string // for people: the host
	lanes    map[string]*lane
	ready    []*lane // those whose next event can be sent
	requests int     // under way
	bytes    int64   // of what waits
	count    int
	gone     bool        // it said that it wants nothing any more
	removed  bool        // it is in the settings no more
	hold     *time.Timer // runs while it asked for a pause
}

// lane is what waits of one stream, in order.
type lane struct {
	stream   string
	queue    []*event
	attempts int         // of the first one, that failed
	busy     bool        // it is under way
	listed   bool        // it is in ready
	timer    *time.Timer // runs between two attempts
}

func newTarget(d *Dispatcher, t Target) *target {
	return &target{Target: t, d: d, key: t.key(), lanes: map[string]*lane{}}
}

// change applies new settings: what waits is tried at once.
func (t *target) change(to Target) {
	t.Target, t.gone = to, false
	t.stopTimers()
	for _, l := range t.lanes {
		t.list(l)
	}
}

func (t *target) stopTimers() {
	if t.hold != nil {
		t.hold.Stop()
		t.hold = nil
	}
	for _, l := range t.lanes {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
	}
}

// busy tells whether something is under way, or can be at once.
func (t *target) busy() bool { return t.requests > 0 || t.hold == nil && len(t.ready) > 0 }

// put adds an event.
func (t *target) put(e *event) {
	l := t.lanes[e.stream]
	if l == nil {
		l = &lane{stream: e.stream}
		t.lanes[e.stream] = l
	}
	l.queue = append(l.queue, e)
	t.bytes += e.size
	t.count++
	t.list(l)
}

// list has a lane's first event sent when it is its turn.
func (t *target) list(l *lane) {
	if !l.busy && !l.listed && l.timer == nil && len(l.queue) > 0 {
		l.listed = true
		t.ready = append(t.ready, l)
	}
}

// start sends what can be sent.
func (t *target) start() {
	for t.hold == nil && len(t.ready) > 0 && t.requests < mostRequests {
		l := t.ready[0]
		t.ready = slices.Delete(t.ready, 0, 1)
		l.listed = false
		if len(l.queue) == 0 {
			t.tidy(l) // what waited was dropped meanwhile
			continue
		}
		e, to, ctx := l.queue[0], t.Target, t.d.ctx
		l.busy = true
		t.requests++
		t.d.sending.Go(func() { t.d.finished(t, l, e, t.d.deliver(ctx, &to, e)) })
	}
}

// finished takes the outcome of a request.
func (d *Dispatcher) finished(t *target, l *lane, e *event, o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.wake()
	l.busy = false
	t.requests--
	if o.cancelled {
		t.tidy(l)
		return
	}
	first := len(l.queue) > 0 && l.queue[0] == e // else it was dropped meanwhile
	switch {
	case o.ok:
		d.metrics.delivered.WithLabelValues(t.name).Inc()
		if first {
			t.pop(l)
			if l.attempts > 0 {
				d.opt.Log.Info("a webhook target takes events again", "target", t.name, "stream", l.stream)
			}
			l.attempts = 0
		}
	case o.damaged:
		if first {
			t.pop(l)
			d.metrics.dropped.WithLabelValues(t.name, dropDamaged).Inc()
			d.opt.Log.Error("an event for a webhook cannot be read back: it is lost", "target", t.name, "stream", l.stream, "error", o.err)
		}
	default:
		d.failed(t, l, e, o, first)
	}
	t.tidy(l)
	d.kick()
}

// failed decides when an event is tried again.
func (d *Dispatcher) failed(t *target, l *lane, e *event, o outcome, first bool) {
	d.metrics.failed.WithLabelValues(t.name, o.reason).Inc()
	if o.reason == failGone && !t.removed {
		t.gone = true
		d.opt.Log.Error("a webhook target says that it is gone: it is off until the settings change or the node starts again", "target", t.name,
			"hint", "take it out of webhooks.targets, or correct its url")
		t.dropAll(dropGone)
		return
	}
	if o.hold > 0 && t.hold == nil && !d.ending && !t.removed {
		t.hold = time.AfterFunc(min(o.hold, longestHold), func() { d.resume(t) })
	}
	if !first {
		l.attempts = 0
		return
	}
	l.attempts++
	if d.opt.Now().Sub(e.at) > d.settings.RetryFor {
		d.metrics.dropped.WithLabelValues(t.name, dropExpired).Inc()
		d.opt.Log.Error("an event for a webhook is given up", "target", t.name, "type", e.typ, "stream", e.stream, "id", e.id, "error", o.err,
			"hint", "webhooks.retry_for is how long one is tried again")
		t.pop(l)
		l.attempts = 0
		return
	}
	if l.attempts == 1 {
		d.opt.Log.Warn("a webhook target does not take an event: it is tried again", "target", t.name, "type", e.typ, "stream", e.stream, "error", o.err)
	}
	if !d.ending {
		l.timer = time.AfterFunc(d.pause(l.attempts), func() { d.again(t, l) })
	}
}

// pause before the next attempt: it doubles, and is shorter by up to a half, so that events do not come back all at once.
func (d *Dispatcher) pause(attempts int) time.Duration {
	p := min(firstPause<<min(attempts-1, 20), lastPause)
	return p/2 + time.Duration(d.opt.jitter()*float64(p/2))
}

// again is called when a lane's pause is over.
func (d *Dispatcher) again(t *target, l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.timer == nil || t.removed || d.ending {
		return // the settings changed meanwhile
	}
	l.timer = nil
	t.list(l)
	d.kick()
}

// resume is called when the pause that a target asked for is over.
func (d *Dispatcher) resume(t *target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.hold = nil
	d.kick()
}

// pop takes a lane's first event off, for good.
func (t *target) pop(l *lane) {
	e := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	t.bytes -= e.size
	t.count--
	t.d.done(e, t.key)
}

// tidy forgets a lane that has nothing to do, and lists one that has.
func (t *target) tidy(l *lane) {
	if len(l.queue) == 0 && !l.busy {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
		if t.lanes[l.stream] == l && !l.listed {
			delete(t.lanes, l.stream)
		}
		return
	}
	t.list(l)
}

// dropAll drops all that waits.
func (t *target) dropAll(reason string) {
	t.stopTimers()
	t.dropOldest(t.bytes, reason)
}

// dropOldest drops the oldest events, of that many bytes or a little more.
func (t *target) dropOldest(bytes int64, reason string) {
	all := make([]*event, 0, t.count)
	for _, l := range t.lanes {
		all = append(all, l.queue...)
	}
	slices.SortFunc(all, func(a, b *event) int { return int(int64(a.seq - b.seq)) })
	n := 0
	for _, e := range all {
		if bytes <= 0 {
			break
		}
		bytes -= e.size
		l := t.lanes[e.stream]
		t.pop(l) // the oldest of all is the first of its lane
		l.attempts = 0
		n++
	}
	for _, l := range t.lanes {
		if len(l.queue) == 0 {
			t.tidy(l)
		}
	}
	if n > 0 {
		t.d.metrics.dropped.WithLabelValues(t.name, reason).Add(float64(n))
		t.d.opt.Log.Warn("events for a webhook target were dropped", "target", t.name, "events", n, "reason", reason)
		t.d.wake()
	}
}

// oldest is when the oldest event that waits happened; zero where none does.
func (t *target) oldest() time.Time {
	var at time.Time
	for _, l := range t.lanes {
		if len(l.queue) > 0 && (at.IsZero() || l.queue[0].at.Before(at)) {
			at = l.queue[0].at
		}
	}
	return at
}
