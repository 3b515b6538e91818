package authority

import (
	"net/netip"
	"sync"
	"time"

	"pushcart/internal/auth"
)

// Bounds of what is remembered of the callback's answers.
const (
	// mostAllowed is how many publishers that were let in are remembered, besides those that are in.
	mostAllowed = 16384
	// mostDenied is how many that were not. They have a table of their own: strangers must not make the node forget its publishers.
	mostDenied = 4096
	// denialCache is the longest that a refusal holds: a key that was just made must work in a moment.
	denialCache = 5 * time.Second
	// atLeast is how long every answer holds for an attempt from the same address, since protocols may ask twice for one publisher: to
	// know whether it is to be asked for its key, and to let it in.
	atLeast = 2 * time.Second
)

// verdict is what the callback, or its silence, means for an attempt.
type verdict struct {
	grant  auth.Grant
	denied *auth.Denied // nil is let in
}

// verdicts remembers what the callback said, by the digest of stream and secret.
type verdicts struct {
	mu      sync.Mutex // guards what follows
	of      string     // whose they are: the callback's URL
	allowed *recent[auth.Digest, allowance]
	denied  *recent[auth.Digest, denial]
}

// allowance is of a publisher that was let in.
type allowance struct {
	grant auth.Grant
	until time.Time  // the answer need not be asked for again before
	known time.Time  // when it was last let in by the callback, or was last in
	by    netip.Addr // who made the node ask
	asked time.Time
	live  int // how many publications there are with it
}

// denial is of one that was not.
type denial struct {
	denied *auth.Denied
	until  time.Time
	by     netip.Addr
	asked  time.Time
}

func newVerdicts() *verdicts {
	v := &verdicts{}
	v.clearLocked("")
	return v
}

func (v *verdicts) clearLocked(of string) {
	v.of = of
	v.allowed, v.denied = newRecent[auth.Digest, allowance](mostAllowed), newRecent[auth.Digest, denial](mostDenied)
	v.allowed.pinned = func(a *allowance) bool { return a.live > 0 }
}

// turnTo forgets everything if another callback is asked from now on.
func (v *verdicts) turnTo(url string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != url {
		v.clearLocked(url)
	}
}

// fresh finds a verdict that still holds.
func (v *verdicts) fresh(id auth.Digest, by netip.Addr, now time.Time) (verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	// A denial is in the way of an allowance only while it is fresh itself: it may be that nobody could be asked.
	if d := v.denied.get(id); d != nil && (now.Before(d.until) || d.by == by && now.Before(d.asked.Add(atLeast))) {
		return verdict{denied: d.denied}, true
	}
	if a := v.allowed.get(id); a != nil && (now.Before(a.until) || a.by == by && now.Before(a.asked.Add(atLeast))) {
		return verdict{grant: a.grant}, true
	}
	return verdict{}, false
}

// known finds whom the callback let in, or who was in, within a time.
func (v *verdicts) known(id auth.Digest, grace time.Duration, now time.Time) (auth.Grant, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.allowed.get(id)
	if a == nil || a.live == 0 && now.Sub(a.known) > grace {
		return auth.Grant{}, false
	}
	return a.grant, true
}

// allow remembers an answer.
func (v *verdicts) allow(of string, id auth.Digest, g auth.Grant, cache time.Duration, by netip.Addr, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != of {
		return // of a callback that is asked no more
	}
	v.denied.drop(id)
	a := v.allowed.get(id)
	if a == nil {
		a = v.allowed.put(id, allowance{})
	}
	a.grant, a.until, a.known, a.by, a.asked = g, now.Add(cache), now, by, now
}

// deny remembers a refusal, and forgets that the publisher was ever let in.
func (v *verdicts) deny(of string, id auth.Digest, d *auth.Denied, cache time.Duration, by netip.Addr, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != of {
		return
	}
	v.allowed.drop(id)
	v.denied.put(id, denial{denied: d, until: now.Add(min(cache, denialCache)), by: by, asked: now})
}

// unanswered remembers for a moment that nobody could be asked; who is known stays so.
func (v *verdicts) unanswered(of string, id auth.Digest, d *auth.Denied, by netip.Addr, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == of && v.allowed.get(id) == nil {
		v.denied.put(id, denial{denied: d, until: now, by: by, asked: now})
	}
}

// hold tells that a publisher is in, until left is called.
func (v *verdicts) hold(id auth.Digest, now func() time.Time) (left func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.allowed.get(id)
	if a == nil {
		return func() {}
	}
	table := v.allowed
	a.live++
	return func() {
		at := now()
		v.mu.Lock()
		defer v.mu.Unlock()
		// It is gone from the table when the callback has refused it meanwhile; another one then is not it.
		if v.allowed == table && v.allowed.get(id) == a {
			a.live--
			a.known = at
		}
	}
}
