package front

import (
	"net"
	"net/netip"
	"sync"
)

// refusal is why a connection got no place; the zero value is none.
type refusal int

const (
	tooMany refusal = iota + 1
	tooManyOfAddress
	tooManyHandshakes
)

// refusals are their names in the metrics.
var refusals = [...]string{tooMany: "total", tooManyOfAddress: "address", tooManyHandshakes: "handshakes"}

// places counts the connections that are open, in all and by network. The zero value has none.
type places struct {
	mu         sync.Mutex // guards what follows
	open       int
	handshakes int // of them, those whose handshake is not over
	networks   map[netip.Addr]tenancy
}

// tenancy is what one network has.
type tenancy struct{ open, handshakes int }

// Shares of the connections, in all and of an address, that may be in their TLS handshake at once. One lasts for some round trips
// of those who mean it, and until the timeout of those who do not.
const (
	handshakeShare  = 4
	leastHandshakes = 16
)

func handshakesOf(connections int) int { return max(connections/handshakeShare, leastHandshakes) }

// take takes a place, which leave gives back; with handshake, handshaken says when that is over.
func (s *places) take(from netip.Addr, p *policy, handshake bool) refusal {
	exempt := p.proxy(from)
	n := network(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.networks[n]
	most, mostOfAddress := p.MaxConnections, p.MaxConnectionsPerAddress
	switch {
	case most > 0 && s.open >= most:
		return tooMany
	case mostOfAddress > 0 && !exempt && t.open >= mostOfAddress:
		return tooManyOfAddress
	case !handshake:
	case most > 0 && s.handshakes >= handshakesOf(most), mostOfAddress > 0 && !exempt && t.handshakes >= handshakesOf(mostOfAddress):
		return tooManyHandshakes
	}
	if s.networks == nil {
		s.networks = map[netip.Addr]tenancy{}
	}
	s.open++
	t.open++
	if handshake {
		s.handshakes++
		t.handshakes++
	}
	s.networks[n] = t
	return 0
}

// handshaken notes that a connection's handshake is over, whatever came of it.
func (s *places) handshaken(from netip.Addr) {
	n := network(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshakes--
	t := s.networks[n]
	t.handshakes--
	s.networks[n] = t
}

// leave gives a place back.
func (s *places) leave(from netip.Addr) {
	n := network(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	t := s.networks[n]
	if t.open--; t.open == 0 {
		delete(s.networks, n)
		return
	}
	s.networks[n] = t
}

// counts are the connections that are open, and of them those whose handshake is not over.
func (s *places) counts() (open, handshakes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.handshakes
}

// network is by what viewers are told apart where their number is limited: the address, and of IPv6 the network of 64 bits, since
// one host may have all of it.
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// addressOf is the address at a connection's other end.
func addressOf(c net.Conn) netip.Addr {
	switch at := c.RemoteAddr().(type) {
	case *net.TCPAddr:
		return bare(at.AddrPort().Addr())
	case nil:
		return netip.Addr{}
	default:
		a, err := netip.ParseAddrPort(at.String())
		if err != nil {
			return netip.Addr{}
		}
		return bare(a.Addr())
	}
}
