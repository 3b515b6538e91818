package packager

import (
	"sync"
	"sync/atomic"
	"time"

	"pushcart/packager/window"
)

// Announcement is a state that holds from a frame on, such as the cards that are shown. It replaces the one before.
// It is immutable.
type Announcement struct {
	// Message is what the media carry: an ID3 tag.
	Message []byte
	// Open are the date ranges that hold with the state, all of them: ID, Class and Value.
	Open []window.DateRange
	// At is the time of capture at which the state begins; zero is the next frame.
	At time.Time
	// Framed tells that the state came with the media and belongs to the frame at PTS (1/90,000 s) of Era, or the first one
	// behind it; At is of no meaning then.
	Framed bool
	Era    int
	PTS    int64

	// Bound is told that the state is bound to a frame, and Published that the part which tells of it is there; nil is nobody. They are
	// called under the stream's lock and must not block. Of a state that never gets there, because a later one replaced it or no frame
	// comes any more, they are not called.
	Bound, Published func()

	passed int       // frames that it was not bound to
	since  time.Time // when it was announced
}

// mostInbox is how many announcements may wait for a frame. While a publisher is away nothing takes them; of states that
// would all begin with the same frame only the last ones count.
const mostInbox = 512

// inbox takes announcements from any goroutine for the packager's own.
type inbox struct {
	some atomic.Bool // there may be entries

	mu      sync.Mutex // guards what follows
	entries []Announcement
	dropped int
	closed  bool
}

// close has the inbox take nothing any more.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed, i.entries = true, nil
	i.some.Store(false)
}

func (i *inbox) put(a Announcement) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return
	}
	if len(i.entries) == mostInbox {
		i.entries = append(i.entries[:0], i.entries[1:]...)
		i.dropped++
	}
	i.entries = append(i.entries, a)
	i.some.Store(true)
}

// take moves what is there behind list. It costs one atomic load while there is nothing.
func (i *inbox) take(list []Announcement) (_ []Announcement, dropped int) {
	if !i.some.Load() {
		return list, 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	list = append(list, i.entries...)
	clear(i.entries)
	dropped, i.dropped = i.dropped, 0
	i.entries = i.entries[:0]
	i.some.Store(false)
	return list, dropped
}

// Announce puts a state on the timeline. It may be called from any goroutine and does not block. Announcements take effect
// in the order of the calls: none before one that came earlier.
func (p *Packager) Announce(a Announcement) {
	a.since = p.opt.Now()
	p.inbox.put(a)
}
