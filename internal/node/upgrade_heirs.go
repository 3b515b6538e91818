package node

import (
	"sync"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager"
	"pushcart/packager/window"
)

// heirs are presentations that wait for their stream to begin in this process: each is gone on with.
type heirs struct {
	mu      sync.Mutex // guards what follows
	waiting map[string]*window.Presentation
	begins  map[string]time.Time
}

// put has a presentation wait for its stream.
func (h *heirs) put(p *window.Presentation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting[p.Stream] = p
}

// drop has a presentation wait no more; false tells that its stream has begun.
func (h *heirs) drop(p *window.Presentation) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[p.Stream] != p {
		return false
	}
	delete(h.waiting, p.Stream)
	return true
}

// expect has a stream wait for its publisher, and go on with a presentation. Where that cannot be the show is over: who watches it would
// wait for ever otherwise.
func (n *Node) expect(p *window.Presentation, who publisher, wait time.Duration) {
	n.upgrade.heirs.put(p)
	err := n.hub.Expect(p.Stream, who.stream(), who.created(), wait)
	if err == nil {
		return
	}
	n.log.Warn("a stream is not waited for: its show is over", "stream", p.Stream, "error", err)
	if n.upgrade.heirs.drop(p) {
		p.End()
		n.shows.linger(p, lingers(n.cfg.Load()))
	}
}

// claimed tells a stream that begins what it goes on with, and under which generation: above the one before, so that no name is given
// twice.
func (h *heirs) claimed(name string) (gen int64, p *window.Presentation, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p = h.waiting[name]; p == nil {
		return 0, nil, false
	}
	return max(time.Now().UnixMilli(), p.Gen()+1), p, true
}

// begun notes the packager of a stream that has begun.
func (h *heirs) begun(s *stream.Stream, k *packager.Packager) {
	name := s.Name()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[name] != nil {
		delete(h.waiting, name)
		h.begins[name] = k.Begins()
	}
}

// from is the date before which the timeline of a stream that has just begun must not: the end of what it goes on with.
func (h *heirs) from(name string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.begins[name]
	delete(h.begins, name)
	return at
}
