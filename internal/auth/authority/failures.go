package authority

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"pushcart/internal/auth"
)

// How many wrong secrets a network may try. The rate is far below what it takes to guess, and above what a venue full of encoders
// that ask first without a key makes.
const (
	// wrongBurst is how many it may try at once.
	wrongBurst = 20.0
	// wrongMost is how many count at most, of those that were under way at once: others behind the same address are let try again within
	// about a minute.
	wrongMost = 2 * wrongBurst
	// wrongEvery is how long it takes until it may try one more.
	wrongEvery = 3 * time.Second
	// keylessCost is what an attempt without a secret counts: clients of RTSP begin with one.
	keylessCost = 0.1
	// mostNetworks is how many networks are remembered.
	mostNetworks = 8192
	// mostSame is how many of a network's last wrong secrets are remembered: an encoder that tries the same one again and again guesses
	// nothing and must not shut out the others that are behind the same address.
	mostSame = 8
)

// failures limits by network how many different wrong secrets are tried.
type failures struct {
	mu       sync.Mutex // guards what follows
	networks *recent[netip.Addr, mistakes]
}

// mistakes are those of one network.
type mistakes struct {
	used float64 // of wrongBurst, at the time
	at   time.Time
	last []auth.Digest
}

func newFailures() *failures {
	return &failures{networks: newRecent[netip.Addr, mistakes](mostNetworks)}
}

// wait is how long a network has to wait until it may try again; 0 is none.
func (f *failures) wait(from netip.Addr, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.networks.get(from)
	if m == nil {
		return 0
	}
	m.age(now)
	if over := m.used - (wrongBurst - 1); over > 0 {
		return time.Duration(over * float64(wrongEvery))
	}
	return 0
}

// note counts an attempt that failed.
func (f *failures) note(from netip.Addr, attempt auth.Digest, cost float64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.networks.get(from)
	if m == nil {
		m = f.networks.put(from, mistakes{at: now})
	}
	m.age(now)
	if i := slices.Index(m.last, attempt); i >= 0 {
		m.last = append(slices.Delete(m.last, i, i+1), attempt)
		return
	}
	m.used = min(m.used+cost, wrongMost)
	if len(m.last) == mostSame {
		m.last = slices.Delete(m.last, 0, 1)
	}
	m.last = append(m.last, attempt)
}

// age gives back what time has.
func (m *mistakes) age(now time.Time) {
	if d := now.Sub(m.at); d > 0 {
		m.used = max(0, m.used-float64(d)/float64(wrongEvery))
	}
	m.at = now
}
