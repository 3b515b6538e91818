package whip

import (
	"testing"
	"time"
)

// TestKeyframes: requests come as often as segments need, ahead by what they take, and not when the encoder sends key frames
// by itself.
func TestKeyframes(t *testing.T) {
	t.Parallel()
	start := time.Unix(1e9, 0)
	simulate := func(own time.Duration, delay time.Duration, length time.Duration) (asked int, gaps []time.Duration) {
		k := &keyframes{interval: func() time.Duration { return 2 * time.Second }, delay: firstKeyDelay}
		k.came(start)
		last := start
		var due time.Time
		for now := start; now.Before(start.Add(length)); now = now.Add(10 * time.Millisecond) {
			if k.reason(now, false, false) != "" {
				k.asked, k.pending = now, true
				asked++
				due = now.Add(delay)
			}
			if own > 0 && now.Sub(last) >= own || !due.IsZero() && !now.Before(due) {
				gaps = append(gaps, now.Sub(last))
				k.came(now)
				last, due = now, time.Time{}
			}
		}
		return asked, gaps
	}
	if asked, _ := simulate(time.Second, 100*time.Millisecond, time.Minute); asked != 0 {
		t.Errorf("asked %d times an encoder that sends key frames by itself", asked)
	}
	for _, delay := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
		asked, gaps := simulate(0, delay, time.Minute)
		if asked < 29 || asked > 33 {
			t.Errorf("asked %d times in a minute", asked)
		}
		for i, g := range gaps {
			if g < 1750*time.Millisecond || g > 2*time.Second && i > 5 {
				t.Errorf("with %v of delay, gap %d is %v", delay, i, g)
			}
		}
	}
	k := &keyframes{interval: func() time.Duration { return 0 }}
	k.came(start)
	if why := k.reason(start.Add(time.Millisecond), false, true); why != keyLoss {
		t.Errorf("after a loss: %q", why)
	}
	k.asked = start
	if why := k.reason(start.Add(keyEvery-1), false, true); why != "" {
		t.Errorf("asked again at once: %q", why)
	}
	if why := k.reason(start.Add(keyEvery), true, true); why != keyStart {
		t.Errorf("without a key frame: %q", why)
	}
}
