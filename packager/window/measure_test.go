package window

import (
	"testing"
	"time"
)

// TestMeasured: what variants take is told once a segment, when all have completed it, or, where one stays behind, when the first
// has the next one; and not again when it is the same.
func TestMeasured(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	late := s.AddRendition("late", true, 100)
	size := 1000
	part := func(r *Rendition, begin bool) {
		s.Append(r, Part{Data: make([]byte, size), Duration: partTicks}, map[bool]*Segment{true: {}}[begin])
	}
	for _, r := range []*Rendition{s.video, s.audio, late} {
		part(r, true)
	}
	s.SetVariants([]Variant{{Video: s.video, Audio: &AudioGroup{ID: "a", Members: []AudioMember{{Rendition: s.audio}}}}, {Video: late}})
	if v := s.Load().Variants; v[0].Peak != 2*67000 || v[0].Average != 2*41000 || v[1].Peak != 67000 {
		t.Errorf("by the first parts: %+v", v)
	}
	views := 0
	for n := 1; n < 100; n++ {
		size = 1000 + n*n*n
		before := s.Load()
		for _, r := range []*Rendition{s.video, s.audio, late} {
			if r == late && n >= 50 {
				continue // it stays behind for good
			}
			part(r, n%10 == 0)
		}
		if s.Load() == before {
			continue
		}
		views++
		if n%10 != 0 {
			t.Errorf("another view after part %d", n)
		}
		select {
		case <-before.Changed():
		default:
			t.Error("nobody is told of another view")
		}
		if a, b := s.Load().Variants[0], before.Variants[0]; n > 10 && (a.Peak <= b.Peak || a.Average <= b.Average) {
			t.Errorf("part %d: %d and %d after %d and %d", n, a.Peak, a.Average, b.Peak, b.Average)
		}
		if late := s.Load().Variants[1].Peak; n <= 40 && late != s.Load().Variants[0].Peak/2 {
			t.Errorf("part %d: not all of the segment's renditions are in the figures: %d", n, late)
		}
	}
	if views != 8 { // the one that stays behind is waited for once
		t.Errorf("%d other views in 9 segments", views)
	}
	size = 1000
	p := NewPresentation("show", Settings{TargetDuration: 4, DVR: time.Second})
	r := p.AddRendition("video", true, 1)
	for n := range 100 {
		p.Append(r, Part{Data: make([]byte, size), Duration: partTicks}, map[bool]*Segment{true: {}}[n%10 == 0])
		if n == 20 {
			p.SetVariants([]Variant{{Video: r}})
		}
	}
	v := p.Load()
	p.Append(r, Part{Data: make([]byte, size), Duration: partTicks}, &Segment{})
	p.Complete(r)
	if p.Load() != v {
		t.Error("another view that says the same")
	}
}
