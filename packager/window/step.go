package window

import (
	"slices"
	"time"
)

// Step is the difference between a snapshot and its successor: all that a copy needs to have the one, once it has the other.
type Step struct {
	// Begin is the segment that the part is the first of. Of it Gen, MSN, Init, Start, Wall, Discontinuity and
	// DiscontinuitySequence count. nil: the part continues the last segment.
	Begin *Segment
	// Part that came; nil: none did, and only something else has changed.
	Part *Part
	// Last is the position of the last part after the step, for a check; zero while there is none.
	Last Position
	// Complete tells that the last segment is complete after the step.
	Complete bool
	// Ranges is the snapshot's set after the step where it is another than before; else nil.
	Ranges *RangeSet
	// Reports, Amended, Independent and Ended are the snapshot's after the step.
	Reports            []Report
	Amended            int
	Independent, Ended bool
	// Listed is the media sequence number of the first listed segment after the step, for a check; 0 while there is none.
	Listed int64
	// NextMSN, Gen and PartTarget are the snapshot's after the step.
	NextMSN, Gen int64
	PartTarget   Ticks
	// At is when the origin published the snapshot, by the origin's clock; on a copy of a copy, when that one did.
	At time.Time
}

// Diff returns the step from a snapshot to its successor. It is false where new is not the successor of old, or where no step
// leads there, because new is a whole state that was adopted: a copy of it has to adopt it too.
//
// What it returns points into new.
func Diff(old, new *Snapshot) (Step, bool) {
	if new.adopted || old.tail != nil && new.tail != nil && !new.follows(old) {
		return Step{}, false
	}
	st := Step{
		Complete: len(new.Segments) > 0 && new.Open() == nil, Reports: new.Reports, Amended: new.Amended,
		Independent: new.Independent, Ended: new.Ended, NextMSN: new.NextMSN, Gen: new.Gen, PartTarget: new.PartTarget, At: new.At,
		Listed: new.listed(),
	}
	if new.Ranges != old.Ranges {
		st.Ranges = new.Ranges
	}
	last, any := new.Last()
	if !any {
		return st, true
	}
	st.Last = last
	before, had := old.Last()
	if had && last == before {
		return st, true
	}
	g := new.Segments[len(new.Segments)-1]
	st.Part = &g.Parts[last.Part]
	if !had || last.MSN != before.MSN {
		st.Begin = g
	}
	return st, true
}

// follows tells whether s, or what differs from it in present bytes only, is the successor of old.
func (s *Snapshot) follows(old *Snapshot) bool {
	next := old.next.Load()
	return next != nil && next.tail == s.tail
}

// listed is the number of the first segment that is listed; 0 while there is none.
func (s *Snapshot) listed() int64 {
	if len(s.Segments) == 0 {
		return 0
	}
	return s.Segments[s.Listed].MSN
}

// mark orders the snapshots of one chain, and tells apart those that render differently.
type mark struct {
	last     Position
	has      bool
	complete bool
	amended  int
	reports  int
	ended    bool
	made     int64 // generation of the last part
	gen      int64
}

func (s *Snapshot) mark() mark {
	m := mark{amended: s.Amended, reports: len(s.Reports), ended: s.Ended, gen: s.Gen}
	if m.last, m.has = s.Last(); m.has {
		g := s.Segments[len(s.Segments)-1]
		m.complete, m.made = g.Complete, g.Gen
	}
	return m
}

// before tells whether a is an earlier state than b.
func (a mark) before(b mark) bool {
	switch {
	case a.gen != b.gen && a.gen < b.gen, b.ended && !a.ended, b.has && !a.has:
		return true
	case a.last != b.last:
		return a.last.MSN < b.last.MSN || a.last.MSN == b.last.MSN && a.last.Part < b.last.Part
	case a.complete != b.complete:
		return b.complete
	case a.gen != b.gen:
		return false
	case a.amended != b.amended:
		return a.amended < b.amended
	}
	return a.reports < b.reports
}

// Apply takes a copy's rendition one step further. The step's part has Size and Sum, and Data that were held against them, or no
// Data where they are to be filled in later.
//
// Its errors wrap ErrMismatch when the step does not lead on from the present snapshot: nothing has changed then, and the caller
// adopts a whole state.
func (p *Presentation) Apply(r *Rendition, st Step) error {
	old := r.snap.Load()
	if err := st.fits(old); err != nil {
		return err
	}
	s := &Snapshot{
		Segments: old.Segments, Listed: old.Listed, Independent: st.Independent, NextMSN: old.NextMSN, Ended: st.Ended,
		Ranges: old.Ranges, Amended: st.Amended, Reports: st.Reports, Gen: st.Gen, PartTarget: st.PartTarget,
		rendition: r, filled: old.filled, aside: old.aside, tail: &tail{changed: make(chan struct{})},
	}
	if st.Ranges != nil {
		s.Ranges = st.Ranges
	}
	if s.filled == nil {
		s.filled = make(chan struct{}) // it was an origin so far
	}
	var inits []*Init
	if st.Part != nil {
		part := *st.Part
		part.Ranges = st.Ranges
		if part.Data != nil {
			part.Size = len(part.Data)
		}
		if b := st.Begin; b == nil {
			s.extend(old.Segments, part)
		} else {
			g := Segment{
				Gen: b.Gen, MSN: b.MSN, Start: b.Start, Wall: b.Wall,
				Discontinuity: b.Discontinuity, DiscontinuitySequence: b.DiscontinuitySequence,
			}
			g.Init, inits = r.intern(b.Init)
			s.begin(old, &g, part)
			p.trim(s)
		}
	}
	if st.Complete && s.Open() != nil {
		s.Segments = completed(s.Segments, st.Gen)
	}
	if s.listed() != st.Listed || s.NextMSN != st.NextMSN {
		return mismatch("it would list segments from %d on and go on with %d, the origin does with %d and %d", s.listed(), s.NextMSN, st.Listed, st.NextMSN)
	}
	r.keep(inits)
	p.raise(st.Gen)
	p.publish(r, old, s)
	return nil
}

// fits tells why a step cannot be taken from a snapshot; nil when it can.
func (st *Step) fits(old *Snapshot) error {
	last, has := old.Last()
	switch {
	case old.Ended:
		return mismatch("the rendition has ended")
	case st.Gen < old.Gen:
		return mismatch("it is of generation %d, after %d", st.Gen, old.Gen)
	case st.Part == nil && (st.Begin != nil || st.Last != last):
		return mismatch("no part leads from %d.%d to %d.%d", last.MSN, last.Part, st.Last.MSN, st.Last.Part)
	case st.Part == nil:
		return nil
	case st.Part.Duration <= 0:
		return mismatch("a part lasts %d", st.Part.Duration)
	case st.Part.Data != nil && st.Part.Size != 0 && len(st.Part.Data) != st.Part.Size:
		return mismatch("a part has %d bytes and says %d", len(st.Part.Data), st.Part.Size)
	case st.Begin == nil && (!has || old.Open() == nil || st.Last != Position{last.MSN, last.Part + 1}):
		return mismatch("part %d.%d does not follow %d.%d", st.Last.MSN, st.Last.Part, last.MSN, last.Part)
	case st.Begin != nil && (st.Begin.MSN != old.NextMSN || st.Last != Position{MSN: st.Begin.MSN} || st.Begin.Start != old.End()):
		return mismatch("segment %d at %d does not follow; %d at %d would", st.Begin.MSN, st.Begin.Start, old.NextMSN, old.End())
	case st.Begin != nil && st.Begin.Gen != st.Gen, st.Begin == nil && old.Open().Gen != st.Gen:
		return mismatch("a part of generation %d is in a segment of another", st.Gen)
	}
	return nil
}

// intern returns the initialisation section that the rendition has under the same name, else in itself, and all with it as the
// last one.
func (r *Rendition) intern(in *Init) (*Init, []*Init) {
	if in == nil {
		return nil, nil
	}
	all := slices.Clone(*r.inits.Load())
	if at := slices.IndexFunc(all, func(o *Init) bool { return o.Name == in.Name }); at >= 0 {
		in = all[at]
		all = slices.Delete(all, at, at+1)
	}
	return in, append(all, in)
}

// keep makes inits those of the rendition; nil leaves them.
func (r *Rendition) keep(inits []*Init) {
	if inits != nil {
		r.inits.Store(&inits)
	}
}

// raise notes a generation that was told.
func (p *Presentation) raise(gen int64) {
	if gen > p.gen.Load() {
		p.gen.Store(gen)
	}
}
