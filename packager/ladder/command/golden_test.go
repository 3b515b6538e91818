package command

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/stream"
)

var update = flag.Bool("update", false, "write goldens anew")

// golden holds text against testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it with -update.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// readable is a command with a line for each option, and for each chain of the graph.
func readable(args []string) string {
	var b strings.Builder
	for i, a := range args {
		switch {
		case i > 0 && args[i-1] == "-filter_complex":
			b.WriteString("\n    " + strings.ReplaceAll(a, ";", ";\n    "))
		case strings.HasPrefix(a, "pipe:"):
			b.WriteString(" " + a)
		case strings.HasPrefix(a, "-") && len(a) > 1:
			b.WriteString("\n  " + a)
		default:
			b.WriteString(" " + a)
		}
	}
	return strings.TrimPrefix(b.String(), "\n") + "\n"
}

// Codec data of Constrained Baseline and High (ISO/IEC 14496-15 5.3.3.1.2), and of Main 10 (8.3.3.1.2).
var (
	avcHigh  = []byte{1, 100, 0, 31}
	hevcMain = []byte{1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8}
	hevc10   = []byte{1, 2, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xfa, 0xfa}
)

// TestGoldens: the commands of every back-end, to be read.
func TestGoldens(t *testing.T) {
	t.Parallel()
	sdr := stream.Color{Primaries: 1, Transfer: 1, Matrix: 1, Depth: 8}
	full := stream.Track{Codec: stream.H264, Config: avcHigh, Width: 1920, Height: 1080, FrameRate: 30, Color: sdr}
	portrait, fast := full, full
	portrait.Width, portrait.Height = 1080, 1920
	fast.FrameRate = 60
	mobile := []string{"720p 1.8M", "480p 900k", "240p 350k", "audio 64k"}
	for name, c := range map[string]struct {
		track  stream.Track
		mode   Mode
		rungs  []string
		poster time.Duration
	}{
		"latency":  {full, Latency, mobile, 0},
		"quality":  {full, Quality, mobile, 0},
		"portrait": {portrait, Latency, []string{"720p 1.8M"}, 0},
		"capped":   {fast, Latency, []string{"1080p 4M 30fps", "480p 900k 30fps"}, 0},
		"codecs":   {full, Latency, []string{"720p 1.8M", "720p 1.2M hevc", "720p 1M av1"}, 0},
		"hdr": {stream.Track{Codec: stream.HEVC, Config: hevc10, Width: 1920, Height: 1080, FrameRate: 30,
			Color: stream.Color{Primaries: 9, Transfer: stream.TransferHLG, Matrix: 9, Depth: 10}}, Latency, []string{"720p 1.8M", "480p 900k", "720p 1.5M hevc"}, 5 * time.Second},
		"hevc": {stream.Track{Codec: stream.HEVC, Config: hevcMain, Width: 1920, Height: 1080, FrameRate: 30, Color: sdr}, Latency, []string{"720p 1.8M"}, 5 * time.Second},
		"vp8":  {stream.Track{Codec: stream.VP8, Width: 1280, Height: 720, FrameRate: 30}, Latency, []string{"480p 900k"}, 5 * time.Second},
	} {
		p := MakePlan([]*stream.Track{&c.track}, ladder(t, c.mode, c.rungs...), PlanOptions{Convert: true, Poster: c.poster})
		for _, b := range Backends() {
			device := map[Backend]string{NVENC: "1", QSV: "/dev/dri/renderD129", VAAPI: "/dev/dri/renderD129"}[b]
			for _, e := range Candidates([]Backend{b}, device) {
				// AV1 is the CPU's, in the same command.
				e.Encoders, e.Software = []stream.Codec{stream.H264, stream.HEVC}, []stream.Codec{stream.H264, stream.HEVC, stream.AV1}
				if b == CPU {
					e.Encoders = e.Software
				}
				job, notes := p.Picture.On(e)
				text := readable(job.Args(e, Settings{Threads: map[Backend]int{CPU: 2}[b]}))
				for _, n := range append(p.Notes[:len(p.Notes):len(p.Notes)], notes...) {
					text += "# " + n + "\n"
				}
				file := name + "." + string(b)
				if b != CPU && b != AMF && !e.Filters {
					file += "-encode"
				}
				golden(t, file+".txt", text)
			}
		}
	}
}

func TestSoundGoldens(t *testing.T) {
	t.Parallel()
	tracks := []*stream.Track{
		{ID: 100, Codec: stream.Opus, SampleRate: 48000, Channels: 2, Language: "de"},
		{ID: 101, Codec: stream.PCMU, SampleRate: 8000, Channels: 1, Language: "en", Name: "Interpreter"},
		{ID: 102, Codec: stream.AAC, SampleRate: 44100, Channels: 2},
	}
	p := MakePlan(tracks, ladder(t, Latency, "audio 64k"), PlanOptions{Convert: true})
	text := ""
	for _, j := range p.Sound {
		text += readable(j.Args(Settings{})) + "\n"
	}
	for _, n := range p.Notes {
		text += "# " + n + "\n"
	}
	golden(t, "sound.txt", text)
}
