package overlay

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay/card"
	"pushcart/overlay/journal"
	"pushcart/overlay/timed"
)

// Options sets the desks up.
type Options struct {
	// Dir is the node's data folder. Journals are Dir/cards/NAME.journal; the folder is made when the first is. Where
	// the file system does not tell upper case from lower, the names of two streams must differ in more than that: the
	// second is refused.
	Dir string
	// Key signs the states; never nil.
	Key *timed.Key
	// Policy is asked for each command: which hosts a card's URLs may name. nil allows none.
	Policy func() card.Policy
	// Region is the ISO 3166-1 code of this node's viewers; "" when it is unknown. nil is "".
	Region func() string
	// InBand is the setting of streams that have none of their own. nil is false.
	InBand func() bool
	// Keep is how long a revision that is no longer shown stays fetchable. nil is DefaultKeep.
	Keep func() time.Duration
	// KeepEnded is how long the journal of a show is kept that nobody has worked on; 0 is for good, as is a nil KeepEnded.
	KeepEnded func() time.Duration
	// Changed is called after each change of a stream's desk that was acknowledged, and when a stream begins to show it, so that
	// its state can be brought to other nodes. It must not block, and not call Export itself, which waits for who calls it; it may
	// come from any goroutine. nil is nobody.
	Changed func(stream string)
	// Follow begins to follow a command, for traces: ctx is its sender's, which may be over before the command is. nil, or a nil Way,
	// follows nothing.
	Follow func(ctx context.Context, stream string, c *Command) Way
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where the desks report; nil is nowhere.
	Log *slog.Logger
	// Registerer takes the metrics; nil is nobody.
	Registerer prometheus.Registerer

	fs             journal.FS // nil is journal.Disk
	mostIdle, most int        // 0 is mostIdle and mostOpen
}

// DefaultKeep is how long a revision that is no longer shown stays fetchable unless Options say otherwise.
const DefaultKeep = 10 * time.Minute

// Bounds on desks that are open. One that a stream follows, or where a command waits for its time, stays open.
const (
	// Beyond mostIdle, those that nobody has used for idleAfter are closed.
	mostIdle  = 1000
	idleAfter = 10 * time.Minute
	// Beyond mostOpen, those that nobody has used for longest are closed at once.
	mostOpen = 4000
	// sweepEvery is how often desks are looked over.
	sweepEvery = time.Minute
)

// Desks holds the desks of a node. Its methods are for any goroutine.
type Desks struct {
	opt     Options
	metrics *metrics
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	crowded chan struct{} // holds one value when there are more than mostOpen

	running sync.WaitGroup

	mu     sync.RWMutex // guards what follows; taken after any Desk's
	closed bool
	// known finds a desk as long as anybody has it, so that whoever holds one that was closed in the meantime sees it
	// go on when another opens it again.
	known map[string]weak.Pointer[Desk]
	open  map[*Desk]struct{} // those with a clerk
	// opening is closed when the next desk opens.
	opening chan struct{}
}

// New sets desks up. The journals are opened when they are needed. The error is one of Options.Registerer.
func New(opt Options) (*Desks, error) {
	if opt.Policy == nil {
		opt.Policy = func() card.Policy { return card.Policy{} }
	}
	if opt.Region == nil {
		opt.Region = func() string { return "" }
	}
	if opt.InBand == nil {
		opt.InBand = func() bool { return false }
	}
	if opt.Keep == nil {
		opt.Keep = func() time.Duration { return DefaultKeep }
	}
	if opt.KeepEnded == nil {
		opt.KeepEnded = func() time.Duration { return 0 }
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.fs == nil {
		opt.fs = journal.Disk{}
	}
	if opt.mostIdle == 0 {
		opt.mostIdle, opt.most = mostIdle, mostOpen
	}
	if opt.Key == nil {
		return nil, errors.New("desks need a key to sign states with")
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	d := &Desks{
		opt: opt, metrics: m, crowded: make(chan struct{}, 1),
		known: map[string]weak.Pointer[Desk]{}, open: map[*Desk]struct{}{}, opening: make(chan struct{}),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.running.Go(d.sweep)
	return d, nil
}

// Close carries out what has been taken in, closes the journals and waits for all goroutines.
func (d *Desks) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	for _, k := range d.opened() {
		k.close(func() bool { return true })
	}
	d.running.Wait()
}

// errClosed is the refusal of a node that stops.
func errClosed() *Refusal {
	return refuse(ReasonClosed, "", "The node is shutting down: try again in a moment, when it is back.")
}

// Desk returns a stream's desk, with its journal open; it makes one when there is none. Its error is a *Refusal with
// ReasonInvalid for the name, ReasonStorage or ReasonClosed.
func (d *Desks) Desk(name string) (*Desk, error) {
	k, refusal := d.handle(name)
	if refusal == nil {
		_, refusal = k.enter(true)
	}
	if refusal != nil {
		return nil, refusal
	}
	return k, nil
}

// Document returns a revision of a stream's card as viewers get it. ok is false when there is none, or when it was never
// shown, or not for a long time. It opens the journal if there is one, and never makes one.
func (d *Desks) Document(stream, id string, rev int64) (doc Document, ok bool) {
	if checkName(stream) != nil || card.ValidID(id) != nil || rev < 1 {
		return doc, false
	}
	k := d.find(stream)
	if k == nil {
		if there, err := d.opt.fs.Exists(d.path(stream)); err != nil || !there {
			return doc, false
		}
		var refusal *Refusal
		if k, refusal = d.handle(stream); refusal != nil {
			return doc, false
		}
	}
	w, refusal := k.enter(false)
	if refusal != nil {
		return doc, false
	}
	it := w.shelf.find(revision{id, rev}, d.opt.Now(), d.opt.Keep())
	if it == nil {
		return doc, false
	}
	doc, ok = it.render(d.opt.Region())
	doc.Epoch = k.view.Load().Epoch
	return doc, ok
}

// Peek returns what a desk's newest view is, without opening its journal; nil where it was not opened since the node began.
// It does not wait.
func (d *Desks) Peek(name string) *View {
	if k := d.find(name); k != nil {
		return k.View()
	}
	return nil
}

// changed tells that a desk is another than before.
func (d *Desks) changed(name string) {
	if d.opt.Changed != nil {
		d.opt.Changed(name)
	}
}

// path of a stream's journal.
func (d *Desks) path(name string) string {
	return filepath.Join(d.opt.Dir, "cards", name+journalSuffix)
}

// find returns a desk that somebody has; nil when nobody does.
func (d *Desks) find(name string) *Desk {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.known[name].Value()
}

// handle returns a desk, open or not.
func (d *Desks) handle(name string) (*Desk, *Refusal) {
	if r := checkName(name); r != nil {
		return nil, r
	}
	if k := d.find(name); k != nil {
		return k, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.known[name].Value(); k != nil {
		return k, nil
	}
	k := newDesk(d, name)
	d.known[name] = weak.Make(k)
	return k, nil
}

// opened lists the desks that have a clerk.
func (d *Desks) opened() []*Desk {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*Desk, 0, len(d.open))
	for k := range d.open {
		all = append(all, k)
	}
	return all
}

// enrol counts a desk as open, unless the node stops. The goroutine is the clerk's.
func (d *Desks) enrol(k *Desk, run func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.open[k] = struct{}{}
	close(d.opening)
	d.opening = make(chan struct{})
	d.metrics.open.Set(float64(len(d.open)))
	if len(d.open) > d.opt.most {
		select {
		case d.crowded <- struct{}{}:
		default:
		}
	}
	d.running.Go(run)
	return true
}

// strike counts a desk as closed.
func (d *Desks) strike(k *Desk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, k)
	d.metrics.open.Set(float64(len(d.open)))
}

// stopping tells whether Close was called.
func (d *Desks) stopping() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.closed
}

// sweep closes desks that nobody uses, from time to time.
func (d *Desks) sweep() {
	tick, rarely := time.NewTicker(sweepEvery), time.NewTicker(discardEvery)
	defer tick.Stop()
	defer rarely.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-rarely.C:
			d.discard()
			continue
		case <-d.crowded:
		case <-tick.C:
		}
		d.tidy()
	}
}

func (d *Desks) tidy() {
	all := d.opened()
	slices.SortFunc(all, func(a, b *Desk) int { return a.lastUsed().Compare(b.lastUsed()) })
	now, open := d.opt.Now(), len(all)
	for _, k := range all {
		if open <= d.opt.mostIdle {
			break
		}
		idle := func() bool { return open > d.opt.most || now.Sub(k.lastUsed()) >= idleAfter }
		if idle() && k.close(idle) {
			open--
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, k := range d.known {
		if k.Value() == nil {
			delete(d.known, name)
		}
	}
}

// report says what opening a journal had to mend.
func (d *Desks) report(name string, r journal.Recovery) {
	switch {
	case r.Aside != "":
		d.metrics.damaged.Inc()
		d.opt.Log.Error("THE JOURNAL OF CARDS WAS DAMAGED: what could be read of it is in force, the rest is lost",
			"stream", name, "kept", r.Aside, "bytes_lost", r.Lost, "hint", "check the disk, and what the studio shows of this stream")
	case r.Torn > 0:
		d.opt.Log.Warn("the journal of cards ended in a command that was never acknowledged: it was cut off", "stream", name, "bytes", r.Torn)
	}
}

var errStream = errors.New("the journal belongs to another stream")
