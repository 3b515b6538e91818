package window

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// Adopt takes a whole state of a copy's rendition: all but At, Memo and what the window keeps to itself. s itself is not
// published and not kept. Parts may have Data, which were held against their Sum, or only Size and Sum. Media that the rendition
// has already under the same generation, number and part stay.
//
// Its errors wrap ErrBehind when the state is older than what was published, ErrConflict when a part has another Sum than what is
// there under its name, ErrMismatch when s is no state that a writer could have published. Nothing has changed then.
func (p *Presentation) Adopt(r *Rendition, s *Snapshot) error {
	old := r.snap.Load()
	if err := s.check(); err != nil {
		return err
	}
	was, is := old.mark(), s.mark()
	if is.before(was) {
		return fmt.Errorf("%w: %d.%d of generation %d, after %d.%d of %d", ErrBehind, is.last.MSN, is.last.Part, is.gen, was.last.MSN, was.last.Part, was.gen)
	}
	n := &Snapshot{
		Listed: s.Listed, Independent: s.Independent, NextMSN: s.NextMSN, Ended: s.Ended, Ranges: s.Ranges, Amended: s.Amended,
		Reports: s.Reports, Gen: s.Gen, PartTarget: s.PartTarget, rendition: r, adopted: true,
	}
	inits := *r.inits.Load()
	n.Segments = make([]*Segment, len(s.Segments))
	for i, g := range s.Segments {
		c, err := g.merged(old.Segment(g.MSN))
		if err != nil {
			return err
		}
		if at := slices.IndexFunc(inits, func(o *Init) bool { return g.Init != nil && o.Name == g.Init.Name }); at >= 0 {
			c.Init = inits[at]
		} else if g.Init != nil {
			inits = append(slices.Clip(inits), g.Init)
		}
		n.Segments[i] = c
	}
	r.keep(inits)
	p.raise(s.Gen)
	if is == was && old.NextMSN == s.NextMSN && old.listed() == s.listed() && len(old.Segments) == len(s.Segments) {
		// It is the present state: only bytes can have come.
		p.fill(r, old, n.Segments)
		return nil
	}
	n.aside = n.replaced(old)
	n.tail, n.filled = &tail{changed: make(chan struct{})}, make(chan struct{})
	p.publish(r, old, n)
	if old.filled != nil {
		close(old.filled)
	}
	return nil
}

// replaced are the segments of the snapshot before that are under names which s does not have.
func (s *Snapshot) replaced(old *Snapshot) []*Segment {
	aside := slices.Clip(old.aside)
	for _, g := range old.Segments {
		c := s.Segment(g.MSN)
		if c == nil || c.Gen != g.Gen || len(c.Parts) < len(g.Parts) || g.Complete && c.NameGen() != g.NameGen() {
			aside = append(aside, g)
		}
	}
	return aside
}

// check tells why a state cannot be one that a writer published; nil when it can.
func (s *Snapshot) check() error {
	if n := len(s.Segments); n > 0 && (s.Listed < 0 || s.Listed >= n) || n == 0 && s.Listed != 0 {
		return mismatch("%d segments, listed from %d on", n, s.Listed)
	}
	for i, g := range s.Segments {
		var d Ticks
		size := 0
		for k := range g.Parts {
			q := &g.Parts[k]
			if q.Duration <= 0 || q.Size < 0 || q.Data != nil && q.Size != len(q.Data) {
				return mismatch("part %d.%d lasts %d, and has %d bytes of %d", g.MSN, k, q.Duration, len(q.Data), q.Size)
			}
			d += q.Duration
			size += q.Size
		}
		if len(g.Parts) == 0 || d != g.Duration || size != g.Size {
			return mismatch("segment %d lasts %d and has %d bytes, its %d parts %d and %d", g.MSN, g.Duration, g.Size, len(g.Parts), d, size)
		}
		if i == 0 {
			continue
		}
		if before := s.Segments[i-1]; g.MSN != before.MSN+1 || g.Start != before.end() || g.Gen < before.Gen || !before.Complete {
			return mismatch("segment %d at %d does not follow %d, which ends at %d", g.MSN, g.Start, before.MSN, before.end())
		}
	}
	if n := len(s.Segments); n > 0 {
		if last := s.Segments[n-1]; s.NextMSN != last.MSN+1 || s.Gen < last.Gen || s.Ended && !last.Complete {
			return mismatch("segment %d of generation %d is followed by %d of %d", last.MSN, last.Gen, s.NextMSN, s.Gen)
		}
	}
	return nil
}

// merged returns a copy of a segment with what media are there of it already; had is nil where nothing is.
func (g *Segment) merged(had *Segment) (*Segment, error) {
	c := *g
	c.Parts = slices.Clone(g.Parts)
	if had != nil && had.Gen == g.Gen {
		for i := range min(len(c.Parts), len(had.Parts)) {
			q, h := &c.Parts[i], &had.Parts[i]
			if h.Data == nil {
				continue
			}
			sum := h.Sum
			if sum == ([32]byte{}) {
				sum = sha256.Sum256(h.Data) // this node made it
			}
			if q.Size != h.Size || q.Sum != ([32]byte{}) && q.Sum != sum {
				return nil, fmt.Errorf("%w: %d-%d.%d", ErrConflict, g.Gen, g.MSN, i)
			}
			q.Data, q.Sum = h.Data, sum
		}
		if c.Size == had.Size && len(c.Parts) == len(had.Parts) && !had.Absent() {
			c.body = had.body
			return &c, nil
		}
	}
	c.gather()
	return &c, nil
}

// mostPieces is in how many pieces a segment's body may lie that has come bit by bit: each is a write for each viewer.
const mostPieces = 2

// gather makes the segment's body of its parts, once all are there.
func (g *Segment) gather() {
	g.body = nil
	if g.Absent() {
		return
	}
	for i := range g.Parts {
		g.body = joined(g.body, g.Parts[i].Data)
	}
	if !g.Complete || len(g.body) <= mostPieces {
		return
	}
	all := make([]byte, 0, g.Size)
	for i := range g.Parts {
		q := &g.Parts[i]
		if len(q.Data) > 0 {
			from := len(all)
			all = append(all, q.Data...)
			q.Data = slices.Clip(all[from:])
		}
	}
	g.body = [][]byte{all}
}
