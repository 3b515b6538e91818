package child

import (
	"context"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// patience is how long a process that was killed may take to die before it is given up (ErrImmortal).
	patience = 5 * time.Second
	// leftover is how long standard error and progress may stay open after the process's end, should something that it
	// started hold them.
	leftover = time.Second
)

// Child is a program that runs, or has run. Start makes it. Its methods may be called from any goroutine, in any order, also
// after its end; each output is for one reader.
type Child struct {
	program  string
	process  *os.Process
	pipes    *pipes
	progress *progressReader
	stderr   *lastLines
	readers  sync.WaitGroup // of standard error and progress
	unbind   func() bool    // from the context
	kill     func(*os.Process) error
	patience time.Duration

	finished sync.Once
	done     chan struct{} // closed by finish
	err      error         // how it ended; set before done is closed

	mu     sync.Mutex
	gone   bool          // the process has ended; its number may soon be another's
	killed bool          // we sent the signal
	giveUp *time.Timer   // calls abandon; there since Kill
	cpu    time.Duration // used, once gone
}

// supervise takes charge of a process that has started.
func supervise(ctx context.Context, spec *Spec, process *os.Process, p *pipes) *Child {
	c := &Child{
		program: spec.Program, process: process, pipes: p,
		progress: newProgressReader(), stderr: newLastLines(),
		kill: spec.kill, patience: spec.patience, done: make(chan struct{}),
	}
	c.readers.Go(func() { drain(p.progress, c.progress.write) })
	c.readers.Go(func() { drain(p.stderr, c.stderr.write); c.stderr.end() })
	go c.reap()
	c.unbind = context.AfterFunc(ctx, c.cut)
	return c
}

// Pid is the process's number, and that of its group.
func (c *Child) Pid() int { return c.process.Pid }

// Write writes to the child's standard input. It waits while the pipe is full; SetWriteDeadline and CloseStdin, and so Stop
// and Close, end the wait. After an error some of p may have been written. The errors are os.ErrDeadlineExceeded,
// os.ErrClosed, and syscall.EPIPE when the child does not read any more.
func (c *Child) Write(p []byte) (int, error) { return c.pipes.stdin.Write(p) }

// SetWriteDeadline sets when Write gives up, also one that waits already; the zero time is never.
func (c *Child) SetWriteDeadline(t time.Time) error { return c.pipes.stdin.SetWriteDeadline(t) }

// CloseStdin ends the child's input; a second time does nothing. What is in the pipe the child still gets.
func (c *Child) CloseStdin() error { return closeOnce(c.pipes.stdin) }

// Outputs are what the child writes to its descriptors from 4 on. They stay readable after its end, up to io.EOF; before
// that, each can be closed by itself, and the child gets EPIPE there.
func (c *Child) Outputs() []io.ReadCloser { return c.pipes.outputs }

// Progress is what the child reported last.
func (c *Child) Progress() Progress { return c.progress.get() }

// Stderr returns the last lines that the child wrote on standard error, up to 20 that differ, oldest first. They may stand
// in logs and pages as they are.
func (c *Child) Stderr() []string { return c.stderr.all() }

// CPU is how much time of CPUs the child has used, user and system, all its threads together. What a wrapper around it
// started counts when the wrapper has waited for it. Where the system does not tell, it is 0 up to the child's end.
func (c *Child) CPU() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		return cpuTime(c.process)
	}
	return c.cpu
}

// Done is closed when the process has ended and all that it said is in Stderr and Progress.
func (c *Child) Done() <-chan struct{} { return c.done }

// Wait waits for Done and returns nil if the child ended well, a *Failure or ErrImmortal if not. It closes nothing.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// Stop ends the child in good order: its input ends, it may take grace to write what it still has, then it is killed. Outputs
// must be read meanwhile. Stop returns what Wait does.
func (c *Child) Stop(grace time.Duration) error {
	c.CloseStdin()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		c.Kill()
	}
	return c.Wait()
}

// Kill kills the child and what it started, and does not wait. A process that is stopped dies as well.
func (c *Child) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.killed = true
	c.kill(c.process)
	if c.giveUp == nil {
		c.giveUp = time.AfterFunc(c.patience, c.abandon)
	}
}

// Close kills the child if it is still there, closes its pipes, waits for its end and returns what Wait does. What was not
// read from outputs is lost.
func (c *Child) Close() error {
	c.unbind()
	c.cut()
	return c.Wait()
}

// cut is Close without waiting.
func (c *Child) cut() {
	c.Kill()
	c.pipes.closeMedia()
}

// reap waits for the process's end.
func (c *Child) reap() {
	if untilDead(c.process) {
		// Its number, which is its group's too, is its own until it is waited for. From here on nobody uses it but this.
		c.setGone()
		c.kill(c.process)
	}
	state, err := c.process.Wait()
	c.setGone()
	c.finish(func() error {
		deadline := time.Now().Add(leftover)
		c.pipes.stderr.SetReadDeadline(deadline)
		c.pipes.progress.SetReadDeadline(deadline)
		c.readers.Wait()
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cpu = max(c.cpu, state.UserTime()+state.SystemTime()) // which may round down
		return describe(c.program, state, c.killed, c.stderr.telling())
	})
}

// setGone notes that the process has ended.
func (c *Child) setGone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		c.cpu = cpuTime(c.process)
		c.gone = true
	}
}

// abandon gives up a process that does not die.
func (c *Child) abandon() {
	c.finish(func() error {
		c.pipes.stderr.Close()
		c.pipes.progress.Close()
		c.readers.Wait()
		return ErrImmortal
	})
}

// finish ends the supervision, once; f closes what it must and says how the child ended.
func (c *Child) finish(f func() error) {
	c.finished.Do(func() {
		c.err = f()
		c.mu.Lock()
		if c.giveUp != nil {
			c.giveUp.Stop()
		}
		c.mu.Unlock()
		c.CloseStdin()
		close(c.done)
	})
}
