package ingest

import (
	"sync"

	"pushcart/internal/stream"
)

// seat is what a standby waits on.
type seat struct{ name, credential string }

// seats are the standbys of a door: one for each key, since a connection of the same key comes in the place of the one before.
type seats struct {
	mu    sync.Mutex // guards taken
	taken map[seat]*standby
}

// take gives a standby its seat, and sends away who had it. When it returns that one claims the stream no more.
func (l *seats) take(s *standby) {
	at := seat{s.who.Name, string(s.who.Credential)}
	l.mu.Lock()
	former := l.taken[at]
	l.taken[at] = s
	l.mu.Unlock()
	if former != nil {
		former.cancel()
		former.kick(gone(stream.ErrSuperseded))
		<-former.ended
	}
}

// leave gives a seat up.
func (l *seats) leave(s *standby) {
	at := seat{s.who.Name, string(s.who.Credential)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[at] == s {
		delete(l.taken, at)
	}
}
