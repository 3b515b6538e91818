package wire

import (
	"encoding/binary"
	"time"
)

// Step is what makes a snapshot the next one. The media of its part came in front of it, but with FlagAbsent.
type Step struct {
	// Begin is the segment that the part begins, without parts; nil: the part continues the last one.
	Begin *Segment
	// Part that came; nil: none did.
	Part *Part
	// MSN and Index are the position of the last part after the step; 0 while there is none.
	MSN   int64
	Index int
	// Complete tells that the last segment is complete after the step.
	Complete bool
	// Ranges are the date ranges from now on, when HasRanges tells that they are others than before.
	Ranges             []DateRange
	HasRanges          bool
	Reports            []Report
	Amended            int
	Independent, Ended bool
	// Listed is the number of the first segment in the playlist after the step.
	Listed int64
	// Gen and NextMSN are of the segment that comes next.
	Gen, NextMSN int64
	// PartTarget in 1/90,000 s; 0 before it is known.
	PartTarget int64
	// At is when the origin published the snapshot, by the origin's clock.
	At time.Time
}

// bitPart of a step tells that there is a part.
const bitPart = bitGap

// AppendStep appends the record. The error is ErrTooLong.
func AppendStep(b []byte, s *Step, flags uint8) ([]byte, error) {
	from := len(b)
	b = append(begin(b, TypeStep, flags), bit(s.Independent, bitIndependent)|bit(s.Part != nil, bitPart)|bit(s.Begin != nil, bitBegin)|
		bit(s.Complete, bitComplete)|bit(s.HasRanges, bitRanges)|bit(s.Ended, bitEnded))
	if s.Begin != nil {
		b = appendSegment(b, s.Begin)
	}
	if s.Part != nil {
		b = appendPart(b, s.Part)
	}
	for _, n := range [...]int64{s.MSN, int64(s.Index), s.Listed, s.Gen, s.NextMSN, s.PartTarget} {
		b = binary.AppendVarint(b, n)
	}
	b = appendTime(binary.AppendUvarint(b, uint64(s.Amended)), s.At)
	if s.HasRanges {
		b = appendRanges(b, s.Ranges)
	}
	return finish(appendReports(b, s.Reports), from)
}

// ParseStep reads a step. FlagAbsent is among the record's flags.
func ParseStep(payload []byte) (*Step, error) {
	p := parser{b: payload}
	flags := p.u8("a step's flags")
	s := &Step{
		Independent: flags&bitIndependent != 0, Complete: flags&bitComplete != 0, HasRanges: flags&bitRanges != 0, Ended: flags&bitEnded != 0,
	}
	if flags&bitBegin != 0 {
		g := p.segment()
		s.Begin = &g
	}
	if flags&bitPart != 0 {
		part := p.part()
		s.Part = &part
	}
	s.MSN = p.number("a step's segment")
	index := p.number("a step's part")
	s.Listed, s.Gen, s.NextMSN = p.number("the first segment"), p.number("the generation"), p.number("the next segment")
	s.PartTarget = p.number("the part target")
	s.Amended, s.At = p.count(maxAmended, "the number of amendments"), p.time("a step's date")
	if s.HasRanges {
		s.Ranges = p.ranges()
	}
	s.Reports = p.reports()
	s.Index = int(index)
	switch {
	case index < 0 || index >= MaxParts || s.Begin != nil && (s.Part == nil || len(s.Begin.Parts) > 0 || s.Begin.MSN != s.MSN || index != 0),
		flags&(bitExpectCut|bitDiscontinuity) != 0:
		p.fail("a step that cannot be")
	}
	if err := p.done(); err != nil {
		return nil, err
	}
	return s, nil
}
