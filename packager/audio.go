package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// leadByAudio begins an era, or the presentation, with what waits of an audio track alone. Where there was a picture before,
// it is held, and video goes on to lead: its rendition must number on with the others. It tells whether there is a leader now.
func (p *Packager) leadByAudio(r *rendition) bool {
	f := &r.queue.frames[0]
	init := p.init(r, f.Track)
	if init == nil {
		return false
	}
	discontinuity := p.lead != nil
	p.level(true)
	p.flush(true)
	at := inTicks(f.PTS, f.Track)
	if p.picture != nil {
		w := p.picture.w
		w.restart(at)
		p.lead = w
		p.startEra(f, at)
		p.cut(w, at, at, true)
		p.needKey = true
		p.stall(w, at)
		return true
	}
	r.cuts = r.cuts[:0] // of an era without it
	w := p.audioWriter(r, f, init)
	w.restart(at)
	p.lead = w
	p.startEra(f, at)
	p.cut(w, at, at, discontinuity)
	return true
}

// audioWriter returns an audio rendition's writer, for f's track.
func (p *Packager) audioWriter(r *rendition, f *stream.Frame, init *window.Init) *writer {
	if r.w == nil {
		msn := p.nextMSN
		if len(r.cuts) > 0 {
			msn = r.cuts[0].msn
		}
		p.make(r, msn, 0)
	}
	r.w.track, r.w.init = f.Track, p.out.AddInit(r.w.r, init)
	return r.w
}

// audioFrame places one audio frame.
func (p *Packager) audioFrame(r *rendition, f *stream.Frame) {
	length := inTicks(f.Duration, f.Track)
	at := inTicks(f.PTS, f.Track)
	if r.w == nil {
		r.trimCuts(at + length/2)
	}
	w := r.w
	if w == nil || w.track != f.Track {
		if w = p.changeAudio(r, f); w == nil {
			return
		}
	}
	if w.interval <= 0 {
		w.interval = max(1, f.Duration, int64(f.Track.FrameSamples))
	}
	if w == p.lead {
		p.leadAudio(w, f, at)
		return
	}
	if hasSilence(w.track) && w.started {
		p.silence(r, at+w.spare(length))
	}
	for len(r.cuts) > 0 && at+length/2+w.lean() >= r.cuts[0].at {
		p.enterCut(r, at)
	}
	if !w.started {
		p.opt.Metrics.drop(dropBeforeStart)
		return
	}
	if late := w.reached() - at; late > length/2 {
		p.tooLate(r, at)
		return
	}
	p.place(w, f, at)
	next := w.lastDTS + w.frameTicks()
	end := inTicks(next, w.track)
	if len(r.cuts) > 0 && w.open() && end+length/2 >= r.cuts[0].at {
		w.close(end, next)
	}
}

// tooLate counts a frame for whose time something else stands already, and gives the rendition more time from now on.
func (p *Packager) tooLate(r *rendition, at window.Ticks) {
	p.opt.Metrics.drop(dropLate)
	if r.rung != nil {
		p.warn(r, at)
		return // what it is given is set
	}
	r.patience = min(max(r.patience, p.lead.reached()-at+leastPatience), mostPatience)
}

// lean shifts the decision between two audio frames that lie about equally far from a cut towards what the last part's
// preload hint announced, so that the millisecond jitter of video does not break the promise.
func (w *writer) lean() window.Ticks {
	const jitter = window.Rate / 1000
	switch {
	case w.open() || w.pending != nil:
		return 0
	case w.hinted:
		return jitter
	default:
		return -jitter
	}
}

// spare is how far frames of silence may reach into the time of a frame of the given length that comes behind them: by as much
// as it may come late.
func (w *writer) spare(length window.Ticks) window.Ticks {
	return min(length, inTicks(int64(w.track.SilenceSamples), w.track)) / 2
}

// changeAudio takes an audio rendition to f's track; nil while that must wait.
func (p *Packager) changeAudio(r *rendition, f *stream.Frame) *writer {
	init := p.init(r, f.Track)
	if init == nil {
		return nil
	}
	w := r.w
	if w != nil && w.init.Name == init.Name {
		w.track = f.Track // the same codec data again, from a publisher that came back
		return w
	}
	if w != nil && w == p.lead && w.started {
		w.flush()
		p.flush(false)
		p.audioWriter(r, f, init)
		w.fresh = true
		at := inTicks(f.PTS, f.Track)
		p.cut(w, at, at, true)
		return w
	}
	if w != nil && w.started && !p.enterBreak(r, f) {
		p.opt.Metrics.drop(dropTrackChange)
		return nil
	}
	w = p.audioWriter(r, f, init)
	w.fresh = true
	return w
}

// patch is how much missing sound the samples around it make up for, by lasting longer: the next frame has the given length.
func (w *writer) patch(length window.Ticks) window.Ticks {
	return max(length, inTicks(max(w.frameTicks(), int64(w.track.SilenceSamples)), w.track))
}

// place adds a frame to the following or leading audio rendition. Where frames are missing in front of it that nothing stood in
// for, the one before them lasts longer, or this one begins sooner in decoding time: media have no hole that is not announced.
func (p *Packager) place(w *writer, f *stream.Frame, at window.Ticks) {
	length := inTicks(f.Duration, f.Track)
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		here := inTicks(next, w.track)
		if at-here > length/2 {
			next, here = f.DTS, at
		}
		if p.target > 0 && at+length > w.end+p.target+window.Rate/1000 && w.full(here) {
			w.close(here, next)
		}
	}
	if !w.open() && w.started && at-w.end > w.patch(length) {
		w.gap(at)
	}
	w.interval = max(1, f.Duration)
	w.add(f)
	p.closeAfter(w)
}

// leadAudio adds a frame where there is no video.
func (p *Packager) leadAudio(w *writer, f *stream.Frame, at window.Ticks) {
	if w.started && w.reached()-at > inTicks(w.frameTicks(), w.track)/2 {
		p.opt.Metrics.drop(dropLate)
		return
	}
	if w.started && hasSilence(w.track) {
		p.silenceLead(w, at+w.spare(inTicks(f.Duration, f.Track)))
	}
	if p.target > 0 && at-w.reached() > p.target {
		w.flush()
		p.gapLead(w, at)
	}
	if w.pending == nil && p.audioCutDue(w, at) {
		w.flush()
		p.cut(w, at, at, p.breakDue)
	}
	p.place(w, f, at)
	if next := w.lastDTS + w.frameTicks(); w.open() && p.target > 0 && p.audioCutDue(w, inTicks(next, w.track)) {
		w.close(inTicks(next, w.track), next)
	}
	p.fill(w)
}

// leadOn goes on without the leading audio until the given time, because other audio does.
func (p *Packager) leadOn(w *writer, until window.Ticks) {
	if !hasSilence(w.track) {
		w.flush()
		p.settle(w)
		p.gapLead(w, until+p.target)
		return
	}
	p.silenceLead(w, until+inTicks(int64(w.track.SilenceSamples), w.track)-1)
}

// silenceLead fills leading audio with silence until the given time.
func (p *Packager) silenceLead(w *writer, until window.Ticks) {
	for w.reached()+inTicks(int64(w.track.SilenceSamples), w.track) <= until {
		p.leadAudio(w, w.own.silent(w.dtsAfter()), w.reached())
		p.opt.Metrics.silence.Inc()
	}
}

// audioCutDue tells whether a leading audio rendition's next segment begins at the given time.
func (p *Packager) audioCutDue(w *writer, at window.Ticks) bool {
	return at-w.segment >= window.FromDuration(p.opt.Settings.SegmentDuration)-keyTolerance/5
}
