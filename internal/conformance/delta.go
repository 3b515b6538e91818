package conformance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// delta puts a delta update together with the playlist before it and judges both it and the result. The full playlist
// that the update stands for is returned.
func (p *player) delta(ctx context.Context, u string, d *mediaPlaylist, mode string) (*mediaPlaylist, error) {
	c := p.s.rec.check
	if p.current.ended || d.ended {
		return d, nil // the directive is ignored; probeEnded judges that
	}
	full, level, err := p.fullAt(ctx, d)
	if err != nil || full == nil {
		return d, err
	}
	if mode == "v2" {
		p.apply(u, d, full, level)
	}
	if level {
		p.skipped(u, d, full)
	}
	if d.skip == nil {
		return d, nil
	}
	p.s.rec.note(func(f *Facts) { f.Deltas++ })
	c(RuleDeltaRemoved, d.skip.hasRemoved == (mode == "v2"), u, "_HLS_skip=%s, RECENTLY-REMOVED-DATERANGES present: %v", mode, d.skip.hasRemoved)
	if d.sequence > p.current.lastSegment() {
		return full, nil // the player fell behind by a whole playlist: it does not know what was skipped
	}
	built, err := p.rebuild(d)
	if err != nil {
		c(RuleDeltaBoundary, false, u, "%v", err)
		return full, nil
	}
	if !level {
		// The full playlist is of a later moment, and may have lost date ranges by then that this one still has.
		built.dateRanges = p.rangesAfter(d, mode)
		return built, nil
	}
	p.deltaRanges(u, d, full, mode)
	p.equal(u, built, full)
	return full, nil
}

// rangesAfter are the date ranges that a player has after a delta update: those that it had, where the update may skip some, without
// the ones that the update names as removed, and those that the update has.
func (p *player) rangesAfter(d *mediaPlaylist, mode string) []dateRange {
	if mode != "v2" {
		return d.dateRanges
	}
	kept := slices.DeleteFunc(slices.Clone(p.current.dateRanges), func(r dateRange) bool { return slices.Contains(d.skip.removed, r.id) })
	return append(kept, d.dateRanges...)
}

// fullAt fetches the full playlist at the position of a delta update. level is false when the stream was faster three
// times; the playlist is nil when there was none.
func (p *player) fullAt(ctx context.Context, d *mediaPlaylist) (full *mediaPlaylist, level bool, err error) {
	for range 3 {
		r, err := p.s.playlist(ctx, p.url, directivesAt(position{max(0, d.tail().msn), max(0, d.tail().part)}, ""))
		if err != nil {
			return nil, false, err
		}
		if r.status != http.StatusOK {
			return nil, false, nil
		}
		var issues []issue
		full, issues = parseMedia(d.base, r.body)
		p.s.rec.judge(p.url, syntaxRules, issues)
		if full.tail() == d.tail() && full.ended == d.ended && full.open.msn == d.open.msn {
			return full, true, nil
		}
	}
	return full, false, nil
}

// skipped judges which segments were skipped.
func (p *player) skipped(u string, d, full *mediaPlaylist) {
	c, boundary := p.s.rec.check, full.control.skipUntil
	if boundary < 0 {
		return
	}
	count := int64(0)
	if d.skip != nil {
		count = d.skip.segments
	}
	if !c(RuleDeltaBoundary, count <= int64(len(full.segments)), u, "%d segments skipped of %d", count, len(full.segments)) {
		return
	}
	distance := full.length() // from the segment's start to the end of the last whole segment
	for i, seg := range full.segments {
		if int64(i) < count {
			c(RuleDeltaBoundary, distance+full.open.sum() > boundary, u, "segment %d, %v from the end, is skipped; CAN-SKIP-UNTIL is %v", seg.msn, distance, boundary)
		} else {
			c(RuleDeltaGiven, distance-seg.duration <= boundary+rounding, u, "segment %d, %v from the end, is not skipped; CAN-SKIP-UNTIL is %v", seg.msn, distance-seg.duration, boundary)
		}
		distance -= seg.duration
	}
}

// rebuild makes a full playlist of a delta update and what the player knows.
func (p *player) rebuild(d *mediaPlaylist) (*mediaPlaylist, error) {
	built := *d
	built.segments, built.skip = nil, nil
	var last segment
	for msn := d.sequence; msn < d.sequence+d.skip.segments; msn++ {
		seg, ok := p.current.find(msn)
		if !ok || seg.uri == "" {
			return nil, fmt.Errorf("segment %d is skipped, but the playlist before did not have it whole", msn)
		}
		built.segments = append(built.segments, seg)
		last = seg
	}
	base := last.discSeq - d.discSequence
	if d.skip.segments == 0 {
		base = 0
	}
	inherit := func(seg segment) segment {
		seg.discSeq += base
		if seg.initURI == "" {
			seg.initURI = last.initURI
		}
		return seg
	}
	for _, seg := range d.segments {
		built.segments = append(built.segments, inherit(seg))
	}
	built.open = inherit(d.open)
	// The player may have been behind, and have seen parts that are not listed any more.
	edge := built.length()
	for i := range d.skip.segments {
		if edge -= built.segments[i].duration; edge > 3*built.target {
			built.segments[i].parts = nil
		}
	}
	return &built, nil
}

// equal compares a rebuilt playlist with the full one. What a delta may leave out, and what moves between two requests,
// is not compared: parts of old segments, date ranges and the reports on other renditions.
func (p *player) equal(u string, built, full *mediaPlaylist) {
	differ := func(format string, args ...any) { p.s.rec.check(RuleDeltaEqual, false, u, format, args...) }
	p.s.rec.check(RuleDeltaEqual, true, u, "")
	if built.target != full.target || built.partTarget != full.partTarget || built.control != full.control ||
		built.sequence != full.sequence || built.discSequence != full.discSequence || built.independent != full.independent {
		differ("the tags that apply to the whole playlist differ")
	}
	if !slices.Equal(built.hints, full.hints) {
		differ("the hints are %v, in full %v", built.hints, full.hints)
	}
	if len(built.segments) != len(full.segments) {
		differ("%d segments, in full %d", len(built.segments), len(full.segments))
		return
	}
	edge := full.length()
	for i, f := range full.segments {
		b := built.segments[i]
		if edge > 3*full.target {
			b.parts, f.parts = nil, nil
		}
		edge -= f.duration
		b.late, f.late = "", ""
		if !reflect.DeepEqual(b, f) {
			differ("segment %d is %+v, in full %+v", f.msn, b, f)
		}
	}
	if b, f := built.open, full.open; b.msn != f.msn || !slices.Equal(b.parts, f.parts) || b.initURI != f.initURI || b.discSeq != f.discSeq {
		differ("the open segment is %+v, in full %+v", b, f)
	}
}

// deltaRanges judges the date ranges of a delta update. What is of the first playlist has an unknown age.
func (p *player) deltaRanges(u string, d, full *mediaPlaylist, mode string) {
	c, boundary := p.s.rec.check, full.control.skipUntil
	now, all := merged(d), merged(full)
	for id, r := range now {
		c(RuleDeltaRanges, all[id].id != "" && maps.Equal(all[id].attrs, r.attrs), u, "date range %q is %v, in full %v", id, r.attrs, all[id].attrs)
	}
	for id, r := range all {
		since, known := p.shelf.ranges[id]
		age := time.Since(since)
		changed := !maps.Equal(p.allRanges[id].attrs, r.attrs) // with this very update
		if changed {
			age = 0
		}
		if now[id].id == "" {
			old := known && age >= boundary-sighted || p.shelf.firstRanges[id] && !changed
			c(RuleDeltaRanges, mode == "v2" && old, u, "date range %q, which changed %v ago, is left out of a delta update %s", id, age, mode)
		} else if mode == "v2" && known {
			c(RuleDeltaOld, age < boundary+2*full.target, u, "date range %q has not changed for %v, and is in a delta update", id, age)
		}
	}
	seen := make(map[string]bool)
	for _, id := range d.skip.removed {
		c(RuleDeltaRemoved, all[id].id == "", u, "date range %q is named as removed, and is in the full playlist", id)
		c(RuleDeltaRemoved, id != "" && !seen[id], u, "the list of removed date ranges has the ID %q twice, or an empty one", id)
		seen[id] = true
	}
	if mode == "v2" {
		for id, gone := range p.shelf.removedRanges {
			if time.Since(gone) < boundary-sighted && all[id].id == "" {
				c(RuleDeltaRemoved, seen[id], u, "date range %q was removed, and is not named", id)
			}
		}
	}
}

// sighted is how much later than it happened a change may be seen.
const sighted = time.Second
