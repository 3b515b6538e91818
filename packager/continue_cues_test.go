package packager

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// ranges of a rendition by name.
func (g *rig) rangesOf(name string) map[string]window.DateRange {
	all := map[string]window.DateRange{}
	if set := g.rendition(name).Ranges; set != nil {
		for _, d := range set.All {
			all[d.ID] = d
		}
	}
	return all
}

// TestContinueWithCards: what the cards' states opened before goes on where the new desk says so, and ends where it does not; all
// renditions tell the same, and no number is used for two messages.
func TestContinueWithCards(t *testing.T) {
	t.Parallel()
	for _, bytes := range []bool{true, false} {
		for _, gen := range []int64{7, epoch.UnixMilli(), epoch.Add(time.Hour).UnixMilli()} {
			g := newRigWith(t, func(o *Options) { o.Gen = gen })
			n := 0
			_, s := record(g, 8, layers(), func(g *rig, at float64) {
				switch n++; {
				case bytes: // more often than numbers rise with the clock
					for range 4 {
						g.Announce(state(n, "a", "b"))
					}
				case n%4 == 0:
					g.Announce(state(n, "a", "b"))
				case n > 900:
					g.Announce(state(n, "b"))
				}
			})
			g.Announce(state(n, "b"))
			s.visit(108, 1, layers(), nil)
			used := map[uint32]bool{}
			for _, name := range []string{"video", "video-1", "video-2"} {
				for _, e := range g.emsgs(name) {
					used[e.id] = true
				}
			}
			if len(used) < 100 {
				t.Fatalf("only %d messages", len(used))
			}
			// One rendition is behind: it must be told of the ranges of the others.
			behind := func(name string) int { return btoi(name == "video-1") * 30 }
			x := continued(t, s.copyAt(t, len(s.moments)-1, behind, func(*window.Segment, int) bool { return bytes }), gen+1, epoch)
			was := x.rangesOf("video")
			if was["b"].Start.IsZero() || !was["b"].End.IsZero() || was["a"].End.IsZero() {
				t.Fatalf("the ranges are %+v", was)
			}
			for _, r := range x.renditions {
				if now := x.rendition(r.name).Ranges; now == nil || !slices.Equal(now.All, x.rendition("video").Ranges.All) {
					t.Errorf("%s has other ranges than the picture", r.name)
				}
			}
			x.Announce(state(1, "b", "c"))
			x.visit(x.from(), 5, layers(), 0, func(at float64, f *stream.Frame) {
				if at > 3 {
					x.Announce(state(2, "c"))
				}
			})
			label := fmt.Sprint(bytes, gen)
			x.judgeAll(label)
			now := x.rangesOf("audio")
			if a := now["a"]; a != was["a"] {
				t.Errorf("%s: range a is %+v, was %+v", label, a, was["a"])
			}
			if b := now["b"]; !b.Start.Equal(was["b"].Start) || b.End.Sub(x.date) < 2900*time.Millisecond {
				t.Errorf("%s: range b is %+v, was %+v", label, b, was["b"])
			}
			if c := now["c"]; c.Start.Before(x.date) || !c.End.IsZero() {
				t.Errorf("%s: range c is %+v", label, c)
			}
			told := 0
			for _, name := range []string{"video", "video-1", "video-2"} {
				for _, e := range x.emsgs(name) {
					if e.msn <= x.last {
						continue
					}
					if told++; used[e.id] {
						t.Errorf("%s: number %d is used again", label, e.id)
						break
					}
				}
			}
			if told == 0 {
				t.Errorf("%s: nothing is told", label)
			}
		}
	}
}
