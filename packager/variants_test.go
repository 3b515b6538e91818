package packager

import (
	"slices"
	"strings"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// TestVariantsOfALadder: what players start with comes first, what they should rather have has the higher score.
func TestVariantsOfALadder(t *testing.T) {
	t.Parallel()
	hdr := stream.Color{Primaries: 9, Transfer: stream.TransferPQ, Matrix: 9, Depth: 10}
	for name, c := range map[string]struct {
		source *stream.Track
		rungs  []*stream.Track
		order  string // as listed
		scores string // from the best down
	}{
		"1080p": {
			videoTrack(0, 1920, 1080),
			[]*stream.Track{rungTrack(17, "720p", 1280, 720), rungTrack(18, "480p", 854, 480)},
			"720p 480p video", "video 720p 480p",
		},
		"portrait": {
			videoTrack(0, 1080, 1920),
			[]*stream.Track{rungTrack(17, "720p", 720, 1280), rungTrack(18, "480p", 480, 854)},
			"720p 480p video", "video 720p 480p",
		},
		"of the same size": {
			videoTrack(0, 1280, 720),
			[]*stream.Track{rungTrack(17, "720p", 1280, 720), rungTrack(18, "480p", 854, 480)},
			"720p video 480p", "video 720p 480p",
		},
		"HDR": {
			&stream.Track{ID: 0, Codec: stream.HEVC, ClockRate: 90000, Config: []byte{1, 2}, CodecString: "hvc1.2.4.L123.B0", Width: 1280, Height: 720, Color: hdr},
			[]*stream.Track{rungTrack(17, "720p", 1280, 720), rungTrack(18, "240p", 426, 240)},
			"720p video 240p", "video 720p 240p",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			s := ladderShow()
			s.picture.track, s.steps = c.source, nil
			for _, tr := range c.rungs {
				s.steps = append(s.steps, &step{track: tr, lag: constant(0.1)})
			}
			s.visit(100, 8, true)
			s.run(g, nil)
			all := g.Presentation().Load().Variants
			if got := strings.Join(g.variantNames(), " "); got != c.order {
				t.Errorf("listed %s, want %s", got, c.order)
			}
			slices.SortFunc(all, func(a, b window.Variant) int { return int(b.Score - a.Score) })
			if got := strings.Join(g.variantNames(), " "); got != c.scores {
				t.Errorf("scores: %s, want %s", got, c.scores)
			}
			for _, v := range all {
				if want := map[bool]string{true: "PQ", false: "SDR"}[name == "HDR" && v.Video.Name == "video"]; v.VideoRange != want || v.Score < 1 {
					t.Errorf("%s: range %q, score %v", v.Video.Name, v.VideoRange, v.Score)
				}
			}
		})
	}
}

// TestOneVariantHasNoScore.
func TestOneVariantHasNoScore(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = nil
	s.visit(100, 4, true)
	s.run(g, nil)
	if v := g.Presentation().Load().Variants; len(v) != 1 || v[0].Score != 0 || v[0].VideoRange != "SDR" {
		t.Errorf("%+v", v)
	}
}

// TestSoundAlone is a variant of its own behind all others, in a group that has the members of the first one.
func TestSoundAlone(t *testing.T) {
	t.Parallel()
	for _, english := range []bool{false, true} {
		g := newRig(t)
		s := ladderShow()
		alone := rungSound(131, "audio-64k")
		alone.SoundOnly, alone.Channels = true, 1
		s.steps = append(s.steps, &step{track: alone, lag: constant(0.2)})
		s.sound = audioTrack(100, "de")
		if alone.Language = "de"; english {
			s.visit(100, 6, true)
			second := &lane{track: audioTrack(101, "en"), late: 0.01}
			for _, e := range second.frames(1, 100, 6) {
				s.at(100+e.at, func(g *rig) { g.Frame(&e.f) })
			}
		} else {
			s.visit(100, 6, true)
		}
		s.run(g, nil)
		v := g.Presentation().Load().Variants
		g.judgeShow(english)
		last := v[len(v)-1]
		if len(v) != 5 || last.Video.Name != "audio-64k" || last.Codecs != "mp4a.40.2" || last.Score != 1 || last.Width != 0 || last.VideoRange != "" {
			t.Fatalf("%d variants, the last one is %+v", len(v), last)
		}
		first, own := v[0].Audio, last.Audio
		if own == nil || own.ID != "audio-64k" || len(own.Members) != len(first.Members) || len(own.Members) != 1+btoi(english) {
			t.Fatalf("groups %+v and %+v", first, own)
		}
		for i, m := range own.Members {
			if m.Name != first.Members[i].Name || m.Language != first.Members[i].Language {
				t.Errorf("member %d is %+v, in the first group %+v", i, m, first.Members[i])
			}
		}
		if own.Members[0].Rendition.Name != "audio-64k" || first.Members[0].Rendition.Name != "audio" || own.Members[0].Channels != 1 {
			t.Errorf("members %+v and %+v", own.Members[0], first.Members[0])
		}
	}
}

// TestConvertedLanguages stand beside what they were made from, and a group that lacks a language which the first has is left out.
func TestConvertedLanguages(t *testing.T) {
	t.Parallel()
	opus := func(id int, language string) *stream.Track {
		o := audioTrack(id, language)
		o.Codec, o.CodecString, o.Config = stream.Opus, "opus", []byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")
		return o
	}
	for _, all := range []bool{true, false} {
		g := newRig(t)
		s := ladderShow()
		s.steps, s.sound = nil, opus(100, "en")
		english := rungSound(116, "audio-aac")
		english.Language = "en"
		s.steps = append(s.steps, &step{track: english, lag: constant(0.1)})
		second := &lane{track: audioTrack(101, "de"), late: 0.01}
		second.track.Config = []byte{0x12, 0x10}
		if all {
			second.track = opus(101, "de")
			german := rungSound(117, "audio-aac-1")
			german.Language = "de"
			s.steps = append(s.steps, &step{track: german, lag: constant(0.1)})
		}
		s.visit(100, 6, true)
		for _, e := range second.frames(1, 100, 6) {
			s.at(100+e.at, func(g *rig) { g.Frame(&e.f) })
		}
		s.run(g, nil)
		v := g.Presentation().Load().Variants
		if len(v) != 1+btoi(all) {
			t.Fatalf("%d variants: %+v", len(v), v)
		}
		for _, x := range v {
			if m := x.Audio.Members; len(m) != 2 || m[0].Language != "en" || m[1].Language != "de" {
				t.Errorf("%s has %+v", x.Audio.ID, m)
			}
		}
		if !strings.HasSuffix(v[0].Codecs, "mp4a.40.2") {
			t.Errorf("the first variant has %s", v[0].Codecs)
		}
	}
}

// TestTheRateOfARung is what it was asked to have. Where that is not known it shows: an encoder that leaves pictures out may pass the first
// ones on as they are, and one that looks ahead begins with decoding times that lie closer than its pictures.
func TestTheRateOfARung(t *testing.T) {
	t.Parallel()
	for _, known := range []float64{0, 15} {
		g := newRig(t)
		s := ladderShow()
		s.steps = s.steps[:1]
		s.steps[0].every = 2
		s.steps[0].track.FrameRate = known
		s.visit(100, 12, true)
		flood := s.picture.pictures(1, 100, 0.4)
		for i := range flood {
			if i%2 == 1 {
				f := flood[i].f
				f.Track = s.steps[0].track
				s.at(100+flood[i].at+0.3, func(g *rig) { g.Frame(&f) })
			}
		}
		first := 0.0
		s.run(g, func(float64) {
			if v := g.Presentation().Load().Variants; first == 0 && len(v) > 1 {
				first = v[0].FrameRate
			}
		})
		v := g.Presentation().Load().Variants[0]
		if v.Video.Name != "720p" || v.FrameRate < 14.9 || v.FrameRate > 15.1 {
			t.Errorf("%s: then %.3f", v.Video.Name, v.FrameRate)
		}
		if known == 0 && first < 25 || known > 0 && first != known {
			t.Errorf("known to be %v, first %.3f", known, first)
		}
	}
}
