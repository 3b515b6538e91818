package authority

import (
	"context"
	"net/netip"
	"testing"
)

// TestGate: places go to who waited for longest, passing by those whose network has all of its own; who gives up waiting takes nobody's.
func TestGate(t *testing.T) {
	t.Parallel()
	var g gate
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	enter := func(from netip.Addr) *turn {
		t.Helper()
		v, err := g.enter(from)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	flies := func(v *turn) bool {
		select {
		case <-v.come:
			return true
		default:
			return false
		}
	}
	var flying []*turn
	for range mostCallsOfNetwork {
		flying = append(flying, enter(one))
	}
	var waiting []*turn
	for range mostWaitingOfNetwork {
		waiting = append(waiting, enter(one))
	}
	if _, err := g.enter(one); err != errFull {
		t.Errorf("one more than a network may have waiting: %v", err)
	}
	if !flies(flying[15]) || flies(waiting[0]) {
		t.Error("a network has more, or less, than its share in flight")
	}
	other := enter(two)
	if !flies(other) {
		t.Error("another network waits for the first one's")
	}
	g.leave(other)
	if flies(waiting[0]) {
		t.Error("a place that another network left went to one that has all of its own")
	}
	g.leave(waiting[0]) // gives up
	g.leave(flying[0])
	if !flies(waiting[1]) || flies(waiting[2]) {
		t.Error("the place did not go to the next")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if waiting[2].wait(ctx) == nil || waiting[1].wait(t.Context()) != nil {
		t.Error("wait is wrong")
	}
	for _, v := range append(flying[1:], waiting[1:]...) {
		g.leave(v)
	}
	if f, w := g.counts(); f != 0 || w != 0 || len(g.of) != 0 {
		t.Errorf("%d in flight, %d wait, %d networks", f, w, len(g.of))
	}
}
