package directory

import (
	"context"
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

// update is a change of the bucket, however it was come by.
type update struct {
	stream string
	value  []byte
	op     jetstream.KeyValueOp
	rev    uint64
}

// updateOf reads a message of the bucket the way a watch does.
func updateOf(stream string, m *jetstream.RawStreamMsg) update {
	u := update{stream: stream, value: m.Data, op: jetstream.KeyValuePut, rev: m.Sequence}
	switch op, reason := m.Header.Get(headerOperation), m.Header.Get(jetstream.MarkerReasonHeader); {
	case op == operationDelete, op == "" && reason == "Remove":
		u.op = jetstream.KeyValueDelete
	case op != "" || reason != "":
		u.op = jetstream.KeyValuePurge
	}
	return u
}

// apply takes one change of the bucket; true when the stream has an entry after it.
func (d *Directory) apply(u update) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, stream := d.now(), u.stream
	if r := d.records[stream]; r != nil && u.rev < r.rev {
		return true // the bucket was asked meanwhile, and had a later one
	}
	if u.op != jetstream.KeyValuePut {
		if u.op == jetstream.KeyValueDelete {
			d.releasedLocked(stream, u.value, now)
		} else {
			d.lostLocked(stream, now)
		}
		return false
	}
	e, err := parseEntry(stream, u.value, now)
	if err != nil {
		d.ignored("stream", "malformed")
		d.log.Debug("an entry is not used", "key", stream, "error", err)
		return false
	}
	r := d.records[stream]
	switch {
	case e.Gen < d.gens[stream]:
		d.ignored("stream", "lower_generation")
		return r != nil
	case r == nil && len(d.records) >= maxEntries:
		d.ignored("stream", "too_many")
		return false
	}
	next := &record{entry: e, rev: u.rev, since: now}
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

// sweepRecordsLocked settles what is lost, puts right what an earlier life of this node has left, and has the bucket asked about
// streams whose origin is not heard: they are those that somebody may have taken over.
func (d *Directory) sweepRecordsLocked(now time.Time) {
	asks := 0
	for stream, r := range d.records {
		if asks < maxSweepAsks && d.healthy && d.own[stream] == nil && d.silentLocked(r.entry.Origin, now) {
			asks++
			d.wonderLocked(stream, 0, now)
		}
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
	seq, err := d.put(ctx, e, rev)
	if err != nil {
		d.log.Debug("an entry of an earlier life was not changed", "stream", e.Stream, "error", err)
		return
	}
	d.notify(e.Stream, seq)
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
