package testkit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log keeps the lines that a program writes and lets tests wait for one. It is an io.Writer for any goroutine.
type Log struct {
	mu      sync.Mutex // guards what follows
	text    strings.Builder
	changed chan struct{}
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return len(b), nil
}

// String is everything written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns a line with all of the words, or what to wait for.
func (l *Log) find(words []string) (line string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if containsAll(line, words) {
			return line, nil
		}
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return "", l.changed
}

// Has tells whether a line with all of the words is there.
func (l *Log) Has(words ...string) bool {
	line, _ := l.find(words)
	return line != ""
}

// Wait waits for a line that has all of the words and returns it. It ends the test when none comes.
func (l *Log) Wait(t testing.TB, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		line, changed := l.find(words)
		if changed == nil {
			return line
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no line with %q in the log:\n%s", words, l)
		}
	}
}

func containsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// logger writes to l.
func (l *Log) logger(level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

// Eventually waits for a condition that nothing announces. It ends the test when that does not come true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	EventuallyWithin(t, patience, what, ok)
}

// EventuallyWithin is Eventually with a patience of its own.
func EventuallyWithin(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("did not come true: %s", what)
		}
	}
}
