package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pushcart-cli")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "pushcart")
		build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3-test -X main.commit=0a1b2c3", "-o", binary, ".")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// call runs the program to its end, with nothing in its environment but env.
func call(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return feed(t, "", env, args...)
}

// feed is call with something on standard input.
func feed(t *testing.T, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), binary, args...)
	c.Env, c.Stdin, c.Stdout, c.Stderr = append([]string{}, env...), strings.NewReader(stdin), &out, &errs
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := name
	if !filepath.IsAbs(name) {
		file = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheck(t *testing.T) {
	good := write(t, "good.yaml", "log: {level: debug}\nhls: {dvr: 2m}\n")
	bad := write(t, "bad.yaml", "log:\n  level: loud\nhls:\n  part_duraton: 200ms\n  dvr: 60\n")
	tests := []struct {
		name           string
		env, args      []string
		stdout, stderr string
		code           int
	}{
		{"good", nil, []string{"check", good}, good + ": ok (settings that differ from the defaults: 2)\n", "", 0},
		{"shipped", nil, []string{"check", "../../configs/pushcart.yaml"}, "../../configs/pushcart.yaml: ok (settings that differ from the defaults: 0)\n", "", 0},
		{"by variable", []string{"PUSHCART_CONFIG=" + good}, []string{"check"}, good + ": ok (settings that differ from the defaults: 2)\n", "", 0},
		{"environment alone", []string{"PUSHCART_HLS_DVR=2m"}, []string{"check"}, "environment: ok (settings that differ from the defaults: 1)\n", "", 0},
		{"bad", nil, []string{"check", bad}, "",
			bad + `:2:10: log.level: "loud" is not one of debug, info, warn, error` + "\n" +
				bad + `:4:3: hls.part_duraton: is not a setting; did you mean "part_duration"?` + "\n" +
				bad + ":5:8: hls.dvr: 60 has no unit: write 60ms or 60s\n", 1},
		{"bad environment", []string{"PUSHCART_HLS_DVR=x"}, []string{"check", good}, "",
			`environment: PUSHCART_HLS_DVR: "x" is not a duration, such as "200ms", "2s" or "1m30s"` + "\n", 1},
		{"missing", nil, []string{"check", "/nowhere.yaml"}, "", "/nowhere.yaml: cannot be read: no such file or directory\n", 1},
		{"unknown flag", nil, []string{"check", "--fast"}, "", "pushcart: unknown flag --fast\nSee: pushcart --help\n", 2},
		{"unknown command", nil, []string{"sreve"}, "", "pushcart: unexpected argument sreve, did you mean \"serve\"?\nSee: pushcart --help\n", 2},
		{"serve with a bad file", nil, []string{"serve", "-c", "/nowhere.yaml"}, "", "/nowhere.yaml: cannot be read: no such file or directory\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := call(t, tt.env, tt.args...)
			if stdout != tt.stdout || stderr != tt.stderr || code != tt.code {
				t.Errorf("got  %q, %q, %d\nwant %q, %q, %d", stdout, stderr, code, tt.stdout, tt.stderr, tt.code)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	want := fmt.Sprintf("pushcart 1.2.3-test (commit 0a1b2c3, %s, %s/%s)\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	stdout, stderr, code := call(t, nil, "version")
	if stdout != want || stderr != "" || code != 0 {
		t.Errorf("got %q, %q, %d; want %q", stdout, stderr, code, want)
	}
}

func TestVersionOf(t *testing.T) {
	build := func(main string, settings ...debug.BuildSetting) func() (*debug.BuildInfo, bool) {
		return func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{Main: debug.Module{Version: main}, Settings: settings}, true
		}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	tests := []struct {
		name, version, commit string
		read                  func() (*debug.BuildInfo, bool)
		want                  string
	}{
		{"linked", "1.0", "abc", build("v0.1.0", revision), "1.0 abc"},
		{"installed", "", "", build("v0.1.0", revision), "v0.1.0 0123456789ab"},
		{"built from changed sources", "", "", build("(devel)", revision, modified), "dev 0123456789ab-dirty"},
		{"nothing recorded", "", "", func() (*debug.BuildInfo, bool) { return nil, false }, "dev unknown"},
	}
	for _, tt := range tests {
		v, c := versionOf(tt.version, tt.commit, tt.read)
		if got := v + " " + c; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"serve", "--help"}} {
		stdout, stderr, code := call(t, nil, args...)
		if !strings.Contains(stdout, "Usage: pushcart") || stderr != "" || code != 0 {
			t.Errorf("%v: %q, %q, %d", args, stdout, stderr, code)
		}
	}
}

func TestHealth(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(int(status.Load()))
		fmt.Fprintln(w, "well, well")
	}))
	defer s.Close()
	address := s.Listener.Addr().String()
	port := address[strings.LastIndex(address, ":"):]
	bad := write(t, "bad.yaml", "nonsense")
	well := "well, well\n"
	for _, tt := range []struct {
		name      string
		env, args []string
	}{
		{"flag", nil, []string{"health", "--address", address}},
		{"flag without host", nil, []string{"health", "--address", port}},
		{"any address", nil, []string{"health", "--address=0.0.0.0" + port}},
		{"environment", []string{"PUSHCART_ADMIN_ADDRESS=" + port}, []string{"health"}},
		{"no proxy", []string{"http_proxy=http://127.0.0.1:1", "PUSHCART_ADMIN_ADDRESS=" + address}, []string{"health"}},
		{"file", nil, []string{"health", "--config", write(t, "c.yaml", "admin: {address: '"+address+"'}")}},
		{"flag and a bad file", []string{"PUSHCART_CONFIG=" + bad}, []string{"health", "--address", address}},
	} {
		if stdout, stderr, code := call(t, tt.env, tt.args...); stdout != well || stderr != "" || code != 0 {
			t.Errorf("%s: %q, %q, %d", tt.name, stdout, stderr, code)
		}
	}
	status.Store(http.StatusServiceUnavailable)
	want := "pushcart: health of the node at " + address + ": it answers 503 Service Unavailable: well, well\n"
	if _, stderr, code := call(t, nil, "health", "--address", address); stderr != want || code != 1 {
		t.Errorf("unwell: %q, %d", stderr, code)
	}
	s.Close()
	if _, stderr, code := call(t, nil, "health", "--address", address); !strings.Contains(stderr, "connection refused") || code != 1 {
		t.Errorf("gone: %q, %d", stderr, code)
	}
	if _, stderr, code := call(t, []string{"PUSHCART_ADMIN_ADDRESS="}, "health"); stderr != "pushcart: admin.address is off, so the node cannot be asked\n" || code != 1 {
		t.Errorf("off: %q, %d", stderr, code)
	}
}

func TestHealthTarget(t *testing.T) {
	for address, want := range map[string]string{
		":9090": "127.0.0.1:9090", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "localhost:1": "localhost:1", "10.1.2.3:1": "10.1.2.3:1",
	} {
		if got, err := (&healthCommand{Address: address}).target(nil); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", address, got, err, want)
		}
	}
	if got, err := (&healthCommand{Config: "/nowhere.yaml"}).target(nil); got != "127.0.0.1:9090" || err != nil {
		t.Errorf("with an unusable file: %s, %v", got, err)
	}
	if _, err := (&healthCommand{Address: "x"}).target(nil); err == nil {
		t.Error("an address without a port is taken")
	}
}

// doorsAt are the settings that have all doors but RTMP's listen at an address; "" closes them.
func doorsAt(address string) (env []string) {
	for _, door := range []string{"RTSP_ADDRESS", "RTSP_UDP_ADDRESS", "SRT_ADDRESS", "WHIP_UDP_ADDRESS", "WHIP_TCP_ADDRESS"} {
		env = append(env, "PUSHCART_"+door+"="+address)
	}
	return env
}

// served is a running pushcart serve.
type served struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func serve(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, append([]string{"serve"}, args...)...)
	c.Env = append([]string{"PUSHCART_LOG_FORMAT=json", "PUSHCART_RTMP_ADDRESS=127.0.0.1:0", "PUSHCART_HTTP_ADDRESS=127.0.0.1:0",
		"PUSHCART_ADMIN_ADDRESS=127.0.0.1:0", "PUSHCART_DATA_DIRECTORY=" + t.TempDir()}, append(doorsAt("127.0.0.1:0"), env...)...)
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return &served{t, c, bufio.NewScanner(pipe)}
}

// until reads the log up to a record with this in its message and returns the record.
func (s *served) until(message string) map[string]any {
	s.t.Helper()
	var seen []string
	for s.lines.Scan() {
		seen = append(seen, s.lines.Text())
		var record map[string]any
		if err := json.Unmarshal(s.lines.Bytes(), &record); err != nil {
			s.t.Fatalf("a line of the log is no JSON: %s", s.lines.Text())
		}
		if strings.Contains(fmt.Sprint(record["msg"]), message) {
			return record
		}
	}
	s.t.Fatalf("the program ended without saying %q; it said\n%s", message, strings.Join(seen, "\n"))
	return nil
}

// end sends a signal, reads the rest of the log and returns the exit code.
func (s *served) end(signal os.Signal) int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	for s.lines.Scan() {
		// So that the program does not wait for a reader.
	}
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func TestServe(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		s := serve(t, nil)
		up := s.until("pushcart is up")
		if up["version"] != "1.2.3-test" {
			t.Errorf("it says %v", up)
		}
		stdout, stderr, code := call(t, nil, "health", "--address", fmt.Sprint(up["admin"]))
		if code != 0 {
			t.Errorf("health: %q, %q, %d", stdout, stderr, code)
		}
		if code := s.end(signal); code != 0 {
			t.Errorf("after %v it exits with %d", signal, code)
		}
	}
}

func TestServeReloads(t *testing.T) {
	file := write(t, "c.yaml", "publish: {reconnect_window: 30s}\n")
	s := serve(t, nil, "--config", file)
	s.until("pushcart is up")
	hangUp := func() {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}

	write(t, file, "publish: {reconnect_window: 10}\n")
	hangUp()
	got := s.until("configuration kept as it was")
	if want := file + ":1:29: publish.reconnect_window: 10 has no unit: write 10ms or 10s"; got["mistake"] != want {
		t.Errorf("it says %v\nwant %s", got, want)
	}
	write(t, file, "publish: {reconnect_window: 10s}\n")
	hangUp()
	if got := s.until("setting changed"); got["key"] != "publish.reconnect_window" || got["old"] != "30s" || got["new"] != "10s" {
		t.Errorf("it says %v", got)
	}
	// Without a signal, the change of the file is enough.
	write(t, file, "publish: {reconnect_window: 2m}\n")
	if got := s.until("setting changed"); got["new"] != "2m" {
		t.Errorf("it says %v", got)
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it exits with %d", code)
	}
}

func TestServeOnATakenPort(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	address := taken.Listener.Addr().String()
	_, stderr, code := call(t, append(doorsAt(""), "PUSHCART_RTMP_ADDRESS=", "PUSHCART_ADMIN_ADDRESS=", "PUSHCART_HTTP_ADDRESS="+address,
		"PUSHCART_DATA_DIRECTORY="+t.TempDir()), "serve")
	if want := regexp.MustCompile(`pushcart: start: .*` + regexp.QuoteMeta(address) + `.*address already in use`); !want.MatchString(stderr) || code != 1 {
		t.Errorf("%q, %d", stderr, code)
	}
}
