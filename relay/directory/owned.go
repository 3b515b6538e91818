package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"pushcart/relay"
)

// owned is a stream that this node is the origin of, or takes itself for.
type owned struct {
	poke chan struct{} // of one: there is something to write
	done chan struct{} // closed when it is given up

	// Directory.mu guards these.
	entry       relay.Entry
	written     relay.Entry // what the bucket has of it
	provisional bool
	given       bool // up: done is closed

	rev uint64 // of what the bucket has of ours, for its goroutine only
}

// prod has the entry written soon.
func (o *owned) prod() {
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

// adopt makes an entry this node's own.
func (d *Directory) adopt(e relay.Entry, rev uint64, provisional bool) (relay.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.own[e.Stream]
	if old != nil {
		d.forgetLocked(old)
	}
	o := &owned{poke: make(chan struct{}, 1), done: make(chan struct{}), entry: e, provisional: provisional, rev: rev}
	if !provisional {
		o.written = e
	}
	if provisional || old != nil {
		o.prod() // what the old one was writing just now may have come behind the new one
	}
	if !d.startLocked(func() { d.hold(o) }) {
		return relay.Entry{}, fmt.Errorf("%w: this node is stopping", relay.ErrUnreachable)
	}
	d.own[e.Stream] = o
	if !provisional {
		d.rememberLocked(e.Stream, e.Gen)
	}
	d.signalLocked()
	return e, nil
}

// forgetLocked takes a stream from what this node owns.
func (d *Directory) forgetLocked(o *owned) {
	if o.given {
		return
	}
	o.given = true
	close(o.done)
	if d.own[o.entry.Stream] == o {
		delete(d.own, o.entry.Stream)
	}
}

// supersedeLocked gives a stream up to whom has it.
func (d *Directory) supersedeLocked(o *owned, gen int64, by string) {
	if o.given {
		return
	}
	d.forgetLocked(o)
	d.metrics.superseded.Inc()
	d.log.Warn("another node has taken a stream over", "stream", o.entry.Stream, "node", by, "generation", gen, "ours", o.entry.Gen)
	d.rememberLocked(o.entry.Stream, gen)
	d.signalLocked()
	d.told.tell(o.entry.Stream, gen)
}

// SetLive implements relay.Directory.
func (d *Directory) SetLive(stream string, gen int64, live bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.own[stream]
	if o == nil || o.entry.Gen != gen || o.entry.Live == live {
		return
	}
	o.entry.Live = live
	o.prod()
	d.signalLocked()
}

// Release implements relay.Directory. The bucket is told in the background; if it cannot be reached, the entry expires.
func (d *Directory) Release(stream string, gen int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.own[stream]
	if o == nil || o.entry.Gen != gen {
		return
	}
	d.forgetLocked(o)
	d.signalLocked()
	e := o.entry
	if !d.closed {
		d.leaving.Go(func() { d.release(e) })
	}
}

// hold keeps an entry in the bucket for as long as it is this node's.
func (d *Directory) hold(o *owned) {
	next := time.NewTimer(d.spread(d.opts.pace.renew))
	defer next.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-o.done:
			return
		case <-o.poke:
		case <-next.C:
		}
		wait := d.spread(d.opts.pace.renew)
		if !d.write(o) {
			wait = d.spread(d.opts.pace.retry)
		}
		next.Reset(wait)
	}
}

// spread varies a duration by a tenth, so that entries are not all renewed at once.
func (d *Directory) spread(t time.Duration) time.Duration {
	return t - time.Duration(rand.Int64N(int64(t)/10+1))
}

// write brings an entry into the bucket, or finds that it is another node's; false if neither could be found out.
func (d *Directory) write(o *owned) bool {
	s := d.buckets.streams.Load()
	if s == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.pace.claim)
	defer cancel()
	for range 8 {
		d.mu.Lock()
		e, given, provisional := o.entry, o.given, o.provisional
		d.mu.Unlock()
		if given {
			return true
		}
		seq, err := d.put(ctx, e, o.rev)
		if err == nil {
			o.rev = seq
			d.settled(o, e, provisional)
			return true
		}
		if !errors.Is(err, errMoved) {
			return false
		}
		p, rev, err := d.ask(ctx, *s, e.Stream)
		if err != nil {
			return false
		}
		if d.lost(o, p, provisional) {
			return true
		}
		o.rev = rev
	}
	return false
}

// settled notes that the bucket has an entry, and tells the others if it is not only a renewal.
func (d *Directory) settled(o *owned, e relay.Entry, was bool) {
	d.mu.Lock()
	news := !same(o.written, e)
	o.written = e
	d.mu.Unlock()
	if news {
		d.notify(e.Stream, o.rev)
	}
	if !was {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o.provisional = false
	d.rememberLocked(o.entry.Stream, o.entry.Gen)
	d.log.Info("the directory has taken a stream that began without it", "stream", o.entry.Stream, "generation", o.entry.Gen)
}

// unwrittenLocked tells whether the bucket lacks something that this node has to say of its streams.
func (d *Directory) unwrittenLocked() bool {
	for _, o := range d.own {
		if !same(o.entry, o.written) {
			return true
		}
	}
	return false
}

// lost tells whether what the bucket has means that the stream is another node's, and gives it up then. A provisional claim gives
// way to whatever a claim would give way to. One that was granted gives way to a higher generation only: what is lower was
// written while the bucket had lost its memory.
func (d *Directory) lost(o *owned, p present, provisional bool) bool {
	if p.entry.Origin == "" || p.entry.Origin == d.opts.Self.Name {
		return false
	}
	d.mu.Lock()
	e := o.entry
	d.mu.Unlock()
	refused := provisional && p.held && decide(relay.Claim{Stream: e.Stream, Credential: e.Credential, Standby: e.Standby}, p, d.opts.pace) != nil
	if p.entry.Gen < e.Gen && !refused {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.supersedeLocked(o, p.entry.Gen, p.entry.Origin)
	return true
}

// release deletes an entry that this node has given up, unless the bucket's is another one by now. The stream's cards are written
// before that: who claims a stream without an entry has nobody else to ask for them.
func (d *Directory) release(e relay.Entry) {
	d.cards.settle(d.ctx, e.Stream)
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.pace.entry)
	defer cancel()
	for ctx.Err() == nil {
		if d.releaseOnce(ctx, e) {
			return
		}
		t := time.NewTimer(d.spread(d.opts.pace.retry))
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
}

func (d *Directory) releaseOnce(ctx context.Context, e relay.Entry) bool {
	s := d.buckets.streams.Load()
	if s == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.pace.claim)
	defer cancel()
	p, rev, err := d.ask(ctx, *s, e.Stream)
	if err != nil {
		return false
	}
	if !p.held || p.entry.Origin != e.Origin || p.entry.Gen != e.Gen {
		return true
	}
	return d.bury(ctx, e, rev) == nil
}
