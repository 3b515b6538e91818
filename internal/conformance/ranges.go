package conformance

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// rangeView is the date ranges of one version of a playlist, and what the playlist covers.
type rangeView struct {
	at          position
	from, until time.Time // of the first segment's start and the last part's end; zero without dates
	set         map[string]dateRange
}

// maxViews is how many versions of a rendition's ranges are kept for the comparison.
const maxViews = 256

// described is the attributes of date ranges by ID, as a report words them.
type described map[string]map[string]string

// String lists the ranges, sorted, each with its attributes but the ID. Only a violation asks for it.
func (set described) String() string {
	var list []string
	for id, attrs := range set {
		text := id + "{"
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			if name != "ID" {
				_, value, _ := strings.Cut(attrs[name], "e") // behind "true" or "false", see parseMedia
				text += " " + name + "=" + value
			}
		}
		list = append(list, text+" }")
	}
	slices.Sort(list)
	return "[" + strings.Join(list, " ") + "]"
}

// attributesOf leaves the attributes of each range.
func attributesOf(set map[string]dateRange) described {
	out := make(described, len(set))
	for id, r := range set {
		out[id] = r.attrs
	}
	return out
}

func viewOf(p *mediaPlaylist) rangeView {
	v := rangeView{at: p.tail(), set: merged(p)}
	all := p.withOpen()
	if len(all) == 0 {
		return v
	}
	first, last := all[0], all[len(all)-1]
	v.from, v.until = first.date, last.date.Add(max(last.duration, last.sum()))
	return v
}

// settled is what the view says about the time between from and until: the ranges that touch it, without an end that comes
// later.
func (v *rangeView) settled(from, until time.Time) described {
	out := make(described)
	for id, r := range v.set {
		if !r.start.Before(until) || !r.end.IsZero() && !r.end.After(from) {
			continue
		}
		attrs := maps.Clone(r.attrs)
		if !r.end.Before(until) {
			delete(attrs, "END-DATE")
			delete(attrs, "DURATION")
		}
		out[id] = attrs
	}
	return out
}

// compare holds two views against each other, over the time that both cover, up to some parts before the end: a rendition
// follows another with a change when it gets as far.
func (v *rangeView) compare(s *session, u string, w *rangeView, other string, partTarget time.Duration) {
	if len(v.set)+len(w.set) == 0 {
		return
	}
	from, until := v.from, v.until
	if w.from.After(from) {
		from = w.from
	}
	if w.until.Before(until) {
		until = w.until
	}
	until = until.Add(-3 * partTarget)
	a, b := v.settled(from, until), w.settled(from, until)
	s.rec.check(RuleSameRanges, sameRanges(a, b), u, "at %v it has the date ranges %s, and %s has %s", v.at, a, other, b)
}

func sameRanges(a, b described) bool {
	return maps.EqualFunc(a, b, maps.Equal[map[string]string, map[string]string])
}

// view keeps the ranges of a version.
func (p *player) view(next *mediaPlaylist) {
	if len(p.views) == maxViews {
		p.views = append(p.views[:0], p.views[maxViews/2:]...)
	}
	p.views = append(p.views, viewOf(next))
}

// compareViews holds the ranges of a rendition against those of another, at the same positions.
func (p *player) compareViews(o *player) {
	at := make(map[position]*rangeView)
	for i := range o.views {
		at[o.views[i].at] = &o.views[i]
	}
	for i := range p.views {
		v := &p.views[i]
		if w := at[v.at]; w != nil {
			v.compare(p.s, p.url, w, o.url, p.current.partTarget)
		}
	}
}

// changes notes when each range was seen to be new or changed, and what came back.
func (h *shelf) changes(p *player, prev, next *mediaPlaylist, started time.Time) {
	now := merged(next)
	for id, r := range now {
		was, known := p.allRanges[id]
		if !known || !maps.Equal(was.attrs, r.attrs) {
			h.ranges[id] = started
			h.firstRanges[id] = prev == nil
			p.allRanges[id] = r
		}
		if prev != nil {
			_, removed := h.removedRanges[id]
			p.s.rec.check(RuleRangeReturn, !removed, p.url, "date range %q was removed, and is there again", id)
		}
	}
	p.s.rec.note(func(f *Facts) { f.DateRanges = max(f.DateRanges, len(p.allRanges)) })
	if prev == nil {
		return
	}
	for id := range merged(prev) {
		if now[id].id == "" {
			h.removedRanges[id] = started
		}
	}
}

// apply follows the updates of v2 alone, as a client would that asks for nothing else (rfc8216bis section 6.3.7): what is
// known, without what was removed, and with what the update says. level tells that full is of the same position.
func (p *player) apply(u string, d, full *mediaPlaylist, level bool) {
	// A client whose playlist is older than half of the skip boundary has to begin anew.
	fresh := time.Since(p.clientAt) <= full.control.skipUntil/2
	if d.skip == nil || p.client == nil || !fresh {
		p.client, p.clientAt = merged(full), time.Now()
		return
	}
	for _, id := range d.skip.removed {
		delete(p.client, id)
	}
	for id, r := range merged(d) {
		if was, ok := p.client[id]; ok {
			attrs := maps.Clone(was.attrs)
			maps.Copy(attrs, r.attrs)
			r.attrs = attrs
		}
		p.client[id] = r
	}
	p.clientAt = time.Now()
	if !level {
		return
	}
	got, want := attributesOf(p.client), attributesOf(merged(full))
	if !p.s.rec.check(RuleDeltaApply, sameRanges(got, want), u, "the date ranges come to be %s, in full they are %s", got, want) {
		p.client = merged(full) // one fault is one violation
	}
}
