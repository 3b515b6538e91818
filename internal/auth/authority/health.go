package authority

import (
	"sync"
	"time"
)

// health is whether the callback answers.
type health struct {
	mu     sync.Mutex // guards what follows
	failed int        // calls in a row
	last   time.Time  // when the last of them did
}

// change is what a call made of health.
type change int

const (
	noChange change = iota
	// faltered is the first failure after an answer.
	faltered
	wentDown
	cameBack
)

const (
	// enoughFailures in a row, and the callback is down.
	enoughFailures = 3
	// mostSilence is for how long after the last of them it counts as down.
	mostSilence = 10 * time.Second
)

// note takes the end of a call.
func (h *health) note(answered bool, now time.Time) change {
	h.mu.Lock()
	defer h.mu.Unlock()
	if answered {
		was := h.failed
		h.failed = 0
		if was >= enoughFailures {
			return cameBack
		}
		return noChange
	}
	h.failed++
	h.last = now
	switch h.failed {
	case 1:
		return faltered
	case enoughFailures:
		return wentDown
	}
	return noChange
}

// down tells that the callback is not worth waiting for.
func (h *health) down(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed >= enoughFailures && now.Sub(h.last) < mostSilence
}
