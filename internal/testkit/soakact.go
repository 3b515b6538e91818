package testkit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// act is a testing.TB for a part of a test that is played many times over: what it is asked to clean up is cleaned up with the part,
// and what makes going on pointless ends the part and not the test.
type act struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex // guards what follows
	cleanups []func()
	why      error
}

// Act plays a part of a test on a goroutine of its own and waits for its end. It returns why the part ended before its time: what
// Fatal was told. Clients of this package that take a testing.TB can so be used from any goroutine, and as often as need be. ctx is
// the part's own.
func Act(ctx context.Context, t testing.TB, part func(t testing.TB)) error {
	a := &act{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.cleanUp()
		part(a)
	}()
	<-done
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why
}

func (a *act) cleanUp() {
	for {
		a.mu.Lock()
		n := len(a.cleanups)
		if n == 0 {
			a.mu.Unlock()
			return
		}
		f := a.cleanups[n-1]
		a.cleanups = a.cleanups[:n-1]
		a.mu.Unlock()
		f()
	}
}

// Cleanup implements testing.TB.
func (a *act) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

// Context implements testing.TB.
func (a *act) Context() context.Context { return a.ctx }

// Fatal implements testing.TB.
func (a *act) Fatal(args ...any) { a.fail(errors.New(fmt.Sprint(args...))) }

// Fatalf implements testing.TB.
func (a *act) Fatalf(format string, args ...any) { a.fail(fmt.Errorf(format, args...)) }

// FailNow implements testing.TB.
func (a *act) FailNow() { a.fail(errors.New("it failed")) }

func (a *act) fail(err error) {
	a.mu.Lock()
	if a.why == nil {
		a.why = err
	}
	a.mu.Unlock()
	runtime.Goexit()
}
