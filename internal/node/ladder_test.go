package node

import (
	"slices"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/packager/ladder/command"
)

// TestLadderSettings: a reload changes a ladder's settings, but for what was tried at the start.
func TestLadderSettings(t *testing.T) {
	t.Parallel()
	start, now := config.Default(), config.Default()
	now.Ladder = config.Ladder{
		FFmpeg: "/opt/other/ffmpeg", Encoders: []string{"nvenc"}, Device: "1", MaxTranscodes: 2, MaxCPU: 30, Threads: 3, Nice: 7,
		PosterInterval: config.Duration(time.Minute),
		Ladders:        []config.NamedLadder{{Name: "mobile", Rungs: []string{"480p 900k"}}},
		Streams:        []config.StreamLadder{{Stream: "*", Ladder: "mobile"}, {Stream: "radio", Ladder: "none"}},
	}
	set := ladderSettingsSince(start, now)
	if set.Program != "ffmpeg" || len(set.Encoders) != 5 || set.Device != "" {
		t.Errorf("of the start there are left %q, %q and %q", set.Program, set.Encoders, set.Device)
	}
	if set.Convert || set.MaxTranscodes != 2 || set.MaxCPU != 30 || set.Threads != 3 || set.Nice != 7 || set.Poster != time.Minute || len(set.Ladders) != 1 {
		t.Errorf("after the reload there are %+v", set)
	}
	// A stream's own entry comes first, and none is no name.
	if s := set.Streams; len(s) != 2 || s[0].Stream != "radio" || s[0].Ladder != "" || s[1].Ladder != "mobile" {
		t.Errorf("the streams are %+v", s)
	}
	if set := ladderSettingsSince(now, start); set.Program != "/opt/other/ffmpeg" || !slices.Equal(set.Encoders, []command.Backend{command.NVENC}) || set.Device != "1" {
		t.Errorf("the other way round there are %+v", set)
	}
}
