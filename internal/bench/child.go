package main

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
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
)

// child is a process that a row starts and ends.
type child struct {
	cmd   *exec.Cmd
	lines chan string // of its output; closed at its end
	stdin io.WriteCloser

	mu   sync.Mutex // guards what follows
	tail []string   // its last lines, for when it fails
	err  error      // how it ended
	gone chan struct{}
}

// start runs a program, without this environment's own settings for nodes and with the given ones. Lines are taken from
// its standard output, or from its standard error where fromStderr says so.
func start(ctx context.Context, fromStderr bool, env []string, program string, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PUSHCART_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	dieWithParent(cmd)
	// Children of its own are the child's to end, so it is asked to, not killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	c := &child{cmd: cmd, lines: make(chan string, 64), gone: make(chan struct{})}
	out, other := &cmd.Stdout, &cmd.Stderr
	if fromStderr {
		out, other = other, out
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	*out, *other = w, os.Stderr
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		r.Close()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	ended := make(chan struct{})
	go c.listen(r, ended)
	go c.wait(r, ended)
	return c, nil
}

// listen takes the child's lines to their end.
func (c *child) listen(r io.Reader, ended chan<- struct{}) {
	defer close(ended)
	defer close(c.lines)
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		c.mu.Lock()
		c.tail = append(c.tail, s.Text())
		c.tail = c.tail[max(0, len(c.tail)-20):]
		c.mu.Unlock()
		select {
		case c.lines <- s.Text():
		default: // nobody reads them any more
		}
	}
}

// wait waits for the child's end, and a moment for its last lines: children of its own may hold its output open.
func (c *child) wait(r io.Closer, ended <-chan struct{}) {
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

// await returns the next line for which want is true.
func (c *child) await(ctx context.Context, limit time.Duration, want func(string) bool) (string, error) {
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

// failure is an error with the child's last words.
func (c *child) failure(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Errorf("%s: %s (%v)\n%s", strings.Join(c.cmd.Args, " "), what, c.err, strings.Join(c.tail, "\n"))
}

// alive returns an error when the child has ended.
func (c *child) alive() error {
	select {
	case <-c.gone:
		return c.failure("ended by itself")
	default:
		return nil
	}
}

// stop asks the child to end, and makes it.
func (c *child) stop() {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
	case <-time.After(stopTimeout):
		c.cmd.Process.Kill()
		<-c.gone
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// self starts one of this program's own modes, and reads the JSON that it prints when it is ready into ready, unless nil.
func self(ctx context.Context, ready any, mode string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := start(ctx, false, nil, program, append([]string{mode}, args...)...)
	if err != nil || ready == nil {
		return c, err
	}
	if err := c.read(ctx, startTimeout, ready); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// read takes a line of JSON from the child.
func (c *child) read(ctx context.Context, limit time.Duration, v any) error {
	line, err := c.await(ctx, limit, func(string) bool { return true })
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(line), v); err != nil {
		return c.failure("said " + line)
	}
	return nil
}

// say prints a line of JSON for the parent.
func say(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until asks again and again until yes says so, for at most limit.
func until(ctx context.Context, limit time.Duration, what string, yes func() (bool, error)) error {
	var last error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		ok, err := yes()
		if ok {
			return nil
		}
		last = err
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("waited %s in vain for %s", limit, what), last)
}
