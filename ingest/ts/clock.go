package ts

// Timestamps count 1/90,000 s in 33 bits: they wrap every 26.5 hours (ISO/IEC 13818-1 2.4.3.7).
const clockPeriod = int64(1) << 33

// clock turns the timestamps of a program into ones that do not wrap. All streams of a program share its clock, so any of
// them leads the others over the wrap. The PCR is not asked: it runs with the timestamps when it is right, and some encoders
// send it wrong. After a jump of the clock the result is the nearest one, which is no nearer to the truth than any other; the
// door begins a new era there.
type clock struct {
	last int64
	set  bool
}

// unwrap finds the time nearest to the last one. What it returns is more than 0.
func (c *clock) unwrap(v int64) int64 {
	if !c.set {
		return v + clockPeriod
	}
	d := (v - c.last) & (clockPeriod - 1)
	if d >= clockPeriod/2 {
		d -= clockPeriod
	}
	if c.last+d <= 0 {
		d += clockPeriod
	}
	return c.last + d
}

// follow unwraps a time that the next ones are near to.
func (c *clock) follow(v int64) int64 {
	c.last = c.unwrap(v)
	c.set = true
	return c.last
}
