package feed

import "time"

const (
	// codecDataTimeout is how long video may come without its codec data, where these come before the first picture.
	codecDataTimeout = 5 * time.Second
	// keyTimeout is how long video may go on without the key frame that it needs after damage or new codec data, and
	// how long codec data may take that come with key frames.
	keyTimeout = 30 * time.Second
	// changesAtOnce is how many changes of codec data may come in a burst; after that, one a second.
	changesAtOnce = 16
	// largestUnit is the size in bytes of the largest access unit taken.
	largestUnit = 8 << 20
	// mostUnits is how many NAL units or OBUs an access unit may have: slices of a macroblock row, and what comes with them.
	mostUnits = 4096
	// LargestMessage is the size in bytes of the longest message taken that is no media.
	LargestMessage = 16 << 10
	// mostMessages is how many messages may come in a second, those within pictures included; as many may come at once.
	mostMessages = 200
)

// Meter lets something happen at a rate on average, and a number of times at once. The zero value has seen nothing.
type Meter struct {
	level float64 // times that it happened, less what the rate has allowed since
	at    time.Time
}

// Take tells whether it may happen now, rate being times a second, and counts it then.
func (m *Meter) Take(now time.Time, rate, atOnce float64) bool {
	m.level = max(0, m.level-now.Sub(m.at).Seconds()*rate)
	m.at = now
	if m.level+1 > atOnce {
		return false
	}
	m.level++
	return true
}

// wait measures how long something has lasted, by media time and by the clock: media may come faster or slower than
// time passes. The zero value has not begun.
type wait struct {
	begun  bool
	high   int64 // the latest media time, 1/90,000 s: pictures may come in another order than they are shown
	lasted int64 // by media time; a jump of its clock does not count
	since  time.Time
}

// over begins a wait, or tells whether it has lasted for limit by either measure.
func (w *wait) over(at90k int64, now time.Time, limit time.Duration) bool {
	step := at90k - w.high
	switch {
	case !w.begun:
		w.begun, w.since, w.high = true, now, at90k
	case step > orderAhead || step < -orderAhead:
		w.high = at90k
	case step > 0:
		w.high += step
		w.lasted += step
	}
	return w.lasted/90 >= limit.Milliseconds() || now.Sub(w.since) >= limit
}
