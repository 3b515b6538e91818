package e2e

import (
	"math"
	"testing"
	"time"
)

// TestSoakGrowth tells growth from noise: a leak of a goroutine every two seconds is seen through the coming and going of a hundred.
func TestSoakGrowth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leak float64 // goroutines a second
		want float64 // over 300 s
	}{"steady": {0, 0}, "leak": {0.5, 150}, "shrinks": {-0.2, -60}} {
		var all []sample
		for i := range 61 {
			at := time.Duration(i) * 5 * time.Second
			noise := 50 * math.Sin(float64(i)*2.4)
			all = append(all, sample{at: at, goroutines: 200 + noise + c.leak*at.Seconds()})
		}
		if got := growth(all, func(s sample) float64 { return s.goroutines }); math.Abs(got-c.want) > soakTrendGoroutines/2 {
			t.Errorf("%s: growth by %.0f, want %.0f", name, got, c.want)
		}
	}
	if got := growth(make([]sample, 2), func(s sample) float64 { return s.heap }); got != 0 {
		t.Errorf("two samples grow by %v", got)
	}
}
