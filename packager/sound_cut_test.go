package packager

import (
	"testing"
	"time"
)

// TestSoundKeepsItsFrames: sound has its grid, which a boundary of pictures does not cut, wherever it lies: each frame lasts as long
// as it does.
func TestSoundKeepsItsFrames(t *testing.T) {
	t.Parallel()
	for seed := range 15 {
		jitter := []int{7919, 104729, 611}[seed%3]
		vfr := func(i int) float64 {
			return float64(i)/30 + float64((i*jitter+seed)%17)*0.0008*float64(1+seed%4)
		}
		g := newRig(t)
		g.opt.Settings.SegmentDuration = time.Second
		s := ladderShow()
		s.picture.when, s.picture.gop, s.picture.reorder = vfr, 30, seed%2 == 0
		lag := 0.02 + float64(seed%5)*0.1
		s.steps = append(s.steps, &step{track: rungSound(120, "audio-64k"), lag: constant(lag), coded: true, every: 1})
		s.steps = append(s.steps, &step{track: rungSound(121, "audio-32k"), lag: constant(1.1), coded: true, every: 1})
		s.visit(100, 20, true)
		s.run(g, nil)
		g.judgeShow(seed)
		for _, name := range []string{"audio", "audio-64k", "audio-32k"} {
			for i, x := range g.samples(name) {
				if x.duration != 1024 || x.dts != x.pts {
					t.Fatalf("show %d: frame %d of %s lasts %d, shown at %d, decoded at %d", seed, i, name, x.duration, x.pts, x.dts)
				}
			}
		}
	}
}
