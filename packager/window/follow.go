package window

import (
	"errors"
	"fmt"
	"slices"
)

// A copy is a presentation that another node writes. Each of its snapshots is one of the origin's: the states and steps that it is
// given are the origin's, so that its playlists are, byte for byte, ones that the origin gave. What it may lack for a while are the
// bytes of older parts, which are "absent".
//
// A copy begins with NewCopy. CopyView gives it renditions and variants; Adopt gives a rendition a whole state, Apply takes it a
// step further, Fill brings bytes of absent parts. These methods are the copy's writer: for one goroutine at a time.
//
// Continue makes a copy one's own, after which the methods of a writer go on where the origin stopped; Renounce is the reverse.

// Errors of the methods of copies, which wrap them with what was found.
var (
	// ErrBehind: a state is older than what has been published, or of an older generation. What is published never goes back.
	ErrBehind = errors.New("the state is behind what has been published")
	// ErrMismatch: a step or a view does not fit on what is there.
	ErrMismatch = errors.New("it does not fit on the present state")
	// ErrConflict: what is published under a name would get other bytes.
	ErrConflict = errors.New("media that have been published would get other bytes")
)

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMismatch}, args...)...)
}

// NewCopy makes an empty presentation that is a copy. Of the settings TargetDuration and DVR must be the origin's.
func NewCopy(stream string, s Settings) *Presentation {
	p := NewPresentation(stream, s)
	p.copy.Store(true)
	return p
}

// Fill gives absent parts of a copy their bytes, which were held against their Sum: those of the segment with this generation and
// number, from the part with the index on. Parts that are there already, or are not known any more, are passed over. What viewers
// see does not change, but those who wait for the bytes go on; several parts at a time wake them once.
//
// Its error wraps ErrMismatch when a part is of another size: nothing has changed then.
func (p *Presentation) Fill(r *Rendition, gen, msn int64, part int, media ...[]byte) error {
	old := r.snap.Load()
	g := old.Segment(msn)
	if g == nil || g.Gen != gen || part < 0 {
		return nil
	}
	c := *g
	c.Parts = slices.Clone(g.Parts)
	any := false
	for i, data := range media {
		if part+i >= len(c.Parts) {
			break
		}
		q := &c.Parts[part+i]
		if !q.Absent() {
			continue
		}
		if len(data) != q.Size {
			return mismatch("part %d-%d.%d has %d bytes, and %d have come", gen, msn, part+i, q.Size, len(data))
		}
		q.Data = slices.Clip(data)
		any = true
	}
	if !any {
		return nil
	}
	c.gather()
	segments := slices.Clone(old.Segments)
	segments[msn-segments[0].MSN] = &c
	p.fill(r, old, segments)
	return nil
}

// fill puts a snapshot in the place of old that differs in which bytes are there.
func (p *Presentation) fill(r *Rendition, old *Snapshot, segments []*Segment) {
	s := &Snapshot{
		Segments: segments, Listed: old.Listed, Independent: old.Independent, Ranges: old.Ranges, Amended: old.Amended,
		Reports: old.Reports, Ended: old.Ended, NextMSN: old.NextMSN, Gen: old.Gen, PartTarget: old.PartTarget, At: old.At,
		rendition: r, tail: old.tail, filled: make(chan struct{}), adopted: old.adopted, aside: old.aside,
	}
	r.snap.Store(s)
	if old.filled != nil {
		close(old.filled)
	}
}

// Continue makes a copy one's own, as the origin of a generation above those before. Open segments are completed where they stand,
// since the names of what would follow in them belong to the origin before. From now on the methods of a writer work, and those of
// a copy must not be called. It does not wait for absent parts; Fill may go on bringing them, from the writer's goroutine.
func (p *Presentation) Continue(gen int64) {
	p.raise(gen)
	p.copy.Store(false)
	for _, r := range p.view.Load().Renditions {
		old := r.snap.Load()
		if old.Ended {
			continue
		}
		s := p.next(r, old)
		if old.Open() != nil {
			s.Segments = completed(old.Segments, s.Gen)
		}
		s.Amended++
		p.publish(r, old, s)
	}
}

// Renounce makes one's own presentation a copy, because another node has become the stream's origin: nothing has ended, but the
// methods of a writer must not be called any more. Who waits goes on waiting.
func (p *Presentation) Renounce() { p.copy.Store(true) }
