package pull

import (
	"context"
	"errors"
	"time"

	"pushcart/ingest"
)

// Waits between attempts. Each is made longer by up to spread of it, so that the sources that a failed switch took away do
// not come back at the same moment.
const (
	firstWait   = time.Second
	longestWait = 30 * time.Second
	hopeless    = 5 * time.Minute // after a refusal that does not heal by itself
	spread      = 0.25
	// steady is how long a source is live until its failures before count no more.
	steady = time.Minute
)

// backOff is how long to wait after so many failures in a row before this one; random is from 0 to below 1.
func backOff(before int, random float64) time.Duration {
	wait := firstWait
	for range min(before, 10) {
		wait *= 2
	}
	return spreadOut(min(wait, longestWait), random)
}

// patience is how long to wait for somebody to mend what cannot heal.
func patience(random float64) time.Duration { return spreadOut(hopeless, random) }

func spreadOut(wait time.Duration, random float64) time.Duration {
	return wait + time.Duration(float64(wait)*spread*random)
}

// heals tells whether another attempt may go better than one that ended like this: not where the door does not take what
// the source sends, since the source or the settings have to change first.
func heals(err error) bool {
	var refusal *ingest.Refusal
	if !errors.As(err, &refusal) {
		return !errors.Is(err, errNoPuller)
	}
	switch refusal.Reason {
	case ingest.ReasonUnsupportedCodec, ingest.ReasonBadName, ingest.ReasonBadKey, ingest.ReasonNoKeys:
		return false
	}
	return true
}

// sleep waits, or until it is woken; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-woken:
		return true
	case <-ctx.Done():
		return false
	}
}
