package directory

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pushcart/relay"
)

// record is an entry as the watch has it.
type record struct {
	entry relay.Entry
	rev   uint64
	since time.Time // when this generation was first seen, by this node's clock
	away  time.Time // when its publisher was seen to have gone; zero while it is there
	lost  time.Time // when it was gone from the bucket without having been released; zero while it is there
}

// Why the list of streams is read anew.
var (
	errReset  = errors.New("reset")  // the bucket is another one, or has lost what it had
	errBehind = errors.New("behind") // changes did not come
	errClosed = errors.New("closed")
	errStuck  = errors.New("stuck") // the list did not come to its end
)

// relistEvery is how often the list is read anew although nothing seems to be wrong.
const relistEvery = 5 * time.Minute

// watch follows the streams' bucket for as long as the context lasts.
func (d *Directory) watch(ctx context.Context) {
	tick := time.NewTicker(d.opts.pace.retry)
	defer tick.Stop()
	for ctx.Err() == nil {
		if s := d.buckets.streams.Load(); s != nil {
			if err := d.follow(ctx, *s); err != nil && ctx.Err() == nil {
				d.metrics.watches.WithLabelValues(reasonOf(err)).Inc()
				d.log.Debug("the list of streams is read anew", "reason", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// reasonOf is the label of a restart.
func reasonOf(err error) string {
	for _, e := range []error{errReset, errBehind, errClosed, errStuck} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	var r relistError
	if errors.As(err, &r) {
		return string(r)
	}
	return "unreachable"
}

type relistError string

func (e relistError) Error() string { return string(e) }

// follow reads the list of streams and then its changes, until there is a reason to begin anew. NATS mends a watch by itself
// after a loss; but not one whose bucket lost its memory and counts from the beginning again. So the bucket's last number is
// held against what has come.
func (d *Directory) follow(ctx context.Context, s jetstream.Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	info, err := infoOf(ctx, s)
	if err != nil {
		return err
	}
	kv, err := d.js.KeyValue(ctx, streamsBucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	check := time.NewTicker(d.opts.pace.check)
	defer check.Stop()
	began, created := d.now(), info.Created
	seen, behind := info.State.LastSeq, uint64(0)
	listed := map[string]bool{} // nil when the list is complete
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case why := <-d.relist:
			return relistError(why)
		case u, ok := <-w.Updates():
			switch {
			case !ok:
				return errClosed
			case u == nil:
				d.listed(listed)
				listed = nil
			default:
				seen = max(seen, u.Revision())
				if d.apply(u) && listed != nil {
					listed[u.Key()] = true
				}
			}
		case <-check.C:
			if listed != nil && d.now().Sub(began) > d.opts.pace.check {
				return errStuck
			}
			info, err := infoOf(ctx, s)
			switch {
			case err != nil:
				continue // not healthy: what is known is kept
			case !info.Created.Equal(created) || info.State.LastSeq < seen:
				return errReset
			case behind > seen:
				return errBehind
			case d.now().Sub(began) > relistEvery:
				return relistError("regular")
			}
			behind = info.State.LastSeq
		}
	}
}

func infoOf(ctx context.Context, s jetstream.Stream) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.Info(ctx)
}

// apply takes one change of the bucket; true when the stream has an entry after it.
func (d *Directory) apply(u jetstream.KeyValueEntry) bool {
	now := d.now()
	stream := u.Key()
	if u.Operation() != jetstream.KeyValuePut {
		d.mu.Lock()
		defer d.mu.Unlock()
		if u.Operation() == jetstream.KeyValueDelete {
			d.releasedLocked(stream, u.Value(), now)
		} else {
			d.lostLocked(stream, now)
		}
		return false
	}
	e, err := parseEntry(stream, u.Value(), now)
	if err != nil {
		d.ignored("stream", "malformed")
		d.log.Debug("an entry is not used", "key", stream, "error", err)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.records[stream]
	switch {
	case e.Gen < d.gens[stream]:
		d.ignored("stream", "lower_generation")
		return r != nil
	case r == nil && len(d.records) >= maxEntries:
		d.ignored("stream", "too_many")
		return false
	}
	next := &record{entry: e, rev: u.Revision(), since: now}
	if r != nil && r.entry.Gen == e.Gen {
		next.since, next.away = r.since, r.away
	}
	switch {
	case e.Live:
		next.away = time.Time{}
	case next.away.IsZero():
		next.away = now
	}
	d.records[stream] = next
	d.rememberLocked(stream, e.Gen)
	if r == nil || !same(r.entry, e) {
		d.metrics.entries.Set(float64(len(d.records)))
		d.signalLocked()
	}
	if o := d.own[stream]; o != nil && e.Origin != d.opts.Self.Name && e.Gen > o.entry.Gen {
		d.supersedeLocked(o, e.Gen, e.Origin)
	}
	return true
}

// same tells whether two entries say the same.
func same(a, b relay.Entry) bool {
	if a.Origin != b.Origin || a.Region != b.Region || a.Gen != b.Gen || a.Credential != b.Credential || a.Standby != b.Standby ||
		a.Live != b.Live || string(a.Secret) != string(b.Secret) || len(a.Regions) != len(b.Regions) {
		return false
	}
	for i := range a.Regions {
		if a.Regions[i] != b.Regions[i] {
			return false
		}
	}
	return true
}

// releasedLocked takes a release.
func (d *Directory) releasedLocked(stream string, body []byte, now time.Time) {
	r := d.records[stream]
	if g, ok := parseGrave(stream, body, now); ok {
		if g.Gen < d.gens[stream] {
			return // of an earlier one
		}
		d.rememberLocked(stream, g.Gen)
	}
	if o := d.own[stream]; o != nil {
		o.prod() // somebody has deleted what is ours: it is asserted again, or found to be superseded
	}
	if r != nil {
		d.dropLocked(stream)
	}
}

// lostLocked notes that an entry is gone which nobody released: it expired, or the bucket lost it.
func (d *Directory) lostLocked(stream string, now time.Time) {
	if o := d.own[stream]; o != nil {
		o.prod()
	}
	if r := d.records[stream]; r != nil && r.lost.IsZero() {
		r.lost = now
		d.settleLocked(stream, r, now)
	}
}

// listed ends the reading of the list: what was not in it is lost.
func (d *Directory) listed(in map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for stream := range d.records {
		if !in[stream] {
			d.lostLocked(stream, now)
		}
	}
	for stream, o := range d.own {
		if !in[stream] {
			o.prod()
		}
	}
	if !d.synced {
		d.synced = true
		close(d.whole)
		d.signalLocked()
	}
}

// settleLocked drops a lost entry, unless its origin's node is well and may still assert it again.
func (d *Directory) settleLocked(stream string, r *record, now time.Time) {
	waits := d.goneLocked(r.entry.Origin, now) < d.opts.pace.node && now.Sub(r.lost) < 2*d.opts.pace.node
	if waits && r.entry.Origin != d.opts.Self.Name {
		return
	}
	d.dropLocked(stream)
}

func (d *Directory) dropLocked(stream string) {
	delete(d.records, stream)
	d.metrics.entries.Set(float64(len(d.records)))
	d.signalLocked()
}

// sweepRecordsLocked settles what is lost, and puts right what an earlier life of this node has left.
func (d *Directory) sweepRecordsLocked(now time.Time) {
	for stream, r := range d.records {
		switch {
		case !r.lost.IsZero() && d.healthy:
			d.settleLocked(stream, r, now)
		case r.entry.Origin == d.opts.Self.Name && r.entry.Live && d.own[stream] == nil && d.claims[stream] == nil &&
			now.Sub(r.since) >= 2*d.opts.pace.claim:
			r.since = now // not again at once
			entry, rev := r.entry, r.rev
			entry.Live = false
			d.startLocked(func() { d.disown(entry, rev) })
		}
	}
}

// disown tells the others that the publisher of an entry is not at this node, which has forgotten it in a restart: a standby may
// take over then, and whoever copies it waits for the publisher's return until the entry expires.
func (d *Directory) disown(e relay.Entry, rev uint64) {
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.pace.claim)
	defer cancel()
	if _, err := d.put(ctx, e, rev); err != nil {
		d.log.Debug("an entry of an earlier life was not changed", "stream", e.Stream, "error", err)
	}
}

// rememberLocked keeps the greatest generation of a stream. Of streams that are no more, some are forgotten when there are too
// many: their generations are far behind the clock by then.
func (d *Directory) rememberLocked(stream string, gen int64) {
	if gen <= d.gens[stream] {
		return
	}
	if len(d.gens) >= 4*maxEntries {
		for name := range d.gens {
			if d.records[name] == nil && d.own[name] == nil {
				delete(d.gens, name)
				break
			}
		}
	}
	d.gens[stream] = gen
}
