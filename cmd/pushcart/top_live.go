package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/term"

	"pushcart/internal/top"
)

// terminal is what a live view is drawn on.
type terminal interface {
	// size is the terminal's; it may change.
	size() (columns, rows int)
	// keys gets what is typed, until closing is called.
	keys() <-chan []byte
	// resized gets a value when the size may have changed.
	resized() <-chan os.Signal
	io.Writer
}

// answered is what became of asking the node.
type answered struct {
	sample *top.Sample
	err    error
	// panicked is for whoever has the terminal, to give it back first.
	panicked any
}

// topLive shows the node until the operator leaves, or ctx ends.
func topLive(ctx context.Context, s surroundings, ask *asker, v *top.View, t terminal, screen top.Screen) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answered)
	var asking sync.WaitGroup
	asking.Go(func() { keepAsking(ctx, ask, answers) })
	defer asking.Wait()
	defer cancel()

	l := live{view: v, screen: screen, colour: colours(s), terminal: t, began: time.Now()}
	if err := l.draw(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-answers:
			if a.panicked != nil {
				panic(a.panicked)
			}
			l.take(a, time.Now())
			if v.Paused {
				continue
			}
		case b, ok := <-t.keys():
			if !ok || v.Key(b) {
				return nil
			}
		case <-t.resized():
		}
		if err := l.draw(); err != nil {
			return err
		}
	}
}

// keepAsking asks the node once a second, and goes on whatever it answers.
func keepAsking(ctx context.Context, ask *asker, answers chan<- answered) {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	defer func() {
		if p := recover(); p != nil {
			select {
			case answers <- answered{panicked: fmt.Sprintf("%v\n%s", p, debug.Stack())}:
			case <-ctx.Done():
			}
		}
	}()
	for {
		sample, err := ask.sample(ctx)
		select {
		case answers <- answered{sample: sample, err: err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// restartShown is for how long a restart of the node is spoken of.
const restartShown = 15 * time.Second

// live is what a live view knows.
type live struct {
	view     *top.View
	screen   top.Screen
	colour   bool
	terminal terminal

	before    *top.Sample
	frame     *top.Frame // nil before the first answer
	began     time.Time
	down      time.Time // since when nobody answers; zero while somebody does
	restarted time.Time // when a restart was seen
}

// take takes an answer.
func (l *live) take(a answered, now time.Time) {
	if a.err != nil {
		if l.down.IsZero() {
			l.down = now
		}
		if l.frame == nil {
			l.frame = top.NewFrame(nil, &top.Sample{At: now})
		}
		l.frame.Down, l.frame.Since, l.frame.At = a.err.Error(), l.down, now
		return
	}
	l.down = time.Time{}
	frame := top.NewFrame(l.before, a.sample)
	if frame.Restarted {
		l.restarted = now
	}
	frame.Restarted = !l.restarted.IsZero() && now.Sub(l.restarted) < restartShown
	l.frame, l.before = frame, a.sample
}

// draw writes the screen.
func (l *live) draw() error {
	l.screen.Columns, l.screen.Rows = l.terminal.size()
	lines := []top.Line{{{Text: "asking the node ..."}}}
	if l.frame != nil {
		lines = top.Render(l.frame, l.view, l.screen)
	}
	_, err := io.WriteString(l.terminal, top.Paint(lines, l.screen.Rows, l.colour))
	return err
}

// isTerminal tells whether a file is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// realTerminal is the one that the command was called from.
type realTerminal struct {
	out   *os.File
	in    *os.File
	state *term.State
	typed chan []byte
	sizes chan os.Signal
	stop  func()
	done  chan struct{} // closed when nobody takes keys any more
	read  sync.WaitGroup
	once  sync.Once
}

// Sizes of a terminal that does not say.
const (
	usualColumns = 80
	usualRows    = 24
)

// openTerminal takes the terminal, until close.
func openTerminal(out *os.File) (*realTerminal, error) {
	// The terminal itself and not the standard input, which may be something else, and of which a read cannot be ended.
	in, err := os.OpenFile(terminalName, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &realTerminal{out: out, in: in, typed: make(chan []byte), sizes: make(chan os.Signal, 1), done: make(chan struct{})}
	if err := t.control(func(fd int) error { t.state, err = term.MakeRaw(fd); return err }); err != nil {
		in.Close()
		return nil, err
	}
	t.stop = notifySize(t.sizes)
	if _, err := io.WriteString(out, top.Enter); err != nil {
		t.close()
		return nil, err
	}
	t.read.Go(t.readKeys)
	return t, nil
}

// control calls f with the descriptor, which stays one whose reads can be ended.
func (t *realTerminal) control(f func(fd int) error) error {
	raw, err := t.in.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// readKeys passes on what is typed.
func (t *realTerminal) readKeys() {
	defer close(t.typed)
	for {
		b := make([]byte, 256)
		n, err := t.in.Read(b)
		if n > 0 {
			select {
			case t.typed <- b[:n]:
			case <-t.done:
			}
		}
		if err != nil {
			return
		}
	}
}

func (t *realTerminal) keys() <-chan []byte               { return t.typed }
func (t *realTerminal) resized() <-chan os.Signal         { return t.sizes }
func (t *realTerminal) Write(b []byte) (n int, err error) { return t.out.Write(b) }

func (t *realTerminal) size() (columns, rows int) {
	columns, rows = usualColumns, usualRows
	_ = t.control(func(fd int) error {
		w, h, err := term.GetSize(fd)
		if err == nil && w > 0 && h > 0 {
			columns, rows = w, h
		}
		return err
	})
	return columns, rows
}

// close gives the terminal back as it was.
func (t *realTerminal) close() {
	t.once.Do(func() {
		if t.stop != nil {
			t.stop()
		}
		io.WriteString(t.out, top.Leave)
		_ = t.control(func(fd int) error { return term.Restore(fd, t.state) })
		close(t.done)
		if err := t.in.SetReadDeadline(time.Now()); errors.Is(err, os.ErrNoDeadline) {
			return // its read ends with the process
		}
		t.read.Wait()
		t.in.Close()
	})
}
