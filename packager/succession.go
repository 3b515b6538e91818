package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// How the lead passes from one picture to another within an era: where a rung led and a change of plan took it away. What is left of
// it may still come for a while, and does no harm.

// inherits gives the leading picture to a rung that takes the place of the one it is made from: a browser changes the size of its VP8
// with the network, and what stands in for that has a name by its size. Players who have only that playlist go on in it, behind a
// discontinuity. What is left of the one before, which is not declared any more, goes there too. It is nil where the rung is just
// another one.
func (p *Packager) inherits(t *stream.Track) *rendition {
	if p.lead == nil || !p.lead.r.Video || !t.Video() {
		return nil
	}
	r := p.lead.own
	declared := func(label string) bool { // what stands in has the first number, whatever else is called like it
		return slices.ContainsFunc(p.tracks, func(o *stream.Track) bool {
			return o.Rung == label && o.Video() && (o.ID == t.ID || t.ID != stream.FirstRung)
		})
	}
	switch {
	case r.rung == nil || r.id != t.ID:
		return nil
	case declared(r.rung.label):
		if r.rung.former && !declared(t.Rung) {
			return r
		}
		return nil
	}
	r.rung.former, r.rung.label, r.patience = true, t.Rung, lagOf(t)
	return r
}

// succeeds tells whether a key frame takes the lead, as that of the first of those that are there, behind what the leading picture
// had: where that is none of them any more, but was held since sound came first, or is a rung and this the publisher's own.
func (p *Packager) succeeds(r *rendition, f *stream.Frame) bool {
	old := p.lead.own
	if r == old || old.rung == nil && r.rung == nil || !f.Key || f.Era != p.era || p.target == 0 {
		return false
	}
	if (old.rung == nil || r.rung != nil) && p.declares(old) {
		return false
	}
	return p.foremost(r) && inTicks(f.PTS, f.Track) >= p.lead.reached()+p.keyOffset
}

// foremost tells whether no video of a lower number is there that can be delivered.
func (p *Packager) foremost(r *rendition) bool {
	return !slices.ContainsFunc(p.tracks, func(t *stream.Track) bool { return t.Video() && Deliverable(t.Codec) && t.ID < r.id })
}

// succeed brings a picture that followed to where the leading one has ended, and has that follow.
func (p *Packager) succeed(r *rendition, at window.Ticks) {
	old := p.lead.own
	old.offset, old.needKey, old.seen = p.keyOffset, true, -1
	if g := old.rung; g != nil {
		g.starting, g.pace = false, pace{}
	}
	if r.w == nil {
		return
	}
	p.catchUp(r, 0)
	if r.w.started && at > r.w.end {
		r.w.gap(at)
	}
}
