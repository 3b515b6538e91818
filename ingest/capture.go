package ingest

import (
	"time"

	"pushcart/internal/stream"
)

// Bounds of a time of capture against the clock: media take some time to arrive, and clocks are apart a little.
const (
	captureBehind = 10 * time.Second
	captureAhead  = 2 * time.Second
	// captureDoubt is for how long capture times must have been out of bounds for the publisher's clock to be wrong; before, media
	// may have been held up on the way.
	captureDoubt = 5 * time.Second
)

// captureClock checks a publisher's times of capture. One that cannot be true is left out, so that the time of arrival takes
// its place; once the clock is known to be wrong, all are, since dates that change between two clocks are worse than late ones.
type captureClock struct {
	doubted time.Time // since when they are out of bounds; zero when they are not
	wrong   bool
}

// check looks at a frame that came at a time. wrong is told once, with how far the publisher's clock is ahead.
func (c *captureClock) check(f *stream.Frame, now time.Time) (ahead time.Duration, wrong bool) {
	if f.Wall.IsZero() {
		return 0, false
	}
	ahead = f.Wall.Sub(now)
	if c.wrong {
		f.Wall = time.Time{}
		return 0, false
	}
	if ahead >= -captureBehind && ahead <= captureAhead {
		c.doubted = time.Time{}
		return 0, false
	}
	f.Wall = time.Time{}
	if c.doubted.IsZero() {
		c.doubted = now
	}
	c.wrong = now.Sub(c.doubted) >= captureDoubt
	return ahead, c.wrong
}
