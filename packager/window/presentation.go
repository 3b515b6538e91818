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
	// Gen is the generation of the stream's origin.
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
}

// View is what a presentation consists of at one moment: immutable.
type View struct {
	// Renditions in the order of their making.
	Renditions []*Rendition
	// Variants say how they go together; empty until the presentation can be played.
	Variants []Variant
	// PartTarget is the PART-TARGET; 0 until the first part is made, and fixed from then on.
	PartTarget Ticks
	// Ended tells that the presentation is over.
	Ended bool

	changed chan struct{}
}

// Variant is one entry of the multivariant playlist.
type Variant struct {
	// Video is the rendition that the entry plays: an audio one when there is no video.
	Video *Rendition
	// Audio is the group of audio renditions that go with it; nil without one. Variants may share a group.
	Audio *AudioGroup
	// Codecs as in RFC 6381, comma-separated: the video's and the group's.
	Codecs string
	// Width, Height and FrameRate of the video; 0 when unknown or without video.
	Width, Height int
	FrameRate     float64
	// Score orders the variants by what viewers should rather get: the greater, the better; 0 is none, for all of them or for
	// no one (rfc8216bis 4.4.6.2).
	Score float64
	// VideoRange is "SDR", "HLG" or "PQ"; "" when it is not known or without video.
	VideoRange string
}

// AudioGroup is audio renditions of one codec, of which players choose one: languages, a commentary (rfc8216bis 4.4.6.1.1).
type AudioGroup struct {
	// ID is the group's name, unique in the presentation.
	ID string
	// Members, of which the first is the default. There is at least one.
	Members []AudioMember
}

// AudioMember is one rendition of an audio group.
type AudioMember struct {
	// Rendition with the media; it may be a member of several groups.
	Rendition *Rendition
	// Name that people choose it by, unique in the group and not empty, without quotes and control characters.
	Name string
	// Language as a BCP 47 tag; "" when it is not known.
	Language string
	// Channels it has; 0 when that is not known.
	Channels int
}

// lists tells whether one of the variants has a rendition.
func lists(variants []Variant, r *Rendition) bool {
	for i := range variants {
		v := &variants[i]
		if v.Video == r {
			return true
		}
		if v.Audio != nil && slices.ContainsFunc(v.Audio.Members, func(m AudioMember) bool { return m.Rendition == r }) {
			return true
		}
	}
	return false
}

// Changed is closed once a newer view can be loaded.
func (v *View) Changed() <-chan struct{} { return v.changed }

// Rendition returns a rendition by name; nil when there is none.
func (v *View) Rendition(name string) *Rendition {
	for _, r := range v.Renditions {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// NewPresentation makes an empty presentation.
func NewPresentation(stream string, s Settings) *Presentation {
	if s.Now == nil {
		s.Now = time.Now
	}
	p := &Presentation{Stream: stream, Settings: s}
	p.view.Store(&View{changed: make(chan struct{})})
	return p
}

// Load returns the present view, never nil.
func (p *Presentation) Load() *View { return p.view.Load() }

// update publishes a changed copy of the view.
func (p *Presentation) update(change func(*View)) {
	old := p.view.Load()
	v := *old
	v.changed = make(chan struct{})
	change(&v)
	p.view.Store(&v)
	close(old.changed)
}

// AddRendition makes a rendition, whose first segment will have the number firstMSN.
func (p *Presentation) AddRendition(name string, video bool, firstMSN int64) *Rendition {
	r := &Rendition{Name: name, Video: video}
	r.inits.Store(&[]*Init{})
	r.snap.Store(&Snapshot{rendition: r, NextMSN: firstMSN, Independent: true, changed: make(chan struct{})})
	p.update(func(v *View) { v.Renditions = append(slices.Clone(v.Renditions), r) })
	return r
}

// Unaligned takes back that a rendition's segments begin with key frames, before it has one.
func (p *Presentation) Unaligned(r *Rendition) {
	old := r.snap.Load()
	s := p.next(r, old)
	s.Independent = false
	p.publish(r, old, s)
}

// SetVariants says how the renditions go together. On those that are not, or no more, among the variants the others report
// nothing.
func (p *Presentation) SetVariants(variants []Variant) {
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
	all := slices.DeleteFunc(slices.Clone(old), func(i *Init) bool { return !used[i] })
	if len(all) < len(old) {
		r.inits.Store(&all)
	}
}

// Append adds a part to a rendition. With begin, the part is the first of a new segment, of which begin gives Init, Wall,
// Discontinuity and DiscontinuitySequence; the segment before is completed.
//
// Where part.Data has capacity beyond its length, the next part's bytes may follow there in memory: Segment.Body then has
// them in one piece.
func (p *Presentation) Append(r *Rendition, part Part, begin *Segment) {
	old := r.snap.Load()
	data := part.Data
	part.Data = slices.Clip(data)
	s := p.next(r, old)
	if part.Ranges != nil {
		s.Ranges = part.Ranges
	}
	segments := old.Segments
	if begin == nil {
		g := *segments[len(segments)-1]
		g.Parts = append(g.Parts, part)
		g.Duration += part.Duration
		g.Size += len(data)
		g.body = joined(g.body, data)
		segments = slices.Clone(segments)
		segments[len(segments)-1] = &g
		s.Segments = segments
	} else {
		if old.Open() != nil {
			segments = completed(segments)
		}
		g := *begin
		g.Gen, g.MSN = p.Settings.Gen, old.NextMSN
		g.Start = old.End()
		g.Parts = append(make([]Part, 0, 16), part)
		g.Duration, g.Size = part.Duration, len(data)
		g.body = joined(nil, data)
		g.Complete, g.removedAt = false, 0
		s.Segments = append(slices.Clip(segments), &g)
		s.NextMSN = g.MSN + 1
		if !part.Independent && !part.Gap {
			s.Independent = false
		}
		p.trim(s)
	}
	p.publish(r, old, s)
	if len(old.Segments) == 0 {
		p.introduce(r)
	}
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

// introduce lets the other renditions report on one that has just got its first part.
func (p *Presentation) introduce(r *Rendition) {
	for _, o := range p.view.Load().Renditions {
		if old := o.snap.Load(); o != r && len(old.Segments) > 0 {
			p.publish(o, old, p.next(o, old))
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
	s.Segments = completed(old.Segments)
	p.publish(r, old, s)
}

// End completes everything and closes the presentation.
func (p *Presentation) End() {
	for _, r := range p.view.Load().Renditions {
		old := r.snap.Load()
		s := p.next(r, old)
		if old.Open() != nil {
			s.Segments = completed(old.Segments)
		}
		s.Ended = true
		p.publish(r, old, s)
	}
	p.update(func(v *View) { v.Ended = true })
}

// completed returns the segments with the last one complete.
func completed(segments []*Segment) []*Segment {
	segments = slices.Clone(segments)
	g := *segments[len(segments)-1]
	g.Complete = true
	segments[len(segments)-1] = &g
	return segments
}

// next makes the successor of a snapshot, with reports on the other renditions as they are now.
func (p *Presentation) next(r *Rendition, old *Snapshot) *Snapshot {
	s := &Snapshot{
		Segments: old.Segments, Listed: old.Listed, Independent: old.Independent, NextMSN: old.NextMSN, Ended: old.Ended,
		Ranges: old.Ranges, rendition: r, changed: make(chan struct{}),
	}
	v := p.view.Load()
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

func (p *Presentation) publish(r *Rendition, old, s *Snapshot) {
	s.At = p.Settings.Now()
	r.snap.Store(s)
	close(old.changed)
}

// trim takes segments off the playlist once what follows them fills the window, and forgets those that have been off it
// for as long as section 6.2.2 of rfc8216bis asks: the segment's own duration and that of the longest playlist that
// listed it.
func (p *Presentation) trim(s *Snapshot) {
	dvr, end := FromDuration(p.Settings.DVR), s.End()
	for s.Listed < len(s.Segments)-1 {
		g := s.Segments[s.Listed]
		if end-(g.Start+g.Duration) < dvr {
			break
		}
		removed := *g
		removed.removedAt = end
		s.Segments = slices.Clone(s.Segments)
		s.Segments[s.Listed] = &removed
		s.Listed++
	}
	drop := 0
	for drop < s.Listed {
		g := s.Segments[drop]
		longest := dvr + 3*Ticks(p.Settings.TargetDuration)*Rate
		if end-g.removedAt < g.Duration+longest {
			break
		}
		drop++
	}
	if drop > 0 {
		s.Segments = slices.Clone(s.Segments[drop:])
		s.Listed -= drop
		s.rendition.forgetInits(s)
	}
}
