package rtmp

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// Limits bound what peers may cost. A zero field takes its default.
type Limits struct {
	// HandshakeTimeout is for TLS and the RTMP handshake together, and then again for the commands up to publish;
	// default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a publisher's connection on which no audio, video or data came for this long; default 15 s.
	IdleTimeout time.Duration
	// MaxConnections at a time; default 1000.
	MaxConnections int
	// MaxConnectionsPerAddress at a time; default 32.
	MaxConnectionsPerAddress int
	// MaxMessageSize in bytes, of a publisher that was let in; default 8 MiB. Before, it is 16 KiB.
	MaxMessageSize int
	// MaxBitrate in bit/s, averaged over a few seconds; default 60,000,000.
	MaxBitrate int
}

// DefaultLimits returns the default of each limit.
func DefaultLimits() Limits {
	return Limits{
		HandshakeTimeout:         5 * time.Second,
		IdleTimeout:              15 * time.Second,
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 32,
		MaxMessageSize:           8 << 20,
		MaxBitrate:               60_000_000,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.HandshakeTimeout <= 0 {
		l.HandshakeTimeout = d.HandshakeTimeout
	}
	if l.IdleTimeout <= 0 {
		l.IdleTimeout = d.IdleTimeout
	}
	or(&l.MaxConnections, d.MaxConnections)
	or(&l.MaxConnectionsPerAddress, d.MaxConnectionsPerAddress)
	or(&l.MaxMessageSize, d.MaxMessageSize)
	or(&l.MaxBitrate, d.MaxBitrate)
	return l
}

// Options sets a server up.
type Options struct {
	// Door lets publishers in; required.
	Door ingest.Entry
	// TLS makes the server speak RTMPS; nil is plain RTMP.
	TLS *tls.Config
	// Limits is asked again and again, so that a change applies to connections that are already there; nil is
	// DefaultLimits.
	Limits func() Limits
	// App is the application name in rtmp://host/APP; "" is "live".
	App string
	// Watch tells where a stream can be watched, for those who try to play over RTMP; nil speaks of the page's path.
	Watch func(stream string) string
	// Log of the server; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered. Several servers may share one.
	Registerer prometheus.Registerer
	// Now is the clock by which rates and silence are measured; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Limits == nil {
		o.Limits = DefaultLimits
	}
	if o.App == "" {
		o.App = "live"
	}
	if o.Watch == nil {
		o.Watch = func(stream string) string {
			return fmt.Sprintf("the page /watch/%s on this server's HTTP port", stream)
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
