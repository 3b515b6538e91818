package config

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a Watcher that runs in a bubble of its own time.
type watched struct {
	hangup chan os.Signal

	mu sync.Mutex // guards what follows
	// results has the log level of each configuration that was loaded, or "mistake: " and what is wrong.
	results []string
}

// watching runs test with a watcher of file beside it.
func watching(t *testing.T, file string, test func(t *testing.T, w *watched)) {
	watchingEnv(t, file, nil, test)
}

// watchingEnv is watching with an environment.
func watchingEnv(t *testing.T, file string, env []string, test func(t *testing.T, w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{hangup: make(chan os.Signal, 1)}
		poll := time.NewTicker(PollInterval)
		defer poll.Stop()
		watcher := NewWatcher(WatchOptions{File: file, Env: env, Hangup: w.hangup, Tick: poll.C, Loaded: func(c *Config, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if err != nil {
				w.results = append(w.results, "mistake: "+strings.TrimPrefix(err.Error(), file))
				return
			}
			w.results = append(w.results, string(c.Log.Level))
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go watcher.Run(ctx)
		test(t, w)
		cancel()
		synctest.Wait()
	})
}

// after lets n polls pass and returns what was loaded.
func (w *watched) after(n int) string {
	time.Sleep(time.Duration(n) * PollInterval) // of the bubble's time
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := strings.Join(w.results, ", ")
	w.results = nil
	return got
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: loaded %q, want %q", what, got, want)
	}
}

func TestWatchInPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	put(t, file, "log: {level: debug}")
	watching(t, file, func(t *testing.T, w *watched) {
		expect(t, "nothing happened", w.after(5), "")
		put(t, file, "log: {level: error}  ")
		expect(t, "first look at a new file", w.after(1), "")
		expect(t, "second look", w.after(1), "error")
		expect(t, "later", w.after(5), "")

		put(t, file, "log: {lev")
		expect(t, "while it is written", w.after(1), "")
		put(t, file, "log: {level: warn} # whole")
		expect(t, "written", w.after(1), "")
		expect(t, "and left alone", w.after(1), "warn")

		put(t, file, "log: {level: wrong}")
		expect(t, "a mistake, told once", w.after(6), `mistake: :1:14: log.level: "wrong" is not one of debug, info, warn, error`)
		put(t, file, "log: {level: info} # mended")
		expect(t, "mended", w.after(3), "info")
	})
}

func TestWatchRename(t *testing.T) {
	dir := t.TempDir()
	file, next := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "next")
	put(t, file, "log: {level: debug}")
	old, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	watching(t, file, func(t *testing.T, w *watched) {
		// Of the same size and time: it is another file all the same.
		put(t, next, "log: {level: error}")
		if err := os.Chtimes(next, old.ModTime(), old.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
		expect(t, "renamed", w.after(3), "error")

		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		expect(t, "removed, for a moment", w.after(1), "")
		put(t, file, "log: {level: warn}")
		expect(t, "back", w.after(3), "warn")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		expect(t, "removed for good, told once", w.after(6), "mistake: : cannot be read: no such file or directory")
	})
}

// TestWatchSymlink changes the file as Kubernetes does: the file is a link into a directory that is itself a link, and
// that link is replaced.
func TestWatchSymlink(t *testing.T) {
	dir := t.TempDir()
	for version, level := range map[string]string{"v1": "debug", "v2": "error"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, version, "c.yaml"), "log: {level: "+level+"}")
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("v1", "data")
	link("data/c.yaml", "c.yaml")
	watching(t, filepath.Join(dir, "c.yaml"), func(t *testing.T, w *watched) {
		expect(t, "nothing happened", w.after(3), "")
		link("v2", "data.next")
		if err := os.Rename(filepath.Join(dir, "data.next"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		expect(t, "swapped", w.after(3), "error")
	})
}

func TestWatchHangup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	put(t, file, "log: {level: debug}")
	watching(t, file, func(t *testing.T, w *watched) {
		w.hangup <- syscall.SIGHUP
		expect(t, "asked for, with nothing changed", w.after(0), "debug")
		put(t, file, "log: {level: warn}")
		w.hangup <- syscall.SIGHUP
		expect(t, "asked for, changed", w.after(0), "warn")
		expect(t, "not once more by polling", w.after(4), "")
	})
	watching(t, "", func(t *testing.T, w *watched) {
		expect(t, "no file", w.after(4), "")
		w.hangup <- syscall.SIGHUP
		expect(t, "no file, asked for", w.after(0), "info")
	})
}

// TestWatchBeforeRun changes the file between making and running the watcher.
func TestWatchBeforeRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	put(t, file, "log: {level: debug}")
	synctest.Test(t, func(t *testing.T) {
		var loaded []string
		poll := time.NewTicker(PollInterval)
		defer poll.Stop()
		watcher := NewWatcher(WatchOptions{File: file, Tick: poll.C, Loaded: func(c *Config, err error) {
			if err != nil {
				t.Error(err)
				return
			}
			loaded = append(loaded, string(c.Log.Level))
		}})
		put(t, file, "log: {level: error}  ")
		ctx, cancel := context.WithCancel(t.Context())
		go watcher.Run(ctx)
		time.Sleep(3 * PollInterval)
		synctest.Wait()
		if len(loaded) != 1 || loaded[0] != "error" {
			t.Errorf("loaded %v", loaded)
		}
		cancel()
		synctest.Wait()
	})
}
