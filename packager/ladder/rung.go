package ladder

import (
	"maps"
	"sync"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// rung is one rendition of a stream over all the children that make it, one after the other.
type rung struct {
	id int

	mu      sync.Mutex // guards what follows
	learned *stream.Track
	gen     int // of the source that learned was made from
	era     int
	dts     int64 // of the last frame
	some    bool
	frames  uint64
	drops   map[string]uint64
	bytes   meter
	lag     time.Duration // media time
	delay   time.Duration // real time
}

// claim tells whether a frame may follow what was passed on, and its decoding time: the era does not go back, and the time rises.
// One that does not rise is lifted as far as the frame's presentation permits: the decoding times of a child's first frames are
// reckoned, and may fall among the last ones of the child before.
func (r *rung) claim(era int, dts, pts int64) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.some && era == r.era {
		dts = max(dts, r.dts+1)
	}
	if r.some && era < r.era || dts > pts {
		return 0, false
	}
	r.some, r.era, r.dts = true, era, dts
	return dts, true
}

func (r *rung) passed(now time.Time, size int, lag, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames++
	r.bytes.add(now, size)
	r.lag, r.delay = lag, delay
}

func (r *rung) drop(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drops == nil {
		r.drops = map[string]uint64{}
	}
	r.drops[reason]++
}

// learn takes over what the codec data say of the rung's track. It returns the track to use: the one that was known already
// when nothing is new, so that nobody takes it for another.
func (r *rung) learn(t *stream.Track, gen int) (_ *stream.Track, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.learned != nil && sameTrack(r.learned, t) {
		news = r.gen != gen
		r.gen = gen
		return r.learned, news
	}
	r.learned, r.gen = t, gen
	return t, true
}

// declared is the rung's track as it is told to the stream: with codec data once they are known.
func (r *rung) declared(t *stream.Track, gen int) *stream.Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.learned; l != nil && r.gen == gen && l.Codec == t.Codec && l.Rung == t.Rung {
		return l
	}
	return t
}

func (r *rung) info(o *command.Output, source int, now time.Time) RungInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := RungInfo{
		Track: r.id, Name: o.Rung.Name, Source: source, Codec: o.Rung.Codec.String(), Width: o.Width, Height: o.Height,
		FrameRate: o.FrameRate, Converts: o.StandsIn, Target: o.Rung.Bitrate, Bitrate: 8 * r.bytes.rate(now),
		Frames: r.frames, Dropped: maps.Clone(r.drops), Lag: r.lag, Delay: r.delay,
	}
	if r.learned != nil {
		in.CodecString = r.learned.CodecString
	}
	return in
}

// sameTrack tells whether two descriptions say the same of how a track is coded and shown.
func sameTrack(a, b *stream.Track) bool {
	return a.ID == b.ID && a.Codec == b.Codec && a.ClockRate == b.ClockRate && string(a.Config) == string(b.Config) &&
		a.Width == b.Width && a.Height == b.Height && a.FrameRate == b.FrameRate && a.Color == b.Color && a.PixelAspect == b.PixelAspect &&
		a.SampleRate == b.SampleRate && a.Channels == b.Channels && a.Language == b.Language && a.Name == b.Name &&
		a.Rung == b.Rung && a.Lag == b.Lag && a.SoundOnly == b.SoundOnly && a.Undelivered == b.Undelivered
}
