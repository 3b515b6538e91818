package relay

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// renditionLog gives a rendition: its state, then all that comes, and in what time there is left the media that the peer lacks.
type renditionLog struct {
	*log
	sums *sumSet
	// at is the snapshot that the peer has once it has read all that was written.
	at      *window.Snapshot
	init    *window.Init // of its last segment
	lacking lacking
	// attempt is that of the arriving part of which forwarded bytes were written.
	attempt   int64
	forwarded int
	// overSince is when the last step was written; zero before.
	overSince time.Time
}

func (s *Server) runRendition(ctx context.Context, l *log) error {
	r := &renditionLog{log: l, sums: s.borrow(l.rendition)}
	defer s.giveBack(l.rendition)
	if err := r.record(wire.AppendJSON(r.scratch[:0], wire.TypeHello, l.hello())); err != nil {
		return err
	}
	if err := r.state(s.metrics.join); err != nil {
		return err
	}
	for {
		if err := r.tick(ctx); err != nil {
			return err
		}
		if err := r.live(); err != nil {
			return err
		}
		arriving, err := r.forward()
		if err != nil {
			return err
		}
		newest := l.rendition.Load()
		sent, err := r.backfill(newest)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		if r.over() {
			return &reasonError{reason: wire.Ended}
		}
		if r.out.Buffered() > 0 {
			if err := r.flush(); err != nil {
				return err
			}
		}
		if err := r.wait(ctx, r.at.Changed(), newest.Filled(), arriving); err != nil {
			return err
		}
	}
}

// state sends the newest snapshot as a whole.
func (r *renditionLog) state(why prometheus.Counter) error {
	why.Inc()
	s := r.rendition.Load()
	sent := map[*window.Init]bool{}
	for _, g := range s.Segments {
		r.init = g.Init
		if g.Init == nil || sent[g.Init] {
			continue
		}
		sent[g.Init] = true
		if err := r.tellInit(g.Init); err != nil {
			return err
		}
	}
	st := stateOf(s, r.sums.sum)
	if err := r.record(wire.AppendState(r.scratch[:0], &st)); err != nil {
		return err
	}
	r.scratch = nil // it was large for once
	r.sums.forget(s)
	r.lacking.reset(s, r.at, r.have)
	r.at = s
	r.sequence++
	r.attempt, r.forwarded = 0, 0
	return r.flush()
}

func (r *renditionLog) tellInit(i *window.Init) error {
	r.init = i
	return r.record(wire.AppendInit(r.scratch[:0], &wire.Init{Name: i.Name, Data: i.Data}))
}

// live sends all steps that there are.
func (r *renditionLog) live() error {
	for {
		next := r.at.Successor()
		if next == nil {
			return nil
		}
		if r.behind(next, r.rendition.Load()) {
			if err := r.state(r.s.metrics.behind); err != nil {
				return err
			}
			continue
		}
		e := r.sums.encoded(r.at, next)
		if e.whole {
			if err := r.state(r.s.metrics.adopted); err != nil {
				return err
			}
			continue
		}
		if err := r.step(next, e); err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
}

// step sends one.
func (r *renditionLog) step(next *window.Snapshot, e *encodedStep) error {
	if e.err != nil {
		return e.err
	}
	if e.init != nil && e.init != r.init {
		if err := r.tellInit(e.init); err != nil {
			return err
		}
	}
	pieces := e.chunks
	if r.forwarded > 0 {
		if in := r.incoming(); in != nil && in.verified(e.at, r.attempt) {
			pieces = chunks(e.at, e.media, len(e.media), r.forwarded, liveChunk)
		}
	}
	for _, p := range pieces {
		if _, err := r.out.Write(p); err != nil {
			return err
		}
	}
	if _, err := r.out.Write(e.record); err != nil {
		return err
	}
	if e.absent {
		r.lacking.add(e.at)
	}
	r.at = next
	r.sequence++
	r.s.metrics.steps.Inc()
	return nil
}

// behind tells whether a peer is too late for the steps from next on.
func (r *renditionLog) behind(next, newest *window.Snapshot) bool {
	if newest.End()-next.End() > behindMost {
		return true
	}
	from, any := next.Last()
	if !any {
		return false
	}
	most, size := r.s.limits().MaxBacklog, 0
	for i := len(newest.Segments) - 1; i >= 0 && newest.Segments[i].MSN >= from.MSN; i-- {
		g := newest.Segments[i]
		size += g.Size
		if g.MSN == from.MSN {
			for k := range min(from.Part+1, len(g.Parts)) {
				size -= g.Parts[k].Size
			}
		}
	}
	return size > most
}

func (r *renditionLog) incoming() *Incoming {
	if r.s.opts.Incoming == nil {
		return nil
	}
	return r.s.opts.Incoming(r.key.stream, r.key.rendition)
}

// forward sends on what has come of the part that is arriving here. The channel is closed when there is more.
func (r *renditionLog) forward() (<-chan struct{}, error) {
	in := r.incoming()
	if in == nil {
		return nil, nil
	}
	now, changed := in.load()
	if r.at.Successor() != nil {
		// What arrives may be behind a part that was published in the meantime, whose step has to go first.
		return changed, nil
	}
	last, any := r.at.Last()
	if now.Size == 0 || any && (now.At.MSN < last.MSN || now.At.MSN == last.MSN && now.At.Part <= last.Part) {
		return changed, nil
	}
	if now.attempt != r.attempt {
		r.attempt, r.forwarded = now.attempt, 0
	}
	if r.forwarded == len(now.Data) {
		return changed, nil
	}
	for _, p := range chunks(now.At, now.Data, now.Size, r.forwarded, wire.MaxChunk) {
		if _, err := r.out.Write(p); err != nil {
			return nil, err
		}
	}
	r.s.metrics.forwarded.Add(float64(len(now.Data) - r.forwarded))
	r.forwarded = len(now.Data)
	return changed, r.flush()
}

// over tells whether nothing will follow.
func (r *renditionLog) over() bool {
	if !r.at.Ended || r.at.Successor() != nil {
		return false
	}
	if r.overSince.IsZero() {
		r.overSince = time.Now()
	}
	return len(r.lacking.parts) == 0 || time.Since(r.overSince) > absentMost
}
