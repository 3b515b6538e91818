package window

import (
	"testing"
	"time"
)

// TestNumbersThatGoBack are told of, and numbers that go on are not.
func TestNumbersThatGoBack(t *testing.T) {
	t.Parallel()
	p := NewPresentation("show", Settings{TargetDuration: 3, DVR: time.Minute, FirstMSN: 7})
	told := 0
	p.OnRegress(func() { told++ })
	r := p.AddRendition("video", true, 7)
	add := func(begin *Segment) { p.Append(r, Part{Data: []byte("x"), Duration: Rate, Independent: true}, begin) }
	for range 100 {
		add(&Segment{})
		add(nil)
	}
	p.SetRanges(r, &RangeSet{})
	p.Complete(r)
	if told != 0 {
		t.Fatalf("told %d times of numbers that went on", told)
	}
	now := r.Load()
	for i, change := range []func(*Snapshot){
		func(s *Snapshot) { s.Segments = s.Segments[:len(s.Segments)-1] }, // a segment less
		func(s *Snapshot) { // a part less
			g := *s.Segments[len(s.Segments)-1]
			g.Parts = g.Parts[:1]
			s.Segments = append(s.Segments[:len(s.Segments)-1:len(s.Segments)-1], &g)
		},
		func(s *Snapshot) { s.Segments = nil },
	} {
		s := p.next(r, now)
		change(s)
		old := *now
		old.tail = &tail{changed: make(chan struct{})}
		p.publish(r, &old, s)
		if told != i+1 {
			t.Errorf("change %d: told %d times", i, told)
		}
	}
}
