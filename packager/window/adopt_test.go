package window

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"
)

// TestAdoptRefuses: what is no state, or an older one, or has other bytes under a name, leaves everything as it is.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	s := newShow(4 * time.Second)
	s.add(95)
	older := sentState(s.video.Load())
	s.add(1)
	p := copyOf(t, s)
	r := p.Load().Rendition("video")
	last, _ := s.video.Load().Last()
	if err := p.Fill(r, 7, last.MSN, last.Part, []byte("video 95")); err != nil {
		t.Fatal(err)
	}
	before := r.Load()
	for name, c := range map[string]struct {
		want   error
		change func(*Snapshot)
	}{
		"older":   {ErrBehind, func(c *Snapshot) { *c = *older }},
		"nothing": {ErrBehind, func(c *Snapshot) { *c = Snapshot{NextMSN: 100, Gen: 7} }},
		"older origin": {ErrBehind, func(c *Snapshot) {
			c.Gen--
			for _, g := range c.Segments {
				g.Gen--
			}
		}},
		"other bytes":     {ErrConflict, func(c *Snapshot) { g := c.Segments[len(c.Segments)-1]; g.Parts[len(g.Parts)-1].Sum[0]++ }},
		"other size":      {ErrConflict, func(c *Snapshot) { g := c.Segments[len(c.Segments)-1]; g.Parts[len(g.Parts)-1].Size++; g.Size++ }},
		"wrong size":      {ErrMismatch, func(c *Snapshot) { c.Segments[0].Size++ }},
		"wrong length":    {ErrMismatch, func(c *Snapshot) { c.Segments[0].Duration++ }},
		"no length":       {ErrMismatch, func(c *Snapshot) { c.Segments[0].Parts[0].Duration = 0 }},
		"negative size":   {ErrMismatch, func(c *Snapshot) { q := &c.Segments[0].Parts[0]; c.Segments[0].Size -= q.Size + 1; q.Size = -1 }},
		"a hole":          {ErrMismatch, func(c *Snapshot) { c.Segments = slices.Delete(c.Segments, 1, 2) }},
		"another start":   {ErrMismatch, func(c *Snapshot) { c.Segments[1].Start++ }},
		"open inside":     {ErrMismatch, func(c *Snapshot) { c.Segments[1].Complete = false }},
		"nothing listed":  {ErrMismatch, func(c *Snapshot) { c.Listed = len(c.Segments) }},
		"listed before":   {ErrMismatch, func(c *Snapshot) { c.Listed = -1 }},
		"no parts":        {ErrMismatch, func(c *Snapshot) { g := c.Segments[0]; g.Parts, g.Duration, g.Size = nil, 0, 0 }},
		"next number":     {ErrMismatch, func(c *Snapshot) { c.NextMSN++ }},
		"newer segment":   {ErrMismatch, func(c *Snapshot) { c.Segments[len(c.Segments)-1].Gen++ }},
		"ended, but open": {ErrMismatch, func(c *Snapshot) { c.Ended = true }},
	} {
		state := sentState(s.video.Load())
		c.change(state)
		if err := p.Adopt(r, state); !errors.Is(err, c.want) || r.Load() != before || p.Gen() != 7 {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.End()
	if err := p.Adopt(r, sentState(s.video.Load())); err != nil {
		t.Fatal(err)
	}
	state := sentState(s.video.Load())
	state.Ended = false
	if err := p.Adopt(r, state); !errors.Is(err, ErrBehind) {
		t.Errorf("what has ended goes on: %v", err)
	}
}

// TestAdoptKeepsMedia: what is there under the same names is not asked for again, be it copied or this node's own.
func TestAdoptKeepsMedia(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(15)
	p := copyOf(t, s)
	r := p.Load().Rendition("video")
	if err := p.Fill(r, 7, 100, 0, []byte("video 0"), []byte("video 1")); err != nil {
		t.Fatal(err)
	}
	kept := &r.Load().Segments[0].Parts[1].Data[0]
	s.add(10)
	if err := p.Adopt(r, sentState(s.video.Load())); err != nil {
		t.Fatal(err)
	}
	parts := r.Load().Segments[0].Parts
	if parts[1].Absent() || &parts[1].Data[0] != kept || !parts[2].Absent() || parts[2].Sum != sha256.Sum256([]byte("video 2")) {
		t.Errorf("after a leap: %+v", parts[:3])
	}
	if g := r.Load().Segments[0]; !g.Absent() || g.Body() != nil || g.Size != s.video.Load().Segments[0].Size || r.Load().Bytes() != 14 {
		t.Errorf("segment of %d bytes, %d in memory, absent %v", g.Size, r.Load().Bytes(), g.Absent())
	}

	// The origin that gives way has all that it had.
	to := copyOf(t, s)
	s.Renounce()
	to.Continue(8)
	n := to.Load().Rendition("video")
	to.Append(n, Part{Data: []byte("new"), Duration: partTicks}, &Segment{})
	if err := s.Adopt(s.video, sentState(n.Load())); err != nil {
		t.Fatal(err)
	}
	snap := s.video.Load()
	for i, g := range snap.Segments[:3] {
		if g.Absent() || len(g.Body()) == 0 {
			t.Errorf("segment %d of one's own is absent", i)
		}
	}
	if g := snap.Open(); g.Gen != 8 || !g.Absent() || snap.Filled() == nil {
		t.Errorf("the new origin's segment: %+v", g)
	}
	if s.Gen() != 8 || snap.Gen != 8 {
		t.Errorf("generation %d, the snapshot's %d", s.Gen(), snap.Gen)
	}
}
