package playback

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of counting viewers.
const (
	// viewerStays is how long a viewer keeps its place without asking for a playlist: longer than a node holds such a request while
	// a publisher is away, at the usual lengths of segments.
	viewerStays = 30 * time.Second
	// mostAudiences is how many tokens with a limit are counted, mostViewers how many viewers of all of them.
	mostAudiences = 10_000
	mostViewers   = 500_000
	// sweepEvery is how often it is looked for those who have gone.
	sweepEvery = time.Second
)

// viewers counts who uses tokens that have a limit. A viewer is an address and a program (User-Agent): people who share both, behind
// one router, are one, and one who comes from another network is two until the first place is given up. Each node counts its own,
// and each token is counted by itself, whatever stream it is for.
type viewers struct {
	seed  maphash.Seed
	total atomic.Int64

	mu      sync.Mutex // guards what follows
	byToken map[string]*audience
	swept   time.Time
}

// audience is who uses a token.
type audience struct {
	last atomic.Int64 // when anybody did; Unix time in ns

	mu    sync.Mutex       // guards what follows
	at    map[uint64]int64 // who has a place, and when they asked last; Unix time in ns
	swept int64
	// forgotten tells that it is counted no more: the next one who comes begins another.
	forgotten bool
}

func newViewers() *viewers {
	return &viewers{seed: maphash.MakeSeed(), byToken: map[string]*audience{}}
}

// who is a viewer.
func (v *viewers) who(address, program string) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	h.WriteString(address)
	h.WriteByte(0)
	h.WriteString(program)
	return h.Sum64()
}

// admit gives a viewer a place, or lets it keep the one that it has; false when all are taken. counted is false when there are too
// many tokens, or viewers, to count: then everybody is let in.
func (v *viewers) admit(token string, limit int, who uint64, now time.Time) (in, counted bool) {
	a := v.audience(token, now)
	if a == nil {
		return true, false
	}
	at := now.UnixNano()
	a.last.Store(at)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.forgotten { // between the two lines above, after nobody had come for long
		return true, false
	}
	if _, there := a.at[who]; there {
		a.at[who] = at
		return true, true
	}
	if len(a.at) >= limit || at-a.swept >= int64(viewerStays) {
		v.sweepLocked(a, at)
	}
	switch {
	case len(a.at) >= limit:
		return false, true
	case v.total.Load() >= mostViewers:
		return true, false
	}
	a.at[who] = at
	v.total.Add(1)
	return true, true
}

// audience returns that of a token; nil when there are too many.
func (v *viewers) audience(token string, now time.Time) *audience {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := v.byToken[token]; a != nil {
		return a
	}
	if now.Sub(v.swept) >= sweepEvery {
		v.swept = now
		for t, a := range v.byToken {
			if now.UnixNano()-a.last.Load() >= int64(viewerStays) {
				a.mu.Lock()
				v.total.Add(-int64(len(a.at)))
				clear(a.at)
				a.forgotten = true
				a.mu.Unlock()
				delete(v.byToken, t)
			}
		}
	}
	if len(v.byToken) >= mostAudiences {
		return nil
	}
	a := &audience{at: map[uint64]int64{}}
	a.last.Store(now.UnixNano())
	v.byToken[strings.Clone(token)] = a
	return a
}

// sweepLocked forgets who has gone, once in a while.
func (v *viewers) sweepLocked(a *audience, now int64) {
	if now-a.swept < int64(sweepEvery) {
		return
	}
	a.swept = now
	for who, at := range a.at {
		if now-at >= int64(viewerStays) {
			delete(a.at, who)
			v.total.Add(-1)
		}
	}
}
