package command

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// ladder parses rungs.
func ladder(t testing.TB, m Mode, rungs ...string) *Ladder {
	t.Helper()
	l := &Ladder{Name: "test", Mode: m}
	for _, text := range rungs {
		r, err := ParseRung(text)
		if err != nil {
			t.Fatal(err)
		}
		l.Rungs = append(l.Rungs, r)
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return l
}

// all is the CPU with all its encoders.
var all = Engine{Backend: CPU, Encoders: []stream.Codec{stream.H264, stream.HEVC, stream.AV1}}

// Pictures that are hard to encode, so that a bit rate is used up.
const noise = ",noise=alls=10:allf=t"

// made is what a job makes of a file: the plan and what ffprobe tells of source and outputs.
type made struct {
	Plan
	source  probed
	outputs []probed
}

// makeAll plans for the track in a file, runs the job, and probes what comes.
func makeAll(t *testing.T, path string, track *stream.Track, l *Ladder, opt PlanOptions) made {
	t.Helper()
	m := made{Plan: MakePlan([]*stream.Track{track}, l, opt), source: probe(t, path)}
	if m.Picture == nil {
		t.Fatalf("nothing is made: %q", m.Notes)
	}
	n := len(m.Picture.Outputs)
	if m.Picture.Poster != nil {
		n++
	}
	files, stderr := run(t, m.Picture.Args(all, Settings{}), path, n)
	for line := range strings.Lines(stderr) {
		// What ffmpeg says at the end of any pipe of NUT.
		if !strings.Contains(line, "read_timestamp failed") && strings.TrimSpace(line) != "" {
			t.Errorf("ffmpeg says %q", line)
		}
	}
	for _, f := range files {
		m.outputs = append(m.outputs, probe(t, f))
	}
	return m
}

// aligned checks that an output has the source's times, or with a cap some of them, and key frames where the source has them.
func (m made) aligned(t *testing.T, i int) {
	t.Helper()
	o := m.Picture.Outputs[i]
	have, keys := m.outputs[i].ticks(t)
	want, wantKeys := m.source.ticks(t)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(keys, wantKeys) {
		t.Errorf("%s: key frames at %d; the source's are at %d", o.Rung.Name, keys, wantKeys)
	}
	if !o.Capped {
		if !slices.Equal(have, want) {
			t.Errorf("%s has other times than the source: %d frames of %d", o.Rung.Name, len(have), len(want))
		}
		return
	}
	for _, at := range have {
		if !slices.Contains(want, at) {
			t.Fatalf("%s has a frame at %d, where the source has none", o.Rung.Name, at)
		}
	}
	seconds := float64(want[len(want)-1]-want[0]) / 90000
	if most := seconds*o.Rung.FrameRate*withinCap + float64(len(wantKeys)) + 1; float64(len(have)) > most {
		t.Errorf("%s has %d frames in %.2f s", o.Rung.Name, len(have), seconds)
	}
	if least := seconds * o.Rung.FrameRate * 0.8; float64(len(have)) < least {
		t.Errorf("%s has only %d frames in %.2f s", o.Rung.Name, len(have), seconds)
	}
}

// looks checks size, colours, profile and delay of an output.
func (m made) looks(t *testing.T, i int) {
	t.Helper()
	o, s := m.Picture.Outputs[i], m.outputs[i].Streams[0]
	if s.Width != o.Width || s.Height != o.Height || s.SampleAspect != "1:1" {
		t.Errorf("%s is of %dx%d, %s; planned are %dx%d", o.Rung.Name, s.Width, s.Height, s.SampleAspect, o.Width, o.Height)
	}
	got := strings.Join([]string{s.ColorRange, s.ColorPrimaries, s.ColorTransfer, s.ColorSpace}, " ")
	want := strings.Join([]string{"tv", primaryNames[o.Color.Primaries], transferNames[o.Color.Transfer], matrixNames[o.Color.Matrix]}, " ")
	if got != want {
		t.Errorf("%s is tagged %s; planned is %s", o.Rung.Name, got, want)
	}
	format := "yuv420p"
	if o.Color.Depth > 8 {
		format = "yuv420p10le"
	}
	if s.PixFmt != format {
		t.Errorf("%s is of %s; planned is %s", o.Rung.Name, s.PixFmt, format)
	}
	profile := map[string]string{"baseline": "Constrained Baseline", "main": "Main", "high": "High", "main10": "Main 10"}[profileOf(o)]
	if s.Profile != profile || s.CodecName != codecWord(o.Rung.Codec) {
		t.Errorf("%s is %s %s; planned is %s", o.Rung.Name, s.CodecName, s.Profile, profile)
	}
	if m.Picture.Mode == Latency && s.HasBFrames != 0 {
		t.Errorf("%s has B-frames", o.Rung.Name)
	}
}

// spends checks the bit rate.
func (m made) spends(t *testing.T, i int) {
	t.Helper()
	o := m.Picture.Outputs[i]
	if got := m.outputs[i].rate(t); math.Abs(got-float64(o.Rung.Bitrate)) > 0.25*float64(o.Rung.Bitrate) {
		t.Errorf("%s spends %.0f bits a second; asked were %d", o.Rung.Name, got, o.Rung.Bitrate)
	}
}

// TestAlignment: every rung has the source's times and key frames, whatever its rate.
func TestAlignment(t *testing.T) {
	t.Parallel()
	x264 := " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v 3M "
	variable := ",settb=1/90000,setpts=N*3000+mod(N*7\\,5)*450"
	for _, c := range []struct {
		name, args string
		track      stream.Track
		mode       Mode
		rungs      []string
	}{
		{"30", "-f lavfi -i testsrc2=s=640x360:r=30:d=4" + noise + x264 + "-g 45", stream.Track{FrameRate: 30}, Latency,
			[]string{"240p 400k", "180p 250k baseline", "200p 300k hevc", "220p 300k av1"}},
		{"29.97", "-f lavfi -i testsrc2=s=640x360:r=30000/1001:d=4" + noise + x264 + "-g 60", stream.Track{FrameRate: 30000.0 / 1001}, Latency,
			[]string{"240p 400k 30fps", "180p 250k 15fps"}},
		{"25", "-f lavfi -i testsrc2=s=640x360:r=25:d=4" + noise + x264 + "-g 50", stream.Track{FrameRate: 25}, Latency, []string{"240p 400k"}},
		{"60 capped", "-f lavfi -i testsrc2=s=640x360:r=60:d=4" + noise + x264 + "-g 75", stream.Track{FrameRate: 60}, Latency,
			[]string{"240p 400k 30fps", "180p 250k 24fps", "200p 300k hevc 30fps", "220p 300k av1 30fps", "160p 200k"}},
		{"variable", "-f lavfi -i testsrc2=s=640x360:r=30:d=4" + noise + variable + x264 + "-g 40", stream.Track{}, Latency,
			[]string{"240p 400k 30fps", "180p 250k"}},
		{"b-frames", "-f lavfi -i testsrc2=s=640x360:r=30:d=4" + noise + x264 + "-bf 3 -g 48", stream.Track{FrameRate: 30}, Latency, []string{"240p 400k", "180p 250k"}},
		{"open groups", "-f lavfi -i testsrc2=s=640x360:r=30:d=4" + noise + x264 + "-bf 2 -g 30 -x264-params open-gop=1", stream.Track{FrameRate: 30}, Latency, []string{"240p 400k"}},
		{"quality", "-f lavfi -i testsrc2=s=640x360:r=30:d=6" + noise + x264 + "-bf 2 -g 60", stream.Track{FrameRate: 30}, Quality,
			[]string{"240p 400k", "180p 250k baseline", "200p 300k hevc", "220p 300k av1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			track := c.track
			track.Codec, track.Width, track.Height = stream.H264, 640, 360
			m := makeAll(t, source(t, c.args), &track, ladder(t, c.mode, c.rungs...), PlanOptions{})
			if len(m.outputs) != len(c.rungs) {
				t.Fatalf("%d outputs: %q", len(m.outputs), m.Notes)
			}
			for i := range m.outputs {
				m.aligned(t, i)
				m.looks(t, i)
				m.spends(t, i)
			}
		})
	}
}

// TestPictures: what comes of sources that are not as most are. They are as short as a second key frame, or a second poster, allows.
func TestPictures(t *testing.T) {
	t.Parallel()
	x264 := " -c:v libx264 -preset ultrafast -g 30 "
	tags := func(p, t, m string) string {
		return ",setparams=color_primaries=" + p + ":color_trc=" + t + ":colorspace=" + m
	}
	hlg := stream.Color{Primaries: 9, Transfer: stream.TransferHLG, Matrix: 9, Depth: 10}
	for _, c := range []struct {
		name, args string
		track      stream.Track
		rungs      []string
		opt        PlanOptions
		sizes      [][2]int
	}{
		{"portrait", "-f lavfi -i testsrc2=s=360x640:r=30:d=1.2" + x264 + "-pix_fmt yuv420p", stream.Track{Codec: stream.H264, Width: 360, Height: 640},
			[]string{"240p 400k", "320x180 300k"}, PlanOptions{}, [][2]int{{240, 426}, {180, 320}}},
		{"odd", "-f lavfi -i testsrc2=s=642x362:r=30:d=1.2" + x264 + "-pix_fmt yuv444p", stream.Track{Codec: stream.H264, Width: 641, Height: 361, Config: []byte{1, 244, 0, 30}},
			[]string{"360p 500k", "240p 400k"}, PlanOptions{}, [][2]int{{640, 360}, {426, 240}}},
		{"squeezed", "-f lavfi -i testsrc2=s=480x360:r=30:d=1.2,setsar=4/3" + x264 + "-pix_fmt yuv420p",
			stream.Track{Codec: stream.H264, Width: 480, Height: 360, PixelAspect: [2]int{4, 3}},
			[]string{"240p 400k"}, PlanOptions{}, [][2]int{{426, 240}}},
		{"422 of 10 bits", "-f lavfi -i testsrc2=s=640x360:r=30:d=1.2" + tags("bt709", "bt709", "bt709") + x264 + "-pix_fmt yuv422p10le",
			stream.Track{Codec: stream.H264, Width: 640, Height: 360, Config: []byte{1, 122, 0, 30}, Color: stream.Color{Primaries: 1, Transfer: 1, Matrix: 1, Depth: 10}},
			[]string{"360p 800k", "240p 400k hevc"}, PlanOptions{}, [][2]int{{640, 360}, {426, 240}}},
		{"full range", "-f lavfi -i testsrc2=s=640x360:r=30:d=1.2" + x264 + "-pix_fmt yuvj420p",
			stream.Track{Codec: stream.H264, Width: 640, Height: 360, Color: stream.Color{Full: true, Depth: 8}}, []string{"240p 400k"}, PlanOptions{}, [][2]int{{426, 240}}},
		{"HLG", "-f lavfi -i testsrc2=s=640x360:r=30:d=2,format=yuv420p10le" + tags("bt2020", "arib-std-b67", "bt2020nc") + " -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30",
			stream.Track{Codec: stream.HEVC, Width: 640, Height: 360, Color: hlg}, []string{"360p 800k", "240p 400k", "200p 400k hevc", "180p 300k av1"},
			PlanOptions{Poster: 1e9}, [][2]int{{640, 360}, {426, 240}, {356, 200}, {320, 180}}},
		{"VP8", "-f lavfi -i testsrc2=s=320x240:r=30:d=2 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 25",
			stream.Track{Codec: stream.VP8, Width: 320, Height: 240}, []string{"180p 200k"}, PlanOptions{Convert: true, Poster: 1e9}, [][2]int{{320, 240}, {240, 180}}},
		{"VP9", "-f lavfi -i testsrc2=s=320x240:r=30:d=1.2 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 25",
			stream.Track{Codec: stream.VP9, Width: 320, Height: 240}, nil, PlanOptions{Convert: true}, [][2]int{{320, 240}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l *Ladder
			if c.rungs != nil {
				l = ladder(t, Latency, c.rungs...)
			}
			m := makeAll(t, source(t, c.args), &c.track, l, c.opt)
			if len(m.Picture.Outputs) != len(c.sizes) {
				t.Fatalf("%d outputs: %q", len(m.Picture.Outputs), m.Notes)
			}
			for i, o := range m.Picture.Outputs {
				if got := [2]int{o.Width, o.Height}; got != c.sizes[i] {
					t.Errorf("%s is of %d; want %d", o.Rung.Name, got, c.sizes[i])
				}
				m.aligned(t, i)
				m.looks(t, i)
			}
			if p := m.Picture.Poster; p != nil {
				s, times := m.outputs[len(m.outputs)-1].Streams[0], m.outputs[len(m.outputs)-1].Packets
				if s.CodecName != "mjpeg" || s.Width != p.Width || s.Height != p.Height || s.ColorRange != "pc" {
					t.Errorf("the poster is %+v", s)
				}
				if len(times) != 2 {
					t.Errorf("%d posters in two seconds", len(times))
				}
			}
		})
	}
}
