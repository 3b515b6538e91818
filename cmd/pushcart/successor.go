package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// takeoverFlag has serve take over from the process that runs.
const takeoverFlag = "--takeover"

// successors starts the process that is to take over from this one, each time that it is asked to.
type successors struct {
	log *slog.Logger
	// program is the file that this process was started from: another one may stand there by now.
	program string
	args    []string
	env     []string
}

// run waits for requests until ctx ends. A process that has been started goes on.
func (s *successors) run(ctx context.Context, asked <-chan os.Signal) {
	var running sync.WaitGroup
	for {
		select {
		case <-asked:
		case <-ctx.Done():
			return // who took over is not waited for
		}
		cmd := exec.Command(s.program, successorArgs(s.args)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = s.env, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			s.log.Error("the process that is to take over could not be started: this one goes on", "program", s.program, "error", err)
			continue
		}
		s.log.Info("a process was started that takes over", "process", cmd.Process.Pid, "program", s.program)
		running.Go(func() {
			if err := cmd.Wait(); err != nil && ctx.Err() == nil {
				s.log.Error("the process that was to take over has ended: this one goes on", "error", err)
			}
		})
	}
}

// successorArgs are the arguments of the process that takes over.
func successorArgs(args []string) []string {
	if slices.ContainsFunc(args, func(a string) bool { return a == takeoverFlag || strings.HasPrefix(a, takeoverFlag+"=") }) {
		return args
	}
	return append(slices.Clone(args), takeoverFlag)
}
