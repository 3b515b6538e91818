package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// Bounds of how far audio may fall behind video before silence takes its place. Players hold three part targets of media:
// silence must come before those are played. A publisher whose audio always comes late moves the bound up.
const (
	leastPatience = 350 * window.Rate / 1000
	mostPatience  = 3 * window.Rate
	// silenceMargin is how far behind video silence stays, so that audio that comes again still finds its place.
	silenceMargin = 100 * window.Rate / 1000
)

// fillAudio keeps the audio rendition going while only video comes: a player that has no audio for a stretch of time
// would stop in front of it for ever. What is put there is silence in the track's own coding, or a gap where none is known.
func (p *Packager) fillAudio(lead *writer) {
	w := p.audio
	if w == nil || w == lead || p.target == 0 || len(p.queue.frames) > 0 {
		return
	}
	from := w.reached()
	if !w.started {
		if len(p.follow) == 0 {
			return
		}
		from = p.follow[0].at
	}
	if reached := lead.reached(); reached-from > p.patience {
		p.silence(w, reached-silenceMargin)
	}
}

// silence fills the audio rendition until the given time.
func (p *Packager) silence(w *writer, until window.Ticks) {
	if len(w.track.Silence) == 0 {
		p.gapAudio(w, until)
		return
	}
	length, from := int64(w.track.SilenceSamples), w.reached()
	if !w.started {
		from = p.follow[0].at
	}
	dts := stream.Rescale(from, window.Rate, w.track.ClockRate)
	if w.open() {
		dts = w.lastDTS + w.frameTicks()
	}
	for ; inTicks(dts+length, w.track) <= until; dts += length {
		f := stream.Frame{Track: w.track, Era: p.era, DTS: dts, PTS: dts, Duration: length, Key: true, Payload: w.track.Silence}
		p.audioFrame(&f)
		p.opt.Metrics.silence.Inc()
	}
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
			p.cut(w, w.end+p.keyOffset, false)
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

// gapAudio announces that there is no audio until a time, over all cuts before it, in whole parts.
func (p *Packager) gapAudio(w *writer, until window.Ticks) {
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		w.close(inTicks(next, w.track), next)
	}
	for len(p.follow) > 0 && p.follow[0].at <= until {
		p.enterCut(w, p.follow[0].at)
	}
	for w.started && until-w.end >= p.target {
		w.gap(w.end + p.target)
	}
}

// level brings the audio rendition to where the leading one ends, over all boundaries that it has not crossed yet, before
// these lose their meaning: at the end of an era, and of the presentation. Renditions that once counted differently would
// not agree on a number again.
func (p *Packager) level() {
	w, lead := p.audio, p.lead
	if lead == nil {
		return
	}
	lead.flush()
	if lead.pending != nil && p.target > 0 {
		lead.gap(lead.end + p.target)
	}
	if w == nil || w == lead || p.target == 0 || !w.started && len(p.follow) == 0 {
		return
	}
	end := lead.end + p.keyOffset
	if len(p.follow) > 0 || w.pending != nil || end-w.reached() > p.patience {
		p.silence(w, end)
	}
	w.flush()
	for len(p.follow) > 0 {
		p.enterCut(w, p.follow[0].at)
	}
	if w.pending != nil {
		w.gap(max(end, w.end+1))
	}
}
