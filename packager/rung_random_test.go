package packager

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
)

// randomLadderShow is a publisher and its ladder out of a seed: every rate, order and lag, programs that start late, die, come back with the
// same or another encoder, stop for long, and a publisher that goes and returns while frames are on their way.
func randomLadderShow(r *rand.Rand) *show {
	rates := []func(int) float64{every(30), every(30000.0 / 1001), every(25), every(50), every(12)}
	k := r.IntN(len(rates))
	gop := []int{60, 60, 50, 100, 24}[k]
	when := rates[k]
	if r.IntN(4) == 0 {
		jitter := r.Float64() * 0.4
		when = func(i int) float64 { return (float64(i) + jitter*float64(i*7919%13)/13) * rates[k](1) }
	}
	s := &show{picture: &origin{track: videoTrack(0, 1920, 1080), when: when, gop: gop, reorder: r.IntN(2) == 0}, sound: audioTrack(100, "")}
	if r.IntN(5) == 0 {
		s.picture.gop, s.picture.reorder = gop*5/2, false // segments are cut between key frames
	}
	switch r.IntN(8) {
	case 0:
		s.sound = nil
	case 1:
		s.sound = &stream.Track{ID: 100, Codec: stream.PCMA, ClockRate: 48000, SampleRate: 48000, Channels: 1}
	case 2:
		s.picture.track, s.picture.reorder = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}, false
	case 3:
		s.picture.track, s.picture.reorder = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}, false
		s.sound = &stream.Track{ID: 100, Codec: stream.PCMA, ClockRate: 48000, SampleRate: 48000, Channels: 1}
	}
	return s
}

// randomSteps makes the show's rungs for its next visit.
func randomSteps(r *rand.Rand, s *show, seconds float64) {
	s.steps = nil
	died := r.Float64() * seconds * 1.5
	back := died + r.Float64()*5
	if r.IntN(6) == 0 {
		back = died + 40
	}
	dead := r.IntN(2) == 0
	start := r.Float64() * 3
	changed := r.IntN(2) == 0
	add := func(t *stream.Track) {
		lag, wave := 0.02+r.Float64()*r.Float64()*1.2, r.Float64()*0.3
		if r.IntN(8) == 0 {
			lag += 2.5
		}
		st := &step{track: t, every: 1 + r.IntN(2), coded: r.IntN(3) == 0}
		st.lag = func(at float64) float64 { return max(lag+wave*math.Abs(math.Sin(at*11)), start-at*0.7) }
		if st.every > 1 {
			st.coded = false
		}
		if dead {
			st.dead = func(at float64) bool { return at > died && at < back }
			st.from = died
			if r.IntN(2) == 0 && t.Video() && s.picture.track.Codec == stream.H264 {
				st.delay = int64(r.IntN(4)) * 4500
			}
			if changed {
				other := *t
				other.Config = append(slices.Clone(other.Config), byte(s.era), 9)
				st.other = &other
			}
		}
		s.steps = append(s.steps, st)
	}
	for i, name := range []string{"1080p", "720p", "480p", "240p"} {
		if r.IntN(4) > 0 {
			add(rungTrack(16+i, name, 1920/(i+1), 1080/(i+1)))
		}
	}
	if s.sound != nil {
		for i, name := range []string{"audio-aac", "audio-64k"} {
			if r.IntN(2) == 0 {
				t := rungSound(116+15*i, name)
				t.SoundOnly = i > 0
				if r.IntN(6) == 0 {
					t.Silence = nil
				}
				add(t)
				last := s.steps[len(s.steps)-1]
				last.every, last.coded = 1, true
			}
		}
	}
	s.stops = nil
	if r.IntN(4) == 0 {
		from := r.Float64() * seconds
		until, kind := from+r.Float64()*4, r.IntN(2) == 0 && !s.picture.reorder
		s.stops = func(video bool, at float64) bool { return video == kind && at > from && at < until }
	}
}

// TestRandomLadders holds what must be true of any stream with a ladder against sixty of them.
func TestRandomLadders(t *testing.T) {
	t.Parallel()
	for seed := range uint64(35) {
		g := newRig(t)
		g.opt.Settings.DVR, g.out.Settings.DVR = time.Hour, time.Hour
		r := rand.New(rand.NewPCG(seed, 5))
		s := randomLadderShow(r)
		from := 100.0
		for range 1 + r.IntN(3) {
			seconds := 4 + r.Float64()*14
			randomSteps(r, s, seconds)
			s.visit(from, seconds, r.IntN(2) == 0)
			for n := range r.IntN(30) {
				s.at(from+r.Float64()*seconds, func(g *rig) { g.Announce(state(n, fmt.Sprint("m", n/3))) })
			}
			if n := len(s.steps); n > 0 && seed%3 == 0 { // a change of plan, and for some the change back
				gone, at := s.steps[int(seed/3)%n].track.Rung, from+seconds*float64(seed%7+1)/9
				var before []*stream.Track
				s.at(at, func(g *rig) {
					before = g.tracks
					g.Tracks(slices.DeleteFunc(slices.Clone(before), func(t *stream.Track) bool { return t.Rung == gone }))
				})
				if seed%2 == 0 {
					s.at(at+4, func(g *rig) { g.Tracks(before) })
				}
			}
			from += seconds + 0.3 + r.Float64()*r.Float64()*15
		}
		s.run(g, func(float64) {
			for _, r := range g.renditions {
				if len(r.queue.frames) > mostQueuedFrames || len(r.cuts) > mostRungFollow {
					t.Fatalf("show %d: %d frames and %d boundaries are kept for %s", seed, len(r.queue.frames), len(r.cuts), r.name)
				}
			}
		})
		if g.lead == nil {
			continue
		}
		told := len(g.cues.told)
		g.judgeShow(seed)
		if g.picture != nil && g.picture.name == "video" {
			g.judgeAlike(seed)
		}
		if s.stops == nil && s.picture.track.Codec == stream.H264 { // no picture is held
			for _, r := range g.renditions {
				if r.video && r.rung != nil && r.w != nil {
					s.judgePictures(g, seed, r.name)
				}
			}
		}
		if told > 300 || len(g.cues.sets) > 40 {
			t.Errorf("show %d: %d messages and %d sets are kept", seed, told, len(g.cues.sets))
		}
		if t.Failed() {
			return
		}
	}
}
