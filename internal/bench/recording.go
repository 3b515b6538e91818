package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// The stream that everything is measured with: 720p30 at 1.5 Mbit/s, a key frame every two seconds, AAC at 128 kbit/s.
// It repeats after loopMillis, at which video frames, key frames and AAC frames of 1024 samples all come out even.
const (
	frameRate    = 30
	keyFrames    = 60 // frames from one to the next
	loopMillis   = 8000
	recordMillis = 12000
	recordName   = "720p30-1500k-v2.flv"
)

// recording is a stream that can be played in a loop.
type recording struct {
	configs []tag // codec data and metadata, to be sent first
	frames  []tag // one turn of the loop, times from 0 on
}

// loadRecording encodes the stream with ffmpeg, or takes the file of an earlier run.
func loadRecording(ctx context.Context) (*recording, error) {
	file, err := recordFile()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		progress("encoding the test stream, once, into %s", file)
		if err := encode(ctx, file); err != nil {
			return nil, fmt.Errorf("encode the test stream: %w (is ffmpeg with libx264 installed?)", err)
		}
		if b, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	tags, err := parseFLV(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w (remove it to have it made again)", file, err)
	}
	r, err := newRecording(tags)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w (remove it to have it made again)", file, err)
	}
	return r, nil
}

func recordFile() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, "pushcart-bench")
	return filepath.Join(dir, recordName), os.MkdirAll(dir, 0o700)
}

// encode writes the file whole or not at all.
func encode(ctx context.Context, file string) error {
	temp := file + "." + strconv.Itoa(os.Getpid())
	defer os.Remove(temp)
	seconds := strconv.FormatFloat(recordMillis/1000.0, 'f', 3, 64)
	c := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30",
		"-f", "lavfi", "-i", "anoisesrc=amplitude=0.2:sample_rate=48000",
		"-t", seconds, "-map", "0:v", "-map", "1:a",
		// With so little delay the encoder goes some 5 % beyond what it is told.
		"-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-b:v", "1425k", "-minrate", "1425k", "-maxrate", "1425k", "-bufsize", "1425k", "-nal-hrd", "cbr",
		"-g", "60", "-keyint_min", "60", "-sc_threshold", "0",
		"-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "flv", temp)
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return err
	}
	return os.Rename(temp, file)
}

// newRecording cuts one turn of the loop out of a file's tags: from the first key frame on.
func newRecording(tags []tag) (*recording, error) {
	r := &recording{}
	start, last := int64(-1), int64(0)
	for _, t := range tags {
		if t.kind == tagScript || t.config() {
			t.at = 0
			r.configs = append(r.configs, t)
			continue
		}
		if start < 0 && t.key() {
			start = int64(t.at)
		}
		last = max(last, int64(t.at))
		at := int64(t.at) - start
		if start < 0 || at < 0 || at >= loopMillis || t.kind != tagVideo && t.kind != tagAudio {
			continue
		}
		t.at = uint32(at)
		r.frames = append(r.frames, t)
	}
	if start < 0 {
		return nil, fmt.Errorf("%w: no key frame", errFLV)
	}
	if last-start < loopMillis {
		return nil, fmt.Errorf("%w: only %d ms from the first key frame on", errFLV, last-start)
	}
	return r, nil
}
