package window

import (
	"slices"
	"sort"
)

// trim takes segments off the playlist once what follows them fills the window, and forgets those that have been off it
// for as long as section 6.2.2 of rfc8216bis asks: the segment's own duration and that of the longest playlist that
// listed it. It is called when a segment has begun.
//
// What it does follows from the segments and the settings alone, so that a copy that is given the same parts lists the same
// segments and keeps as many, wherever it began.
func (p *Presentation) trim(s *Snapshot) {
	dvr, end := FromDuration(p.Settings.DVR), s.End()
	for s.Listed < len(s.Segments)-1 && end-s.Segments[s.Listed].end() >= dvr {
		s.Listed++
	}
	longest := dvr + 3*Ticks(p.Settings.TargetDuration)*Rate
	drop := 0
	for drop < s.Listed && end-removedAt(s.Segments, drop, dvr) >= s.Segments[drop].Duration+longest {
		drop++
	}
	if drop > 0 {
		s.Segments = slices.Clone(s.Segments[drop:])
		s.Listed -= drop
	}
}

// end is the announced time at which the segment ends.
func (s *Segment) end() Ticks { return s.Start + s.Duration }

// removedAt is the rendition time at which a segment that is listed no more left the playlist: the end of the first part of the
// first segment that began when what followed the removed one filled the window.
func removedAt(segments []*Segment, i int, dvr Ticks) Ticks {
	gone := segments[i].end()
	later := segments[i+1:]
	at := sort.Search(len(later), func(n int) bool { return later[n].Start+later[n].Parts[0].Duration-gone >= dvr })
	if at == len(later) { // it is listed
		at--
	}
	return later[at].Start + later[at].Parts[0].Duration
}
