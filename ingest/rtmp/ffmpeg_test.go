package rtmp

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// ffmpeg runs the real program with a moving picture and a tone as input, and returns what it printed.
func ffmpeg(t *testing.T, url string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "warning",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"}, args...)
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", append(all, "-f", "flv", url)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // a refused publisher fails, and that is wanted
	t.Log(out.String())
	return out.String()
}

var x264 = []string{"-t", "3", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-ac", "2"}

func TestFFmpegPublishes(t *testing.T) {
	door := newFakeDoor()
	addr, stop := startServer(t, Options{Door: door})
	ffmpeg(t, "rtmp://"+addr+"/live/show?key=se+cret", x264...)
	p := <-door.opened
	<-p.closed
	stop()
	if p.cause != nil {
		t.Errorf("ended with %v, want a good-bye", p.cause)
	}
	if p.request.Stream != "show" || p.request.Key != "se+cret" || p.request.Protocol != "rtmp" || !strings.Contains(p.request.Agent, "Lavf") {
		t.Errorf("request %+v", p.request)
	}
	if len(p.tracks) != 2 {
		t.Fatalf("%d tracks, want 2", len(p.tracks))
	}
	v, a := p.tracks[0], p.tracks[1]
	if v.ID != 0 {
		v, a = a, v
	}
	if v.Codec != stream.H264 || v.Width != 320 || v.Height != 180 || v.FrameRate != 25 || v.ClockRate != 90000 ||
		!strings.HasPrefix(v.CodecString, "avc1.") {
		t.Errorf("video track %+v", v)
	}
	if a.Codec != stream.AAC || a.SampleRate != 44100 || a.ClockRate != 44100 || a.Channels != 2 || a.FrameSamples != 1024 ||
		a.CodecString != "mp4a.40.2" {
		t.Errorf("audio track %+v", a)
	}
	checkVideo(t, p.of(0), 75)
	if n := len(p.of(100)); n < 125 || n > 135 {
		t.Errorf("%d audio frames, want about 130", n)
	}
	if len(p.data) == 0 || p.data[0].Name != "onMetaData" {
		t.Errorf("data %v, want onMetaData", p.data)
	}
}

// checkVideo looks at what a second-long GOP of 25 frames with B-frames must look like.
func checkVideo(t *testing.T, frames []stream.Frame, want int) {
	t.Helper()
	if len(frames) != want {
		t.Fatalf("%d video frames, want %d", len(frames), want)
	}
	reordered := false
	for i, f := range frames {
		if f.Key != (i%25 == 0) {
			t.Errorf("frame %d: key %v", i, f.Key)
		}
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Errorf("frame %d: DTS %d after %d", i, f.DTS, frames[i-1].DTS)
		}
		if f.PTS < f.DTS {
			t.Errorf("frame %d: PTS %d before DTS %d", i, f.PTS, f.DTS)
		}
		reordered = reordered || i > 0 && f.PTS < frames[i-1].PTS
	}
	if !reordered {
		t.Error("no B-frames")
	}
}

func TestFFmpegPrintsRefusal(t *testing.T) {
	const sentence = "The key for this stream is wrong. Copy it again."
	tests := []struct {
		name   string
		door   func(*fakeDoor)
		path   string
		args   []string
		expect string
	}{
		{"key", func(d *fakeDoor) {
			d.refuse = func(ingest.Request) *ingest.Refusal { return ingest.Refuse(ingest.ReasonBadKey, sentence) }
		}, "/live/show", x264, sentence},
		{"application", func(*fakeDoor) {}, "/studio/show", x264, `There is no application "studio" here`},
		{"in mid-stream", func(d *fakeDoor) { d.limit = 40 }, "/live/show",
			append([]string{"-vf", "realtime"}, x264...), "Enough frames came"},
		{"codec", func(*fakeDoor) {}, "/live/show", []string{"-t", "3", "-c:v", "flv1", "-an"}, "Sorenson H.263 video cannot be delivered"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			door := newFakeDoor()
			test.door(door)
			addr, _ := startServer(t, Options{Door: door})
			if out := ffmpeg(t, "rtmp://"+addr+test.path, test.args...); !strings.Contains(out, test.expect) {
				t.Errorf("ffmpeg did not print %q", test.expect)
			}
		})
	}
}

// TestFFmpegOneTrack publishes audio alone, in each coding that this FFmpeg puts into FLV, and video alone.
func TestFFmpegOneTrack(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want stream.Track
		min  int
	}{
		{"MP3", []string{"-vn", "-t", "2", "-c:a", "libmp3lame", "-ar", "44100", "-ac", "1"},
			stream.Track{ID: audioID, Codec: stream.MP3, SampleRate: 44100, Channels: 1, FrameSamples: 1152}, 70},
		{"AAC", []string{"-vn", "-t", "2", "-c:a", "aac", "-ar", "48000", "-ac", "1"},
			stream.Track{ID: audioID, Codec: stream.AAC, SampleRate: 48000, Channels: 1, FrameSamples: 1024}, 90},
		{"H.264", []string{"-an", "-t", "2", "-c:v", "libx264", "-preset", "ultrafast"},
			stream.Track{ID: videoID, Codec: stream.H264}, 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			door := newFakeDoor()
			addr, _ := startServer(t, Options{Door: door})
			ffmpeg(t, "rtmp://"+addr+"/live/show", test.args...)
			p := <-door.opened
			<-p.closed
			if len(p.tracks) != 1 || len(p.frames) < test.min || len(p.drops) != 0 {
				t.Fatalf("%d tracks, %d frames, drops %v", len(p.tracks), len(p.frames), p.drops)
			}
			got := p.tracks[0]
			if got.ID != test.want.ID || got.Codec != test.want.Codec || got.SampleRate != test.want.SampleRate ||
				got.Channels != test.want.Channels || got.FrameSamples != test.want.FrameSamples {
				t.Errorf("track %+v", got)
			}
			// Timestamps are milliseconds: a frame starts within one of where the one before ends.
			for i := 1; i < len(p.frames) && !got.Video(); i++ {
				step := p.frames[i].DTS - p.frames[i-1].DTS - int64(got.FrameSamples)
				if tick := int64(got.ClockRate / 1000); step > tick+1 || step < -tick-1 {
					t.Errorf("frame %d is off by %d ticks", i, step)
				}
			}
		})
	}
}
