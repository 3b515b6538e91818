package packager

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/packager/window"
)

// lags lists the different values of Part.Lag in a rendition, in order.
func (g *rig) lags(name string) (out []window.Ticks) {
	g.t.Helper()
	for _, s := range g.rendition(name).Segments {
		for _, p := range s.Parts {
			if len(out) == 0 || out[len(out)-1] != p.Lag {
				out = append(out, p.Lag)
			}
		}
	}
	return out
}

// TestTheLagThatIsCovered is what can be expected of the rungs that were declared, from the first part on, the same in all
// renditions; what shows to be more for seconds moves it up for good.
func TestTheLagThatIsCovered(t *testing.T) {
	t.Parallel()
	slow := func(until float64) func(float64) float64 {
		return func(at float64) float64 {
			if at > 10 && at < until {
				return 0.7
			}
			return 0.1 + 0.09*math.Abs(math.Sin(at*7))
		}
	}
	for name, c := range map[string]struct {
		lag  func(at float64) float64
		bear time.Duration
		want []int // in part targets
	}{
		"quick":          {constant(0.15), 1500 * time.Millisecond, []int{1}},
		"looks ahead":    {constant(0.8), 4 * time.Second, []int{5}},
		"a slow moment":  {slow(12), 1500 * time.Millisecond, []int{1}},
		"a slow stretch": {slow(16), 1500 * time.Millisecond, []int{1, 4}},
		"starts slowly":  {func(at float64) float64 { return max(0.1, 1.45-at/3) }, 1500 * time.Millisecond, []int{1}},
		"always slow":    {constant(1.2), 1500 * time.Millisecond, []int{1, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			s := ladderShow()
			for _, st := range s.steps {
				st.track.Lag = c.bear
			}
			s.steps[0].lag, s.steps[1].lag = constant(0.2), c.lag
			s.visit(100, 40, true)
			s.run(g, nil)
			target := g.target
			g.judgeShow(name)
			for _, r := range []string{"video", "720p", "480p", "240p", "audio"} {
				got := g.lags(r)
				same := len(got) == len(c.want)
				for i := range c.want {
					same = same && got[i] == window.Ticks(c.want[i])*target
				}
				if !same {
					t.Errorf("%s says %v, want %v part targets of %d", r, got, c.want, target)
				}
			}
		})
	}
}

// TestNoLagWithoutRungs, and with those that come in mid-stream it is raised once.
func TestNoLagWithoutRungs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.run(100, 5, layers(), nil)
	if got := g.lags("video"); len(got) != 1 || got[0] != 0 {
		t.Errorf("without a ladder: %v", got)
	}
	g.Tracks(append(g.tracks, rungTrack(17, "480p", 854, 480)))
	g.era++
	g.run(110, 5, layers(), nil)
	for _, name := range []string{"video", "video-1", "audio"} {
		if got := g.lags(name); len(got) != 2 || got[1] != g.target {
			t.Errorf("%s with a ladder: %v", name, got)
		}
	}
}

// TestLagIsMeasured, but not while a rung starts or catches up.
func TestLagIsMeasured(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = s.steps[:1]
	s.steps[0].lag = func(at float64) float64 { return max(0.3, 4-at) }
	s.visit(100, 30, true)
	s.run(g, nil)
	families, err := g.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "pushcart_packager_rung_lag_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		n, mean := h.GetSampleCount(), h.GetSampleSum()/float64(h.GetSampleCount())
		if n < 100 || n > 135 || mean < 0.29 || mean > 0.36 {
			t.Errorf("%d parts, %.3f s behind", n, mean)
		}
		return
	}
	t.Error("no figure")
}

// TestARungThatIsAlwaysTooLate is not offered, and that is said once, not for each of its frames.
func TestARungThatIsAlwaysTooLate(t *testing.T) {
	t.Parallel()
	for _, from := range []float64{0, 20} {
		g := newRig(t)
		var said strings.Builder
		g.opt.Log = slog.New(slog.NewTextHandler(&said, nil))
		s := ladderShow()
		s.steps[0].lag = func(at float64) float64 {
			if at < from {
				return 0.2
			}
			return 1.7
		}
		s.visit(100, 60, true)
		s.run(g, nil)
		if got := g.variantNames(); !slices.Equal(got, []string{"480p", "240p", "video"}) {
			t.Errorf("late from %v s on: variants %v", from, got)
		}
		if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "rung=720p") || !strings.Contains(text, "behind=1.") {
			t.Errorf("late from %v s on, this was said:\n%s", from, text)
		}
		g.judgeShow(from)
	}
}
