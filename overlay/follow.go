package overlay

import (
	"context"
	"sync"
	"time"

	"pushcart/internal/stream"
)

// Bounds on commands that come with the media.
const (
	// inBandWaiting is how many messages may wait to be looked at.
	inBandWaiting = 256
	// inBandBytes is the most that a message may hold, in bytes of text: more than any command takes.
	inBandBytes = 64 << 10
	// inBandRateLimit is how many commands a second a publisher may send for ever, inBandBurst how many at once.
	inBandRateLimit = 50
	inBandBurst     = 100
)

// Follow returns the consumer of a stream that begins. In the background it opens the stream's desk, again and again if
// need be, announces the present state to s and then each one that follows, and carries out what comes with the media,
// until the stream ends. After that, s may hear of one more state.
func (d *Desks) Follow(name string, s Screen) stream.Consumer {
	f := &follower{
		desks: d, name: name, screen: s, queue: make(chan message, inBandWaiting), over: make(chan struct{}),
		bucket: bucket{level: inBandBurst},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		f.close()
	} else {
		d.running.Go(f.run)
	}
	return f
}

// follower ties a stream to its desk.
type follower struct {
	desks  *Desks
	name   string
	screen Screen
	queue  chan message
	end    sync.Once
	over   chan struct{} // closed when the stream has ended

	mu     sync.Mutex // guards closed, and queue against what comes after it
	closed bool       // nobody takes from the queue any more

	bucket bucket // run's
}

// message came with the media at a time.
type message struct {
	data *stream.Data
	at   time.Time
}

// answer tells the sender what became of its command, if it wants to know. Each message gets one answer.
func (m message) answer(r Result, refusal *Refusal) {
	if m.data.Reply == nil {
		return
	}
	if refusal != nil {
		m.data.Reply(stream.Reply{Refused: refusal.Message, Field: refusal.Field})
		return
	}
	m.data.Reply(stream.Reply{Epoch: r.Epoch, Seq: r.Seq, Card: r.Card, Rev: r.Rev})
}

// Tracks implements stream.Consumer.
func (f *follower) Tracks([]*stream.Track) {}

// Frame implements stream.Consumer.
func (f *follower) Frame(*stream.Frame) {}

// Away implements stream.Consumer.
func (f *follower) Away() {}

// End implements stream.Consumer.
func (f *follower) End() { f.end.Do(func() { close(f.over) }) }

// Data implements stream.Consumer. It looks at nothing but the size: that is all that the publisher may wait for.
func (f *follower) Data(d *stream.Data) {
	m := message{d, f.desks.opt.Now()}
	budget := inBandBytes
	for _, v := range d.Values {
		if budget = spend(v, budget); budget < 0 {
			f.desks.metrics.inBand.WithLabelValues(inBandSize).Inc()
			m.answer(Result{}, refuse(ReasonTooLarge, "", "The message has more than %d bytes: shorten the card.", inBandBytes))
			return
		}
	}
	if !mayBeCommand(d) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		m.answer(Result{}, f.why())
		return
	}
	// While the desk cannot be opened the newest ones are kept: what was shown minutes ago is not to be shown now.
	for {
		select {
		case f.queue <- m:
			return
		default:
		}
		select {
		case old := <-f.queue:
			f.desks.metrics.inBand.WithLabelValues(inBandQueue).Inc()
			old.answer(Result{}, refuse(ReasonBusy, "", "Too many commands wait on this stream: send fewer, and this one again in a moment."))
		default:
		}
	}
}

// close answers what waits, and refuses what comes from now on.
func (f *follower) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for {
		select {
		case m := <-f.queue:
			m.answer(Result{}, f.why())
		default:
			return
		}
	}
}

// why is the refusal for what nobody looks at any more.
func (f *follower) why() *Refusal {
	if f.desks.ctx.Err() != nil {
		return errClosed()
	}
	return refuse(ReasonClosed, "", "The stream has no desk for its cards any more: it has ended, or its journal cannot be opened.")
}

// spend takes from a budget what a value holds; less than 0 is left when that is too much.
func spend(v any, budget int) int {
	budget -= 16
	switch v := v.(type) {
	case string:
		budget -= len(v)
	case []any:
		for _, e := range v {
			if budget < 0 {
				break
			}
			budget = spend(e, budget)
		}
	case map[string]any:
		for name, e := range v {
			if budget < 0 {
				break
			}
			budget = spend(e, budget-len(name))
		}
	}
	return budget
}

// run is the follower's goroutine.
func (f *follower) run() {
	defer f.close()
	k := f.attach()
	if k == nil {
		return
	}
	defer k.unfollow(f)
	for {
		select {
		case <-f.desks.ctx.Done():
			return
		case m := <-f.queue:
			f.take(k, m)
		case <-f.over:
			for { // what came before the end counts
				select {
				case m := <-f.queue:
					f.take(k, m)
				default:
					return
				}
			}
		}
	}
}

// Pauses between attempts to open a desk.
const (
	firstRetry = retryOpen
	lastRetry  = 30 * time.Second
)

// attach opens the desk and follows it; nil when the stream or the node ended before that.
func (f *follower) attach() *Desk {
	k, refusal := f.desks.handle(f.name)
	if refusal != nil {
		f.desks.opt.Log.Error("a stream has no desk for its cards", "stream", f.name, "reason", refusal.Message)
		return nil
	}
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		if k.follow(f) == nil {
			return k
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			continue
		case <-f.over:
		case <-f.desks.ctx.Done():
		}
		timer.Stop()
		return nil
	}
}

// follow opens the desk and has it announce its state, and each that follows, to f's screen.
func (k *Desk) follow(f *follower) *Refusal {
	k.touch()
	k.mu.Lock()
	defer k.mu.Unlock()
	w, refusal := k.openLocked(true)
	if refusal != nil {
		return refusal
	}
	if !w.call(func() { w.attach(f) }) {
		return errClosed()
	}
	k.followers++
	return nil
}

// unfollow ends what follow began.
func (k *Desk) unfollow(f *follower) {
	k.touch()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.followers--
	if w := k.clerk.Load(); w != nil {
		w.call(func() { w.detach(f) })
	}
}

// take carries out a message, if it is a command.
func (f *follower) take(k *Desk, m message) {
	c, ours, refusal := commandOf(m.data)
	if !ours {
		return
	}
	if !f.bucket.take(m.at) {
		f.refuse(k, m, c.Source, inBandRate,
			refuse(ReasonBusy, "", "The publisher sends more than %d commands a second: what is beyond that is not carried out.", inBandRateLimit))
		return
	}
	switch {
	case !m.data.Trusted:
		refusal = refuse(ReasonForbidden, "", "The publisher gave no stream key: set one in the node's configuration, and in the encoder, to let it show cards.")
	case !k.View().InBand:
		refusal = refuse(ReasonForbidden, "", "The stream does not accept cards that come with the media: turn that on in the studio to let the publisher show them.")
	case refusal == nil:
		way := f.desks.follow(context.Background(), k.name, &c)
		j := &job{request: prepare(c, f.desks.opt.Policy(), m.at), way: way}
		j.done = func(r Result, err error) {
			if no, ok := err.(*Refusal); ok {
				f.refuse(k, m, c.Source, string(no.Reason), no)
				return
			}
			m.answer(r, nil)
		}
		if refusal = k.submit(j); refusal == nil {
			return
		}
	}
	f.refuse(k, m, c.Source, string(refusal.Reason), refusal)
}

// refuse counts a command that is not carried out, and tells its sender and the views of it. Nothing of it is written to the
// disk.
func (f *follower) refuse(k *Desk, m message, source, reason string, why *Refusal) {
	f.desks.metrics.inBand.WithLabelValues(reason).Inc()
	if w := k.clerk.Load(); w != nil && w.refusals.note(m.at, source, why) {
		w.signal()
	}
	m.answer(Result{}, why)
}

// bucket lets a number of commands through at once, and then as many a second as its rate.
type bucket struct {
	level float64 // commands that may come at once
	last  time.Time
}

// take tells whether one more may come at a time.
func (b *bucket) take(at time.Time) bool {
	if since := at.Sub(b.last); !b.last.IsZero() && since > 0 {
		b.level = min(b.level+since.Seconds()*inBandRateLimit, inBandBurst)
	}
	b.last = at
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
