package stream

import "slices"

// Branch writes into a stream what was made from its frames elsewhere: the rungs of a ladder. Consumers get its tracks and
// frames like those of a publisher, and tell them by Track.Rung. They come later than what they were made from, and after the
// publisher has gone; nothing of them counts in the publisher's statistics. A stream has one branch. Its methods may be called
// from any goroutine that does not hold the stream's lock, so not by a Consumer in its call.
type Branch struct{ s *Stream }

// Branch returns the stream's branch.
func (s *Stream) Branch() *Branch { return &Branch{s} }

// SetTracks replaces the branch's tracks, whose numbers begin at FirstRung and FirstRungAudio. Its error is ErrClosed.
func (b *Branch) SetTracks(tracks []*Track) error {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ErrClosed
	}
	s.rungs = slices.Clone(tracks)
	s.declareLocked()
	return nil
}

// Write hands one frame to all consumers, with the era and the times of what it was made from. Its error is ErrClosed.
func (b *Branch) Write(f *Frame) error {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ErrClosed
	}
	s.passLocked(f)
	return nil
}

// Ladder is the name of the ladder that the present or last publisher's credential asks for; "" where it asks for none. Like
// Info, it is not for a Consumer in its call.
func (s *Stream) Ladder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publisher.Ladder
}
