package load

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	subBits = 6 // buckets within each power of two, so that a value is known to 1.6 %
	minBits = 10
	maxBits = 42 // over an hour, in ns
	buckets = (maxBits - minBits + 1) << subBits
)

// histogram counts durations in buckets. It may be added to by any goroutine; its zero value is empty.
type histogram struct {
	counts [buckets]atomic.Int64
	n      atomic.Int64
	most   atomic.Int64
}

// add counts a duration; a negative one counts as 0.
func (h *histogram) add(d time.Duration) {
	d = max(0, d)
	h.counts[bucketOf(d)].Add(1)
	h.n.Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// signed counts durations that may be negative. It may be added to by any goroutine; its zero value is empty.
type signed struct{ under, over histogram }

func (s *signed) add(d time.Duration) {
	if d < 0 {
		s.under.add(-d)
		return
	}
	s.over.add(d)
}

// delay sums it up; its maximum is the one that is furthest above.
func (s *signed) delay() Delay {
	under, over := s.under.n.Load(), s.over.n.Load()
	n := under + over
	d := Delay{Count: n, P50: s.quantile(0.5), P99: s.quantile(0.99), Max: time.Duration(s.over.most.Load())}
	if over == 0 {
		d.Max = s.quantile(1)
	}
	return d
}

// quantile returns a duration that the given share of all is not above, and 0 of none.
func (s *signed) quantile(q float64) time.Duration {
	under, over := float64(s.under.n.Load()), float64(s.over.n.Load())
	rank := max(1, math.Ceil(q*(under+over)))
	if rank > under {
		return s.over.quantile((rank - under) / max(1, over))
	}
	// The least of those under 0 are the largest of what is counted there.
	return -s.under.quantile((under - rank + 1) / under)
}

// bucketOf numbers the buckets: durations below 2^minBits ns share the first ones.
func bucketOf(d time.Duration) int {
	v := uint64(d)
	n := bits.Len64(v)
	if n <= minBits {
		return int(v >> (minBits - subBits))
	}
	if n > maxBits {
		return buckets - 1
	}
	return (n-minBits)<<subBits | int(v>>(n-1-subBits))&(1<<subBits-1)
}

// valueOf is the middle of a bucket.
func valueOf(i int) time.Duration {
	power, sub := i>>subBits, i&(1<<subBits-1)
	if power == 0 {
		return time.Duration(sub)<<(minBits-subBits) + 1<<(minBits-subBits-1)
	}
	shift := power + minBits - 1 - subBits
	return time.Duration(1<<subBits|sub)<<shift + 1<<shift/2
}

// quantile returns a duration that the given share of all is not above, and 0 of none.
func (h *histogram) quantile(q float64) time.Duration {
	n := h.n.Load()
	rank := int64(q*float64(n) + 0.999999)
	seen := int64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= max(1, rank) {
			return min(valueOf(i), time.Duration(h.most.Load()))
		}
	}
	return 0
}
