package node

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// Bounds of listeners that have no settings for it. The relay's are for connections that have not asked for anything yet, as they have
// to prove who they are before: other nodes are in it for a round trip or two, for each rendition that they copy. The operator's are for
// all connections.
const (
	mostStrangers          = 4096
	mostStrangersOfAddress = 1024
	mostOperators          = 512
	mostOperatorsOfAddress = 256
)

// strangers bounds connections of a server.
type strangers struct {
	most, mostOfAddress int
	// all counts connections until they are closed, and not only until they ask for something.
	all               bool
	byTotal, byOrigin prometheus.Counter

	mu     sync.Mutex // guards what follows
	places ingest.Places
	from   map[net.Conn]netip.Addr
}

// newStrangers makes the bounds of a listener. Its server gets ConnState, and its listener goes through listen.
func newStrangers(refused *prometheus.CounterVec, listener string, most, mostOfAddress int, all bool) *strangers {
	return &strangers{
		most: most, mostOfAddress: mostOfAddress, all: all, from: map[net.Conn]netip.Addr{},
		byTotal: refused.WithLabelValues(listener, "total"), byOrigin: refused.WithLabelValues(listener, "address"),
	}
}

// newRefusedStrangers makes the counters of all.
func newRefusedStrangers(reg prometheus.Registerer) *prometheus.CounterVec {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_listener_connections_refused_total",
		Help: "Connections closed at once because too many are open, in all or from an address, by listener: relay (those that have not asked for anything yet), admin.",
	}, []string{"listener", "reason"})
	reg.MustRegister(refused)
	return refused
}

// listen bounds a listener. For TLS it stands outside of that, whose Accept does no handshake.
func (s *strangers) listen(l net.Listener) net.Listener { return &strangersListener{l, s} }

type strangersListener struct {
	net.Listener
	bounds *strangers
}

// Accept implements net.Listener.
func (l *strangersListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.bounds.take(c) {
			return c, err
		}
		c.Close()
	}
}

// take finds a place for a connection.
func (s *strangers) take(c net.Conn) bool {
	var from netip.Addr
	if at, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		from = at.AddrPort().Addr().Unmap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.places.Take(from, s.most, s.mostOfAddress) {
	case ingest.FullServer:
		s.byTotal.Inc()
		return false
	case ingest.FullNetwork:
		s.byOrigin.Inc()
		return false
	}
	s.from[c] = from
	return true
}

// ConnState gives places back. It is for http.Server.
func (s *strangers) ConnState(c net.Conn, state http.ConnState) {
	if state == http.StateNew || s.all && state != http.StateClosed && state != http.StateHijacked {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if from, ok := s.from[c]; ok {
		delete(s.from, c)
		s.places.Leave(from)
	}
}

// serveAdmin runs the operator's server.
func (n *Node) serveAdmin(s *http.Server) func(context.Context, net.Listener) error {
	bounds := newStrangers(n.strangers, "admin", mostOperators, mostOperatorsOfAddress, true)
	s.ConnState = bounds.ConnState
	return func(ctx context.Context, l net.Listener) error { return serveHTTP(ctx, s, bounds.listen(l)) }
}
