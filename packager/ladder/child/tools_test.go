package child

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// fakeTool is an ffmpeg whose encoders behave in their own ways.
func fakeTool(name string, args []string) {
	switch {
	case name == "mute":
		hang()
	case name == "not ffmpeg":
		os.Stderr.WriteString("what?\n")
		os.Exit(2)
	case name == "shy":
	case args[len(args)-1] == "-encoders":
		os.Stderr.WriteString("ffmpeg version \x1b[1m99\x1b[0m of nobody\n  built with love\n")
		fmt.Print("Encoders:\n V..... = Video\n ------\n V....D h264_nvenc  one\n V....D hevc_nvenc  two\n V....D h264_qsv  one\n V....D av1_qsv  three\n A....D libx264  no\n")
	default:
		encode(encoderIn(args))
	}
	os.Exit(0)
}

// encode ends, does not end, or is ended.
func encode(encoder string) {
	switch encoder {
	case "h264_nvenc":
		os.Stderr.WriteString("[h264_nvenc @ 0x55aa] Cannot load libcuda.so.1\n[vost#0:0/h264_nvenc @ 0x66bb] Error while opening encoder\nConversion failed!\n")
		os.Exit(1)
	case "hevc_nvenc":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		hang()
	case "h264_qsv":
		os.Stderr.WriteString("waiting for the driver\n")
		hang()
	}
}

// codecs are those of rungs.
var codecs = []stream.Codec{stream.H264, stream.HEVC, stream.AV1}

// ask asks a program; name is that of a fake, or "" for the real ffmpeg.
func ask(t *testing.T, fake string) *Tools {
	t.Helper()
	opt := TrialOptions{Program: "ffmpeg", Limit: time.Minute}
	if fake != "" {
		opt.Program, opt.Env = os.Args[0], []string{"LIBVA_FAKE=" + fake}
	}
	tools, err := Ask(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// TestTryFFmpeg: with the real one the CPU encodes all. What is not built in is not tried, and a GPU that is not there says so.
func TestTryFFmpeg(t *testing.T) {
	t.Parallel()
	tools := ask(t, "")
	if !strings.HasPrefix(tools.Version(), "ffmpeg version ") {
		t.Errorf("%q", tools.Version())
	}
	for _, c := range codecs {
		if reason := tools.Try(t.Context(), command.Engine{Backend: command.CPU}, c); reason != "" {
			t.Errorf("%s by the CPU: %s", c, reason)
		}
	}
	// A GPU of NVIDIA whose number no host has.
	if reason := tools.Try(t.Context(), command.Engine{Backend: command.NVENC, Device: "99"}, stream.H264); reason == "" {
		t.Error("the hundredth GPU works")
	}
}

// TestTryReasons: each way not to work is told by its own reason.
func TestTryReasons(t *testing.T) {
	t.Parallel()
	tools := ask(t, "tool")
	if tools.Version() != "ffmpeg version 99 of nobody" {
		t.Errorf("%q", tools.Version())
	}
	var got []string
	for _, e := range []command.Engine{{Backend: command.NVENC}, {Backend: command.CPU}} {
		for _, c := range codecs {
			got = append(got, fmt.Sprintf("%s %s: %s", e.Backend, c, tools.Try(t.Context(), e, c)))
		}
	}
	got = append(got, tools.Try(t.Context(), command.Engine{Backend: command.QSV}, stream.AV1))
	want := []string{
		"nvenc H.264: [h264_nvenc] Cannot load libcuda.so.1",
		"nvenc HEVC: " + os.Args[0] + " was ended by signal 9 (killed)",
		"nvenc AV1: this ffmpeg is built without av1_nvenc",
		"cpu H.264: this ffmpeg is built without libx264",
		"cpu HEVC: this ffmpeg is built without libx265",
		"cpu AV1: this ffmpeg is built without libaom-av1",
		"the trial gave 0 pictures of 12",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTryHangs: a back-end that does not end costs its time once, and no more.
func TestTryHangs(t *testing.T) {
	t.Parallel()
	tools := ask(t, "tool")
	tools.opt.Limit = 50 * time.Millisecond
	var got []string
	for _, c := range codecs {
		// It may have the time to complain.
		reason, _ := strings.CutSuffix(tools.Try(t.Context(), command.Engine{Backend: command.QSV}, c), ": waiting for the driver")
		got = append(got, reason)
	}
	want := []string{"it does not end within 50ms", "this ffmpeg is built without hevc_qsv", "not tried, since qsv does not end with H.264"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTryEnded: a trial that is ended from outside is no proof of anything.
func TestTryEnded(t *testing.T) {
	t.Parallel()
	tools := ask(t, "tool")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	qsv := command.Engine{Backend: command.QSV}
	if reason := tools.Try(ctx, qsv, stream.H264); reason != "the trial was ended" {
		t.Errorf("%q", reason)
	}
	if reason := tools.Try(t.Context(), qsv, stream.AV1); strings.HasPrefix(reason, "not tried") {
		t.Errorf("%q", reason)
	}
}

// TestAskImpossible: a program that is none, or not ffmpeg, or does not answer, is an error.
func TestAskImpossible(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		says string
		ctx  context.Context
		opt  TrialOptions
	}{
		{"install ffmpeg", t.Context(), TrialOptions{Program: "ffmpeg-that-is-not-there"}},
		{"what?", t.Context(), TrialOptions{Program: os.Args[0], Env: []string{"LIBVA_FAKE=not ffmpeg"}, Limit: time.Minute}},
		{"it is not ffmpeg", t.Context(), TrialOptions{Program: os.Args[0], Env: []string{"LIBVA_FAKE=shy"}, Limit: time.Minute}},
		{"deadline exceeded", t.Context(), TrialOptions{Program: os.Args[0], Env: []string{"LIBVA_FAKE=mute"}, Limit: 100 * time.Millisecond}},
		{"canceled", over, TrialOptions{Program: "ffmpeg"}},
	} {
		if tools, err := Ask(c.ctx, c.opt); tools != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q in it", err, c.says)
		}
	}
}
