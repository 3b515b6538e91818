package overlay

import "time"

// Bounds on idempotency keys that are remembered.
const (
	mostKeys = 10000
	keyAge   = 24 * time.Hour
)

// keyring remembers the idempotency keys of commands that were carried out, and what was answered. It is the clerk's.
type keyring struct {
	byKey map[string]*keyRecord
	queue []*keyRecord // oldest first; byKey may have a newer one of the same key
}

// find returns what is remembered of a key; nil when nothing is any more.
func (r *keyring) find(key string, now time.Time) *keyRecord {
	k := r.byKey[key]
	if k == nil || now.Sub(fromMillis(k.At)) >= keyAge {
		return nil
	}
	return k
}

// add remembers a key and forgets the oldest beyond the bound.
func (r *keyring) add(k *keyRecord) {
	if r.byKey == nil {
		r.byKey = map[string]*keyRecord{}
	}
	r.byKey[k.Key] = k
	r.queue = append(r.queue, k)
	for len(r.queue) > mostKeys {
		r.drop()
	}
}

// expire forgets what is too old.
func (r *keyring) expire(now time.Time) {
	for len(r.queue) > 0 && now.Sub(fromMillis(r.queue[0].At)) >= keyAge {
		r.drop()
	}
}

func (r *keyring) drop() {
	k := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	if r.byKey[k.Key] == k {
		delete(r.byKey, k.Key)
	}
}
