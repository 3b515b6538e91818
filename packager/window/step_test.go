package window

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
	"time"
)

// TestSuccessors: a reader that follows the successors misses none, and there is one as soon as Changed is closed.
func TestSuccessors(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	at := s.video.Load()
	if at.Successor() != nil {
		t.Error("the last snapshot has a successor")
	}
	walked := make(chan int)
	go func() {
		n := 0
		for s := at; !s.Ended; n++ {
			<-s.Changed()
			if s = s.Successor(); s == nil {
				break
			}
			if last, _ := s.Last(); !s.Ended && (last.MSN-100)*10+int64(last.Part) != int64(n) {
				t.Errorf("snapshot %d ends with part %v", n, last)
			}
		}
		walked <- n
	}()
	for range 200 {
		s.Append(s.video, Part{Data: []byte("x"), Duration: partTicks}, map[bool]*Segment{true: {}}[s.n%10 == 0])
		s.n++
	}
	s.End()
	if n := <-walked; n != 201 {
		t.Errorf("%d snapshots were seen, want 200 parts and the end", n)
	}
}

// TestOldSnapshotsAreForgotten: nothing in a newer snapshot, view or rendition keeps an older one, on the origin and on a copy that
// adopts, is filled and goes on; or a node's memory would grow for as long as a show lasts.
func TestOldSnapshotsAreForgotten(t *testing.T) {
	s := newShow(2 * time.Second)
	s.SetVariants([]Variant{{Video: s.video}})
	s.add(5)
	p := copyOf(t, s)
	r := p.Load().Rendition("video")
	gone := make(chan int, 1000)
	n := 0
	watch := func() {
		for _, snap := range []*Snapshot{s.video.Load(), s.audio.Load(), r.Load()} {
			snap.Memo[0].Get(func() any { return n })
			runtime.AddCleanup(snap, func(i int) { gone <- i }, n)
			n++
		}
		runtime.AddCleanup(s.Load(), func(i int) { gone <- i }, n)
		n++
	}
	for i := range 60 {
		watch()
		before := s.video.Load()
		s.add(1)
		if i%10 == 7 {
			s.SetPartTarget(partTicks)
			if err := p.Adopt(r, sentState(s.video.Load())); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for at := before; at.Successor() != nil; at = at.Successor() {
			st, ok := Diff(at, at.Successor())
			if !ok {
				t.Fatal("the origin's snapshots are no steps")
			}
			if st.Part != nil {
				part := *st.Part
				part.Data = nil
				st.Part = &part
			}
			if err := p.Apply(r, st); err != nil {
				t.Fatal(err)
			}
		}
		last, _ := s.video.Load().Last()
		part, _ := s.video.Load().Part(last)
		if err := p.Fill(r, 7, last.MSN, last.Part, bytes.Clone(part.Data)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int]bool{}
	for deadline := time.Now().Add(5 * time.Second); len(seen) < n-4 && time.Now().Before(deadline); {
		runtime.GC()
		for len(gone) > 0 {
			seen[<-gone] = true
		}
		runtime.Gosched()
	}
	// The view of the last rounds may be the present one; what was watched in the last round may be, too.
	if len(seen) < n-12 {
		t.Errorf("%d of %d old snapshots and views are still in memory", n-len(seen), n)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(p)
}

// TestDiff: what is no step from one snapshot to the next is not taken for one.
func TestDiff(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	first := s.video.Load()
	s.add(2)
	if _, ok := Diff(first, s.video.Load()); ok {
		t.Error("a step over a snapshot")
	}
	p := copyOf(t, s)
	r := p.Load().Rendition("video")
	before := r.Load()
	s.add(3)
	if err := p.Adopt(r, sentState(s.video.Load())); err != nil {
		t.Fatal(err)
	}
	if _, ok := Diff(before, r.Load()); ok || before.Successor() != r.Load() {
		t.Error("a step to a state that was adopted")
	}
	before = r.Load()
	if err := p.Fill(r, 7, 100, 4, []byte("video 4")); err != nil || before.Successor() != nil {
		t.Errorf("%v: bytes have made a successor", err)
	}
	now := s.video.Load()
	s.add(1)
	st, ok := Diff(now, now.Successor())
	if !ok || st.Part == nil || st.Begin != nil || st.Last != (Position{100, 5}) || string(st.Part.Data) != "video 5" {
		t.Fatalf("the step is %+v, %v", st, ok)
	}
	if err := p.Apply(r, st); err != nil || before.Successor() != r.Load() {
		t.Errorf("%v: the successor of what was filled is not what came", err)
	}
	if err := p.Fill(r, 7, 100, 3, []byte("video 3")); err != nil {
		t.Fatal(err)
	}
	if _, ok := Diff(before, r.Load()); !ok || before.Successor() == r.Load() {
		t.Error("no step from a snapshot to the next, because bytes came in between")
	}
	// The present state again, now with media: bytes have come, and nothing else.
	before, state := r.Load(), sentState(s.video.Load())
	state.Segments[0].Parts[2].Data = []byte("video 2")
	if err := p.Adopt(r, state); err != nil || before.Successor() != nil || r.Load().Segments[0].Parts[2].Absent() {
		t.Errorf("%v: the present state has made a successor", err)
	}
}

// TestApplyRefuses: a step that does not fit leaves everything as it is.
func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(9)
	now := s.video.Load()
	s.add(1)
	part, _ := Diff(now, now.Successor())
	boundary := s.video.Load()
	s.add(1)
	begin, _ := Diff(boundary, boundary.Successor())
	for name, c := range map[string]struct {
		step   Step
		change func(*Step)
	}{
		"part again":        {part, func(st *Step) { st.Last.Part-- }},
		"part later":        {part, func(st *Step) { st.Last.Part++ }},
		"other segment":     {part, func(st *Step) { st.Last.MSN++ }},
		"older origin":      {part, func(st *Step) { st.Gen-- }},
		"newer origin":      {part, func(st *Step) { st.Gen++ }},
		"older, no part":    {part, func(st *Step) { *st = Step{Last: Position{100, 8}, Listed: 100, NextMSN: 101, Gen: 6} }},
		"no part":           {part, func(st *Step) { st.Part = nil }},
		"no length":         {part, func(st *Step) { q := *st.Part; q.Duration = 0; st.Part = &q }},
		"other size":        {part, func(st *Step) { q := *st.Part; q.Size++; st.Part = &q }},
		"other window":      {part, func(st *Step) { st.Listed++ }},
		"other next number": {part, func(st *Step) { st.NextMSN++ }},
		"too early":         {begin, func(st *Step) {}},
		"begin without":     {part, func(st *Step) { st.Begin, st.Part = begin.Begin, nil }},
	} {
		p := NewCopy("show", s.Settings)
		if err := p.CopyView(s.Load().Head()); err != nil {
			t.Fatal(err)
		}
		r := p.Load().Rendition("video")
		if err := p.Apply(r, part); !errors.Is(err, ErrMismatch) {
			t.Fatalf("a step on nothing: %v", err)
		}
		if err := p.Adopt(r, sentState(now)); err != nil {
			t.Fatal(err)
		}
		before := r.Load()
		st := c.step
		c.change(&st)
		if err := p.Apply(r, st); !errors.Is(err, ErrMismatch) || r.Load() != before || p.Gen() != 7 {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Apply(r, part); err != nil {
			t.Errorf("%s, and then the right one: %v", name, err)
		}
	}
	p := NewCopy("show", s.Settings)
	if err := p.CopyView(s.Load().Head()); err != nil {
		t.Fatal(err)
	}
	r := p.Load().Rendition("video")
	for name, change := range map[string]func(*Step){
		"number": func(st *Step) { b := *st.Begin; b.MSN++; st.Begin, st.Last.MSN = &b, b.MSN },
		"start":  func(st *Step) { b := *st.Begin; b.Start++; st.Begin = &b },
		"gen":    func(st *Step) { b := *st.Begin; b.Gen--; st.Begin = &b },
	} {
		if err := p.Adopt(r, sentState(boundary)); err != nil {
			t.Fatal(err)
		}
		st := begin
		change(&st)
		if err := p.Apply(r, st); !errors.Is(err, ErrMismatch) {
			t.Errorf("a segment of another %s: %v", name, err)
		}
	}
}
