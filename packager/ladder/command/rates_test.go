package command

import (
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// TestRates: encoders are told the rate that frames come at, and those that cannot be told are asked for as many more bits as
// frames are dropped.
func TestRates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		planned, measured float64 // of the source; 0 is not known
		rung              string
		fps, bitrate      string // on the CPU, on a GPU
		drops             bool
	}{
		{30, 30, "480p 900k", "fps=30", "900000", false},
		{0, 0, "480p 900k", "fps=30", "900000", false},
		{0, 60, "480p 900k", "fps=60", "900000", false},
		{0, 24.83, "480p 900k 30fps", "fps=24.83", "900000", false},
		{0, 0, "480p 900k 30fps", "fps=30", "900000", true},
		{0, 60, "480p 900k 30fps", "fps=30", "1800000", true},
		{60, 60, "480p 900k 30fps", "fps=30", "1800000", true},
		{60, 60, "480p 900k 60fps", "fps=60", "900000", false},
		{30, 30, "480p 900k 29.97fps", "fps=30", "900000", false},
		{90000, 90000, "480p 900k", "fps=30", "900000", false},
	} {
		track := &stream.Track{Codec: stream.H264, Width: 1280, Height: 720, FrameRate: c.planned}
		job := MakePlan([]*stream.Track{track}, ladder(t, Latency, c.rung), PlanOptions{}).Picture
		now := *track
		now.FrameRate = c.measured
		job.Source = &now
		line := strings.Join(job.Args(all, Settings{}), " ")
		if !strings.Contains(line, "-x264-params "+c.fps+" ") || strings.Contains(line, "select=") != c.drops {
			t.Errorf("%+v: %s", c, line)
		}
		line = strings.Join(job.Args(Engine{Backend: VAAPI, Encoders: all.Encoders}, Settings{}), " ")
		if !strings.Contains(line, "-b:v "+c.bitrate+" ") {
			t.Errorf("%+v: %s", c, line)
		}
	}
}
