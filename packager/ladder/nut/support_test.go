package nut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const testMaxFrame = 8 << 20

// inputArgs make ffmpeg take NUT on standard input without waiting for more than the first frame.
var inputArgs = []string{
	"-fpsprobesize", "0", "-probesize", "32", "-analyzeduration", "0", "-threads", "1", "-f", "nut", "-i", "pipe:0",
}

// program runs a program with input to its end and returns its output.
func program(t testing.TB, input []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &errs)
	}
	return out.Bytes()
}

// probe is what ffprobe says of a file's packets: timestamp, size, key frame or not, and a checksum of the payload.
func probe(t testing.TB, file []byte) string {
	t.Helper()
	out := program(t, file, "ffprobe", "-f", "nut", "-show_data_hash", "CRC32", "-show_entries", "packet=pts,size,flags,data_hash",
		"-of", "default=noprint_wrappers=1:nokey=1", "-i", "pipe:0")
	lines := strings.Fields(string(out))
	var b strings.Builder
	for ; len(lines) >= 4; lines = lines[4:] {
		fmt.Fprintf(&b, "%s %s %v %s\n", lines[0], lines[1], strings.HasPrefix(lines[2], "K"), lines[3])
	}
	return b.String()
}

// file is all that a Reader says of a file.
type file struct {
	stream Stream
	frames []Frame
}

// readFile reads a file to its end.
func readFile(t testing.TB, b []byte) file {
	t.Helper()
	r := NewReader(bytes.NewReader(b), testMaxFrame)
	s, err := r.Stream()
	if err != nil {
		t.Fatal(err)
	}
	f := file{stream: s}
	for {
		frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			t.Fatalf("after %d frames: %v", len(f.frames), err)
		}
		frame.Payload = bytes.Clone(frame.Payload)
		f.frames = append(f.frames, frame)
	}
}

// bytes writes a file.
func (f file) bytes() []byte {
	b := AppendHeader(nil, f.stream)
	w := NewWriter(f.stream)
	for _, frame := range f.frames {
		b = w.Append(b, frame)
	}
	return b
}

// sameFrames compares frames one by one.
func sameFrames(t testing.TB, got, want []Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.PTS != w.PTS || g.Key != w.Key || !bytes.Equal(g.Payload, w.Payload) {
			t.Fatalf("frame %d: PTS %d, key %v, %d bytes; want PTS %d, key %v, %d bytes", i, g.PTS, g.Key, len(g.Payload), w.PTS, w.Key, len(w.Payload))
		}
	}
}
