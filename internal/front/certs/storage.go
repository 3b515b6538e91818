package certs

import (
	"context"
	"errors"
	"sync"

	"github.com/caddyserver/certmagic"
)

// storage keeps certificates in files. Its locks are of this process, which has the folder for itself: certmagic's own are files as
// well, with a goroutine each that outlives them by seconds, and a node that was killed would wait for those it left behind. While
// one process of a node takes over from another both may ask for the same certificate, which is one too many and does no harm.
type storage struct {
	certmagic.FileStorage

	mu    sync.Mutex // guards locks
	locks map[string]chan struct{}
}

var _ certmagic.Storage = (*storage)(nil)

// of is the lock of a name: a channel that has room for one.
func (s *storage) of(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locks[name]
	if l == nil {
		if s.locks == nil {
			s.locks = map[string]chan struct{}{} // one for each domain and the account
		}
		l = make(chan struct{}, 1)
		s.locks[name] = l
	}
	return l
}

// Lock implements certmagic.Locker.
func (s *storage) Lock(ctx context.Context, name string) error {
	select {
	case s.of(name) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryLock implements certmagic.TryLocker.
func (s *storage) TryLock(_ context.Context, name string) (bool, error) {
	select {
	case s.of(name) <- struct{}{}:
		return true, nil
	default:
		return false, nil
	}
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(_ context.Context, name string) error {
	select {
	case <-s.of(name):
		return nil
	default:
		return errors.New("the lock " + name + " is not held")
	}
}
