package conformance

import (
	"context"
	"net/http"
	"time"
)

// compareRenditions judges, when all players are done, whether the renditions are cut alike. The first rendition is
// what the others are compared with.
func (s *session) compareRenditions() {
	if len(s.urls) < 2 {
		return
	}
	first := s.players[s.urls[0]]
	for _, u := range s.urls[1:] {
		p := s.players[u]
		p.compareViews(first)
		s.rec.check(RuleSameTarget, p.current.target == first.current.target, u, "%v, %s has %v", p.current.target, first.url, first.current.target)
		s.rec.check(RuleSameControl, s.sameControl(p.current.control, first.current.control), u, "%q, %s has %q", p.current.control.text, first.url, first.current.control.text)
		for msn, a := range first.segments {
			if b, ok := p.segments[msn]; ok {
				next, known := first.segments[msn+1]
				s.compareSegments(u, a, b, known && next.segment.disc, first.current.partTarget)
			}
		}
	}
}

// sameControl compares values, not the order of attributes.
func (s *session) sameControl(a, b control) bool {
	a.text, b.text = "", ""
	if s.opt.RaisedHold {
		a.holdBack, a.partHold, b.holdBack, b.partHold = 0, 0, 0, 0
	}
	return a == b
}

// compareSegments holds a segment of a rendition against the first rendition's. In front of a discontinuity a publisher's
// tracks may end apart, by no more than its reordering of pictures: breaks tells that one follows.
func (s *session) compareSegments(u string, a, b *segmentFact, breaks bool, part time.Duration) {
	c, msn := s.rec.check, a.segment.msn
	c(RuleSameDisc, a.segment.discSeq == b.segment.discSeq, u, "segment %d has discontinuity sequence %d, the first rendition %d", msn, b.segment.discSeq, a.segment.discSeq)
	tolerance := rounding
	for _, f := range []*segmentFact{a, b} {
		// With a constant rate, pictures start where the boundary is; with a variable one, up to a frame later.
		if !f.unloaded && (!f.track.video() || f.frame > f.closest*3/2) {
			tolerance = max(tolerance, f.frame+rounding+timestamps)
		}
	}
	if a.segment.hasDate && b.segment.hasDate {
		off := b.segment.date.Sub(a.segment.date)
		c(RuleSamePDT, off.Abs() <= tolerance, u, "segment %d is dated %v after the first rendition's", msn, off)
		if a.begins() && b.begins() {
			off -= b.start - a.start
			c(RuleSameMapping, off.Abs() <= tolerance, u, "segment %d maps media time to dates %v off the first rendition's", msn, off)
		}
	}
	if a.begins() && b.begins() {
		start := b.start - a.start
		c(RuleSameSpan, start.Abs() <= tolerance, u, "segment %d starts %v after the first rendition's", msn, start)
	}
	if !b.begins() && a.begins() && !b.unloaded {
		// It goes on in mid segment, where its playlist says to within the part that comes first.
		off := b.start - a.start - b.segment.leading()
		c(RuleSameMapping, off >= -tolerance && off <= tolerance+part, u, "segment %d goes on %v behind the gap that it begins with", msn, off)
	}
	if !a.whole() || !b.whole() {
		// What is missing has no times: what is announced counts, which a gap may round to a part.
		off := b.segment.duration - a.segment.duration
		c(RuleSameSpan, off.Abs() <= tolerance+part || breaks && off.Abs() <= reordering+part, u, "segment %d is announced %v longer than the first rendition's", msn, off)
		return
	}
	start, end := b.start-a.start, b.start+b.length-a.start-a.length
	if breaks && end.Abs() <= reordering {
		end = 0
	}
	c(RuleSameSpan, start.Abs() <= tolerance && end.Abs() <= tolerance, u, "segment %d starts %v and ends %v after the first rendition's", msn, start, end)
}

// begins tells whether the media of a segment were there and read from its beginning.
func (f *segmentFact) begins() bool {
	return !f.unloaded && (len(f.segment.parts) == 0 || !f.segment.parts[0].gap)
}

// whole tells whether all media of a segment were there and read.
func (f *segmentFact) whole() bool { return !f.unloaded && !f.holed }

// timestamps is how far rounding to milliseconds, as RTMP has them, may move the boundaries at both ends of a segment.
const timestamps = 3 * time.Millisecond

// reordering is how far B-frames may make pictures outlast the sound that came with them.
const reordering = 150 * time.Millisecond

// compareRanges fetches all playlists right after one another and compares their date ranges.
func (s *session) compareRanges(ctx context.Context) error {
	var first rangeView
	for i, u := range s.urls {
		r, err := s.playlist(ctx, u, nil)
		if err != nil {
			return err
		}
		if r.status != http.StatusOK {
			return nil
		}
		pl, _ := parseMedia(s.players[u].current.base, r.body)
		v := viewOf(pl)
		if i == 0 {
			first = v
		} else {
			v.compare(s, u, &first, s.urls[0], pl.partTarget)
		}
	}
	return nil
}

// peak is the peak segment bit rate (rfc8216bis section 4.1) in bits a second, over the segments that were downloaded;
// average is their average. Both are 0 when there is too little to say.
func (p *player) rates() (peak, average float64) {
	var first, last int64 = 1<<63 - 1, 0
	for msn := range p.segments {
		first, last = min(first, msn), max(last, msn)
	}
	target := p.current.target
	var bits float64
	var length time.Duration
	for from := first; from <= last; from++ {
		f, ok := p.segments[from]
		if !ok || f.unloaded {
			continue
		}
		bits += float64(f.bytes) * 8
		length += f.segment.duration
		var run int
		var span time.Duration
		for msn := from; msn <= last; msn++ {
			f, ok := p.segments[msn]
			if !ok || f.unloaded {
				break
			}
			run += f.bytes
			if span += f.segment.duration; span > target*3/2 {
				break
			}
			if span >= target/2 {
				peak = max(peak, float64(run)*8/span.Seconds())
			}
		}
	}
	if length > 0 {
		average = bits / length.Seconds()
	}
	return peak, average
}
