package hls

import (
	"context"
	"net"
	"net/http"
)

// net/http hands a response's first four kilobytes, with the header, to the connection by themselves, and then the rest of
// a big body. On the way to a hundred viewers who wait for the same part that is a hundred system calls too many, and each
// viewer is woken twice. A gathering connection keeps the first piece back for as long as the handler's write lasts and
// sends both at once.

// GatherListener makes a listener whose connections gather. It is for clear-text listeners; Server's ConnContext must be
// GatherContext.
func GatherListener(l net.Listener) net.Listener { return gatherListener{l} }

type gatherListener struct{ net.Listener }

// Accept implements net.Listener.
func (l gatherListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &gatherConn{TCPConn: tcp}, err
	}
	return c, err
}

type gatherKey struct{}

// GatherContext lets handlers find their connection.
func GatherContext(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*gatherConn); ok {
		return context.WithValue(ctx, gatherKey{}, g)
	}
	return ctx
}

// headRoom is the size of the buffer in which net/http gathers a response's head.
const headRoom = 4096

// gatherConn belongs, for writing, to the goroutine that handles the connection's request.
type gatherConn struct {
	*net.TCPConn
	gathering bool
	held      []byte // net/http's own buffer, which it leaves alone until its next write
}

// Write implements net.Conn.
func (c *gatherConn) Write(b []byte) (int, error) {
	if !c.gathering {
		return c.TCPConn.Write(b)
	}
	if c.held == nil && len(b) == headRoom {
		c.held = b
		return len(b), nil
	}
	both := net.Buffers{c.held, b}
	held := len(c.held)
	c.gathering, c.held = false, nil
	n, err := both.WriteTo(c.TCPConn)
	return max(int(n)-held, 0), err
}

// write sends a body, together with its response's head where the connection can.
func write(w http.ResponseWriter, r *http.Request, body []byte) (int, error) {
	c, ok := r.Context().Value(gatherKey{}).(*gatherConn)
	// Below twice the room, net/http would copy the rest into the buffer that is held; HTTP/2 writes from elsewhere.
	if !ok || len(body) < 2*headRoom || r.ProtoMajor != 1 {
		return w.Write(body)
	}
	c.gathering = true
	n, err := w.Write(body)
	c.gathering = false
	if held := c.held; held != nil {
		c.held = nil
		if _, late := c.TCPConn.Write(held); err == nil {
			err = late
		}
	}
	return n, err
}
