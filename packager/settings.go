package packager

import (
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// Settings of a presentation, fixed for its life.
type Settings struct {
	// SegmentDuration is the goal: a segment ends at the first key frame at or after it.
	SegmentDuration time.Duration
	// MaxSegmentDuration is where a segment ends without a key frame; in whole seconds, the EXT-X-TARGETDURATION.
	MaxSegmentDuration time.Duration
	// PartDuration is the goal for parts; the PART-TARGET is derived from it and from the stream's frame rate.
	PartDuration time.Duration
	// DVR is how much media playlists list.
	DVR time.Duration
}

// Waits of the packager, in media time.
const (
	// trackGrace is how long a presentation that could be played waits for a track of the other kind.
	trackGrace = 700 * window.Rate / 1000
	// layersGrace is how long it waits for further video tracks of a publisher that has declared them. They join where a segment
	// begins, and players read the list of them once.
	layersGrace = 2500 * window.Rate / 1000
	// leadPatience is how far audio may run ahead of video before video counts as stalled.
	leadPatience = 1500 * window.Rate / 1000
	// keyTolerance lets a key frame end a segment that rounding made a little shorter than the goal.
	keyTolerance = 50 * window.Rate / 1000
	// maxTolerance lets a segment exceed the maximum by rounding; EXTINF is rounded when compared with the target.
	maxTolerance = 40 * window.Rate / 1000
)

// rateFrames is how many frames tell a new track's rate, surelyRate how many tell it for certain: the first ones of an encoder that
// leaves pictures out may come as they are.
const (
	rateFrames = 8
	surelyRate = 60
)

// Bounds of a part that its duration does not keep: those of a publisher whose clock (almost) stands still. The part then
// takes the whole of its time, and what else comes for that is dropped as late.
const (
	mostPartFrames = 600
	mostPartBytes  = 8 << 20
)

// mostFollow is how many boundaries are kept for a rendition that does not exist yet: more than it can begin behind.
const mostFollow = 8

// partSlack is the room in a PART-TARGET above the goal, in percent. Parts hold a whole number of frames, may never exceed
// the target and must reach 85 % of it (rfc8216bis 4.4.4.9); between the bounds there is place for the jitter of
// millisecond timestamps and for the odd frame rate.
const (
	partSlackLeast = 3
	partSlackBest  = 8
	partSlackMost  = 14
	fullPercent    = 86
)

// partTarget chooses the PART-TARGET in ticks: about goal, so that a whole number of frames of each given duration fills
// at least 86 % of it. Durations are in ticks and positive; the first is the leading track's.
func partTarget(goal window.Ticks, frames ...window.Ticks) window.Ticks {
	lead := frames[0]
	n := max(1, (goal+lead/2)/lead)
	base := n * lead
	best, bestScore := window.Ticks(0), window.Ticks(-1)
	for percent := window.Ticks(partSlackLeast); percent <= partSlackMost; percent++ {
		target := roundUp(base*(100+percent)/100, window.Rate/1000)
		score := window.Ticks(100) - abs(percent-partSlackBest)
		for _, f := range frames {
			if fill := target / f * f; fill*100 < target*fullPercent {
				score -= 50
			}
		}
		if score > bestScore {
			best, bestScore = target, score
		}
	}
	return best
}

func roundUp(v, unit window.Ticks) window.Ticks { return (v + unit - 1) / unit * unit }

func abs(v window.Ticks) window.Ticks { return max(v, -v) }

// inTicks converts a track's time to window ticks.
func inTicks(v int64, t *stream.Track) window.Ticks {
	return stream.Rescale(v, t.ClockRate, window.Rate)
}
