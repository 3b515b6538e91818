package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// benched runs pushcart bench to its end, in this process.
func benched(env []string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(append([]string{"bench"}, args...), surroundings{env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs})
	return out.String(), errs.String(), code
}

// TestBenchRefuses: what cannot be measured, or is not to be, is said in a line that names the flag, before there is any load, and
// without secrets.
func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	watch := "--url=http://127.0.0.1:1/live/{n}/index.m3u8?t=secret"
	for name, c := range map[string]struct {
		env  []string
		args []string
		code int
		want string
	}{
		"nothing":                {code: exitFailure, want: "--url http://HOST:8080/live/NAME/index.m3u8, or --self"},
		"an unknown flag":        {args: []string{"--sel"}, code: exitUsage, want: "--sel"},
		"no number":              {args: []string{"--viewers", "many"}, code: exitUsage, want: "--viewers"},
		"no duration":            {args: []string{"--duration", "30"}, code: exitUsage, want: "--duration"},
		"a moment":               {args: []string{watch, "--duration", "10ms"}, code: exitFailure, want: "1s to"},
		"a dead port":            {args: []string{"--url", "http://" + dead + "/live/x/index.m3u8?t=secret"}, code: exitFailure, want: "connection refused"},
		"a dead port, in HTTP/2": {args: []string{"--http2", "--url", "http://" + dead + "/live/x/index.m3u8?t=secret"}, code: exitFailure, want: "connection refused"},
		"a dead admin port":      {args: []string{watch, "--admin", "http://" + dead}, code: exitFailure, want: "the node's metrics"},
		"a dead port to publish": {args: []string{watch, "--publishers=1", "--publish", "rtmp://" + dead + "/live/x?key=secret"}, code: exitFailure, want: "publisher 0"},
		"a foreign host":         {args: []string{"--url", "http://203.0.113.9/x.m3u8?t=secret"}, code: exitFailure, want: "--yes"},
		"a foreign host to publish": {env: []string{"PUSHCART_BENCH_PUBLISH=rtmp://203.0.113.9/live/{n}?key=secret"},
			args: []string{watch, "--publishers=1", "--viewers=1"}, code: exitFailure, want: "--yes"},
		"a host that is not there": {args: []string{"--url", "http://none.invalid/x.m3u8?t=secret"}, code: exitFailure, want: "none.invalid"},
		"another scheme":           {args: []string{"--url", "rtmp://127.0.0.1/x?t=secret"}, code: exitFailure, want: "not an http or https address"},
		"a user in the address":    {args: []string{"--url", "http://u:secret@127.0.0.1/x"}, code: exitFailure, want: "not an http or https address"},
		"self and a URL":           {args: []string{"--self", watch}, code: exitFailure, want: "leave out --url"},
		"self and an admin port":   {args: []string{"--self", "--admin=http://127.0.0.1:1"}, code: exitFailure, want: "leave out --url"},
		"publishers to nowhere":    {args: []string{watch, "--publishers=2"}, code: exitFailure, want: "--publish rtmp://"},
		"two in one place":         {args: []string{watch, "--publishers=2", "--publish=rtmp://127.0.0.1:1/live/x?key=secret"}, code: exitFailure, want: "{n}"},
		"two streams, one address": {args: []string{"--url=http://127.0.0.1:1/x", "--streams=2"}, code: exitFailure, want: "{n}"},
		"falling steps":            {args: []string{watch, "--steps=5,3"}, code: exitFailure, want: "rise"},
		"nobody":                   {args: []string{watch, "--viewers=0"}, code: exitFailure, want: "neither viewers nor publishers"},
		"an odd rendition":         {args: []string{watch, "--rendition=best"}, code: exitFailure, want: "720p"},
		"an odd share":             {args: []string{watch, "--max-stall=2"}, code: exitFailure, want: "--max-stall"},
		"an odd rate":              {args: []string{watch, "--bitrate=fast"}, code: exitFailure, want: "--bitrate"},
		"an odd rate to publish":   {args: []string{watch, "--publishers=1", "--publish=rtmp://127.0.0.1:1/live/x", "--publish-bitrate=-1"}, code: exitFailure, want: "--publish-bitrate"},
		"an odd size":              {args: []string{watch, "--publishers=1", "--publish=rtmp://127.0.0.1:1/live/x", "--resolution=720p"}, code: exitFailure, want: "--resolution"},
		"a clip that is none":      {args: []string{watch, "--publishers=1", "--publish=rtmp://127.0.0.1:1/live/x", "--clip", text}, code: exitFailure, want: "ffmpeg -i"},
		"a clip that is not there": {args: []string{watch, "--publishers=1", "--publish=rtmp://127.0.0.1:1/live/x", "--clip", folder + "/none"}, code: exitFailure, want: "--clip"},
		"no authority":             {args: []string{watch, "--ca", text}, code: exitFailure, want: "no certificate in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := benched(c.env, c.args...)
			if code != c.code || !strings.Contains(errs, c.want) || strings.Contains(errs, "secret") || out != "" {
				t.Errorf("exit code %d: %s%s", code, errs, out)
			}
		})
	}
}

// TestBenchOutcome: the exit code tells whether a limit was passed, and --json has the figures by the names that scripts rely on.
func TestBenchOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		media string
		limit string
		code  int
	}{
		"well":  {media: "\x47 transport stream", limit: "100%"},
		"badly": {limit: "1%", code: exitFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".m3u8") {
					io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n")
					for n := range 9 {
						fmt.Fprintf(w, "#EXTINF:2,\n%d.ts\n", n)
					}
					return
				}
				io.WriteString(w, c.media)
			}))
			defer s.Close()
			out, errs, code := benched(nil, "--url", s.URL+"/x.m3u8?t=secret", "--viewers=2", "--duration=1s", "--ramp=1ms", "--max-stall", c.limit, "--json")
			var report map[string]any
			if err := json.Unmarshal([]byte(out), &report); err != nil || code != c.code || strings.Contains(out+errs, "secret") {
				t.Fatalf("%v, exit code %d: %s%s", err, code, errs, out)
			}
			steps, _ := report["steps"].([]any)
			if len(steps) != 1 {
				t.Fatalf("steps %v", report["steps"])
			}
			step, _ := steps[0].(map[string]any)
			for _, key := range []string{"viewers", "playing", "stalls", "stall_share", "error_share", "added_latency", "behind_first_viewer", "start", "bytes", "generator_cpu_share"} {
				if _, ok := step[key]; !ok {
					t.Errorf("no %s in %v", key, step)
				}
			}
			for _, key := range []string{"origin", "passed", "carries_viewers", "interrupted"} {
				if _, ok := report[key]; !ok {
					t.Errorf("no %s in %v", key, report)
				}
			}
			if report["passed"] != (code == exitOK) || step["viewers"] != 2.0 {
				t.Errorf("passed %v with exit code %d, %v viewers", report["passed"], code, step["viewers"])
			}
			if failed, _ := step["failed"].([]any); (len(failed) > 0) != (code != exitOK) {
				t.Errorf("failed: %v", failed)
			}
		})
	}
}

func TestReadRate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{"1500k": 1_500_000, "2M": 2_000_000, "2.5Mbps": 2_500_000, "800kbps": 800_000, "64000": 64_000} {
		if got, err := readRate(s); got != want || err != nil {
			t.Errorf("%s is %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "k", "-1", "0", "NaN", "Inf", "1e15", "2Mbit"} {
		if got, err := readRate(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
	for s, want := range map[string]float64{"1%": 0.01, "0.5": 0.5, "0": 0, "100%": 1, "2.5 %": 0.025} {
		if got, err := readShare(s); got != want || err != nil {
			t.Errorf("%s is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "%", "101%", "-1%", "NaN", "2"} {
		if got, err := readShare(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}
