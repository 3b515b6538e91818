package window

import (
	"slices"
	"sync/atomic"
	"time"
)

// Settings of a presentation, fixed for its life.
type Settings struct {
	// TargetDuration is the EXT-X-TARGETDURATION in whole seconds.
	TargetDuration int
	// DVR is how much media the playlists list.
	DVR time.Duration
	// FirstMSN is the media sequence number of the first segment.
	FirstMSN int64
	// Gen is the generation of the stream's first origin (Presentation.Gen is that of the present one).
	Gen int64
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Presentation is one show's renditions.
//
// Its writer methods are for one goroutine at a time; Load is for everyone.
type Presentation struct {
	// Stream's name.
	Stream string
	// Settings as made.
	Settings Settings

	// state that readers see
	view atomic.Pointer[View]
	gen  atomic.Int64
	copy atomic.Bool
	// regressed is told of what must not happen; nil is nobody.
	regressed atomic.Pointer[func()]
	// fresh tells that the variants were measured since the first one's rendition completed a segment; for the writer alone.
	fresh bool
}

// NewPresentation makes an empty presentation.
func NewPresentation(stream string, s Settings) *Presentation {
	if s.Now == nil {
		s.Now = time.Now
	}
	p := &Presentation{Stream: stream, Settings: s}
	p.gen.Store(s.Gen)
	p.view.Store(&View{Memo: new(Memo), changed: make(chan struct{})})
	return p
}

// Gen is the generation of the origin at present: on a copy, the highest that was adopted or applied. It is for everyone.
func (p *Presentation) Gen() int64 { return p.gen.Load() }

// Copied tells that the presentation is a copy: another node's writer decides what comes. It is for everyone.
func (p *Presentation) Copied() bool { return p.copy.Load() }

// OnRegress has f called each time that a rendition's last part has a lower position than the one before: never, unless the program has
// a fault. It is for everyone; f must not block.
func (p *Presentation) OnRegress(f func()) { p.regressed.Store(&f) }

// Load returns the present view, never nil.
func (p *Presentation) Load() *View { return p.view.Load() }

// update publishes a changed copy of the view.
func (p *Presentation) update(change func(*View)) {
	old := p.view.Load()
	v := *old
	v.Memo, v.changed = new(Memo), make(chan struct{})
	change(&v)
	p.view.Store(&v)
	close(old.changed)
}

// AddRendition makes a rendition, whose first segment will have the number firstMSN.
func (p *Presentation) AddRendition(name string, video bool, firstMSN int64) *Rendition {
	r := newRendition(name, video, &Snapshot{NextMSN: firstMSN, Gen: p.Gen(), Independent: true})
	p.update(func(v *View) { v.Renditions = append(slices.Clone(v.Renditions), r) })
	return r
}

func newRendition(name string, video bool, s *Snapshot) *Rendition {
	r := &Rendition{Name: name, Video: video}
	r.inits.Store(&[]*Init{})
	s.rendition, s.tail = r, &tail{changed: make(chan struct{})}
	r.snap.Store(s)
	return r
}

// Unaligned takes back that a rendition's segments begin with key frames, before it has one.
func (p *Presentation) Unaligned(r *Rendition) {
	old := r.snap.Load()
	s := p.next(r, old)
	s.Independent = false
	p.publish(r, old, s)
}

// SetVariants says how the renditions go together; it measures what they take. On those that are not, or no more, among the
// variants the others report nothing.
func (p *Presentation) SetVariants(variants []Variant) {
	variants = slices.Clone(variants)
	measure(variants)
	p.fresh = false
	p.update(func(v *View) { v.Variants = variants })
	for _, r := range p.view.Load().Renditions {
		old := r.snap.Load()
		if len(old.Segments) == 0 || old.Ended {
			continue
		}
		s := p.next(r, old)
		same := slices.EqualFunc(s.Reports, old.Reports, func(a, b Report) bool { return a.Rendition == b.Rendition })
		if !same {
			s.Amended = old.Amended + 1
			p.publish(r, old, s)
		}
	}
}

// SetPartTarget fixes the PART-TARGET.
func (p *Presentation) SetPartTarget(t Ticks) {
	p.update(func(v *View) { v.PartTarget = t })
}

// AddInit gives a rendition another initialisation section, to be used by the next segment that begins, and returns it:
// the one that is there already when it has the same name.
func (p *Presentation) AddInit(r *Rendition, i *Init) *Init {
	all := slices.Clone(*r.inits.Load())
	if at := slices.IndexFunc(all, func(o *Init) bool { return o.Name == i.Name }); at >= 0 {
		i = all[at]
		all = slices.Delete(all, at, at+1)
	}
	all = append(all, i) // the last one stays, whether a segment uses it yet or not
	r.inits.Store(&all)
	return i
}

// forgetInits drops the initialisation sections that no segment needs any more.
func (r *Rendition) forgetInits(s *Snapshot) {
	old := *r.inits.Load()
	if len(old) < 2 {
		return
	}
	used := map[*Init]bool{old[len(old)-1]: true}
	for _, g := range s.Segments {
		used[g.Init] = true
	}
	for _, g := range s.aside {
		used[g.Init] = true
	}
	all := slices.DeleteFunc(slices.Clone(old), func(i *Init) bool { return !used[i] })
	if len(all) < len(old) {
		r.inits.Store(&all)
	}
}

// Append adds a part to a rendition. With begin, the part is the first of a new segment, of which begin gives Init, Wall,
// Discontinuity and DiscontinuitySequence; the segment before is completed. The part's Size is that of its Data.
//
// Where part.Data has capacity beyond its length, the next part's bytes may follow there in memory: Segment.Body then has
// them in one piece.
func (p *Presentation) Append(r *Rendition, part Part, begin *Segment) {
	old := r.snap.Load()
	part.Size, part.Sum = len(part.Data), [32]byte{}
	s := p.next(r, old)
	s.Amended = 0
	if part.Ranges != nil {
		s.Ranges = part.Ranges
	}
	if begin == nil {
		s.extend(old.Segments, part)
	} else {
		g := Segment{
			Gen: s.Gen, MSN: old.NextMSN, Init: begin.Init, Start: old.End(), Wall: begin.Wall,
			Discontinuity: begin.Discontinuity, DiscontinuitySequence: begin.DiscontinuitySequence,
		}
		s.begin(old, &g, part)
		if !part.Independent && !part.Gap {
			s.Independent = false
		}
		p.trim(s)
	}
	p.publish(r, old, s)
	if len(old.Segments) == 0 {
		p.introduce(r)
	}
	if begin != nil && old.Open() != nil {
		p.measured(r)
	}
}

// extend adds a part to the last one of the given segments.
func (s *Snapshot) extend(segments []*Segment, part Part) {
	data := part.Data
	part.Data = slices.Clip(data)
	g := *segments[len(segments)-1]
	g.body = g.bodyWith(&part, data)
	g.Parts = append(g.Parts, part)
	g.Duration += part.Duration
	g.Size += part.Size
	s.Segments = slices.Clone(segments)
	s.Segments[len(segments)-1] = &g
}

// begin adds a segment, of its first part, to those of the snapshot before, of which the last is completed.
func (s *Snapshot) begin(old *Snapshot, g *Segment, part Part) {
	data := part.Data
	part.Data = slices.Clip(data)
	segments := old.Segments
	if old.Open() != nil {
		segments = completed(segments, s.Gen)
	}
	g.body = g.bodyWith(&part, data)
	g.Parts = append(make([]Part, 0, 16), part)
	g.Duration, g.Size = part.Duration, part.Size
	s.Segments = append(slices.Clip(segments), g)
	s.NextMSN = g.MSN + 1
}

// bodyWith returns the segment's body with one more part, whose data may have capacity beyond their length.
func (g *Segment) bodyWith(part *Part, data []byte) [][]byte {
	if part.Absent() || len(g.body) == 0 && g.Absent() {
		return nil
	}
	return joined(g.body, data)
}

// SetRanges gives a rendition other date ranges without a part, when there may be no more parts.
func (p *Presentation) SetRanges(r *Rendition, set *RangeSet) {
	old := r.snap.Load()
	if old.Ended || len(old.Segments) == 0 {
		return
	}
	s := p.next(r, old)
	s.Ranges, s.Amended = set, old.Amended+1
	p.publish(r, old, s)
}

// RemovedFor is for how long date ranges are remembered that ended before the first segment listed, so that a delta update
// can tell of them: longer than such an update reaches back, and than most absences of a publisher.
func (s *Settings) RemovedFor() time.Duration {
	return 20 * time.Duration(s.TargetDuration) * time.Second
}

// joined returns a segment's pieces with more bytes at the end: in the last piece, where they follow it in memory, else as
// another one. The slice that was given stays as it is, since older snapshots have it.
func joined(pieces [][]byte, data []byte) [][]byte {
	if len(data) == 0 {
		return pieces
	}
	if n := len(pieces); n > 0 {
		if last := pieces[n-1]; len(last)+len(data) <= cap(last) {
			if longer := last[:len(last)+len(data)]; &longer[len(last)] == &data[0] {
				pieces = slices.Clone(pieces)
				pieces[n-1] = longer
				return pieces
			}
		}
	}
	return append(slices.Clip(pieces), data)
}

// measured brings the variants' figures up to date when a rendition has completed a segment: once all that are listed have, or
// when the first variant's has the next one while others stay behind. That is once a segment, since it wakes whoever waits for a
// newer view.
func (p *Presentation) measured(r *Rendition) {
	v := p.view.Load()
	if len(v.Variants) == 0 {
		return
	}
	switch n := r.Load().whole(); {
	case !slices.ContainsFunc(v.Renditions, func(o *Rendition) bool { return o.Load().whole() < n && lists(v.Variants, o) }):
		p.fresh = true
	case v.Variants[0].Video != r:
		return
	case p.fresh:
		p.fresh = false
		return
	}
	variants := slices.Clone(v.Variants)
	if measure(variants) {
		p.update(func(v *View) { v.Variants = variants })
	}
}

// introduce lets the other renditions report on one that has just got its first part.
func (p *Presentation) introduce(r *Rendition) {
	for _, o := range p.view.Load().Renditions {
		if old := o.snap.Load(); o != r && len(old.Segments) > 0 {
			if s := p.next(o, old); len(s.Reports) != len(old.Reports) {
				p.publish(o, old, s)
			}
		}
	}
}

// Complete marks a rendition's last segment complete ahead of the next one's first part.
func (p *Presentation) Complete(r *Rendition) {
	old := r.snap.Load()
	if old.Open() == nil {
		return
	}
	s := p.next(r, old)
	s.Segments = completed(old.Segments, s.Gen)
	p.publish(r, old, s)
	p.measured(r)
}

// End completes everything and closes the presentation. It may be called on a copy whose origin is gone for good.
func (p *Presentation) End() {
	for _, r := range p.view.Load().Renditions {
		old := r.snap.Load()
		s := p.next(r, old)
		if old.Open() != nil {
			s.Segments = completed(old.Segments, s.Gen)
		}
		s.Ended = true
		p.publish(r, old, s)
	}
	p.update(func(v *View) { v.Ended = true })
}

// completed returns the segments with the last one completed by the origin of a generation.
func completed(segments []*Segment, gen int64) []*Segment {
	segments = slices.Clone(segments)
	g := *segments[len(segments)-1]
	g.Complete, g.Closed = true, gen
	segments[len(segments)-1] = &g
	return segments
}

// next makes the successor of a snapshot, with reports on the other renditions as they are now.
func (p *Presentation) next(r *Rendition, old *Snapshot) *Snapshot {
	s := &Snapshot{
		Segments: old.Segments, Listed: old.Listed, Independent: old.Independent, NextMSN: old.NextMSN, Ended: old.Ended,
		Ranges: old.Ranges, Amended: old.Amended, Gen: p.Gen(),
		rendition: r, filled: old.filled, aside: old.aside, tail: &tail{changed: make(chan struct{})},
	}
	v := p.view.Load()
	s.PartTarget = v.PartTarget
	all := v.Renditions
	if len(all) < 2 {
		return s
	}
	s.Reports = make([]Report, 0, len(all)-1)
	for _, o := range all {
		if o == r || len(v.Variants) > 0 && !lists(v.Variants, o) {
			continue
		}
		if last, ok := o.Load().Last(); ok {
			s.Reports = append(s.Reports, Report{Rendition: o.Name, Last: last})
		}
	}
	return s
}

// publish makes s the successor of old.
func (p *Presentation) publish(r *Rendition, old, s *Snapshot) {
	s.At = p.Settings.Now()
	if before, ok := old.Last(); ok {
		if last, ok := s.Last(); !ok || last.MSN < before.MSN || last.MSN == before.MSN && last.Part < before.Part {
			if f := p.regressed.Load(); f != nil {
				(*f)()
			}
		}
	}
	if n := len(s.Segments); n > 0 && (len(old.Segments) == 0 || s.Segments[0] != old.Segments[0]) {
		first := s.Segments[0].MSN
		s.aside = slices.DeleteFunc(slices.Clone(s.aside), func(g *Segment) bool { return g.MSN < first })
		r.forgetInits(s)
	}
	r.snap.Store(s)
	old.next.Store(s)
	close(old.changed)
}
