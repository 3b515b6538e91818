package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// Bounds of how far a rendition may fall behind the leading one before something stands in for it. Players hold three part
// targets of media: it must come before those are played. A publisher whose audio always comes late moves the bound up.
const (
	leastPatience = 350 * window.Rate / 1000
	mostPatience  = 3 * window.Rate
	// silenceMargin is how far behind the leading rendition that stays, so that what comes again still finds its place.
	silenceMargin = 100 * window.Rate / 1000
)

// fill keeps the following renditions going while only the leading one comes: a player that has no sound for a stretch of
// time, or no picture of its variant, would stop in front of it for ever.
func (p *Packager) fill(lead *writer) {
	if p.target == 0 {
		return
	}
	for _, r := range p.renditions {
		w := r.w
		if w == nil || w == lead {
			continue
		}
		if w.open() && w.carries() {
			p.closeAfter(w) // it may have been ahead
		}
		if len(r.queue.frames) > 0 {
			continue
		}
		until, from := p.front(r), r.reached()
		if !w.started {
			if len(r.cuts) == 0 {
				continue
			}
			from = r.boundary(r.cuts[0])
		}
		if until-from > r.limit() {
			p.standIn(r, until-r.margin())
		}
	}
}

// standIn fills a following rendition until the given presentation time: audio with silence in the track's own coding, and
// with a gap what has none.
func (p *Packager) standIn(r *rendition, until window.Ticks) {
	if r.rung != nil {
		r.rung.filling = true
	}
	if hasSilence(r.w.track) {
		p.silence(r, until)
		return
	}
	p.gap(r, until)
}

// hasSilence tells whether there is something to stand in for a track's sound.
func hasSilence(t *stream.Track) bool { return len(t.Silence) > 0 && t.SilenceSamples > 0 }

// silence fills an audio rendition until the given time.
func (p *Packager) silence(r *rendition, until window.Ticks) {
	w := r.w
	length, from := int64(w.track.SilenceSamples), w.reached()
	if !w.started {
		from = r.cuts[0].at
	}
	dts := stream.Rescale(from, window.Rate, w.track.ClockRate)
	if w.open() {
		dts = w.dtsAfter()
	}
	for ; inTicks(dts+length, w.track) <= until; dts += length {
		p.audioFrame(r, r.silent(dts))
		p.opt.Metrics.silence.Inc()
	}
}

// silent is a frame of silence at a time in the track's ticks.
func (r *rendition) silent(dts int64) *stream.Frame {
	t := r.w.track
	return &stream.Frame{Track: t, Era: r.w.p.era, DTS: dts, PTS: dts, Duration: int64(t.SilenceSamples), Key: true, Payload: t.Silence}
}

// dtsAfter is the decoding time behind what the rendition has, in the track's ticks.
func (w *writer) dtsAfter() int64 {
	if w.open() {
		return w.lastDTS + w.frameTicks()
	}
	return stream.Rescale(w.end, window.Rate, w.track.ClockRate)
}

// hold keeps the picture while only audio comes: the last key frame again, once for each part, so that players go on with
// the sound over a still picture. Whatever follows needs a key frame of its own, since these take the references away.
// Less than slack is not filled.
func (p *Packager) hold(w *writer, until, slack window.Ticks) {
	limit := window.FromDuration(p.opt.Settings.SegmentDuration)
	rate := w.track.ClockRate
	for until-w.end > slack {
		end := min(until, w.end+p.target)
		if w.pending == nil && (!p.needKey || w.end-w.segment >= limit) {
			p.cut(w, w.end+p.keyOffset, w.end+p.keyOffset, false)
			p.clean = true
		}
		p.needKey = true
		dts := stream.Rescale(w.end, window.Rate, rate)
		next := stream.Rescale(end, window.Rate, rate)
		w.add(&stream.Frame{Track: w.track, DTS: dts, PTS: dts + stream.Rescale(p.keyOffset, window.Rate, rate), Key: true, Payload: p.lastKey})
		w.close(end, next)
		p.opt.Metrics.held.Inc()
	}
	p.steady = 0
}

// gap announces that a following rendition has nothing until a presentation time, over all cuts before it, in whole parts.
// Pictures that come behind it need a key frame.
func (p *Packager) gap(r *rendition, until window.Ticks) {
	w := r.w
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		w.close(inTicks(next, w.track), next)
	}
	for len(r.cuts) > 0 && r.boundary(r.cuts[0]) <= until {
		p.enterCut(r, r.boundary(r.cuts[0])-r.offset)
	}
	for w.started {
		end := w.end + p.target
		if cut, ok := p.expectedCut(r); ok && cut > w.end {
			end = min(end, cut) // where the next boundary is likely: preload hints tell of it
		}
		if end > until-r.offset || end > w.latest() {
			break
		}
		w.gap(end)
	}
	if r.video {
		r.needKey, w.fresh, r.seen = true, true, -1
	}
}

// level brings the following renditions to where the leading one ends, over all boundaries that they have not crossed yet,
// before these lose their meaning: at the end of an era, and of the presentation. Renditions that once counted differently
// would not agree on a number again. Rungs may be left out, of which more is on its way when a publisher goes.
func (p *Packager) level(rungs bool) {
	lead := p.lead
	if lead == nil {
		return
	}
	lead.flush()
	if lead.pending != nil && p.target > 0 {
		lead.gap(lead.end + p.target)
	}
	for _, r := range p.renditions {
		w := r.w
		if w == nil || w == lead || p.target == 0 || r.rung != nil && !rungs || !w.started && len(r.cuts) == 0 {
			continue
		}
		patience := r.patience
		if r.rung != nil {
			patience = p.owed(r) // what it is given is over
		}
		p.catchUp(r, patience)
	}
}

// owed is how much may be missing of a rung at the end: nothing of its pictures, so that its last segment lasts as long as all
// others, and of sound no frame that the publisher sent.
func (p *Packager) owed(r *rendition) window.Ticks {
	if r.video {
		return r.w.hole()
	}
	if newest, ok := p.newest(p.era, false); ok && newest-r.reached() > r.w.patch(0) {
		return 0
	}
	return leastPatience
}

// catchUp brings a following rendition to where the leading one ends, over all boundaries that it has not crossed yet. Less than
// the given patience is not filled.
func (p *Packager) catchUp(r *rendition, patience window.Ticks) {
	w, end := r.w, p.lead.end+p.keyOffset
	if len(r.cuts) > 0 || w.pending != nil || end-r.reached() > patience {
		p.standIn(r, end)
	}
	if here := end - r.offset; r.exact() && w.open() && abs(here-w.reached()) <= w.hole() {
		w.close(here, max(stream.Rescale(here, window.Rate, w.track.ClockRate), w.lastDTS+1)) // where the others end, to the tick
	}
	w.flush()
	for len(r.cuts) > 0 {
		p.enterCut(r, r.boundary(r.cuts[0])-r.offset)
	}
	if w.pending != nil {
		w.gap(max(end-r.offset, w.end+1))
	}
	if r.exact() && w.started && end-r.offset-w.end > w.hole() {
		w.gap(end - r.offset) // less than a part
	}
}
