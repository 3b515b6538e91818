package window

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// sentState is a snapshot as a copy gets it: nothing of the window's own, and no media.
func sentState(s *Snapshot) *Snapshot {
	c := &Snapshot{
		Listed: s.Listed, Independent: s.Independent, Ranges: s.Ranges, Amended: s.Amended, Reports: slices.Clone(s.Reports), Ended: s.Ended,
		NextMSN: s.NextMSN, Gen: s.Gen, PartTarget: s.PartTarget,
	}
	for _, g := range s.Segments {
		d := *g
		d.body = nil
		d.Parts = nil
		for _, q := range g.Parts {
			if q.Data != nil {
				q.Sum, q.Data = sha256.Sum256(q.Data), nil
			}
			d.Parts = append(d.Parts, q)
		}
		c.Segments = append(c.Segments, &d)
	}
	return c
}

// copyOf makes a copy that has the show's states so far, without media.
func copyOf(t testing.TB, s *show) *Presentation {
	t.Helper()
	p := NewCopy("show", s.Settings)
	if err := p.CopyView(s.Load().Head()); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Load().Renditions {
		if err := p.Adopt(p.Load().Rendition(r.Name), sentState(r.Load())); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestFill: bytes come in any order and any number at a time; what is rendered stays, and those who wait for bytes are told.
func TestFill(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(15)
	p := copyOf(t, s)
	r := p.Load().Rendition("video")
	first := r.Load()
	kept := first.Memo[0].Get(func() any { return new(int) })
	data := func(n int) []byte { return fmt.Appendf(nil, "video %d", n) }

	if err := p.Fill(r, 7, 100, 8, data(8), data(9), data(10)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.Filled():
	default:
		t.Error("those who wait for bytes are not told")
	}
	select {
	case <-first.Changed():
		t.Error("those who wait for a playlist are told")
	default:
	}
	if got := r.Load().Memo[0].Get(func() any { return new(int) }); got != kept {
		t.Error("what was rendered is rendered again")
	}
	for name, fill := range map[string]func() error{
		"other generation": func() error { return p.Fill(r, 8, 100, 0, data(0)) },
		"no such segment":  func() error { return p.Fill(r, 7, 99, 0, data(0)) },
		"no such part":     func() error { return p.Fill(r, 7, 100, 10, data(0)) },
		"before the first": func() error { return p.Fill(r, 7, 100, -1, data(0)) },
		"there already":    func() error { return p.Fill(r, 7, 100, 8, []byte("another")) },
	} {
		before := r.Load()
		if err := fill(); err != nil || r.Load() != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := r.Load()
	if err := p.Fill(r, 7, 100, 6, data(6), []byte("too long for it")); !errors.Is(err, ErrMismatch) || r.Load() != before {
		t.Errorf("a part of another size: %v", err)
	}
	slab := make([]byte, 0, 200)
	var media [][]byte
	for n := range 8 {
		from := len(slab)
		slab = append(slab, data(n)...)
		media = append(media, slab[from:])
	}
	if err := p.Fill(r, 7, 100, 0, media...); err != nil {
		t.Fatal(err)
	}
	g, want := r.Load().Segments[0], bytes.Join(s.video.Load().Segments[0].Body(), nil)
	if g.Absent() || len(g.Body()) > mostPieces || !bytes.Equal(bytes.Join(g.Body(), nil), want) {
		t.Errorf("the whole segment is %q, want %q", g.Body(), want)
	}
	for i := range g.Parts {
		if q := &g.Parts[i]; string(q.Data) != string(data(i)) || cap(q.Data) != len(q.Data) {
			t.Errorf("part %d is %q, and lends out %d", i, q.Data, cap(q.Data))
		}
	}
	// The open one: live parts come before what they follow.
	now := s.video.Load()
	s.add(1)
	st, _ := Diff(now, now.Successor())
	if err := p.Apply(r, st); err != nil {
		t.Fatal(err)
	}
	if g := r.Load().Open(); g.Body() != nil || !g.Absent() || g.Parts[5].Absent() {
		t.Errorf("a segment of which only the last part is there: %+v", g)
	}
	if err := p.Fill(r, 7, 101, 0, data(10), data(11), data(12), data(13), data(14)); err != nil {
		t.Fatal(err)
	}
	now = s.video.Load()
	s.add(1)
	if st, _ = Diff(now, now.Successor()); p.Apply(r, st) != nil {
		t.Fatal("the next step does not fit")
	}
	if body := bytes.Join(r.Load().Open().Body(), nil); !bytes.Equal(body, bytes.Join(s.video.Load().Open().Body(), nil)) {
		t.Errorf("the open segment is %q", body)
	}
}

// TestTakeover: a copy goes on as the origin, under other names than those that the lost origin may have given out; and a copy that
// was further with the lost one stays as it is until the new one has passed it, and keeps what it has told of.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := newShow(4 * time.Second)
	s.add(15)
	to := copyOf(t, s)
	s.add(8) // which never reach the one that goes on
	ahead := copyOf(t, s)
	if err := ahead.Fill(ahead.Load().Rendition("video"), 7, 101, 0, []byte("video 10"), []byte("video 11")); err != nil {
		t.Fatal(err)
	}
	to.Continue(8)
	n := to.Load().Rendition("video")
	cut := n.Load()
	if g := cut.Segments[1]; !g.Complete || g.Gen != 7 || g.Closed != 8 || g.NameGen() != 8 || len(g.Parts) != 5 || cut.Gen != 8 || cut.Amended != 1 {
		t.Errorf("where the lost origin stopped: %+v, snapshot of %d, amended %d", g, cut.Gen, cut.Amended)
	}
	if g := cut.Segments[0]; g.NameGen() != 7 {
		t.Errorf("a whole segment is called %d-100 now", g.NameGen())
	}
	r := ahead.Load().Rendition("video")
	before := r.Load()
	for i := range 14 {
		if err := ahead.Adopt(r, sentState(n.Load())); i < 3 && (!errors.Is(err, ErrBehind) || r.Load() != before) || i >= 3 && err != nil {
			t.Fatalf("after %d parts: %v", i, err)
		}
		to.Append(n, Part{Data: fmt.Appendf(nil, "new %d", i), Duration: partTicks}, map[bool]*Segment{true: {}}[i%10 == 0])
	} // 8-102.0 to 9, 8-103.0 to 3
	if err := ahead.Adopt(r, sentState(n.Load())); err != nil {
		t.Fatal(err)
	}
	got := r.Load()
	if last, _ := got.Last(); last != (Position{103, 3}) || got.Gen != 8 || ahead.Gen() != 8 {
		t.Errorf("it stands at %v of %d", last, got.Gen)
	}
	var aside []string
	for _, g := range got.Aside() {
		aside = append(aside, fmt.Sprintf("%d-%d.%d", g.Gen, g.MSN, len(g.Parts)))
	}
	if want := []string{"7-101.10", "7-102.3"}; !slices.Equal(aside, want) {
		t.Errorf("of what it told it keeps %v, want %v", aside, want)
	}
	if q := got.Segments[1].Parts; q[0].Absent() || !q[2].Absent() {
		t.Error("what it had of the cut segment is gone")
	}
	for i := range 400 {
		to.Append(n, Part{Data: []byte("x"), Duration: partTicks}, map[bool]*Segment{true: {}}[i%10 == 0])
	}
	if err := ahead.Adopt(r, sentState(n.Load())); err != nil || len(r.Load().Aside()) != 0 {
		t.Errorf("%v: %d segments are kept for ever", err, len(r.Load().Aside()))
	}
}
