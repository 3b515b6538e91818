package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Errors of requests to another node, wrapped with its name.
var (
	// ErrNoNode: the node is not there, or does not answer any more.
	ErrNoNode = errors.New("the node cannot be reached")
	// ErrBusy: this node carries as many requests as it may.
	ErrBusy = errors.New("too many requests are being carried between nodes")
	// ErrTooLarge: the request's body is larger than 4 MiB.
	ErrTooLarge = errors.New("the request's body is too large to be carried to another node")
	// ErrLost: a piece of the answer was lost on its way.
	ErrLost = errors.New("a piece of the answer was lost")
)

// Transport sends requests to a node, whatever the host in their URL is. An answer is there as soon as its head is, and its body
// comes as the node writes it. Nothing is tried again. Errors are those of this file and of the request's context.
func (d *Directory) Transport(node string) http.RoundTripper { return transport{d.tunnel, node} }

type transport struct {
	t    *tunnel
	node string
}

// RoundTrip implements http.RoundTripper.
func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := tr.roundTrip(r)
	outcome := "answered"
	switch {
	case errors.Is(err, ErrBusy):
		outcome = "busy"
	case errors.Is(err, ErrNoNode):
		outcome = "no_node"
	case errors.Is(err, ErrLost):
		outcome = "lost"
	case r.Context().Err() != nil:
		outcome = "canceled"
	case err != nil:
		outcome = "refused"
	}
	tr.t.d.metrics.requests.WithLabelValues(asking, outcome).Inc()
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", tr.node, err)
	}
	return resp, nil
}

func (tr transport) roundTrip(r *http.Request) (*http.Response, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a, err := tr.begin(r, body)
	if err != nil {
		return nil, err
	}
	a.stop = context.AfterFunc(r.Context(), func() { a.cancel(context.Cause(r.Context())) })
	head, err := a.head(body)
	if err != nil {
		a.stop()
		a.cancel(err)
		return nil, err
	}
	resp := &http.Response{
		Status: strconv.Itoa(head.Status) + " " + http.StatusText(head.Status), StatusCode: head.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: head.Header, Request: r, ContentLength: -1,
		Body: &answer{a: a},
	}
	if n, err := strconv.ParseInt(head.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		resp.ContentLength = n
	}
	return resp, nil
}

// bodyOf reads and closes a request's body.
func bodyOf(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	if len(body) > maxBody {
		return nil, ErrTooLarge
	}
	return body, nil
}

// asked is a request that this node has sent to another one.
type asked struct {
	t      *tunnel
	id     string
	node   string
	frames chan incoming
	done   chan struct{} // closed with err set
	stop   func() bool   // ends the watch over the request's context

	next  uint32 // number of the next frame; of the subscription's goroutine only
	taken uint32 // data frames that were read; of the reader only

	mu    sync.Mutex // guards what follows
	heard time.Time
	err   error
	over  bool
}

// incoming is a frame of an answer.
type incoming struct {
	kind    byte
	payload []byte
}

// begin sends the head of a request, with its body if that is small.
func (tr transport) begin(r *http.Request, body []byte) (*asked, error) {
	t := tr.t
	if !validNode(tr.node) {
		return nil, fmt.Errorf("%w: %.80q is not a node's name", ErrNoNode, tr.node)
	}
	h := requestHead{ID: newID(), From: t.d.opts.Self.Name, Method: r.Method, URI: r.URL.RequestURI(), Length: len(body)}
	if h.Method == "" {
		h.Method = http.MethodGet
	}
	var err error
	if h.Header, err = allowed(r.Header); err != nil {
		return nil, err
	}
	if len(h.URI) > maxURI || !validMethod(h.Method) {
		return nil, errors.New("the request's path is too long to be carried, or its method is not one")
	}
	inline := body
	if len(inline) > maxInline {
		inline = nil
	}
	payload, err := appendRequest(h, inline)
	if err != nil {
		return nil, err
	}
	a := &asked{t: t, id: h.ID, node: tr.node, done: make(chan struct{}), heard: t.d.now(),
		// Data frames within the window, and one each of the others.
		frames: make(chan incoming, window+4)}
	t.mu.Lock()
	switch {
	case t.closed:
		t.mu.Unlock()
		return nil, errStopping
	case len(t.asked) >= maxAsked:
		t.mu.Unlock()
		return nil, ErrBusy
	}
	t.asked[a.id] = a
	t.d.metrics.open.WithLabelValues(asking).Set(float64(len(t.asked)))
	t.mu.Unlock()
	m := &nats.Msg{Subject: subject(tr.node, "http"), Reply: subject(h.From, "reply."+a.id), Data: appendFrame(nil, frameRequest, 0, payload)}
	if err := t.d.nc.PublishMsg(m); err != nil {
		err = fmt.Errorf("%w: %w", ErrNoNode, err)
		a.finish(err)
		return nil, err
	}
	return a, nil
}

// send sends a frame to the serving node.
func (a *asked) send(kind byte, number uint32, payload []byte) {
	// What does not arrive is noticed there, or by the silence here.
	_ = a.t.d.nc.Publish(subject(a.node, "control."+a.id), appendFrame(nil, kind, number, payload))
}

// head waits for the answer's head, and sends the body when it is wanted.
func (a *asked) head(body []byte) (answerHead, error) {
	for {
		f, err := a.receive()
		if err != nil {
			return answerHead{}, err
		}
		switch f.kind {
		case frameAccept:
			number := uint32(1)
			for rest := body; len(rest) > 0; number++ {
				n := min(maxPiece, len(rest))
				a.send(frameBody, number, rest[:n])
				rest = rest[n:]
			}
		case frameHead:
			return parseAnswer(f.payload)
		case frameEnd:
			return answerHead{}, fmt.Errorf("%w: it ended without an answer: %.200q", ErrLost, f.payload)
		default:
			return answerHead{}, fmt.Errorf("%w: its answer has no head", ErrLost)
		}
	}
}

// receive waits for a frame. What has come before an end is given first.
func (a *asked) receive() (incoming, error) {
	select {
	case f := <-a.frames:
		return f, nil
	default:
	}
	select {
	case f := <-a.frames:
		return f, nil
	case <-a.done:
		select {
		case f := <-a.frames:
			return f, nil
		default:
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return incoming{}, a.err
	}
}

// reply takes the frames of answers.
func (t *tunnel) reply(m *nats.Msg) {
	t.mu.Lock()
	a := t.asked[idOf(m)]
	t.mu.Unlock()
	if a == nil {
		return
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		a.finish(fmt.Errorf("%w: nobody of that name is connected", ErrNoNode))
		return
	}
	kind, number, payload, err := parseFrame(m.Data)
	if err != nil || len(payload) > maxAnswer {
		t.d.ignored("answer", "malformed")
		return
	}
	a.mu.Lock()
	a.heard = t.d.now()
	a.mu.Unlock()
	if number != a.next {
		a.cancel(fmt.Errorf("%w: number %d came instead of %d", ErrLost, number, a.next))
		return
	}
	if kind == frameAlive {
		return
	}
	a.next++
	select {
	case a.frames <- incoming{kind, payload}:
	default:
		a.cancel(fmt.Errorf("%w: it came faster than was agreed", ErrLost))
	}
}

// tick says that this side is there, and notices when the other one is not.
func (a *asked) tick(now time.Time) {
	a.mu.Lock()
	silent := now.Sub(a.heard)
	a.mu.Unlock()
	if silent >= a.t.d.opts.pace.silence {
		a.cancel(fmt.Errorf("%w: it has not been heard for %s", ErrNoNode, silent.Round(time.Millisecond)))
		return
	}
	a.send(frameAlive, 0, nil)
}

// finish ends a request; false when it has ended before.
func (a *asked) finish(err error) bool {
	a.mu.Lock()
	if a.over {
		a.mu.Unlock()
		return false
	}
	a.over, a.err = true, err
	close(a.done)
	a.mu.Unlock()
	a.t.mu.Lock()
	delete(a.t.asked, a.id)
	a.t.d.metrics.open.WithLabelValues(asking).Set(float64(len(a.t.asked)))
	a.t.mu.Unlock()
	return true
}

// cancel ends a request that the serving node may still be at work for.
func (a *asked) cancel(err error) {
	if a.finish(err) {
		a.send(frameCancel, 0, nil)
	}
}

// answer is the body of an answer.
type answer struct {
	a    *asked
	rest bytes.Reader
	err  error
}

// Read implements io.Reader.
func (b *answer) Read(p []byte) (int, error) {
	for b.rest.Len() == 0 {
		if b.err != nil {
			return 0, b.err
		}
		f, err := b.a.receive()
		switch {
		case err != nil:
			b.err = err
		case f.kind == frameData:
			b.rest.Reset(f.payload)
			b.take()
		case f.kind == frameEnd && len(f.payload) == 0:
			b.err = io.EOF
			b.end()
		case f.kind == frameEnd:
			b.err = fmt.Errorf("the answer of node %s is not whole: %.200q: %w", b.a.node, f.payload, io.ErrUnexpectedEOF)
			b.end()
		default:
			b.err = fmt.Errorf("%w: a frame of kind %d came in its body", ErrLost, f.kind)
			b.a.cancel(b.err)
		}
	}
	return b.rest.Read(p)
}

// take tells the serving node from time to time how far this one has read.
func (b *answer) take() {
	b.a.taken++
	if b.a.taken%(window/4) == 0 {
		b.a.send(frameCredit, 0, binary.BigEndian.AppendUint32(nil, b.a.taken))
	}
}

func (b *answer) end() {
	b.a.stop()
	b.a.finish(b.err)
}

// Close implements io.Closer. It ends the request at the serving node.
func (b *answer) Close() error {
	b.a.stop()
	b.a.cancel(http.ErrBodyReadAfterClose)
	return nil
}
