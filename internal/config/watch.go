package config

import (
	"context"
	"os"
	"slices"
	"time"
)

// PollInterval is how often a Watcher should be made to look at its file.
const PollInterval = 2 * time.Second

// WatchOptions sets a Watcher up.
type WatchOptions struct {
	// File to watch; "" is none. The files that Env names for values of settings are watched as well; with none at all only
	// Hangup has an effect.
	File string
	// Env as for Load; it is the same for as long as the process runs.
	Env []string
	// Hangup asks for the file to be read now: SIGHUP.
	Hangup <-chan os.Signal
	// Tick makes the watcher look whether the file has changed, each PollInterval.
	Tick <-chan time.Time
	// Loaded is called from Run with a configuration that was read again, or with the Mistakes for which it cannot be
	// used. It may be called when nothing in the configuration has changed: Diff tells.
	Loaded func(*Config, error)
}

// Watcher reads the configuration again when it is told to and when its file changes: written in place, replaced by
// renaming another over it, or reached through a symbolic link that was changed, as Kubernetes does it.
type Watcher struct {
	opt   WatchOptions
	files []string
	// read is what the file was like when it was last read; seen, at the last look.
	read, seen stamp
}

// NewWatcher makes a watcher that knows the file as it is now. Make it before the first Load, so that no change in
// between goes unseen.
func NewWatcher(opt WatchOptions) *Watcher {
	files := append([]string{opt.File}, ValueFiles(opt.Env)...)
	s := stampOf(files)
	return &Watcher{opt: opt, files: files, read: s, seen: s}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.opt.Hangup:
			w.load(stampOf(w.files))
		case <-w.opt.Tick:
			w.look()
		}
	}
}

// look loads the file if it has changed and is the same as at the last look: one that still changes is still being
// written, and half a file may be a valid one.
func (w *Watcher) look() {
	now := stampOf(w.files)
	if !now.same(w.read) && now.same(w.seen) {
		w.load(now)
	}
	w.seen = now
}

func (w *Watcher) load(now stamp) {
	w.read, w.seen = now, now
	w.opt.Loaded(Load(w.opt.File, w.opt.Env))
}

// stamp is by what a change of files is recognised: which file each is, its size and its time. An item is nil for none.
type stamp []os.FileInfo

func stampOf(files []string) stamp {
	s := make(stamp, len(files))
	for i, file := range files {
		if file == "" {
			continue
		}
		if info, err := os.Stat(file); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s stamp) same(o stamp) bool {
	return slices.EqualFunc(s, o, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}
