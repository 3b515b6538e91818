package command

import (
	"os/exec"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// TestTrial: what the CPU encodes passes the trial.
func TestTrial(t *testing.T) {
	t.Parallel()
	for _, c := range []stream.Codec{stream.H264, stream.HEVC, stream.AV1} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			args, check := TrialArgs(Engine{Backend: CPU}, c)
			cmd := exec.Command("ffmpeg", args...)
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, &said)
			}
			if err := check(out); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// TestTrialRefuses: what is not the clip, picture for picture with its key frames, does not pass.
func TestTrialRefuses(t *testing.T) {
	t.Parallel()
	good := "#tb 0: 1/90000\n"
	for n := range trialFrames {
		flags := ", F=0x0"
		if n%trialKeys == 0 {
			flags = ""
		}
		good += "0, 0, " + decimals(float64(n*trialTick)) + ", 3000, 100, 0x00000000" + flags + "\n"
	}
	if err := checkTrial([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{
		"nothing":           "",
		"too few":           good[:strings.LastIndex(good, "0, 0,")],
		"no forced key":     strings.Replace(good, "18000, 3000, 100, 0x00000000\n", "18000, 3000, 100, 0x00000000, F=0x0\n", 1),
		"key of its own":    strings.Replace(good, "3000, 100, 0x00000000, F=0x0\n", "3000, 100, 0x00000000\n", 1),
		"wrong time":        strings.Replace(good, " 3000, 3000", " 3001, 3000", 1),
		"twice":             good + good,
		"something else":    "usage: ffmpeg\n",
		"a time that is no": strings.Replace(good, " 3000, 3000", " NOPTS, 3000", 1),
	} {
		if checkTrial([]byte(out)) == nil {
			t.Errorf("%s passes", name)
		}
	}
}
