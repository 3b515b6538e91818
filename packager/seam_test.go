package packager

import (
	"math/rand/v2"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// judgeEnds: the segments of all rungs of pictures last as long as the publisher's, to the millisecond, with what is missing
// announced as missing. Where a rung has every other picture, its last one may have been expected to last for two, and
// one that came sooner or later than expected by the given jitter.
func (g *rig) judgeEnds(label any, jitter window.Ticks) {
	g.t.Helper()
	for _, r := range g.renditions {
		ends := window.Rate/1000 + jitter
		if r.w != nil && r.w.length() > g.lead.length()*3/2 {
			ends += r.w.length()
		}
		if !r.video || r.rung == nil || r.w == nil {
			continue
		}
		for _, seg := range g.rendition(r.name).Segments {
			want := g.rendition("video").Segment(seg.MSN)
			if want == nil {
				g.t.Errorf("%v: %s has a segment %d of its own", label, r.name, seg.MSN)
			} else if abs(seg.Duration-want.Duration) > ends {
				g.t.Errorf("%v: segment %d of %s lasts %v, the publisher's %v", label, seg.MSN, r.name,
					window.Duration(seg.Duration), window.Duration(want.Duration))
			}
		}
	}
}

// TestSegmentsEndAlikeAtASeam: when the publisher goes and comes again before all rungs have come, what is missing of them in front
// of the seam is a gap that ends there.
func TestSegmentsEndAlikeAtASeam(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		g := newRig(t)
		g.opt.Settings.SegmentDuration = time.Second
		s := ladderShow()
		s.picture.when, s.picture.gop = []func(int) float64{every(30), every(30000.0 / 1001), every(25)}[r.IntN(3)], 30
		s.picture.reorder = r.IntN(2) == 0
		seconds, pause := 5+r.Float64()*2, 0.2+r.Float64()
		ends := seconds - r.Float64()*0.6
		for i, st := range s.steps {
			st.lag = constant(0.05 + r.Float64()*0.4)
			if i > 0 {
				st.dead = func(at float64) bool { return at > ends }
			}
			if !s.picture.reorder {
				st.every = 1 + r.IntN(2)
			}
		}
		s.steps = append(s.steps, &step{track: rungSound(120, "audio-64k"), lag: constant(r.Float64() / 2), coded: true, every: 1})
		s.visit(100, seconds, r.IntN(2) == 0)
		s.visit(100+seconds+pause, 6, true)
		s.run(g, nil)
		g.judgeShow(seed)
		g.judgeEnds(seed, 0)
		if t.Failed() {
			return
		}
	}
}

// TestNewCodecDataComeSooner: when a phone is turned, the first picture of the new size may come sooner than the last of the old one
// was to end. The segment in front of it ends there in all renditions, unless its last part has been published by then.
func TestNewCodecDataComeSooner(t *testing.T) {
	t.Parallel()
	for _, old := range []int{61, 62, 67, 75} {
		for _, after := range []int64{1, 900, 2500} {
			g := newRig(t)
			g.opt.Settings.SegmentDuration = time.Second
			var frames, rungs []*stream.Frame
			add := func(dts int64, key bool, own, rung *stream.Track) {
				frames = append(frames, &stream.Frame{Track: own, Era: 1, DTS: dts, PTS: dts, Key: key, Wall: epoch.Add(window.Duration(dts)), Payload: []byte{0, 0, 0, 1, 1}})
				rungs = append(rungs, &stream.Frame{Track: rung, Era: 1, DTS: dts, PTS: dts, Key: key, Wall: epoch.Add(window.Duration(dts)), Payload: []byte{0, 0, 0, 1, 2}})
			}
			lying, upright := videoTrack(0, 640, 360), videoTrack(0, 360, 640)
			small, narrow := rungTrack(17, "240p", 426, 240), rungTrack(17, "240p", 240, 426)
			for i := range old {
				add(int64(i)*3000, i%30 == 0, lying, small)
			}
			from := int64(old-1)*3000 + after
			for i := range 120 {
				add(from+int64(i)*3000, i%30 == 0, upright, narrow)
			}
			g.Tracks([]*stream.Track{lying, small})
			const late = 4
			for i := range len(frames) + late {
				if i < len(frames) {
					g.Frame(frames[i])
				}
				if i >= late {
					g.Frame(rungs[i-late])
				}
			}
			g.End()
			g.judgeEnds([]int64{int64(old), after}, 0)
		}
	}
}
