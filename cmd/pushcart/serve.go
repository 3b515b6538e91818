package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/node"
)

// serveCommand is pushcart serve.
type serveCommand struct {
	Config   string `short:"c" placeholder:"FILE" help:"Configuration file; PUSHCART_CONFIG names it otherwise. Without one, the defaults hold."`
	Takeover bool   `help:"Take over from the process that runs with the same data folder: its sockets, shows and viewers. Without one, start as usual."`
}

// Run implements the command.
func (c *serveCommand) Run(s surroundings) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	// The first one has the node stop in order, the second one without waiting for anybody, the third at once. A process that is the
	// first of its container gets no signal that it does not ask for.
	ending := make(chan os.Signal, 3)
	signal.Notify(ending, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ending)
	upgrading := make(chan os.Signal, 1)
	signal.Notify(upgrading, syscall.SIGUSR2)
	defer signal.Stop(upgrading)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	poll := time.NewTicker(config.PollInterval)
	defer poll.Stop()

	// The loads begin only once the node is there to take them.
	var n *node.Node
	var log *slog.Logger
	file := config.File(c.Config, s.env)
	watcher := config.NewWatcher(config.WatchOptions{
		File: file, Env: s.env, Hangup: hangup, Tick: poll.C,
		Loaded: func(cfg *config.Config, err error) {
			if err != nil {
				logMistakes(log, err)
				n.ReloadRefused()
				return
			}
			n.Reload(cfg)
		},
	})
	cfg, err := config.Load(file, s.env)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(cfg.Log.SlogLevel())
	log = newLogger(s.stderr, string(cfg.Log.Format), level)
	if file != "" {
		log.Info("configuration read", "file", file)
	}

	v, _ := versionOf(version, commit, debug.ReadBuildInfo)
	opt := node.Options{Log: log, Level: level, Version: v}
	if c.Takeover {
		if opt.Takeover, err = node.OpenTakeover(ctx, cfg, v, log); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	n, err = node.New(cfg, opt)
	if err != nil {
		if opt.Takeover != nil {
			opt.Takeover.Close(err)
		}
		return fmt.Errorf("start: %w", err)
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	over := make(chan struct{})
	defer close(over)
	waiting.Go(func() { heed(ending, over, stop, n.Hurry, func() { os.Exit(exitFailure) }) })
	if opt.Takeover != nil {
		if err := n.TakeOver(ctx); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	return runWatched(ctx, n.Run, func(ctx context.Context) {
		if program, err := os.Executable(); err == nil {
			next := &successors{log: log, program: program, args: os.Args[1:], env: s.env}
			waiting.Go(func() { next.run(ctx, upgrading) })
		}
		watcher.Run(ctx)
	})
}

// heed does one thing after the other, one for each signal, until over is closed.
func heed(signals <-chan os.Signal, over <-chan struct{}, steps ...func()) {
	for _, step := range steps {
		select {
		case <-signals:
			step()
		case <-over:
			return
		}
	}
}

// runWatched runs the node, and the watcher beside it for as long.
func runWatched(ctx context.Context, node func(context.Context) error, watch func(context.Context)) error {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { watch(watching) })
	err := node(ctx)
	stop()
	watcher.Wait()
	return err
}

// newLogger logs to w in the format that log.format names.
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

// logMistakes tells why a changed configuration was not taken, one line for each mistake.
func logMistakes(log *slog.Logger, err error) {
	mistakes, ok := err.(config.Mistakes)
	if !ok {
		log.Error("configuration kept as it was", "error", err)
		return
	}
	for _, m := range mistakes {
		log.Error("configuration kept as it was: the changed one has a mistake", "mistake", m.String())
	}
}
