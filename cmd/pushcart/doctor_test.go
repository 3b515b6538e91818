package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// doctorsEnv has all ports off but those that are named, so that nothing of this host matters.
func doctorsEnv(t *testing.T, more ...string) []string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "PUSHCART_DATA_DIRECTORY=" + filepath.Join(t.TempDir(), "data"), "PUSHCART_PUBLISH_KEYS=show=0123456789abcdef"}
	for _, name := range []string{"RTMP_ADDRESS", "RTSP_ADDRESS", "RTSP_UDP_ADDRESS", "SRT_ADDRESS", "WHIP_UDP_ADDRESS", "WHIP_TCP_ADDRESS", "ADMIN_ADDRESS"} {
		env = append(env, "PUSHCART_"+name+"=")
	}
	return append(append(env, "PUSHCART_HTTP_ADDRESS=127.0.0.1:0"), more...)
}

func runDoctor(env []string, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"doctor", "--no-encoders"}, args...), surroundings{env: env, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// TestDoctor: a host on which nothing is in the way is fine; one with a port taken, or a mistake, is not, and the exit code says so.
func TestDoctor(t *testing.T) {
	t.Parallel()
	env := doctorsEnv(t)
	code, out, errs := runDoctor(env)
	if code != exitOK || !strings.Contains(out, "ok       port http       TCP 127.0.0.1:0 is free") || !strings.Contains(out, "0 to mend") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, out, errs = runDoctor(append(env, "PUSHCART_RTMP_ADDRESS="+taken.Addr().String()), "-q")
	if code != exitFailure || !strings.Contains(out, "problem  port rtmp       TCP "+taken.Addr().String()+" is taken") || strings.Contains(out, "ok   ") || !strings.Contains(errs, errUnwell.Error()) {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	file := filepath.Join(t.TempDir(), "pushcart.yaml")
	if err := os.WriteFile(file, []byte("hls:\n  dvr: soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = runDoctor(env, "-c", file, "--json")
	var answer struct {
		Worst    string
		Findings []struct{ Check, Level, Message, Do string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err, out)
	}
	if first := answer.Findings[0]; code != exitFailure || answer.Worst != "problem" || first.Check != "configuration" || !strings.Contains(first.Message, "hls.dvr") || !strings.Contains(first.Do, file) {
		t.Errorf("%d %+v", code, answer)
	}
}

// TestDoctorSecrets: a file with secrets that all can read is a problem, wherever it is named, and the secrets are not shown.
func TestDoctorSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "pushcart.yaml")
	token := filepath.Join(dir, "token")
	for name, text := range map[string]string{file: "srt:\n  passphrase: hushhushhush\n", token: "*=hushhushhushhush"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := runDoctor(doctorsEnv(t, "PUSHCART_STUDIO_TOKENS_FILE="+token), "-c", file)
	if code != exitFailure || !strings.Contains(out, "chmod 600 "+file) || !strings.Contains(out, "chmod 600 "+token) || strings.Contains(out+errs, "hushhush") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// TestDoctorFFmpeg tries the encoders of the ffmpeg that is here.
func TestDoctorFFmpeg(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	env := doctorsEnv(t, "PUSHCART_LADDER_ENCODERS=cpu")
	code := run([]string{"doctor"}, surroundings{env: env, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
	if out := stdout.String(); code != exitOK || !strings.Contains(out, "ffmpeg version") || !strings.Contains(out, "cpu works and is used first") {
		t.Errorf("%d\n%s%s", code, out, stderr.String())
	}
	stdout.Reset()
	code = run([]string{"doctor"}, surroundings{env: append(env, "PUSHCART_LADDER_FFMPEG=no-such-ffmpeg"), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
	if out := stdout.String(); code != exitOK || !strings.Contains(out, "warning  ffmpeg") || !strings.Contains(out, "sudo apt install ffmpeg") {
		t.Errorf("%d\n%s", code, out)
	}
}
