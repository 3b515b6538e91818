package window

import (
	"sync"
	"sync/atomic"
	"time"
)

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
	// Amended is how often the snapshot changed since the last part, in Ranges, in what it reports on, or in Gen.
	Amended int
	// Reports on the other renditions: those that the presentation's variants have, once there are variants.
	Reports []Report
	// Ended tells that nothing will follow.
	Ended bool
	// NextMSN is the number of the next segment once the last one is complete.
	NextMSN int64
	// Gen is the generation of the origin, and of the segment that comes next.
	Gen int64
	// PartTarget is the presentation's PART-TARGET; 0 before it is known.
	PartTarget Ticks
	// At is when the snapshot was published, by the clock of the node that published it.
	At time.Time

	*tail // nil in a snapshot that was not published

	rendition *Rendition
	filled    chan struct{} // closed when bytes of absent parts have come; nil on an origin
	adopted   bool          // no step leads to it from the one before
	aside     []*Segment    // see Aside
}

// tail is what a snapshot shares with those that differ from it only in which bytes are there: they stand at the same place in
// the chain, and render the same. Nothing in it points to an older snapshot, or none would ever be forgotten.
type tail struct {
	// Memo keeps what readers compute from the snapshot, once for all of them: what depends on all but the parts' Data.
	Memo [MemoSlots]Memo

	changed chan struct{} // closed when a newer snapshot is published
	next    atomic.Pointer[Snapshot]
}

// MemoSlots is how many things readers may keep with a snapshot: the first three are for playlists, MemoStep is for the relay.
const MemoSlots = 4

// MemoStep is the slot of Memo for what leads to a snapshot from the one before.
const MemoStep = 3

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

// Successor is the snapshot that was published next; nil until Changed is closed. Who holds a snapshot keeps all that follow it
// in memory: a reader that is far behind should rather load the newest.
func (s *Snapshot) Successor() *Snapshot { return s.next.Load() }

// Filled is closed once bytes of a part have come that was absent when the snapshot was loaded: who waits for them loads the
// rendition's snapshot again. It is nil, and never ready, on an origin.
func (s *Snapshot) Filled() <-chan struct{} { return s.filled }

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

// Aside are segments that are in the rendition no more, since another origin has gone on from an earlier position than the one
// before got to, or has cut them short. What has been told of them stays fetchable for as long as their numbers are.
func (s *Snapshot) Aside() []*Segment { return s.aside }

// whole is the number of the last complete segment; -1 while there is none.
func (s *Snapshot) whole() int64 {
	for i := len(s.Segments) - 1; i >= 0; i-- {
		if g := s.Segments[i]; g.Complete {
			return g.MSN
		}
	}
	return -1
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
	for _, list := range [...][]*Segment{s.Segments, s.aside} {
		for _, g := range list {
			for i := range g.Parts {
				n += len(g.Parts[i].Data)
			}
		}
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
