package conformance

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"
)

// compare judges what changed from one full playlist to the next.
func (p *player) compare(u string, prev, next *mediaPlaylist) {
	c := p.s.rec.check
	c(RuleTargetConstant, next.target == prev.target, u, "%v was %v", next.target, prev.target)
	if prev.partTarget > 0 && next.partTarget > 0 {
		c(RulePartConstant, next.partTarget == prev.partTarget, u, "%v was %v", next.partTarget, prev.partTarget)
	}
	if prev.control.present && next.control.present {
		c(RuleControlConstant, p.s.constant(prev.control, next.control), u, "%q was %q", next.control.text, prev.control.text)
	}
	c(RuleSequence, next.sequence >= prev.sequence, u, "EXT-X-MEDIA-SEQUENCE %d was %d", next.sequence, prev.sequence)
	c(RuleAppendOnly, next.lastSegment() >= prev.lastSegment(), u, "the last segment is %d, it was %d", next.lastSegment(), prev.lastSegment())
	if prev.ended {
		c(RuleEndFinal, next.ended && !prev.tail().before(next.tail()), u, "the playlist ended at %v and is at %v", prev.tail(), next.tail())
	}
	for _, old := range prev.withOpen() {
		if now, ok := next.find(old.msn); ok {
			p.compareSegment(u, &old, &now)
		}
	}
	p.compareRanges(u, prev, next)
}

// constant tells whether an EXT-X-SERVER-CONTROL is what it was, or differs by what may grow.
func (s *session) constant(prev, next control) bool {
	if s.opt.RaisedHold && next.holdBack >= prev.holdBack && next.partHold >= prev.partHold {
		next.holdBack, next.partHold, next.text = prev.holdBack, prev.partHold, prev.text
	}
	return next == prev
}

func (p *player) compareSegment(u string, old, now *segment) {
	c := p.s.rec.check
	c(RuleDiscSeq, now.discSeq == old.discSeq, u, "segment %d has discontinuity sequence %d, it had %d", old.msn, now.discSeq, old.discSeq)
	whole := old.uri != ""
	if whole {
		c(RuleAppendOnly, now.uri == old.uri && now.duration == old.duration && now.gap == old.gap, u, "segment %d is %s of %v, it was %s of %v", old.msn, now.uri, now.duration, old.uri, old.duration)
	}
	c(RuleAppendOnly, now.date.Equal(old.date) && now.initURI == old.initURI && now.disc == old.disc, u, "segment %d changed its date-time, map or discontinuity", old.msn)
	if len(old.parts) == 0 || len(now.parts) == 0 {
		c(RulePartsAppendOnly, whole || now.uri != "" || len(old.parts) == 0, u, "segment %d lost its parts before it was whole", old.msn)
		c(RulePartsAppendOnly, !whole || len(old.parts) > 0 || len(now.parts) == 0, u, "whole segment %d gained parts", old.msn)
		return
	}
	// Removal is from the front, so what is left is found by its first URI.
	from := slices.IndexFunc(old.parts, func(q part) bool { return q.uri == now.parts[0].uri })
	if !c(RulePartsAppendOnly, from >= 0 && (from == 0 || whole), u, "segment %d now starts with part %s", old.msn, now.parts[0].uri) {
		return
	}
	kept := old.parts[from:]
	if !c(RulePartsAppendOnly, len(now.parts) >= len(kept) && (!whole || len(now.parts) == len(kept)), u, "segment %d has %d parts, it had %d", old.msn, len(now.parts), len(kept)) {
		return
	}
	for i, q := range kept {
		c(RulePartsAppendOnly, now.parts[i] == q, u, "part %d.%d is %v, it was %v", old.msn, from+i, now.parts[i], q)
	}
}

// merged puts the tags of each date range together, as clients do.
func merged(p *mediaPlaylist) map[string]dateRange {
	out := make(map[string]dateRange)
	for _, r := range p.dateRanges {
		m, ok := out[r.id]
		if !ok {
			m = dateRange{id: r.id, attrs: make(map[string]string)}
		}
		if m.start.IsZero() {
			m.start = r.start
		}
		if !r.end.IsZero() {
			m.end = r.end
		}
		maps.Copy(m.attrs, r.attrs)
		out[r.id] = m
	}
	return out
}

func (p *player) compareRanges(u string, prev, next *mediaPlaylist) {
	old, now := merged(prev), merged(next)
	var first time.Time
	if len(next.segments) > 0 {
		first = next.segments[0].date
	}
	for id, r := range old {
		n, ok := now[id]
		if !ok {
			// A range that ends where the first segment begins maps to none, unless it is but an instant.
			gone := !first.IsZero() && !r.end.IsZero() && (r.end.Before(first) || r.end.Equal(first) && r.start.Before(r.end))
			p.s.rec.check(RuleRangeKept, gone, u, "date range %q until %v is gone, the playlist starts at %v", id, r.end, first)
			continue
		}
		p.s.rec.check(RuleRangeKept, true, u, "")
		for name, value := range r.attrs {
			p.s.rec.check(RuleRangeConstant, n.attrs[name] == value, u, "%s of date range %q is %q, it was %q", name, id, n.attrs[name], value)
		}
	}
}

// reports judges the rendition reports: how new they have to be at least, and, now and then, whether they claim too much.
func (p *player) reports(u string, next *mediaPlaylist, r *response) {
	for _, rep := range next.reports {
		other := p.s.players[rep.uri]
		if other == nil || next.ended {
			continue
		}
		claim := rep.claim(next)
		// The playlist is as new as its last part, which came after the playlist before it was requested.
		if known, ok := other.history.before(p.currentStart); ok && p.current != nil {
			p.s.rec.check(RuleReportFresh, !claim.before(known), u, "%s is said to be at %v, and was at %v earlier", rep.uri, claim, known)
		}
	}
}

func (r *rendition) claim(in *mediaPlaylist) position {
	own := in.tail()
	if r.msn >= 0 {
		own.msn = r.msn
	}
	if r.part >= 0 {
		own.part = r.part
	}
	return own
}

// testReports compares the current reports with the playlists that they are about.
func (p *player) testReports(ctx context.Context) error {
	for _, rep := range p.current.reports {
		other := p.s.players[rep.uri]
		if other == nil {
			continue
		}
		r, err := p.s.playlist(ctx, rep.uri, nil)
		if err != nil {
			return err
		}
		if r.status != http.StatusOK {
			continue
		}
		pl, _ := parseMedia(p.current.base, r.body) // its own player judges its text
		claim := rep.claim(p.current)
		p.s.rec.check(RuleReportTrue, !pl.tail().before(claim), p.url, "%s is said to be at %v, its own playlist ends at %v", rep.uri, claim, pl.tail())
	}
	return nil
}
