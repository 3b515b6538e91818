package packager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
)

// randomLanes is a publisher's tracks for one visit, out of a seed: layers and languages that come late, stop, return, change
// and are missing.
func randomLanes(r *rand.Rand, seconds float64, whole bool) (out []*lane) {
	fps := []int{25, 30, 50}[r.IntN(3)]
	gop := 2 * fps
	if r.IntN(5) == 0 {
		gop = 5 * fps // segments are cut between key frames
	}
	some := func(l *lane) {
		if whole {
			return
		}
		if r.IntN(3) == 0 {
			from := r.Float64()*seconds*1.3 - seconds*0.3
			until := from + r.Float64()*6
			l.gone = func(at float64) bool { return at >= from && at < until }
			l.rekey = r.IntN(2) == 0
		}
		if r.IntN(6) == 0 {
			other := *l.track
			other.Config = append(slices.Clone(other.Config), 9)
			l.other, l.from = &other, r.Float64()*seconds
		}
	}
	for id := range 3 {
		if !whole && r.IntN(5) == 0 {
			continue
		}
		l := &lane{track: videoTrack(id, 320<<id, 180<<id), fps: fps, gop: gop, late: r.Float64() * 0.06, off: int64(r.IntN(200)) - 100}
		if id > 0 && r.IntN(6) == 0 {
			l.phase = r.IntN(gop)
		}
		if id > 0 && r.IntN(6) == 0 && fps%2 == 0 {
			l.fps, l.gop = fps/2, gop/2
		}
		some(l)
		out = append(out, l)
	}
	for id := range 3 {
		if !whole && r.IntN(4) == 0 {
			continue
		}
		l := &lane{track: audioTrack(100+id, []string{"", "en", "de"}[id]), late: r.Float64() * 0.1}
		if r.IntN(6) == 0 {
			l.track.Silence = nil
		}
		some(l)
		out = append(out, l)
	}
	if r.IntN(6) == 0 {
		out = append(out, &lane{track: &stream.Track{ID: 9, Codec: stream.VP8, ClockRate: 90000}, fps: fps, gop: gop})
	}
	if len(out) == 0 {
		return randomLanes(r, seconds, true)
	}
	return out
}

// TestRandomLanes holds what must be true of any publisher with several tracks against a hundred of them.
func TestRandomLanes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		g := newRig(t)
		g.opt.Settings.DVR, g.out.Settings.DVR = time.Hour, time.Hour
		r := rand.New(rand.NewPCG(seed, 11))
		from, states, last := 100.0, 0, ""
		visits := 1 + r.IntN(3)
		for era := 1; era <= visits; era++ {
			g.era = era
			seconds := 5 + r.Float64()*10
			g.run(from, seconds, randomLanes(r, seconds, era == visits && r.IntN(2) == 0), func(at float64, f *stream.Frame) {
				if r.IntN(60) > 0 {
					return
				}
				states++
				a := state(states, fmt.Sprint("m", states/3))
				if r.IntN(3) == 0 && f.Track.Video() {
					a.Framed, a.Era, a.PTS = true, g.era, f.PTS
				}
				last = string(a.Message)
				g.Announce(a)
			})
			if r.IntN(2) == 0 {
				g.Away()
			}
			from += seconds + 1 + r.Float64()*20
		}
		told := len(g.cues.told)
		g.End()
		if g.lead == nil {
			continue // nothing came that could lead
		}
		g.judge(seed)
		g.judgeTold(seed)
		g.judgeSets(seed)
		if told > 200 || len(g.cues.sets) > 3 || last == "" {
			t.Errorf("show %d: %d messages and %d sets are kept; the last state is %q", seed, told, len(g.cues.sets), last)
		}
		if t.Failed() {
			return
		}
	}
}

// judgeSets: all renditions tell of the same date ranges.
func (g *rig) judgeSets(label any) {
	g.t.Helper()
	all := g.Presentation().Load().Renditions
	for _, r := range all[1:] {
		a, b := all[0].Load().Ranges, r.Load().Ranges
		if (a == nil) != (b == nil) || a != nil && !slices.Equal(a.All, b.All) {
			g.t.Errorf("%v: the date ranges of %s and %s differ", label, all[0].Name, r.Name)
		}
	}
}
