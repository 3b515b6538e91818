package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// How following renditions cross the boundaries that the leading one has made.

// trimCuts forgets cuts that a rendition beginning at the given time has missed.
func (r *rendition) trimCuts(at window.Ticks) {
	for len(r.cuts) > 1 && r.boundary(r.cuts[1]) <= at {
		r.cuts = r.cuts[1:]
	}
}

// enterCut takes a following rendition over one boundary. Its next frame is announced for the given time, of which there
// is no telling when the boundary itself is given.
func (p *Packager) enterCut(r *rendition, at window.Ticks) {
	w, c := r.w, r.cuts[0]
	here, frame := r.boundary(c)-r.offset, inTicks(w.frameTicks(), w.track)
	if w.started {
		until := here // what comes before the boundary lasts as long
		if !r.video {
			until = min(here, at)
		}
		if w.open() {
			next := w.lastDTS + w.frameTicks()
			switch end := inTicks(next, w.track); {
			case r.exact() && here-end > frame*3/2 && p.lacks(r, end, here):
			case r.video && abs(at-end) > frame:
				at = here
				fallthrough
			case r.video: // the last picture stays until the next one
				next = max(stream.Rescale(at, window.Rate, w.track.ClockRate), w.lastDTS+1)
			case until-end > frame/2:
				next = stream.Rescale(until, window.Rate, w.track.ClockRate)
			}
			w.close(inTicks(next, w.track), next)
		}
		gone := until-w.end > w.patch(frame)
		if r.exact() {
			gone = until-w.end > w.hole() && p.lacks(r, w.end, until)
		}
		if gone {
			w.gap(until)
		}
		if w.pending != nil {
			w.gap(max(here, w.end+1))
		}
	} else {
		w.end = here
		if abs(at-here) < frame {
			w.end = at
		}
	}
	r.cuts = r.cuts[1:]
	w.begin(c)
}

// enterBreak takes a following rendition to a boundary with a discontinuity, behind which f, of another track, may come.
// Where there is none yet, the leading rendition makes one at its next key frame, and something stands in until then.
func (p *Packager) enterBreak(r *rendition, f *stream.Frame) bool {
	w, at := r.w, r.position(f)
	if w.pending != nil && w.pending.begin.Discontinuity {
		return true
	}
	for i, c := range r.cuts {
		if c.begin.Discontinuity && at+r.early(f) >= r.boundary(c) {
			for range i + 1 {
				p.enterCut(r, r.boundary(r.cuts[0])-r.offset)
			}
			return true
		}
	}
	if !slices.ContainsFunc(r.cuts, func(c *cut) bool { return c.begin.Discontinuity }) && p.mayBreak(r) {
		p.breakDue = true
	}
	p.standIn(r, at)
	return false
}

// followPicture places a frame of a following video track.
func (p *Packager) followPicture(r *rendition, f *stream.Frame) {
	w := r.w
	if w == nil {
		if w = p.join(r, f); w == nil {
			p.opt.Metrics.drop(dropBeforeStart)
			return
		}
	} else if w.track != f.Track && !p.changePicture(r, f) {
		return
	}
	for len(r.cuts) > 0 && r.position(f)+r.early(f) >= r.cuts[0].frame {
		p.meet(r, f)
		p.enterCut(r, r.position(f)-r.offset)
	}
	f.DTS, f.PTS = r.moved(f.DTS, f.Track), r.moved(f.PTS, f.Track)
	at := inTicks(f.DTS, f.Track)
	if f.Key && w.started {
		r.turn(inTicks(f.PTS-f.DTS, f.Track))
	}
	w.predict(r.seen, f.DTS) // also of what is dropped, or a wrong prediction would make more of that
	r.seen = f.DTS
	switch {
	case !w.started:
		p.opt.Metrics.drop(dropBeforeStart)
		return
	case !w.open() && w.end-at >= w.length():
		p.tooLate(r, at+r.offset)
		r.needKey = true
		return
	case r.needKey && !f.Key:
		p.opt.Metrics.drop(dropBeforeKey)
		return
	}
	r.needKey = false
	p.closeBefore(w, f.DTS, at)
	if behind := at - w.end; p.target > 0 && !w.open() && (behind >= p.target || r.exact() && w.skipped && behind > w.hole()) {
		w.gap(at)
	}
	w.add(f)
	p.closeAfter(w)
}

// exact tells whether the rendition has its source's pictures, so that it lacks one where there is none.
func (r *rendition) exact() bool { return r.video && r.rung != nil }

// lacks tells whether a rung lacks pictures between two announced times, in which its source may have paused. It does where a gap
// had what is before, where the leading rendition has a picture there, and where nobody remembers.
func (p *Packager) lacks(r *rendition, from, until window.Ticks) bool {
	if r.w.skipped && !r.w.open() || until-from >= p.target {
		return true
	}
	slack, known := r.w.length()/4, false
	for _, m := range p.cues.recent() {
		if m.era == p.era && m.pts < until+r.offset-slack {
			if m.pts >= from+r.offset-slack {
				return true
			}
			known = true
		}
	}
	return !known
}

// hole is the least time for which a picture is missing, and not only later than expected. Behind a gap, any time is.
func (w *writer) hole() window.Ticks {
	if w.skipped && !w.open() {
		return window.Rate / 1000
	}
	return w.length() * 3 / 4
}

// turn takes what is announced to another offset: an encoder may begin to reorder pictures, or cease to. What is announced lies
// where it did in presentation time.
func (r *rendition) turn(offset window.Ticks) {
	if d := r.offset - offset; abs(d) > window.Rate/1000 {
		r.w.end += d
		r.w.segment += d
	}
	r.offset = offset
}

// strayFor is how many segments a layer may have key frames at no boundary before it joins where it has one.
const strayFor = 2

// join makes a video rendition where its key frame is the first frame behind a boundary, so that players can start with all
// that it has; nil before that. One that shows no key frame there, such as a camera's second stream, joins in mid segment, behind
// a gap; its segments may begin with any picture.
func (p *Packager) join(r *rendition, f *stream.Frame) *writer {
	at := r.position(f)
	r.trimCuts(at + r.early(f))
	if !f.Key || len(r.cuts) == 0 || at+r.early(f) < r.cuts[0].frame {
		return nil
	}
	msn := r.cuts[0].msn
	if r.keyed == 0 {
		r.keyed = msn
	}
	stray := at-r.cuts[0].frame > r.length(f)/2
	if stray && (msn-r.keyed < strayFor || p.target == 0) {
		return nil
	}
	init := p.init(r, f.Track)
	if init == nil {
		return nil
	}
	w := p.make(r, msn, inTicks(f.DTS, f.Track))
	w.track, w.init = f.Track, p.out.AddInit(w.r, init)
	w.predict(-1, f.DTS)
	w.cue = p.cues.of(msn)
	r.offset = inTicks(f.PTS-f.DTS, f.Track)
	if stray {
		p.out.Unaligned(w.r)
		p.meet(r, f)
		p.enterCut(r, r.boundary(r.cuts[0])-r.offset)
		w.gap(max(inTicks(r.moved(f.DTS, f.Track), f.Track), w.end+1))
	}
	return w
}

// changePicture takes a video rendition to f's track; false while that must wait.
func (p *Packager) changePicture(r *rendition, f *stream.Frame) bool {
	w := r.w
	init := p.init(r, f.Track)
	if init == nil {
		return false
	}
	if w.init.Name == init.Name {
		w.track, w.measured = f.Track, 0 // the same codec data again, from a publisher that came back
		return true
	}
	r.needKey = r.needKey || !f.Key
	if w.started && !p.enterBreak(r, f) {
		p.opt.Metrics.drop(dropTrackChange)
		r.needKey = true
		return false
	}
	w.track, w.init = f.Track, p.out.AddInit(w.r, init)
	w.fresh, w.measured, r.seen = true, 0, -1
	return true
}

// mostShift is how far a following picture's time may be moved.
const mostShift = 10 * window.Rate / 1000

// early is how long before a boundary a frame may come and yet belong behind it. Of sound, the nearest frame does. Of pictures
// only those do that are the leading one's but for rounding: what is told where a segment begins must not be later than its
// first picture.
func (r *rendition) early(f *stream.Frame) window.Ticks {
	if r.video {
		return min(r.length(f)/4, mostShift)
	}
	return r.length(f) / 2
}

// meet moves the rendition's times so that f, the first frame behind a boundary, is shown exactly when the leading one's is.
// Layers of one camera are the same pictures: what tells them apart in time, such as the rounding of sender reports, is
// small; rungs have the same times. Tracks that have nothing to do with one another keep their times, but for a key frame that would come too early for
// what the boundary says.
func (p *Packager) meet(r *rendition, f *stream.Frame) {
	off := r.cuts[0].frame - r.position(f)
	if off == 0 || r.rung != nil || len(r.cuts) > 1 && r.position(f)+r.early(f) >= r.cuts[1].frame {
		return
	}
	if shift := r.shift + off; abs(off) <= r.w.length()/2 && abs(shift) <= mostShift {
		r.shift = shift
		return
	}
	r.shift = 0
	if off = r.cuts[0].frame - r.position(f); f.Key && off > 0 && off <= r.w.length()/2 {
		f.PTS += stream.Rescale(off, window.Rate, f.Track.ClockRate)
	}
}

// moved is a time with the rendition's shift, in ticks of the track.
func (r *rendition) moved(t int64, track *stream.Track) int64 {
	return t + stream.Rescale(r.shift, window.Rate, track.ClockRate)
}
