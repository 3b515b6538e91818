package ingest

import (
	"time"

	"pushcart/internal/stream"
)

// Bounds of what passes for continuous time, in 1/90,000 s.
const (
	// maxStep is the longest pause within an era; a longer one becomes a discontinuity.
	maxStep = 3 * 90000
	// maxBack is how far a DTS may go back and still be an encoder's jitter.
	maxBack = 90000 / 2
	// maxApart is how far two tracks' clocks may lie apart, against their time of arrival, before the node aligns them.
	maxApart = 3 * 90000
	// straggle is for how long after a jump frames that still follow the old clock are thrown away.
	straggle = 90000 / 2
	// maxReorder is how far a picture's presentation may lie from its decoding; what is further off is damage. Sixteen
	// pictures at two a second take 8 s.
	maxReorder = 10 * 90000
	// mostHasty is how many jumps may follow one another within straggle; then frames are thrown away instead. Only after
	// ten times as long without any they may again.
	mostHasty = 3
	// eraGap separates eras on the timeline, so that what starts a little early in the new one cannot overlap the old.
	eraGap = 90000
)

// timeline maps a publisher's timestamps onto its stream's. The publisher's clock may start anywhere, jump either way and
// differ between tracks; the stream's never goes back.
//
// It is pure: time comes in with the frames.
type timeline struct {
	era     int
	base    int64 // stream time at which the era begins, 1/90,000 s
	offset  int64 // stream time less publisher's time, of the era's first track
	started bool  // offset is set
	eraAt   time.Time
	hasty   int // jumps that came too soon after the one before
	losses  int // how often the publisher's media are known to lack something
	tracks  map[int]*trackTime
	// nextEra begins another era and returns its number and the stream time reached.
	nextEra func() (era int, end90k int64)
}

// trackTime is the mapping of one track.
type trackTime struct {
	era     int
	offset  int64 // 1/90,000 s
	rawDTS  int64 // of the last frame, publisher's time, 1/90,000 s
	dts     int64 // of the last frame, stream time, ticks
	at      time.Time
	expect  int64 // audio: where the next frame should start, ticks
	settled bool  // expect is set
	losses  int   // that the last frame knew of
}

func newTimeline(era int, end90k int64, nextEra func() (int, int64)) *timeline {
	return &timeline{era: era, base: end90k + eraGap, tracks: map[int]*trackTime{}, nextEra: nextEra}
}

// place puts f on the stream's timeline; false means that it must be dropped.
func (tl *timeline) place(f *stream.Frame, now time.Time) bool {
	rate := f.Track.ClockRate
	raw := stream.Rescale(f.DTS, rate, 90000)
	t := tl.tracks[f.Track.ID]
	switch {
	case t == nil:
		t = &trackTime{}
		tl.tracks[f.Track.ID] = t
		tl.enter(t, raw, now)
	case t.era != tl.era:
		// Another track's clock jumped. This one's old time may still be on its way.
		d := raw - t.rawDTS
		if d > -maxBack && d <= maxStep && !tl.fits(raw, now) {
			if now.Sub(tl.eraAt) < time.Second*straggle/90000 {
				t.rawDTS, t.at = raw, now
				return false
			}
		}
		tl.enter(t, raw, now)
	default:
		if d := raw - t.rawDTS; d <= -maxBack || d > maxStep && !tl.paused(t, raw, now) {
			if !tl.mayJump(now) {
				return false
			}
			tl.jump(t, raw, now)
		}
	}
	t.rawDTS, t.at = raw, now

	if raw+t.offset < tl.base-eraGap {
		return false // before the era: that time is taken
	}

	shift := stream.Rescale(t.offset, 90000, rate)
	cts := f.PTS - f.DTS
	if off := stream.Rescale(cts, rate, 90000); off > maxReorder || off < -maxReorder {
		cts = 0
	}
	f.Era = tl.era
	f.DTS += shift
	if f.Track.Video() {
		f.PTS = f.DTS + cts
		if t.settled && f.DTS <= t.dts {
			f.DTS = t.dts + 1
		}
		t.settled = true
	} else {
		t.skip(f.DTS, frameTicks(f), rate, t.losses != tl.losses)
		t.losses = tl.losses
		at, ok := t.smooth(f.DTS, frameTicks(f), rate)
		if !ok {
			return false
		}
		f.DTS, f.PTS = at, at
	}
	t.dts = f.DTS
	if f.Wall.IsZero() {
		f.Wall = now
	}
	return true
}

// frameTicks is an audio frame's duration.
func frameTicks(f *stream.Frame) int64 {
	if f.Duration == 0 {
		f.Duration = int64(f.Track.FrameSamples)
	}
	return f.Duration
}

// enter gives a track its place in the current era.
func (tl *timeline) enter(t *trackTime, raw int64, now time.Time) {
	t.era, t.settled = tl.era, false
	if !tl.started {
		tl.started = true
		tl.eraAt = now
		tl.offset = tl.base - raw
		t.offset = tl.offset
		return
	}
	t.offset = tl.offset
	if off := tl.misfit(raw, now); off < -maxApart || off > maxApart {
		t.offset -= off
	}
}

// ninety is a time span in 1/90,000 s.
type ninety int64

func (n ninety) duration() time.Duration {
	return time.Duration(stream.Rescale(int64(n), 90000, int(time.Second)))
}

// misfit is how far raw, under the era's offset, would land ahead of where the other tracks are by now.
func (tl *timeline) misfit(raw int64, now time.Time) (off int64) {
	best, found := int64(0), false
	for _, o := range tl.tracks {
		if o.era != tl.era || !o.settled {
			continue
		}
		here := o.rawDTS + o.offset + stream.Rescale(int64(now.Sub(o.at)), int(time.Second), 90000)
		if !found || here > best {
			best, found = here, true
		}
	}
	if !found {
		return 0
	}
	return raw + tl.offset - best
}

func (tl *timeline) fits(raw int64, now time.Time) bool {
	off := tl.misfit(raw, now)
	return off >= -maxApart && off <= maxApart
}

// paused tells whether a track's step ahead is only a pause: another track went on meanwhile, and this one comes back at
// the time where that one is.
func (tl *timeline) paused(t *trackTime, raw int64, now time.Time) bool {
	for _, o := range tl.tracks {
		if o != t && o.era == tl.era && o.at.Sub(t.at) > time.Second {
			off := t.offset + raw - o.rawDTS - o.offset - stream.Rescale(int64(now.Sub(o.at)), int(time.Second), 90000)
			if off >= -maxApart && off <= maxApart {
				return true
			}
		}
	}
	return false
}

// mayJump tells whether a track's clock may begin another era already.
func (tl *timeline) mayJump(now time.Time) bool {
	const soon = time.Second * straggle / 90000
	switch since := now.Sub(tl.eraAt); {
	case since >= 10*soon:
		tl.hasty = 0
	case since >= soon:
	case tl.hasty == mostHasty:
		return false
	default:
		tl.hasty++
	}
	return true
}

// jump begins a new era with t as its first track.
func (tl *timeline) jump(t *trackTime, raw int64, now time.Time) {
	era, end := tl.nextEra()
	tl.era, tl.base = era, end+eraGap
	tl.started = false
	tl.enter(t, raw, now)
}

// Bounds of audio smoothing. Publishers round timestamps to milliseconds, and some jitter by more.
const (
	// deadZone is the deviation that is taken for rounding, as a fraction of a second: 1/100 s.
	deadZone = 100
	// audioHole is the deviation that is a real hole or overlap, not drift: 1/10 s.
	audioHole = 10
)

// skip leaves room for the frames that are missing in front of one, where something is known to be lost: whole ones, so that what
// stands in for them fits.
func (t *trackTime) skip(sent, length int64, rate int, lost bool) {
	if !lost || !t.settled || length <= 0 {
		return
	}
	near := min(int64(rate/deadZone), length/2)
	missing := (sent - t.expect + near) / length
	if missing > 0 && sent-t.expect-missing*length <= near {
		t.expect += missing * length
	}
}

// smooth places an audio frame exactly behind the one before, unless the publisher's time has moved away from that:
// slowly, and the difference is made up a little with each frame; at once, and it is a hole. False means that the frame
// must be dropped, because there is more audio than there is time for it.
func (t *trackTime) smooth(sent, length int64, rate int) (at int64, ok bool) {
	if !t.settled {
		t.settled = true
		t.expect = sent + length
		return sent, true
	}
	at = t.expect
	off := sent - t.expect
	dead, hole := int64(rate/deadZone), int64(rate/audioHole)
	switch {
	case off > hole:
		at = sent
	case off < -hole:
		return 0, false
	case off > dead:
		at += max(1, length/256)
	case off < -dead:
		at -= max(1, length/256)
	}
	at = max(at, t.dts+1)
	t.expect = at + length
	return at, true
}
