package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestSuccessorArgs: who takes over gets the same arguments, and the flag once.
func TestSuccessorArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want []string }{
		{[]string{"serve"}, []string{"serve", "--takeover"}},
		{[]string{"serve", "--config", "x"}, []string{"serve", "--config", "x", "--takeover"}},
		{[]string{"serve", "--takeover", "-c", "x"}, []string{"serve", "--takeover", "-c", "x"}},
		{[]string{"serve", "--takeover=true"}, []string{"serve", "--takeover=true"}},
	} {
		before := slices.Clone(c.args)
		if got := successorArgs(c.args); !slices.Equal(got, c.want) || !slices.Equal(c.args, before) {
			t.Errorf("%v becomes %v, want %v", before, got, c.want)
		}
	}
}

// TestSuccessors: each request starts the program that stands there now, and one that cannot be started, or fails, is logged.
func TestSuccessors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, out := filepath.Join(dir, "program"), filepath.Join(dir, "out")
	log := &testkit.Log{}
	s := &successors{log: slog.New(slog.NewTextHandler(log, nil)), program: program, args: []string{"serve"}, env: []string{"OUT=" + out}}
	asked := make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx, asked) }()
	asked <- syscall.SIGUSR2
	log.Wait(t, "could not be started")
	if err := os.WriteFile(program+".new", []byte("#!/bin/sh\necho \"$@\" > \"$OUT\"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
	asked <- syscall.SIGUSR2
	log.Wait(t, "has ended: this one goes on")
	if text, err := os.ReadFile(out); string(text) != "serve --takeover\n" {
		t.Errorf("it was started with %q, %v", text, err)
	}
	cancel()
	<-done
}

// TestHeed: one step for each signal, and none behind the end.
func TestHeed(t *testing.T) {
	t.Parallel()
	signals, over := make(chan os.Signal), make(chan struct{})
	steps := make(chan int, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		heed(signals, over, func() { steps <- 1 }, func() { steps <- 2 }, func() { steps <- 3 })
	}()
	for want := range 2 {
		signals <- syscall.SIGTERM
		select {
		case got := <-steps:
			if got != want+1 {
				t.Errorf("step %d comes after %d signals", got, want+1)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a signal is not heeded")
		}
	}
	close(over)
	<-done
	if len(steps) > 0 {
		t.Error("there was no third signal")
	}
}
