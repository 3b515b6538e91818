package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay/api"
)

// workshop is a node's API with ladders, and its operator's shell.
type workshop struct {
	t   *testing.T
	env []string
}

// failing is a ladder in trouble.
func failing() api.LadderDetail {
	return api.LadderDetail{
		Stream: "show",
		Ladder: api.Ladder{
			Name: "mobile", Mode: "latency", State: "reduced", Reason: "The node is full.", Backend: "cpu", Converts: []string{"Opus to AAC"},
			Rungs: []api.LadderRung{
				{Name: "720p", Kind: "video", Codec: "H.264", Width: 1280, Height: 720, FrameRate: 29.97, Bitrate: 1_800_000, State: "off", Reason: "It did not keep up."},
				{Name: "480p", Kind: "video", Codec: "H.264", Width: 854, Height: 480, FrameRate: 29.97, Bitrate: 900_000, Measured: 874_400, Lag: 0.314, Dropped: 2, State: "running"},
				{Name: "audio-aac", Kind: "audio", Codec: "AAC", Bitrate: 128_000, Measured: 127_500, Lag: 0.1, State: "running"},
			},
		},
		Children: []api.LadderChild{
			{Kind: "picture", Pid: 4711, Backend: "cpu", Speed: 1.004, FPS: 29.97, CPU: 150.4, Queue: 3, Dropped: 7, Restarts: 1, LastError: "It gave nothing for 3 s.",
				Stderr: []string{"[libx264] \x1b[2Jframe", "Conversion failed!"}},
			{Kind: "sound", Speed: 1, Stderr: []string{"This is not to be seen."}},
		},
		Notes: []string{"The rung 1080p is left out."},
	}
}

func openWorkshop(t *testing.T) *workshop {
	t.Helper()
	keys, err := auth.NewKeys([]auth.Entry{{Stream: auth.AnyStream, Key: "operators-token"}})
	if err != nil {
		t.Fatal(err)
	}
	tokens := &auth.Store{}
	tokens.Store(keys)
	a := api.New(api.Options{
		Tokens: tokens, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Ladder: func(name string) (api.LadderDetail, bool) { return failing(), name == "show" },
		LadderNode: func() api.LadderNode {
			return api.LadderNode{
				Program: "ffmpeg", Version: "ffmpeg version 5.1.9 Copyright (c) 2000-2026 the FFmpeg developers", BudgetCores: 1.6, UsedCores: 0.52, Transcodes: 1, MaxTranscodes: 16,
				Engines: []api.LadderEngine{
					{Backend: "vaapi", Device: "/dev/dri/renderD128", Filters: true, Reason: "No such device."},
					{Backend: "cpu", Codecs: []string{"H.264", "HEVC"}, Works: true, InUse: true},
				},
				Streams: []api.LadderStream{{Stream: "show", Ladder: "mobile", State: "reduced", Backend: "cpu", Rungs: 2, RungsPlanned: 3, CPU: 150.4}},
			}
		},
		LadderCommand: func(name, source string) (api.LadderCommand, error) {
			switch source {
			case "copy":
				return api.LadderCommand{Program: "ffmpeg"}, nil
			case "":
				return api.LadderCommand{}, errors.New("source: the stream is not live: describe a source")
			}
			return api.LadderCommand{
				Program: "/opt/my ffmpeg/bin/ffmpeg", Notes: []string{"Opus becomes AAC."},
				Commands: [][]string{{"-i", "pipe:0", "-vf", "scale=1280:720,format=yuv420p", "", "it's"}, {"-c:a", "aac"}},
			}, nil
		},
	})
	mux := http.NewServeMux()
	a.Register(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(a.Close)
	return &workshop{t: t, env: []string{"PUSHCART_URL=" + s.URL, "PUSHCART_TOKEN=operators-token"}}
}

// says runs a ladder command, which has to succeed and print exactly this.
func (w *workshop) says(stdout, stderr string, args ...string) {
	w.t.Helper()
	out, errs, code := call(w.t, w.env, append([]string{"ladder"}, args...)...)
	if code != 0 || out != stdout || errs != stderr {
		w.t.Errorf("ladder %q:\n%s%s(%d)\nwant\n%s%s", args, out, errs, code, stdout, stderr)
	}
}

// fails runs a ladder command that has to fail with a sentence.
func (w *workshop) fails(code int, sentence string, args ...string) {
	w.t.Helper()
	out, errs, got := call(w.t, w.env, append([]string{"ladder"}, args...)...)
	if got != code || out != "" || !strings.HasPrefix(errs, "pushcart: "+sentence) {
		w.t.Errorf("ladder %q: %q, %q (%d)\nwant %q (%d)", args, out, errs, got, sentence, code)
	}
}

// raw runs a ladder command that prints what the node answers.
func (w *workshop) raw(into any, args ...string) {
	w.t.Helper()
	out, errs, code := call(w.t, w.env, append([]string{"ladder", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil || code != 0 || errs != "" {
		w.t.Errorf("ladder %q as JSON: %s%s(%d): %v", args, out, errs, code, err)
	}
}

// TestLadder prints the ladder of a stream, and what the node makes ladders with.
func TestLadder(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t)
	w.says(`show: ladder mobile (latency), reduced on cpu, Opus to AAC: The node is full.
RUNG       CODEC  SIZE      FRAMES/S  ASKED        MEASURED    LAG     SPEED  DROPPED  STATE
720p       H.264  1280x720  29.97     1.80 Mbit/s  -           -       -      0        off: It did not keep up.
480p       H.264  854x480   29.97     900 kbit/s   874 kbit/s  0.31 s  1.00x  2        running
audio-aac  AAC    -         -         128 kbit/s   128 kbit/s  0.10 s  1.00x  0        running
PROCESS  PID   ENCODER  SPEED  FRAMES/S  CPU   QUEUE  DROPPED  RESTARTS
picture  4711  cpu      1.00x  29.97     150%  3      7        1
sound    -     -        1.00x  -         0%    0      0        0
picture runs again. What failed before: It gave nothing for 3 s.
  [libx264]  [2Jframe
  Conversion failed!
The rung 1080p is left out.
`, "", "show")
	w.says(`ffmpeg 5.1.9 (ffmpeg), 0.5 of 1.6 cores, 1 of 16 transcodes
ENCODER  DEVICE               CODECS       SCALES      RESULT
vaapi    /dev/dri/renderD128  -            by itself   failed: No such device.
cpu      -                    H.264, HEVC  on the CPU  in use
STREAM  LADDER  STATE    ENCODER  RUNGS   CPU
show    mobile  reduced  cpu      2 of 3  150%
`, "")
	var d api.LadderDetail
	if w.raw(&d, "show"); len(d.Rungs) != 3 || d.Children[0].Pid != 4711 {
		t.Errorf("%+v", d)
	}
	var n api.LadderNode
	if w.raw(&n); len(n.Engines) != 2 {
		t.Errorf("%+v", n)
	}
}

// TestLadderDryRun: the commands stand alone on standard output, as a shell takes them.
func TestLadderDryRun(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t)
	const commands = `'/opt/my ffmpeg/bin/ffmpeg' -i pipe:0 -vf 'scale=1280:720,format=yuv420p' '' 'it'\''s'` + "\n" + `'/opt/my ffmpeg/bin/ffmpeg' -c:a aac` + "\n"
	w.says(commands, "Opus becomes AAC.\n"+byHand+"\n", "show", "--dry-run", "--source", "h264 1280x720 opus")
	w.says("", "Nothing has to be run for this stream.\n", "other", "--dry-run", "--source", "copy")
	var plan api.LadderCommand
	if w.raw(&plan, "show", "--dry-run", "--source", "vp8"); len(plan.Commands) != 2 || plan.Commands[0][1] != "pipe:0" {
		t.Errorf("%+v", plan)
	}
	w.fails(1, "source: The stream is not live: describe a source.", "show", "--dry-run")
}

// TestLadderDryRunOffline plans by a configuration file, with no node there.
func TestLadderDryRunOffline(t *testing.T) {
	t.Parallel()
	file := write(t, "pushcart.yaml", `
ladder:
  poster_interval: 0
  ladders:
    - {name: mobile, rungs: [480p 900k, audio 64k]}
  streams:
    - {stream: show, ladder: mobile}
`)
	w := &workshop{t: t, env: []string{"PATH=" + os.Getenv("PATH")}} // neither an address nor a token
	args := []string{"show", "--dry-run", "--config", file, "--source", "h264 1280x720 30fps opus"}
	stdout, stderr, code := call(t, w.env, append([]string{"ladder"}, args...)...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 2 || !strings.Contains(stderr, byHand) {
		t.Fatalf("%s%s(%d)", stdout, stderr, code)
	}
	for _, line := range lines {
		if !regexp.MustCompile(`^ffmpeg .* pipe:4( |$)`).MatchString(line) || !strings.Contains(line, "-protocol_whitelist pipe") {
			t.Errorf("%s", line)
		}
	}
	// What a shell makes of a line is the argument list, to the byte.
	var plan api.LadderCommand
	w.raw(&plan, args...)
	for i, want := range plan.Commands {
		if i < len(lines) {
			if got := readByShell(t, lines[i]); !slices.Equal(got, append([]string{plan.Program}, want...)) {
				t.Errorf("a shell reads %q\nwant %q", got, want)
			}
		}
	}
	w.fails(1, "", "show", "--dry-run", "--config", file, "--source", "h264 large")
	w.says("", "Nothing has to be run for this stream.\n", "other", "--dry-run", "--config", file, "--source", "h264 1280x720 aac")
	bad := write(t, "bad.yaml", "ladder: {ladders: [{name: mobile, rungs: [480 bananas]}]}\n")
	if out, errs, code := call(t, w.env, "ladder", "show", "--dry-run", "--config", bad); code != 1 || out != "" || !strings.Contains(errs, bad+":1:") {
		t.Errorf("%s%s(%d)", out, errs, code)
	}
}

// readByShell has a shell take a line apart.
func readByShell(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// TestShellLine: whatever an argument has, a shell gives it back.
func TestShellLine(t *testing.T) {
	t.Parallel()
	args := []string{"", "-i", "pipe:0", "a b", "it's", `"$HOME"`, "`id`", "$(id)", "~", "#", "a=b", "*", "[0:v]split=3[a][b]", "\\", "\\'", "a\nb", "!", "&", "|", "<", "(", "é", "'"}
	if got := readByShell(t, shellLine("ff mpeg", args)); !slices.Equal(got, append([]string{"ff mpeg"}, args...)) {
		t.Errorf("%q", got)
	}
	if got := shellLine("ffmpeg", []string{"-b:v", "1800000", "30000/1001", "1+2,3@4%"}); got != "ffmpeg -b:v 1800000 30000/1001 1+2,3@4%" {
		t.Error(got)
	}
}

// FuzzShellWord: a word in a line of others comes back from a reader that knows quotes.
func FuzzShellWord(f *testing.F) {
	for _, seed := range []string{"", "a", "it's", "''", `\`, "a b", "x=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if got, rest, ok := shellReads(shellWord(word) + " end"); !ok || got != word || rest != "end" {
			t.Errorf("%q is written %s and read %q, %q", word, shellWord(word), got, rest)
		}
	})
}

// shellReads reads one word as POSIX 2.2 has it, as far as shellWord uses it.
func shellReads(line string) (word, rest string, ok bool) {
	for i := 0; i < len(line); {
		switch line[i] {
		case ' ':
			return word, line[i+1:], true
		case '\'':
			quoted, after, closed := strings.Cut(line[i+1:], "'")
			if !closed {
				return "", "", false
			}
			word += quoted
			i = len(line) - len(after)
		case '\\':
			word += line[i+1 : i+2]
			i += 2
		default:
			if strings.IndexByte("|&;<>()$`\"\t\n*?[#~=!{}", line[i]) >= 0 {
				return "", "", false
			}
			word += line[i : i+1]
			i++
		}
	}
	return word, "", false
}

// TestLadderFailures: each says what is wrong.
func TestLadderFailures(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t)
	w.fails(1, "--source and --config are for --dry-run", "show", "--source", "h264")
	w.fails(1, "--source and --config are for --dry-run", "--config", "file.yaml")
	w.fails(1, "--dry-run is for one stream", "--dry-run")
	w.fails(1, "name: The stream has no ladder", "other")
	w.fails(1, "name: There is no stream of this name", "../show")
	w.fails(1, "Authorization: This token is not", "show", "--token", "a-wrong-token")
	w.fails(2, "unknown flag --fast", "show", "--fast")
	y := openYard(t) // a node without ladders
	w.env = y.env
	w.fails(1, "This node makes no ladders: ladder.ffmpeg", "show")
	w.fails(1, "This node makes no ladders: ladder.ffmpeg")
	w.fails(1, "This node makes no ladders: ladder.ffmpeg", "show", "--dry-run")
}

// TestSpeedOf: one process of a kind has a speed that stands for it, several have not.
func TestSpeedOf(t *testing.T) {
	t.Parallel()
	children := []api.LadderChild{{Kind: "sound", Speed: 1}, {Kind: "picture", Speed: 0.5}, {Kind: "sound", Speed: 2}}
	for kind, want := range map[string]string{"picture": "0.50x", "sound": "-", "other": "-"} {
		if got := speedOf(children, kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
