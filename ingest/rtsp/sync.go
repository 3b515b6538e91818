package rtsp

import (
	"math"
	"time"
)

// Bounds of aligning tracks.
const (
	// maxSkew is how far the tracks' sender reports may put them apart from their arrival and be believed.
	maxSkew = 10 * time.Second
	// deadband is the misalignment that is left alone: sender reports are not more precise, and nobody sees it.
	deadband = 5 * time.Millisecond
	// steady is how far a sender report may differ from what the one before it foretold. One that differs by more counts when
	// the next one agrees: the sender's clock was set, and its tracks' reports tell so one after the other.
	steady = 200 * time.Millisecond
	// farReport is how far a report's RTP time may lie from the media's.
	farReport = time.Minute
	// slowest is the part of a track's time by which it is moved at most to meet the others; a misalignment that would last
	// for longer than slewTime like that is moved faster.
	slowest  = 50
	slewTime = 20 * time.Second
	// origin is where a session's time begins, so that a track whose media began earlier than the first's is not below zero.
	origin = 10 * time.Second
)

// timing gives the tracks of a session their time.
//
// The session's time is that of one track, the anchor, whose RTP clock runs on undisturbed; so the timeline as a whole never
// jumps, whatever sender reports say. The other tracks get their place from the reports of both (RFC 3550 6.4.1), or, as long
// as these are missing, from the packets' arrival. What the reports say of the distance later on, another hardware clock's
// drift or a first guess that was wrong, is made good little by little, at most a fiftieth of the time that passes, and
// within slewTime in any case.
//
// gortsplib's own decoder knows arrival only, and its PacketNTP takes the fraction of an NTP timestamp for nanoseconds, which
// is wrong by up to 3.3 s.
//
// It is pure: time comes in with packets and reports.
type timing struct {
	anchor *clock
}

// clock is one track's.
type clock struct {
	rate int

	started bool
	raw     uint32
	ticks   int64 // raw, unwrapped

	placed   bool
	offset   int64 // the session's time less ticks, in ticks
	arrived  time.Time
	reached  int64 // highest ticks that a unit had
	owed     int64 // ticks by which offset is still to move
	slew     float64
	report   reference
	unproven reference
}

// reference is what a sender report says: an instant of capture and the RTP time at it. The zero value is none.
type reference struct {
	wall  time.Time
	ticks int64
}

func (r reference) known() bool { return !r.wall.IsZero() }

// at is the instant of capture at a time in ticks.
func (r reference) at(ticks int64, rate int) time.Time {
	return r.wall.Add(span(ticks-r.ticks, rate))
}

// span is what a number of ticks lasts.
func span(ticks int64, rate int) time.Duration {
	whole, rest := ticks/int64(rate), ticks%int64(rate)
	if whole > math.MaxInt64/int64(2*time.Second) || whole < math.MinInt64/int64(2*time.Second) {
		return 0
	}
	return time.Duration(whole)*time.Second + time.Duration(rest*int64(time.Second)/int64(rate))
}

// inTicks is the number of ticks nearest to a time span.
func inTicks(d time.Duration, rate int) int64 {
	return int64(math.Round(d.Seconds() * float64(rate)))
}

// unwrap makes an RTP timestamp one of 64 bits: the nearest to the last.
func (c *clock) unwrap(raw uint32) int64 {
	if !c.started {
		return int64(raw)
	}
	return c.ticks + int64(int32(raw-c.raw))
}

// advance takes a packet's timestamp for the time reached. A sender whose timestamps begin anew makes another report true.
func (c *clock) advance(raw uint32) int64 {
	before := c.ticks
	c.ticks = c.unwrap(raw)
	if d := span(c.ticks-before, c.rate); c.started && (d > farReport || d < -farReport) {
		c.report, c.unproven = reference{}, reference{}
	}
	c.raw, c.started = raw, true
	return c.ticks
}

// wall is the time of capture, zero when it is not known.
func (c *clock) wall(ticks int64) time.Time {
	if !c.report.known() {
		return time.Time{}
	}
	return c.report.at(ticks, c.rate)
}

// time places a unit on the session's time, in ticks of the track's rate. now is when it arrived.
func (t *timing) time(c *clock, ticks int64, now time.Time) int64 {
	if t.anchor == nil {
		t.anchor = c
		c.offset, c.placed = inTicks(origin, c.rate)-ticks, true
	}
	if !c.placed {
		c.offset, c.placed = t.place(c, ticks, now)-ticks, true
		c.reached = ticks
	}
	if passed := ticks - c.reached; passed > 0 {
		c.reached = ticks
		if most := int64(c.slew * float64(passed)); c.owed > 0 {
			step := min(c.owed, most)
			c.offset, c.owed = c.offset+step, c.owed-step
		} else if c.owed < 0 {
			step := min(-c.owed, most)
			c.offset, c.owed = c.offset-step, c.owed+step
		}
	}
	c.arrived = now
	return ticks + c.offset
}

// place finds where a track begins.
func (t *timing) place(c *clock, ticks int64, now time.Time) int64 {
	a := t.anchor
	byArrival := span(a.reached+a.offset, a.rate) + now.Sub(a.arrived)
	if want, ok := t.aligned(c, ticks); ok {
		if off := want - byArrival; off > -maxSkew && off < maxSkew {
			return inTicks(want, c.rate)
		}
	}
	return inTicks(byArrival, c.rate)
}

// aligned is where the reports put a track's time on the session's.
func (t *timing) aligned(c *clock, ticks int64) (time.Duration, bool) {
	a := t.anchor
	if a == nil || !a.report.known() || !c.report.known() {
		return 0, false
	}
	return span(a.report.ticks+a.offset, a.rate) + c.wall(ticks).Sub(a.report.wall), true
}

// reported takes a sender report; false when it is not believed.
func (t *timing) reported(c *clock, wall time.Time, raw uint32, tracks []*clock) bool {
	r := reference{wall: wall, ticks: c.unwrap(raw)}
	if !c.started {
		c.advance(raw) // what comes first is near it, unless the report is wrong
	} else if d := span(r.ticks-c.ticks, c.rate); d > farReport || d < -farReport {
		return false
	}
	if c.report.known() && !agree(c.report, r, c.rate) {
		if !c.unproven.known() || !agree(c.unproven, r, c.rate) {
			c.unproven = r
			return false
		}
	}
	c.report, c.unproven = r, reference{}
	for _, o := range tracks {
		if o != t.anchor && (c == o || c == t.anchor) {
			t.correct(o)
		}
	}
	return true
}

func agree(a, b reference, rate int) bool {
	d := b.wall.Sub(a.at(b.ticks, rate))
	return d > -steady && d < steady
}

// correct sets out to make good what a track's place is off by.
func (t *timing) correct(c *clock) {
	if !c.placed {
		return
	}
	want, ok := t.aligned(c, c.reached)
	if !ok {
		return
	}
	off := want - span(c.reached+c.offset, c.rate)
	if off >= maxSkew || off <= -maxSkew || off < deadband && off > -deadband {
		c.owed = 0
		return
	}
	c.owed = inTicks(off, c.rate)
	c.slew = max(1./slowest, math.Abs(off.Seconds())/slewTime.Seconds())
}

// fromNTP reads an NTP timestamp: seconds since 1900 and their fraction in 1/2^32 (RFC 3550 4). Those with the highest bit
// unset are taken for times since February 2036 (RFC 5905 6).
func fromNTP(v uint64) time.Time {
	const since1900 = 2208988800
	seconds := int64(v>>32) - since1900
	if v>>63 == 0 {
		seconds += 1 << 32
	}
	return time.Unix(seconds, int64((v&math.MaxUint32)*uint64(time.Second)>>32))
}
