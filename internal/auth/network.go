package auth

import "net/netip"

// Network is by what peers are told apart where their number is limited: the address, and of IPv6 the network of 64 bits, since
// one host may have all of it.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
