package ladder

import (
	"context"
	"io"
	"time"

	"pushcart/packager/ladder/child"
)

// process is a child as the room uses it; *child.Child is one.
type process interface {
	// Write writes to its standard input. It waits while the pipe is full, and fails once the child does not read any more, or
	// after CloseStdin.
	Write(p []byte) (int, error)
	// CloseStdin ends its input.
	CloseStdin() error
	// Outputs are what it writes, in the order of the job's outputs, the poster last. Each has one reader.
	Outputs() []io.ReadCloser
	// Progress is what it reported last, Stderr its last lines, CPU the processors' time that it has used.
	Progress() child.Progress
	Stderr() []string
	CPU() time.Duration
	Pid() int
	// Kill ends it at once; outputs end then.
	Kill()
	// Done is closed when it has ended, and Wait says how that was.
	Done() <-chan struct{}
	Wait() error
	// Close kills what is left of it, and releases what it holds.
	Close() error
}

// startFunc starts a child that ends with ctx.
type startFunc func(ctx context.Context, spec child.Spec) (process, error)

func startChild(ctx context.Context, spec child.Spec) (process, error) {
	c, err := child.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	return c, nil
}
