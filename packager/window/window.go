// Package window holds a live presentation: for each rendition an append-only log of parts, of which the last stretch is
// listed in playlists and a further stretch stays fetchable.
//
// One goroutine at a time writes. Readers never lock: each append publishes a new immutable Snapshot, and a reader keeps
// the one it has loaded for as long as it likes. Bytes that were published are never changed.
package window

import (
	"sync"
	"sync/atomic"
	"time"
)

// Ticks counts 1/90,000 s: the unit of every duration and time in a window.
type Ticks = int64

// Rate is the number of Ticks in a second.
const Rate = 90000

// Duration converts ticks to a time.Duration.
func Duration(t Ticks) time.Duration { return time.Duration(t/9*100000 + t%9*100000/9) }

// FromDuration converts to ticks, rounding down.
func FromDuration(d time.Duration) Ticks { return int64(d/100000)*9 + int64(d%100000)*9/100000 }

// Init is an initialisation section, immutable.
type Init struct {
	// Name is the URI's last element, made of the content's hash: init-HASH.mp4.
	Name string
	// Data is ftyp and moov.
	Data []byte
}

// Part is a partial segment: one CMAF chunk. Immutable.
type Part struct {
	// Data is moof and mdat; nil for a gap.
	Data []byte
	// Duration as announced.
	Duration Ticks
	// Independent tells that the part starts with a key frame.
	Independent bool
	// Gap tells that there is no media for this stretch of time.
	Gap bool
	// ExpectCut tells that the next part is expected to begin a segment. It is for preload hints; it may be wrong.
	ExpectCut bool
	// Ranges are the date ranges from this part on; nil where they are as before it.
	Ranges *RangeSet
	// Lag is how much further than usual players should stay behind the end of the playlist from this part on, for the sake of
	// renditions that come later than others: whole part targets; 0 where all come at once. With the part it goes wherever the
	// log is copied to.
	Lag Ticks
}

// DateRange is something that holds for a stretch of the presentation (rfc8216bis 4.4.5.1).
type DateRange struct {
	// ID is that of one range only, for ever; Class and Value say what it is.
	ID, Class, Value string
	// Start is the date of the first frame that it holds for.
	Start time.Time
	// End is the date of the first frame that it holds for no more; zero while that is not known.
	End time.Time
}

// RangeSet is all date ranges that a playlist may have to tell of, in the order of their beginnings. Those that ended before
// the playlist's first segment are among them for a while, so that delta updates can name what was removed. Immutable.
type RangeSet struct{ All []DateRange }

// Segment is a media segment, or the one that is being made. A *Segment that a Snapshot points to does not change: the
// one being made is copied for each part, sharing the parts before.
type Segment struct {
	// Gen is the generation of the stream's origin; with MSN it makes the segment's name.
	Gen int64
	// MSN is the media sequence number.
	MSN int64
	// Init that the segment's media needs.
	Init *Init
	// Start is the announced start on the rendition's own timeline: the sum of all durations before.
	Start Ticks
	// Wall is the EXT-X-PROGRAM-DATE-TIME of Start.
	Wall time.Time
	// Discontinuity tells that an EXT-X-DISCONTINUITY stands before the segment.
	Discontinuity bool
	// DiscontinuitySequence is the number of discontinuities up to and including this segment.
	DiscontinuitySequence int64
	// Parts so far.
	Parts []Part
	// Duration of all parts.
	Duration Ticks
	// Size of all parts in bytes.
	Size int
	// Complete tells that no part will follow.
	Complete bool
	// body has the bytes of all parts, as few slices as they lie in memory.
	body [][]byte
	// RemovedAt is the rendition time at which the segment left the playlist; 0 while it is listed.
	removedAt Ticks
}

// Independent tells whether decoding can start at the segment's start.
func (s *Segment) Independent() bool { return len(s.Parts) > 0 && s.Parts[0].Independent }

// Body returns the segment's bytes so far, in as few slices as they lie in memory. They are not to be changed.
func (s *Segment) Body() [][]byte { return s.body }

// Gap tells whether no part has media.
func (s *Segment) Gap() bool {
	for i := range s.Parts {
		if !s.Parts[i].Gap {
			return false
		}
	}
	return len(s.Parts) > 0
}

// Position orders parts: the part with this index in the segment with this number. Part is -1 for "the whole segment".
type Position struct {
	MSN  int64
	Part int
}

// Report is what a rendition's playlist says of another rendition.
type Report struct {
	// Rendition's name.
	Rendition string
	// Last part that the other rendition's playlist held when this one's was made.
	Last Position
}

// Snapshot is a rendition's state after one append.
type Snapshot struct {
	// Segments are all segments that can be fetched, numbered without holes. The last one may be incomplete.
	Segments []*Segment
	// Listed is the index in Segments of the first one in the playlist.
	Listed int
	// Independent tells that every listed and past segment could be decoded from its start.
	Independent bool
	// Ranges are the date ranges; nil when there never were any.
	Ranges *RangeSet
	// Amended is how often the snapshot changed since the last part, in Ranges or in what it reports on.
	Amended int
	// Reports on the other renditions: those that the presentation's variants have, once there are variants.
	Reports []Report
	// Ended tells that nothing will follow.
	Ended bool
	// NextMSN is the number of the next segment once the last one is complete.
	NextMSN int64
	// At is when the snapshot was published.
	At time.Time

	// Memo keeps what readers compute from the snapshot, once for all of them.
	Memo [MemoSlots]Memo

	rendition *Rendition
	changed   chan struct{} // closed when a newer snapshot is published
}

// MemoSlots is how many things readers may keep with a snapshot.
const MemoSlots = 4

// Memo is computed at most once.
type Memo struct {
	once  sync.Once
	value any
}

// Get returns the memo's value, computing it if nobody has.
func (m *Memo) Get(compute func() any) any {
	m.once.Do(func() { m.value = compute() })
	return m.value
}

// Changed is closed once a newer snapshot can be loaded.
func (s *Snapshot) Changed() <-chan struct{} { return s.changed }

// Rendition that the snapshot is of.
func (s *Snapshot) Rendition() *Rendition { return s.rendition }

// Open returns the segment being made; nil when there is none yet.
func (s *Snapshot) Open() *Segment {
	if n := len(s.Segments); n > 0 && !s.Segments[n-1].Complete {
		return s.Segments[n-1]
	}
	return nil
}

// Segment returns a fetchable segment by number; nil when there is none.
func (s *Snapshot) Segment(msn int64) *Segment {
	if len(s.Segments) == 0 {
		return nil
	}
	i := msn - s.Segments[0].MSN
	if i < 0 || i >= int64(len(s.Segments)) {
		return nil
	}
	return s.Segments[i]
}

// Last returns the position of the last part; false while there is none.
func (s *Snapshot) Last() (Position, bool) {
	if len(s.Segments) == 0 {
		return Position{}, false
	}
	g := s.Segments[len(s.Segments)-1]
	return Position{MSN: g.MSN, Part: len(g.Parts) - 1}, true
}

// Lag is the last part's.
func (s *Snapshot) Lag() Ticks {
	if len(s.Segments) == 0 {
		return 0
	}
	g := s.Segments[len(s.Segments)-1]
	return g.Parts[len(g.Parts)-1].Lag
}

// Next returns the position that the next part is expected to have.
func (s *Snapshot) Next() Position {
	if g := s.Open(); g != nil && !g.Parts[len(g.Parts)-1].ExpectCut {
		return Position{MSN: g.MSN, Part: len(g.Parts)}
	}
	return Position{MSN: s.NextMSN}
}

// Has tells whether a playlist of this snapshot holds p, or something later (section 6.2.5.2 of rfc8216bis: a request for
// a part beyond a segment's last is one for the first part of the next).
func (s *Snapshot) Has(p Position) bool {
	last, ok := s.Last()
	if !ok {
		return false
	}
	if last.MSN != p.MSN {
		return last.MSN > p.MSN
	}
	if s.Open() == nil {
		return p.Part < 0 || p.Part <= last.Part
	}
	return p.Part >= 0 && p.Part <= last.Part
}

// Part returns one part; false when it is not, or not any more, or not yet there.
func (s *Snapshot) Part(p Position) (Part, bool) {
	g := s.Segment(p.MSN)
	if g == nil || p.Part < 0 || p.Part >= len(g.Parts) {
		return Part{}, false
	}
	return g.Parts[p.Part], true
}

// Bytes is how much media the snapshot keeps in memory.
func (s *Snapshot) Bytes() int {
	n := 0
	for _, g := range s.Segments {
		n += g.Size
	}
	return n
}

// End is the announced time at which the last part ends.
func (s *Snapshot) End() Ticks {
	if len(s.Segments) == 0 {
		return 0
	}
	g := s.Segments[len(s.Segments)-1]
	return g.Start + g.Duration
}

// Rendition is one media playlist's worth of a presentation.
type Rendition struct {
	// Name is its element in URIs.
	Name string
	// Video tells video from audio.
	Video bool

	snap  atomic.Pointer[Snapshot]
	inits atomic.Pointer[[]*Init]
}

// Load returns the present snapshot, never nil.
func (r *Rendition) Load() *Snapshot { return r.snap.Load() }

// Init returns an initialisation section by name; nil when the rendition has none such.
func (r *Rendition) Init(name string) *Init {
	for _, i := range *r.inits.Load() {
		if i.Name == name {
			return i
		}
	}
	return nil
}
