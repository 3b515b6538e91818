package e2e

import (
	"testing"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestCodecsOfEnhancedRTMP publishes what this ffmpeg cannot put into FLV.
func TestCodecsOfEnhancedRTMP(t *testing.T) {
	t.Parallel()
	const picture30, noise = "testsrc2=size=320x180:rate=30", "anoisesrc=amplitude=0.1:sample_rate="
	hevc := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.HEVC, picture30, "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1",
			"-x265-params", "log-level=none:keyint=60:min-keyint=60:scenecut=0:bframes=2:open-gop=0")
	}
	av1 := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.AV1, picture30, "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "60",
			"-keyint_min", "60", "-lag-in-frames", "0", "-pix_fmt", "yuv420p")
	}
	opus := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.Opus, noise+"48000", "-c:a", "libopus", "-b:a", "64k", "-ac", "2")
	}
	mp3 := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.MP3, noise+"44100", "-c:a", "libmp3lame", "-b:a", "96k", "-ac", "2")
	}
	for _, c := range []struct {
		name         string
		video, audio func(*testing.T) *testkit.Clip
		want         wanted
		codec        string
	}{
		{"HEVC with B-frames and AAC", hevc, func(t *testing.T) *testkit.Clip { return testkit.Sound(t) },
			wanted{video: "hevc", audio: "aac", width: 320, height: 180, fps: 30, sampleRate: 44100}, "HEVC"},
		{"AV1 and Opus", av1, opus, wanted{video: "av1", audio: "opus", width: 320, height: 180, fps: 30, sampleRate: 48000}, "AV1"},
		{"HEVC and Opus", hevc, opus, wanted{video: "hevc", audio: "opus", width: 320, height: 180, fps: 30, sampleRate: 48000}, "HEVC"},
		{"MP3 alone", nil, mp3, wanted{audio: "mp3", sampleRate: 44100}, "MP3"},
		{"Opus alone", nil, opus, wanted{audio: "opus", sampleRate: 48000}, "Opus"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, nil)
			s := testkit.Script{Speed: 1}
			if c.video != nil {
				s.Video = c.video(t)
			}
			if c.audio != nil {
				s.Audio = c.audio(t)
			}
			p := testkit.Publish(t, n.RTMP(), "show")
			stop := p.Live(s)
			playable(t, n.Master("show"), c.want, conformance.Options{})
			if got := stream(t, n, "show").Tracks[0].Codec; got != c.codec {
				t.Errorf("the API says %s, want %s", got, c.codec)
			}
			stop()
			p.Leave()
			v := testkit.NewViewer(t, n.Master("show"))
			var pictures []placed
			if s.Video != nil {
				pictures = allArrived(t, v, "video", true, p.Sent(), nil)
			}
			sounds := allArrived(t, v, "audio", false, p.Sent(), pictures)
			together(t, steady(t, "video", pictures, 3e6), steady(t, "audio", sounds, 24e6), 12e6)
		})
	}
}
