package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// ServerOptions sets the server for viewers up.
type ServerOptions struct {
	// Handler answers; the front's own stand in front of it already.
	Handler http.Handler
	// HeaderTimeout is how long a request's header may take to arrive, IdleTimeout how long a connection stays open between
	// requests, WriteTimeout how long an answer may take unless its handler sets another deadline. 0 is no limit.
	HeaderTimeout, IdleTimeout, WriteTimeout time.Duration
	// MaxHeaderBytes is the largest header of a request; 0 is Go's 1 MB.
	MaxHeaderBytes int
	// ConnContext makes the context of a connection's requests; nil leaves it as it is.
	ConnContext func(context.Context, net.Conn) context.Context
}

// Server makes the server for viewers: HTTP/1.1 and HTTP/2, the latter with TLS and, for proxies that know, in clear text. Its
// listeners have to be the front's.
func (f *Front) Server(o ServerOptions) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           f.Handler(o.Handler),
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		WriteTimeout:      o.WriteTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			// The least that RFC 9113 6.5.2 recommends: a player has five requests under way, a cache opens another connection.
			MaxConcurrentStreams: 100,
			// Nobody sends viewers' requests of more than this, so that a connection costs no megabyte of read buffer.
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			MaxDecoderHeaderTableSize:     4 << 10,
			MaxEncoderHeaderTableSize:     4 << 10,
			// A connection that takes nothing is closed, with all its streams.
			WriteByteTimeout: o.WriteTimeout,
		},
		ConnState:   f.ConnState,
		ConnContext: o.ConnContext,
		ErrorLog:    slog.NewLogLogger(f.opt.Log.Handler(), slog.LevelDebug),
	}
}

// TrustClients has a TLS listener ask for certificates of the authority in a PEM file, and verify those that are given: who has one
// is a trusted CDN. Viewers need none, and browsers ask nobody for one that they do not have. Who gives one of another authority
// is not let in.
func TrustClients(secure *tls.Config, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the authority of the CDN's certificates: %w (check http.cdn_client_ca)", err)
	}
	secure.ClientCAs = x509.NewCertPool()
	if !secure.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s has no certificate in PEM form (check http.cdn_client_ca)", file)
	}
	secure.ClientAuth = tls.VerifyClientCertIfGiven
	return nil
}
