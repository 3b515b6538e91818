package packager

import (
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// judgeSound: sound begins each segment with the frame that is nearest to the boundary. So over any number of segments its dates keep to
// its media within a frame, and so does each segment's length to that of the picture's.
func (g *rig) judgeSound(label any, name string, frame window.Ticks) {
	g.t.Helper()
	most := window.Duration(frame + window.Rate/1000) // and rounding
	first := map[int64]window.Ticks{}
	for _, m := range g.firsts(g.Presentation().Load().Rendition(name)) {
		if m.part == 0 {
			first[m.msn] = m.first
		}
	}
	segments := g.rendition(name).Segments
	var early, late time.Duration
	for i, x := range segments {
		off := window.Duration(first[x.MSN]-first[segments[0].MSN]) - x.Wall.Sub(segments[0].Wall)
		if early, late = min(early, off), max(late, off); late-early > most {
			g.t.Errorf("%v: up to segment %d %s begins %v before and %v behind its date, seen from the first one", label, x.MSN, name, -early, late)
			return
		}
		want := g.rendition("video").Segment(x.MSN)
		if d := window.Duration(x.Duration - want.Duration); d.Abs() > most && i < len(segments)-1 {
			g.t.Errorf("%v: segment %d of %s lasts %v longer than the picture's", label, x.MSN, name, d)
		}
	}
}

// TestSoundBeginsWithTheNearestFrame: which frame of sound begins a segment follows from the boundary, and not from whether it came before
// the picture there or behind it: where pictures are lost, or new codec data come, what came in front of them waits behind them.
func TestSoundBeginsWithTheNearestFrame(t *testing.T) {
	t.Parallel()
	for _, fps := range []int{25, 30} {
		for hole := range 4 { // pictures that are missing in front of each third key frame
			for _, late := range []float64{0, 0.04} { // of the sound of every other second and a half
				g := newRig(t)
				g.opt.Settings.SegmentDuration = time.Second
				picture, sound := &lane{track: videoTrack(0, 640, 360), fps: fps, gop: fps}, &lane{track: audioTrack(100, "")}
				picture.gone = func(at float64) bool {
					return int(at)%3 == 2 && at-float64(int(at)) > 1-(float64(hole)+0.5)/float64(fps)
				}
				events := sound.frames(1, 100, 16)
				for i := range events {
					if int(events[i].at/1.5)%2 == 1 {
						events[i].at += late
					}
				}
				events = append(events, picture.frames(1, 100, 16)...)
				sortEvents(events)
				g.Tracks([]*stream.Track{picture.track, sound.track})
				for i := range events {
					g.Frame(&events[i].f)
				}
				g.End()
				label := []any{fps, hole, late}
				g.judge(label)
				g.judgeSound(label, "audio", stream.Rescale(1024, 48000, window.Rate))
			}
		}
	}
}

// TestTheLastSoundIsNotHeldBack: when the publisher has gone, no boundary is to come that a rung's last frame of sound could belong
// behind, wherever it ends.
func TestTheLastSoundIsNotHeldBack(t *testing.T) {
	t.Parallel()
	for i := range 30 {
		g := newRig(t)
		s := ladderShow()
		s.steps = []*step{{track: rungSound(116, "audio-aac"), lag: constant(0.9), coded: true, every: 1}}
		s.visit(100, 3+float64(i)*0.007, true)
		s.run(g, nil)
		if own, rung := len(g.samples("audio")), len(g.samples("audio-aac")); own != rung {
			t.Errorf("after %d ms more than 3 s, the publisher's sound has %d frames, the rung %d", 7*i, own, rung)
		}
	}
}
