package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"pushcart/relay"
)

// Directory is a relay.Directory on NATS. Open makes one, Run keeps it up, Close ends it.
type Directory struct {
	opts     Options
	log      *slog.Logger
	metrics  *metrics
	now      func() time.Time
	instance string
	server   *server.Server // nil in mode External
	nc       *nats.Conn
	js       jetstream.JetStream
	acks     string // subject at which heartbeats are acknowledged

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	// leaving are releases under way, which Close gives a moment.
	leaving sync.WaitGroup

	buckets shelf
	told    *teller
	cards   *keeper
	tunnel  *tunnel
	relist  chan string   // reasons to read the list of streams anew
	whole   chan struct{} // closed when synced becomes true

	mu      sync.Mutex // guards what follows
	nodes   map[string]*node
	records map[string]*record // what the watch has
	own     map[string]*owned
	claims  map[string]chan struct{} // claims under way, closed when they are over
	gens    map[string]int64         // greatest generation known of a stream, also of those that are no more
	minted  map[string]int64         // generations of Assert, which nobody else may know of, but which names were given under
	changed chan struct{}
	hints   map[string]*hint // streams that the bucket is to be asked about
	created time.Time        // beginning of the bucket that numbers are of
	seen    uint64           // the watch has given all changes up to this one
	synced  bool             // the watch has had all of the list at least once
	healthy bool
	since   time.Time // since when it is healthy, or not
	acked   time.Time // last acknowledged heartbeat
	contact time.Time // last sign of life of anybody else
	linked  time.Time // since when such signs came without a hole
	warned  time.Time // when a second node of our name was last told of
	closed  bool
}

var _ relay.Directory = (*Directory)(nil)

// Open starts this node's NATS server, or connects to the operator's. It does not wait for other nodes: until Run has found
// the directory, claims fail with relay.ErrUnreachable. Its errors are of the options and of the local server's start.
// The directory needs Close.
func Open(o Options) (*Directory, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	d := &Directory{
		opts: o, log: o.Log, metrics: m, now: o.Now, instance: nuid.Next(),
		relist: make(chan string, 1), whole: make(chan struct{}),
		nodes: map[string]*node{}, records: map[string]*record{}, own: map[string]*owned{},
		claims: map[string]chan struct{}{}, gens: map[string]int64{}, minted: map[string]int64{}, hints: map[string]*hint{}, changed: make(chan struct{}),
		since: o.Now(), linked: o.Now(),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.told = newTeller(o.Superseded)
	d.cards = newKeeper(d)
	d.tunnel = newTunnel(d)
	if err := d.connect(); err != nil {
		d.Close()
		return nil, err
	}
	d.wg.Go(func() { d.told.run(d.ctx) })
	d.wg.Go(func() { d.tunnel.run(d.ctx) })
	return d, nil
}

// connect starts the server, where there is one, and the connection to it.
func (d *Directory) connect() error {
	options := []nats.Option{
		nats.Name("pushcart " + d.opts.Self.Name),
		nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.RetryOnFailedConnect(true),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		// What cannot be sent now must not be sent later, when its sender has given up: a command would be carried out behind
		// its back.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			d.log.Debug("the connection to the directory has a fault", "error", err)
		}),
	}
	address := "nats://in-process"
	if d.opts.Mode == External {
		address = strings.Join(d.opts.URLs, ",")
		if d.opts.TLS != nil {
			options = append(options, nats.Secure(d.opts.TLS.Clone()))
		}
		if d.opts.Credentials != "" {
			options = append(options, nats.UserCredentials(d.opts.Credentials))
		}
	} else {
		s, err := embed(&d.opts)
		if err != nil {
			return err
		}
		d.server = s
		options = append(options, nats.InProcessServer(s))
	}
	nc, err := nats.Connect(address, options...)
	if err != nil {
		return fmt.Errorf("connect to the directory at %s: %w", address, err)
	}
	d.nc = nc
	if d.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second)); err != nil {
		return err
	}
	d.acks = nats.NewInbox()
	_, err = nc.Subscribe(d.acks, d.acknowledged)
	_, err2 := nc.Subscribe(nodesPrefix+"*", d.heard)
	_, err3 := nc.Subscribe(subject("*", noticeToken), d.noticed)
	return errors.Join(err, err2, err3, d.tunnel.subscribe())
}

// Run keeps the directory up until the context ends: it makes the buckets, gives this node's signs of life, renews its entries
// and follows those of others. Call it once.
func (d *Directory) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	var wg sync.WaitGroup
	wg.Go(func() { d.furnish(ctx) })
	wg.Go(func() { d.beats(ctx) })
	wg.Go(func() { d.watch(ctx) })
	wg.Go(func() { d.inquire(ctx) })
	wg.Wait()
}

// Close says goodbye to the others and stops everything. Entries of this node stay until they expire or are taken over:
// release those whose show is over before.
func (d *Directory) Close() {
	d.once.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		d.tunnel.close()
		d.finish()
		d.cancel()
		d.wg.Wait()
		d.leaving.Wait()
		d.cards.wait()
		if d.nc != nil {
			if d.nc.IsConnected() {
				d.goodbye()
			}
			d.nc.Close()
		}
		if d.server != nil {
			d.server.Shutdown()
			d.server.WaitForShutdown()
		}
	})
}

// finish waits for what this node still has to tell, as long as one may wait for that.
func (d *Directory) finish() {
	if d.buckets.streams.Load() == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.leaving.Wait()
		d.cards.wait()
		d.written()
	}()
	t := time.NewTimer(d.opts.pace.claim)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		d.log.Warn("the directory did not answer while this node stopped: what it released expires by itself")
		// The goroutine ends with the context, which ends all that it waits for.
		d.cancel()
		<-done
	}
}

// written waits until the bucket has what this node has to say of its streams: that their publishers are not there any more.
func (d *Directory) written() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		missing := d.unwrittenLocked()
		d.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// startLocked runs f in a goroutine that Close waits for; false when the directory is being closed. d.mu must be held.
func (d *Directory) startLocked(f func()) bool {
	if d.closed {
		return false
	}
	d.wg.Go(f)
	return true
}

// Self implements relay.Directory.
func (d *Directory) Self() relay.Peer {
	p := d.opts.Self
	p.Load, p.Streams, p.Seen = relay.Load{}, nil, d.now()
	if d.opts.Load != nil {
		p.Load = d.opts.Load()
	}
	if d.opts.Held != nil {
		p.Streams = slices.Clone(d.opts.Held())
	}
	return p
}

// Changed implements relay.Directory. Figures that change all the time, which are loads, positions and lags, are no change.
func (d *Directory) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Listed returns a channel that is closed once the list of streams has been read to its end for the first time. Before that a
// stream that Lookup does not have may well have an origin. It stays open for as long as there is no directory.
func (d *Directory) Listed() <-chan struct{} { return d.whole }

func (d *Directory) signalLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Lookup implements relay.Directory. Of a stream that this node has claimed it tells the claim, whatever the others know of it.
func (d *Directory) Lookup(stream string) (relay.Entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lookupLocked(stream)
}

func (d *Directory) lookupLocked(stream string) (relay.Entry, bool) {
	if o := d.own[stream]; o != nil {
		return o.entry, true
	}
	r := d.records[stream]
	// An entry of ours that we do not hold is of an earlier life, or has just been released.
	if r == nil || r.entry.Origin == d.opts.Self.Name {
		return relay.Entry{}, false
	}
	return r.entry, true
}

// Entries implements relay.Directory.
func (d *Directory) Entries() []relay.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]relay.Entry, 0, len(d.records)+len(d.own))
	for _, o := range d.own {
		list = append(list, o.entry)
	}
	for name := range d.records {
		if d.own[name] != nil {
			continue
		}
		if e, ok := d.lookupLocked(name); ok {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b relay.Entry) int { return strings.Compare(a.Stream, b.Stream) })
	return list
}

// Healthy implements relay.Directory. It is measured by the acknowledgements of this node's heartbeats.
func (d *Directory) Healthy() (bool, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judgeLocked(d.now())
	return d.healthy, d.since
}

// judgeLocked finds out whether the directory takes claims.
func (d *Directory) judgeLocked(now time.Time) {
	healthy := !d.acked.IsZero() && now.Sub(d.acked) < d.opts.pace.sick && d.buckets.streams.Load() != nil
	if healthy == d.healthy {
		return
	}
	d.healthy, d.since = healthy, now
	if healthy {
		d.metrics.healthy.Set(1)
		d.log.Info("the directory takes claims")
		// Whatever was lost or changed meanwhile.
		d.renewLocked("recovered")
		return
	}
	d.metrics.healthy.Set(0)
	d.log.Warn("the directory does not answer: streams go on, and new ones start with what this node knows", "nats", d.reachable())
}

// renewLocked asks the watch to read the list of streams anew.
func (d *Directory) renewLocked(why string) {
	select {
	case d.relist <- why:
	default:
	}
}

// ignored counts what was not used.
func (d *Directory) ignored(kind, reason string) {
	d.metrics.ignored.WithLabelValues(kind, reason).Inc()
}
