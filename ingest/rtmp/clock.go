package rtmp

// Periods in ms at which timestamps wrap besides the 32 bits that are specified: 24 bits in encoders that know no
// extended timestamps, and 31 in those that keep FLV's signed ones, as OBS and ffmpeg do.
const (
	wrap24     = 1 << 24
	wrap31     = 1 << 31
	wrapWindow = 60_000 // how far from a whole period a step may be and still be a wrap
)

// clock unwraps a connection's timestamps. One clock serves all tracks, as in RTMP, so that a wrap is one for all even
// when the tracks reach it one after the other.
type clock struct {
	started bool
	raw     uint32
	at      int64
}

// media places a frame's timestamp, in ms.
func (c *clock) media(raw uint32) int64 {
	c.at, c.raw, c.started = c.peek(raw), raw, true
	return c.at
}

// peek places a timestamp without taking it for the time reached: those of data messages are often zero.
func (c *clock) peek(raw uint32) int64 {
	if !c.started {
		return int64(raw)
	}
	step := int64(int32(raw - c.raw))
	for _, period := range [...]int64{wrap24, wrap31} {
		if int64(raw) >= period || int64(c.raw) >= period {
			continue
		}
		switch {
		case near(step, -period):
			return c.at + step + period
		case near(step, period):
			return c.at + step - period
		}
	}
	return c.at + step
}

func near(v, to int64) bool { return v > to-wrapWindow && v < to+wrapWindow }
