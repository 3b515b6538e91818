package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// longestPath is what fits into a unix socket's address, in bytes (unix(7)).
const longestPath = 107

// mostGreeting is how many connections may be there at a time that have not said what they are for.
const mostGreeting = 64

// Listener is the socket by which another process takes over.
type Listener struct {
	path string
	l    *net.UnixListener
	log  *slog.Logger
	mine os.FileInfo // the file as it was made
}

// Listen makes the socket, in the place of one that is there: a process that has taken over takes the name too, in one step, so that whoever
// asks always finds somebody. The file is for the user of the process alone, and so should its folder be.
func Listen(path string, log *slog.Logger) (*Listener, error) {
	beside := fmt.Sprintf("%s.%d", path, os.Getpid())
	if len(beside) > longestPath {
		return nil, fmt.Errorf("the path %s is too long for a socket: set upgrade.socket to a shorter one", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of upgrade.socket: %w", err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err == nil && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return nil, fmt.Errorf("other users may write to the folder %s: chmod 700 it, or set upgrade.socket to another place", filepath.Dir(path))
	}
	os.Remove(beside) // of an earlier process with the same number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: beside, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for a process that takes over: %w (set upgrade.socket)", err)
	}
	l.SetUnlinkOnClose(false) // the name may be the next process's by then
	out := &Listener{path: path, l: l, log: log}
	if err = os.Chmod(beside, 0o600); err == nil {
		if out.mine, err = os.Lstat(beside); err == nil {
			err = os.Rename(beside, path)
		}
	}
	if err != nil {
		l.Close()
		os.Remove(beside)
		return nil, fmt.Errorf("make the socket for a process that takes over: %w (set upgrade.socket)", err)
	}
	return out, nil
}

// Holds tells whether the name still stands for this listener.
func (l *Listener) Holds() bool {
	info, err := os.Lstat(l.path)
	return err == nil && os.SameFile(info, l.mine)
}

// Close ends the listener, and removes the file if it is still this one's.
func (l *Listener) Close() error {
	if l.Holds() {
		os.Remove(l.path)
	}
	return l.l.Close()
}

// Run takes connections until ctx ends, and has them handled, each by a goroutine of its own. Those of other users, and those that do not
// say what they are for, are closed. handle owns its connection.
func (l *Listener) Run(ctx context.Context, handle func(context.Context, Purpose, *net.UnixConn)) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	greeting := make(chan struct{}, mostGreeting)
	for {
		c, err := l.l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) {
				select {
				case <-time.After(100 * time.Millisecond):
					continue
				case <-ctx.Done():
					return nil
				}
			}
			return fmt.Errorf("accept on %s: %w", l.path, err)
		}
		select {
		case greeting <- struct{}{}:
		default:
			c.Close()
			continue
		}
		running.Go(func() {
			p, err := greet(c)
			<-greeting
			if err != nil {
				l.log.Warn("a connection by upgrade.socket was refused", "error", err)
				c.Close()
				return
			}
			handle(ctx, p, c)
		})
	}
}

// greet finds out who is at the other end, and what for.
func greet(c *net.UnixConn) (Purpose, error) {
	if err := permitted(c); err != nil {
		return 0, err
	}
	c.SetReadDeadline(time.Now().Add(greetTime))
	var b [2]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, fmt.Errorf("it does not say what it is for: %w", lost(err))
	}
	c.SetReadDeadline(time.Time{})
	switch p := Purpose(b[1]); {
	case b[0] != Protocol:
		return 0, fmt.Errorf("it speaks version %d, and this process %d: take the node over with a program of the same version of the protocol, or restart it", b[0], Protocol)
	case p != Takeover && p != Media && p != Viewers:
		return 0, fmt.Errorf("it is for %q, which is unknown", b[1])
	default:
		return p, nil
	}
}

// Dial connects to the process that listens at a path. The error wraps fs.ErrNotExist or syscall.ECONNREFUSED where there is none.
func Dial(ctx context.Context, path string, p Purpose) (*net.UnixConn, error) {
	if len(path) > longestPath {
		return nil, fmt.Errorf("the path %s is too long for a socket: set upgrade.socket to a shorter one", path)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	u := c.(*net.UnixConn)
	if err := permitted(u); err != nil {
		u.Close()
		return nil, fmt.Errorf("%s is not to be trusted: %w", path, err)
	}
	u.SetWriteDeadline(time.Now().Add(greetTime))
	if _, err := u.Write([]byte{Protocol, byte(p)}); err != nil {
		u.Close()
		return nil, lost(err)
	}
	u.SetWriteDeadline(time.Time{})
	return u, nil
}

// Nobody tells whether an error of Dial is that no process listens.
func Nobody(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
