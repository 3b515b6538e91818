package packager

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestHolesOfRungsAreAnnounced: what is missing of a rung that dies, falls behind and returns is in gaps, and nowhere else: each part
// lasts as long as its samples, and each segment as long as the publisher's.
func TestHolesOfRungsAreAnnounced(t *testing.T) {
	t.Parallel()
	vfr := func(i int) float64 { return float64(i)/30 + float64(i*7919%13)*0.0019 }
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 8))
		g := newRig(t)
		g.opt.Settings.SegmentDuration = time.Second
		s := ladderShow()
		s.sound = nil
		jitter := r.IntN(2) * 30 * 90 // less than a picture
		s.picture.when, s.picture.gop = every(30000.0/1001), 30
		if jitter > 0 {
			s.picture.when = vfr
		}
		s.picture.reorder = r.IntN(3) == 0
		for _, st := range s.steps {
			died, slow := 4+r.Float64()*3, 8+r.Float64()*3
			back, lag := died+r.Float64()*r.Float64()*5, 0.05+r.Float64()*0.4
			most := r.Float64() * 4
			st.dead = func(at float64) bool { return at > died && at < back }
			st.lag = func(at float64) float64 { // it falls behind, and catches up
				return lag + max(0, min(most, (at-slow)*0.8, (slow+8-at)*0.8))
			}
			st.coded = r.IntN(3) == 0 && jitter == 0
		}
		s.visit(100, 22, true)
		s.run(g, nil)
		g.judgeShow(seed)
		g.judgeEnds(seed, int64(jitter))
		for _, name := range []string{"video", "720p", "480p", "240p"} {
			g.judgeMedia(seed, name)
		}
		if t.Failed() {
			return
		}
	}
}

// TestAPauseOfTheSourceIsNoHole: where the publisher's picture stands still for a moment in front of a boundary, a rung's does too.
func TestAPauseOfTheSourceIsNoHole(t *testing.T) {
	t.Parallel()
	for pause := range 6 {
		g := newRig(t)
		g.opt.Settings.SegmentDuration = time.Second
		s := ladderShow()
		s.sound = nil
		s.picture.when, s.picture.gop = func(i int) float64 { return (float64(i) + float64(i/30*pause)) / 30 }, 30
		s.visit(100, 12, true)
		s.run(g, nil)
		g.End()
		g.judge(pause)
		if n := g.gapsOf("720p", "480p", "240p"); n > 0 && g.gapsOf("video") == 0 {
			t.Errorf("with a pause of %d pictures, rungs have %d gaps", pause, n)
		}
	}
}
