package packager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// randomShow is a show of four publishers' visits with states coming all the time, out of a seed.
type randomShow struct {
	*rig
	r            *rand.Rand
	rate, gop    int64
	cts          func(int) int64
	withAudio    bool
	base         int64 // media time of the visit
	states       int
	last         string
	video, audio *stream.Track
}

func newRandomShow(t *testing.T, seed uint64) *randomShow {
	g := &randomShow{rig: newRig(t), r: rand.New(rand.NewPCG(seed, 5)), base: 1000 * 90000, cts: noReorder}
	g.opt.Settings.DVR, g.out.Settings.DVR = time.Hour, time.Hour
	g.rate = []int64{25, 30, 50, 60}[g.r.IntN(4)]
	g.rig.audio.ClockRate = []int{44100, 48000}[g.r.IntN(2)]
	g.gop = 4*(g.rate/2) + 1
	if seed%4 == 0 {
		g.gop = 4*(g.rate*5/2) + 1 // segments are cut between key frames
	}
	if g.r.IntN(2) == 0 {
		g.cts = func(i int) int64 { return reorder(i%int(g.gop)) / 3600 * (90000 / g.rate) }
	}
	g.withAudio = g.r.IntN(4) > 0
	g.video, g.audio = g.rig.video, g.rig.audio
	return g
}

// announce makes one state of any kind.
func (g *randomShow) announce(pts int64, at time.Time) {
	g.states++
	a := state(g.states, fmt.Sprint("m", g.states/3), fmt.Sprint("k", g.states))
	switch g.r.IntN(4) {
	case 0:
		a.Framed, a.Era, a.PTS = true, g.era, pts+int64(g.r.IntN(20)-10)*90000/g.rate
	case 1:
		a.At = at.Add(time.Duration((g.r.Float64()*0.2 - 0.1) * 1e9))
	}
	g.last = string(a.Message)
	g.Announce(a)
}

// hole is a stretch of a visit without frames of a kind.
type hole struct{ from, to float64 }

func (g *randomShow) hole(seconds float64) hole {
	if g.r.IntN(3) > 0 {
		return hole{1e9, 1e9}
	}
	from := g.r.Float64() * seconds
	return hole{from, from + g.r.Float64()*6}
}

func (h hole) has(at float64) bool { return at >= h.from && at <= h.to }

// visit plays one era; the last one is whole, and nothing is announced in its last seconds.
func (g *randomShow) visit(era int, last bool) {
	g.era = era
	for _, t := range []**stream.Track{&g.video, &g.audio} {
		if g.r.IntN(3) == 0 && era > 1 {
			v := **t
			v.Config = append(slices.Clone(v.Config), byte(era))
			*t = &v
		}
	}
	g.Tracks([]*stream.Track{g.video, g.audio}[:1+btoi(g.withAudio)])
	seconds := 4 + g.r.Float64()*10
	noVideo, noAudio := g.hole(seconds), g.hole(seconds)
	if last {
		seconds, noVideo, noAudio = 16, hole{1e9, 1e9}, hole{1e9, 1e9}
	}
	wall := epoch.Add(window.Duration(g.base - 1000*90000))
	heard := int64(0)
	for i := int64(0); float64(i)/float64(g.rate) < seconds; i++ {
		dts, at := g.base+i*90000/g.rate, float64(i)/float64(g.rate)
		now := wall.Add(time.Duration(at * 1e9))
		if g.r.IntN(20) == 0 && !(last && at > 10) {
			for range 1 + g.r.IntN(3) {
				g.announce(dts+g.cts(int(i)), now)
			}
		}
		if !noVideo.has(at) {
			g.Frame(&stream.Frame{Track: g.video, Era: era, DTS: dts, PTS: dts + g.cts(int(i)), Key: i%g.gop == 0, Wall: now, Payload: make([]byte, 100)})
		}
		rate := int64(g.audio.ClockRate)
		for ; g.withAudio && heard*1024*90000/rate <= dts-g.base; heard++ {
			if d := g.base*rate/90000 + heard*1024; !noAudio.has(at) {
				g.Frame(&stream.Frame{Track: g.audio, Era: era, DTS: d, PTS: d, Duration: 1024, Key: true, Wall: now, Payload: make([]byte, 20)})
			}
		}
	}
	g.base += int64(seconds*90000) + 90000 + 90000*int64(g.r.IntN(20))
}

// TestStatesOfRandomShows holds what must be true of any show's messages and ranges against two hundred of them.
func TestStatesOfRandomShows(t *testing.T) {
	t.Parallel()
	const visits = 4
	for seed := range uint64(200) {
		g := newRandomShow(t, seed)
		for era := 1; era <= visits; era++ {
			g.visit(era, era == visits)
			if g.r.IntN(2) == 0 && era < visits {
				g.Away()
				for range g.r.IntN(30) {
					g.states++
					a := state(g.states, fmt.Sprint("w", g.states))
					g.last = string(a.Message)
					g.Announce(a)
				}
			}
		}
		g.judgeMessages(seed)
		g.judgeRanges(seed)
		if len(g.cues.waiting) > 0 || len(g.cues.bound) > 1 || len(g.cues.told) > 200 || len(g.cues.sets) > 3 {
			t.Errorf("show %d: %d states wait, %d are bound, %d messages and %d sets are kept", seed,
				len(g.cues.waiting), len(g.cues.bound), len(g.cues.told), len(g.cues.sets))
		}
		if t.Failed() {
			return
		}
	}
}

// judgeMessages: ids differ, times rise, each segment tells the state, and the last one is in the media.
func (g *randomShow) judgeMessages(seed uint64) {
	all := g.emsgs("video")
	ids, have := map[uint32]bool{}, map[int64]bool{}
	for i, e := range all {
		if ids[e.id] {
			g.t.Errorf("show %d: id %d twice", seed, e.id)
		}
		ids[e.id], have[e.msn] = true, true
		if i > 0 && e.time < all[i-1].time {
			g.t.Errorf("show %d: %+v comes behind %+v", seed, e, all[i-1])
		}
	}
	if len(all) == 0 || all[len(all)-1].message != g.last {
		g.t.Errorf("show %d: the last of %d messages is not %q", seed, len(all), g.last)
	}
	begun := false
	for _, s := range g.rendition("video").Segments {
		if begun = begun || have[s.MSN]; begun && !have[s.MSN] && !s.Gap() && s.Complete {
			g.t.Errorf("show %d: segment %d tells no state", seed, s.MSN)
		}
	}
}

// judgeRanges: none ends before it begins, and the renditions agree.
func (g *randomShow) judgeRanges(seed uint64) {
	video := g.rendition("video").Ranges
	if video == nil {
		g.t.Fatalf("show %d: no ranges", seed)
	}
	for _, d := range video.All {
		if !d.End.IsZero() && d.End.Before(d.Start) {
			g.t.Errorf("show %d: range %+v", seed, d)
		}
	}
	if a := g.Presentation().Load().Rendition("audio"); a != nil && (a.Load().Ranges == nil || !slices.Equal(video.All, a.Load().Ranges.All)) {
		g.t.Errorf("show %d: the renditions' ranges differ", seed)
	}
}
