package testkit

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// FFmpeg runs ffmpeg with arguments until it ends, or the test.
func FFmpeg(t testing.TB, args ...string) *Process {
	t.Helper()
	return Run(t, nil, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "warning"}, args...)...)
}

// Live are ffmpeg's arguments for input that comes as from a camera and a microphone; without one where source is "".
func Live(picture, sound string) []string {
	var args []string
	for _, source := range []string{picture, sound} {
		if source != "" {
			args = append(args, "-re", "-f", "lavfi", "-i", source)
		}
	}
	return args
}

// ToFLV are the arguments that make ffmpeg publish at an RTMP URL.
func ToFLV(url string) []string { return []string{"-f", "flv", url} }

// Output runs a program to its end and returns what it wrote, standard output and standard error apart.
func Output(t testing.TB, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
