package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// figures are what viewers note, all together, in one stretch of a run. They may be added to by any goroutine.
type figures struct {
	added   histogram // from a stamped picture's departure to the part's last byte
	behind  histogram // behind the first viewer who had the part
	dated   signed    // behind the end of the part by the playlist's dates, which may be ahead of it
	reload  histogram // a playlist, behind the departure of the picture (or the first arrival) of the part that it was waited for with
	request histogram // requests that had not to wait

	parts, playlists, bytes atomic.Int64
	hints, lost             atomic.Int64 // preload hints, and those that did not hold
	hits, misses            atomic.Int64 // of caches, where headers tell
	jumps                   atomic.Int64 // viewers that fell out of the window and went on at its end
	late                    atomic.Int64 // parts that were there before they were asked for

	mu     sync.Mutex // guards what follows
	errors map[string]int64
	total  int64
}

// maxKinds is how many kinds of errors are told apart.
const maxKinds = 40

// fail counts an error by its kind.
func (f *figures) fail(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.errors == nil {
		f.errors = map[string]int64{}
	}
	f.total++
	if _, known := f.errors[kind]; !known && len(f.errors) >= maxKinds {
		kind = "other"
	}
	f.errors[kind]++
}

// failed returns a copy of the errors by kind, and how many they are.
func (f *figures) failed() (map[string]int64, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]int64, len(f.errors))
	for k, n := range f.errors {
		all[k] = n
	}
	return all, f.total
}

// statusError is an answer that is not the one that was hoped for.
type statusError struct {
	what   string
	status int
}

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("%s: status %d", e.what, e.status) }

// Errors of viewers.
var (
	errHost     = errors.New("sent to a host that the stream did not name at first")
	errRedirect = errors.New("too many redirections")
	errNotMedia = errors.New("not media")
	errEmpty    = errors.New("an empty file")
	errRange    = errors.New("other bytes than the range that was asked for")
	errBehind   = errors.New("a playlist without the part that was waited for")
)

// Kinds of errors that are looked for elsewhere.
const (
	kindUntrusted = "TLS: no trusted certificate"
	kindPlain     = "TLS: the server does not speak it"
	kindAlert     = "TLS: the server refuses"
	kindStream    = "HTTP/2: the server broke the response off"
	kindNoHTTP2   = "HTTP/2: the server does not speak it"
)

// kindOf words an error in few words that are the same for all errors of the kind.
func kindOf(err error) string {
	var status *statusError
	var dns *net.DNSError
	var timeout net.Error
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	switch {
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "out of open files here"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "out of local ports here"
	case errors.As(err, &dns):
		return "host name not found"
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &certificate):
		return kindUntrusted
	case errors.As(err, &record):
		return kindPlain
	case errors.As(err, &alert):
		return kindAlert
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed):
		return "connection broken"
	}
	for _, known := range []error{errPlaylist, ErrTooLarge, ErrResponse, errHost, errRedirect, errNotMedia, errEmpty, errRange, errBehind, errTooMany} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return kindOfText(err)
}

// kindOfText tells those errors of net/http's apart that have no type of their own.
func kindOfText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, known := range []struct{ part, kind string }{
		{"server gave HTTP response to HTTPS client", kindPlain},
		{"first record does not look like a TLS handshake", kindPlain},
		{"unexpected ALPN protocol", kindNoHTTP2},
		{"HTTP/2 unsupported", kindNoHTTP2},
		{"frame too large", kindNoHTTP2}, // what HTTP/1.1 is, read as frames
		{"looked like an HTTP/1.1 header", kindNoHTTP2},
		{"remote error: tls:", kindAlert},
		{"stream error:", kindStream}, {"stream ID", kindStream},
		{"GOAWAY", "connection broken"}, {"client connection lost", "connection broken"},
		{"connection closed", "connection broken"}, {"client connection force closed", "connection broken"},
		{"malformed HTTP", ErrResponse.Error()},
	} {
		if strings.Contains(text, known.part) {
			return known.kind
		}
	}
	return "other: no connection"
}
