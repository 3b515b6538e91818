package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// leads tells whether a frame goes to the leading rendition at once, or may begin to lead: the video track of the lowest
// number does. Those of other tracks wait.
func (p *Packager) leads(r *rendition, f *stream.Frame) bool {
	if !r.video {
		return false
	}
	if p.lead != nil && p.lead.r.Video && f.Era <= p.era {
		return r == p.picture || p.succeeds(r, f)
	}
	return p.foremost(r)
}

// elect finds a leader for media that have waited for one long enough: the video of the lowest number, or where there is none
// the audio.
func (p *Packager) elect() {
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 && !p.led(r, &r.queue.frames[0]) && r.queue.span() >= p.leadWait(r) {
			if v := p.waitingPicture(); v != nil {
				p.leadByPicture(v)
			} else if r.video {
				p.opt.Metrics.drop(dropBeforeKey)
				r.queue.pop()
			} else if !p.leadByAudio(r) {
				r.queue.pop()
			}
		}
	}
}

// leadWait is how long a rendition waits for one that is to lead it.
func (p *Packager) leadWait(r *rendition) window.Ticks {
	switch {
	case r.video && r.rung != nil:
		return leadPatience // one program makes them all
	case !r.video && p.has(true):
		return leadPatience + p.expected()
	}
	return trackGrace
}

// waitingPicture is the video of the lowest number that has a key frame to begin with; nil where none has.
func (p *Packager) waitingPicture() *rendition {
	for _, r := range p.renditions {
		if !r.video {
			break
		}
		for i := range r.queue.frames {
			if f := &r.queue.frames[i]; f.Key && !p.led(r, f) {
				return r
			}
		}
	}
	return nil
}

// leadByPicture has a video track lead although one of a lower number was to come.
func (p *Packager) leadByPicture(r *rendition) {
	late := p.lead != nil && !p.lead.r.Video // audio leads: what is older has had its place
	for len(r.queue.frames) > 0 {
		f := &r.queue.frames[0]
		if late && f.Era == p.era && p.lead != r.w && inTicks(f.DTS, f.Track) < p.lead.reached() {
			p.opt.Metrics.drop(dropLate)
		} else {
			p.videoFrame(r, f)
		}
		r.queue.pop()
	}
}

// videoFrame takes a frame of the leading track, or of the one that is to lead.
func (p *Packager) videoFrame(r *rendition, f *stream.Frame) {
	w, at := r.w, inTicks(f.DTS, f.Track)
	if r.rung != nil && p.lead != nil && !p.lead.r.Video && f.Era == p.era && inTicks(f.PTS, f.Track) < p.lead.reached() {
		p.opt.Metrics.drop(dropLate) // sound leads, and is further
		return
	}
	present := w != nil && p.lead == w && f.Era == p.era
	if present && !w.open() && at+w.length() <= w.end && w.started {
		// Something else stands at this frame's time.
		p.opt.Metrics.drop(dropLate)
		p.needKey = true
		return
	}
	if !f.Key && (!present || f.Track != w.track || p.needKey) {
		p.opt.Metrics.drop(dropBeforeKey)
		return
	}
	if present && f.Track != w.track && r.rung != nil {
		if init := p.init(r, f.Track); init != nil && init.Name == w.init.Name {
			w.track = f.Track // the same codec data again, from another encoder
		}
	}
	if !present || f.Track != w.track {
		if w = p.enterVideo(r, f); w == nil {
			return
		}
	}
	if p.needKey && p.target > 0 && w.started && len(p.lastKey) > 0 {
		p.hold(w, at, w.length()/2)
		p.clean = false // so that f begins a segment, behind a part that may be short
	}
	p.needKey = false
	w.predict(w.lastDTS, f.DTS)
	p.closeBefore(w, f.DTS, at)
	if p.target > 0 && !w.open() && at-w.end >= p.target {
		p.gapLead(w, at)
	}
	p.cutBefore(w, f, at)
	if f.Key {
		p.keyOffset = inTicks(f.PTS-f.DTS, f.Track)
		p.lastKey = append(p.lastKey[:0], f.Payload...)
	}
	w.add(f)
	p.closeAfter(w)
	p.fill(w)
}

// enterVideo makes f, a key frame, the first of an era, of a track or of the presentation; nil when it cannot be packaged.
func (p *Packager) enterVideo(r *rendition, f *stream.Frame) *writer {
	init := p.init(r, f.Track)
	if init == nil {
		return nil
	}
	at, pts := inTicks(f.DTS, f.Track), inTicks(f.PTS, f.Track)
	if p.lead != nil {
		p.finish(f.Era, at, pts)
		if f.Era == p.era && p.lead.own != r && (p.lead.r.Video || r.w != nil) {
			p.succeed(r, at)
		}
	}
	w := r.w // it may have followed only just now
	discontinuity := p.lead != nil && (f.Era != p.era || w != nil && f.Track != w.track)
	if w == nil {
		w = p.make(r, p.nextMSN, at)
	}
	if f.Era != p.era || w.track == nil {
		w.restart(at)
	}
	w.track, w.init = f.Track, p.out.AddInit(w.r, init)
	if discontinuity {
		w.measured, w.lastDTS = 0, -1 // what is in front of it tells nothing of its rate
	}
	if p.picture != r {
		p.picture, p.lastKey = r, p.lastKey[:0]
	}
	p.lead = w
	r.cuts = r.cuts[:0]
	if f.Era != p.era {
		p.startEra(f, at)
	}
	w.predict(w.lastDTS, f.DTS)
	if w.end < at || discontinuity {
		w.end = max(w.end, at)
	}
	p.cut(w, pts, pts, discontinuity)
	p.clean = true
	return w
}

// finish completes what came before a frame at the given decoding and presentation time that begins something new. What of
// that era is still waiting and lies before it belongs in front of it.
func (p *Packager) finish(era int, at, pts window.Ticks) {
	if era == p.era && !p.lead.r.Video {
		p.drainTo(pts) // sound that waited for the picture
	}
	// The leading one first, so that the others' last parts have what it tells.
	if era == p.era {
		p.lead.flushBefore(stream.Rescale(at, window.Rate, p.lead.track.ClockRate))
	} else {
		p.lead.flush()
		p.drainEra(p.era)
		p.level(true)
		p.flush(true)
		return
	}
	limit := window.FromDuration(p.opt.Settings.MaxSegmentDuration)
	switch {
	case at-p.lead.end <= p.lead.length()*3/2 && at-p.lead.segment <= limit+maxTolerance:
	case p.needKey && p.lead.r.Video && len(p.lastKey) > 0:
		p.hold(p.lead, at, p.lead.length()/2)
	default:
		p.gapLead(p.lead, at)
	}
	p.drainTo(pts)
}

// startEra begins counting time anew with f.
func (p *Packager) startEra(f *stream.Frame, at window.Ticks) {
	p.era = f.Era
	p.wallBase, p.wallStart = p.notBefore(f.Wall), at
	p.began = at
	p.gone = false
	p.returned = p.opt.Now()
	p.recent = p.recent[:0]
	for _, r := range p.renditions {
		r.cuts, r.shift, r.needKey, r.heard = r.cuts[:0], 0, r.video, at
		r.seen, r.keyed = -1, 0
		if g := r.rung; g != nil {
			g.starting, g.filling, g.pace = true, false, pace{}
		}
		if r.w != nil && r.w != p.lead {
			r.w.restart(at)
		}
	}
}

// stall goes on without the leading track until the given time.
func (p *Packager) stall(w *writer, until window.Ticks) {
	if !w.r.Video {
		p.leadOn(w, until)
		return
	}
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		w.close(inTicks(next, w.track), next)
	}
	p.settle(w)
	parts := max(1, (until-w.end)/p.target+1) // whole ones: more may follow in the same segment
	p.hold(w, w.end+parts*p.target, 0)
	p.needKey = true
	p.fill(w)
}
