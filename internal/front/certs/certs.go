// Package certs has the node's TLS certificate: from files that are read again when they change, or from an authority on the net
// (ACME, RFC 8555), which certmagic asks. All TLS listeners of the node serve from one Source.
package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrNone tells that there is no certificate for what a client asked for, or none yet.
var ErrNone = errors.New("there is no TLS certificate for this name yet")

// ChallengeProtocol is the ALPN protocol by which an authority looks for its proof (RFC 8737 6.2). Nothing is spoken in it.
const ChallengeProtocol = "acme-tls/1"

// Options sets a source up: Files or Domains, not both.
type Options struct {
	// Files returns the PEM files with the certificate and its chain, and with its private key. They may become others while the
	// source is used. It is not called where Domains has some.
	Files func() (certificate, key string)
	// Domains to have certificates of an authority for; none is off. The first is for clients that name no host.
	Domains []string
	// Email that the authority may write to; "" is none.
	Email string
	// Directory is the authority's URL (RFC 8555 7.1.1); "" is Let's Encrypt.
	Directory string
	// Root is a PEM file with the certificate by which the authority's own server is verified; "" is the system's.
	Root string
	// Storage is the folder for the account, certificates and keys; made where it is not there, and nobody else may read it.
	Storage string
	// Registerer takes the metrics, Log what there is to report; never nil.
	Registerer prometheus.Registerer
	Log        *slog.Logger
	// Now is the clock of files and metrics; nil is time.Now.
	Now func() time.Time
	// Retry is how long to wait behind the n-th failure in a row, counted from 1, before the authority is asked again; nil is half
	// a minute, doubled each time, an hour at most.
	Retry func(n int) time.Duration
}

// Source gives out the certificate. Its methods are for any goroutine, besides Open, Run and Close.
type Source struct {
	opt      Options
	metrics  *metrics
	files    files
	managed  atomic.Pointer[managed] // nil until Open, and without Domains
	closing  sync.Once
	acmeOnly bool
}

// New makes a source. It reads nothing yet.
func New(opt Options) *Source {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Retry == nil {
		opt.Retry = retryLater
	}
	s := &Source{opt: opt, acmeOnly: len(opt.Domains) > 0}
	s.files.opt = &s.opt
	s.metrics = newMetrics(opt.Registerer, opt.Now, s.expiries)
	s.files.failed = s.metrics.failures.WithLabelValues(sourceFile)
	return s
}

// Config returns a TLS configuration for a listener that speaks the given protocols. Where the certificate is in
// files they are read once, and it fails when that does. Where an authority gives it, a listener with protocols answers it, too.
func (s *Source) Config(protocols ...string) (*tls.Config, error) {
	get := s.obtained
	if !s.acmeOnly {
		if _, err := s.files.load(); err != nil {
			return nil, err
		}
		get = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.files.load() }
	}
	if s.acmeOnly && len(protocols) > 0 {
		protocols = append(slices.Clip(protocols), ChallengeProtocol)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: get}, nil
}

// obtained is a certificate that the authority has given.
func (s *Source) obtained(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	m := s.managed.Load()
	if m == nil {
		return nil, ErrNone
	}
	return m.certificate(hello)
}

// expiry is when a certificate ends to be valid.
type expiry struct {
	source, name string
	at           time.Time
}

// expiries are those of all certificates at hand.
func (s *Source) expiries() []expiry {
	if m := s.managed.Load(); m != nil {
		return m.expiries()
	}
	if e, ok := s.files.expiry(); ok {
		return []expiry{e}
	}
	return nil
}
