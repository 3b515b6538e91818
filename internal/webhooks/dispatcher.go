package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options sets a dispatcher up.
type Options struct {
	// Dir is the folder of the queue, which is made if need be. One process at a time has it: Run waits for another's end.
	Dir string
	// Queue is how large the files there may become, in bytes; 0 is DefaultQueue. Half of it is for events that wait.
	Queue int64
	// Node is this node's name, as receivers see it.
	Node string
	// Settings at the beginning; see Configure.
	Settings Settings
	// Timeout of one request; 0 is DefaultTimeout.
	Timeout time.Duration
	// Grace is for how long what waits is still sent once Run is to end; 0 is DefaultGrace. What is not sent then stays on disk.
	Grace time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where it reports; nil is nowhere.
	Log *slog.Logger
	// Registerer takes the metrics; nil is nobody.
	Registerer prometheus.Registerer

	transport http.RoundTripper // nil is one of its own
	jitter    func() float64    // from 0 to 1; nil is at random
}

// Defaults of Options.
const (
	DefaultQueue   = 64 << 20
	DefaultTimeout = 15 * time.Second
	DefaultGrace   = 3 * time.Second
)

// Bounds in memory.
const (
	// mostSent is how many events may wait to be written.
	mostSent = 4096
	// mostBatch is how many are written at once.
	mostBatch = 256
	// mostWaiting is how many events wait at most.
	mostWaiting = 200_000
	// mostLoose is how much may wait that could not be written, in bytes.
	mostLoose = 4 << 20
)

// Dispatcher sends events to targets. Its methods are for any goroutine.
type Dispatcher struct {
	opt     Options
	client  *http.Client
	metrics *metrics
	ids     ids
	sent    chan Event
	active  atomic.Bool // there are targets
	signal  chan struct{}

	sending sync.WaitGroup

	mu       sync.Mutex // guards what follows; taken before the store's
	settings Settings
	targets  []*target
	store    *store // nil before Run has it, and where the disk is of no use
	seq      uint64
	live     int64 // bytes of the events that wait
	loose    int64 // of those, what is in memory only
	waiting  int   // events that wait
	settled  []settled
	running  bool
	ending   bool
	ctx      context.Context // of requests
}

// New makes a dispatcher. Its error names the setting that is wrong.
func New(opt Options) (*Dispatcher, error) {
	if opt.Queue == 0 {
		opt.Queue = DefaultQueue
	}
	if opt.Timeout == 0 {
		opt.Timeout = DefaultTimeout
	}
	if opt.Grace == 0 {
		opt.Grace = DefaultGrace
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.jitter == nil {
		opt.jitter = randomly
	}
	d := &Dispatcher{opt: opt, client: newClient(opt), sent: make(chan Event, mostSent), signal: make(chan struct{}, 1)}
	var err error
	if d.metrics, err = newMetrics(d, opt.Registerer); err != nil {
		return nil, err
	}
	return d, d.Configure(opt.Settings)
}

// Active tells whether there is anybody to tell: without, Send does nothing.
func (d *Dispatcher) Active() bool { return d.active.Load() }

// Send has an event sent to those targets that want it. It does not block and does no I/O. When so many wait to be written that it would
// have to, the event is dropped and counted.
func (d *Dispatcher) Send(e Event) {
	if !d.active.Load() {
		return
	}
	if e.Time.IsZero() {
		e.Time = d.opt.Now()
	}
	select {
	case d.sent <- e:
	default:
		d.metrics.dropped.WithLabelValues("", dropBusy).Inc()
	}
}

// Configure changes the settings. What waits for a target that is no longer there is dropped; what waits for one that stays is sent
// with its new secrets, and at once. After an error nothing has changed.
func (d *Dispatcher) Configure(s Settings) error {
	if len(s.Targets) > MaxTargets {
		return fmt.Errorf("webhooks.targets: there are %d, and %d is the most", len(s.Targets), MaxTargets)
	}
	seen := map[key]int{}
	for i := range s.Targets {
		t := &s.Targets[i]
		if err := t.validate(); err != nil {
			return fmt.Errorf("webhooks.targets[%d].%w", i+1, err)
		}
		if n := seen[t.key()]; n != 0 {
			return fmt.Errorf("webhooks.targets[%d].url is that of entry %d: give one entry all events and streams", i+1, n)
		}
		seen[t.key()] = i + 1
	}
	if s.RetryFor <= 0 {
		s.RetryFor = DefaultRetryFor
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = s
	old := d.targets
	d.targets = nil
	for _, want := range s.Targets {
		i := slices.IndexFunc(old, func(t *target) bool { return t.key == want.key() })
		if i >= 0 {
			d.targets = append(d.targets, old[i])
			old[i].change(want)
			old = slices.Delete(slices.Clone(old), i, i+1)
			continue
		}
		d.targets = append(d.targets, newTarget(d, want))
	}
	for _, t := range old {
		t.dropAll(dropRemoved)
		t.removed = true
	}
	names := map[string]int{}
	for _, t := range d.targets {
		host, _ := t.Target.host()
		if names[host]++; names[host] > 1 {
			host = fmt.Sprintf("%s#%d", host, names[host])
		}
		t.name = host
	}
	d.active.Store(len(d.targets) > 0)
	d.kick()
	d.wake()
	return nil
}

// wake has Run look at what is new.
func (d *Dispatcher) wake() {
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

// Run sends events until ctx ends, and for Options.Grace after that. It returns once the queue is on the disk and all that it
// started has ended. What cannot be written is sent from memory. It is called once.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.takeQueue(ctx)
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d.mu.Lock()
	d.running, d.ctx = true, requests
	d.kick()
	d.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case e := <-d.sent:
			d.take(e)
		case <-d.signal:
		}
		d.settle()
	}
	d.finish(cancel)
	return d.closeQueue()
}

// finish sends what can be sent at once.
func (d *Dispatcher) finish(cancel context.CancelFunc) {
	grace := time.NewTimer(d.opt.Grace)
	defer grace.Stop()
	for waits := true; waits; {
		select {
		case e := <-d.sent:
			d.take(e)
			continue
		default:
		}
		d.settle()
		d.mu.Lock()
		idle := !slices.ContainsFunc(d.targets, (*target).busy)
		d.mu.Unlock()
		if idle {
			break
		}
		select {
		case <-grace.C:
			waits = false
		case <-d.signal:
		case e := <-d.sent:
			d.take(e)
		}
	}
	d.mu.Lock()
	d.ending = true
	for _, t := range d.targets {
		t.stopTimers()
	}
	d.mu.Unlock()
	cancel()
	d.sending.Wait()
	d.settle()
}

// retryLock is how often the queue is asked for while another process has it.
const retryLock = 200 * time.Millisecond

// takeQueue opens the queue and takes over what waits in it. It waits while another process has it, as during an upgrade.
func (d *Dispatcher) takeQueue(ctx context.Context) {
	said := false
	for {
		s, events, err := openStore(d.opt.Dir, d.opt.Queue, d.opt.Log)
		switch {
		case err == nil:
			d.adopt(s, events)
			return
		case !errors.Is(err, errInUse):
			d.metrics.diskErrors.Inc()
			d.opt.Log.Error("THE QUEUE OF WEBHOOKS CANNOT BE USED: events are sent, but a restart loses those that wait", "folder", d.opt.Dir, "error", err,
				"hint", "let the user that the node runs as write there, make room, and start the node again")
			return
		case !said:
			said = true
			d.opt.Log.Info("webhooks wait until another process gives their queue up", "folder", d.opt.Dir)
		}
		again := time.NewTimer(retryLock)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// adopt takes over what was in the queue.
func (d *Dispatcher) adopt(s *store, events []*event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store, d.seq = s, s.next
	for _, e := range events {
		e.waiting = len(e.keys)
		d.live += e.size
		d.waiting++
		gone := 0
		for _, k := range slices.Clone(e.keys) {
			i := slices.IndexFunc(d.targets, func(t *target) bool { return t.key == k })
			if i < 0 {
				d.done(e, k)
				gone++
				continue
			}
			d.targets[i].put(e)
		}
		if gone > 0 {
			d.metrics.dropped.WithLabelValues("", dropRemoved).Add(float64(gone))
		}
	}
	if len(events) > 0 {
		d.opt.Log.Info("webhooks go on with the events of an earlier run", "events", len(events))
	}
	d.shed()
}

func (d *Dispatcher) closeQueue() error {
	d.mu.Lock()
	s := d.store
	d.store = nil
	d.running = false
	d.mu.Unlock()
	if s == nil {
		return nil
	}
	if err := s.close(); err != nil {
		return fmt.Errorf("close the queue of webhooks in %s: %w", d.opt.Dir, err)
	}
	return nil
}

// take writes an event, and those that have come meanwhile, and hands them to the targets.
func (d *Dispatcher) take(first Event) {
	batch := []Event{first}
	for more := true; more && len(batch) < mostBatch; {
		select {
		case e := <-d.sent:
			batch = append(batch, e)
		default:
			more = false
		}
	}
	events := make([]*event, 0, len(batch))
	for i := range batch {
		if e := d.prepare(&batch[i]); e != nil {
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		return
	}
	d.write(events)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		d.enqueue(e)
	}
	d.shed()
	d.kick()
}

// prepare makes of an event what the queue has; nil when nobody wants it.
func (d *Dispatcher) prepare(e *Event) *event {
	d.mu.Lock()
	var keys []key
	for _, t := range d.targets {
		switch {
		case !t.wants(e.Type, e.Stream):
		case t.gone:
			d.metrics.dropped.WithLabelValues(t.name, dropGone).Inc()
		default:
			keys = append(keys, t.key)
		}
	}
	d.seq++
	seq := d.seq
	d.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	id := d.ids.next(d.opt.Now())
	body, err := encode(e, id, d.opt.Node)
	if err != nil {
		d.metrics.dropped.WithLabelValues("", dropInvalid).Inc()
		d.opt.Log.Error("an event could not be written as JSON: it is not sent", "type", e.Type, "stream", e.Stream, "error", err)
		return nil
	}
	return &event{
		seq: seq, at: e.Time, typ: e.Type, stream: e.Stream, id: id, keys: keys, waiting: len(keys), body: body,
		size: int64(recordHead + 32 + 8*len(keys) + len(e.Type) + len(e.Stream) + len(id) + len(body)),
	}
}

// write puts events on the disk. Those that cannot be written stay in memory, as far as there is room.
func (d *Dispatcher) write(events []*event) {
	d.mu.Lock()
	s := d.store
	d.mu.Unlock()
	if s == nil {
		return
	}
	if err := s.add(events); err != nil {
		d.metrics.diskErrors.Inc()
		d.opt.Log.Error("events for webhooks could not be written: they are sent, but a restart loses those that wait", "folder", d.opt.Dir, "error", err)
	}
}

// enqueue hands an event to its targets. Called with mu held.
func (d *Dispatcher) enqueue(e *event) {
	wanted := make([]*target, 0, len(d.targets))
	for _, t := range d.targets {
		if slices.Contains(e.keys, t.key) {
			wanted = append(wanted, t)
		}
	}
	d.live += e.size
	d.waiting++
	full := false
	if e.loose = e.body != nil; e.loose {
		d.loose += e.size
		full = d.loose > mostLoose
	}
	for _, k := range slices.Clone(e.keys) {
		i := slices.IndexFunc(wanted, func(t *target) bool { return t.key == k && !t.gone })
		switch {
		case i < 0: // it was removed since
			d.metrics.dropped.WithLabelValues("", dropRemoved).Inc()
			d.done(e, k)
		case full:
			d.metrics.dropped.WithLabelValues(wanted[i].name, dropDisk).Inc()
			d.done(e, k)
		default:
			wanted[i].put(e)
		}
	}
}

// done notes that a target needs to hear of an event no more. Called with mu held.
func (d *Dispatcher) done(e *event, k key) {
	d.settled = append(d.settled, settled{e, k})
	if e.waiting--; e.waiting > 0 {
		return
	}
	d.live -= e.size
	d.waiting--
	if e.loose {
		d.loose -= e.size
	}
}

// settle writes what was told.
func (d *Dispatcher) settle() {
	d.mu.Lock()
	list, s := d.settled, d.store
	d.settled = nil
	d.mu.Unlock()
	if s == nil || len(list) == 0 {
		return
	}
	if err := s.settle(list); err != nil {
		d.metrics.diskErrors.Inc()
		d.opt.Log.Error("the queue of webhooks could not be written: after a restart some events are sent once more", "folder", d.opt.Dir, "error", err)
	}
}

// shed drops the oldest events of whoever has most waiting while more wait than there is room for. Called with mu held.
func (d *Dispatcher) shed() {
	most := d.opt.Queue / 2
	for len(d.targets) > 0 && (d.live > most || d.waiting > mostWaiting) {
		worst := slices.MaxFunc(d.targets, func(a, b *target) int { return int(a.bytes - b.bytes) })
		if worst.bytes == 0 {
			return
		}
		// Some more than needed, so that not each event has to search for the oldest.
		worst.dropOldest(max(d.live-most, 0)+most/16, dropFull)
	}
}

// kick starts requests. Called with mu held.
func (d *Dispatcher) kick() {
	if !d.running || d.ending {
		return
	}
	for _, t := range d.targets {
		t.start()
	}
}
