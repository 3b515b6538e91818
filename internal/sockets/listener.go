package sockets

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// listener accepts connections, except while it is paused. It is not closed then: the kernel goes on to take connections in.
type listener struct {
	*net.TCPListener
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex    // guards paused, and the deadline
	paused chan struct{} // closed by resume; nil while it accepts
}

func newListener(l *net.TCPListener) *listener {
	return &listener{TCPListener: l, closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused != nil {
			select {
			case <-paused:
			case <-l.closed:
			}
		}
		c, err := l.TCPListener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue // only pause sets one
		}
		return c, err
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

func (l *listener) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		l.paused = make(chan struct{})
		l.TCPListener.SetDeadline(time.Unix(1, 0))
	}
}

func (l *listener) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		l.TCPListener.SetDeadline(time.Time{})
		close(l.paused)
		l.paused = nil
	}
}
