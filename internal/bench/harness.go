package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
)

// harness is what the test kit's clients need of a test, outside of one.
type harness struct {
	testing.TB // nil: what is not below is not called
	ctx        context.Context

	mu       sync.Mutex // guards what follows
	cleanups []func()
	errs     []error
}

// harnessFailure ends what runs in a harness.
type harnessFailure struct{ error }

// within runs f in a harness and cleans up behind it.
func within(ctx context.Context, f func(h *harness) error) (err error) {
	h := &harness{ctx: ctx}
	defer func() {
		if failure, ok := recover().(harnessFailure); ok && err == nil {
			err = failure.error
		}
		for i := len(h.cleanups) - 1; i >= 0; i-- {
			h.cleanups[i]()
		}
		if len(h.errs) > 0 && err == nil {
			err = h.errs[0]
		}
	}()
	return f(h)
}

func (h *harness) Helper()                  {}
func (h *harness) Context() context.Context { return h.ctx }
func (h *harness) Fatal(args ...any)        { panic(harnessFailure{fmt.Errorf("%s", fmt.Sprint(args...))}) }
func (h *harness) Fatalf(format string, args ...any) {
	panic(harnessFailure{fmt.Errorf(format, args...)})
}

func (h *harness) Errorf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, fmt.Errorf(format, args...))
}

func (h *harness) Cleanup(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cleanups = append(h.cleanups, f)
}

// target is the node as the kit's clients see it.
type target struct{ *node }

// Address implements testkit.Target.
func (t target) Address(name string) net.Addr {
	at, err := net.ResolveTCPAddr("tcp", map[string]string{"rtmp": t.RTMP, "rtsp": t.RTSP, "srt": t.SRT, "whip-udp": t.WHIP}[name])
	if err != nil {
		return nil
	}
	return at
}

// HTTP implements testkit.Target.
func (t target) HTTP() string { return "http://" + t.node.HTTP }
