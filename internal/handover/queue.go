package handover

import (
	"context"
	"net"
	"sync"
)

// Queue is a net.Listener of connections that somebody else has accepted.
type Queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewQueue makes a queue.
func NewQueue() *Queue { return &Queue{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Put hands a connection on. One that nobody takes before ctx ends, or the queue is closed, is closed.
func (q *Queue) Put(ctx context.Context, c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.closed:
		c.Close()
	case <-ctx.Done():
		c.Close()
	}
}

// Accept implements net.Listener.
func (q *Queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *Queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr implements net.Listener.
func (q *Queue) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }
