package packager

import (
	"pushcart/packager/window"
)

// How the renditions of a copy come to one number. Each was copied on its own, so that some may be behind: by parts, or by segments.
// What is there of the last segment is its whole; the parts that it may have had on the lost origin have names of their own, which
// nobody else may give. Segments that a rendition lacks become gaps that say of themselves what the others' say.

// alike is what is known of a segment, in the rendition that has most of it; nil where none has it.
func alike(view *window.View, msn int64) (found *window.Segment) {
	for _, r := range view.Renditions {
		if g := r.Load().Segment(msn); g != nil && (found == nil || g.Duration > found.Duration) {
			found = g
		}
	}
	return found
}

// bridge takes renditions of a copy that no gaps can bring to the number of the others there: those of which nothing has come yet, and
// those that are so far behind that nobody knows what they lack.
func (p *Packager) bridge(view *window.View) {
	for _, r := range view.Renditions {
		s := r.Load()
		next := window.Snapshot{Independent: s.Independent, NextMSN: p.nextMSN, Gen: p.opt.Gen, PartTarget: p.target, Ranges: s.Ranges}
		if len(s.Segments) == 0 {
			next.Independent = true
			p.adopt(r, &next)
			continue
		}
		for msn := s.NextMSN; msn < p.nextMSN; msn++ {
			if alike(view, msn) != nil {
				continue
			}
			last := alike(view, p.nextMSN-1)
			g := &window.Segment{
				Gen: p.opt.Gen, MSN: last.MSN, Closed: p.opt.Gen, Complete: true, Init: s.Segments[len(s.Segments)-1].Init, Start: s.End(), Wall: last.Wall,
				Discontinuity: last.Discontinuity, DiscontinuitySequence: last.DiscontinuitySequence, Duration: last.Duration,
			}
			g.Parts = gapParts(last.Duration, p.target, p.lag)
			next.Segments = []*window.Segment{g}
			p.adopt(r, &next)
			break
		}
	}
}

// adopt gives a rendition of a copy a state that the packager made.
func (p *Packager) adopt(r *window.Rendition, s *window.Snapshot) {
	if err := p.out.Adopt(r, s); err != nil {
		p.opt.Log.Error("a copied rendition cannot be brought to the number of the others", "rendition", r.Name, "error", err)
	}
}

// gapParts are parts without media that last so long together.
func gapParts(length, target, lag window.Ticks) (all []window.Part) {
	for ; length > 0; length -= target {
		all = append(all, window.Part{Gap: true, Duration: min(length, target), Lag: lag})
	}
	return all
}

// makeUp brings all renditions to the number of the one that came furthest.
func (p *Packager) makeUp() {
	view := p.out.Load()
	for _, r := range p.renditions {
		for msn := r.w.r.Load().NextMSN; msn < p.nextMSN; msn++ {
			like := alike(view, msn)
			if like == nil {
				break
			}
			begin := &window.Segment{
				Init: r.w.init, Wall: like.Wall, Discontinuity: like.Discontinuity, DiscontinuitySequence: like.DiscontinuitySequence,
			}
			for _, part := range gapParts(like.Duration, p.target, p.lag) {
				p.out.Append(r.w.r, part, begin)
				p.opt.Metrics.gaps.Inc()
				p.opt.Metrics.part(r.video, 0, begin != nil)
				begin = nil
			}
		}
		p.out.Complete(r.w.r)
	}
}
