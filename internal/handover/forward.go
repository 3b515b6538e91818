package handover

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Heads by which a process tells another whose request it passes on. What a viewer sends under these names is not passed on.
const (
	headRemote = "Pushcart-Remote"
	headSecure = "Pushcart-Secure"
)

// mostStreams is how many requests go over one connection.
const mostStreams = 1000

// secured stands for the TLS of a connection that another process has.
var secured = &tls.ConnectionState{HandshakeComplete: true}

// hopByHop are heads of one connection (RFC 9110 7.6.1).
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// Forward passes requests on to the process that listens at a path now. Its methods are for any goroutine.
type Forward struct{ transport *http.Transport }

// NewForward makes one. Close it when no request is passed on any more.
func NewForward(path string) *Forward {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, path, Viewers) },
		// One connection carries a thousand waiting requests: the backlog of a unix socket is short.
		Protocols: new(http.Protocols), DisableCompression: true, IdleConnTimeout: 10 * time.Second,
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return &Forward{t}
}

// Close lets go of connections that nobody uses.
func (f *Forward) Close() { f.transport.CloseIdleConnections() }

// ServeFrom answers a request with what the other process says. began tells whether something was written: after an error without, the
// request may be answered otherwise, unless its body was read.
func (f *Forward) ServeFrom(w http.ResponseWriter, r *http.Request) (began bool, err error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = "http", "pushcart"
	out.RequestURI = ""
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	out.Header.Set(headRemote, r.RemoteAddr)
	out.Header.Del(headSecure)
	if r.TLS != nil {
		out.Header.Set(headSecure, "1")
	}
	if r.ContentLength == 0 {
		out.Body = nil
	}
	res, err := f.transport.RoundTrip(out)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	// What stands there by now was meant for the answer that is not given here, or is of the front and says the same.
	head := w.Header()
	for name, values := range res.Header {
		head[name] = values
	}
	for _, name := range hopByHop {
		head.Del(name)
	}
	head.Set("Connection", "close")
	w.WriteHeader(res.StatusCode)
	return true, pass(w, res.Body)
}

// pass copies a body, each piece as it comes.
func pass(w http.ResponseWriter, body io.Reader) error {
	control := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if err := control.Flush(); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Passed makes the handler of requests that another process passes on: h sees them as they came there.
func Passed(h http.Handler) *http.Server {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = r.Header.Get(headRemote)
			if r.Header.Get(headSecure) != "" {
				r.TLS = secured
			}
			r.Header.Del(headRemote)
			r.Header.Del(headSecure)
			h.ServeHTTP(w, r)
		}),
		Protocols: p, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: mostStreams}, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
	}
}
