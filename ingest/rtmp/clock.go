package rtmp

// Periods in ms at which timestamps wrap: 32 bits as specified, and 24 bits in encoders that know no extended
// timestamps.
const (
	wrap24     = 1 << 24
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
	if raw < wrap24 && c.raw < wrap24 {
		switch {
		case near(step, -wrap24):
			step += wrap24
		case near(step, wrap24):
			step -= wrap24
		}
	}
	return c.at + step
}

func near(v, to int64) bool { return v > to-wrapWindow && v < to+wrapWindow }
