package stream

import "time"

// changes is what Options.Changed has still to be told of a stream.
type changes struct {
	told    State // the last one that was, or is being told
	waiting []State
	telling bool
}

// becomeLocked notes a state, to be told once the lock is given back.
func (s *Stream) becomeLocked(is State) {
	c := &s.changes
	if s.hub.opt.Changed == nil {
		return
	}
	before, last := c.told, c.told
	if n := len(c.waiting); n > 0 {
		last = c.waiting[n-1]
		if n > 1 {
			before = c.waiting[n-2]
		}
	}
	switch {
	case last == is:
	case len(c.waiting) > 0 && before == is:
		c.waiting = c.waiting[:len(c.waiting)-1] // it went and came before that could be told, so the list stays short
	default:
		c.waiting = append(c.waiting, is)
	}
}

// tell passes on what has changed, without the lock. Where another goroutine is at it, that one goes on with what is new.
func (s *Stream) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.changes
	if c.telling {
		return
	}
	c.telling = true
	for len(c.waiting) > 0 {
		c.told = c.waiting[0]
		c.waiting = c.waiting[1:]
		is := c.told
		s.mu.Unlock()
		s.hub.opt.Changed(s, is)
		s.mu.Lock()
	}
	c.telling = false
}

// beginLocked has the first era start no sooner than a time of day; the zero time is no bound.
func (s *Stream) beginLocked(at time.Time) {
	if !at.IsZero() {
		s.end90k = max(s.end90k, Rescale(at.UnixMicro(), 1e6, 90000)+1) // rounding may have taken it back
	}
}
