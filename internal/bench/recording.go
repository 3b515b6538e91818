package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"pushcart/internal/load"
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

// loadRecording encodes the stream with ffmpeg, or takes the file of an earlier run.
func loadRecording(ctx context.Context) (*load.Clip, error) {
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
	tags, err := load.ParseFLV(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w (remove it to have it made again)", file, err)
	}
	r, err := load.LoopOf(tags, loopMillis)
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
