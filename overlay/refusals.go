package overlay

import (
	"sync"
	"time"
)

// refusalPace is how soon after one another views tell of commands that came in band and were refused: a publisher that
// sends many must not have every page of the studio drawn again for each.
const refusalPace = time.Second

// refusals counts commands that came in band and were refused, and keeps the last. It is for any goroutine.
type refusals struct {
	mu    sync.Mutex // guards what follows
	last  InBandRefusal
	fresh bool      // no view has told of the last one
	told  time.Time // when a view last told
}

// note counts a refusal and tells whether the clerk has to be woken for it.
func (r *refusals) note(at time.Time, source string, why *Refusal) (wake bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = InBandRefusal{At: at.UTC(), Source: source, Field: why.Field, Message: why.Message, Count: r.last.Count + 1}
	wake = !r.fresh
	r.fresh = true
	return wake
}

// due is when a view should tell of the last one; zero when one has.
func (r *refusals) due() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fresh {
		return time.Time{}
	}
	return r.told.Add(refusalPace)
}

// take tells whether it is time to publish a view for the last one.
func (r *refusals) take(now time.Time) bool {
	at := r.due()
	return !at.IsZero() && !now.Before(at)
}

// view returns the last one for a view that is published now; nil when there was none.
func (r *refusals) view(now time.Time) *InBandRefusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh {
		r.fresh, r.told = false, now
	}
	if r.last.Count == 0 {
		return nil
	}
	last := r.last
	return &last
}
