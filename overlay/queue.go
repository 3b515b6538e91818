package overlay

import (
	"context"
	"sync"
)

// Bounds on commands that wait for a desk.
const (
	mostWaiting      = 1024
	mostWaitingBytes = 16 << 20
)

// job is a request on its way to the clerk.
type job struct {
	*request
	// ctx is the sender's: a command whose sender has gone before it was looked at is dropped. nil for one that comes
	// with the media, whose sender does not wait.
	ctx context.Context
	// done takes the answer, on the clerk's goroutine. err is a *Refusal, or ctx's.
	done func(r Result, err error)
	// way follows it; nil is nobody's.
	way Way
}

// admission is what came of an attempt to put a job into a queue.
type admission int

const (
	queueTook admission = iota
	queueFull
	queueShut
)

// queue is where a desk's commands wait. It is for any goroutine.
type queue struct {
	wake chan struct{} // holds one value when there is something to take

	mu      sync.Mutex // guards what follows
	jobs    []*job
	calls   []func() // what else the clerk is to do, before the jobs
	bytes   int
	closing bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put adds a job, unless too many wait or the queue is shut.
func (q *queue) put(j *job) admission {
	n := j.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closing:
		return queueShut
	case len(q.jobs) >= mostWaiting || len(q.jobs) > 0 && q.bytes+n > mostWaitingBytes:
		return queueFull
	}
	q.jobs = append(q.jobs, j)
	q.bytes += n
	q.signal()
	return queueTook
}

// call has the clerk do something, however much waits. It returns false when the queue is shut.
func (q *queue) call(do func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		return false
	}
	q.calls = append(q.calls, do)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() ([]*job, []func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs, calls := q.jobs, q.calls
	q.jobs, q.calls, q.bytes = nil, nil, 0
	return jobs, calls
}

// shut lets nothing in any more. What is in stays to be taken.
func (q *queue) shut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.signal()
}

// shutting tells whether shut was called.
func (q *queue) shutting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing
}
