package whip

import (
	"errors"
	"time"
)

var errPadding = errors.New("padding that does not fit")

// ntpEpoch is 1970 in seconds since 1900, in which NTP counts.
const ntpEpoch = 2208988800

// unixOfNTP turns an NTP time stamp (RFC 5905 6) into ns since 1970. After 2036 its seconds begin anew.
func unixOfNTP(ntp uint64) int64 {
	seconds := int64(ntp>>32) - ntpEpoch
	if seconds < 0 {
		seconds += 1 << 32
	}
	return seconds*int64(time.Second) + int64(ntp&0xffffffff*uint64(time.Second)>>32)
}

// scale turns ticks of a rate into ns.
func scale(ticks int64, rate int) int64 {
	return ticks/int64(rate)*int64(time.Second) + ticks%int64(rate)*int64(time.Second)/int64(rate)
}

// ticks turns ns into ticks of a rate.
func ticks(ns int64, rate int) int64 {
	s := int64(time.Second)
	whole, rest := ns/s, ns%s
	if rest < 0 {
		whole, rest = whole-1, rest+s
	}
	return whole*int64(rate) + (rest*int64(rate)+s/2)/s
}

// Bounds of the corrections that come after the start.
const (
	// slewPart is how much of the media's time a correction may take: one part in so many.
	slewPart = 50
	// wildError is a sender report that does not fit: one that stays is believed after wildFor.
	wildError = time.Second
	wildFor   = 12 * time.Second // Chromium reports on sound every 5 s
	// sameFrame is how far apart two layers' times of one picture may be at most by their reports, and samePart what part
	// of the distance of two pictures: with more it could be the next one.
	sameFrame = 20 * time.Millisecond
	samePart  = 0.4
	// sameKey is the same for two key frames, which are asked for together.
	sameKey = 60 * time.Millisecond
	// arrivalSpan is for how long, and up to twice as long, it counts how fast media came.
	arrivalSpan = 5 * time.Second
	leadKept    = 64 // pictures of the lead that others are held against
)

// placedAt is an unwrapped stamp with the offset that it got.
type placedAt struct{ u, offset int64 }

// trackClock keeps one track's time. The track's RTP time stamps, unwrapped, become times of the session by an offset.
type trackClock struct {
	rate    int
	started bool
	last    uint32
	high    int64 // of last, unwrapped

	reported bool // a sender report came
	early    bool // it was made before the first packet
	srStamp  uint32
	srWall   int64 // ns since 1970 by the sender's clock

	placed  bool
	offset  int64 // session's ticks minus unwrapped
	target  int64 // what offset should be
	slewed  int64 // unwrapped time up to which offset was corrected
	wild    bool
	wildAt  time.Time
	linked  bool     // offset is the lead's plus link
	link    int64    // for a layer of the same pictures as the lead
	keyed   placedAt // the lead's last key frame
	leading [leadKept]placedAt
	leadAt  int
	minimum int64 // least of arrival minus time of the stamp, in ns; the origin is any
	arrived bool
}

// unwrap takes the next time stamp in the order of the packets.
func (c *trackClock) unwrap(ts uint32) int64 {
	if !c.started {
		c.started, c.last, c.high = true, ts, int64(ts)
		c.reported = c.reported && (!c.early || c.near(c.srStamp))
	}
	c.high += int64(int32(ts - c.last))
	c.last = ts
	return c.high
}

// arrival notes when something with a stamp came: the fastest is the measure for tracks without reports.
func (c *trackClock) arrival(u int64, at time.Time) {
	d := at.UnixNano() - scale(u, c.rate)
	if !c.arrived || d < c.minimum {
		c.minimum, c.arrived = d, true
	}
}

// report takes a sender report (RFC 3550 6.4.1). One that was made early, before the first packet, is believed only if its
// stamp fits those of the packets: some senders foresee them, others put in anything. False is one that is not.
func (c *trackClock) report(stamp uint32, wall int64, early bool) bool {
	if early && (c.reported || c.started && !c.near(stamp)) {
		return false
	}
	c.reported, c.srStamp, c.srWall, c.early = true, stamp, wall, early
	return true
}

// nearStamp is how many seconds an early report's stamp may be off that of the packets.
const nearStamp = 10

// near tells whether a stamp fits those of the packets.
func (c *trackClock) near(stamp uint32) bool {
	d := int64(int32(stamp - c.last))
	return max(d, -d) <= nearStamp*int64(c.rate)
}

// zero is the sender's time at which the track's unwrapped stamps are 0.
func (c *trackClock) zero() int64 {
	u := c.high + int64(int32(c.srStamp-c.last))
	return c.srWall - scale(u, c.rate)
}

// usable tells whether the track's stamps have a time of the sender's.
func (c *trackClock) usable() bool { return c.reported && c.started }

// set places the track: the session's time 0 is that many ns behind the stamps' 0.
func (c *trackClock) set(ns int64) {
	c.offset = ticks(ns, c.rate)
	c.target, c.placed, c.slewed = c.offset, true, c.high
}

// pts places an unwrapped stamp on the session's time. A layer's is that of the lead's picture of the same moment, which may
// have come already or may be still to come.
func (c *trackClock) pts(u int64, lead *trackClock) int64 {
	if c.linked {
		c.offset = lead.offsetAt(u+c.link) + c.link
	} else {
		c.step(u)
	}
	return u + c.offset
}

// step moves the offset towards its target by what the media's time since the last step allows.
func (c *trackClock) step(u int64) {
	d := c.target - c.offset
	if most := (u - c.slewed) / slewPart; d != 0 && most > 0 {
		c.offset += max(-most, min(most, d))
		c.slewed = u
	} else if d == 0 {
		c.slewed = max(c.slewed, u)
	}
}

// offsetAt is the offset of one of the lead's stamps. It stays what it was when it was first asked for, be it by a layer whose
// pictures are ahead of the lead's.
func (c *trackClock) offsetAt(u int64) int64 {
	for i := range min(c.leadAt, leadKept) {
		if c.leading[i].u == u {
			return c.leading[i].offset
		}
	}
	c.step(u)
	c.shown(u)
	return c.offset
}

// shown notes a picture of the lead.
func (c *trackClock) shown(u int64) {
	c.leading[c.leadAt%leadKept] = placedAt{u, c.offset}
	c.leadAt++
}

// distance is the least of two of the lead's pictures that were shown.
func (c *trackClock) distance() int64 {
	least := int64(c.rate)
	for i := 1; i < min(c.leadAt, leadKept); i++ {
		d := abs(c.leading[(c.leadAt-i)%leadKept].u - c.leading[(c.leadAt-i-1)%leadKept].u)
		if d > 0 && d < least {
			least = d
		}
	}
	return least
}

// follow ties a layer to the lead when a picture of it is, within what reports tell, one of the lead's: from then on its times
// are the lead's to the tick, so that both are cut at the same frames. Both have the same rate.
func (c *trackClock) follow(u int64, lead *trackClock) {
	if c.linked || !c.placed || !lead.placed || c == lead || c.rate != lead.rate {
		return
	}
	best, found := min(ticks(int64(sameFrame), c.rate), int64(samePart*float64(lead.distance())))+1, false
	var link int64
	for i := range min(lead.leadAt, leadKept) {
		v := lead.leading[i]
		if d := abs(u + c.offset - v.u - v.offset); d < best {
			best, link, found = d, v.u-u, true
		}
	}
	if found {
		c.linked, c.link = true, link
	}
}

// untie lets a layer go by its own reports again.
func (c *trackClock) untie() {
	if c.linked {
		c.linked, c.target, c.slewed = false, c.offset, c.high
	}
}

// followKey ties a layer to the lead by a key frame, where reports are too far off to tell one picture from the next.
func (c *trackClock) followKey(u int64, lead *trackClock) {
	if c.linked || !c.placed || lead.leadAt == 0 || c.rate != lead.rate {
		return
	}
	if d := abs(u + c.offset - lead.keyed.u - lead.keyed.offset); d <= ticks(int64(sameKey), c.rate) {
		c.linked, c.link = true, lead.keyed.u-u
	}
}

// timing is the time of a session. Its zero is somewhat before the first media, and its rate is the reference's: the sound's,
// whose samples must follow one another, or, without sound, the first picture track's. Reports of the reference move the
// date of the session's zero; reports of the others move those tracks, by a fiftieth of the media's time at most, so that
// the clocks of a sound card and of a computer stay together for as long as a stream lasts.
type timing struct {
	open    bool
	dated   bool
	zero    int64 // ns since 1970, by the sender's clock, of the session's time 0
	ref     *trackClock
	minimum int64 // least of arrival minus session's time, in ns
	arrived bool
	recent  [2]int64  // the same of this stretch of arrivalSpan and of the one before: clocks drift apart over hours
	since   time.Time // when this stretch began
	refAt   time.Time // when the reference reported last
	wildAt  time.Time
	wild    bool
}

// lead-in of a session's time, so that what was captured before the first media that came is not below 0.
const leadIn = 10 * time.Second

// begin places all tracks that have media: those with reports by them, the others by when their media came.
func (t *timing) begin(tracks []*trackClock) {
	t.open = true
	for _, c := range tracks {
		if !c.started || !c.usable() {
			continue
		}
		if !t.dated {
			t.dated, t.ref = true, c
			t.zero = c.zero() + scale(c.high, c.rate) - int64(leadIn)
		}
		c.set(c.zero() - t.zero)
		t.learn(c)
	}
	for _, c := range tracks {
		if !c.started || c.placed {
			continue
		}
		if !t.arrived {
			t.minimum, t.arrived = c.minimum+scale(c.high, c.rate)-int64(leadIn), true
		}
		c.set(c.minimum - t.minimum)
	}
}

// forget is for a track that is no more: the next one that reports is the reference.
func (t *timing) forget(c *trackClock) {
	if t.ref == c {
		t.ref = nil
	}
}

// learn notes how fast a placed track's media come.
func (t *timing) learn(c *trackClock) {
	if d := c.minimum - scale(c.offset, c.rate); c.arrived && (!t.arrived || d < t.minimum) {
		t.minimum, t.arrived = d, true
	}
}

// join places a track that came later.
func (t *timing) join(c *trackClock) {
	if t.dated && c.usable() {
		c.set(c.zero() - t.zero)
		return
	}
	c.set(c.minimum - t.fastest())
}

// came notes when something with a session's time came.
func (t *timing) came(pts int64, rate int, at time.Time) {
	d := at.UnixNano() - scale(pts, rate)
	switch {
	case t.since.IsZero():
		t.recent, t.since = [2]int64{d, d}, at
	case at.Sub(t.since) >= arrivalSpan:
		t.recent, t.since = [2]int64{d, t.recent[0]}, at
	case d < t.recent[0]:
		t.recent[0] = d
	}
}

// fastest is the least of arrival minus session's time of late.
func (t *timing) fastest() int64 {
	if t.since.IsZero() {
		return t.minimum
	}
	return min(t.recent[0], t.recent[1])
}

// reported takes notice of a report on a track; sound tells what the track carries.
func (t *timing) reported(c *trackClock, sound bool, hasSound bool, now time.Time) {
	if !t.open || !c.placed || !c.usable() {
		return
	}
	if t.dated && t.ref == nil && (sound || !hasSound) {
		t.ref = c
	}
	zero := c.zero() - scale(c.offset, c.rate) // the date of the session's zero, as this track has it
	if !t.dated || sound && t.ref != c {
		if t.dated && abs(zero-t.zero) > int64(wildError) && !t.believed(now) {
			return
		}
		if sound || !hasSound || !t.dated {
			t.dated, t.ref, t.zero = true, c, zero
		}
		return
	}
	if c == t.ref {
		t.refAt = now
		switch d := zero - t.zero; {
		case abs(d) <= int64(wildError):
			t.zero += d / 8
			t.wild = false
		case t.believed(now): // the sender's clock was set
			t.zero, t.wild = zero, false
		}
		return
	}
	d := ticks(zero-t.zero, c.rate)
	switch {
	case abs(zero-t.zero) <= int64(wildError):
		c.target, c.wild = c.offset+d, false
	case !c.wild:
		c.wild, c.wildAt = true, now
	case now.Sub(c.wildAt) >= wildFor && !t.wild && t.refAt.After(c.wildAt): // this track's time, not the sender's clock, has changed
		c.offset += d
		c.target, c.wild = c.offset, false
	}
}

// believed tells whether reports have been far off for so long that they are taken.
func (t *timing) believed(now time.Time) bool {
	if !t.wild {
		t.wild, t.wildAt = true, now
		return false
	}
	return now.Sub(t.wildAt) >= wildFor
}

// wall is the time of capture of a session's time: by the sender's clock, or while that has not told, when the fastest of the
// media came by this host's. What was held back would else be dated by when it was let go.
func (t *timing) wall(pts int64, rate int) time.Time {
	switch {
	case t.dated:
		return time.Unix(0, t.zero+scale(pts, rate))
	case t.arrived:
		return time.Unix(0, t.minimum+scale(pts, rate))
	}
	return time.Time{}
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
