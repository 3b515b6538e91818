package ladder

import (
	"sync"
	"time"
)

// mostFed is how many frames are remembered that went to a child: more than come back late enough to be of use.
const mostFed = 2048

// fed is what is remembered of a frame that went to a child.
type fed struct {
	pts  int64 // in the source's ticks
	key  bool
	wall time.Time
	at   time.Time // when it came from the publisher
}

// fedTable is what went to a child, by presentation time, for the frames that come back. The goroutine that feeds adds, those
// that read outputs look up.
type fedTable struct {
	mu    sync.Mutex // guards what follows
	ring  [mostFed]fed
	n     int // frames added so far
	first int64
	last  int64 // the highest PTS
}

func (t *fedTable) add(f fed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == 0 {
		t.first, t.last = f.pts, f.pts
	}
	t.last = max(t.last, f.pts)
	t.ring[t.n%mostFed] = f
	t.n++
}

// at finds the frame of exactly this time.
func (t *fedTable) at(pts int64) (fed, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.n - 1; i >= max(0, t.n-mostFed); i-- {
		if f := &t.ring[i%mostFed]; f.pts == pts {
			return *f, true
		}
	}
	return fed{}, false
}

// before finds the last frame at or before a time; times rise. False when the time is before all that was fed, or is
// forgotten.
func (t *fedTable) before(pts int64) (fed, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.n - 1; i >= max(0, t.n-mostFed); i-- {
		if f := &t.ring[i%mostFed]; f.pts <= pts {
			return *f, true
		}
	}
	return fed{}, false
}

// newest is the highest time that was fed; false when nothing was.
func (t *fedTable) newest() (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.n > 0
}

// decodeOrder finds the decoding times of frames that come in decoding order with their presentation times only: the decoding
// time of a frame is the presentation time that is the nth highest so far, n being the delay plus one. It rises by itself and is
// never above the frame's own presentation time. The zero value is for coding without reordering.
type decodeOrder struct {
	delay  int
	latest []int64 // the delay+1 highest PTS, rising
	seen   int
}

// mostDelay bounds the reordering: the largest decoded picture buffer of H.264 and HEVC has 16 pictures.
const mostDelay = 16

func newDecodeOrder(delay int) *decodeOrder {
	return &decodeOrder{delay: min(max(delay, 0), mostDelay)}
}

// next is the decoding time of a frame; interval is about the time between frames, for the first ones, whose decoding times
// lie before all presentation times.
func (o *decodeOrder) next(pts, interval int64) int64 {
	if o.delay == 0 {
		return pts
	}
	if o.seen == 0 {
		for i := range o.delay + 1 {
			o.latest = append(o.latest, pts-int64(o.delay-i)*max(1, interval))
		}
		o.seen++
		return o.latest[0]
	}
	o.seen++
	if pts > o.latest[0] {
		at := len(o.latest) - 1
		for pts < o.latest[at] {
			at--
		}
		copy(o.latest, o.latest[1:at+1])
		o.latest[at] = pts
	}
	return min(o.latest[0], pts)
}
