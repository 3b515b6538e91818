package ts

import (
	"testing"

	"pushcart/internal/stream"
)

func TestFFmpegStreams(t *testing.T) {
	t.Parallel()
	x264 := []string{"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25"}
	tests := []struct {
		name         string
		args         []string
		video, audio stream.Codec
	}{
		{"H.264 with B-frames, AAC", append([]string{"-c:a", "aac", "-ac", "2"}, x264...), stream.H264, stream.AAC},
		{"LATM", append([]string{"-c:a", "aac", "-mpegts_flags", "latm"}, x264...), stream.H264, stream.AAC},
		{"Opus", append([]string{"-c:a", "libopus"}, x264...), stream.H264, stream.Opus},
		{"MP3", append([]string{"-c:a", "libmp3lame"}, x264...), stream.H264, stream.MP3},
		{"HEVC", []string{"-t", "2", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2:keyint=25", "-c:a", "aac"}, stream.HEVC, stream.AAC},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := ffmpeg(t, test.args...)
			r, p := newTest(t)
			feedAll(t, r, b)
			v, a := p.track(0), p.track(100)
			if v == nil || a == nil || v.Codec != test.video || a.Codec != test.audio {
				t.Fatalf("tracks %+v %+v, drops %v, %+v", v, a, p.drops, r.Stats())
			}
			frames := p.of(0)
			if len(frames) != 49 && len(frames) != 50 { // nothing tells that the last one is complete
				t.Fatalf("%d pictures, want 49 or 50", len(frames))
			}
			reordered := false
			for i, f := range frames {
				if i > 0 && f.DTS-frames[i-1].DTS != 3600 {
					t.Errorf("picture %d: DTS %d after %d", i, f.DTS, frames[i-1].DTS)
				}
				if f.PTS < f.DTS || f.Key != (i%25 == 0) {
					t.Errorf("picture %d: PTS %d DTS %d key %v", i, f.PTS, f.DTS, f.Key)
				}
				reordered = reordered || f.PTS != f.DTS
			}
			if !reordered {
				t.Error("no B-frames")
			}
			sound := p.of(100)
			if n := len(sound); n < 80 || n > 105 {
				t.Errorf("%d audio frames", n)
			}
			for i, f := range sound[1:] {
				want := int64(f.Track.FrameSamples)
				if want == 0 {
					want = f.Duration
				}
				if d := f.DTS - sound[i].DTS; d < want-2 || d > want+2 {
					t.Errorf("audio frame %d comes %d ticks after the one before, want %d", i+1, d, want)
				}
			}
			if len(p.drops) != 0 || r.Stats().Gaps != 0 || r.Stats().Damaged != 0 {
				t.Errorf("drops %v, %+v", p.drops, r.Stats())
			}
		})
	}
}

func TestFFmpegTwoLanguages(t *testing.T) {
	t.Parallel()
	b := ffmpeg(t, "-t", "1", "-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu")
	r, p := newTest(t)
	feedAll(t, r, b)
	if p.track(0) == nil || p.track(1) == nil || p.track(100) == nil || p.track(101) == nil {
		t.Fatalf("tracks %v", p.tracks)
	}
	if e, d := p.track(100).Language, p.track(101).Language; e != "en" || d != "de" {
		t.Errorf("languages %q and %q", e, d)
	}
	if len(p.of(1)) < 24 || len(p.of(101)) < 40 {
		t.Errorf("%d pictures of the second track, %d frames of its audio", len(p.of(1)), len(p.of(101)))
	}
}
