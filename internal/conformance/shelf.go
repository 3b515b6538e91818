package conformance

import (
	"context"
	"net/http"
	"time"
)

// margin is how long before a resource may vanish its last download starts.
const margin = 250 * time.Millisecond

// shelf remembers what was listed and since when, to try it again when it is no longer.
type shelf struct {
	since         map[int64]time.Time  // segment: not listed before
	seen          map[string]time.Time // part URI: still listed when this request was sent
	goneParts     []gonePart
	ranges        map[string]time.Time // date range: first seen as it is now
	firstRanges   map[string]bool      // date range: as in the very first playlist, of unknown age
	removedRanges map[string]time.Time
	longest       time.Duration
}

type gonePart struct {
	uri   string
	until time.Time
}

// list notes what a playlist has; started is when its request was sent.
func (h *shelf) list(p *player, prev, next *mediaPlaylist, started time.Time) {
	if h.ranges == nil {
		h.ranges, h.firstRanges, h.removedRanges = make(map[string]time.Time), make(map[string]bool), make(map[string]time.Time)
	}
	h.longest = max(h.longest, next.length())
	p.s.rec.note(func(f *Facts) { f.MaxPlaylist = max(f.MaxPlaylist, h.longest) })
	listed := make(map[string]bool)
	for _, seg := range next.withOpen() {
		if seg.disc {
			p.discontinuity[seg.msn] = true
		}
		if _, known := h.since[seg.msn]; !known && seg.uri != "" && prev != nil {
			h.since[seg.msn] = p.currentStart
		}
		for _, q := range seg.parts {
			listed[q.uri] = true
			h.seen[q.uri] = started
		}
	}
	h.changes(p, prev, next, started)
	if prev == nil {
		return
	}
	for _, seg := range prev.withOpen() {
		for _, q := range seg.parts {
			if !listed[q.uri] && !q.gap {
				h.goneParts = append(h.goneParts, gonePart{q.uri, h.seen[q.uri].Add(3 * next.target)})
				delete(h.seen, q.uri)
			}
		}
	}
}

// test downloads again what has just left the playlist, and the part that is about to lose its protection.
func (h *shelf) test(ctx context.Context, p *player, prev, next *mediaPlaylist) error {
	if prev == nil {
		return nil
	}
	for _, seg := range prev.segments {
		since, known := h.since[seg.msn]
		if seg.msn >= next.sequence || seg.gap || !known {
			continue
		}
		delete(h.since, seg.msn)
		if time.Now().Add(margin).After(since.Add(seg.duration + h.longest)) {
			continue
		}
		if err := h.again(ctx, p, RuleSegmentStays, seg.uri); err != nil {
			return err
		}
	}
	now := time.Now().Add(margin)
	for len(h.goneParts) > 0 && h.goneParts[0].until.Before(now) {
		h.goneParts = h.goneParts[1:]
	}
	if len(h.goneParts) == 0 || p.updates%2 == 1 {
		return nil
	}
	return h.again(ctx, p, RulePartStays, h.goneParts[0].uri)
}

func (h *shelf) again(ctx context.Context, p *player, rule RuleID, uri string) error {
	r, err := p.s.fetch(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return err
	}
	p.s.rec.check(rule, r.status == http.StatusOK, uri, "status %d after it left the playlist", r.status)
	return nil
}
