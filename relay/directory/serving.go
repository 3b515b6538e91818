package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// served is a request of another node that this one answers.
type served struct {
	t      *tunnel
	head   requestHead
	uri    *url.URL
	ctx    context.Context
	cancel context.CancelCauseFunc
	credit chan struct{} // of one: more data frames may be sent

	// Of the control subscription's goroutine until the handler runs.
	body []byte
	next uint32

	mu      sync.Mutex // guards what follows, and the order of frames
	heard   time.Time
	number  uint32 // of the next frame
	sent    uint32 // data frames
	taken   uint32 // of those, by the other side
	running bool
	over    bool
}

// request takes a new request.
func (t *tunnel) request(m *nats.Msg) {
	kind, _, payload, err := parseFrame(m.Data)
	var s *served
	if err == nil && kind == frameRequest {
		s = &served{t: t, credit: make(chan struct{}, 1), heard: t.d.now(), next: 1}
		s.head, s.uri, s.body, err = parseRequest(payload)
	}
	if s == nil || err != nil {
		t.d.ignored("request", "malformed")
		t.d.log.Debug("a request of another node is not used", "error", err)
		return
	}
	s.ctx, s.cancel = context.WithCancelCause(t.d.ctx)
	t.mu.Lock()
	if t.served[s.head.ID] != nil {
		t.mu.Unlock()
		s.cancel(nil)
		t.d.ignored("request", "repeated")
		return
	}
	if why := t.fullLocked(s.head); why != "" {
		t.mu.Unlock()
		s.cancel(nil)
		s.refuse(why)
		return
	}
	t.served[s.head.ID] = s
	t.bodies += s.head.Length
	t.d.metrics.open.WithLabelValues(serving).Set(float64(len(t.served)))
	t.mu.Unlock()
	if len(s.body) < s.head.Length {
		s.send(frameAccept, nil)
		return
	}
	s.start()
}

// fullLocked says why a request cannot be served now; "" when it can.
func (t *tunnel) fullLocked(h requestHead) string {
	by := 0
	for _, s := range t.served {
		if s.head.From == h.From {
			by++
		}
	}
	switch {
	case t.closed:
		return "stopping"
	case t.handler == nil:
		return "not_ready"
	case len(t.served) >= maxServed, t.bodies+h.Length > maxBodies:
		return "full"
	case by >= maxServedBy:
		return "full_for_node"
	}
	return ""
}

// refuse answers a request that was not taken.
func (s *served) refuse(why string) {
	s.t.d.metrics.requests.WithLabelValues(serving, why).Inc()
	head, _ := json.Marshal(answerHead{Status: http.StatusServiceUnavailable, Header: http.Header{
		"Content-Type": {"text/plain; charset=utf-8"}, "Retry-After": {"1"}}})
	s.send(frameHead, head)
	s.send(frameData, []byte("This node cannot take the request now ("+why+"). Try again.\n"))
	s.send(frameEnd, nil)
}

// control takes what belongs to requests under way.
func (t *tunnel) control(m *nats.Msg) {
	t.mu.Lock()
	s := t.served[idOf(m)]
	t.mu.Unlock()
	if s == nil {
		return
	}
	kind, number, payload, err := parseFrame(m.Data)
	if err != nil {
		t.d.ignored("request", "malformed")
		return
	}
	s.mu.Lock()
	s.heard = t.d.now()
	running := s.running
	s.mu.Unlock()
	switch kind {
	case frameCancel:
		s.abort(context.Canceled)
	case frameCredit:
		if len(payload) == 4 {
			s.allow(binary.BigEndian.Uint32(payload))
		}
	case frameBody:
		switch {
		case running:
			t.d.ignored("request", "malformed")
		case number != s.next || len(payload) == 0 || len(payload) > s.head.Length-len(s.body):
			s.abort(errors.New("a piece of the request's body was lost"))
		default:
			s.next++
			s.body = append(s.body, payload...)
			if len(s.body) == s.head.Length {
				s.start()
			}
		}
	}
}

// allow lets more data frames be sent.
func (s *served) allow(taken uint32) {
	s.mu.Lock()
	if taken > s.taken && taken <= s.sent {
		s.taken = taken
	}
	s.mu.Unlock()
	select {
	case s.credit <- struct{}{}:
	default:
	}
}

// send sends a frame to the asking node.
func (s *served) send(kind byte, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(kind, payload)
}

func (s *served) sendLocked(kind byte, payload []byte) {
	// What does not arrive shows there as a hole in the numbers.
	_ = s.t.d.nc.Publish(subject(s.head.From, "reply."+s.head.ID), appendFrame(nil, kind, s.number, payload))
	if kind != frameAlive {
		s.number++
	}
	if kind == frameData {
		s.sent++
	}
}

// tick says that this side is there, and notices when the other one is not.
func (s *served) tick(now time.Time) {
	s.mu.Lock()
	silent := now.Sub(s.heard)
	if !s.over {
		s.sendLocked(frameAlive, nil)
	}
	s.mu.Unlock()
	if silent >= s.t.d.opts.pace.silence+s.t.d.opts.pace.beat {
		s.abort(fmt.Errorf("node %s has not been heard for %s", s.head.From, silent.Round(time.Millisecond)))
	}
}

// abort ends a request before its answer is whole.
func (s *served) abort(err error) {
	s.cancel(err)
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if !running { // else its handler ends it
		s.end(err)
	}
}

// end says whether the answer is whole, and forgets the request.
func (s *served) end(err error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	var why []byte
	outcome := "served"
	if err != nil {
		why, outcome = []byte(err.Error()), "aborted"
		why = why[:min(len(why), 1024)]
	}
	s.sendLocked(frameEnd, why)
	s.mu.Unlock()
	s.cancel(nil)
	t := s.t
	t.mu.Lock()
	delete(t.served, s.head.ID)
	t.bodies -= s.head.Length
	t.d.metrics.open.WithLabelValues(serving).Set(float64(len(t.served)))
	t.mu.Unlock()
	t.d.metrics.requests.WithLabelValues(serving, outcome).Inc()
}

// start runs the handler.
func (s *served) start() {
	t := s.t
	t.mu.Lock()
	handler, closed := t.handler, t.closed
	if !closed && handler != nil {
		s.mu.Lock()
		s.running = !s.over
		run := s.running
		s.mu.Unlock()
		if run {
			t.wg.Go(func() { s.run(handler) })
		}
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	s.end(errStopping)
}

func (s *served) run(handler http.Handler) {
	r := (&http.Request{
		Method: s.head.Method, URL: s.uri, RequestURI: s.head.URI, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.head.Header, Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: int64(len(s.body)),
		Host: s.t.d.opts.Self.Name, RemoteAddr: s.head.From + ":0",
	}).WithContext(s.ctx)
	r.Header.Set(carriedBy, s.head.From)
	w := &writer{s: s, header: http.Header{}}
	err := s.handle(handler, w, r)
	if err == nil {
		err = w.finish()
	}
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause // a handler that ends with its context has not told everything
	}
	s.end(err)
}

// handle calls the handler, whose panics cost this request only.
func (s *served) handle(handler http.Handler, w *writer, r *http.Request) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = errors.New("the request was aborted")
		if p != http.ErrAbortHandler {
			s.t.d.log.Error("a carried request made its handler panic", "method", r.Method, "path", r.URL.Path, "panic", p)
		}
	}()
	handler.ServeHTTP(w, r)
	return nil
}

// writer is the http.ResponseWriter of a carried request. Like that of net/http it is for one goroutine.
type writer struct {
	s        *served
	header   http.Header
	wrote    bool
	noBody   bool
	buf      []byte
	deadline time.Time
	err      error
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.wrote || status < 200 {
		return
	}
	w.wrote = true
	w.noBody = w.s.head.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	h := answerHead{Status: status, Header: http.Header{}}
	for name, values := range w.header {
		if !slices.Contains(answerDrops, http.CanonicalHeaderKey(name)) {
			h.Header[name] = values
		}
	}
	data, err := json.Marshal(h)
	if err != nil || len(data) > maxAnswer || status > 599 {
		w.err = errors.New("the answer's headers cannot be carried")
		return
	}
	w.s.send(frameHead, data)
}

// Write implements http.ResponseWriter. It waits while the reader is behind.
func (w *writer) Write(p []byte) (int, error) {
	if !w.wrote {
		if w.header.Get("Content-Type") == "" {
			w.header.Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.noBody {
		return len(p), w.err
	}
	n := len(p)
	for len(p) > 0 && w.err == nil {
		if len(w.buf) == maxData {
			w.flush()
			continue
		}
		k := min(maxData-len(w.buf), len(p))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
	}
	if w.err != nil {
		return n - len(p), w.err
	}
	return n, nil
}

// flush sends what is buffered when the reader has room for it.
func (w *writer) flush() {
	if len(w.buf) == 0 || w.err != nil {
		return
	}
	if w.err = w.room(); w.err != nil {
		return
	}
	w.s.send(frameData, w.buf)
	w.buf = w.buf[:0]
}

// room waits until a data frame may be sent.
func (w *writer) room() error {
	var expired <-chan time.Time
	if !w.deadline.IsZero() {
		t := time.NewTimer(time.Until(w.deadline))
		defer t.Stop()
		expired = t.C
	}
	for {
		if err := context.Cause(w.s.ctx); err != nil {
			return err
		}
		w.s.mu.Lock()
		free := w.s.sent-w.s.taken < window
		w.s.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-w.s.credit:
		case <-w.s.ctx.Done():
		case <-expired:
			return os.ErrDeadlineExceeded
		}
	}
}

// FlushError implements what http.ResponseController asks for.
func (w *writer) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	w.flush()
	return w.err
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// SetWriteDeadline bounds how long writes wait for the reader; zero is for ever.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// SetReadDeadline does nothing: the body is there before the handler is called.
func (w *writer) SetReadDeadline(time.Time) error { return nil }

// finish sends what is left.
func (w *writer) finish() error { return w.FlushError() }
