package conformance

import (
	"bytes"
	"slices"
	"time"
)

// told is one event message where it was found.
type told struct {
	event
	msn  int64
	date time.Time // of its presentation time; zero when it has none
}

// eventLine is what a rendition's messages have come to.
type eventLine struct {
	all   []told
	known map[eventKey][]byte // the first box body of each
	last  uint64              // presentation time of the last one, since the discontinuity before it
	any   bool                // there was one with ID3
	msn   int64               // of the last segment that was read
	gap   bool                // there was a gap since then, or is one in this segment
	shown int64               // when the last sample before is shown; 0 for none
}

// messages judges the event messages of a segment, in order.
func (p *player) messages(seg segment, m *media, t *track) {
	l := &p.events
	if seg.disc {
		l.last = 0
	}
	joinable := l.any && (len(seg.parts) == 0 || !seg.parts[0].gap)
	l.gap = l.gap || seg.missing() > 0 || seg.msn != l.msn+1
	for i := range m.fragments {
		f := &m.fragments[i]
		for _, e := range f.events {
			p.s.rec.check(RuleEventForm, true, seg.uri, "")
			p.s.rec.check(RuleEventPlace, true, seg.uri, "")
			p.message(seg, m, t, f, e)
		}
		l.shown = f.last - t.editStart
		if i == 0 && joinable {
			first := f.first - t.editStart
			early := int64((m.longest(t) + rounding).Seconds() * float64(t.timescale))
			late := int64(0)
			if !t.video() {
				late = early / 2 // sound begins a segment with the frame that is nearest to the picture's first
			}
			has := slices.ContainsFunc(f.events, func(e event) bool {
				at := int64(min(e.time, 1<<62))
				return e.id3() && e.version == 1 && at > first-early && at <= first+late
			})
			p.s.rec.check(RuleEventRepeat, has, seg.uri, "the first of its chunks has %d messages, none for its first frame at %d", len(f.events), first)
		}
	}
	l.gap, l.msn = seg.missing() > 0, seg.msn
}

// message judges one event message.
func (p *player) message(seg segment, m *media, t *track, f *fragment, e event) {
	c, l := p.s.rec.check, &p.events
	p.s.rec.note(func(f *Facts) { f.Events++ })
	was, again := l.known[e.key()]
	if c(RuleEventID, !again || bytes.Equal(was, e.body), seg.uri, "id %d is of another message of %q", e.id, e.scheme); !again {
		l.known[e.key()] = e.body
	}
	if e.id3() {
		l.any = true
		err := checkID3(e.data)
		c(RuleEventID3, err == nil, seg.uri, "message %d: %v", e.id, err)
		c(RuleEventDuration, e.duration == unknownDuration, seg.uri, "message %d has the event_duration %d", e.id, e.duration)
		c(RuleEventVersion, e.version == 1, seg.uri, "message %d is of version %d", e.id, e.version)
	}
	found := told{event: e, msn: seg.msn}
	if c(RuleEventTimescale, e.timescale == t.timescale, seg.uri, "message %d has the timescale %d, the track %d", e.id, e.timescale, t.timescale) && e.version == 1 {
		p.messageTime(seg, t, f, e)
		if seg.hasDate {
			found.date = seg.date.Add(t.at(int64(e.time)-t.editStart) - m.start(t))
		}
	}
	l.all = append(l.all, found)
}

// messageTime judges when a message is presented. An origin may learn too late of what belongs to a frame. It may still tell it
// with the time of that frame as long as no player has come there: they stay three part targets back (B.1).
func (p *player) messageTime(seg segment, t *track, f *fragment, e event) {
	c, l := p.s.rec.check, &p.events
	slack := int64((p.current.partTarget + rounding).Seconds() * float64(t.timescale)) // a part
	first, last := f.first-t.editStart, f.last-t.editStart
	at := int64(min(e.time, 1<<62))
	since := first
	if l.gap {
		since = min(since, l.shown)
	}
	c(RuleEventTime, at >= since-2*slack && at <= last+slack, seg.uri, "message %d is for %d, its chunk goes from %d to %d", e.id, e.time, first, last)
	c(RuleEventOrder, e.time >= l.last, seg.uri, "message %d is for %d, the one before it for %d", e.id, e.time, l.last)
	l.last = e.time
}

// compareMessages holds the messages of the video renditions against each other, once all players are done. Of each rendition
// those count that lie between segments that both have.
func (s *session) compareMessages() {
	var first *player
	for _, u := range s.urls {
		p := s.players[u]
		switch {
		case !p.hasVideo():
		case first == nil:
			first = p
		default:
			p.messagesOf(first)
			first.messagesOf(p)
		}
	}
}

func (p *player) hasVideo() bool {
	for _, f := range p.segments {
		if !f.unloaded && f.track.video() {
			return true
		}
	}
	return false
}

// loaded tells whether a segment and its neighbours were read.
func (p *player) loaded(msn int64) bool {
	for i := msn - 1; i <= msn+1; i++ {
		if f := p.segments[i]; f == nil || f.unloaded {
			return false
		}
	}
	return true
}

// holed tells whether some of a segment's parts, or of its neighbours', are gaps: their messages may be missing.
func (p *player) holed(msn int64) bool {
	for i := msn - 1; i <= msn+1; i++ {
		if f := p.segments[i]; f != nil && f.holed {
			return true
		}
	}
	return false
}

// messagesOf judges whether the rendition has another one's messages.
func (p *player) messagesOf(o *player) {
	for _, e := range o.events.all {
		again := !bytes.Equal(o.events.known[e.key()], e.body) // RuleEventID has said so
		if again || p.holed(e.msn) || !p.loaded(e.msn) || !o.loaded(e.msn) {
			continue
		}
		body, ok := p.events.known[e.key()]
		p.s.rec.check(RuleEventSame, ok && bytes.Equal(body, e.body), p.url,
			"message %d of segment %d of %s is missing or another: there %d bytes, here %d", e.id, e.msn, o.url, len(e.body), len(body))
	}
}

// agreement is how far a date range's dates may be off the date of its message: both are rounded to milliseconds.
const agreement = 2 * time.Millisecond

// rangesAtMessages holds the dates of the date ranges against those of the messages, as far as all media around were read.
func (p *player) rangesAtMessages() {
	if !p.events.any {
		return
	}
	for _, run := range p.runs() {
		for id, r := range p.allRanges {
			for _, d := range []struct {
				name string
				at   time.Time
			}{{"START-DATE", r.start}, {"END-DATE", r.end}} {
				if d.at.Before(run.from) || !d.at.Before(run.until) {
					continue
				}
				off := p.nearest(d.at)
				p.s.rec.check(RuleRangeEvent, off.Abs() <= agreement, p.url, "%s of date range %q is %v, the nearest message is %v off", d.name, id, d.at, off)
			}
		}
	}
}

// nearest is how far the message is that is nearest to a date.
func (p *player) nearest(at time.Time) time.Duration {
	best := time.Duration(1<<63 - 1)
	for _, e := range p.events.all {
		if off := e.date.Sub(at); !e.date.IsZero() && off.Abs() < best.Abs() {
			best = off
		}
	}
	return best
}

// run is a stretch of time without holes.
type run struct{ from, until time.Time }

// runs lists the stretches that were read without a hole. At their ends messages may be missing that come late.
func (p *player) runs() (list []run) {
	msns := make([]int64, 0, len(p.segments))
	for msn, f := range p.segments {
		if !f.unloaded && f.segment.hasDate {
			msns = append(msns, msn)
		}
	}
	slices.Sort(msns)
	for i, msn := range msns {
		seg := &p.segments[msn].segment
		if i == 0 || msns[i-1] != msn-1 || seg.disc {
			list = append(list, run{from: seg.date})
		}
		list[len(list)-1].until = seg.date.Add(seg.duration - 3*p.current.partTarget)
	}
	return list
}
