package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// Bounds of what may wait in one rendition's queue, besides time: whoever adds to a queue sees that it is drained once it
// spans too much, but a publisher's clock may stand still.
const (
	mostQueuedFrames = 1024
	mostQueuedBytes  = 4 << 20 // but for a frame that is bigger by itself
)

// mostFree is how many buffers of frames that have passed are kept for those that come.
const mostFree = 8

// frameQueue holds frames that wait for the leading rendition, with copies of their payloads.
type frameQueue struct {
	frames []stream.Frame
	bytes  int
	broken bool // a picture was refused: those that refer to it are too
	free   [][]byte
}

// push takes a frame; false when there is no room for it.
func (q *frameQueue) push(f *stream.Frame) bool {
	full := len(q.frames) >= mostQueuedFrames || len(q.frames) > 0 && q.bytes+len(f.Payload) > mostQueuedBytes
	if full || q.broken && !f.Key {
		q.broken = true
		return false
	}
	q.broken = false
	var b []byte
	if n := len(q.free); n > 0 {
		b, q.free = q.free[n-1][:0], q.free[:n-1]
	}
	c := *f
	c.Payload = append(b, f.Payload...)
	q.frames = append(q.frames, c)
	q.bytes += len(c.Payload)
	return true
}

// pop removes the first frame and makes its buffer free for reuse.
func (q *frameQueue) pop() {
	q.bytes -= len(q.frames[0].Payload)
	if len(q.free) < mostFree {
		q.free = append(q.free, q.frames[0].Payload)
	}
	q.frames[0].Payload = nil
	q.frames = slices.Delete(q.frames, 0, 1)
}

// span is the media time between the first frame's start and the last one's.
func (q *frameQueue) span() window.Ticks {
	if len(q.frames) < 2 {
		return 0
	}
	first, last := &q.frames[0], &q.frames[len(q.frames)-1]
	return inTicks(last.PTS, last.Track) - inTicks(first.PTS, first.Track)
}
