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
	Config string `short:"c" placeholder:"FILE" help:"Configuration file; PUSHCART_CONFIG names it otherwise. Without one, the defaults hold."`
}

// Run implements the command.
func (c *serveCommand) Run(s surroundings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, a second one has its usual effect: it ends the process at once.
	context.AfterFunc(ctx, stop)
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
	n, err = node.New(cfg, node.Options{Log: log, Level: level, Version: v})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return runWatched(ctx, n.Run, watcher.Run)
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
