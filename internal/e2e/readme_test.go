package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// blocks returns the commands of a section of the README: one text for each run of indented lines.
func blocks(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var all []string
	inside := false
	for line := range strings.SplitSeq(section, "\n") {
		command, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			all[len(all)-1] += "\n" + command
		case indented:
			all = append(all, command)
		}
		inside = indented
	}
	return all
}

// TestReadmeCards runs the commands of "Cards in ten minutes" as they stand, but for the ports: others may be in use here.
func TestReadmeCards(t *testing.T) {
	t.Parallel()
	commands := blocks(t, "Cards in ten minutes")
	if len(commands) < 5 {
		t.Fatalf("%d blocks of commands", len(commands))
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(testkit.Build(t), filepath.Join(dir, "bin", "pushcart")); err != nil {
		t.Fatal(err)
	}
	in := func(command string) string { return fmt.Sprintf("cd %q && exec %s", dir, command) }
	s := testkit.AwaitServer(t, testkit.Run(t, append([]string{
		"PUSHCART_RTMP_ADDRESS=127.0.0.1:0", "PUSHCART_HTTP_ADDRESS=127.0.0.1:0", "PUSHCART_ADMIN_ADDRESS=127.0.0.1:0",
	}, testkit.Doors...), "bash", "-c", in("env "+commands[0])))
	publisher := testkit.Run(t, nil, "bash", "-c", in(strings.Replace(commands[1], "rtmp://localhost/", "rtmp://"+s.RTMP+"/", 1)))
	v := testkit.NewViewer(t, "http://"+s.HTTP+"/live/show1/index.m3u8")
	v.Join()

	script := strings.ReplaceAll(strings.Join(commands[2:], "\n"), "http://localhost:8080", "http://"+s.HTTP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", script)
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PUSHCART_URL=http://"+s.HTTP)
	out, err := shell.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the README's commands: %v", err)
	}
	testkit.EventuallyWithin(t, 20*time.Second, "the cards of the README in the playlist", func() bool {
		text := string(v.Fetch("/live/show1/video.m3u8", http.StatusOK))
		for _, card := range []string{`"main/lamp/2"`, `"offer/save10/1"`} {
			if !strings.Contains(text, "X-PUSHCART-CARD="+card) {
				return false
			}
		}
		return true
	})
	select {
	case <-publisher.Ended():
		t.Errorf("ffmpeg ended:\n%s", publisher.Log)
	default:
	}
}
