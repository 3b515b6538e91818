package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Limits of a state.
const (
	// MaxSegments and MaxStateParts are how many segments and parts a state has at most, in all its records.
	MaxSegments   = 1 << 16
	MaxStateParts = 1 << 18
	// MaxRanges is how many date ranges are told of at most.
	MaxRanges = 1 << 13
	// MaxRenditions is how many renditions a presentation has at most.
	MaxRenditions = 256
	// maxText is the length of an attribute of a date range.
	maxText = 4096
	// stateRecord is the length from which on a state's further segments go into another record.
	stateRecord = MaxPayload / 2
)

// Part is a part without its media. The layout:
//
//	flags u8 (1 independent, 2 gap, 4 the next part is expected to begin a segment) | duration | size | lag | SHA-256 (without it for a gap)
type Part struct {
	// Size of the media in bytes and their SHA-256; 0 for a gap.
	Size int
	Sum  [32]byte
	// Duration and Lag in 1/90,000 s.
	Duration, Lag               int64
	Independent, Gap, ExpectCut bool
}

// Segment is a segment without its media.
type Segment struct {
	Gen, MSN int64
	// Init is the name of the initialisation section, whose record came before.
	Init string
	// Start in 1/90,000 s.
	Start                 int64
	Wall                  time.Time
	Discontinuity         bool
	DiscontinuitySequence int64
	Complete              bool
	// Closed is the generation that completed the segment; 0 while it is not complete.
	Closed int64
	// Parts so far; none in a Step's Begin.
	Parts []Part
}

// DateRange is a date range of a playlist (rfc8216bis 4.4.5.1). A zero End is not known.
type DateRange struct {
	ID, Class, Value string
	Start, End       time.Time
}

// Report is a rendition report: how far another rendition had come.
type Report struct {
	Rendition string
	MSN       int64
	Part      int
}

// State is a rendition's snapshot without media. It goes in one record or several, of which all but the last have FlagMore
// and no more than Segments.
type State struct {
	// Segments that can be fetched, without holes in their numbers.
	Segments []Segment
	// Listed is the number of the first one in the playlist.
	Listed int64
	// Gen and NextMSN are of the segment that comes next.
	Gen, NextMSN       int64
	Independent, Ended bool
	Amended            int
	// PartTarget in 1/90,000 s; 0 before it is known.
	PartTarget int64
	// Ranges are the date ranges; nil when there never were any, which HasRanges tells from an empty set.
	Ranges    []DateRange
	HasRanges bool
	Reports   []Report
	// At is when the origin published it, by the origin's clock.
	At time.Time
}

// Bits of flags in states and steps.
const (
	bitIndependent = 1 << iota // of a part: it starts with a key frame; of a state or step: all segments did
	bitGap
	bitExpectCut
	bitDiscontinuity
	bitComplete
	bitEnded
	bitRanges
	bitBegin
)

func bit(set bool, b uint8) uint8 {
	if set {
		return b
	}
	return 0
}

func appendPart(b []byte, p *Part) []byte {
	b = append(b, bit(p.Independent, bitIndependent)|bit(p.Gap, bitGap)|bit(p.ExpectCut, bitExpectCut))
	b = binary.AppendVarint(b, p.Duration)
	b = binary.AppendUvarint(b, uint64(p.Size))
	b = binary.AppendVarint(b, p.Lag)
	if p.Gap {
		return b
	}
	return append(b, p.Sum[:]...)
}

func (p *parser) part() Part {
	flags := p.u8("a part's flags")
	part := Part{
		Independent: flags&bitIndependent != 0, Gap: flags&bitGap != 0, ExpectCut: flags&bitExpectCut != 0,
		Duration: p.number("a part's duration"), Size: p.count(MaxPart, "a part's size"), Lag: p.number("a part's lag"),
	}
	if !part.Gap {
		copy(part.Sum[:], p.take(32, "a part's SHA-256"))
	}
	if part.Duration < 0 || part.Lag < 0 || flags&^(bitIndependent|bitGap|bitExpectCut) != 0 || part.Gap != (part.Size == 0) {
		p.fail("a part that cannot be")
	}
	return part
}

func appendSegment(b []byte, s *Segment) []byte {
	b = append(b, bit(s.Discontinuity, bitDiscontinuity)|bit(s.Complete, bitComplete))
	b = binary.AppendVarint(b, s.Gen)
	b = binary.AppendVarint(b, s.MSN)
	b = binary.AppendVarint(b, s.Closed)
	b = appendText(b, s.Init)
	b = binary.AppendVarint(b, s.Start)
	b = appendTime(b, s.Wall)
	b = binary.AppendVarint(b, s.DiscontinuitySequence)
	b = binary.AppendUvarint(b, uint64(len(s.Parts)))
	for i := range s.Parts {
		b = appendPart(b, &s.Parts[i])
	}
	return b
}

func (p *parser) segment() Segment {
	flags := p.u8("a segment's flags")
	s := Segment{
		Discontinuity: flags&bitDiscontinuity != 0, Complete: flags&bitComplete != 0,
		Gen: p.number("a segment's generation"), MSN: p.number("a segment's number"), Closed: p.number("a segment's last generation"),
		Init: p.text(maxName, "a section's name"), Start: p.number("a segment's start"), Wall: p.time("a segment's date"),
		DiscontinuitySequence: p.number("a discontinuity's number"),
	}
	n := p.count(MaxParts, "the number of parts")
	if s.Gen < 0 || s.MSN < 0 || s.Closed < 0 || s.Start < 0 || s.DiscontinuitySequence < 0 || flags&^(bitDiscontinuity|bitComplete) != 0 || n > len(p.b) {
		p.fail("a segment that cannot be")
		return Segment{}
	}
	if n > 0 {
		s.Parts = make([]Part, n) // a part has more than one byte: no more is allocated than fifty times what came
		for i := range s.Parts {
			s.Parts[i] = p.part()
		}
	}
	return s
}

func appendRanges(b []byte, ranges []DateRange) []byte {
	b = binary.AppendUvarint(b, uint64(len(ranges)))
	for i := range ranges {
		d := &ranges[i]
		b = appendText(appendText(appendText(b, d.ID), d.Class), d.Value)
		b = appendTime(appendTime(b, d.Start), d.End)
	}
	return b
}

func (p *parser) ranges() []DateRange {
	n := p.count(MaxRanges, "the number of date ranges")
	if n > len(p.b) {
		p.fail("the date ranges are cut off")
	}
	var all []DateRange
	for range n {
		if p.err != nil {
			return nil
		}
		all = append(all, DateRange{
			ID: p.text(maxText, "a date range's ID"), Class: p.text(maxText, "a date range's class"), Value: p.text(maxText, "a date range's value"),
			Start: p.time("a date range's start"), End: p.time("a date range's end"),
		})
	}
	return all
}

func appendReports(b []byte, reports []Report) []byte {
	b = binary.AppendUvarint(b, uint64(len(reports)))
	for i := range reports {
		b = appendText(b, reports[i].Rendition)
		b = binary.AppendVarint(b, reports[i].MSN)
		b = binary.AppendVarint(b, int64(reports[i].Part))
	}
	return b
}

func (p *parser) reports() []Report {
	n := p.count(MaxRenditions, "the number of reports")
	if n == 0 {
		return nil
	}
	all := make([]Report, n)
	for i := range all {
		all[i].Rendition, all[i].MSN = p.text(maxName, "a rendition's name"), p.number("a report's segment")
		part := p.number("a report's part")
		if part < -1 || part >= MaxParts {
			p.fail("a report's part that cannot be")
		}
		all[i].Part = int(part)
	}
	return all
}

// AppendState appends a state's records. The error is ErrTooLong.
func AppendState(b []byte, s *State) ([]byte, error) {
	from, segments, err := len(b), s.Segments, error(nil)
	for {
		start, n := len(b), 0
		b = begin(b, TypeState, FlagMore)
		var body []byte
		for n < len(segments) && len(body) < stateRecord {
			body = appendSegment(body, &segments[n])
			n++
		}
		b = append(binary.AppendUvarint(b, uint64(n)), body...)
		segments = segments[n:]
		if len(segments) == 0 {
			b[start+5] = 0
			b = appendStateEnd(b, s)
		}
		if b, err = finish(b, start); err != nil {
			return b[:from], err
		}
		if len(segments) == 0 {
			return b, nil
		}
	}
}

func appendStateEnd(b []byte, s *State) []byte {
	b = append(b, bit(s.Independent, bitIndependent)|bit(s.Ended, bitEnded)|bit(s.HasRanges, bitRanges))
	b = binary.AppendVarint(b, s.Listed)
	b = binary.AppendVarint(b, s.Gen)
	b = binary.AppendVarint(b, s.NextMSN)
	b = binary.AppendVarint(b, s.PartTarget)
	b = binary.AppendUvarint(b, uint64(s.Amended))
	b = appendTime(b, s.At)
	if s.HasRanges {
		b = appendRanges(b, s.Ranges)
	}
	return appendReports(b, s.Reports)
}

// maxAmended is how often a snapshot may change without a part: far more than it ever does.
const maxAmended = 1 << 30

// Parse reads one record of a state into s, behind what the records before it gave. It is whole when more is false. A state
// that was parsed is plausible in itself: segments without holes in their numbers, an open one at the end only.
func (s *State) Parse(r Record) (more bool, err error) {
	p := parser{b: r.Payload}
	n := p.count(MaxSegments-len(s.Segments), "the number of segments")
	parts := 0
	for i := range s.Segments {
		parts += len(s.Segments[i].Parts)
	}
	for i := 0; i < n && p.err == nil; i++ {
		g := p.segment()
		parts += len(g.Parts)
		if parts > MaxStateParts {
			return false, fmt.Errorf("%w: a state with more than %d parts", ErrTooLong, MaxStateParts)
		}
		if k := len(s.Segments); k > 0 && (g.MSN != s.Segments[k-1].MSN+1 || !s.Segments[k-1].Complete || g.Gen < s.Segments[k-1].Gen) || len(g.Parts) == 0 {
			p.fail("segments that do not follow one another")
		}
		s.Segments = append(s.Segments, g)
	}
	if r.Flags&FlagMore != 0 {
		if n == 0 {
			p.fail("a state's record without a segment")
		}
		return true, p.done()
	}
	flags := p.u8("a state's flags")
	s.Independent, s.Ended, s.HasRanges = flags&bitIndependent != 0, flags&bitEnded != 0, flags&bitRanges != 0
	s.Listed, s.Gen, s.NextMSN = p.number("the first segment"), p.number("the generation"), p.number("the next segment")
	s.PartTarget = p.number("the part target")
	s.Amended, s.At = p.count(maxAmended, "the number of amendments"), p.time("a state's date")
	if s.HasRanges {
		s.Ranges = p.ranges()
	}
	s.Reports = p.reports()
	if k := len(s.Segments); p.err == nil && k > 0 {
		if s.Listed < s.Segments[0].MSN || s.Listed > s.Segments[k-1].MSN || s.NextMSN != s.Segments[k-1].MSN+1 {
			p.fail("a state whose first or next segment cannot be")
		}
	}
	return false, p.done()
}
