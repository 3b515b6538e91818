package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// cut is a boundary between segments, the same in all renditions.
type cut struct {
	msn int64
	// at is the presentation time of the first frame behind the boundary, on the stream's timeline.
	at window.Ticks
	// frame is the presentation time that this frame has itself, which may be a little later.
	frame window.Ticks
	// id numbers the message that tells the state again in the segment's first part.
	id uint32
	// begin has what the window needs to know of the segment, but for its Init.
	begin window.Segment
}

// cut begins a segment in the leading rendition at its present end, and tells the others. at is the presentation time
// announced for it, frame that of its first frame.
func (p *Packager) cut(w *writer, at, frame window.Ticks, discontinuity bool) {
	if discontinuity {
		p.sequence++
		p.breakDue = false
		p.opt.Metrics.discontinuities.Inc()
	}
	c := &cut{msn: p.nextMSN, at: at, frame: frame, id: p.newID(), begin: window.Segment{
		Wall:          p.wallBase.Add(window.Duration(w.end - p.wallStart)),
		Discontinuity: discontinuity, DiscontinuitySequence: p.sequence,
	}}
	p.nextMSN++
	p.current = c
	p.recent = appendLast(p.recent, c, mostFollow)
	for _, r := range p.renditions {
		switch {
		case r == w.own:
		case r.w == nil && r.rung != nil:
			p.await(r, c)
		case r.w == nil:
			r.cuts = appendLast(r.cuts, c, mostFollow)
		default:
			r.cuts = append(r.cuts, c)
		}
	}
	w.begin(c)
}

// appendLast appends to a list that keeps its last entries only.
func appendLast(list []*cut, c *cut, most int) []*cut {
	if len(list) >= most {
		list = append(list[:0], list[len(list)-most+1:]...)
	}
	return append(list, c)
}

// closeBefore closes the open part of a video rendition when the frame that has now come, at dts, no longer fits it.
func (p *Packager) closeBefore(w *writer, dts int64, at window.Ticks) {
	if p.overfull(w, at) {
		w.close(at, dts)
	}
}

// overfull tells whether a frame at the given time does not fit the open part of a video rendition any more.
func (p *Packager) overfull(w *writer, at window.Ticks) bool {
	return w != nil && p.target > 0 && w.open() && at+w.length() > w.end+p.target+window.Rate/1000 && w.full(at)
}

// cutBefore begins a segment with f where one is due.
func (p *Packager) cutBefore(w *writer, f *stream.Frame, at window.Ticks) {
	if p.target == 0 && !w.open() || w.pending != nil {
		return
	}
	length := at - w.segment
	goal := window.FromDuration(p.opt.Settings.SegmentDuration)
	limit := window.FromDuration(p.opt.Settings.MaxSegmentDuration)
	key := f.Key && (length >= goal-keyTolerance || !p.clean || p.breakDue)
	full := max(length, w.end-w.segment)+w.length() > limit+maxTolerance
	if !key && !full {
		return
	}
	if w.open() {
		w.close(at, f.DTS)
	}
	// By announced time, like the segment's date: the frame itself may be a little late for it.
	offset := p.keyOffset
	if f.Key {
		offset = inTicks(f.PTS-f.DTS, f.Track)
	}
	if key && abs(length-p.cadence) <= w.length()/2 {
		p.steady++
	} else {
		p.steady = 0
	}
	p.cadence = length
	p.cut(w, w.end+offset, at+offset, f.Key && p.breakDue)
	p.clean = f.Key
}

// steadyEnough is how many segments in a row must have been as long as the one before for the next to be expected so.
const steadyEnough = 2

// expectCut tells whether a part that ends at the given time is likely the last of its segment.
func (p *Packager) expectCut(w *writer, end window.Ticks) bool {
	r := w.own
	if w != p.lead && len(r.cuts) > 0 {
		return end+r.offset+w.length()/2 >= r.boundary(r.cuts[0])
	}
	if w == p.lead && !w.r.Video {
		return p.audioCutDue(w, end)
	}
	if !p.lead.r.Video && p.current != nil {
		return end+w.length()/2 >= p.current.at+window.FromDuration(p.opt.Settings.SegmentDuration)
	}
	if p.steady < steadyEnough || p.current == nil {
		return false
	}
	start := w.segment
	if w != p.lead {
		start = r.boundary(p.current) - r.offset
	}
	return abs(end-start-p.cadence) <= w.length()/2
}

// expectedCut is where a following rendition's next boundary will likely be, on its announced time.
func (p *Packager) expectedCut(r *rendition) (window.Ticks, bool) {
	switch {
	case len(r.cuts) > 0:
		return r.boundary(r.cuts[0]) - r.offset, true
	case p.steady < steadyEnough || p.current == nil || !p.lead.r.Video:
		return 0, false
	}
	return r.boundary(p.current) - r.offset + p.cadence, true
}

// closeAfter closes the open part as soon as no further frame will fit it.
func (p *Packager) closeAfter(w *writer) {
	next := w.lastDTS + w.frameTicks()
	end, length := inTicks(next, w.track), inTicks(w.frameTicks(), w.track)
	if r := w.own; r.rung != nil && r.video && w != p.lead && len(r.cuts) > 0 {
		end = min(end, max(w.end+1, r.boundary(r.cuts[0])-r.offset)) // known before the frame there has come
	}
	if len(w.samples) >= mostPartFrames || len(w.payload) >= mostPartBytes {
		p.settle(w)
		w.close(w.end+p.target, next) // what else comes for this time is late
		return
	}
	if w.ahead() {
		return
	}
	if p.target == 0 {
		goal := window.FromDuration(p.opt.Settings.PartDuration)
		known := w.measured > 0 || w.track.FrameRate > 0 || !w.r.Video
		if slow := length > goal; w.r.Video && slow && w.measured-w.odd < surelySlow {
			known = false
		}
		if !known || end-w.end < goal-length/2 {
			return
		}
		p.settle(w)
		if w.r.Video && end-w.end > p.target {
			p.again(w)
			return
		}
	}
	if end-w.end+length > p.target && w.full(end) {
		w.close(end, next)
	}
}

// surelySlow is how many times in a row frames must have come further apart than parts are to last, before the PART-TARGET, which
// is for the presentation's life, is chosen for that: one that comes late is a pause.
const surelySlow = 2

// again lays the frames of a first part that turned out to be too long into parts of the target that is known now.
func (p *Packager) again(w *writer) {
	samples, dts, pts, payload := w.samples, w.dts, w.pts, w.payload
	w.samples, w.dts, w.pts, w.payload = nil, nil, nil, nil
	w.fresh = true
	for i, s := range samples {
		f := stream.Frame{Track: w.track, DTS: dts[i], PTS: pts[i], Key: s.Key, Payload: payload[:s.Size]}
		payload = payload[s.Size:]
		at := inTicks(f.DTS, f.Track)
		p.closeBefore(w, f.DTS, at)
		if !w.open() && at-w.end >= p.target {
			p.gapLead(w, at)
		}
		w.put(&f)
		p.closeAfter(w)
	}
}

// settle fixes the PART-TARGET when it is not yet.
func (p *Packager) settle(w *writer) {
	if p.target > 0 {
		return
	}
	frames := []window.Ticks{max(1, inTicks(w.frameTicks(), w.track))}
	for _, t := range p.tracks {
		switch {
		case t == w.track || !Deliverable(t.Codec):
		case !t.Video() && t.FrameSamples > 0:
			frames = append(frames, inTicks(int64(t.FrameSamples), t))
		case t.Video() && t.FrameRate >= 1 && t.FrameRate <= 240:
			frames = append(frames, window.Ticks(window.Rate/t.FrameRate))
		}
	}
	p.target = partTarget(window.FromDuration(p.opt.Settings.PartDuration), frames...)
	p.out.SetPartTarget(p.target)
	p.expectLag(0)
}

// gapLead announces that the leading rendition has nothing until a time, and goes on cutting segments meanwhile.
func (p *Packager) gapLead(w *writer, until window.Ticks) {
	limit := window.FromDuration(p.opt.Settings.MaxSegmentDuration)
	p.settle(w)
	for until-w.end > 0 {
		if w.pending == nil && w.end-w.segment+p.target > limit {
			p.cut(w, w.end+p.keyOffset, w.end+p.keyOffset, false)
			p.clean = false
		}
		w.gap(min(until, w.end+p.target))
	}
}
