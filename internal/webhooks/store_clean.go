package webhooks

import (
	"errors"
	"os"
	"slices"
)

// drop deletes the oldest segments as long as nothing in them waits. None goes before an older one: it may say that what that
// one has was told.
func (s *store) drop() {
	for len(s.segments) > 0 && s.segments[0].live == 0 {
		g := s.segments[0]
		if len(s.segments) == 1 && s.file != nil {
			if g.size < s.segmentSize {
				return // it goes on growing
			}
			s.seal()
		}
		if err := os.Remove(s.path(g.number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return // tried again with the next
		}
		s.total -= g.size
		s.segments = slices.Delete(s.segments, 0, 1)
	}
}

// clean copies what waits in the oldest segments to the end, so that they can go, as long as the files are larger than the limit.
// What waits is less than half of the limit, so that each round over all segments frees as much.
func (s *store) clean() error {
	s.drop()
	for rounds := len(s.segments); s.total > s.limit-2*s.segmentSize && len(s.segments) > 1 && rounds > 0; rounds-- {
		g := s.segments[0]
		b, err := s.readAll(g.number)
		if err != nil {
			return err
		}
		if err := s.move(g, b); err != nil {
			return err
		}
		s.drop()
	}
	return nil
}

// move copies what waits in a segment to the end.
func (s *store) move(g *segment, b []byte) error {
	for _, e := range g.events {
		if e.segment != g {
			continue
		}
		rec, err := recordAt(b, e.offset, e.seq)
		if err != nil {
			return err
		}
		head, err := s.head()
		if err != nil {
			return err
		}
		rec.keys = e.keys
		at := head.size
		// Not flushed one by one: the flush below is before the original goes.
		copied := appendRecord(nil, rec.append)
		if err := s.write(copied, false); err != nil {
			return err
		}
		s.place(e, head, at, len(copied))
		if head.size >= s.segmentSize {
			if err := s.file.Sync(); err != nil {
				s.seal()
				return err
			}
		}
	}
	g.events = nil
	if s.file != nil {
		return s.file.Sync()
	}
	return nil
}
