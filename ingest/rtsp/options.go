package rtsp

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// Limits bound what peers may cost. A zero field takes its default.
type Limits struct {
	// HandshakeTimeout is for everything from the connection to RECORD, or for a source from dialling to PLAY; default 10 s,
	// of which GStreamer's client is made to wait one for each track.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a session in which no media came for this long; default 15 s.
	IdleTimeout time.Duration
	// MaxConnections at a time; default 1000.
	MaxConnections int
	// MaxConnectionsPerAddress at a time; default 32.
	MaxConnectionsPerAddress int
	// MaxBitrate in bit/s, averaged over a few seconds; default 60,000,000.
	MaxBitrate int
}

// DefaultLimits returns the default of each limit.
func DefaultLimits() Limits {
	return Limits{
		HandshakeTimeout:         10 * time.Second,
		IdleTimeout:              15 * time.Second,
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 32,
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
	or(&l.MaxBitrate, d.MaxBitrate)
	return l
}

// Options sets a server up.
type Options struct {
	// Door lets publishers in; required.
	Door ingest.Entry
	// Address to listen on, such as ":8554"; required.
	Address string
	// UDPAddress is where RTP comes in over UDP: an even port, and RTCP at the next one. Port 0 takes a free pair. "" is no
	// UDP, and so it must be with TLS: the keys' protection would end at the control connection.
	UDPAddress string
	// TLS makes the server speak RTSPS; nil is plain RTSP.
	TLS *tls.Config
	// Listen opens the listener, of the network "tcp"; nil is net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// ListenPacket opens the sockets for UDP, of the network "udp": first UDPAddress, and then the port behind the one that it got. What it
	// returns must be a *net.UDPConn. Nil is net.ListenPacket.
	ListenPacket func(network, address string) (net.PacketConn, error)
	// Limits is asked again and again, so that a change applies to connections that are already there; nil is
	// DefaultLimits.
	Limits func() Limits
	// Watch tells where a stream can be watched, for those who try to play over RTSP; nil speaks of the playlist's path.
	Watch func(stream string) string
	// Log of the server; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered. Several servers and clients may share one.
	Registerer prometheus.Registerer
	// Now is the clock by which media, rates and silence are measured; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Limits == nil {
		o.Limits = DefaultLimits
	}
	if o.Watch == nil {
		o.Watch = func(stream string) string {
			return fmt.Sprintf("/live/%s/index.m3u8 on this server's HTTP port", stream)
		}
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.ListenPacket == nil {
		o.ListenPacket = net.ListenPacket
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
