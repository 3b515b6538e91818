package ladder

import (
	"sync"
	"time"

	"pushcart/internal/stream"
)

// Bounds of what may wait for a child, besides time.
const (
	mostQueuedFrames = 1024
	mostQueuedBytes  = 16 << 20 // but for a frame that is bigger by itself
	mostFree         = 64       // buffers that are kept for frames to come
	mostFreeSize     = 1 << 20  // their bytes in all
)

// Queues reach somewhat further than the packager waits for a rung: what would come later than that is of no use.
const (
	latencyQueue = 2 * time.Second
	qualityQueue = 6 * time.Second
)

// queued is one access unit that waits for a child.
type queued struct {
	track *stream.Track
	gen   int // of the track; see input
	era   int
	pts   int64 // in the track's ticks
	key   bool
	wall  time.Time
	at    time.Time // when it came
	data  []byte    // a copy, from the feed's buffers
}

// verdict is what becomes of the first frame of a feed.
type verdict int

const (
	take    verdict = iota // it goes to the child
	pass                   // it is thrown away
	stop                   // it stays: it is for another child
	gone                   // there is none, and the publisher is away
	stopped                // who asked was told to stop
)

// feed is the bounded queue between a stream and a job's children. The stream's side never waits: what does not fit is
// dropped up to the next key frame.
type feed struct {
	wake chan struct{} // of one place: something has changed for who takes

	mu        sync.Mutex // guards what follows
	ring      []queued
	head      int // index in ring of the first
	n         int
	bytes     int
	span      time.Duration // limit
	open      bool          // somebody takes, or soon will
	away      bool          // the publisher is: nothing follows what is there
	fresh     bool          // it was opened, and no key frame has come since
	broken    bool          // a frame was refused: what refers to it is of no use
	free      [][]byte
	freeBytes int    // their capacities
	newest    int64  // PTS of the newest frame that came, in its track's ticks
	came      uint64 // frames that were taken in
	fulls     uint64 // frames that were not, because there was no room
}

func newFeed() *feed {
	return &feed{wake: make(chan struct{}, 1), ring: make([]queued, 64), span: latencyQueue, open: true}
}

// push takes a copy of a frame in; false when there was no room for it. It is called under the stream's lock.
func (q *feed) push(f *stream.Frame, gen int, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return true
	}
	q.away = false
	if q.fresh && !f.Key {
		return true // it refers to what came before anybody asked
	}
	q.fresh = false
	if q.fullLocked(f) || q.broken && !f.Key {
		q.broken = true
		q.fulls++
		return false
	}
	q.broken = false
	if q.n == len(q.ring) {
		q.growLocked()
	}
	var b []byte
	if n := len(q.free); n > 0 {
		b, q.free = q.free[n-1][:0], q.free[:n-1]
		q.freeBytes -= cap(b)
	}
	q.ring[(q.head+q.n)%len(q.ring)] = queued{
		track: f.Track, gen: gen, era: f.Era, pts: f.PTS, key: f.Key, wall: f.Wall, at: now, data: append(b, f.Payload...),
	}
	q.n++
	q.bytes += len(f.Payload)
	q.newest = f.PTS
	q.came++
	q.signal()
	return true
}

func (q *feed) fullLocked(f *stream.Frame) bool {
	if q.n == 0 {
		return false
	}
	first := &q.ring[q.head]
	return q.n >= mostQueuedFrames || q.bytes+len(f.Payload) > mostQueuedBytes ||
		first.era == f.Era && duration(f.PTS-first.pts, f.Track.ClockRate) > q.span
}

func (q *feed) growLocked() {
	ring := make([]queued, 2*len(q.ring))
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = ring, 0
}

func (q *feed) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for a frame that judge takes, and gives it with its buffer, which release takes back. What judge passes over
// goes to dropped. One goroutine at a time may wait.
func (q *feed) next(until <-chan struct{}, judge func(*queued) verdict, dropped func(*queued)) (queued, verdict) {
	for {
		select {
		case <-until:
			return queued{}, stopped
		default:
		}
		if e, v, some := q.first(judge, dropped); some {
			return e, v
		}
		select {
		case <-q.wake:
		case <-until:
			return queued{}, stopped
		}
	}
}

// first judges what is there; some is false when there is nothing to tell.
func (q *feed) first(judge func(*queued) verdict, dropped func(*queued)) (e queued, v verdict, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n > 0 {
		e := &q.ring[q.head]
		switch v := judge(e); v {
		case take:
			out := *e
			q.removeLocked()
			return out, take, true
		case stop:
			return queued{}, stop, true
		}
		dropped(e)
		q.freeLocked(e.data)
		q.removeLocked()
	}
	return queued{}, gone, q.away
}

func (q *feed) removeLocked() {
	q.bytes -= len(q.ring[q.head].data)
	q.ring[q.head] = queued{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
}

func (q *feed) freeLocked(b []byte) {
	if len(q.free) < mostFree && q.freeBytes+cap(b) <= mostFreeSize {
		q.free = append(q.free, b)
		q.freeBytes += cap(b)
	}
}

// release takes a frame's buffer back.
func (q *feed) release(b []byte) {
	q.mu.Lock()
	q.freeLocked(b)
	q.mu.Unlock()
}

// setAway tells that the publisher is gone, or has come back.
func (q *feed) setAway(away bool) {
	q.mu.Lock()
	q.away = away
	q.mu.Unlock()
	q.signal()
}

// setOpen says whether frames are wanted; what is there is thrown away when they are not.
func (q *feed) setOpen(open bool, span time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.span = span
	if q.open == open {
		return
	}
	q.open, q.fresh, q.broken = open, open, false
	for q.n > 0 {
		q.freeLocked(q.ring[q.head].data)
		q.removeLocked()
	}
	if !open {
		q.free, q.freeBytes = nil, 0
	}
}

// skip throws away what waits, but for what begins with the newest key frame. Where frames were refused behind that, nothing stays:
// who takes goes on with the next key frame that comes.
func (q *feed) skip() {
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := 0
	for i := range q.n {
		if q.ring[(q.head+i)%len(q.ring)].key {
			keep = q.n - i
		}
	}
	if q.broken {
		keep = 0
	}
	for q.n > keep {
		q.freeLocked(q.ring[q.head].data)
		q.removeLocked()
	}
	q.fresh, q.broken = keep == 0, false
}

// waiting tells the generation of the first frame; false when there is none.
func (q *feed) waiting() (gen int, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return 0, false
	}
	return q.ring[q.head].gen, true
}

// level is how full the queue is.
func (q *feed) level() (media time.Duration, bytes, frames int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return 0, 0, 0
	}
	first, last := &q.ring[q.head], &q.ring[(q.head+q.n-1)%len(q.ring)]
	if first.era == last.era {
		media = duration(last.pts-first.pts, last.track.ClockRate)
	}
	return max(0, media), q.bytes, q.n
}

// counts are the frames taken in, those refused for want of room, and the newest one's PTS.
func (q *feed) counts() (came, fulls uint64, newest int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.came, q.fulls, q.newest
}

// duration converts a track's ticks.
func duration(ticks int64, rate int) time.Duration {
	return time.Duration(stream.Rescale(ticks, rate, int(time.Second)))
}
