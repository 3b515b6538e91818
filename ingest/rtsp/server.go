package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"

	"pushcart/ingest"
)

// Server takes publishers' connections.
type Server struct {
	opt     Options
	metrics *metrics
	tcp     net.Listener

	datagrams datagrams
	// mostStraggle is the constant, but for tests.
	mostStraggle time.Duration

	closing sync.Once
	done    chan struct{}   // closed when the server ends
	ctx     context.Context // likewise
	cancel  context.CancelFunc

	mu       sync.Mutex // guards what follows
	peers    map[*peer]struct{}
	places   ingest.Places
	sessions map[*session]struct{}
	ended    bool           // no session may begin
	watching sync.WaitGroup // of sessions' goroutines
}

// NewServer makes a server and opens its sockets.
func NewServer(opt Options) (*Server, error) {
	switch {
	case opt.Door == nil:
		return nil, errors.New("rtsp: Options.Door is required")
	case opt.Address == "":
		return nil, errors.New("rtsp: Options.Address is required")
	case opt.TLS != nil && opt.UDPAddress != "":
		return nil, errors.New("rtsp: with TLS there is no UDP: leave Options.UDPAddress empty")
	}
	opt = opt.withDefaults()
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("rtsp: registering metrics: %w", err)
	}
	s := &Server{
		opt: opt, metrics: m, done: make(chan struct{}), mostStraggle: mostStraggle,
		peers: map[*peer]struct{}{}, sessions: map[*session]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if s.tcp, err = opt.Listen("tcp", opt.Address); err != nil {
		return nil, fmt.Errorf("rtsp: listening on %s: %w", opt.Address, err)
	}
	s.datagrams = datagrams{server: s, routes: [2]map[netip.AddrPort]*route{{}, {}}}
	if opt.UDPAddress != "" {
		if s.datagrams.conns, err = listenPair(opt.ListenPacket, opt.UDPAddress); err != nil {
			s.tcp.Close()
			return nil, err
		}
	}
	return s, nil
}

// readBuffer is how many bytes of datagrams may wait for being read.
const readBuffer = 4 << 20

// pairAttempts is how many ports are tried for one that is even and has a free neighbour.
const pairAttempts = 100

// listenPair opens an even port and the next one (RFC 3550 11).
func listenPair(listen func(network, address string) (net.PacketConn, error), address string) (pair [2]*net.UDPConn, _ error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return pair, fmt.Errorf("rtsp: UDP address %s: %w", address, err)
	}
	if at.Port%2 != 0 {
		return pair, fmt.Errorf("rtsp: UDP address %s: the port must be even, RTCP takes the next one", address)
	}
	any := at.Port == 0
	for range pairAttempts {
		first, err := ingest.ListenUDP(listen, at.String())
		if err != nil {
			return pair, fmt.Errorf("rtsp: listening on UDP %s: %w", address, err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		if port%2 == 0 {
			next := net.UDPAddr{IP: at.IP, Zone: at.Zone, Port: port + 1}
			second, err := ingest.ListenUDP(listen, next.String())
			if err == nil {
				// As far as the operating system grants it: the packets of a key frame come all at once.
				first.SetReadBuffer(readBuffer)
				return [2]*net.UDPConn{first, second}, nil
			}
			if !any {
				first.Close()
				return pair, fmt.Errorf("rtsp: listening on UDP port %d, the one behind that of %s: %w", port+1, address, err)
			}
		}
		first.Close()
	}
	return pair, fmt.Errorf("rtsp: listening on UDP %s: no two ports in a row are free", address)
}

// Addr is the address of the RTSP listener.
func (s *Server) Addr() net.Addr { return s.tcp.Addr() }

// AddrUDP is the address at which RTP comes in over UDP; nil when there is none.
func (s *Server) AddrUDP() net.Addr {
	if s.datagrams.conns[socketRTP] == nil {
		return nil
	}
	return s.datagrams.conns[socketRTP].LocalAddr()
}

// limits are those in force now.
func (s *Server) limits() Limits { return s.opt.Limits().withDefaults() }

// protocol names what the server speaks, as users know it.
func (s *Server) protocol() string {
	if s.opt.TLS != nil {
		return "rtsps"
	}
	return "rtsp"
}

// Close closes the sockets of a server that was never run.
func (s *Server) Close() error {
	s.end()
	return errors.Join(s.tcp.Close(), s.datagrams.close())
}

// end tells everything of the server that it ends.
func (s *Server) end() {
	s.closing.Do(func() {
		close(s.done)
		s.cancel()
	})
}

// unlimited stands for gortsplib's own limits of silence, which cannot change: this package judges it.
const unlimited = 24 * time.Hour

// Run serves until ctx ends, which is no error, or a listener fails. It returns after the last of its goroutines has ended.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	g := &gortsplib.Server{
		Handler:      (*handler)(s),
		RTSPAddress:  s.tcp.Addr().String(),
		TLSConfig:    s.opt.TLS,
		WriteTimeout: writeTimeout,
		ReadTimeout:  unlimited,
		// Digest would need the keys in plain text, and only their hashes may be configured. Clients that do Digest do Basic.
		// Without TLS a key can be read on the way like this; as part of the address, which is how RTMP has it, it could be too.
		AuthMethods: []auth.VerifyMethod{auth.VerifyMethodBasic},
		Listen:      func(string, string) (net.Listener, error) { return &listener{Listener: s.tcp, server: s}, nil },
	}
	if err := g.Start(); err != nil {
		return fmt.Errorf("rtsp: starting: %w", err)
	}
	failed := make(chan error, 1)
	go func() { failed <- g.Wait() }()
	var reading sync.WaitGroup
	defer reading.Wait()
	defer s.Close()
	if s.AddrUDP() != nil {
		reading.Go(func() { s.datagrams.run(socketRTP) })
		reading.Go(func() { s.datagrams.run(socketRTCP) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		failed <- err
		err = fmt.Errorf("rtsp: accepting on %s: %w", s.tcp.Addr(), err)
	}
	s.end()
	s.sendAway()
	g.Close()
	<-failed
	s.watching.Wait()
	return err
}

// sendAway ends all sessions with the reason that the server does.
func (s *Server) sendAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for c := range s.sessions {
		c.kick(shutdown())
	}
	for p := range s.peers {
		p.outcome(resultShutdown)
	}
}

// admit counts a connection in, unless there are too many.
func (s *Server) admit(p *peer) result {
	lim := s.limits()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.places.Take(p.remote.Addr(), lim.MaxConnections, lim.MaxConnectionsPerAddress) {
	case ingest.FullServer:
		return resultTooMany
	case ingest.FullNetwork:
		return resultTooManyAddress
	}
	s.peers[p] = struct{}{}
	s.metrics.connections.Inc()
	return ""
}

func (s *Server) leave(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
	s.places.Leave(p.remote.Addr())
	s.metrics.connections.Dec()
}

// listener admits connections. gortsplib's server ends when Accept fails, so it does not fail for what passes.
type listener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for delay := time.Duration(0); ; {
		nc, err := l.Listener.Accept()
		if err == nil {
			p := newPeer(l.server, nc)
			r := l.server.admit(p)
			if r == "" {
				p.waiting()
				return p, nil
			}
			l.server.metrics.results[r].Inc()
			p.log.Debug("rtsp: connection refused", "result", string(r))
			p.cancel()
			nc.Close()
			continue
		}
		if !ingest.Temporary(err) {
			return nil, err
		}
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		l.server.opt.Log.Error("rtsp: accepting a connection; retrying", "error", err, "delay", delay)
		select {
		case <-l.server.done:
			return nil, net.ErrClosed
		case <-time.After(delay):
		}
	}
}
