package pull

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"pushcart/ingest"
)

// State of a source.
type State string

// The states that a source can be in.
const (
	Waiting    State = "waiting"    // nobody watches, or the node has only just started
	Connecting State = "connecting" // it is called, and no media have come yet
	Live       State = "live"       // media come
	Failed     State = "failed"     // it will be tried again
)

// Status is a source at one moment.
type Status struct {
	// Source, its URL without the secrets.
	Source
	// Configured tells that it comes from the configuration; others were added through the API.
	Configured bool
	State      State
	// Since is when the state began.
	Since time.Time
	// Error is why the last attempt failed, a sentence without secrets, and ErrorAt when; "" and zero after one that did not.
	Error   string
	ErrorAt time.Time
	// NextTry is when a Failed source is tried again; otherwise zero.
	NextTry time.Time
	// Attempts that were begun, and Failures of them, since the source was added or changed, or the node started.
	Attempts, Failures uint64
}

// feed fetches one source. What changes is guarded by the manager's mu, unless it says otherwise.
type feed struct {
	m          *Manager
	source     Source
	configured bool
	again      chan struct{} // has one element when a Failed source is to be tried at once
	asked      atomic.Int64  // when somebody last asked for it or watched it, in ns of Unix time; 0 never

	dropped bool // the source is gone, or another one
	running bool // its goroutine is there
	stop    context.CancelFunc
	done    chan struct{}           // closed when the goroutine has ended
	rest    context.CancelCauseFunc // ends the attempt; nil between attempts

	state    State
	since    time.Time
	lastErr  string
	errAt    time.Time
	nextTry  time.Time
	attempts uint64
	failures uint64
	inARow   int // failures since it last did well
}

func (f *feed) statusLocked() Status {
	s := Status{
		Source: f.source, Configured: f.configured, State: f.state, Since: f.since, Error: f.lastErr, ErrorAt: f.errAt,
		NextTry: f.nextTry, Attempts: f.attempts, Failures: f.failures,
	}
	s.URL = Redact(s.URL)
	return s
}

// enterLocked changes the state.
func (f *feed) enterLocked(s State) {
	if !f.dropped {
		f.m.metrics.sources[f.state].Dec()
		f.m.metrics.sources[s].Inc()
	}
	f.state, f.since, f.nextTry = s, f.m.opt.Now(), time.Time{}
}

// hurryLocked has a source that failed tried at once.
func (f *feed) hurryLocked() {
	if f.state == Failed {
		select {
		case f.again <- struct{}{}:
		default:
		}
	}
}

// errIdle ends an attempt because nobody watches.
var errIdle = errors.New("nobody watches")

// errNoPuller is a source that the node has no program part for.
var errNoPuller error = refuse(ReasonInvalid, "url", "This node cannot fetch from URLs of this scheme: give another one.")

// run fetches the source again and again, until ctx ends or nobody wants it any more. before is closed when the source that
// the stream had before has ended; nil is none.
func (f *feed) run(ctx context.Context, before <-chan struct{}) {
	if before != nil {
		<-before // its context has ended, or is about to
	}
	for {
		attempt, end, ok := f.begin(ctx)
		if !ok {
			return
		}
		err := f.fetch(attempt)
		pause := f.finish(attempt, err)
		end(nil)
		if pause > 0 && !sleep(ctx, pause, f.again) {
			continue // to be stopped by begin
		}
	}
}

// begin starts an attempt, unless none is wanted: then the goroutine ends, and Demand starts another.
func (f *feed) begin(ctx context.Context) (attempt context.Context, end context.CancelCauseFunc, ok bool) {
	m := f.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || f.source.OnDemand && !m.wantedLocked(f) {
		f.running = false
		f.enterLocked(Waiting)
		return nil, nil, false
	}
	select {
	case <-f.again: // the wait was over by itself
	default:
	}
	attempt, f.rest = context.WithCancelCause(ctx)
	f.attempts++
	f.enterLocked(Connecting)
	return attempt, f.rest, true
}

// errFault is an attempt that ended by a fault of this program's.
var errFault error = &Error{Message: "A fault of this server's ended the attempt: its log says where. Please report it."}

// survive keeps a fault in handling what one source sends from ending all streams.
func (f *feed) survive(err *error) {
	fault := recover()
	if fault == nil {
		return
	}
	*err = errFault
	f.m.opt.Log.Error("a fault of this server's ended the fetching of a source; please report it", "stream", f.source.Stream,
		"panic", scrub(fmt.Sprint(fault), f.source.URL), "stack", string(debug.Stack()))
}

// fetch is one attempt. It returns when everything that it started has ended.
func (f *feed) fetch(ctx context.Context) (err error) {
	defer f.survive(&err)
	u, err := url.Parse(f.source.URL)
	if err != nil {
		return errNoPuller // not reached: it was validated
	}
	puller := f.m.opt.Pullers[u.Scheme]
	if puller == nil {
		return errNoPuller
	}
	stop := f.m.opt.Door.watch(f.source.Stream, f.began)
	defer stop()
	transport := f.source.Transport
	if transport == "auto" {
		transport = ""
	}
	return puller.Pull(ctx, ingest.Pull{Stream: f.source.Stream, URL: u, Transport: transport, Redirects: f.source.Redirects})
}

// began notes that media come.
func (f *feed) began() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.state == Connecting {
		f.enterLocked(Live)
		f.lastErr, f.errAt = "", time.Time{}
		f.m.opt.Log.Info("source is live", "stream", f.source.Stream, "source", Redact(f.source.URL))
	}
}

// finish notes how an attempt ended and returns how long to wait before the next; 0 is not at all.
func (f *feed) finish(attempt context.Context, err error) time.Duration {
	m := f.m
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	if f.state == Live && now.Sub(f.since) >= steady {
		f.inARow = 0
	}
	f.rest = nil
	if attempt.Err() != nil {
		m.metrics.attempts[resultStopped].Inc()
		f.inARow = 0
		m.opt.Log.Info("source stopped", "stream", f.source.Stream, "source", Redact(f.source.URL), "cause", f.causeLocked(attempt))
		return 0
	}
	how, message := describe(err)
	m.metrics.attempts[how].Inc()
	pause := backOff(f.inARow, m.opt.Random())
	if !heals(err) {
		pause = patience(m.opt.Random())
	}
	f.inARow++
	f.failures++
	f.enterLocked(Failed)
	f.lastErr, f.errAt, f.nextTry = scrub(message, f.source.URL), now, now.Add(pause)
	m.opt.Log.Warn("source failed", "stream", f.source.Stream, "source", Redact(f.source.URL), "error", f.lastErr, "next", pause.Round(100*time.Millisecond))
	return pause
}

// causeLocked words why an attempt was stopped.
func (f *feed) causeLocked(attempt context.Context) string {
	switch {
	case f.dropped:
		return "the source was changed or taken away"
	case f.m.ctx.Err() != nil:
		return "the node stops"
	}
	return context.Cause(attempt).Error()
}

// describe words how an attempt ended.
func describe(err error) (result, string) {
	var refusal *ingest.Refusal
	switch {
	case err == nil:
		return resultEnded, "The source ended the stream."
	case errors.As(err, &refusal):
		return resultRefused, refusal.Message
	}
	return resultFailed, err.Error()
}
