package nut

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
)

const (
	picture = "testsrc2=size=320x180:rate=25"
	sound   = "sine=frequency=440:sample_rate=48000"
)

// clips are short encodings by ffmpeg.
var clips = []struct {
	name   string
	source string
	args   string
	tag    string
	delay  int // what ffmpeg says of it; it knows of none with x265, though there is one
}{
	{name: "h264", source: picture, args: "-c:v libx264 -preset veryfast -bf 3 -g 20 -pix_fmt yuv420p", tag: "H264", delay: 2},
	{name: "hevc", source: picture, args: "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=2:keyint=20 -pix_fmt yuv420p", tag: "HEVC"},
	{name: "vp8", source: picture, args: "-c:v libvpx -deadline realtime -cpu-used 8 -g 20", tag: "VP80"},
	{name: "vp9", source: picture, args: "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 20", tag: "VP90"},
	{name: "av1", source: picture, args: "-c:v libsvtav1 -preset 12 -g 20 -svtav1-params enable-stat-report=0", tag: "AV01"},
	{name: "mjpeg", source: picture, args: "-r 5 -c:v mjpeg", tag: "MJPG"},
	{name: "aac", source: sound, args: "-c:a aac", tag: "\xff\x00\x00\x00"},
	{name: "opus", source: sound, args: "-c:a libopus", tag: "Opus"},
	{name: "mp3", source: sound, args: "-c:a libmp3lame", tag: "U\x00\x00\x00"},
	{name: "pcm_alaw", source: sound, args: "-ar 8000 -ac 1 -c:a pcm_alaw", tag: "\x06\x00\x00\x00"},
	{name: "pcm_mulaw", source: sound, args: "-ar 8000 -ac 1 -c:a pcm_mulaw", tag: "\x07\x00\x00\x00"},
}

// muxers are ways in which ffmpeg writes files.
var muxers = []struct{ name, args string }{
	{"default", ""},
	{"no index", "-write_index 0"},
	{"pipe", "-syncpoints none -strict experimental"},
	{"broadcast", "-syncpoints timestamped -strict experimental"},
}

// encode makes a clip of ffmpeg's test sources.
func encode(t testing.TB, source, args string) []byte {
	t.Helper()
	all := append([]string{"-f", "lavfi", "-i", source, "-t", "2"}, strings.Fields(args)...)
	return program(t, nil, "ffmpeg", append(all, "-f", "nut", "-")...)
}

// packets says of frames what probe says of a file.
func (f file) packets() string {
	var b strings.Builder
	for _, frame := range f.frames {
		fmt.Fprintf(&b, "%d %d %v CRC32:%08x\n", frame.PTS, len(frame.Payload), frame.Key, crc32.ChecksumIEEE(frame.Payload))
	}
	return b.String()
}

// TestFFmpegBothWays: a Reader says of ffmpeg's files what ffprobe says of them, ffmpeg says so of the same frames from a
// Writer, and it decodes them to the same samples.
func TestFFmpegBothWays(t *testing.T) {
	t.Parallel()
	for _, clip := range clips {
		t.Run(clip.name, func(t *testing.T) {
			t.Parallel()
			theirs := encode(t, clip.source, clip.args)
			read := readFile(t, theirs)
			if got := string(read.stream.Tag[:]); got != clip.tag {
				t.Errorf("tag %q, want %q", got, clip.tag)
			}
			if read.stream.Delay < clip.delay {
				t.Errorf("delay %d, want %d", read.stream.Delay, clip.delay)
			}
			if want := probe(t, theirs); read.packets() != want {
				t.Fatalf("read\n%.400s\nffprobe says\n%.400s", read.packets(), want)
			}
			ours := read.bytes()
			if got := probe(t, ours); got != read.packets() {
				t.Fatalf("written\n%.400s\nffprobe says\n%.400s", read.packets(), got)
			}
			again := readFile(t, ours)
			sameFrames(t, again.frames, read.frames)
			if !bytes.Equal(again.stream.Config, read.stream.Config) || again.stream.Delay != read.stream.Delay {
				t.Errorf("stream %+v became %+v", read.stream, again.stream)
			}
			if got, want := decoded(t, ours), decoded(t, theirs); got != want || strings.Count(got, "\n") < 10 {
				t.Fatalf("decoded\n%.400s\nwant\n%.400s", got, want)
			}
		})
	}
}

// decoded are checksums of what ffmpeg decodes.
func decoded(t testing.TB, file []byte) string {
	t.Helper()
	args := append(slices.Clone(inputArgs), "-copyts", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "framecrc", "-")
	var b strings.Builder
	for line := range strings.Lines(string(program(t, file, "ffmpeg", args...))) {
		if !strings.HasPrefix(line, "#") {
			part := strings.Split(line, ",") // stream, DTS, PTS, duration, size, checksum
			b.WriteString(part[2] + part[4] + part[5])
		}
	}
	return b.String()
}

// TestFFmpegMuxers: all that ffmpeg's muxer can be told to do: versions 3 and 4, side data, indexes, syncpoints.
func TestFFmpegMuxers(t *testing.T) {
	t.Parallel()
	coded := encode(t, picture, "-c:v libx264 -preset ultrafast -bf 2 -g 10 -b:v 4M -pix_fmt yuv420p")
	for _, m := range muxers {
		for _, args := range []string{"-c copy", "-c copy -bsf:v dump_extra=k"} {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				all := append([]string{"-f", "nut", "-i", "pipe:0"}, strings.Fields(args+" "+m.args)...)
				b := program(t, coded, "ffmpeg", append(all, "-f", "nut", "-")...)
				if got, want := readFile(t, b).packets(), probe(t, b); got != want || got == "" {
					t.Fatalf("read\n%.400s\nffprobe says\n%.400s", got, want)
				}
			})
		}
	}
}

// TestFFmpegSideData: in version 4, ffmpeg puts side data before a payload, such as the samples that AAC begins with for
// nothing.
func TestFFmpegSideData(t *testing.T) {
	t.Parallel()
	plain := encode(t, sound, "-c:a aac -copyts")
	with := program(t, encode(t, sound, "-c:a libopus"), "ffmpeg", "-f", "nut", "-i", "pipe:0", "-c:a", "libmp3lame", "-syncpoints", "none", "-strict", "experimental", "-f", "nut", "-")
	if !bytes.Contains(with, []byte("SkipStart")) && !bytes.Contains(with, []byte("SkipEnd")) && !bytes.Contains(with, []byte("UserData")) {
		t.Fatal("ffmpeg wrote no side data")
	}
	for _, b := range [][]byte{plain, with} {
		if got, want := readFile(t, b).packets(), probe(t, b); got != want {
			t.Fatalf("read\n%.400s\nffprobe says\n%.400s", got, want)
		}
	}
}

// TestFFmpegElision: MP3 leaves out the first bytes of its frames in ffmpeg's files.
func TestFFmpegElision(t *testing.T) {
	t.Parallel()
	b := encode(t, sound, "-c:a libmp3lame -b:a 128k")
	f := readFile(t, b)
	header := f.frames[len(f.frames)/2].Payload[:2]
	if n := bytes.Count(b, header); n > len(f.frames)/2 {
		t.Fatalf("%d of %d frames have their header in the file", n, len(f.frames))
	}
	if got, want := f.packets(), probe(t, b); got != want {
		t.Fatalf("read\n%.400s\nffprobe says\n%.400s", got, want)
	}
}

// TestFFmpegLargeFrames: frames up to 3 MB, in both directions.
func TestFFmpegLargeFrames(t *testing.T) {
	t.Parallel()
	b := encode(t, "color=gray:size=1920x1080:rate=2,noise=alls=100:allf=t+u", "-c:v mjpeg -q:v 1 -pix_fmt yuvj444p")
	f := readFile(t, b)
	large := 0
	for _, frame := range f.frames {
		large = max(large, len(frame.Payload))
	}
	if large < 1<<20 {
		t.Fatalf("the largest frame has %d bytes", large)
	}
	if got, want := f.packets(), probe(t, b); got != want {
		t.Fatalf("read\n%.400s\nffprobe says\n%.400s", got, want)
	}
	f.frames = append(f.frames, Frame{PTS: f.frames[len(f.frames)-1].PTS + 1, Key: true, Payload: bytes.Repeat([]byte{0xFF, 0xD8, 'N'}, 1<<20)})
	if got := probe(t, f.bytes()); got != f.packets() {
		t.Fatalf("written\n%.400s\nffprobe says\n%.400s", f.packets(), got)
	}
}

// TestFFmpegTimestamps: the time of day in 1/90,000 s, with irregular steps, jumps of hours and of a tick, and backwards.
func TestFFmpegTimestamps(t *testing.T) {
	t.Parallel()
	f := readFile(t, encode(t, picture, "-c:v libvpx -deadline realtime -cpu-used 8 -g 20"))
	f.stream.Rate = 90000
	const day = 1763755200 * 90000
	steps := []int64{1, 3003, 3600, 16383, 16384, 16385, 32768, 90000, 90001, 1 << 31, -3000, -16383, -16384, -90001, 1 << 40}
	at := int64(day)
	for i := range f.frames {
		f.frames[i].PTS = at
		at += steps[i%len(steps)]
	}
	if got := probe(t, f.bytes()); got != f.packets() {
		t.Fatalf("written\n%s\nffprobe says\n%s", f.packets(), got)
	}
	sameFrames(t, readFile(t, f.bytes()).frames, f.frames)
}

// TestFFmpegFrameRate: a codec that says nothing of its rate gets the one that we claim, not one of each tick.
func TestFFmpegFrameRate(t *testing.T) {
	t.Parallel()
	f := readFile(t, encode(t, picture, "-c:v libvpx -deadline realtime -cpu-used 8 -g 20"))
	for rate, want := range map[float64]string{0: "30/1", 25: "25/1", 29.97: "30000/1001", 23.976024: "24000/1001", 12.5: "12500/1000", math.NaN(): "30/1", 5000: "999/1", 0.00001: "1/1000"} {
		f.stream.FrameRate = rate
		got := program(t, f.bytes(), "ffprobe", "-f", "nut", "-fpsprobesize", "0", "-probesize", "32", "-analyzeduration", "0", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0", "-i", "pipe:0")
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("rate %g: ffprobe says %s, want %s", rate, got, want)
		}
	}
}

// TestFFmpegRecords: ffmpeg takes H.264 as ISO-BMFF stores it: an AVCDecoderConfigurationRecord as codec data and NAL units
// with their lengths before them, under the tag that it has for start codes, too.
func TestFFmpegRecords(t *testing.T) {
	t.Parallel()
	f := readFile(t, encode(t, picture, "-c:v libx264 -preset ultrafast -bf 2 -g 20 -pix_fmt yuv420p"))
	want := decoded(t, f.bytes())
	record := []byte{1, 0, 0, 0, 0xFF}
	for _, kind := range []byte{7, 8} { // SPS, PPS
		record = append(record, 0xE0*(8-kind)|1)
		for _, u := range units(f.stream.Config) {
			if u[0]&31 == kind {
				record = append(append(record, byte(len(u)>>8), byte(len(u))), u...)
				if kind == 7 {
					copy(record[1:4], u[1:4])
				}
			}
		}
	}
	f.stream.Config = record
	for i := range f.frames {
		var sample []byte
		for _, u := range units(f.frames[i].Payload) {
			sample = append(binary.BigEndian.AppendUint32(sample, uint32(len(u))), u...)
		}
		f.frames[i].Payload = sample
	}
	if got := decoded(t, f.bytes()); got != want || want == "" {
		t.Fatalf("decoded\n%.400s\nwant\n%.400s", got, want)
	}
}

// units are the NAL units between start codes.
func units(b []byte) [][]byte {
	var out [][]byte
	for part := range bytes.SplitSeq(b, []byte{0, 0, 1}) {
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			out = append(out, part)
		}
	}
	return out
}
