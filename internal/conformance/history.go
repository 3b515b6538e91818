package conformance

import (
	"sync"
	"time"
)

// history remembers when a rendition was seen to be how far. It may be used from any goroutine.
type history struct {
	mu   sync.Mutex // guards seen
	seen []sighting
}

type sighting struct {
	started, done time.Time
	tail          position
}

// maxSightings is more than the updates between two requests of any other rendition.
const maxSightings = 256

func (h *history) add(started, done time.Time, tail position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.seen) == maxSightings {
		h.seen = append(h.seen[:0], h.seen[maxSightings/2:]...)
	}
	h.seen = append(h.seen, sighting{started, done, tail})
}

// before is the last tail that had been received before t.
func (h *history) before(t time.Time) (tail position, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seen {
		if s.done.Before(t) {
			tail, ok = s.tail, true
		}
	}
	return tail, ok
}
