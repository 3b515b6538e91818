package ingest

import (
	"net/netip"

	"pushcart/internal/auth"
)

// Places counts the connections that are open, in all and by network. The zero value has none. Whoever holds it guards it.
type Places struct {
	open      int
	byNetwork map[netip.Addr]int
}

// Full says which limit leaves no place; the zero value is none.
type Full int

// The limits.
const (
	FullServer Full = iota + 1
	FullNetwork
)

// Take takes a place for a connection from an address, unless as many as may be are taken, in all or by its network.
func (p *Places) Take(from netip.Addr, most, mostOfNetwork int) Full {
	n := Network(from)
	switch {
	case p.open >= most:
		return FullServer
	case p.byNetwork[n] >= mostOfNetwork:
		return FullNetwork
	}
	if p.byNetwork == nil {
		p.byNetwork = map[netip.Addr]int{}
	}
	p.open++
	p.byNetwork[n]++
	return 0
}

// Leave gives a place back that was taken for the same address.
func (p *Places) Leave(from netip.Addr) {
	n := Network(from)
	p.open--
	if p.byNetwork[n]--; p.byNetwork[n] == 0 {
		delete(p.byNetwork, n)
	}
}

// Open is how many places are taken.
func (p *Places) Open() int { return p.open }

// Network is by what peers are told apart where their number is limited: the address, and of IPv6 the network of 64 bits, since
// one host may have all of it.
func Network(a netip.Addr) netip.Addr { return auth.Network(a) }
