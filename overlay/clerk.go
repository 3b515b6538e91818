package overlay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pushcart/overlay/journal"
	"pushcart/overlay/timed"
)

// clerk owns an open desk: its journal, its core and its books. All of it belongs to one goroutine, run, except where it
// says otherwise.
type clerk struct {
	desk  *Desk
	desks *Desks
	// queue, refusals and shelf are for any goroutine.
	*queue
	refusals refusals
	shelf    *shelf
	ended    chan struct{} // closed when run has returned and the journal is closed

	journal *journal.Journal
	core    core
	books   books
	shown   *state // the newest one
	screens []*follower
	// looked is the size of the journal at which it was last held against what it stands for.
	looked int64
	// opening is the record of the present epoch while it is not on the disk: it goes in front of the next ones.
	opening []byte
	// again is when the schedule may be tried again after the journal failed, complained when the log last told of that.
	again, complained time.Time

	bytes int64 // as metrics have them
	slots int
}

// state is a state of the slots on its way into the media.
type state struct {
	token string
	open  []Range
	at    time.Time
	frame *Frame
	way   Way
}

// announcement is the state as screens take it.
func (s *state) announcement() Announcement {
	return Announcement{Message: timed.AppendID3(nil, s.token), Open: s.open, At: s.at, Frame: s.frame, Way: s.way}
}

// sign makes the state of a core. Its error is timed.ErrTooLarge when it does not fit into a message.
func (d *Desks) sign(c *core) (*state, error) {
	t := timed.State{Stream: c.stream, Epoch: c.epoch, Seq: c.seq, Slots: make([]timed.Slot, len(c.slots))}
	s := &state{open: make([]Range, len(c.slots))}
	for i, v := range c.slots {
		t.Slots[i] = timed.Slot{Name: v.Slot, Card: v.Card, Rev: v.Rev, Since: v.Since}
		s.open[i] = Range{
			ID:    fmt.Sprintf("%s-%d-%d", v.Slot, c.epoch, v.opened),
			Value: fmt.Sprintf("%s/%s/%d", v.Slot, v.Card, v.Rev),
		}
	}
	var err error
	s.token, err = d.opt.Key.Sign(t)
	return s, err
}

// longestNap bounds how long the clerk waits for a command's time before it looks at the clock again, which somebody may
// have set, or which may be the stream's.
const longestNap = 10 * time.Second

// reached is the time of capture up to which the stream has come: what the newest screen says, and without one the node's
// clock.
func (w *clerk) reached(now time.Time) time.Time {
	if n := len(w.screens); n > 0 {
		if t := w.screens[n-1].screen.Clock(); !t.IsZero() {
			return t
		}
	}
	return now
}

// run does what the queue has and what the schedule says, until the queue is shut and empty.
func (w *clerk) run() {
	defer close(w.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.turn()
		if w.shutting() {
			w.turn() // what came in before that
			break
		}
		var alarm <-chan time.Time
		if nap, ok := w.nap(); ok {
			timer.Reset(nap)
			alarm = timer.C
		}
		select {
		case <-w.wake:
		case <-alarm:
		}
	}
	w.discard()
}

// discard lets go of the journal.
func (w *clerk) discard() {
	if w.shelf != nil {
		w.shelf.touch() // who waits for a change has to ask again
	}
	w.measure(0, 0)
	if err := w.journal.Close(); err != nil {
		w.desks.opt.Log.Warn("closing a journal of cards failed", "stream", w.desk.name, "error", err)
	}
}

// nap is how long the clerk may wait when nothing comes in; ok is false when that is for ever.
func (w *clerk) nap() (d time.Duration, ok bool) {
	now := w.desks.opt.Now()
	d = longestNap
	if due := w.refusals.due(); !due.IsZero() {
		d, ok = min(d, due.Sub(now)), true
	}
	if len(w.core.plans) > 0 {
		left := max(fromMillis(w.core.plans[0].At).Sub(w.reached(now)), w.again.Sub(now))
		d, ok = min(d, left), true
	}
	return max(d, 0), ok
}

// turn carries out, as one group, what waits and what has come due.
func (w *clerk) turn() {
	jobs, calls := w.take()
	for _, call := range calls {
		call()
	}
	now := w.desks.opt.Now()
	g := &group{
		clerk: w, now: now, reached: w.reached(now), core: w.core, policy: w.desks.opt.Policy(), keys: map[string]*keyRecord{},
	}
	if !now.Before(w.again) {
		for _, p := range w.core.plans {
			if p.At <= millis(g.reached) {
				g.add(&job{request: p.request()})
			}
		}
	}
	for _, j := range jobs {
		if j.ctx != nil && j.ctx.Err() != nil {
			w.desks.metrics.command(j.request, outcomeGone)
			j.answered(outcomeGone)
			j.done(Result{}, j.ctx.Err())
			continue
		}
		g.add(j)
	}
	g.finish()
	if w.refusals.take(now) {
		w.publish()
	}
	w.compact(now)
}

// complainEvery is how soon after one another the log tells of a disk that cannot be written.
const complainEvery = 10 * time.Second

// write puts records into the journal. Core and books are those from before.
func (w *clerk) write(records [][]byte) error {
	begin := time.Now()
	err := w.repair()
	if err == nil {
		if w.opening != nil {
			records = append([][]byte{w.opening}, records...)
		}
		if err = w.journal.Append(records...); err == nil {
			w.opening = nil
			w.desks.metrics.syncs.Observe(time.Since(begin).Seconds())
			return nil
		}
		// At once, so that a crash finds a file that can be relied on.
		err = errors.Join(err, w.repair())
	}
	w.desks.metrics.failures.Inc()
	if now := w.desks.opt.Now(); now.Sub(w.complained) >= complainEvery {
		w.complained = now
		w.desks.opt.Log.Error("cards could not be written to the disk: commands are refused", "stream", w.desk.name, "error", err)
	}
	w.measure(w.journal.Size(), len(w.core.slots))
	return err
}

// repair writes a journal anew that cannot be relied on.
func (w *clerk) repair() error {
	if !w.journal.Broken() {
		return nil
	}
	all, err := snapshots(&w.core, &w.books)
	if err != nil {
		return err
	}
	if err := w.journal.Rewrite(all); err != nil {
		return err
	}
	w.opening = nil // what was written tells the epoch
	return nil
}

// Bounds at which a journal is written anew, without what is past.
const (
	compactAt    = 1 << 20 // bytes
	compactTimes = 4       // as long as what it stands for
)

// compact writes the journal anew if it has become long.
func (w *clerk) compact(now time.Time) {
	size := w.journal.Size()
	if size <= compactAt || size <= w.looked {
		return
	}
	w.books.keys.expire(now)
	w.books.shelf.expire(now, w.desks.opt.Keep())
	all, err := snapshots(&w.core, &w.books)
	if err == nil {
		var length int64
		for _, r := range all {
			length += int64(len(r))
		}
		w.looked = compactTimes * length
		if size <= w.looked {
			return
		}
		if err = w.journal.Rewrite(all); err == nil {
			w.opening = nil
		}
	}
	if err != nil {
		w.looked = 2 * size // it goes on as it is
		w.desks.metrics.failures.Inc()
		w.desks.opt.Log.Warn("the journal of cards could not be made shorter", "stream", w.desk.name, "error", err)
	}
	w.measure(w.journal.Size(), len(w.core.slots))
}

// measure tells the metrics how large the journal is and how many slots show a card.
func (w *clerk) measure(bytes int64, slots int) {
	w.desks.metrics.bytes.Add(float64(bytes - w.bytes))
	w.desks.metrics.shown.Add(float64(slots - w.slots))
	w.bytes, w.slots = bytes, slots
}

// attach has a screen take the present state and each one after it.
func (w *clerk) attach(f *follower) {
	w.screens = append(w.screens, f)
	w.core.edited = w.core.epoch // viewers see it from now on
	defer w.desks.changed(w.desk.name)
	a := w.shown.announcement()
	a.At, a.Frame, a.Way = time.Time{}, nil, nil
	f.screen.Announce(a)
}

func (w *clerk) detach(f *follower) {
	w.screens = slices.DeleteFunc(w.screens, func(o *follower) bool { return o == f })
}

// storage is the refusal for a journal that could not be opened, or written.
func storage(err error, what string) *Refusal {
	switch {
	case journal.Full(err):
		return refuse(ReasonStorage, "", "The disk is full: nothing was changed, and the show goes on. Make room in the node's data folder and try again.")
	case errors.Is(err, journal.ErrInUse), errors.Is(err, errStream):
		return refuse(ReasonStorage, "", "The stream's journal is in use: nothing was changed. Give each node a data folder of its own, and names to streams that differ in more than upper and lower case.")
	}
	return refuse(ReasonStorage, "", "The stream's journal could not be %s: nothing was changed, and the show goes on. The node's log says why; try again.", what)
}
