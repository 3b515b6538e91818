package testkit

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// TCPRelay stands between publishers and a TCP port of the node.
type TCPRelay struct {
	front  net.Listener
	target string
	hole   chan struct{} // closed when the cable is pulled
	pull   func()

	mu    sync.Mutex // guards what follows
	conns []net.Conn
	over  bool
	group sync.WaitGroup
}

// NewTCPRelay relays to an address until the test ends.
func NewTCPRelay(t testing.TB, target string) *TCPRelay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &TCPRelay{front: l, target: target, hole: make(chan struct{})}
	r.pull = sync.OnceFunc(func() { close(r.hole) })
	r.group.Go(r.serve)
	t.Cleanup(r.close)
	return r
}

// Addr is where publishers connect to.
func (r *TCPRelay) Addr() string { return r.front.Addr().String() }

// Pull lets nothing through from now on, in both directions, and keeps the connections: as when a cable is pulled, neither
// side is told.
func (r *TCPRelay) Pull() { r.pull() }

func (r *TCPRelay) serve() {
	for {
		a, err := r.front.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", r.target)
		if err != nil {
			a.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, a, b)
		if r.over {
			a.Close()
			b.Close()
		}
		r.mu.Unlock()
		r.group.Go(func() { r.carry(a, b) })
		r.group.Go(func() { r.carry(b, a) })
	}
}

// carry copies until an end, which it passes on, or until the cable is pulled.
func (r *TCPRelay) carry(from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-r.hole:
			io.Copy(io.Discard, from) // so that the sender is not slowed down by it, but never answered
			return
		default:
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

func (r *TCPRelay) close() {
	r.front.Close()
	r.mu.Lock()
	r.over = true
	for _, c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.group.Wait()
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
