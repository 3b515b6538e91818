package srt

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/ingest/ts"
)

// DefaultLatency is the receiver's latency, as SRT has it by default.
const DefaultLatency = 120 * time.Millisecond

// Bounds of a passphrase (draft-sharabayko-srt-01 3.2.2).
const (
	shortestPassphrase = 10
	longestPassphrase  = 79
)

// Limits bound what peers may cost. A zero field takes its default.
type Limits struct {
	// HandshakeTimeout is for the first packet of media after the handshake, and for a caller's handshake; default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a session in which no audio or video came for this long; default 15 s. A peer of whom nothing at all
	// comes is gone after 5 s.
	IdleTimeout time.Duration
	// MaxConnections at a time; default 1000.
	MaxConnections int
	// MaxConnectionsPerAddress at a time; default 32.
	MaxConnectionsPerAddress int
	// MaxUnitSize is the longest picture in bytes; default 8 MiB.
	MaxUnitSize int
	// MaxBitrate in bit/s, averaged over a few seconds; default 60,000,000.
	MaxBitrate int
	// MaxLatency that a peer may ask for; default 8 s.
	MaxLatency time.Duration
}

// DefaultLimits returns the default of each limit.
func DefaultLimits() Limits {
	return Limits{
		HandshakeTimeout:         5 * time.Second,
		IdleTimeout:              15 * time.Second,
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 32,
		MaxUnitSize:              ts.DefaultMaxUnit,
		MaxBitrate:               60_000_000,
		MaxLatency:               8 * time.Second,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	count := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	lasting := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	lasting(&l.HandshakeTimeout, d.HandshakeTimeout)
	lasting(&l.IdleTimeout, d.IdleTimeout)
	lasting(&l.MaxLatency, d.MaxLatency)
	count(&l.MaxConnections, d.MaxConnections)
	count(&l.MaxConnectionsPerAddress, d.MaxConnectionsPerAddress)
	count(&l.MaxUnitSize, d.MaxUnitSize)
	count(&l.MaxBitrate, d.MaxBitrate)
	return l
}

// buffered is how many bytes may wait for their time in a session's buffer.
func (l Limits) buffered(latency time.Duration) uint64 {
	return uint64((latency + 2*time.Second).Seconds() * float64(l.MaxBitrate) / 8)
}

// Options sets a server or a client up.
type Options struct {
	// Door lets publishers in; required.
	Door ingest.Entry
	// Address to listen on, UDP; "" is ":8890". Of no meaning to a client.
	Address string
	// ListenPacket opens the socket, of the network "udp"; what it returns must be a *net.UDPConn. Nil is net.ListenPacket. Of no
	// meaning to a client.
	ListenPacket func(network, address string) (net.PacketConn, error)
	// Passphrase that publishers must use, of 10 to 79 bytes; "" is none, and then they must not encrypt. Of no meaning to a
	// client, whose URL has it.
	Passphrase string
	// Latency is the least time for which the receiver holds packets so that lost ones can be sent again, 20 ms to
	// MaxLatency; 0 is 120 ms. A peer that asks for more gets that.
	Latency time.Duration
	// Limits is asked again and again, so that a change applies to sessions that are already there; nil is DefaultLimits.
	Limits func() Limits
	// Watch tells where a stream can be watched, for those who try to play over SRT; nil speaks of the page's path.
	Watch func(stream string) string
	// Log of the server; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered. Several servers and clients may share one.
	Registerer prometheus.Registerer
	// Now is the clock by which rates and silence are measured; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Address == "" {
		o.Address = ":8890"
	}
	if o.Latency == 0 {
		o.Latency = DefaultLatency
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits
	}
	if o.Watch == nil {
		o.Watch = func(stream string) string {
			return fmt.Sprintf("the page /watch/%s on this server's HTTP port", stream)
		}
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

// check tells what is wrong with the options, which have their defaults.
func (o Options) check() error {
	if o.Door == nil {
		return errors.New("srt: Options.Door is required")
	}
	if err := checkPassphrase(o.Passphrase); err != nil {
		return fmt.Errorf("srt: %w", err)
	}
	if most := o.Limits().withDefaults().MaxLatency; o.Latency < 20*time.Millisecond || o.Latency > most {
		return fmt.Errorf("srt: a latency of %v: set 20 ms to %v", o.Latency, most)
	}
	return nil
}

func checkPassphrase(p string) error {
	if n := len(p); n != 0 && (n < shortestPassphrase || n > longestPassphrase) {
		return fmt.Errorf("the passphrase has %d characters: SRT wants %d to %d", n, shortestPassphrase, longestPassphrase)
	}
	return nil
}
