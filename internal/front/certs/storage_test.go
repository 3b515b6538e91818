package certs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestLocks: a lock is held by one, is waited for as long as the context says, and is one for each name.
func TestLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &storage{}
		if err := s.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.Lock(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if ok, _ := s.TryLock(t.Context(), "a"); ok {
			t.Error("held twice")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		got := make(chan error)
		go func() { got <- s.Lock(t.Context(), "a") }()
		synctest.Wait()
		if err := s.Unlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
		if err := s.Unlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if s.Unlock(t.Context(), "a") == nil {
			t.Error("let go of what is not held")
		}
		if ok, _ := s.TryLock(t.Context(), "a"); !ok {
			t.Error("not to be had")
		}
	})
}
