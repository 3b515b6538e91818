package front

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func addr(s string) netip.Addr { return bare(netip.MustParseAddr(s)) }

// TestPlaces: the limits in all and of an address, of which an IPv6 host has a network of 64 bits.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := &policy{Settings: Settings{MaxConnections: 10, MaxConnectionsPerAddress: 3}, networks: networks("10.0.0.0/8")}
	var s places
	take := func(a string, want refusal) {
		t.Helper()
		if got := s.take(addr(a), p, false); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	for i := range 3 {
		take(fmt.Sprintf("2001:db8:0:1:%x::1", i+1), 0)
	}
	take("2001:db8:0:1:ffff::9%eth0", tooManyOfAddress)
	take("2001:db8:0:2::1", 0)
	take("198.51.100.1", 0)
	take("::ffff:198.51.100.1", 0)
	take("198.51.100.1", 0)
	take("198.51.100.1", tooManyOfAddress)
	take("198.51.100.2", 0)
	s.leave(addr("2001:db8:0:1:5::77")) // of the same network
	take("2001:db8:0:1::3", 0)
	// A trusted proxy has no limit of its own, but there is one in all.
	take("10.0.0.1", 0)
	take("10.0.0.1", 0)
	take("10.0.0.1", tooMany)
	take("198.51.100.3", tooMany)
	if open, _ := s.counts(); open != 10 {
		t.Errorf("%d are open", open)
	}
	for range 3 {
		s.leave(addr("2001:db8:0:1::"))
		s.leave(addr("198.51.100.1"))
	}
	s.leave(addr("2001:db8:0:2::5"))
	s.leave(addr("198.51.100.2"))
	s.leave(addr("10.0.0.1"))
	s.leave(addr("10.0.0.1"))
	if open, shaking := s.counts(); open != 0 || shaking != 0 || len(s.networks) != 0 {
		t.Errorf("%d are open, %d in handshakes, of %d networks", open, shaking, len(s.networks))
	}
}

// TestPlacesHandshakes: a quarter of the places, in all and of an address, may be in their handshake.
func TestPlacesHandshakes(t *testing.T) {
	t.Parallel()
	p := &policy{Settings: Settings{MaxConnections: 400, MaxConnectionsPerAddress: 100}, networks: networks("10.0.0.0/8")}
	var s places
	from := addr("198.51.100.1")
	for i := range 25 {
		if why := s.take(from, p, true); why != 0 {
			t.Fatalf("%d: %v", i, why)
		}
	}
	if why := s.take(from, p, true); why != tooManyHandshakes {
		t.Errorf("%v", why)
	}
	if why := s.take(from, p, false); why != 0 {
		t.Errorf("in clear text: %v", why)
	}
	s.handshaken(from)
	if why := s.take(from, p, true); why != 0 {
		t.Errorf("behind one that is over: %v", why)
	}
	proxy := addr("10.0.0.1")
	for i := range 75 {
		if why := s.take(proxy, p, true); why != 0 {
			t.Fatalf("proxy %d: %v", i, why)
		}
	}
	if why := s.take(proxy, p, true); why != tooManyHandshakes {
		t.Errorf("in all: %v", why)
	}
}

// TestPlacesNoLimit: 0 is none.
func TestPlacesNoLimit(t *testing.T) {
	t.Parallel()
	var s places
	for range 1000 {
		if why := s.take(addr("198.51.100.1"), &policy{}, true); why != 0 {
			t.Fatal(why)
		}
	}
}

// TestPlacesBalance: whatever comes and goes at once, nothing is left behind.
func TestPlacesBalance(t *testing.T) {
	t.Parallel()
	p := &policy{Settings: Settings{MaxConnections: 40, MaxConnectionsPerAddress: 10}}
	var s places
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			from := addr(fmt.Sprintf("198.51.100.%d", i%5))
			for j := range 200 {
				if s.take(from, p, j%2 == 0) != 0 {
					continue
				}
				if j%2 == 0 {
					s.handshaken(from)
				}
				s.leave(from)
			}
		})
	}
	all.Wait()
	if open, shaking := s.counts(); open != 0 || shaking != 0 || len(s.networks) != 0 {
		t.Errorf("%d are open, %d in handshakes, of %d networks", open, shaking, len(s.networks))
	}
}
