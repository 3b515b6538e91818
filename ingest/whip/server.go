package whip

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
)

// Server takes publishers' sessions.
type Server struct {
	opt         Options
	metrics     *metrics
	sockets     *sockets
	certificate webrtc.Certificate
	ctx         context.Context // of all sessions
	cancel      context.CancelFunc

	mu       sync.Mutex // guards what follows
	closed   bool
	running  sync.WaitGroup // sessions and requests that make one; added to under mu while not closed
	sessions map[string]*session
	ended    []ending // sessions that the server ended, the oldest first
	places   ingest.Places
}

// NewServer opens the media ports, which are not read before Run or the first session. Its HTTP handlers, which Register adds, work until Run has ended.
func NewServer(opt Options) (*Server, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("whip: registering metrics: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("whip: making the DTLS key: %w", err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("whip: making the DTLS certificate: %w", err)
	}
	sockets, err := listen(opt, libraryLog{opt.Log}.NewLogger("ice"))
	if err != nil {
		return nil, err
	}
	s := &Server{opt: opt, metrics: m, sockets: sockets, certificate: *certificate,
		sessions: map[string]*session{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// AddrUDP is the first address of the UDP port that media come to; nil without UDP.
func (s *Server) AddrUDP() net.Addr {
	if s.sockets.udpPort == 0 {
		return nil
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.sockets.addresses[0], uint16(s.sockets.udpPort)))
}

// AddrTCP is the first address of the TCP port that media come to; nil without TCP.
func (s *Server) AddrTCP() net.Addr {
	if s.sockets.tcpPort == 0 {
		return nil
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.sockets.addresses[0], uint16(s.sockets.tcpPort)))
}

// Addr is AddrUDP, or AddrTCP without UDP.
func (s *Server) Addr() net.Addr {
	if a := s.AddrUDP(); a != nil {
		return a
	}
	return s.AddrTCP()
}

// Run serves until ctx ends, which is no error. It tells the publishers by closing their connections, and returns after the
// last session and the ports have ended.
func (s *Server) Run(ctx context.Context) error {
	s.sockets.begin()
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return s.Close()
}

// Close ends a server, whether it was run or not, and waits for its sessions.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	if !first {
		return nil
	}
	if err := s.sockets.close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("whip: closing the media ports: %w", err)
	}
	return nil
}

// admit reserves a place for a session from an address; it is given back by leave.
func (s *Server) admit(from netip.Addr) (result, *ingest.Refusal) {
	limits := s.limits()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return resultShutdown, ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
	}
	switch s.places.Take(from, limits.MaxSessions, limits.MaxSessionsPerAddress) {
	case ingest.FullServer:
		return resultTooMany, ingest.Refuse(ingest.ReasonLimit, "This server has %d WebRTC publishers already, which is the most that it takes. Try again later.", s.places.Open())
	case ingest.FullNetwork:
		return resultTooManyAddress, ingest.Refuse(ingest.ReasonLimit, "Too many WebRTC publishers come from your network. End one of them first.")
	}
	s.running.Add(1)
	s.metrics.sessions.Inc()
	return "", nil
}

func (s *Server) leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places.Leave(from)
	s.metrics.sessions.Dec()
	s.running.Done()
}

// limits are those in force now.
func (s *Server) limits() Limits { return s.opt.Limits().withDefaults() }

// add makes a session known by its identifier; false tells that the server has closed meanwhile.
func (s *Server) add(c *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.sessions[c.id] = c
	return true
}

func (s *Server) remove(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c.id)
}

// ending remembers why a session was ended, for a publisher that asks.
type ending struct {
	id       string
	secret   [sha256.Size]byte
	sentence string
	until    time.Time
}

// What is remembered of sessions that have ended.
const (
	endingKept = time.Minute
	maxEndings = 256
)

// remember keeps a refusal's sentence for a while.
func (s *Server) remember(c *session, r *ingest.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) == maxEndings {
		s.ended = append(s.ended[:0], s.ended[1:]...)
	}
	s.ended = append(s.ended, ending{c.id, c.secret, r.Message, s.opt.Now().Add(endingKept)})
}

// ending finds why a session was ended; "" when it is not known, or not for the holder of a token to know.
func (s *Server) ending(id string, secret [sha256.Size]byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	for _, e := range s.ended {
		if e.id == id && now.Before(e.until) && subtle.ConstantTimeCompare(e.secret[:], secret[:]) == 1 {
			return e.sentence
		}
	}
	return ""
}

// session finds one; nil when there is none.
func (s *Server) session(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}
