package packager

import (
	"fmt"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// follow has a copy, or a presentation that was renounced, take what a packager publishes, step by step where it can.
func (s *scribe) follow(t testing.TB, c *window.Presentation, done map[string]int) (adopted, applied int) {
	t.Helper()
	s.note()
	if err := c.CopyView(s.g.Presentation().Load().Head()); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Load().Renditions {
		chain := s.chains[r.Name]
		for n := done[r.Name]; n < len(chain); n++ {
			if n > 0 && done[r.Name] > 0 {
				if st, ok := window.Diff(chain[n-1], chain[n]); ok && c.Apply(r, st) == nil {
					applied++
					done[r.Name] = n + 1
					continue
				}
			}
			state := s.at(r.Name, len(s.moments)-1, nil)
			switch err := c.Adopt(r, state); {
			case err == nil:
				adopted++
				done[r.Name] = s.moments[len(s.moments)-1].count[r.Name]
				n = done[r.Name]
			default:
				n = len(chain) // it is not that far yet
			}
		}
	}
	return adopted, applied
}

// TestYield: a packager that yields publishes nothing more, ends nothing, counts what it drops, and its presentation can be fed.
func TestYield(t *testing.T) {
	t.Parallel()
	for _, at := range []float64{0.05, 2.41, 5.13, 6} {
		old := newRig(t)
		s := newScribe(old)
		stopped := false
		var frames, waiting int
		old.run(100, 8, layers(), func(now float64, f *stream.Frame) {
			if now < at {
				s.note()
				return
			}
			if !stopped {
				stopped = true
				for _, r := range old.renditions {
					waiting += len(r.queue.frames)
					if r.w != nil {
						waiting += len(r.w.samples)
					}
				}
				s.note()
				old.Yield()
			}
			frames++
		})
		before := map[string]*window.Snapshot{}
		for _, r := range old.Presentation().Load().Renditions {
			before[r.Name] = r.Load()
		}
		old.Announce(state(1, "a"))
		old.Tracks(nil)
		old.Away()
		old.Yield()
		old.End()
		if n := int(old.dropped(dropElsewhere)); n != frames+waiting {
			t.Errorf("%v: %d frames were dropped, want %d that came and %d that waited", at, n, frames, waiting)
		}
		if view := old.Presentation().Load(); view.Ended || !old.Presentation().Copied() {
			t.Errorf("%v: ended %v, a copy %v", at, view.Ended, old.Presentation().Copied())
		}
		for name, was := range before {
			if r := old.Presentation().Load().Rendition(name).Load(); r != was || r.Ended {
				t.Errorf("%v: %s went on", at, name)
			}
		}
		if len(old.inbox.entries) > 0 {
			t.Errorf("%v: the inbox still takes", at)
		}
		if at < 1 {
			continue // nothing was published
		}

		// Another node went on a little earlier, and this one follows that from now on.
		copied := s.copyAt(t, len(s.moments)-4, nil, nil)
		x := continued(t, copied, 9, epoch)
		z := newScribe(x.rig)
		done := map[string]int{}
		from := x.from()
		adopted, applied := 0, 0
		x.visit(from, 5, layers(), 0, func(float64, *stream.Frame) {
			a, b := z.follow(t, old.Presentation(), done)
			adopted, applied = adopted+a, applied+b
		})
		x.Away()
		z.follow(t, old.Presentation(), done)
		if adopted == 0 || applied < 80 {
			t.Errorf("%v: %d states and %d steps were taken", at, adopted, applied)
		}
		same(t, x.Presentation(), old.Presentation())

		// And back to this one.
		y := continued(t, old.Presentation(), 10, epoch)
		x.Yield()
		y.visit(y.from(), 5, layers(), 0, nil)
		y.judgeAll(at)
		for _, r := range y.renditions {
			y.judgeFrom(at, r.name, y.from(), 5, layers())
		}
	}
}

// same wants two presentations to have the same segments.
func same(t testing.TB, a, b *window.Presentation) {
	t.Helper()
	for _, r := range a.Load().Renditions {
		x, y := r.Load(), b.Load().Rendition(r.Name).Load()
		if len(x.Segments) != len(y.Segments) || x.NextMSN != y.NextMSN || x.Gen != y.Gen {
			t.Errorf("%s has %d segments and goes on with %d, the other has %d and %d", r.Name, len(x.Segments), x.NextMSN, len(y.Segments), y.NextMSN)
			continue
		}
		for i, g := range x.Segments {
			h := y.Segments[i]
			if g.MSN != h.MSN || g.Gen != h.Gen || g.Closed != h.Closed || g.Size != h.Size || g.Duration != h.Duration || g.Complete != h.Complete || !g.Wall.Equal(h.Wall) {
				t.Errorf("%s: segment %+v and %+v", r.Name, fmt.Sprint(g.MSN, g.Gen, g.Closed, g.Size, g.Duration), fmt.Sprint(h.MSN, h.Gen, h.Closed, h.Size, h.Duration))
			}
		}
	}
}
