// Package window holds a live presentation: for each rendition an append-only log of parts, of which the last stretch is
// listed in playlists and a further stretch stays fetchable.
//
// One goroutine at a time writes. Readers never lock: each append publishes a new immutable Snapshot, and a reader keeps
// the one it has loaded for as long as it likes. Bytes that were published are never changed.
package window

import "time"

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
	// Data is moof and mdat; nil for a gap, and where the part is absent. Where it has capacity beyond its length when it is handed
	// over, the next part's bytes may follow there in memory.
	Data []byte
	// Size of the media in bytes: that of Data where it is there. 0 for a gap.
	Size int
	// Sum is the media's SHA-256 where it is known: on copies always, zero on the origin.
	Sum [32]byte
	// Duration as announced.
	Duration Ticks
	// Independent tells that the part starts with a key frame.
	Independent bool
	// Gap tells that there is no media for this stretch of time.
	Gap bool
	// ExpectCut tells that the next part is expected to begin a segment. It is for preload hints; it may be wrong.
	ExpectCut bool
	// Ranges are the date ranges from this part on; nil where they are as before it, and in the parts of a state that was adopted.
	Ranges *RangeSet
	// Lag is how much further than usual players should stay behind the end of the playlist from this part on, for the sake of
	// renditions that come later than others: whole part targets; 0 where all come at once. With the part it goes wherever the
	// log is copied to.
	Lag Ticks
}

// Absent tells that the part has media, of which a copy does not have the bytes yet.
func (p *Part) Absent() bool { return p.Data == nil && !p.Gap && p.Size > 0 }

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
	// Gen is the generation of the stream's origin that made the parts; with MSN it makes their names.
	Gen int64
	// Closed is the generation of the origin that completed the segment; with MSN it makes the whole segment's name. 0 while it is
	// not complete. It is another than Gen where an origin was lost in mid-segment: what the lost one may have given out under the
	// segment's name could be longer.
	Closed int64
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
	// Size of all parts in bytes, absent ones too.
	Size int
	// Complete tells that no part will follow.
	Complete bool
	// body has the bytes of all parts, as few slices as they lie in memory; nil while a part is absent.
	body [][]byte
}

// NameGen is the generation in the whole segment's name: once it is complete, that of the origin that completed it.
func (s *Segment) NameGen() int64 {
	if s.Closed != 0 {
		return s.Closed
	}
	return s.Gen
}

// Independent tells whether decoding can start at the segment's start.
func (s *Segment) Independent() bool { return len(s.Parts) > 0 && s.Parts[0].Independent }

// Body returns the segment's bytes so far, in as few slices as they lie in memory. They are not to be changed. It is nil while
// the segment is Absent.
func (s *Segment) Body() [][]byte { return s.body }

// Absent tells whether a copy does not have all of the segment's bytes yet.
func (s *Segment) Absent() bool {
	for i := range s.Parts {
		if s.Parts[i].Absent() {
			return true
		}
	}
	return false
}

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
