package packager

import (
	"math/rand/v2"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// judgeMedia holds what is announced of a rendition's parts against their samples: they last as long, and decoding time has no
// holes but over gaps and discontinuities.
func (g *rig) judgeMedia(label any, name string) {
	g.t.Helper()
	rate := 90000
	if r := g.Presentation().Load().Rendition(name); !r.Video {
		rate = 48000
	}
	const rounding = window.Rate / 1000
	line := int64(-1)
	for _, seg := range g.rendition(name).Segments {
		if seg.Discontinuity {
			line = -1
		}
		for n, p := range seg.Parts {
			if p.Data == nil {
				line = -1
				continue
			}
			all := g.readSamples(p.Data)
			from, until := all[0].dts, all[len(all)-1].dts+all[len(all)-1].duration
			if lasts := stream.Rescale(until-from, rate, window.Rate); abs(lasts-p.Duration) > rounding {
				g.t.Errorf("%v: part %d.%d of %s is announced with %d ticks, its samples last %d", label, seg.MSN, n, name, p.Duration, lasts)
			}
			if line >= 0 && from != line {
				g.t.Errorf("%v: part %d.%d of %s is decoded from %d, what is before it until %d", label, seg.MSN, n, name, from, line)
			}
			line = until
		}
	}
}

// judgeDates: dates of segments go as the media do.
func (g *rig) judgeDates(label any, r *window.Rendition) {
	g.t.Helper()
	segments := r.Load().Segments
	firsts := map[int64]window.Ticks{}
	for _, m := range g.firsts(r) {
		if m.part == 0 {
			firsts[m.msn] = m.first
		}
	}
	for i, x := range segments {
		a, ok := firsts[x.MSN]
		if i == 0 || !ok {
			continue
		}
		if b, ok := firsts[x.MSN-1]; ok && !x.Discontinuity {
			if off := x.Wall.Sub(segments[i-1].Wall) - window.Duration(a-b); off.Abs() > 60*time.Millisecond {
				g.t.Errorf("%v: the date of segment %d of %s moved %v further than its media", label, x.MSN, r.Name, off)
			}
		}
	}
}

// opusTrack has frames that state their own length.
func opusTrack(id int) *stream.Track {
	return &stream.Track{ID: id, Codec: stream.Opus, ClockRate: 48000, Config: []byte("OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"),
		CodecString: "opus", SampleRate: 48000, Channels: 2, Silence: []byte{0xf8, 0xff, 0xfe}, SilenceSamples: 960}
}

// thin takes frames out of events as a line does that loses packets: single ones of sound, of pictures all up to the next that
// can be decoded by itself.
func thin(r *rand.Rand, events []event, chance float64) (out []event) {
	broken := map[int]bool{}
	for i, e := range events {
		id := e.f.Track.ID
		switch lost := i > 0 && r.Float64() < chance; {
		case !e.f.Track.Video() && lost:
			continue
		case e.f.Track.Video() && lost:
			broken[id] = true
		case e.f.Key:
			broken[id] = false
		}
		if !broken[id] || !e.f.Track.Video() {
			out = append(out, e)
		}
	}
	return out
}

// TestLosses: frames that are missing in the middle of an era leave nothing that does not add up.
func TestLosses(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		g := newRig(t)
		sound := audioTrack(100, "")
		if seed%4 == 1 {
			sound.Silence, sound.SilenceSamples = nil, 0
		}
		all := []*lane{{track: videoTrack(0, 640, 360), fps: 30, gop: 60}, {track: sound, late: 0.02}}
		switch {
		case seed%4 == 2:
			all[1].track = opusTrack(100)
		case seed%4 == 3:
			all = all[1:]
		}
		var events []event
		var tracks []*stream.Track
		for _, l := range all {
			tracks = append(tracks, l.track)
			list := l.frames(1, 100, 20)
			if l.track.Codec == stream.Opus {
				at := int64(100 * 48000)
				step := []int64{120, 480, 960, 1920}[r.IntN(4)]
				for i := range list {
					f := &list[i].f
					f.DTS, f.PTS, f.Duration = at, at, step
					list[i].at = float64(at)/48000 - 100 + l.late
					at += step
				}
			}
			events = append(events, thin(r, list, 0.02)...)
		}
		sortEvents(events)
		g.Tracks(tracks)
		for i := range events {
			if events[i].at < 20 {
				g.Frame(&events[i].f)
			}
		}
		g.End()
		g.judge(seed)
		for _, v := range g.Presentation().Load().Renditions {
			g.check(v.Name)
			g.judgeMedia(seed, v.Name)
			g.judgeDates(seed, v)
			if _, gaps := g.parts(v.Name); gaps > 0 && !v.Video && seed%4 != 1 {
				t.Errorf("%d: %s has %d gaps", seed, v.Name, gaps)
			}
		}
		if t.Failed() {
			return
		}
	}
}
