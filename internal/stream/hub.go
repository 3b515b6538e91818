package stream

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// ErrSuperseded is returned to a publisher whose stream has gone over to a newer connection of the same credential.
var ErrSuperseded = errors.New("another connection with the same credential took over this stream")

// ErrFull is returned to a publisher whose stream would be one more than there may be.
var ErrFull = errors.New("there are as many streams as there may be")

// ErrClosed is returned once the hub is closing.
var ErrClosed = errors.New("the node is shutting down")

// ErrElsewhere is returned to a publisher whose stream another node has now.
var ErrElsewhere = errors.New("another node has taken over this stream")

// ErrGaveWay is returned to a publisher that stood by, and whose stream went to one that does not.
var ErrGaveWay = errors.New("the publisher that this one stands by for is back")

// StandbyAfter is how long a stream's publisher has to be away before one that stands by takes over.
const StandbyAfter = 2 * time.Second

// TakenError says that a name is in use under another credential.
type TakenError struct {
	// Name of the stream.
	Name string
	// Until is when the name becomes free unless its publisher returns; zero while that publisher is live.
	Until time.Time
}

// Error implements error.
func (e *TakenError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("stream %q is live under another credential", e.Name)
	}
	return fmt.Sprintf("stream %q is kept for its publisher until %s", e.Name, e.Until.Format(time.TimeOnly))
}

// Consumer takes what a stream's publisher sends.
//
// The stream calls it from one goroutine at a time, under the stream's lock: a consumer does bounded work in memory and
// returns. It never waits, never does I/O and never calls back into the stream; one that must puts a bounded queue of
// its own in between.
type Consumer interface {
	// Tracks tells all tracks known so far, before the first frame of a new one. It is called again when a track is
	// added or replaced.
	Tracks([]*Track)
	// Frame takes one access unit; frames of one track come in decoding order.
	Frame(*Frame)
	// Data takes one timed message.
	Data(*Data)
	// Away tells that the publisher is gone, perhaps to return: a later frame then has a higher Era.
	Away()
	// End tells that the stream is over. Nothing follows.
	End()
}

// Options sets a hub up.
type Options struct {
	// ReconnectWindow is asked for each time a publisher goes: how long its stream stays open for it.
	ReconnectWindow func() time.Duration
	// Attach is called for each new stream, before anything is published on it, and returns its consumers.
	Attach func(*Stream) []Consumer
	// Begin is asked for each new stream, after Attach, where its first era may start: not before that time of day on the
	// stream's timeline. A stream that goes on with what another node has begun starts behind that, even if this node's clock
	// is not as far. Nil, and the zero time, leave it to the clock. Like Attach it must not call the hub.
	Begin func(name string) time.Time
	// Changed is told each State that a stream comes to, from the first Live on. It is called without any lock, by one goroutine at
	// a time for a stream, in order; by whoever caused the change, or who caused the one before it. States that were over before
	// they could be told are left out. It must not block: publishers come and go no faster than it returns. What is told of a
	// stream and of the next one of the same name, which may begin before the end of the first was told, has no order. Nil is
	// told nothing.
	Changed func(*Stream, State)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Hub holds the node's live streams by name.
type Hub struct {
	opt Options

	mu      sync.Mutex // guards what follows; taken before any Stream's
	streams map[string]*Stream
	closed  bool

	closing chan struct{} // closed by Close
}

// NewHub makes an empty hub.
func NewHub(opt Options) *Hub {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Hub{opt: opt, streams: map[string]*Stream{}, closing: make(chan struct{})}
}

// Publisher is who claims a stream.
type Publisher struct {
	// Credential tells publishers apart; the same one may take its stream over at any time.
	Credential string
	// Ladder is the name of the ladder that the credential asks for; "" leaves it to the stream's name.
	Ladder string
	// Standby tells that the publisher gives way to those of other credentials that do not stand by, and takes over from them once
	// they have been away for StandbyAfter.
	Standby bool
	// MaxStreams is how many streams there may be for the publisher to begin another one; 0 is no limit. It may go on with one that is
	// there however many there are.
	MaxStreams int
	// Protocol, Remote and Agent are for people.
	Protocol, Remote, Agent string
	// Kick ends the connection for a reason that came up elsewhere: ErrSuperseded, ErrGaveWay, ErrElsewhere or ErrClosed. It
	// does not block.
	Kick func(error)
}

// Publish claims a stream, making it if need be. Its errors are *TakenError, ErrFull and ErrClosed.
func (h *Hub) Publish(name string, p Publisher) (*Session, error) {
	x, err := h.publish(name, p)
	if err != nil {
		return nil, err
	}
	x.s.tell()
	return x, nil
}

func (h *Hub) publish(name string, p Publisher) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if s := h.streams[name]; s != nil {
		if x, err := s.claim(p); !errors.Is(err, errOver) {
			return x, err
		}
		// It has just ended, and waits for the hub to forget it: the name is free.
	}
	if err := h.vacancyLocked(name, p); err != nil {
		return nil, err
	}
	s := &Stream{name: name, hub: h, created: h.opt.Now(), credential: p.Credential}
	s.consumers = h.opt.Attach(s)
	if h.opt.Begin != nil {
		s.beginLocked(h.opt.Begin(name)) // nobody else knows the stream yet
	}
	h.streams[name] = s
	return s.claim(p)
}

// vacancyLocked returns ErrFull where there may be no more streams, besides that of a name.
func (h *Hub) vacancyLocked(name string, p Publisher) error {
	others := len(h.streams)
	if h.streams[name] != nil {
		others--
	}
	if p.MaxStreams > 0 && others >= p.MaxStreams {
		return ErrFull
	}
	return nil
}

// Check returns what Publish would answer at this moment, without doing it: nil, a *TakenError, ErrFull or ErrClosed.
func (h *Hub) Check(name string, p Publisher) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	s := h.streams[name]
	if s == nil {
		return h.vacancyLocked(name, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return h.vacancyLocked(name, p)
	}
	if taken, _ := s.admitLocked(p); taken != nil {
		return taken
	}
	return nil
}

// Closing is closed when the hub begins to close.
func (h *Hub) Closing() <-chan struct{} { return h.closing }

// Yield gives a stream up because another node has it now: its publisher is kicked with ErrElsewhere, and nothing of it is passed
// on any more. Consumers with a method Yield() are told by that, which is bound by what Consumer says; for the others it is the
// End. It tells whether there was such a stream.
func (h *Hub) Yield(name string) bool {
	s := h.Get(name)
	return s != nil && s.stop(ErrElsewhere, true)
}

// Leave gives a stream up because this node stops, for another one to go on with: its publisher is told ErrClosed, the rest is as with
// Yield.
func (h *Hub) Leave(name string) bool {
	s := h.Get(name)
	return s != nil && s.stop(ErrClosed, true)
}

// errOver is the answer of a stream that has ended.
var errOver = errors.New("the stream is over")

// Get returns a stream by name; nil when there is none.
func (h *Hub) Get(name string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[name]
}

// List returns all streams, sorted by name.
func (h *Hub) List() []*Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// Close ends every stream and lets nobody publish any more.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		close(h.closing)
	}
	h.closed = true
	all := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	h.mu.Unlock()
	for _, s := range all {
		s.stop(ErrClosed, false)
	}
}

// forget takes an ended stream off the list.
func (h *Hub) forget(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.name] == s {
		delete(h.streams, s.name)
	}
}
