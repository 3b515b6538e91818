package rtsp

import (
	"bytes"
	"context"
	"errors"
	"os"
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
	return run(t, "ffmpeg", append(append([]string{"-hide_banner", "-nostdin", "-loglevel", "warning",
		"-f", "lavfi", "-re", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-re", "-i", "sine=sample_rate=44100"}, args...),
		"-f", "rtsp", url)...)
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // a refused publisher fails, and that is wanted
	t.Log(out.String())
	return out.String()
}

var x264 = []string{"-t", "1.6", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-ac", "2"}

func with(args []string, more ...string) []string {
	return append(append([]string{}, args...), more...)
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
		if d := time.Since(f.Wall); d < -time.Second || d > time.Minute {
			t.Errorf("frame %d was captured %v ago", i, d)
		}
		reordered = reordered || i > 0 && f.PTS < frames[i-1].PTS
	}
	if !reordered {
		t.Error("no B-frames")
	}
}

func TestFFmpegPublishes(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			door := withKey("secret")
			opt := Options{Door: door}
			args := with(x264, "-rtsp_transport", strings.Replace(transport, "tls", "tcp", 1))
			if transport == "tls" {
				opt.TLS = selfSigned(t)
			}
			s, _ := startServer(t, opt)
			ffmpeg(t, strings.Replace(address(s, "/live/show"), "://", "://me:secret@", 1), args...)
			p := door.next(t)
			if err := p.ended(t); err != nil {
				t.Errorf("ended with %v, want a good-bye", err)
			}
			if p.request.Stream != "show" || p.request.Key != "secret" || p.request.Protocol != s.protocol() || !strings.Contains(p.request.Agent, "Lavf") {
				t.Errorf("request %+v", p.request)
			}
			if len(p.tracks) != 2 || len(p.drops) != 0 || door.opens != 1 {
				t.Fatalf("%d tracks, drops %v, opened %d times", len(p.tracks), p.drops, door.opens)
			}
			v, a := p.tracks[0], p.tracks[1]
			if v.ID != 0 {
				v, a = a, v
			}
			if v.Codec != stream.H264 || v.Width != 320 || v.Height != 180 {
				t.Errorf("video track %+v", v)
			}
			if a.Codec != stream.AAC || a.ID != 100 || a.SampleRate != 44100 || a.Channels != 2 {
				t.Errorf("audio track %+v", a)
			}
			checkVideo(t, p.of(0), 40)
			sound := p.of(100)
			if n := len(sound); n < 65 || n > 74 {
				t.Errorf("%d audio frames, want about 70", n)
			}
			first := p.of(0)[0]
			apart := time.Duration(first.PTS)*time.Second/90000 - time.Duration(sound[0].PTS)*time.Second/44100
			captured := first.Wall.Sub(sound[0].Wall)
			if d := apart - captured; d > 2*time.Millisecond || d < -2*time.Millisecond {
				t.Errorf("picture and sound are %v apart, but were captured %v apart", apart, captured)
			}
		})
	}
}

func TestFFmpegPrintsRefusal(t *testing.T) {
	for _, test := range []struct {
		name, path string
		door       *fakeDoor
		args       []string
		expect     string
	}{
		{"key", "/live/show?key=wrong", withKey("right"), x264, "The key for this stream is wrong"},
		{"no key", "/live/show", withKey("right"), x264, "A key is needed"},
		{"path", "/studio/show", newFakeDoor(), x264, "publish to rtsp://HOST/live/NAME"},
		{"codec", "/live/show", newFakeDoor(), []string{"-t", "1", "-c:v", "mpeg2video", "-an"}, "Nothing of this stream can be taken"},
		{"video", "/live/show", newFakeDoor(), []string{"-t", "1", "-c:v", "libvpx", "-an"}, "VP8 video cannot be delivered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, _ := startServer(t, Options{Door: test.door})
			out := ffmpeg(t, address(s, test.path), with(test.args, "-rtsp_transport", "tcp")...)
			if !strings.Contains(out, test.expect) {
				t.Errorf("ffmpeg did not print %q", test.expect)
			}
		})
	}
}

// TestFFmpegCodecs publishes what this FFmpeg puts into RTP, alone and together.
func TestFFmpegCodecs(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		tracks map[int]stream.Codec
		min    int
	}{
		{"HEVC, VP9 and Opus", []string{"-map", "0:v", "-map", "0:v", "-map", "1:a", "-t", "1",
			"-c:v:0", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25",
			"-c:v:1", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-strict", "experimental", "-c:a", "libopus"},
			map[int]stream.Codec{0: stream.HEVC, 1: stream.VP9, 100: stream.Opus}, 22},
		{"H.264 and four kinds of sound", []string{"-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "1:a", "-map", "1:a", "-t", "1.6",
			"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-c:a:2", "libmp3lame", "-c:a:3", "pcm_alaw", "-ar:a:3", "8000", "-ac:a:3", "1"},
			map[int]stream.Codec{0: stream.H264, 100: stream.AAC, 101: stream.AAC, 102: stream.MP3, 103: stream.PCMA}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			s, _ := startServer(t, Options{Door: door})
			ffmpeg(t, address(s, "/live/show"), with(test.args, "-rtsp_transport", "tcp")...)
			p := door.next(t)
			if err := p.ended(t); err != nil {
				t.Errorf("ended with %v", err)
			}
			got := map[int]stream.Codec{}
			for _, track := range p.tracks {
				got[track.ID] = track.Codec
			}
			for id, codec := range test.tracks {
				frames := p.of(id)
				if got[id] != codec || len(frames) < test.min {
					t.Errorf("track %d: %v with %d frames, want %v", id, got[id], len(frames), codec)
				}
				for i := 1; i < len(frames); i++ {
					if frames[i].DTS <= frames[i-1].DTS {
						t.Errorf("track %d: DTS %d after %d", id, frames[i].DTS, frames[i-1].DTS)
					}
				}
			}
			if len(got) != len(test.tracks) || len(p.drops) > 0 {
				t.Errorf("tracks %v, drops %v", got, p.drops)
			}
		})
	}
}

// TestGStreamerPublishes with rtspclientsink, which is interrupted, as by Ctrl-C. It does not always say good-bye.
func TestGStreamerPublishes(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			door := withKey("secret")
			s, _ := startServer(t, Options{Door: door})
			cmd := exec.CommandContext(t.Context(), "gst-launch-1.0", "-e", "rtspclientsink", "name=s", "location="+address(s, "/live/show"),
				"user-id=me", "user-pw=secret", "protocols="+transport,
				"videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=30/1", "!",
				"x264enc", "tune=zerolatency", "key-int-max=30", "!", "s.",
				"audiotestsrc", "is-live=true", "!", "audio/x-raw,rate=48000", "!", "opusenc", "!", "s.")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p := door.next(t)
			p.await(t, 0, 30)
			p.await(t, 100, 30)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Second, func() { cmd.Process.Kill() }) // with UDP it waits for something for ever
			_ = cmd.Wait()
			timer.Stop()
			if err := p.ended(t); err != nil && !errors.Is(err, errGone) {
				t.Errorf("ended with %v", err)
			}
			if len(p.drops) > 0 {
				t.Errorf("drops %v", p.drops)
			}
			for _, f := range p.of(0) {
				if d := time.Since(f.Wall); !f.Wall.IsZero() && (d < -time.Second || d > time.Minute) {
					t.Fatalf("a frame was captured %v ago", d)
				}
			}
		})
	}
}

// TestFFmpegPlayerIsToldWhereToGo: players get a sentence too.
func TestFFmpegPlayerIsToldWhereToGo(t *testing.T) {
	t.Parallel()
	s, _ := startServer(t, Options{Door: newFakeDoor()})
	out := run(t, "ffmpeg", "-hide_banner", "-nostdin", "-rtsp_transport", "tcp", "-i", address(s, "/live/show"), "-f", "null", "-")
	if !strings.Contains(out, "Watch at /live/show/index.m3u8") {
		t.Error("ffmpeg did not print where to watch")
	}
	if n := counted(t, s.metrics.refusals[ingest.ReasonProtocol]); n != 1 {
		t.Errorf("%v refusals counted, want 1", n)
	}
}
