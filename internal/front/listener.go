package front

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"pushcart/internal/front/certs"
)

// defaultHandshakeTimeout is how long a TLS handshake may take where the settings say nothing.
const defaultHandshakeTimeout = 10 * time.Second

// Listener makes a listener that closes connections for which there is no place. They give theirs back by ConnState, which the
// server has to have.
func (f *Front) Listener(l net.Listener) net.Listener { return &limited{Listener: l, front: f} }

type limited struct {
	net.Listener
	front *Front
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) { return l.front.accept(l.Listener, false) }

// accept waits for a connection for which there is a place.
func (f *Front) accept(l net.Listener, handshake bool) (net.Conn, error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return nil, err
		}
		why := f.places.take(addressOf(c), f.policy.Load(), handshake)
		if why == 0 {
			return c, nil
		}
		f.metrics.refused[why].Inc()
		if tcp, ok := c.(*net.TCPConn); ok {
			// A reset leaves nothing behind that would have to wait in the kernel.
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
}

// ConnState gives the place of a connection back that was closed. It is for http.Server.
func (f *Front) ConnState(c net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		f.places.leave(addressOf(c))
	}
}

// TLSListener makes a listener as Listener does, whose connections have their TLS handshake behind them: one that is slow keeps
// neither Accept waiting nor its place for longer than the timeout, and few of an address may be in it at once. Who speaks HTTP is
// told so. Close ends the handshakes that are under way and waits for them.
func (f *Front) TLSListener(l net.Listener, secure *tls.Config) net.Listener {
	t := &tlsListener{
		Listener: l, front: f, secure: secure, results: make(chan accepted), closed: make(chan struct{}), shaking: map[net.Conn]struct{}{},
	}
	t.running.Go(t.run)
	return t
}

// tlsListener does handshakes.
type tlsListener struct {
	net.Listener
	front   *Front
	secure  *tls.Config
	results chan accepted
	closed  chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex // guards what follows
	ended   bool
	shaking map[net.Conn]struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

// run accepts connections until the listener is closed.
func (t *tlsListener) run() {
	for {
		c, err := t.front.accept(t.Listener, true)
		if err != nil {
			// The server waits a little behind what is temporary, and asks again.
			select {
			case t.results <- accepted{err: err}:
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			case <-t.closed:
				return
			}
		}
		if !t.enter(c) {
			t.front.places.handshaken(addressOf(c))
			t.drop(c)
			return
		}
		t.running.Go(func() { t.shake(c) })
	}
}

// enter notes a connection, so that Close can end its handshake; false behind Close.
func (t *tlsListener) enter(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.shaking[c] = struct{}{}
	}
	return !t.ended
}

// drop closes a connection that the server does not get.
func (t *tlsListener) drop(c net.Conn) {
	c.Close()
	t.front.places.leave(addressOf(c))
}

// shake does a connection's handshake and hands it on.
func (t *tlsListener) shake(c net.Conn) {
	// A deadline that cannot be set is that of a connection that is gone.
	_ = c.SetDeadline(time.Now().Add(t.front.policy.Load().HandshakeTimeout))
	conn := tls.Server(c, t.secure)
	err := conn.Handshake()
	_ = c.SetDeadline(time.Time{})

	t.mu.Lock()
	delete(t.shaking, c)
	ended := t.ended
	t.mu.Unlock()
	t.front.places.handshaken(addressOf(c))
	if err != nil {
		if !ended {
			t.failed(c, err)
		}
		t.drop(c)
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == certs.ChallengeProtocol {
		// An authority has seen the certificate that it came for (RFC 8737 3).
		conn.Close()
		t.front.places.leave(addressOf(c))
		return
	}
	select {
	case t.results <- accepted{conn: conn}:
	case <-t.closed:
		t.drop(c)
	}
}

// inClear is what somebody reads who speaks HTTP to the port of HTTPS.
const inClear = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nThis port speaks HTTPS: use https://.\n"

// failed counts a handshake that failed, by reason.
func (t *tlsListener) failed(c net.Conn, err error) {
	why := failureOf(err)
	t.front.metrics.failures[why].Inc()
	t.front.opt.Log.Debug("TLS handshake failed", "remote", c.RemoteAddr().String(), "reason", why, "error", err)
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.Conn != nil && looksLikeHTTP(header.RecordHeader) {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, inClear) // who speaks the wrong protocol may be gone
	}
}

// looksLikeHTTP tells whether a record's header is the beginning of an HTTP request.
func looksLikeHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET", "PRI *":
		return true
	}
	return false
}

// failureOf says why a handshake failed.
func failureOf(err error) string {
	var network net.Error
	var remote *net.OpError
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	switch {
	case errors.Is(err, certs.ErrNone):
		return failedNoCertificate
	case errors.As(err, &certificate):
		return failedClientCertificate
	case errors.As(err, &header):
		return failedNoTLS
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failedGone
	case errors.As(err, &network) && network.Timeout():
		return failedTimeout
	case errors.As(err, &remote) && remote.Op == "remote error": // so crypto/tls calls an alert of the other side
		return failedByClient
	}
	return failedProtocol
}

// Accept implements net.Listener.
func (t *tlsListener) Accept() (net.Conn, error) {
	select {
	case <-t.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case r := <-t.results:
		return r.conn, r.err
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (t *tlsListener) Close() error {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return net.ErrClosed
	}
	t.ended = true
	close(t.closed)
	for c := range t.shaking {
		c.Close()
	}
	t.mu.Unlock()
	err := t.Listener.Close()
	t.running.Wait()
	return err
}
