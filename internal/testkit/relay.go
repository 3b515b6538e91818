package testkit

import (
	"net"
	"sync"
	"testing"
)

// Relay stands between publishers and a UDP port of the node and does to their datagrams what a bad network does. Each
// publisher has a socket of its own towards the node.
type Relay struct {
	front  *net.UDPConn
	target *net.UDPAddr
	imp    Impairment

	mu    sync.Mutex // guards what follows
	pairs map[string]*relayPair
	hole  bool
	group sync.WaitGroup
}

// relayPair is one publisher's way there and back.
type relayPair struct {
	back    *net.UDPConn
	out, in *line
}

// NewRelay relays to an address until the test ends.
func NewRelay(t testing.TB, target string, imp Impairment) *Relay {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{front: front, target: to, imp: imp, pairs: map[string]*relayPair{}}
	r.group.Go(r.serve)
	t.Cleanup(r.close)
	return r
}

// Addr is where publishers send to.
func (r *Relay) Addr() *net.UDPAddr { return r.front.LocalAddr().(*net.UDPAddr) }

func (r *Relay) serve() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := r.front.ReadFromUDP(b)
		if err != nil {
			return
		}
		if p := r.pair(from); p != nil {
			p.out.put(b[:n])
		}
	}
}

// pair finds or makes a publisher's way.
func (r *Relay) pair(from *net.UDPAddr) *relayPair {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pairs[from.String()]
	if p != nil {
		return p
	}
	back, err := net.DialUDP("udp", nil, r.target)
	if err != nil {
		return nil
	}
	there, here := r.imp, r.imp
	there.Seed, here.Seed = 2*r.imp.Seed, 2*r.imp.Seed+1
	p = &relayPair{back: back}
	p.out = newLine(&there, func(b []byte) { back.Write(b) })
	p.in = newLine(&here, func(b []byte) { r.front.WriteToUDP(b, from) })
	if r.hole {
		p.out.cut()
		p.in.cut()
	}
	r.pairs[from.String()] = p
	r.group.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, err := back.Read(b)
			if isClosed(err) {
				return
			}
			if err == nil { // else the node's port is closed for now
				p.in.put(b[:n])
			}
		}
	})
	return p
}

// Pull lets nothing through from now on, in both directions: the cable is pulled.
func (r *Relay) Pull() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hole = true
	for _, p := range r.pairs {
		p.out.cut()
		p.in.cut()
	}
}

// Lost is how many packets it has lost towards the node.
func (r *Relay) Lost() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pairs {
		n += p.out.Lost()
	}
	return n
}

func (r *Relay) close() {
	r.front.Close()
	r.mu.Lock()
	for _, p := range r.pairs {
		p.back.Close()
	}
	r.mu.Unlock()
	r.group.Wait()
	for _, p := range r.pairs {
		p.out.close()
		p.in.close()
	}
}
