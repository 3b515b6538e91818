package conformance

import (
	"net/url"
	"strings"
	"time"
)

// rounding is how far sums of printed durations may be off: playlists print seconds with finite digits.
const rounding = time.Millisecond

// static judges one full playlist by itself.
func (s *session) static(u string, p *mediaPlaylist) {
	c := s.rec.check
	c(RuleTarget, p.target >= time.Second, u, "EXT-X-TARGETDURATION is %v", p.target)
	for _, seg := range p.segments {
		c(RuleTarget, seg.duration.Round(time.Second) <= p.target, u, "segment %d lasts %v, the target is %v", seg.msn, seg.duration, p.target)
	}
	if s.mv.independent {
		c(RuleIndependentIn, !p.independent, u, "EXT-X-INDEPENDENT-SEGMENTS is in both playlists")
	}
	s.control(u, p)
	s.live(u, p)
	s.partDurations(u, p)
	s.partPlaces(u, p)
	s.dates(u, p)
	s.maps(u, p)
	s.hints(u, p)
	s.reportTags(u, p)
	s.dateRanges(u, p)
	s.uniqueURIs(u, p)
}

func (s *session) control(u string, p *mediaPlaylist) {
	c, k := s.rec.check, p.control
	c(RuleBlockReload, k.canBlock, u, "EXT-X-SERVER-CONTROL is %q", k.text)
	c(RuleHoldBack, k.holdBack < 0 || k.holdBack >= 3*p.target, u, "HOLD-BACK is %v, the target duration %v", k.holdBack, p.target)
	c(RuleSkipUntil, k.skipUntil >= 6*p.target, u, "CAN-SKIP-UNTIL is %v, the target duration %v", k.skipUntil, p.target)
	if len(p.dateRanges) > 0 {
		c(RuleSkipRanges, k.skipDateRanges, u, "EXT-X-SERVER-CONTROL is %q", k.text)
	}
	hasParts := len(p.open.parts) > 0
	for _, seg := range p.segments {
		hasParts = hasParts || len(seg.parts) > 0
	}
	if hasParts {
		c(RulePartInf, p.partTarget > 0, u, "PART-TARGET is %v", p.partTarget)
		c(RulePartHoldBack, k.partHold >= 3*p.partTarget, u, "PART-HOLD-BACK is %v, PART-TARGET %v", k.partHold, p.partTarget)
	}
	s.rec.note(func(f *Facts) { f.Target, f.PartTarget = p.target, p.partTarget })
}

func (s *session) live(u string, p *mediaPlaylist) {
	if p.ended {
		return
	}
	s.rec.check(RuleNoType, p.playlistType == "", u, "EXT-X-PLAYLIST-TYPE is %s", p.playlistType)
	if s.slid(u, p) {
		s.rec.check(RuleMinDuration, p.length() >= 3*p.target, u, "the playlist lasts %v, the target duration is %v", p.length(), p.target)
		s.rec.check(RuleMinSegments, len(p.segments) >= 6, u, "the playlist has %d segments", len(p.segments))
	}
	discs := p.open.disc || p.discSequence > 0
	for _, seg := range p.segments {
		discs = discs || seg.disc
	}
	if discs {
		s.rec.check(RuleDiscSeqTag, p.hasDiscSeq, u, "there is a discontinuity, but no EXT-X-DISCONTINUITY-SEQUENCE")
	}
}

func (s *session) partDurations(u string, p *mediaPlaylist) {
	c := s.rec.check
	bare := false // a segment without parts was before this one: it may have lost its first parts
	for _, seg := range p.withOpen() {
		trimmed := bare
		bare = len(seg.parts) == 0
		for i, q := range seg.parts {
			if p.partTarget == 0 {
				break
			}
			s.rec.note(func(f *Facts) { f.MaxPart = max(f.MaxPart, q.duration) })
			c(RulePartMax, q.duration <= p.partTarget, u, "part %d.%d lasts %v, PART-TARGET is %v", seg.msn, i, q.duration, p.partTarget)
			last := i == len(seg.parts)-1
			if last || q.gap || seg.parts[i+1].gap {
				continue
			}
			floor := p.partTarget * 85 / 100
			c(RulePartMin, q.independent || q.duration >= floor, u, "part %d.%d lasts %v, 85 %% of PART-TARGET is %v", seg.msn, i, q.duration, floor)
			if q.independent {
				c(RulePartEven, q.duration >= floor, u, "independent part %d.%d lasts %v, 85 %% of PART-TARGET is %v", seg.msn, i, q.duration, floor)
			}
		}
		if seg.uri == "" {
			continue
		}
		s.rec.note(func(f *Facts) { f.MaxSegment = max(f.MaxSegment, seg.duration) })
		if len(seg.parts) > 0 && !trimmed {
			off := (seg.sum() - seg.duration).Abs()
			c(RulePartSum, off <= rounding, u, "the parts of segment %d last %v, its EXTINF is %v", seg.msn, seg.sum(), seg.duration)
		}
		if seg.gap {
			for i, q := range seg.parts {
				c(RuleGapParts, q.gap, u, "segment %d is a gap, its part %d is not", seg.msn, i)
			}
		}
	}
}

// partPlaces judges where parts are listed: at the edge all of them, behind it none.
func (s *session) partPlaces(u string, p *mediaPlaylist) {
	if p.partTarget == 0 {
		return
	}
	edge := p.open.sum()
	for i := len(p.segments) - 1; i >= 0; i-- {
		seg := p.segments[i]
		// An origin may drop old parts with each segment rather than with each part: the open segment does not count.
		if behind := edge - p.open.sum(); behind > 3*p.target+rounding {
			s.rec.check(RulePartOld, len(seg.parts) == 0, u, "segment %d ends %v before the last segment's end and still has parts", seg.msn, behind)
		}
		edge += seg.duration
		if edge <= 3*p.target && !seg.gap && !p.ended {
			s.rec.check(RulePartEdge, len(seg.parts) > 0, u, "segment %d starts %v before the edge and has no parts", seg.msn, edge)
		}
	}
	for _, seg := range p.withOpen() {
		if len(seg.parts) > 0 {
			s.rec.check(RulePartOrder, seg.late == "", u, "segment %d has %s behind a part", seg.msn, seg.late)
		}
	}
}

// dates judges program date-times, which drift by at most one part before somebody has to put a discontinuity.
func (s *session) dates(u string, p *mediaPlaylist) {
	all := p.withOpen()
	tolerance := max(p.partTarget, 100*time.Millisecond)
	var want time.Time
	known := false
	for _, seg := range all {
		s.rec.check(RulePDT, seg.hasDate && !seg.badDate, u, "segment %d has no date-time, or one without zone or milliseconds", seg.msn)
		if !seg.hasDate {
			known = false
			continue
		}
		if known && !seg.disc {
			off := seg.date.Sub(want)
			s.rec.check(RulePDTSum, off.Abs() <= tolerance, u, "segment %d is dated %v off the segments before it", seg.msn, off)
		}
		// Each segment starts the sum anew only at a discontinuity, so that a slow drift adds up and shows.
		if !known || seg.disc {
			want, known = seg.date, true
		}
		want = want.Add(seg.duration)
	}
}

func (s *session) maps(u string, p *mediaPlaylist) {
	previous := ""
	for _, seg := range p.withOpen() {
		s.rec.check(RuleMap, seg.initURI != "" || seg.gap, u, "segment %d has no EXT-X-MAP", seg.msn)
		if previous != "" {
			s.rec.check(RuleMapChange, seg.initURI == previous || seg.disc, u, "segment %d has another EXT-X-MAP and no discontinuity", seg.msn)
		}
		previous = seg.initURI
	}
}

func (s *session) hints(u string, p *mediaPlaylist) {
	if p.ended {
		s.rec.check(RuleHintEnd, len(p.hints) == 0, u, "%d preload hints after EXT-X-ENDLIST", len(p.hints))
		return
	}
	kinds := make(map[string]int)
	for _, h := range p.hints {
		kinds[h.kind]++
	}
	s.rec.check(RuleHintSingle, kinds["PART"] <= 1 && kinds["MAP"] <= 1, u, "hints: %v", kinds)
	if p.partTarget > 0 {
		s.rec.check(RuleHintPresent, kinds["PART"] > 0, u, "there is no EXT-X-PRELOAD-HINT of a part")
	}
}

func (s *session) reportTags(u string, p *mediaPlaylist) {
	others := s.others(u)
	if p.ended || len(others) == 0 {
		return
	}
	seen := make(map[string]int)
	for _, r := range p.reports {
		seen[r.uri]++
		ref, err := url.Parse(r.raw)
		s.rec.check(RuleReports, err == nil && !ref.IsAbs() && ref.Host == "", u, "the report's URI %q is not relative", r.raw)
		s.rec.check(RuleReports, seen[r.uri] == 1, u, "two reports for %s", r.uri)
		s.rec.check(RuleReports, s.isRendition(r.uri), u, "a report for %s, which the multivariant playlist does not have", r.uri)
	}
	for _, o := range others {
		s.rec.check(RuleReports, seen[o] > 0, u, "no rendition report for %s", o)
	}
}

func (s *session) dateRanges(u string, p *mediaPlaylist) {
	first := make(map[string]dateRange)
	for _, r := range p.dateRanges {
		old, again := first[r.id]
		start := r.start
		if again {
			for name, value := range r.attrs {
				was, ok := old.attrs[name]
				s.rec.check(RuleDateRange, !ok || was == value, u, "date range %q has %s twice with different values", r.id, name)
			}
			start = old.start
		} else {
			first[r.id] = r
			s.rec.check(RuleDateRange, !start.IsZero(), u, "date range %q has no START-DATE", r.id)
		}
		s.rec.check(RuleDateRange, r.end.IsZero() || !r.end.Before(start), u, "date range %q ends before it starts", r.id)
		s.rec.check(RuleDateRange, !strings.Contains(r.id, "\t"), u, "date range ID %q has a tab", r.id)
	}
	if len(first) > 0 {
		dated := p.open.hasDate
		for _, seg := range p.segments {
			dated = dated || seg.hasDate
		}
		s.rec.check(RuleDateRange, dated, u, "there are date ranges, but no program date-time")
	}
}

func (s *session) uniqueURIs(u string, p *mediaPlaylist) {
	where := make(map[string]position)
	see := func(uri string, at position) {
		if uri == "" {
			return
		}
		was, again := where[uri]
		s.rec.check(RuleURIUnique, !again, u, "%s is both %v and %v", uri, was, at)
		where[uri] = at
	}
	for _, seg := range p.withOpen() {
		see(seg.uri, position{seg.msn, -1})
		for i, q := range seg.parts {
			see(q.uri, position{seg.msn, int64(i)})
		}
	}
}
