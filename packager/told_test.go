package packager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/packager/window"
)

// messagesOf lists what a rendition's media tell in each segment.
func (g *rig) messagesOf(name string) map[int64][]emsg {
	all := map[int64][]emsg{}
	for _, e := range g.emsgs(name) {
		msn := e.msn
		e.msn, e.part = 0, 0
		all[msn] = append(all[msn], e)
	}
	return all
}

// judgeAlike: where a rung has all pictures of a segment, and of those around it, the segment tells what the publisher's does.
func (g *rig) judgeAlike(label any) {
	g.t.Helper()
	want := g.messagesOf("video")
	for _, r := range g.renditions {
		if !r.video || r.rung == nil || r.w == nil {
			continue
		}
		got := g.messagesOf(r.name)
		for _, seg := range g.rendition(r.name).Segments {
			if !seg.Gap() && !slices.ContainsFunc(seg.Parts, func(p window.Part) bool { return p.Gap }) && !slices.Equal(got[seg.MSN], want[seg.MSN]) {
				g.t.Errorf("%v: segment %d of %s tells\n%v, the publisher's\n%v", label, seg.MSN, r.name, got[seg.MSN], want[seg.MSN])
			}
		}
	}
}

// TestRungsDeclaredLateTellAll: a rung that is declared when its source has been there for a while has the messages of all the
// segments that it has, from the first on.
func TestRungsDeclaredLateTellAll(t *testing.T) {
	t.Parallel()
	for _, late := range []float64{0.05, 0.7, 1.9, 2.3, 3.9, 4.4} {
		g := newRig(t)
		s := ladderShow()
		for i, st := range s.steps {
			start := 1 + late + float64(i)/2
			st.lag = func(at float64) float64 { return max(0.2, start-at/2) }
		}
		s.visit(100, 12, true)
		s.at(99.9999, func(g *rig) { g.Announce(state(1)); g.Tracks(g.tracks[:2]) })
		s.at(100+late, func(g *rig) { g.Tracks(slices.Concat(g.tracks, s.declared())) })
		s.run(g, nil)
		g.judgeShow(late)
		g.judgeAlike(late)
		for _, name := range []string{"720p", "480p", "240p"} {
			if first := g.rendition(name).Segments[0].MSN; first != 1000 {
				t.Errorf("declared after %v s, %s begins with %d", late, name, first)
			}
		}
	}
}

// TestTheFirstStateIsTold by all renditions in the same segment, whenever it is announced while the first segments are made.
func TestTheFirstStateIsTold(t *testing.T) {
	t.Parallel()
	vfr := func(i int) float64 { return float64(i)/30 + float64(i*7919%13)*0.0019 }
	rates := []func(int) float64{every(30), every(30000.0 / 1001), every(25), vfr}
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 6))
		g := newRig(t)
		g.opt.Settings.SegmentDuration = time.Second
		s := ladderShow()
		s.sound = nil
		s.picture.when, s.picture.gop, s.picture.reorder = rates[r.IntN(4)], 30, r.IntN(2) == 0
		start := r.Float64() * 3
		for i, st := range s.steps {
			lag := []float64{0.001, 0.03, 0.1, 0.4, 1.2}[r.IntN(5)]
			st.lag = func(at float64) float64 { return max(lag, start-at*0.7) }
			st.coded, st.every = r.IntN(3) == 0, 1
			if i == 2 && !st.coded {
				st.every = 1 + r.IntN(2)
			}
		}
		s.visit(100, 7, true)
		at := 99.99 + float64(seed)/240*2.2
		for n := range 1 + r.IntN(3) {
			a := state(n)
			if n == 0 && r.IntN(4) == 0 {
				a.Framed, a.Era, a.PTS = true, 1, ticks(at-r.Float64()/4)
			}
			s.at(at+float64(n)*r.Float64()/5, func(g *rig) { g.Announce(a) })
		}
		if r.IntN(2) == 0 {
			declared := 100 + r.Float64()*start
			s.at(99.9999, func(g *rig) { g.Tracks(g.tracks[:1]) })
			s.at(declared, func(g *rig) { g.Tracks(slices.Concat(g.tracks, s.declared())) })
		}
		s.run(g, nil)
		label := fmt.Sprint("show ", seed)
		g.judgeShow(label)
		g.judgeAlike(label)
		if t.Failed() {
			return
		}
	}
}
