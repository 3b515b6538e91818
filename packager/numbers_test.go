package packager

import (
	"math"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// checkNumbers holds the renditions against each other: segments of one number say the same of themselves in both, and
// neither rendition is a segment behind at the end of what was published.
func (g *rig) checkNumbers() {
	g.t.Helper()
	v, a := g.rendition("video"), g.rendition("audio")
	for _, x := range a.Segments {
		y := v.Segment(x.MSN)
		if y == nil {
			continue
		}
		if !x.Wall.Equal(y.Wall) || x.Discontinuity != y.Discontinuity || x.DiscontinuitySequence != y.DiscontinuitySequence {
			g.t.Errorf("segment %d: audio is at %v, discontinuity %v (%d), video at %v, %v (%d)", x.MSN,
				x.Wall, x.Discontinuity, x.DiscontinuitySequence, y.Wall, y.Discontinuity, y.DiscontinuitySequence)
		}
	}
	if v.NextMSN != a.NextMSN || v.NextMSN != g.NextMSN() {
		g.t.Errorf("the next segment of video is %d, of audio %d, of the packager %d", v.NextMSN, a.NextMSN, g.NextMSN())
	}
}

// checkReal wants the media of a stretch of stream time to have come out as it went in: no silence, no held pictures.
func (g *rig) checkReal(name string, from, to float64) {
	g.t.Helper()
	tr := g.video
	if name == "audio" {
		tr = g.audio
	}
	rate, n := float64(tr.ClockRate), 0
	for _, s := range g.samples(name) {
		if at := float64(s.pts) / rate; at >= from && at < to {
			n++
		}
	}
	want := int((to - from) * 30)
	if name == "audio" {
		want = int((to - from) * rate / float64(tr.FrameSamples))
	}
	if d := n - want; d < -3 || d > 3 {
		g.t.Errorf("%s: %d frames between %v and %v s, want %d", name, n, from, to, want)
	}
}

// TestNumbersAgree plays publishers that come back with less, more or other media than before, or whose clocks jump while
// one kind of media is away. Whatever happens, both renditions number on together.
func TestNumbersAgree(t *testing.T) {
	t.Parallel()
	gone := func(video bool, from, to float64) func(bool, float64) bool {
		return func(v bool, at float64) bool { return v == video && at >= from && at < to }
	}
	both := shape{seconds: 6, frames: constantRate(30), gop: 2, audio: true, from: 1}
	for name, play := range map[string]func(g *rig){
		"the publisher leaves right behind a key frame": func(g *rig) {
			s := both
			s.seconds = 4.03
			s.skip = gone(false, 3.95, 5)
			g.play(s)
			g.comeBack(8)
		},
		"audio stops, then the publisher leaves": func(g *rig) {
			s := both
			s.seconds, s.skip = 10, gone(false, 3, 10)
			g.play(s)
			g.comeBack(14)
		},
		"audio stops without silence for it, then the publisher leaves": func(g *rig) {
			g.audio.Silence = nil
			s := both
			s.seconds, s.skip = 10, gone(false, 3, 10)
			g.play(s)
			g.comeBack(14)
		},
		"back without audio, then with it": func(g *rig) {
			g.play(both)
			g.leave()
			g.play(shape{seconds: 6, frames: constantRate(30), gop: 2, from: 9})
			g.comeBack(17)
		},
		"back without video, then with it": func(g *rig) {
			g.play(both)
			g.leave()
			g.play(shape{seconds: 6, audio: true, from: 9})
			g.comeBack(17)
		},
		"back with audio at once and video later": func(g *rig) {
			g.play(both)
			g.leave()
			s := both
			s.from, s.seconds, s.skip = 9, 9, gone(true, 0, 4)
			g.play(s)
			g.comeBack(20)
		},
		"first without video, then with it": func(g *rig) {
			g.play(shape{seconds: 6, audio: true, from: 1})
			g.comeBack(9)
		},
		"first without audio, then with it": func(g *rig) {
			g.play(shape{seconds: 6, frames: constantRate(30), gop: 2, from: 1})
			g.comeBack(9)
		},
		"first without video, which then joins in": func(g *rig) {
			s := both
			s.seconds, s.skip = 12, gone(true, 0, 5.3)
			g.play(s)
			g.comeBack(15)
		},
		"the clock jumps in the middle of a GOP": func(g *rig) {
			s := both
			s.seconds = 5
			g.play(s)
			g.era++
			s.from, s.seconds, s.skip = 9, 9, gone(true, 0, 3)
			g.play(s)
			g.comeBack(20)
		},
		"the clock jumps again and again": func(g *rig) {
			s := both
			for i := range 5 {
				s.from, s.seconds = 1+3*float64(i), 1.03
				g.play(s)
				g.era++
			}
			g.comeBack(20)
		},
		"back with other codec data": func(g *rig) {
			g.play(both)
			g.video.Config, g.audio.Config = []byte{1, 0x64, 0, 0x28, 0xff}, []byte{0x12, 0x10}
			g.comeBack(9)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.audio.Silence, g.audio.SilenceSamples = []byte{1, 2, 3}, 1024
			play(g)
			g.End()
			g.check("video")
			g.check("audio")
			g.checkNumbers()
			g.invariants()
		})
	}
}

// leave ends the present publisher's session. The next one has tracks of its own.
func (g *rig) leave() {
	g.Away()
	g.era++
	video, audio := *g.video, *g.audio
	g.video, g.audio = &video, &audio
}

// comeBack has the publisher leave and return with both kinds of media, which must come out whole.
func (g *rig) comeBack(from float64) {
	g.t.Helper()
	g.leave()
	g.play(shape{seconds: 6, frames: constantRate(30), gop: 2, audio: true, from: from})
	g.checkReal("video", from, from+5.5)
	g.checkReal("audio", from, from+5.5)
}

// TestAudioCodecDataChanges: the new audio begins at the next key frame, with a discontinuity in both renditions.
func TestAudioCodecDataChanges(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.audio.Silence, g.audio.SilenceSamples = []byte{1, 2, 3}, 1024
	s := shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 1}
	g.play(s)
	changed := *g.audio
	changed.Config = []byte{0x12, 0x10}
	g.audio = &changed
	// The same video goes on: key frames at 7, 9, ... s.
	s.frames = func(i int) float64 { return float64(i)/30 + 5 }
	s.seconds = 15
	s.gop = 2
	s.skip = func(video bool, at float64) bool { return !video && at < 5 }
	g.play(s)
	g.End()
	g.check("video")
	g.check("audio")
	g.checkNumbers()
	g.checkReal("audio", 9, 15.5)
	inits := map[string]bool{}
	a := g.rendition("audio")
	for i, seg := range a.Segments {
		inits[seg.Init.Name] = true
		if i > 0 && (seg.Init.Name != a.Segments[i-1].Init.Name) && !seg.Discontinuity {
			t.Errorf("segment %d changes the codec data without a discontinuity", seg.MSN)
		}
	}
	if len(inits) != 2 {
		t.Errorf("%d initialisation sections of audio, want 2", len(inits))
	}
}

// TestVariantsFollow: what the multivariant playlist says of the media is true for those who join after a change.
func TestVariantsFollow(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 1})
	g.leave()
	g.video.Codec, g.video.CodecString, g.video.Width, g.video.Height = stream.HEVC, "hvc1.1.6.L93.B0", 1920, 1080
	g.audio.Codec, g.audio.CodecString, g.audio.Channels, g.audio.Config = stream.AAC, "mp4a.40.5", 1, []byte{0x12, 0x08}
	g.play(shape{seconds: 5, frames: constantRate(60), gop: 2, audio: true, from: 8})
	v := g.Presentation().Load().Variants[0]
	if v.Codecs != "hvc1.1.6.L93.B0,mp4a.40.5" || v.Width != 1920 || v.Height != 1080 || v.Audio.Members[0].Channels != 1 || math.Abs(v.FrameRate-60) > 1 {
		t.Errorf("the variant is still %+v", v)
	}
}

// TestNothingGrowsWithoutAudio: a stream without audio keeps no list of boundaries for it.
func TestNothingGrowsWithoutAudio(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 120, frames: constantRate(10), gop: 1, from: 1})
	if n := len(g.recent); n > 20 {
		t.Errorf("%d boundaries wait for audio that never comes", n)
	}
	if n := len(g.renditions); n != 1 {
		t.Errorf("%d renditions of one track", n)
	}
}

// TestFrozenClock: a publisher whose timestamps stand still cannot fill the memory.
func TestFrozenClock(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Tracks([]*stream.Track{g.video})
	payload := make([]byte, 10000)
	for i := range int64(20000) {
		f := stream.Frame{Track: g.video, Era: 1, DTS: 90000 + i, PTS: 90000 + i, Key: i%60 == 0, Wall: epoch, Payload: payload}
		g.Frame(&f)
	}
	if n := len(g.lead.payload); n > mostPartBytes+len(payload) {
		t.Errorf("the open part has come to %d bytes", n)
	}
	total := len(g.lead.payload)
	if g.lead.sequence > 0 {
		total += g.rendition("video").Bytes()
	}
	if total > 100<<20 {
		t.Errorf("%d bytes are kept for a quarter of a second", total)
	}
}

// TestAbsurdOffset: a composition offset of hours does not leave audio behind.
func TestAbsurdOffset(t *testing.T) {
	t.Parallel()
	for _, offset := range []int64{-8000 * window.Rate, 8000 * window.Rate} {
		g := newRig(t)
		g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 10000})
		f := stream.Frame{Track: g.video, Era: 1, DTS: 10005 * window.Rate, PTS: 10005*window.Rate + offset, Key: true, Wall: epoch, Payload: []byte{1}}
		g.Frame(&f)
		s := shape{seconds: 20, frames: constantRate(30), gop: 2, audio: true, from: 10000}
		s.skip = func(_ bool, at float64) bool { return at < 5.05 }
		g.play(s)
		g.End()
		g.checkNumbers()
	}
}
