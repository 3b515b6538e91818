package ingest

import (
	"slices"
	"time"

	"pushcart/internal/stream"
)

// Bounds of finding a message's frame. Times are in 1/90,000 s.
const (
	// recentFrames is how many frames are remembered: enough for maxBack at 120 a second.
	recentFrames = 64
	// sameTime is how far two timestamps of the same millisecond may lie apart: audio counts in ticks that none fits.
	sameTime = 45
	// maxAhead is how far ahead of the media a message's time may lie: it waits for them. A time that is further ahead, or
	// maxBack behind, is by another clock, to which the media may be about to jump; or it means nothing, as the zero that many
	// programs send.
	maxAhead = 10 * 90000
	// maxGuess is how far ahead of all media a message may be placed without its frame.
	maxGuess = 90000 / 2
	// mostMessages is how many may wait for their frames.
	mostMessages = 64
	// messagePatience is how much longer than expected a message waits for its frame when that does not come, because
	// video has stopped.
	messagePatience = 500 * time.Millisecond
)

// binder finds the frame that each timed message belongs to, so that what the message asks for happens at this very frame,
// and passes the message on when the frame has come. Frames are compared by the publisher's timestamps, as it sent them:
// on the stream's timeline a frame may lie elsewhere, and its presentation is later than its timestamp says where
// pictures are reordered.
//
// Messages leave in the order of their frames. It is pure: time comes in with the frames and messages.
type binder struct {
	timeline *timeline
	out      func(*stream.Data) error

	track    int  // ID of the track whose frames messages belong to: the leading video, or audio where there is no video
	video    bool // it is video
	declared bool // it is set

	recent  [recentFrames]boundFrame // a ring
	count   int                      // frames of the track so far
	first   int                      // count at the era's first frame
	era     int                      // of that
	waiting []waitingMessage
}

// boundFrame is a frame that messages may belong to.
type boundFrame struct{ raw, pts int64 } // publisher's DTS and the stream's PTS

// waitingMessage is a message whose frame is not known yet.
type waitingMessage struct {
	data  *stream.Data
	raw   int64     // publisher's time
	count int       // frames that had come before it
	until time.Time // when to do without its frame
	ahead bool      // until counts from where the media were
}

func newBinder(tl *timeline, out func(*stream.Data) error) *binder {
	return &binder{timeline: tl, out: out, era: tl.era}
}

// declare tells of a track.
func (b *binder) declare(t *stream.Track) {
	if !b.declared || t.Video() && (!b.video || t.ID < b.track) {
		b.track, b.video, b.declared = t.ID, t.Video(), true
		b.first = b.count // what is remembered are another track's frames
	}
}

// note takes a frame that has its place and was passed on.
func (b *binder) note(f *stream.Frame) {
	if f.Track.ID != b.track {
		return
	}
	if f.Era != b.era {
		b.era, b.first = f.Era, b.count
	}
	b.recent[b.count%recentFrames] = boundFrame{
		raw: b.timeline.tracks[b.track].rawDTS, pts: stream.Rescale(f.PTS, f.Track.ClockRate, 90000),
	}
	b.count++
}

// add takes a message.
func (b *binder) add(d *stream.Data, now time.Time) error {
	m := waitingMessage{data: d, raw: d.PTS, count: b.count, until: now.Add(messagePatience)}
	if b.bind(&m, now) {
		return b.out(d)
	}
	if len(b.waiting) == mostMessages {
		oldest := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.guess(&oldest)
		if err := b.out(oldest.data); err != nil {
			return err
		}
	}
	b.waiting = append(b.waiting, m)
	return nil
}

// settle passes on the messages whose frames have come; it is called after each frame.
func (b *binder) settle(now time.Time) error {
	for i := 0; i < len(b.waiting); {
		m := b.waiting[i]
		if !b.bind(&m, now) {
			b.waiting[i] = m
			i++
			continue
		}
		b.waiting = slices.Delete(b.waiting, i, i+1)
		if err := b.out(m.data); err != nil {
			return err
		}
	}
	return nil
}

// flush passes on all messages because no frame comes any more.
func (b *binder) flush() error {
	for len(b.waiting) > 0 {
		m := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.guess(&m)
		if err := b.out(m.data); err != nil {
			return err
		}
	}
	return nil
}

// bind gives a message its place; false while that is not known.
func (b *binder) bind(m *waitingMessage, now time.Time) bool {
	tl, lead := b.timeline, b.entered(b.track)
	switch {
	case lead != nil && onClock(m.raw, lead):
		if pts, ok := b.frameAt(m.raw); ok {
			m.data.Era, m.data.PTS = tl.era, pts
			return true
		}
		if !m.ahead { // its frame is still to come
			due := ninety(m.raw-lead.rawDTS).duration() - now.Sub(lead.at)
			m.ahead, m.until = true, now.Add(max(due, 0)+messagePatience)
		}
	case lead != nil && b.count > m.count:
		// The next frame did not begin an era by the message's clock, so there is none. A time that has passed in this era may
		// still be meant.
		m.data.Era, m.data.PTS = tl.era, b.newest()
		if at := m.raw + lead.offset; at >= tl.base && at < m.data.PTS && at > m.data.PTS-maxAhead {
			m.data.PTS = at
		}
		return true
	}
	if !now.After(m.until) {
		return false
	}
	b.guess(m)
	return true
}

// guess gives a message its place without its frame: where a track's clock says, or where the media are.
func (b *binder) guess(m *waitingMessage) {
	m.data.Era, m.data.PTS = b.timeline.era, b.newest()
	for id := range b.timeline.tracks {
		t := b.entered(id)
		// Tracks may have gone on while the message waited.
		if t == nil || m.raw < t.rawDTS-maxAhead || m.raw > t.rawDTS+maxAhead {
			continue
		}
		// Not far ahead of the media: what waits behind it would wait for as long.
		m.data.PTS = min(max(m.raw+t.offset, b.timeline.base-eraGap), b.reached()+maxGuess)
		if id == b.track {
			return
		}
	}
}

// entered returns a track that has frames in the present era, else nil.
func (b *binder) entered(id int) *trackTime {
	if t := b.timeline.tracks[id]; t != nil && t.era == b.timeline.era {
		return t
	}
	return nil
}

// onClock tells whether a message's time is by the clock of a track.
func onClock(raw int64, t *trackTime) bool {
	off := raw - t.rawDTS
	return off > -maxBack && off <= maxAhead
}

// frameAt finds the frame with a timestamp: the newest that has it, else the first of those behind it.
func (b *binder) frameAt(raw int64) (pts int64, ok bool) {
	for i := b.count - 1; i >= max(b.first, b.count-recentFrames); i-- {
		f := &b.recent[i%recentFrames]
		switch off := f.raw - raw; {
		case off >= -sameTime && off <= sameTime:
			return f.pts, true
		case off > 0:
			pts, ok = f.pts, true
		}
	}
	return pts, ok
}

// reached is how far the media of any track have come.
func (b *binder) reached() int64 {
	at := b.newest()
	for id := range b.timeline.tracks {
		if t := b.entered(id); t != nil {
			at = max(at, t.rawDTS+t.offset)
		}
	}
	return at
}

// newest is where the media are: the newest frame's presentation time.
func (b *binder) newest() int64 {
	if b.count > b.first && b.era == b.timeline.era {
		return b.recent[(b.count-1)%recentFrames].pts
	}
	at := b.timeline.base
	for id := range b.timeline.tracks {
		if t := b.entered(id); t != nil {
			at = max(at, t.rawDTS+t.offset)
		}
	}
	return at
}
