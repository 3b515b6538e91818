package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// forget begins to count anew.
func (a *audience) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.parts)
	clear(a.playlists)
	clear(a.refused)
	a.ages = nil
	for _, v := range a.all {
		v.mu.Lock()
		v.stall = 0
		v.mu.Unlock()
	}
}

// hits is the share of part requests that the cache answered by itself.
func (a *audience) hits() (share float64, of int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.parts {
		of += n
	}
	return float64(a.parts["HIT"]) / float64(of), of
}

// trouble is what went wrong but for hints that did not hold.
func (a *audience) trouble() (n int, all string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, k := range sortedKeys(a.refused) {
		if k != "a hint did not hold" {
			n += a.refused[k]
		}
		fmt.Fprintf(&b, "%dx %s; ", a.refused[k], k)
	}
	return n, b.String()
}

// stalls is the longest time without news of any viewer.
func (a *audience) stalls() (d time.Duration) {
	for _, v := range a.all {
		v.mu.Lock()
		d = max(d, v.stall, time.Since(v.last))
		v.mu.Unlock()
	}
	return d
}

// onward waits until each viewer has got to a segment that is some further than anybody has now.
func (a *audience) onward(t *testing.T, segments int64) {
	t.Helper()
	to := int64(0)
	position := func(v *behind) [2]int64 {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.high
	}
	for _, v := range a.all {
		to = max(to, position(v)[0]+segments)
	}
	testkit.EventuallyWithin(t, sometime, fmt.Sprint("all viewers are at segment ", to), func() bool {
		for _, v := range a.all {
			if position(v)[0] < to {
				return false
			}
		}
		return true
	})
}

// lateness is by how much later all viewers had positions than one who asks a node.
func (a *audience) lateness(node *tour) (all []time.Duration) {
	node.mu.Lock()
	defer node.mu.Unlock()
	for _, v := range a.all {
		v.mu.Lock()
		for at, when := range v.first {
			if first, ok := node.arrived[fmt.Sprint(at[0], ".", at[1])]; ok {
				all = append(all, when.Sub(first))
			}
		}
		v.mu.Unlock()
	}
	slices.Sort(all)
	return all
}
