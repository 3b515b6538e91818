package packager

import (
	"fmt"
	"math"
	"testing"

	"pushcart/internal/stream"
)

// reordered gives a lane's frames the presentation times of an encoder with two B-frames between others.
func reordered(l *lane, events []event) {
	frame := 90000 / float64(l.fps)
	for k := range events {
		n, f := k%l.gop, &events[k].f
		later := 0.0
		switch {
		case n == 0:
			later = 1
		case n == l.gop-2:
			later = 2
		case n%3 == 1:
			later = 3
		}
		f.PTS = f.DTS + int64(math.Round((later-1)*frame)) // the same picture is shown at the same time in all layers
		f.DTS -= int64(math.Round(frame))
	}
}

// TestMixedLayers: layers of other frame rates than the leading one's, with and without B-frames, with sound of several kinds,
// are cut where it is, and lose nothing.
func TestMixedLayers(t *testing.T) {
	t.Parallel()
	for _, rates := range [][3]float64{{30, 30, 30}, {30, 15, 60}, {15, 30, 60}, {60, 30, 15}, {29.97, 29.97, 59.94}, {25, 50, 25}, {24, 24, 48}} {
		for bits := range 8 {
			label := fmt.Sprint(rates, " B-frames ", bits)
			g := newRig(t)
			g.Announce(state(1, "a"))
			var events []event
			var tracks []*stream.Track
			sent := map[string]int{}
			for i, rate := range rates {
				l := &lane{track: videoTrack(i, 320<<i, 180<<i), fps: int(math.Round(rate)), late: float64(i) * 0.015}
				l.gop = 2 * l.fps
				list := l.frames(1, 0, 8)
				for k := range list { // at the true rate
					f := &list[k].f
					f.DTS = 100*90000 + int64(math.Round(float64(k)*90000/rate))
					f.PTS = f.DTS
					list[k].at = float64(k)/rate + l.late
				}
				if bits>>i&1 == 1 {
					reordered(l, list)
				}
				tracks, events = append(tracks, l.track), append(events, list...)
				sent[renditionName(i)] = len(list)
			}
			for i, sound := range []*lane{{track: audioTrack(100, "en"), late: 0.03}, {track: opusTrack(101)}} {
				list := sound.frames(1, 100, 8)
				if i == 1 {
					list = list[:370] // of 20 ms
					for k := range list {
						f := &list[k].f
						f.DTS, f.Duration = 100*48000+int64(k)*960, 960
						f.PTS, list[k].at = f.DTS, float64(k)*0.02+0.05
					}
				}
				tracks, events = append(tracks, sound.track), append(events, list...)
				sent[renditionName(100+i)] = len(list)
			}
			sortEvents(events)
			g.Tracks(tracks)
			for i := range events {
				if events[i].f.Track.ID == 0 && i%97 == 0 {
					g.Announce(state(i, "b"))
				}
				g.Frame(&events[i].f)
			}
			g.End()
			g.judge(label)
			g.judgeTold(label)
			for name, n := range sent {
				g.check(name)
				g.judgeMedia(label, name)
				if _, gaps := g.parts(name); gaps > 0 {
					t.Errorf("%s: %s has %d gaps", label, name, gaps)
				}
				if got := len(g.samples(name)); got < n {
					t.Errorf("%s: %d of %d frames of %s came out", label, got, n, name)
				}
				if s := g.rendition(name); !s.Independent {
					t.Errorf("%s: %s is not independent", label, name)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}
