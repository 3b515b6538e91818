package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/overlay/journal"
)

// Desk is one stream's: its cards, its slots, its schedule. Its methods are for any goroutine. Desks may close it while
// nobody uses it, and open it again; whoever has it does not notice, but for a new epoch.
type Desk struct {
	desks *Desks
	name  string
	view  atomic.Pointer[published]
	used  atomic.Int64          // when somebody last asked for something, in Unix nanoseconds
	clerk atomic.Pointer[clerk] // nil while it is closed; changed with mu held

	mu        sync.Mutex // guards what follows, and is held while the desk opens and closes; taken before Desks'
	followers int
	failure   *Refusal  // of the last attempt to open it, if that failed
	failed    time.Time // when that was
}

// published is a view, and what it takes from the node's settings.
type published struct {
	*View
	inherits bool // InBand is the node's setting
}

func newDesk(d *Desks, name string) *Desk {
	k := &Desk{desks: d, name: name}
	k.view.Store(&published{View: &View{
		Stream: name, Slots: []SlotView{}, Cards: []CardView{}, Scheduled: []ScheduledView{}, Timeline: []ShownView{},
		changed: make(chan struct{}),
	}})
	k.touch()
	return k
}

func (k *Desk) touch() { k.used.Store(k.desks.opt.Now().UnixNano()) }

// lastUsed is when somebody last asked for something.
func (k *Desk) lastUsed() time.Time { return time.Unix(0, k.used.Load()) }

// View returns the newest view, never nil. It does not wait for anything.
func (k *Desk) View() *View {
	p := k.view.Load()
	if in := k.desks.opt.InBand; p.inherits && in() != p.InBand {
		v := *p.View // the node's setting was changed since
		v.InBand = !v.InBand
		return &v
	}
	return p.View
}

// Preview returns what viewers in a region would get of a card as it is on the list, "" being a region that is not known;
// false when there is no such card.
func (k *Desk) Preview(id, region string) ([]byte, bool) {
	for _, v := range k.view.Load().Cards {
		if v.ID == id {
			doc := localised(v.Card, v.ID, v.Rev, region)
			return doc, doc != nil
		}
	}
	return nil, false
}

// Do carries out a command and returns when it is on the disk and on its way to the viewers. Its error is a *Refusal, and
// then nothing was changed, or that of ctx, and then nobody knows: send the command again with the same Key.
func (k *Desk) Do(ctx context.Context, c Command) (Result, error) {
	type answer struct {
		r   Result
		err error
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	answers := make(chan answer, 1)
	way := k.desks.follow(ctx, k.name, &c)
	j := &job{
		way:     way,
		request: prepare(c, k.desks.opt.Policy(), k.desks.opt.Now()),
		ctx:     ctx,
		done:    func(r Result, err error) { answers <- answer{r, err} },
	}
	if refusal := k.submit(j); refusal != nil {
		return Result{}, refusal
	}
	select {
	case a := <-answers:
		return a.r, a.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// submit hands a job to the clerk, which will answer it, or refuses it.
func (k *Desk) submit(j *job) *Refusal {
	w, refusal := k.enter(true)
	for refusal == nil {
		switch w.put(j) {
		case queueTook:
			return nil
		case queueFull:
			k.desks.metrics.busy.Inc()
			refusal = refuse(ReasonBusy, "", "Too many commands wait on this stream: send fewer, and this one again in a moment.")
		case queueShut:
			w, refusal = k.wait() // it is being closed, as idle: open it again
		}
	}
	k.desks.metrics.command(j.request, string(refusal.Reason))
	j.answered(string(refusal.Reason))
	return refusal
}

// enter returns the desk's clerk. It opens the desk when it is closed, and makes its journal if it is to create.
func (k *Desk) enter(create bool) (*clerk, *Refusal) {
	k.touch()
	if w := k.clerk.Load(); w != nil {
		return w, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.openLocked(create)
}

// wait is enter for when the desk is being closed.
func (k *Desk) wait() (*clerk, *Refusal) {
	k.mu.Lock() // held by who closes it
	defer k.mu.Unlock()
	return k.openLocked(true)
}

// retryOpen is how long a desk that could not be opened stays refused, so that those who ask do not wear out the disk.
const retryOpen = time.Second

// openLocked opens the desk if it is closed.
func (k *Desk) openLocked(create bool) (*clerk, *Refusal) {
	d := k.desks
	if w := k.clerk.Load(); w != nil {
		return w, nil
	}
	if d.stopping() {
		return nil, errClosed()
	}
	if since := d.opt.Now().Sub(k.failed); k.failure != nil && since >= 0 && since < retryOpen {
		return nil, k.failure
	}
	w, err := k.open(create)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, refuse(ReasonNotFound, "stream", "There is nothing of a stream %q.", k.name)
	default:
		d.metrics.failures.Inc()
		d.opt.Log.Error("the journal of cards cannot be opened", "stream", k.name, "error", err)
		k.failure, k.failed = storage(err, "opened"), d.opt.Now()
		return nil, k.failure
	}
	k.failure = nil
	if !d.enrol(k, w.run) {
		w.discard()
		return nil, errClosed()
	}
	k.clerk.Store(w)
	return w, nil
}

// open reads the journal and begins an epoch.
func (k *Desk) open(create bool) (*clerk, error) {
	d := k.desks
	j, records, err := journal.Open(d.opt.fs, d.path(k.name), create)
	if err != nil {
		return nil, err
	}
	w := &clerk{desk: k, desks: d, queue: newQueue(), ended: make(chan struct{}), journal: j}
	if err := w.begin(records); err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

// begin makes the clerk what the journal's records tell, in a new epoch.
func (w *clerk) begin(records [][]byte) error {
	d, name := w.desks, w.desk.name
	var err error
	if w.core, w.books, err = replay(records); err != nil {
		return fmt.Errorf("journal %s has a record that this version cannot read: %w", w.journal.Name(), err)
	}
	if s := w.core.stream; s != "" && s != name {
		return fmt.Errorf("journal %s: %w, %q, whose name differs only in upper and lower case", w.journal.Name(), errStream, s)
	}
	now := d.opt.Now()
	mend(&w.core, &w.books, now)
	d.report(name, w.journal.Recovery())
	r := &record{Open: &opening{Stream: name, Epoch: max(w.core.epoch+1, millis(now))}, At: millis(now)}
	if w.journal.Broken() {
		// Revisions that were lost may be in caches: what comes is numbered from the clock, above all of them.
		r.Open.Base = max(w.core.highest()+1, millis(now))
	}
	if err := w.open(r); err != nil {
		return err
	}
	if w.shown, err = d.sign(&w.core); err != nil {
		return fmt.Errorf("sign the state of the slots: %w", err)
	}
	w.shelf = w.books.shelf
	w.measure(w.journal.Size(), len(w.core.slots))
	w.publish()
	return nil
}

// open begins an epoch, on the disk. While that is full, what the journal tells is shown again all the same, and the record
// of the epoch waits: should the node stop before it is written, the next epoch is above this one by the clock.
func (w *clerk) open(r *record) error {
	w.core = w.core.apply(r)
	if w.journal.Broken() {
		return w.repair()
	}
	raw, err := r.encode()
	if err != nil {
		return err
	}
	if err := w.journal.Append(raw); err != nil {
		if w.core.stream == "" || len(w.core.cards) == 0 {
			return err // there is nothing to show
		}
		w.desks.metrics.failures.Inc()
		w.desks.opt.Log.Error("the journal of cards cannot be written: what is shown stays, commands are refused until there is room",
			"stream", w.desk.name, "error", err)
		w.opening = raw
	}
	return nil
}

// close ends the clerk of a desk that nobody uses, if it still may, and waits for it. It returns whether the desk is closed.
func (k *Desk) close(may func() bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.clerk.Load()
	if w == nil {
		return true
	}
	if !k.desks.stopping() && (k.followers > 0 || len(k.view.Load().Scheduled) > 0 || !may()) {
		return false
	}
	w.shut()
	<-w.ended
	k.clerk.Store(nil)
	k.desks.strike(k)
	if len(w.core.plans) > 0 {
		k.openLocked(true) // a command was scheduled at the last moment; unless the node stops, it must be kept
	}
	return k.clerk.Load() == nil
}

// publish makes a view of the clerk's state and lets everybody have it.
func (w *clerk) publish() {
	c, was := &w.core, w.desk.view.Load().View
	v := &View{
		Stream: c.stream, Epoch: c.epoch, Seq: c.seq, List: c.list, Token: w.shown.token,
		Slots: make([]SlotView, len(c.slots)), Cards: c.cards, Scheduled: make([]ScheduledView, len(c.plans)),
		Timeline: was.Timeline, InBandRefusal: w.refusals.view(w.desks.opt.Now()), changed: make(chan struct{}),
	}
	if v.Cards == nil {
		v.Cards = []CardView{}
	}
	for i, s := range c.slots {
		v.Slots[i] = s.SlotView
	}
	for i, p := range c.plans {
		v.Scheduled[i] = ScheduledView{ID: p.ID, Op: p.Op, Slot: p.Slot, Card: p.Card, At: fromMillis(p.At)}
	}
	if v.Epoch != was.Epoch || v.Seq != was.Seq {
		v.Timeline = w.books.timeline.view()
	}
	p := &published{View: v, inherits: c.inBand == nil}
	if p.inherits {
		v.InBand = w.desks.opt.InBand()
	} else {
		v.InBand = *c.inBand
	}
	w.desk.view.Store(p)
	close(was.changed)
}
