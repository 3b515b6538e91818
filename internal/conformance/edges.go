package conformance

import (
	"slices"
	"sort"
	"time"
)

// edge is how far a rendition was seen to be.
type edge struct {
	seen time.Time // when the playlist had been received
	date time.Time // at which its last part ends
}

// maxEdges is how many edges are kept of a rendition: enough for some minutes.
const maxEdges = 2048

// edge notes where a playlist ends; one that has ended lags behind nothing, and what stands in for media comes late by itself.
func (p *player) edge(next *mediaPlaylist, seen time.Time) {
	date := next.until()
	if date.IsZero() || next.ended || next.endsInGap() {
		return
	}
	if len(p.edges) == maxEdges {
		p.edges = append(p.edges[:0], p.edges[maxEdges/2:]...)
	}
	p.edges = append(p.edges, edge{seen, date})
}

// behind is by how much an edge was behind a rendition: the media that the rendition had more by then, but not more than the
// time since it had come as far, so that a publisher's absence, over which dates jump, does not count. ok is false where the
// rendition had not been seen yet, or was followed no more. A player that is slow itself makes this too small, never too
// large: it sees the other rendition's edge later than it was.
func (p *player) behind(e edge) (lag time.Duration, ok bool) {
	last := sort.Search(len(p.edges), func(i int) bool { return p.edges[i].seen.After(e.seen) }) - 1
	if last < 0 || last == len(p.edges)-1 && e.seen.After(p.edges[last].seen) {
		return 0, false
	}
	if lag = p.edges[last].date.Sub(e.date); lag <= 0 {
		return 0, true
	}
	since := sort.Search(last, func(i int) bool { return !p.edges[i].date.Before(e.date) })
	return min(lag, e.seen.Sub(p.edges[since].seen)), true
}

// compareEdges judges, when all players are done, by how much renditions come later than the foremost one, and whether they
// end together.
func (s *session) compareEdges() {
	if len(s.urls) < 2 {
		return
	}
	var last time.Time
	for _, u := range s.urls {
		p := s.players[u]
		lags := s.lags(p)
		if len(lags) == 0 {
			continue
		}
		later := slices.Sorted(slices.Values(lags[len(lags)/2:]))
		slices.Sort(lags)
		middle, most := lags[len(lags)/2], lags[len(lags)-1]
		s.rec.note(func(f *Facts) { f.Lags = append(f.Lags, Lag{u, middle, most}) })
		if p.current.partTarget > 0 {
			// A rendition that has only just come catches up: what it keeps lagging by counts.
			hold, steady := p.current.control.partHold, later[len(later)/4]
			s.rec.check(RuleHoldLag, hold >= steady+p.current.partTarget, u, "PART-HOLD-BACK is %v, the rendition keeps coming %v later than the foremost (at most %v), and a part lasts %v", hold, steady, most, p.current.partTarget)
		}
		if d := p.current.until(); d.After(last) {
			last = d
		}
	}
	for _, u := range s.urls {
		p := s.players[u]
		if until := p.current.until(); p.current.ended && !until.IsZero() && !last.IsZero() {
			s.rec.check(RuleSameEnd, last.Sub(until) <= p.current.target, u, "it ended %v before another rendition", last.Sub(until))
		}
	}
}

// lags is by how much a rendition was behind the foremost at each sight, in their order.
func (s *session) lags(p *player) (lags []time.Duration) {
	for _, e := range p.edges {
		lag, compared := time.Duration(0), false
		for _, u := range s.urls {
			if l, ok := s.players[u].behind(e); ok && u != p.url {
				lag, compared = max(lag, l), true
			}
		}
		if compared {
			lags = append(lags, lag)
		}
	}
	return lags
}
