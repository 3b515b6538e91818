package feed

import (
	"time"

	"pushcart/internal/stream"
)

// Time of an access unit or of an audio frame, on the publisher's clock: unwrapped to 64 bits, from any origin, one origin
// for all tracks.
type Time struct {
	// PTS is the presentation time in ticks of 1/Rate s.
	PTS int64
	// DTS is the decoding time in the same ticks, where HasDTS. RTP has none: it then follows from the order of the pictures.
	DTS    int64
	HasDTS bool
	// Rate in ticks a second.
	Rate int
	// Wall is the time of capture, zero when the publisher does not tell.
	Wall time.Time
}

// videoRate is the clock rate of video on the stream.
const videoRate = 90000

// rescale converts ticks from a rate that a protocol gave, which may be anything, as may the time: what lies further from zero
// than some hundred years counts as that, so that nothing overflows.
func rescale(v int64, from, to int) int64 {
	const longest, fastest = 9_000_000_000, 1_000_000_000 // seconds, ticks a second
	from = min(max(from, 1), fastest)
	limit := int64(longest) * int64(from)
	return stream.Rescale(min(max(v, -limit), limit), from, to)
}
