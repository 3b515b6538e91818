package timed

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MostRing is how many keys a Ring holds: its own, and those of so many other nodes that a cluster never has them.
const MostRing = maxKeys

// Ring is the keys of a node and those that it has learnt of others, whose states it gives to viewers: whoever plays a stream here,
// now or later, finds the key of the node that signed it. Its methods are for any goroutine. Make one with NewRing.
type Ring struct {
	own PublicKeys

	mu     sync.RWMutex // guards what follows
	learnt []publicKey  // the one that was told of last at the end
	set    []byte       // own and learnt as a key set
}

// NewRing makes a ring that has learnt nothing yet.
func NewRing(own PublicKeys) *Ring { return &Ring{own: own, set: own.JWKS()} }

// Learn takes the keys of another node's key set (RFC 7517). Those that were not told of for longest go where there are too many; the
// node's own always stay. Its error is that of ParseJWKS, and then nothing is taken.
func (r *Ring) Learn(jwks []byte) error {
	theirs, err := ParseJWKS(jwks)
	if err != nil {
		return fmt.Errorf("learn another node's keys: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	others := false
	for _, k := range theirs.list {
		if r.own.find(k.id) != nil {
			continue
		}
		i := slices.IndexFunc(r.learnt, func(o publicKey) bool { return o.id == k.id })
		if others = others || i < 0; i >= 0 {
			r.learnt = slices.Delete(r.learnt, i, i+1)
		}
		r.learnt = append(r.learnt, k)
	}
	if most := max(MostRing-len(r.own.list), 0); len(r.learnt) > most {
		r.learnt = slices.Delete(r.learnt, 0, len(r.learnt)-most)
	}
	if others {
		r.set = r.keysLocked().JWKS()
	}
	return nil
}

// keysLocked returns all keys: the node's own, then the others by their identifiers, so that the same keys make the same set.
func (r *Ring) keysLocked() PublicKeys {
	others := slices.SortedFunc(slices.Values(r.learnt), func(a, b publicKey) int { return strings.Compare(a.id, b.id) })
	return PublicKeys{list: slices.Concat(r.own.list, others)}
}

// Keys returns all keys.
func (r *Ring) Keys() PublicKeys {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keysLocked()
}

// JWKS is all keys as a JWK set, which must not be changed. It is the same bytes until a key comes that was not there.
func (r *Ring) JWKS() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.set
}
