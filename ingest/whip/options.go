package whip

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// Limits bound what peers may cost. A zero field takes its default.
type Limits struct {
	// MaxSessions at a time; default 200.
	MaxSessions int
	// MaxSessionsPerAddress at a time; default 16.
	MaxSessionsPerAddress int
	// ConnectTimeout is for ICE and DTLS together; default 10 s.
	ConnectTimeout time.Duration
	// MediaTimeout is how long the first media may take from then on; default 15 s.
	MediaTimeout time.Duration
	// IdleTimeout ends a session on which no media came for this long; default 10 s.
	IdleTimeout time.Duration
	// JitterBuffer is how long a packet that is missing is waited for, while it is asked for again; default 200 ms.
	JitterBuffer time.Duration
	// MaxBitrate in bit/s, averaged over a few seconds; default 60,000,000.
	MaxBitrate int
}

// DefaultLimits returns the default of each limit.
func DefaultLimits() Limits {
	return Limits{
		MaxSessions:           200,
		MaxSessionsPerAddress: 16,
		ConnectTimeout:        10 * time.Second,
		MediaTimeout:          15 * time.Second,
		IdleTimeout:           10 * time.Second,
		JitterBuffer:          200 * time.Millisecond,
		MaxBitrate:            60_000_000,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, v := range []struct{ v, d *int }{
		{&l.MaxSessions, &d.MaxSessions}, {&l.MaxSessionsPerAddress, &d.MaxSessionsPerAddress}, {&l.MaxBitrate, &d.MaxBitrate},
	} {
		if *v.v <= 0 {
			*v.v = *v.d
		}
	}
	for _, v := range []struct{ v, d *time.Duration }{
		{&l.ConnectTimeout, &d.ConnectTimeout}, {&l.MediaTimeout, &d.MediaTimeout}, {&l.IdleTimeout, &d.IdleTimeout},
		{&l.JitterBuffer, &d.JitterBuffer},
	} {
		if *v.v <= 0 {
			*v.v = *v.d
		}
	}
	return l
}

// ICEServer is a STUN or TURN server that publishers are told of.
type ICEServer struct {
	// URL such as "stun:stun.example.org" or "turn:turn.example.org?transport=udp".
	URL string
	// Username and Credential for TURN; "" for none.
	Username, Credential string
}

// Options sets a server up.
type Options struct {
	// Door lets publishers in; required.
	Door ingest.Entry
	// UDPAddress and TCPAddress are where media come to, such as ":8189"; "" is no such port, and one of the two there must be.
	UDPAddress, TCPAddress string
	// Listen opens the TCP port, of the network "tcp"; nil is net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// ListenPacket opens the UDP port on one of the host's addresses, of the network "udp"; it is called for each of them. What it
	// returns must be a *net.UDPConn. Nil is net.ListenPacket.
	ListenPacket func(network, address string) (net.PacketConn, error)
	// PublicAddresses tells what publishers reach the media ports by, where that is not an address of this host's: of a 1:1 NAT or of
	// the host of a container. IP addresses or host names, which are resolved for each session; the ports must be the same
	// outside. Nil, or none: the addresses of the network interfaces.
	PublicAddresses func() []string
	// ICEServers are told to publishers in Link header fields; nil is none.
	ICEServers func() []ICEServer
	// Deliverable tells which codecs the node can deliver; nil is what HLS carries: all but VP8 and G.711.
	Deliverable func(stream.Codec) bool
	// KeyframeInterval is how far apart key frames should be; nil, or a result of 0, is 2 s.
	KeyframeInterval func() time.Duration
	// Limits is asked for anew for each session; nil is DefaultLimits.
	Limits func() Limits
	// Log of the server; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered. Several servers may share one.
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// defaultKeyframeInterval is for who asks for no other.
const defaultKeyframeInterval = 2 * time.Second

func (o Options) withDefaults() (Options, error) {
	if o.Door == nil {
		return o, errors.New("whip: Options.Door is required")
	}
	if o.UDPAddress == "" && o.TCPAddress == "" {
		return o, errors.New("whip: there is no address for media: set the one for UDP, or for TCP, or both")
	}
	if o.PublicAddresses == nil {
		o.PublicAddresses = func() []string { return nil }
	}
	if o.ICEServers == nil {
		o.ICEServers = func() []ICEServer { return nil }
	}
	if o.Deliverable == nil {
		o.Deliverable = func(c stream.Codec) bool { return c != stream.VP8 && c != stream.PCMA && c != stream.PCMU }
	}
	if o.KeyframeInterval == nil {
		o.KeyframeInterval = func() time.Duration { return defaultKeyframeInterval }
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits
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
	return o, nil
}
