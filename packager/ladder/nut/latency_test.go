package nut

import (
	"context"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// running is an ffmpeg that gets frames one by one.
type running struct {
	in     io.WriteCloser
	frames chan Frame
	w      *Writer
	buf    []byte
}

// start starts an ffmpeg that reads a stream and writes one, and writes the stream's headers to it.
func start(t *testing.T, s Stream, args string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, inputArgs...)
	all = append(all, strings.Fields(args)...)
	cmd := exec.CommandContext(ctx, "ffmpeg", append(all, "-flush_packets", "1", "-f", "nut", "-write_index", "0", "-")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{in: in, frames: make(chan Frame, 1000), w: NewWriter(s)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(r.frames)
		reader := NewReader(out, testMaxFrame)
		for {
			f, err := reader.Next()
			if err != nil {
				return
			}
			f.Payload = slices.Clone(f.Payload)
			r.frames <- f
		}
	}()
	t.Cleanup(func() {
		cancel()
		in.Close()
		<-ended
		cmd.Wait()
	})
	if _, err := in.Write(AppendHeader(nil, s)); err != nil {
		t.Fatal(err)
	}
	return r
}

// feed writes one frame.
func (r *running) feed(t *testing.T, f Frame) {
	t.Helper()
	r.buf = r.w.Append(r.buf[:0], f)
	if _, err := r.in.Write(r.buf); err != nil {
		t.Fatal(err)
	}
}

// x264 are a rung's arguments for low latency.
const x264 = "-copyts -fps_mode passthrough -enc_time_base 1:90000 -force_key_frames source -forced-idr 1 -g 100000 " +
	"-sc_threshold 0 -c:v libx264 -preset ultrafast -tune zerolatency -b:v 500k"

// TestLatencyOfPictures: ffmpeg gives out each picture while all further input is held back, and the Reader gives it on. With
// reordering, as many pictures are missing as the order takes.
func TestLatencyOfPictures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, args, convert string }{
		{"h264", "-c:v libx264 -preset ultrafast -tune zerolatency -g 20 -pix_fmt yuv420p", x264},
		{"h264 with b-frames", "-c:v libx264 -preset ultrafast -bf 2 -g 20 -pix_fmt yuv420p", x264},
		{"hevc", "-c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=none:keyint=20 -pix_fmt yuv420p", x264},
		{"vp8", "-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -g 20", x264},
		{"vp9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -g 20", x264},
		{"av1", "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -g 20", x264},
		{"copy", "-c:v libx264 -preset ultrafast -tune zerolatency -g 20 -pix_fmt yuv420p", "-c copy -copyts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := readFile(t, encode(t, picture, c.args))
			scaleTo(&in, 90000)
			want := slices.Clone(in.frames)
			slices.SortFunc(want, func(a, b Frame) int { return int(a.PTS - b.PTS) })
			r := start(t, in.stream, c.convert)
			for i, f := range in.frames {
				r.feed(t, f)
				if i < in.stream.Delay {
					continue
				}
				got, ok := <-r.frames
				if w := want[i-in.stream.Delay]; !ok || got.PTS != w.PTS || got.Key != w.Key {
					t.Fatalf("after frame %d: PTS %d, key %v; want those of PTS %d, key %v", i, got.PTS, got.Key, w.PTS, w.Key)
				}
			}
		})
	}
}

// TestLatencyOfSound: no more than three frames of an encoder are missing while all further input is held back.
func TestLatencyOfSound(t *testing.T) {
	t.Parallel()
	const missing = 3
	for _, c := range []struct{ name, args, convert string }{
		{"opus to aac", "-c:a libopus", "-copyts -c:a aac"},
		{"alaw to aac", "-ar 8000 -ac 1 -c:a pcm_alaw", "-copyts -ar 48000 -c:a aac"},
		{"aac to aac", "-c:a aac", "-copyts -c:a aac -b:a 64k"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := readFile(t, encode(t, sound, c.args))
			in.frames = in.frames[:len(in.frames)/2]
			r := start(t, in.stream, c.convert)
			for _, f := range in.frames {
				r.feed(t, f)
			}
			ticks := in.frames[len(in.frames)-1].PTS - in.frames[0].PTS
			for range ticks*48000/int64(in.stream.Rate)/1024 - missing {
				if _, ok := <-r.frames; !ok {
					t.Fatal("ffmpeg ended")
				}
			}
		})
	}
}

// scaleTo changes a file's clock rate.
func scaleTo(f *file, rate int) {
	for i := range f.frames {
		f.frames[i].PTS = f.frames[i].PTS * int64(rate) / int64(f.stream.Rate)
	}
	f.stream.Rate = rate
}
