package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/fmp4"
	"pushcart/packager/window"
)

// telling is an event message as the leading rendition carried it. All other renditions that carry messages carry the same:
// with the same number, for the same time, so that a player which goes from one to another takes none for news. So it is the
// leading rendition alone that decides where the state is told again: in each part of its own that players can join at.
// Where a following rendition begins at another time than that, it has the message of that time none the less, and it never
// makes one of its own.
type telling struct {
	at      window.Ticks // presentation time
	msn     int64        // segment in which the leading rendition carried it
	opens   bool         // in its first part, for its first frame
	id      uint32
	message []byte
}

// carries tells whether a rendition's media carry the messages: video does, and audio where there is no video, or once was
// none.
func (w *writer) carries() bool { return w.r.Video || w.alone || !w.p.lead.r.Video }

// messages appends the event messages that belong in front of the open part.
func (w *writer) messages(b []byte) []byte {
	c := &w.p.cues
	if len(c.bound) == 0 && c.state == nil || !w.carries() {
		return b
	}
	w.alone = w.alone || !w.r.Video
	first := inTicks(slices.Min(w.pts), w.track)
	if w == w.p.lead {
		return w.tellNew(b, first)
	}
	return w.tellOn(b, first, inTicks(slices.Max(w.pts)+w.frameTicks(), w.track))
}

// tellNew tells what the cues of the leading rendition's open part say, and, where players can join at the part, the state
// that holds at its first frame.
func (w *writer) tellNew(b []byte, first window.Ticks) []byte {
	p, c := w.p, &w.p.cues
	opens := w.pending != nil
	repeated := w.repeatAs == 0
	again := func() {
		// Where pictures are reordered over a cut, the state may begin behind the segment's first picture.
		if at := max(first, c.stateAt); c.state != nil {
			c.repeated = max(c.repeated, at)
			b = w.tell(b, telling{at: at, msn: w.msn, opens: opens, id: w.repeatAs, message: c.state})
		}
		repeated = true
	}
	for i := range c.bound {
		next := &c.bound[i]
		if !repeated && next.at > first {
			again()
		}
		if next.at >= first-2*lateParts*p.target { // older ones are of before this rendition was there
			b = w.tell(b, telling{at: next.at, msn: w.msn, opens: opens && next.at <= first, id: next.id, message: next.message})
			repeated = repeated || next.at == first
		}
		c.state, c.stateAt = next.message, next.at
	}
	if !repeated {
		again()
	}
	w.repeatAs = 0
	w.cue = c.base + len(c.told)
	return b
}

// tellUnseen has the others tell the state where a segment of the leading rendition begins with a gap.
func (w *writer) tellUnseen() {
	p, c := w.p, &w.p.cues
	if w != p.lead || w.pending == nil || w.repeatAs == 0 || c.state == nil {
		return
	}
	at := max(w.pending.frame, c.stateAt)
	c.repeated = max(c.repeated, at)
	c.told = append(c.told, telling{at: at, msn: w.msn, opens: true, id: w.repeatAs, message: c.state})
	w.repeatAs, w.cue = 0, c.base+len(c.told)
}

// tell carries a message that others carry after this rendition.
func (w *writer) tell(b []byte, t telling) []byte {
	w.p.cues.told = append(w.p.cues.told, t)
	return w.message(b, &t)
}

// tellOn carries what the leading rendition told for the time of a following one's open part, and of parts before it that
// never came. Behind a gap, that is the state in force.
func (w *writer) tellOn(b []byte, first, end window.Ticks) []byte {
	c := &w.p.cues
	for w.cue = max(w.cue, c.base); w.cue < c.base+len(c.told); w.cue++ {
		t := &c.told[w.cue-c.base]
		opens := t.opens && t.msn == w.msn
		if t.msn > w.msn || t.at >= end && !opens {
			break
		}
		if w.missed != nil && t.at > first {
			b = w.message(b, w.missed)
		}
		w.missed = nil
		if t.at < first-2*lateParts*w.p.target && !opens {
			w.missed = t
			continue
		}
		b = w.message(b, t)
	}
	if w.missed != nil {
		b = w.message(b, w.missed)
		w.missed = nil
	}
	return b
}

// ahead tells whether a following rendition's open part has a frame of a time for which the leading one may still tell
// something, even if nothing was announced yet: with fewer pictures a second, or where the leading one's part is expected to last
// longer, a part may be full sooner.
func (w *writer) ahead() bool {
	p := w.p
	if w == p.lead || !w.carries() {
		return false
	}
	if w.pending != nil && p.lead.pending != nil && p.lead.msn == w.msn {
		return true // it has not told yet what belongs where the segment begins
	}
	last := inTicks(slices.Max(w.pts), w.track)
	if w.length() > p.lead.length()*3/2 {
		last += w.length() / 2 // it has fewer pictures: what is told for one that it lacks goes with the one before
	}
	// Where a closed part was expected to last longer than it did, the open one begins sooner than announced.
	return p.lead.end+p.keyOffset <= last || p.lead.open() && inTicks(slices.Min(p.lead.pts), p.lead.track) <= last
}

// skipTold goes on without what the leading rendition told for a stretch of time for which a following one has nothing.
func (w *writer) skipTold(end window.Ticks) {
	c := &w.p.cues
	if w == w.p.lead || len(c.told) == 0 || !w.carries() {
		return
	}
	for w.cue = max(w.cue, c.base); w.cue < c.base+len(c.told); w.cue++ {
		t := c.told[w.cue-c.base]
		if t.msn > w.msn || t.at >= end {
			break
		}
		w.missed = &t
	}
}

// message appends one event message.
func (w *writer) message(b []byte, t *telling) []byte {
	rate := w.track.ClockRate
	return fmp4.AppendEvent(b, &fmp4.Event{
		Scheme: cueScheme, Value: cueValue, Timescale: uint32(rate), Time: stream.Rescale(t.at, window.Rate, rate),
		Duration: fmp4.UnknownDuration, ID: t.id, Message: t.message,
	})
}

// of is the number of the first message of a segment, or of a later one.
func (c *cues) of(msn int64) int {
	n := len(c.told)
	for n > 0 && c.told[n-1].msn >= msn {
		n--
	}
	return c.base + n
}

// forgetTold drops the messages that all renditions have. Those of the segments that a rendition to come may begin with stay for
// it: it may be declared only now, and have all of them.
func (p *Packager) forgetTold() {
	c := &p.cues
	if len(c.told) == 0 {
		return
	}
	done := c.of(p.recent[0].msn)
	for _, r := range p.renditions {
		switch {
		case r.w == nil && r.video && len(r.cuts) > 0:
			done = min(done, c.of(r.cuts[0].msn))
		case r.w != nil && r.w != p.lead && r.w.carries():
			done = min(done, r.w.cue)
		}
	}
	if done > c.base {
		c.told = slices.Delete(c.told, 0, done-c.base)
		c.base = done
	}
}
