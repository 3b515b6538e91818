package packager

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pushcart/internal/stream"
)

// TestQuickReconnects: a publisher that comes and goes several times before a rung has come as far once. Whatever is lost of that, all
// is well behind it, and nothing piles up.
func TestQuickReconnects(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		g := newRig(t)
		s := ladderShow()
		r := rand.New(rand.NewPCG(seed, 9))
		if seed%2 == 0 {
			s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
		}
		if seed%3 == 0 {
			s.sound = nil
		}
		s.picture.reorder = seed%5 == 0
		for i, st := range s.steps {
			st.lag = constant(0.3 + 0.5*float64(i))
		}
		s.visit(100, 6, true)
		from := 106.2
		for range 12 {
			seconds := 0.05 + r.Float64()*0.9
			s.visit(from, seconds, r.IntN(2) == 0)
			from += seconds + 0.01 + r.Float64()*0.3
		}
		s.visit(from, 20, true)
		for n := range 40 {
			s.at(100+r.Float64()*(from-90), func(g *rig) { g.Announce(state(n, fmt.Sprint("q", n/2))) })
		}
		s.run(g, func(at float64) {
			for _, r := range g.renditions {
				if len(r.queue.frames) > 400 || len(r.cuts) > 40 {
					t.Fatalf("show %d: %d frames and %d boundaries are kept for %s", seed, len(r.queue.frames), len(r.cuts), r.name)
				}
			}
		})
		g.judgeShow(seed)
		for _, name := range []string{"720p", "480p", "240p"} {
			if n := len(g.samples(name)); n < 730 {
				t.Errorf("show %d: %s has %d pictures of the 780 of the first and the last visit", seed, name, n)
			}
			s.judgePictures(g, seed, name)
		}
		if t.Failed() {
			return
		}
	}
}
