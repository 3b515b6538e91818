package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pushcart/packager/window"
)

// maxGather is how many nodes a takeover asks at a time.
const maxGather = 4

// TakeOver stops copying a stream that this node has just claimed, with entry e, and gives its presentation away: it stays with
// those who were told of it by Added, and whoever asked goes on with it (Presentation.Continue). Before, it is brought as far as
// any node has it that can be reached within a second. What viewers of this node have seen of it stays.
//
// A nil presentation is that nobody had anything, or only a show that is over. The error is that of ctx, or that the Manager does
// not run.
func (m *Manager) TakeOver(ctx context.Context, stream string, e Entry) (*window.Presentation, error) {
	begin := time.Now()
	c, previous, err := m.seize(ctx, stream)
	if err != nil {
		return nil, err
	}
	defer func() { m.metrics.takeover.Observe(time.Since(begin).Seconds()) }()
	defer m.release(stream)
	defer m.wg.Done()
	var p *window.Presentation
	var sink *lockedSink
	if c == nil {
		if m.opt.Cards != nil {
			if to := m.opt.Cards(stream); to != nil {
				sink = &lockedSink{to: to}
				defer sink.Close()
			}
		}
	} else {
		if c.sink != nil {
			defer c.sink.Close()
		}
		if p = c.t.take(); p != nil && !c.wasAdded(p) {
			p = nil
		}
		if p != nil && p.Load().Ended {
			m.keep(stream, p, nil)
			p = nil
		}
	}
	from, _ := leading(p)
	found := m.gather(ctx, stream, e, previous, p, sink)
	best, added := bring(p, found, m.opt.Now)
	result := takenAsIs
	switch to, _ := leading(best); {
	case best == nil:
		result = takenNothing
	case added || to != from:
		result = takenFurther
	}
	if added {
		if p != nil {
			m.keep(stream, p, nil)
		}
		m.opt.Added(best)
	}
	m.metrics.takeovers.WithLabelValues(result).Inc()
	m.opt.Log.Info("this node goes on with a stream as its origin", "stream", stream, "generation", e.Gen, "result", result, "asked", len(found))
	return best, ctx.Err()
}

// seize ends the copy of a stream, and keeps Demand from starting another until release. The Manager waits for who has it.
func (m *Manager) seize(ctx context.Context, stream string) (c *copied, previous string, err error) {
	m.mu.Lock()
	if m.ctx == nil || m.ctx.Err() != nil {
		m.mu.Unlock()
		return nil, "", errStopped
	}
	m.wg.Add(1)
	m.taking[stream] = true
	c = m.copies[stream]
	m.mu.Unlock()
	if c == nil {
		return nil, "", nil
	}
	c.cancel(errTaken)
	select {
	case <-c.done:
	case <-ctx.Done():
		<-c.done // its connections are closed: it is about to
	}
	if context.Cause(c.ctx) != errTaken {
		return nil, "", nil // it ended by itself just before
	}
	return c, c.before, nil
}

func (m *Manager) release(stream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.taking, stream)
}

// wasAdded tells whether viewers have a presentation.
func (c *copied) wasAdded(p *window.Presentation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.added == p
}

// leading is the position of the leading rendition's last part; false while there is none.
func leading(p *window.Presentation) (window.Position, bool) {
	if p == nil || len(p.Load().Renditions) == 0 {
		return window.Position{}, false
	}
	return p.Load().Renditions[0].Load().Last()
}

// gather asks other nodes for what they have of a stream. Each has a presentation of its own, which begins as a copy of p.
func (m *Manager) gather(ctx context.Context, stream string, e Entry, previous string, p *window.Presentation, sink *lockedSink) []*window.Presentation {
	ctx, cancel := context.WithTimeout(ctx, m.pace.gather)
	defer cancel()
	var wg sync.WaitGroup
	peers := m.holders(stream, previous)
	found := make([]*window.Presentation, len(peers))
	for i, peer := range peers {
		wg.Go(func() {
			t := newTarget(stream, m.opt.Now, m.metrics)
			t.seed(p)
			for failures := 0; ctx.Err() == nil; failures++ {
				l := &link{m: m, t: t, peer: peer, entry: e, gather: true}
				if sink != nil {
					l.sink = sink
				}
				l.start(ctx)
				done := l.await(ctx)
				l.stop()
				if done || !again[reasonOf(l.err)] && reasonOf(l.err) != failRefused {
					break // a refusal may be that it has not heard of the claim yet
				}
				pause(ctx, backOff(failures, rand.Float64()))
			}
			found[i] = t.take()
		})
	}
	wg.Wait()
	return slices.DeleteFunc(found, func(p *window.Presentation) bool { return p == nil })
}

// holders are the nodes that may have something of a stream, the furthest first.
func (m *Manager) holders(stream, previous string) []Peer {
	type holder struct {
		Peer
		held Held
	}
	var all []holder
	for _, p := range m.opt.Directory.Peers() {
		i := slices.IndexFunc(p.Streams, func(h Held) bool { return h.Stream == stream })
		switch {
		case !m.reachable(p):
		case i >= 0:
			all = append(all, holder{p, p.Streams[i]})
		case p.Name == previous:
			all = append(all, holder{Peer: p})
		}
	}
	slices.SortStableFunc(all, func(a, b holder) int {
		x, y := a.held, b.held
		if later := x.Gen > y.Gen || x.Gen == y.Gen && (x.MSN > y.MSN || x.MSN == y.MSN && x.Part > y.Part); later {
			return -1
		}
		return index(x.Gen != y.Gen || x.MSN != y.MSN || x.Part != y.Part)
	})
	var peers []Peer
	for _, h := range all[:min(len(all), maxGather)] {
		peers = append(peers, h.Peer)
	}
	return peers
}

// seed makes the target's presentation a copy of p.
func (t *target) seed(p *window.Presentation) {
	if p == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p = clone(p, t.now)
	for _, r := range t.p.Load().Renditions {
		t.replicas[r.Name] = &replica{name: r.Name, r: r, incoming: NewIncoming()}
	}
}

// clone makes a presentation that shows what another one does.
func clone(p *window.Presentation, now func() time.Time) *window.Presentation {
	settings := p.Settings
	settings.Now = now
	n := window.NewCopy(p.Stream, settings)
	_ = n.CopyView(p.Load().Head()) // it held together already
	for _, r := range p.Load().Renditions {
		_ = n.Adopt(n.Load().Rendition(r.Name), r.Load())
	}
	return n
}

// await waits until a gathering link has brought all that its node has, and tells whether it has.
func (l *link) await(ctx context.Context) bool {
	for {
		if l.whole() {
			return true
		}
		select {
		case <-l.news:
		case <-l.done:
			return l.whole()
		case <-ctx.Done():
			return false
		}
	}
}

// whole tells whether the node has told all its states, and all media have come.
func (l *link) whole() bool {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.named == 0 || len(l.stated) < l.named {
		return false
	}
	for _, r := range l.t.p.Load().Renditions {
		for _, g := range r.Load().Segments {
			if g.Absent() {
				return false
			}
		}
	}
	return true
}

// bring takes a presentation as far as those that were found go. Where they are of a later show, or there is none yet, it
// returns another presentation, and true.
func bring(p *window.Presentation, found []*window.Presentation, now func() time.Time) (*window.Presentation, bool) {
	began := int64(-1)
	if p != nil {
		began = p.Settings.Gen
	}
	for _, o := range found {
		began = max(began, o.Settings.Gen)
	}
	added := false
	found = slices.DeleteFunc(found, func(o *window.Presentation) bool { return o.Settings.Gen != began || !playable(o) })
	if p == nil || p.Settings.Gen != began {
		if len(found) == 0 {
			return p, false
		}
		settings := found[0].Settings
		settings.Now = now
		p, added = window.NewCopy(found[0].Stream, settings), true
	}
	for _, o := range found {
		if covers(o.Load(), p.Load()) {
			_ = p.CopyView(o.Load().Head())
		}
	}
	for _, r := range p.Load().Renditions {
		var states []*window.Snapshot
		for _, o := range found {
			if from := o.Load().Rendition(r.Name); from != nil {
				seen, has := r.Load().Last()
				states = append(states, verified(from.Load(), seen, has))
			}
		}
		// The furthest first; the others may have media that it lacks, and are refused where they would take something back.
		slices.SortStableFunc(states, func(a, b *window.Snapshot) int {
			x, _ := a.Last()
			y, _ := b.Last()
			return index(sooner(x, y)) - index(sooner(y, x))
		})
		for _, s := range states {
			_ = p.Adopt(r, s)
		}
		for _, s := range states {
			fillFrom(p, r, s)
		}
	}
	if p.Load().Ended || added && !playable(p) {
		return nil, false
	}
	return p, added
}

func sooner(a, b window.Position) bool {
	return a.MSN < b.MSN || a.MSN == b.MSN && a.Part < b.Part
}

// playable tells whether there is something of a show that is not over.
func playable(p *window.Presentation) bool {
	v := p.Load()
	return !v.Ended && slices.ContainsFunc(v.Renditions, func(r *window.Rendition) bool {
		_, ok := r.Load().Last()
		return ok && !r.Load().Ended
	})
}

// covers tells whether a view has all that another has.
func covers(v, o *window.View) bool {
	if len(v.Variants) < len(o.Variants) || v.PartTarget == 0 {
		return false
	}
	return !slices.ContainsFunc(o.Renditions, func(r *window.Rendition) bool { return v.Rendition(r.Name) == nil })
}

// verified cuts a state behind the last part up to which all media are there. What viewers have seen stays: nothing is cut up to
// the position seen.
//
// The node that goes on writes the next snapshot by itself, so that what is left out here (reports, date ranges of later
// frames) is set right by it.
func verified(s *window.Snapshot, seen window.Position, has bool) *window.Snapshot {
	for i, g := range s.Segments {
		for k := range g.Parts {
			if at := (window.Position{MSN: g.MSN, Part: k}); g.Parts[k].Absent() && (!has || sooner(seen, at)) && g.MSN >= s.Segments[s.Listed].MSN && tail(s, i, k) {
				return cut(s, i, k)
			}
		}
	}
	return s
}

// tail tells whether the part is one of the last stretch, behind which no media are complete: what is missing further back may
// be in another's copy, and costs viewers only that.
func tail(s *window.Snapshot, segment, part int) bool {
	for i := segment + 1; i < len(s.Segments); i++ {
		if !s.Segments[i].Absent() {
			return false
		}
	}
	return true
}

// cut returns a state without the parts from one on.
func cut(s *window.Snapshot, segment, part int) *window.Snapshot {
	n := &window.Snapshot{
		Segments: slices.Clone(s.Segments[:segment]), Listed: s.Listed, Independent: s.Independent, Ranges: s.Ranges, Amended: s.Amended,
		Reports: s.Reports, Gen: s.Gen, PartTarget: s.PartTarget, At: s.At, NextMSN: s.Segments[segment].MSN,
	}
	if part > 0 {
		g := *s.Segments[segment]
		g.Parts = slices.Clone(g.Parts[:part])
		g.Complete, g.Closed, g.Duration, g.Size = false, 0, 0, 0
		for i := range g.Parts {
			g.Duration += g.Parts[i].Duration
			g.Size += g.Parts[i].Size
		}
		n.Segments = append(n.Segments, &g)
		n.NextMSN = g.MSN + 1
	}
	n.Listed = max(min(n.Listed, len(n.Segments)-1), 0)
	return n
}

// fillFrom gives a rendition the media that a state has and it lacks.
func fillFrom(p *window.Presentation, r *window.Rendition, s *window.Snapshot) {
	for _, g := range r.Load().Segments {
		from := s.Segment(g.MSN)
		if from == nil || from.Gen != g.Gen || !g.Absent() {
			continue
		}
		for k := range min(len(g.Parts), len(from.Parts)) {
			if g.Parts[k].Absent() && from.Parts[k].Data != nil && from.Parts[k].Sum == g.Parts[k].Sum {
				_ = p.Fill(r, g.Gen, g.MSN, k, from.Parts[k].Data)
			}
		}
	}
}
