package stream

import (
	"slices"
	"sync"
	"time"
)

// Stream is one show under one name. It outlives its publisher's connections until it has been without one for the
// reconnect window.
type Stream struct {
	name    string
	hub     *Hub
	created time.Time

	mu         sync.Mutex // guards what follows
	credential string
	session    *Session // the publisher that may write; nil while away
	publisher  Publisher
	since      time.Time // when session began, or when it went
	era        int
	tracks     []*Track
	rungs      []*Track // of the branch
	end90k     int64    // highest end of any frame, in 1/90,000 s
	consumers  []Consumer
	expiry     *time.Timer // runs while away
	absence    int         // counts the times that the publisher went, to tell one timer from another
	until      time.Time   // when expiry fires
	over       bool
	cause      error // why it is over, for its last session
	reconnects int
	changes    changes
	stats      statsTable
}

// Name of the stream.
func (s *Stream) Name() string { return s.name }

// Created is when the stream was made on this node.
func (s *Stream) Created() time.Time { return s.created }

// claim makes p the stream's publisher. Its errors are *TakenError and errOver.
func (s *Stream) claim(p Publisher) (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, errOver
	}
	taken, way := s.admitLocked(p)
	if taken != nil {
		return nil, taken
	}
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if s.era > 0 {
		s.reconnects++
	}
	if s.session != nil {
		kick := s.publisher.Kick
		s.session.gone = way
		s.session = nil
		s.away()
		if kick != nil {
			kick(way)
		}
	}
	s.era++
	s.publisher, s.credential = p, p.Credential
	s.since = s.hub.opt.Now()
	s.tracks = nil
	s.stats.reset()
	s.session = &Session{s: s}
	s.becomeLocked(Live)
	return s.session, nil
}

// admitLocked tells why a publisher may not have the stream; nil when it may, and what the one before is told then.
func (s *Stream) admitLocked(p Publisher) (taken *TakenError, way error) {
	switch {
	case s.credential == p.Credential:
		return nil, ErrSuperseded
	case s.publisher.Standby && !p.Standby:
		return nil, ErrGaveWay
	case p.Standby && s.session == nil && s.era > 0 && s.hub.opt.Now().Sub(s.since) >= StandbyAfter:
		return nil, ErrSuperseded
	}
	taken = &TakenError{Name: s.name}
	if s.session == nil {
		taken.Until = s.until
	}
	return taken, nil
}

func (s *Stream) away() {
	for _, c := range s.consumers {
		c.Away()
	}
}

// stop closes the stream for good: because the hub closes, or, with yield, for another node to go on. It tells whether it was open.
func (s *Stream) stop(cause error, yield bool) bool {
	s.mu.Lock()
	open := s.endLocked(cause, yield)
	s.mu.Unlock()
	s.hub.forget(s)
	s.tell()
	return open
}

// endLocked closes the stream, unless it is over.
func (s *Stream) endLocked(cause error, yield bool) bool {
	if s.over {
		return false
	}
	s.over, s.cause = true, cause
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.session != nil {
		s.session = nil
		if s.publisher.Kick != nil {
			s.publisher.Kick(cause)
		}
	}
	is := Ended
	if yield {
		is = Elsewhere
	}
	for _, c := range s.consumers {
		if y, ok := c.(interface{ Yield() }); ok && is == Elsewhere {
			y.Yield()
		} else {
			c.End()
		}
	}
	s.becomeLocked(is)
	return true
}

// Session is a publisher's hold on its stream. Once another has taken over, its methods return ErrSuperseded, or ErrGaveWay to one
// that stood by, and change nothing; once the stream has ended, ErrClosed, or ErrElsewhere where another node has it.
type Session struct {
	s    *Stream
	gone error // why another has the stream now; guarded by the stream's lock
}

// goneLocked is why the session may not write any more; nil when it may.
func (x *Session) goneLocked() error {
	switch {
	case x.s.session == x:
		return nil
	case x.s.over:
		return x.s.cause
	case x.gone != nil:
		return x.gone
	}
	return ErrSuperseded
}

// Start returns the era in which the session begins and the time on the stream's timeline, in 1/90,000 s, from which it
// may count: behind all earlier frames.
func (x *Session) Start() (era int, from90k int64) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.s.era, x.s.fromLocked()
}

// fromLocked is where an era may begin. Each one starts at the time of day (UTC), so that a node that lost all state
// still goes forward, and a player that lives through its restart finds the new show behind the old one.
func (s *Stream) fromLocked() int64 {
	return max(s.end90k, Rescale(s.hub.opt.Now().UnixMilli(), 1000, 90000))
}

// Began is when the session's stream was made on this node: see Stream.Created.
func (x *Session) Began() time.Time { return x.s.created }

// NextEra begins another stretch of time within the session.
func (x *Session) NextEra() (era int, from90k int64) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.session == x {
		x.s.era++
	}
	return x.s.era, x.s.fromLocked()
}

// SetTrack adds a track, or replaces the one with the same ID.
func (x *Session) SetTrack(t *Track) error {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := x.goneLocked(); err != nil {
		return err
	}
	tracks := slices.Clone(s.tracks)
	if i := slices.IndexFunc(tracks, func(o *Track) bool { return o.ID == t.ID }); i >= 0 {
		tracks[i] = t
	} else {
		tracks = append(tracks, t)
		slices.SortFunc(tracks, func(a, b *Track) int { return a.ID - b.ID })
	}
	s.tracks = tracks
	s.declareLocked()
	return nil
}

// declareLocked tells the consumers all tracks.
func (s *Stream) declareLocked() {
	tracks := slices.Concat(s.tracks, s.rungs)
	slices.SortFunc(tracks, func(a, b *Track) int { return a.ID - b.ID })
	for _, c := range s.consumers {
		c.Tracks(tracks)
	}
}

// Write hands one frame to all consumers.
func (x *Session) Write(f *Frame) error {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := x.goneLocked(); err != nil {
		return err
	}
	s.stats.frame(f, s.hub.opt.Now())
	s.passLocked(f)
	return nil
}

// passLocked hands a frame to the consumers.
func (s *Stream) passLocked(f *Frame) {
	end := Rescale(max(f.PTS, f.DTS)+f.Duration, f.Track.ClockRate, 90000)
	s.end90k = max(s.end90k, end)
	for _, c := range s.consumers {
		c.Frame(f)
	}
}

// WriteData hands one timed message to all consumers.
func (x *Session) WriteData(d *Data) error {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := x.goneLocked(); err != nil {
		return err
	}
	for _, c := range s.consumers {
		c.Data(d)
	}
	return nil
}

// Drop counts something thrown away.
func (x *Session) Drop(reason string) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == x {
		s.stats.drop(reason)
	}
}

// ClockOff tells that the publisher's times of capture cannot be true, and how far its clock is ahead.
func (x *Session) ClockOff(off time.Duration) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == x {
		s.stats.clockOff = off
	}
}

// Close lets the stream go. It stays open for the publisher's return for the reconnect window.
func (x *Session) Close() {
	x.s.leave(x)
	x.s.tell()
}

// End closes the stream for good, unless the session is its publisher no more: it does not wait for anybody to return. The session's
// methods return the cause from then on; the publisher is not kicked, since it is the one that calls.
func (x *Session) End(cause error) {
	s := x.s
	s.mu.Lock()
	mine := s.session == x
	if mine {
		s.session = nil
		s.endLocked(cause, false)
	}
	s.mu.Unlock()
	if mine {
		s.hub.forget(s)
		s.tell()
	}
}

// leave takes a session's publisher from the stream, if it is still the one.
func (s *Stream) leave(x *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != x {
		return
	}
	s.session = nil
	s.away()
	s.waitLocked(s.hub.opt.ReconnectWindow())
}

// waitLocked keeps the stream open for its publisher, for as long as wait.
func (s *Stream) waitLocked(wait time.Duration) {
	s.since = s.hub.opt.Now()
	s.becomeLocked(Waiting)
	s.until = s.since.Add(wait)
	s.absence++
	absence := s.absence
	s.expiry = time.AfterFunc(wait, func() { s.expire(absence) })
}

// expire ends the stream unless its publisher came back in the moment between the timer and the lock, even if it has
// gone again since.
func (s *Stream) expire(absence int) {
	s.mu.Lock()
	late := s.session != nil || s.absence != absence
	if !late {
		s.endLocked(ErrClosed, false)
	}
	s.mu.Unlock()
	if !late {
		s.hub.forget(s)
		s.tell()
	}
}
