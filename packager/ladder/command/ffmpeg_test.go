package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// These tests run the very commands on the CPU, with the ffmpeg that the ladder is made for.

// packet is what ffprobe tells of one.
type packet struct {
	PTS   int64  `json:"pts"`
	Size  string `json:"size"`
	Flags string `json:"flags"`
}

func (p packet) key() bool { return strings.HasPrefix(p.Flags, "K") }

// probed is what ffprobe tells of a file of one track.
type probed struct {
	Streams []struct {
		CodecName      string `json:"codec_name"`
		Profile        string `json:"profile"`
		Width          int    `json:"width"`
		Height         int    `json:"height"`
		HasBFrames     int    `json:"has_b_frames"`
		SampleAspect   string `json:"sample_aspect_ratio"`
		PixFmt         string `json:"pix_fmt"`
		ColorRange     string `json:"color_range"`
		ColorSpace     string `json:"color_space"`
		ColorTransfer  string `json:"color_transfer"`
		ColorPrimaries string `json:"color_primaries"`
		TimeBase       string `json:"time_base"`
		SampleRate     string `json:"sample_rate"`
		Channels       int    `json:"channels"`
		Level          int    `json:"level"`
	} `json:"streams"`
	Packets []packet `json:"packets"`
}

// ticks are a file's presentation times in order, in 1/90,000 s, and those of its key frames.
func (p probed) ticks(t testing.TB) (all, keys []int64) {
	t.Helper()
	num, den, ok := strings.Cut(p.Streams[0].TimeBase, "/")
	n, err1 := strconv.ParseInt(num, 10, 64)
	d, err2 := strconv.ParseInt(den, 10, 64)
	if !ok || err1 != nil || err2 != nil || 90000*n%d != 0 {
		t.Fatalf("time base %q does not go into 1/90,000", p.Streams[0].TimeBase)
	}
	for _, q := range p.Packets {
		at := q.PTS * (90000 * n / d)
		all = append(all, at)
		if q.key() {
			keys = append(keys, at)
		}
	}
	return all, keys
}

// rate is the bit rate of a file between its first and last frame, in bits a second.
func (p probed) rate(t testing.TB) float64 {
	t.Helper()
	all, _ := p.ticks(t)
	sum := 0
	for _, q := range p.Packets {
		n, err := strconv.Atoi(q.Size)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	first, last := all[0], all[0]
	for _, at := range all {
		first, last = min(first, at), max(last, at)
	}
	frame := float64(last-first) / float64(len(all)-1)
	return float64(8*sum) * 90000 / (float64(last-first) + frame)
}

func probe(t testing.TB, path string) probed {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", path).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Streams) != 1 || len(p.Packets) == 0 {
		t.Fatalf("%s has %d tracks, %d packets", path, len(p.Streams), len(p.Packets))
	}
	return p
}

// source makes a NUT file as the ladder would feed it, times in 1/90,000 s, from 10 s on: NUT has no negative times, which
// encoders may need in front of the first frame. args are input and encoder of an ffmpeg command.
func source(t testing.TB, args string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.nut")
	words := []string{"-v", "error", "-nostdin", "-y"}
	words = append(words, strings.Fields(args)...)
	words = append(words, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-output_ts_offset", "10", "-f", "nut", path)
	if out, err := exec.Command("ffmpeg", words...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return path
}

// run gives a command a file on standard input, and returns what comes on its n outputs, as files, and what ffmpeg said.
func run(t testing.TB, args []string, in string, n int) (outputs []string, stderr string) {
	t.Helper()
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	dir := t.TempDir()
	cmd := exec.Command("ffmpeg", args...)
	cmd.Stdin = stdin
	var said bytes.Buffer
	cmd.Stderr = &said
	for i := range n + 1 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i, ".nut")))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		if i > 0 {
			outputs = append(outputs, f.Name())
		}
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return outputs, said.String()
}
