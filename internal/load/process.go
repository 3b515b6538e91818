package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// StartTimeout is how long a program may take until it is ready.
	StartTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
	tailLines    = 20
	maxLine      = 1 << 20
)

// Process is a program that this one starts and ends. It dies with this one.
type Process struct {
	cmd   *exec.Cmd
	lines chan string // of its output; closed at its end
	stdin io.WriteCloser

	mu   sync.Mutex // guards what follows
	tail []string   // its last lines, for when it fails
	err  error      // how it ended
	gone chan struct{}
}

// StartOptions say what is run, and whose lines are read.
type StartOptions struct {
	Program string
	Args    []string
	// Env is added to this process's environment, of which what begins with PUSHCART_ is left out.
	Env []string
	// FromStderr reads lines from its standard error instead of its standard output. What is not read goes to Other.
	FromStderr bool
	Other      io.Writer
}

// Start runs a program. It is asked to end when ctx ends. Call it on a thread that lasts (runtime.LockOSThread): on Linux the
// program dies with the thread that started it.
func Start(ctx context.Context, o StartOptions) (*Process, error) {
	cmd := exec.CommandContext(ctx, o.Program, o.Args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PUSHCART_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, o.Env...)
	dieWithParent(cmd)
	// Children of its own are the child's to end, so it is asked to, not killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	c := &Process{cmd: cmd, lines: make(chan string, 64), gone: make(chan struct{})}
	out, other := &cmd.Stdout, &cmd.Stderr
	if o.FromStderr {
		out, other = other, out
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	*out, *other = w, o.Other
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		r.Close()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("start %s: %w", o.Program, err)
	}
	ended := make(chan struct{})
	go c.listen(r, ended)
	go c.wait(r, ended)
	return c, nil
}

// listen takes the child's lines to their end.
func (c *Process) listen(r io.Reader, ended chan<- struct{}) {
	defer close(ended)
	defer close(c.lines)
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		c.mu.Lock()
		c.tail = append(c.tail, s.Text())
		c.tail = c.tail[max(0, len(c.tail)-tailLines):]
		c.mu.Unlock()
		select {
		case c.lines <- s.Text():
		default: // nobody reads them any more
		}
	}
}

// wait waits for the child's end, and a moment for its last lines: children of its own may hold its output open.
func (c *Process) wait(r io.Closer, ended <-chan struct{}) {
	err := c.cmd.Wait()
	select {
	case <-ended:
	case <-time.After(time.Second):
	}
	r.Close()
	<-ended
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.gone)
}

// Await returns the next line for which want is true.
func (c *Process) Await(ctx context.Context, limit time.Duration, want func(string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				<-c.gone
				return "", c.failure("ended")
			}
			if want(line) {
				return line, nil
			}
		case <-ctx.Done():
			return "", c.failure(ctx.Err().Error())
		}
	}
}

// Read takes a line of JSON from the child.
func (c *Process) Read(ctx context.Context, limit time.Duration, v any) error {
	line, err := c.Await(ctx, limit, func(string) bool { return true })
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(line), v); err != nil {
		return c.failure("said " + line)
	}
	return nil
}

// failure is an error with the child's last words.
func (c *Process) failure(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Errorf("%s: %s (%v)\n%s", strings.Join(c.cmd.Args, " "), what, c.err, strings.Join(c.tail, "\n"))
}

// Alive returns an error, with the child's last words, when it has ended.
func (c *Process) Alive() error {
	select {
	case <-c.gone:
		return c.failure("ended by itself")
	default:
		return nil
	}
}

// Stop asks the child to end, and makes it.
func (c *Process) Stop() {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
	case <-time.After(stopTimeout):
		c.cmd.Process.Kill()
		<-c.gone
	}
}

// PID is the child's number.
func (c *Process) PID() int { return c.cmd.Process.Pid }

// Stdin is the child's standard input.
func (c *Process) Stdin() io.WriteCloser { return c.stdin }

// Pause waits, unless ctx ends: then its error.
func Pause(ctx context.Context, d time.Duration) error {
	if !sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// Until asks again and again until yes says so, for at most limit.
func Until(ctx context.Context, limit time.Duration, what string, yes func() (bool, error)) error {
	var last error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		ok, err := yes()
		if ok {
			return nil
		}
		last = err
		if err := Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("waited %s in vain for %s", limit, what), last)
}
