package whip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"

	"pushcart/ingest"
)

// What the media ports may cost before anybody has proved to belong to a session.
const (
	maxTCPConnections           = 1024
	maxTCPConnectionsPerAddress = 32
	firstBindTimeout            = 5 * time.Second
	tcpWriteBuffer              = 256 << 10 // our own packets are RTCP: small
	tcpReadBuffer               = 64        // packets
	udpReadBuffer               = 2 << 20   // bytes, of the socket
)

// maxAddresses bounds the sockets, and with them the candidates of an answer.
const maxAddresses = 16

// portTries is how often a port that is free on all addresses is sought.
const portTries = 20

// sockets are the ports that all sessions share. There is a UDP socket for each address of the host's, not one for all of
// them: an answer must come from the address that was asked, which with several addresses the routing table would choose.
type sockets struct {
	addresses []netip.Addr // by which the host can be reached
	loopback  bool         // some of them are loopback addresses
	conns     []*net.UDPConn
	udpPort   int          // 0 without UDP
	listener  net.Listener // nil without TCP
	tcpPort   int          // 0 without TCP
	log       logging.LeveledLogger

	open       func(network, address string) (net.Listener, error)
	openPacket func(network, address string) (net.PacketConn, error)

	mu    sync.Mutex // guards what follows
	begun bool
	over  bool
	udp   ice.UDPMux // nil without UDP, and before begun
	tcp   ice.TCPMux // likewise
}

// listen opens the ports of Options on addresses such as ":8189" or "127.0.0.1:0"; "" is no such port. Where both have port 0 they get the
// same one, if it is free.
func listen(opt Options, log logging.LeveledLogger) (_ *sockets, err error) {
	s := &sockets{open: opt.Listen, openPacket: opt.ListenPacket, log: log}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if udp := opt.UDPAddress; udp != "" {
		if err := s.listenUDP(udp); err != nil {
			return nil, err
		}
	}
	if tcp := opt.TCPAddress; tcp != "" {
		if err := s.listenTCP(tcp); err != nil {
			return nil, err
		}
	}
	for _, a := range s.addresses {
		s.loopback = s.loopback || a.IsLoopback()
	}
	return s, nil
}

// endpoint reads an address to listen on.
func endpoint(address string) (*net.UDPAddr, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("whip: the media address %q: %w; give it as HOST:PORT or :PORT", address, err)
	}
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("whip: the media address %q: %w", address, err)
	}
	return at, nil
}

func (s *sockets) listenUDP(address string) error {
	at, err := endpoint(address)
	if err != nil {
		return err
	}
	if s.addresses, err = addressesOf(at); err != nil {
		return err
	}
	for try := 0; ; try++ {
		conns, err := s.openUDP(at.Port)
		if err == nil {
			s.conns, s.udpPort = conns, conns[0].LocalAddr().(*net.UDPAddr).Port
			return nil
		}
		if at.Port != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("whip: opening the UDP port for media on %s: %w", address, err)
		}
	}
}

// openUDP opens a port on all addresses.
func (s *sockets) openUDP(port int) (conns []*net.UDPConn, err error) {
	for _, a := range s.addresses {
		c, err := ingest.ListenUDP(s.openPacket, netip.AddrPortFrom(a, uint16(port)).String())
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, err
		}
		_ = c.SetReadBuffer(udpReadBuffer) // the system may grant less
		conns = append(conns, c)
		port = c.LocalAddr().(*net.UDPAddr).Port
	}
	return conns, nil
}

func (s *sockets) listenTCP(address string) error {
	at, err := endpoint(address)
	if err != nil {
		return err
	}
	addresses, err := addressesOf(at)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if !slices.Contains(s.addresses, a) {
			s.addresses = append(s.addresses, a)
		}
	}
	host, _, _ := net.SplitHostPort(address)
	port := at.Port
	if port == 0 {
		port = s.udpPort
	}
	l, err := s.open("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil && at.Port == 0 {
		l, err = s.open("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return fmt.Errorf("whip: opening the TCP port for media on %s: %w", address, err)
	}
	s.tcpPort = l.Addr().(*net.TCPAddr).Port
	s.listener = &limitedListener{Listener: l, closed: make(chan struct{}), byAddress: map[netip.Addr]int{}}
	return nil
}

// begin reads the ports from now on, and returns what does; nil for one that there is not. Before, packets wait, or go to another
// process that has the sockets too.
func (s *sockets) begin() (ice.UDPMux, ice.TCPMux) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun || s.over {
		return s.udp, s.tcp
	}
	s.begun = true
	if len(s.conns) > 0 {
		var muxes []ice.UDPMux
		for _, c := range s.conns {
			muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: c, Logger: s.log}))
		}
		s.udp = ice.NewMultiUDPMuxDefault(muxes...)
	}
	if s.listener != nil {
		s.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: s.listener, Logger: s.log, ReadBufferSize: tcpReadBuffer, WriteBufferSize: tcpWriteBuffer,
			FirstStunBindTimeout: firstBindTimeout, AliveDurationForConnFromStun: firstBindTimeout,
		})
	}
	return s.udp, s.tcp
}

// close ends the ports and what reads them.
func (s *sockets) close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if !s.begun {
		for _, c := range s.conns {
			err = errors.Join(err, c.Close())
		}
		if s.listener != nil {
			err = errors.Join(err, s.listener.Close())
		}
		return err
	}
	if s.udp != nil {
		err = s.udp.Close()
	}
	if s.tcp != nil {
		err = errors.Join(err, s.tcp.Close())
	}
	return err
}

// addressesOf lists what to listen on: the one address, or for none those of all interfaces that are up.
func addressesOf(ua *net.UDPAddr) ([]netip.Addr, error) {
	if a, ok := netip.AddrFromSlice(ua.IP); ok && !a.IsUnspecified() {
		return []netip.Addr{a.Unmap().WithZone(ua.Zone)}, nil
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("whip: listing the network interfaces of this host: %w", err)
	}
	var public, inner, loop []netip.Addr
	for _, one := range interfaces {
		if one.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range unicast(one, ua.IP.To4() != nil) {
			switch {
			case a.IsLoopback():
				loop = append(loop, a)
			case virtual(one.Name):
				inner = append(inner, a)
			default:
				public = append(public, a)
			}
		}
	}
	for _, found := range [][]netip.Addr{public, inner, loop} { // loopback by itself is for trying things out
		if len(found) > 0 {
			return found[:min(len(found), maxAddresses)], nil
		}
	}
	return nil, errors.New("whip: this host has no network address to listen on")
}

// unicast lists an interface's addresses that can be reached from elsewhere, or from this host.
func unicast(one net.Interface, only4 bool) (list []netip.Addr) {
	all, err := one.Addrs()
	if err != nil { // the interface has just gone
		return nil
	}
	for _, n := range all {
		p, err := netip.ParsePrefix(n.String())
		if err != nil {
			continue
		}
		if a := p.Addr().Unmap(); (a.IsGlobalUnicast() || a.IsLoopback()) && (a.Is4() || !only4) {
			list = append(list, a)
		}
	}
	return list
}

// virtual tells of interfaces to this host's own containers and virtual machines: they would only lengthen each answer.
func virtual(name string) bool {
	for _, prefix := range []string{"docker", "veth", "virbr", "cni", "flannel", "cali"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	id, bridge := strings.CutPrefix(name, "br-") // of a network of Docker's: br- and 12 hexadecimal digits
	return bridge && len(id) == 12
}

// limitedListener bounds the connections that are open, and outlives errors of Accept that pass, such as too many open
// files, which the multiplexer takes for its end.
type limitedListener struct {
	net.Listener
	once   sync.Once
	closed chan struct{}

	mu        sync.Mutex // guards what follows
	open      int
	byAddress map[netip.Addr]int
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			if counted := l.admit(c); counted != nil {
				return counted, nil
			}
			c.Close()
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		select {
		case <-l.closed:
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *limitedListener) admit(c net.Conn) net.Conn {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return nil
	}
	key := ingest.Network(from.Addr())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= maxTCPConnections || l.byAddress[key] >= maxTCPConnectionsPerAddress {
		return nil
	}
	l.open++
	l.byAddress[key]++
	return &countedConn{Conn: c, leave: func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		if l.byAddress[key]--; l.byAddress[key] == 0 {
			delete(l.byAddress, key)
		}
	}}
}

type countedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
