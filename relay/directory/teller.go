package directory

import (
	"context"
	"sync"
)

// teller calls Options.Superseded, in order and without any lock held. What waits is bounded by the streams that the node owns.
type teller struct {
	call func(stream string, gen int64)
	wake chan struct{}

	mu    sync.Mutex // guards queue
	queue []loss
}

type loss struct {
	stream string
	gen    int64
}

func newTeller(call func(string, int64)) *teller {
	return &teller{call: call, wake: make(chan struct{}, 1)}
}

func (t *teller) tell(stream string, gen int64) {
	if t.call == nil {
		return
	}
	t.mu.Lock()
	t.queue = append(t.queue, loss{stream, gen})
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *teller) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		}
		t.mu.Lock()
		queue := t.queue
		t.queue = nil
		t.mu.Unlock()
		for _, l := range queue {
			t.call(l.stream, l.gen)
		}
	}
}
