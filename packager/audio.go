package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// frameQueue holds audio frames that wait for video, with copies of their payloads. It is bounded by time: whoever adds
// to it must see that it is drained once it spans too much.
type frameQueue struct {
	frames []stream.Frame
	free   [][]byte
}

func (q *frameQueue) push(f *stream.Frame) {
	var b []byte
	if n := len(q.free); n > 0 {
		b, q.free = q.free[n-1][:0], q.free[:n-1]
	}
	c := *f
	c.Payload = append(b, f.Payload...)
	q.frames = append(q.frames, c)
}

// pop removes the first frame and makes its buffer free for reuse.
func (q *frameQueue) pop() {
	if len(q.free) < 8 {
		q.free = append(q.free, q.frames[0].Payload)
	}
	q.frames[0].Payload = nil
	q.frames = slices.Delete(q.frames, 0, 1)
}

// span is the media time between the first frame's start and the last one's.
func (q *frameQueue) span() window.Ticks {
	if len(q.frames) < 2 {
		return 0
	}
	first, last := &q.frames[0], &q.frames[len(q.frames)-1]
	return inTicks(last.PTS, last.Track) - inTicks(first.PTS, first.Track)
}

// drain passes on the audio that video has caught up with, or all of it.
func (p *Packager) drain(all bool) {
	for len(p.queue.frames) > 0 {
		f := &p.queue.frames[0]
		if !p.ready(f, all) {
			return
		}
		if all {
			p.lastAudio(f)
		} else {
			p.audioFrame(f)
		}
		p.queue.pop()
	}
}

// lastAudio passes on a frame for whose time no more video will come.
func (p *Packager) lastAudio(f *stream.Frame) {
	if at := inTicks(f.PTS, f.Track); p.lead != nil && p.lead.r.Video && f.Era == p.era && at-p.lead.reached() > trackGrace {
		if !p.needKey {
			p.opt.Metrics.drop(dropLate) // no cut will go with it
			return
		}
		p.stall(p.lead, at)
	}
	p.audioFrame(f)
}

// drainEra passes on the audio of an era that is over.
func (p *Packager) drainEra(era int) {
	for len(p.queue.frames) > 0 && p.queue.frames[0].Era <= era {
		p.lastAudio(&p.queue.frames[0])
		p.queue.pop()
	}
}

// ready tells whether an audio frame can be placed: every cut up to it is decided. Where video does not come, it decides
// them in video's stead.
func (p *Packager) ready(f *stream.Frame, all bool) bool {
	if p.lead != nil && p.lead == p.audio && f.Era == p.era {
		return true
	}
	if p.lead != nil && f.Era < p.era {
		return true // to be dropped
	}
	if p.lead == nil || f.Era > p.era {
		if all {
			return true // to be dropped
		}
		patience := window.Ticks(leadPatience)
		if !p.has(true) {
			patience = trackGrace
		}
		if p.queue.span() < patience {
			return false
		}
		return p.leadByAudio(f)
	}
	w := p.lead
	reached := w.reached()
	at := inTicks(f.PTS, f.Track)
	switch {
	case all || at < reached && p.target > 0:
		return true
	case p.queue.span() < leadPatience:
		return false
	case at < reached:
		w.flush() // video stopped before its first part was full
		p.settle(w)
	default:
		p.stall(w, at)
	}
	return true
}

// reached is the time up to which the rendition's frames have come.
func (w *writer) reached() window.Ticks {
	if w.open() {
		return inTicks(w.lastDTS+w.frameTicks(), w.track)
	}
	return w.end
}

// stall goes on without video until the given time.
func (p *Packager) stall(w *writer, until window.Ticks) {
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		w.close(inTicks(next, w.track), next)
	}
	p.settle(w)
	parts := max(1, (until-w.end)/p.target+1) // whole ones: more may follow in the same segment
	p.hold(w, w.end+parts*p.target, 0)
	p.needKey = true
}

// leadByAudio begins an era, or the presentation, with audio alone. Where there was a picture before, it is held, and
// video goes on to lead: its rendition must number on with the other.
func (p *Packager) leadByAudio(f *stream.Frame) bool {
	init := p.init(f.Track)
	if init == nil {
		return true
	}
	discontinuity := p.lead != nil
	p.level()
	p.flush()
	at := inTicks(f.PTS, f.Track)
	if w := p.video; w != nil {
		w.restart(at)
		p.lead = w
		p.startEra(f, at)
		p.cut(w, at, true)
		p.needKey = true
		p.stall(w, at)
		return true
	}
	w := p.audioWriter(f, init)
	w.restart(at)
	p.lead = w
	p.startEra(f, at)
	p.cut(w, at, discontinuity)
	return true
}

// audioWriter returns the audio rendition's writer, for f's track.
func (p *Packager) audioWriter(f *stream.Frame, init *window.Init) *writer {
	if p.audio == nil {
		msn := p.nextMSN
		if len(p.follow) > 0 {
			msn = p.follow[0].msn
		}
		p.audio = &writer{p: p, r: p.out.AddRendition("audio", false, msn), lastDTS: -1}
		p.audio.restart(0)
	}
	p.audio.track, p.audio.init = f.Track, p.out.AddInit(p.audio.r, init)
	return p.audio
}

// audioFrame places one audio frame.
func (p *Packager) audioFrame(f *stream.Frame) {
	if p.lead == nil || f.Era != p.era {
		p.opt.Metrics.drop(dropOldEra)
		return
	}
	length := inTicks(f.Duration, f.Track)
	at := inTicks(f.PTS, f.Track)
	if p.audio == nil {
		p.trimFollow(at + length/2)
	}
	w := p.audio
	if w == nil || w.track != f.Track {
		if w = p.changeAudio(f); w == nil {
			return
		}
	}
	if w.interval = f.Duration; w.interval <= 0 {
		w.interval = int64(f.Track.FrameSamples)
	}
	if w == p.lead {
		p.leadAudio(w, f, at)
		return
	}
	if len(w.track.Silence) > 0 && w.started && at-w.reached() > length*3/2 {
		p.silence(w, at)
		w.interval = max(f.Duration, int64(f.Track.FrameSamples))
	}
	for len(p.follow) > 0 && at+length/2+w.lean() >= p.follow[0].at {
		p.enterCut(w, at)
	}
	if !w.started {
		p.opt.Metrics.drop(dropBeforeStart)
		return
	}
	if late := w.reached() - at; late > length/2 {
		p.opt.Metrics.drop(dropLate)
		p.patience = min(max(p.patience, p.lead.reached()-at+leastPatience), mostPatience)
		return
	}
	p.place(w, f, at)
	next := w.lastDTS + w.frameTicks()
	end := inTicks(next, w.track)
	if len(p.follow) > 0 && w.open() && end+length/2 >= p.follow[0].at {
		w.close(end, next)
	}
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

// hole is how late a frame must be for the time before it to be a gap.
func (p *Packager) hole(w *writer) window.Ticks {
	if p.target > 0 {
		return p.target
	}
	return inTicks(w.frameTicks(), w.track)
}

// trimFollow forgets cuts that a rendition beginning at the given time has missed.
func (p *Packager) trimFollow(at window.Ticks) {
	for len(p.follow) > 1 && p.follow[1].at <= at {
		p.follow = p.follow[1:]
	}
}

// changeAudio takes the audio rendition to f's track; nil while that must wait.
func (p *Packager) changeAudio(f *stream.Frame) *writer {
	init := p.init(f.Track)
	if init == nil {
		return nil
	}
	if p.audio != nil && p.audio.init.Name == init.Name {
		p.audio.track = f.Track // the same codec data again, from a publisher that came back
		return p.audio
	}
	if p.audio != nil && p.audio == p.lead && p.audio.started {
		p.flush()
		w := p.audioWriter(f, init)
		w.fresh = true
		p.cut(w, inTicks(f.PTS, f.Track), true)
		return w
	}
	if p.audio != nil && p.audio.started && !p.enterBreak(f) {
		p.opt.Metrics.drop(dropTrackChange)
		return nil
	}
	w := p.audioWriter(f, init)
	w.fresh = true
	return w
}

// enterBreak takes the audio rendition to a boundary with a discontinuity, behind which f, of another track, may come.
// Where there is none yet, video makes one at its next key frame, and silence goes on until then.
func (p *Packager) enterBreak(f *stream.Frame) bool {
	w, at := p.audio, inTicks(f.PTS, f.Track)
	if w.pending != nil && w.pending.begin.Discontinuity {
		return true
	}
	for i, c := range p.follow {
		if c.begin.Discontinuity && at+inTicks(f.Duration, f.Track)/2 >= c.at {
			for range i + 1 {
				p.enterCut(w, p.follow[0].at)
			}
			return true
		}
	}
	p.breakDue = p.breakDue || !slices.ContainsFunc(p.follow, func(c *cut) bool { return c.begin.Discontinuity })
	p.silence(w, at)
	return false
}

// enterCut takes the following rendition over one boundary.
func (p *Packager) enterCut(w *writer, at window.Ticks) {
	c := p.follow[0]
	if w.started {
		if w.open() {
			next := w.lastDTS + w.frameTicks()
			w.close(inTicks(next, w.track), next)
		}
		if c.at-w.end > inTicks(w.frameTicks(), w.track) {
			w.gap(c.at)
		}
		if w.pending != nil {
			w.gap(max(c.at, w.end+1))
		}
	} else {
		w.end = c.at
		if abs(at-c.at) < inTicks(w.frameTicks(), w.track) {
			w.end = at
		}
	}
	p.follow = p.follow[1:]
	w.begin(c)
}

// place adds a frame to the following or leading audio rendition.
func (p *Packager) place(w *writer, f *stream.Frame, at window.Ticks) {
	length := inTicks(w.frameTicks(), w.track)
	if w.open() {
		next := w.lastDTS + w.frameTicks()
		here := inTicks(next, w.track)
		if at-here > length/2 || p.target > 0 && at+length > w.end+p.target+window.Rate/1000 && w.full(at) {
			w.close(here, next)
		}
	}
	if !w.open() {
		if at-w.end > length && w.started {
			w.gap(at)
		}
		// Following a drifting clock moves frames by a few ticks: those go into offsets, as for video. A hole does not.
		if w.fresh || abs(f.DTS-w.decode) > int64(f.Track.ClockRate/100) {
			w.decode, w.fresh = f.DTS, false
		}
	}
	w.add(f)
	p.closeAfter(w)
}

// leadAudio adds a frame where there is no video.
func (p *Packager) leadAudio(w *writer, f *stream.Frame, at window.Ticks) {
	if at-w.reached() > p.hole(w) {
		p.flush()
		p.gapLead(w, at)
	}
	if w.pending == nil && p.audioCutDue(w, at) {
		p.flush()
		p.cut(w, at, false)
	}
	p.place(w, f, at)
	if next := w.lastDTS + w.frameTicks(); w.open() && p.target > 0 && p.audioCutDue(w, inTicks(next, w.track)) {
		w.close(inTicks(next, w.track), next)
	}
}

// audioCutDue tells whether a leading audio rendition's next segment begins at the given time.
func (p *Packager) audioCutDue(w *writer, at window.Ticks) bool {
	return at-w.segment >= window.FromDuration(p.opt.Settings.SegmentDuration)-keyTolerance/5
}
