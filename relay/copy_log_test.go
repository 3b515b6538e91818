package relay

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLostLog: what ends by itself a moment later is not warned of, and what stays is, once until the stream comes again.
func TestLostLog(t *testing.T) {
	t.Parallel()
	full := fail(failFull, "it answers 307")
	var named *failure
	if !errors.As(full, &named) {
		t.Fatal("no failure")
	}
	named.node = "us-2"
	old := fail(failGeneration, "it is at generation 1, the stream's origin has 2")
	gone := errors.New("connection refused")
	for _, tt := range []struct {
		name  string
		moved time.Duration // since the stream has had this origin
		errs  []error
		want  int // warnings
	}{
		{"has just moved", 0, []error{old, old}, 0},
		{"moved long ago", time.Minute, []error{old, old}, 1},
		{"sent on", time.Minute, []error{full}, 0},
		{"full", time.Minute, []error{fail(failFull, "it answers 503")}, 1},
		{"gone while it moves", 0, []error{old, gone, old, gone}, 1},
	} {
		var log bytes.Buffer
		m := &Manager{opt: ManagerOptions{Log: slog.New(slog.NewTextHandler(&log, nil))}, metrics: newCopyMetrics(nil)}
		c := &copied{m: m, stream: "show", penalties: penalties{}, changedAt: time.Now().Add(-tt.moved)}
		for _, err := range tt.errs {
			c.lost("eu-1", err)
		}
		if got := strings.Count(log.String(), "level=WARN"); got != tt.want {
			t.Errorf("%s: %d warnings, want %d:\n%s", tt.name, got, tt.want, &log)
		}
		if last := tt.errs[len(tt.errs)-1]; c.lastErr != "eu-1: "+last.Error() {
			t.Errorf("%s: the page tells of %q", tt.name, c.lastErr)
		}
	}
}

// TestCopiedLog: a source is named in the log when the stream comes from it, and not before.
func TestCopiedLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := &Manager{opt: ManagerOptions{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}, metrics: newCopyMetrics(nil)}
	c := &copied{m: m, stream: "show", penalties: penalties{}, began: time.Now()}
	from := func(node string) *link { return &link{peer: Peer{Name: node}} }
	for range 3 {
		c.note(from("eu-1"), moveFailed)
	}
	if log.Len() > 0 {
		t.Errorf("the log says before anything comes\n%s", &log)
	}
	c.established(from("eu-1"))
	c.note(from("us-1"), moveFailed)
	c.note(from("eu-1"), moveFailed)
	c.established(from("eu-1")) // back: nothing new
	c.note(from("us-1"), moveBetter)
	c.established(from("us-1"))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `msg="a stream is copied" stream=show node=eu-1`) ||
		!strings.Contains(lines[1], "node=us-1 before=eu-1 reason=better_source") {
		t.Errorf("the log says\n%s", &log)
	}
}
