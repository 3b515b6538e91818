package stream

import "time"

// Expect makes a stream that waits for its publisher, as one does whose publisher has just gone: a show that another process, or
// another node, has begun goes on here. p says who it was; its credential may have the stream again. created is when it began. It ends unless its publisher comes
// within wait. Its errors are *TakenError where the name is in use, and ErrClosed.
func (h *Hub) Expect(name string, p Publisher, created time.Time, wait time.Duration) error {
	s, err := h.expect(name, p, created, wait)
	if err != nil {
		return err
	}
	s.tell()
	return nil
}

func (h *Hub) expect(name string, p Publisher, created time.Time, wait time.Duration) (*Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if h.streams[name] != nil {
		return nil, &TakenError{Name: name}
	}
	p.Kick = nil
	s := &Stream{name: name, hub: h, created: created, credential: p.Credential, publisher: p, era: 1}
	s.consumers = h.opt.Attach(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.opt.Begin != nil {
		s.beginLocked(h.opt.Begin(name))
	}
	h.streams[name] = s
	s.waitLocked(wait)
	return s, nil
}

// Expected is who published a stream last, when it began, and for how long it stays open for him when he goes now; false where there is
// no such stream. The publisher's Kick is nil.
func (h *Hub) Expected(name string) (p Publisher, created time.Time, wait time.Duration, ok bool) {
	s := h.Get(name)
	if s == nil {
		return p, created, 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return p, created, 0, false
	}
	wait = h.opt.ReconnectWindow()
	if s.session == nil {
		wait = max(s.until.Sub(h.opt.Now()), 0)
	}
	p = s.publisher
	p.Kick, p.Credential = nil, s.credential
	return p, s.created, wait, true
}
