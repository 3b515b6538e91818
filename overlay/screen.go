package overlay

import "time"

// Screen is where a desk's states go: into the media of the stream while it is live.
type Screen interface {
	// Announce puts a state on the timeline. States come in the order of their sequence, each replaces the one before,
	// and none takes effect before one that came earlier. It does not block.
	Announce(Announcement)
	// Clock is the time of capture that the stream has reached, which may differ from the node's clock by what lies between
	// camera and node. Scheduled commands go by it: their timer runs out when Clock, not the node's clock, reaches At.
	Clock() time.Time
}

// Announcement is one state of the slots on its way into the media. It is immutable.
type Announcement struct {
	// Message is an ID3 tag with the signed state.
	Message []byte
	// Open are the cards that are shown: all of them.
	Open []Range
	// At is the time of capture at which the state begins; zero is the next frame. Frame, where not nil, wins.
	At    time.Time
	Frame *Frame
	// Way follows the command that made the state; nil is nobody's.
	Way Way
}

// Range is one card that is shown, as playlists tell of it.
type Range struct {
	// ID is never used for another card, revision, slot or showing: SLOT-EPOCH-SEQ, with the sequence that opened it.
	ID string
	// Value says what is shown: SLOT/CARD/REV.
	Value string
}
