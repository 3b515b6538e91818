package packager

import (
	"slices"
	"strings"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/playlist"
	"pushcart/packager/window"
)

func members(v window.Variant) (names []string) {
	for _, m := range v.Audio.Members {
		names = append(names, m.Rendition.Name+" "+m.Name+" "+m.Language)
	}
	return names
}

// TestLanguages: each is a rendition of one group, in step with the picture; one that begins late joins at a boundary.
func TestLanguages(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	late := audioTrack(103, "")
	g.run(100, 20, []*lane{
		{track: videoTrack(0, 1280, 720), fps: 30, gop: 60},
		{track: audioTrack(100, "en")}, {track: audioTrack(101, "pt-BR"), late: 0.15}, {track: late, gone: func(at float64) bool { return at < 5.3 }},
	}, func(at float64, _ *stream.Frame) {
		if at > 0.9 && at < 1 && len(g.Presentation().Load().Variants) == 0 {
			t.Fatal("nothing to play after 0.9 s")
		}
	})
	g.End()
	g.judge("languages")
	v := g.Presentation().Load().Variants
	if got, want := members(v[0]), []string{"audio en en", "audio-1 pt-BR pt-BR", "audio-3 Audio 3 "}; len(v) != 1 || !slices.Equal(got, want) {
		t.Errorf("%d variants, members %v, want %v", len(v), got, want)
	}
	if first := g.rendition("audio-3").Segments[0].MSN; first != 1002 {
		t.Errorf("the late one begins with %d", first)
	}
	for _, name := range []string{"audio", "audio-1"} {
		if n := len(g.samples(name)); n < 935 {
			t.Errorf("%s has %d frames of 937", name, n)
		}
	}
}

// TestALanguageFallsSilent: silence for that one, and the others go on as they are.
func TestALanguageFallsSilent(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.run(100, 20, []*lane{
		{track: videoTrack(0, 1280, 720), fps: 30, gop: 60},
		{track: audioTrack(100, "en")}, {track: audioTrack(101, "de"), gone: func(at float64) bool { return at > 4.1 && at < 12 }},
	}, nil)
	g.End()
	g.judge("silent")
	for _, name := range []string{"audio", "audio-1"} {
		if _, gaps := g.parts(name); gaps > 0 {
			t.Errorf("%s has %d gaps", name, gaps)
		}
		if n := len(g.samples(name)); n < 935 {
			t.Errorf("%s has %d frames of 937", name, n)
		}
	}
}

// TestSoundAloneInTwoLanguages: the first leads; when it stops, silence takes its place and the other goes on.
func TestSoundAloneInTwoLanguages(t *testing.T) {
	t.Parallel()
	for _, silence := range []bool{true, false} {
		g := newRig(t)
		g.Announce(state(1, "a"))
		first := audioTrack(100, "en")
		if !silence {
			first.Silence = nil
		}
		g.run(100, 20, []*lane{
			{track: first, gone: func(at float64) bool { return at > 6 && at < 12 }}, {track: audioTrack(101, "de"), late: 0.01},
		}, nil)
		g.End()
		g.judge(silence)
		v := g.Presentation().Load().Variants
		if len(v) != 1 || v[0].Video.Name != "audio" || v[0].Codecs != "mp4a.40.2" || len(v[0].Audio.Members) != 2 {
			t.Errorf("variants %+v", v)
		}
		if n := len(g.samples("audio-1")); n < 930 {
			t.Errorf("silence %v: the second language has %d frames of 937", silence, n)
		}
		if a, b := g.emsgs("audio"), g.emsgs("audio-1"); silence && !slices.Equal(a, b) {
			t.Errorf("messages of the first language\n%v, of the second\n%v", a, b)
		}
	}
}

// TestOneGroupForEachCodec, and each video with each group.
func TestOneGroupForEachCodec(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	opus := &stream.Track{ID: 101, Codec: stream.Opus, ClockRate: 48000, CodecString: "opus", SampleRate: 48000, Channels: 2, FrameSamples: 1024,
		Config: []byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"), Language: "fr"}
	lanes := append(layers()[:2], &lane{track: audioTrack(100, "en")}, &lane{track: opus}, &lane{track: audioTrack(102, "en")})
	g.run(100, 6, lanes, nil)
	var got []string
	for _, v := range g.Presentation().Load().Variants {
		got = append(got, v.Video.Name+" "+v.Codecs+" "+v.Audio.ID+" "+strings.Join(members(v), ", "))
	}
	want := []string{
		"video-1 avc1.64001f,mp4a.40.2 audio audio en en, audio-2 en 2 en", "video-1 avc1.64001f,opus audio-2 audio-1 fr fr",
		"video avc1.64001f,mp4a.40.2 audio audio en en, audio-2 en 2 en", "video avc1.64001f,opus audio-2 audio-1 fr fr",
	}
	if !slices.Equal(got, want) {
		t.Errorf("variants\n%v\nwant\n%v", got, want)
	}
}

// TestNamesOfTracksAreHostile: nothing that a publisher says of a track gets out of its place in the playlist.
func TestNamesOfTracksAreHostile(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var lanes []*lane
	names := []string{"a\",URI=\"http://evil/\"\n#EXT-X-ENDLIST", "\r\n\x00", "Comment\u202eary", "Commentary", strings.Repeat("ü", 500), "\xff\xfe", "", " "}
	tags := []string{"en\"", "en\n", "x", "de-", "EN-us", strings.Repeat("abcd-", 30) + "ab", "e n", "ü"}
	for i := range names {
		a := audioTrack(100+i, tags[i])
		a.Name = names[i]
		lanes = append(lanes, &lane{track: a})
	}
	g.run(100, 4, append(lanes, &lane{track: videoTrack(0, 640, 360), fps: 30, gop: 60}), nil)
	g.judgeVariants("hostile")
	text := string(playlist.Multivariant(g.Presentation().Load()))
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 2+len(names)+2 {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
	for _, l := range lines[2 : 2+len(names)] {
		if strings.Count(l, `"`) != 10 || len(l) > 300 {
			t.Errorf("line %q", l)
		}
	}
	var got []string
	for _, m := range g.Presentation().Load().Variants[0].Audio.Members {
		got = append(got, m.Name+"/"+m.Language)
	}
	want := []string{"a',URI='http://evil/'#EXT-X-ENDLIST/", "Audio 2/", "Commentary/", "Commentary 2/", strings.Repeat("ü", 64) + "/EN-us"}
	if !slices.Equal(got[:5], want) {
		t.Errorf("members %q, want %q", got, want)
	}
}
