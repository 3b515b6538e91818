package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"pushcart/ingest"
	"pushcart/internal/config"
	"pushcart/internal/tracing"
	"pushcart/overlay"
	"pushcart/overlay/api"
	"pushcart/packager/hls"
)

// What is traced. A publisher's join is a span from its knock to its first published part; a viewer's request is one, with what it
// waited for as steps; a command to a desk is one, from the API's request to the part that tells of it, over nodes if need be; a
// takeover is part of the join that caused it. None has a secret, or says who a viewer is.

// flushTime is how long traces may take to be sent when the node stops.
const flushTime = 3 * time.Second

// openTracing makes what sends traces; nothing where it is off.
func (n *Node) openTracing(cfg *config.Config) (err error) {
	headers := map[string]string{}
	for _, h := range cfg.Tracing.Headers {
		if name, value, ok := strings.Cut(string(h), "="); ok {
			headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	n.tracing, err = tracing.Open(tracing.Options{
		Endpoint: cfg.Tracing.Endpoint, Headers: headers, Sample: float64(cfg.Tracing.Sample),
		Version: n.opt.Version, Instance: nodeName(cfg), Registerer: n.reg, Log: n.log,
	})
	if n.tracing != nil {
		n.joins = &joins{tracing: n.tracing, node: nodeName(cfg), waiting: map[string]*join{}}
	}
	return err
}

// closeTracing sends what is left.
func (n *Node) closeTracing() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	n.tracing.Shutdown(ctx)
}

// joins are the publishers whose first part is still to come.
type joins struct {
	tracing *tracing.Provider
	node    string

	mu      sync.Mutex // guards what follows; it may be taken under a stream's lock
	waiting map[string]*join
}

// join is one publisher's. It implements ingest.Journey.
type join struct {
	all  *joins
	span *tracing.Span

	stream string
	era    int
}

// follow begins a publisher's; nil where it is not traced.
func (j *joins) follow(req ingest.Request) ingest.Journey {
	span := j.tracing.Begin(context.Background(), tracing.Server, "publisher.join")
	if span == nil {
		return nil
	}
	span.Set("pushcart.protocol", req.Protocol)
	span.Set("pushcart.connection", req.Conn)
	span.Set("pushcart.node", j.node)
	span.Step("authorise")
	return &join{all: j, span: span}
}

// Authorised implements ingest.Journey.
func (j *join) Authorised(stream string) {
	j.stream = stream
	j.span.Set("pushcart.stream", stream)
	j.span.Step("claim")
}

// Context implements ingest.Journey.
func (j *join) Context(ctx context.Context) context.Context { return j.span.Context(ctx) }

// Claimed implements ingest.Journey.
func (j *join) Claimed(era int) {
	j.span.SetInt("pushcart.era", int64(era))
	j.span.Step("key_frame")
	j.all.mu.Lock()
	defer j.all.mu.Unlock()
	j.era = era
	j.all.waiting[j.stream] = j
}

// KeyFrame implements ingest.Journey.
func (j *join) KeyFrame() { j.span.Step("first_part") }

// Ended implements ingest.Journey.
func (j *join) Ended(why string) {
	if why == "" {
		why = "left"
	}
	j.all.mu.Lock()
	if j.all.waiting[j.stream] == j {
		delete(j.all.waiting, j.stream)
	}
	j.all.mu.Unlock()
	j.span.End(why)
}

// began ends the join of whoever publishes an era of a stream, since a part of it is there.
func (j *joins) began(stream string, era int) {
	j.mu.Lock()
	one := j.waiting[stream]
	if one == nil || one.era > era {
		j.mu.Unlock()
		return
	}
	delete(j.waiting, stream)
	j.mu.Unlock()
	one.span.End("")
}

// spanOf is the key of a request's context for its span.
type spanOf struct{}

// traced traces requests that viewers and operators send. Of viewers a trace begins with a multivariant playlist, which each asks for
// once; what comes after it is in the trace if the client says so (W3C Trace Context). It is the handler itself where tracing is off.
func (n *Node) traced(h http.Handler) http.Handler {
	if n.tracing == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, stream, begins := spanName(r)
		if name == "" || !begins && r.Header.Get("Traceparent") == "" {
			h.ServeHTTP(w, r)
			return
		}
		n.answer(h, w, r, name, stream, false)
	})
}

// tracedTunnel traces requests that other nodes of the cluster pass on, where those trace them.
func (n *Node) tracedTunnel(h http.Handler) http.Handler {
	if n.tracing == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, stream, _ := spanName(r)
		if name == "" {
			h.ServeHTTP(w, r)
			return
		}
		n.answer(h, w, r, name, stream, true)
	})
}

// answer has a handler answer a request within a span, if it is to be traced.
func (n *Node) answer(h http.Handler, w http.ResponseWriter, r *http.Request, name, stream string, trusted bool) {
	span := n.tracing.Answer(r, name, trusted)
	if span == nil {
		h.ServeHTTP(w, r)
		return
	}
	span.Set("pushcart.stream", stream)
	span.Set("pushcart.node", n.joins.node)
	span.Set("http.request.method", method(r.Method))
	noted := &statusNoted{ResponseWriter: w}
	over := false
	defer func() {
		if !over {
			span.End("aborted")
		}
	}()
	h.ServeHTTP(noted, r.WithContext(context.WithValue(span.Context(r.Context()), spanOf{}, span)))
	over = true
	span.SetInt("http.response.status_code", int64(noted.status))
	failure := ""
	switch {
	case noted.status >= 500:
		failure = http.StatusText(noted.status)
	case noted.status == 0:
		failure = "the client went away"
	}
	span.End(failure)
}

// method keeps what is in a span to what there is.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return m
	}
	return "_OTHER" // OpenTelemetry's semantic conventions for HTTP spans
}

// apiPrefix is that of paths about streams.
const apiPrefix = "/api/v1/streams/"

// spanName names the span of a request, and the stream that it is about; "" is one that is not traced. begins tells that a trace may
// begin with it.
func spanName(r *http.Request) (name, stream string, begins bool) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, apiPrefix); ok {
		stream, rest, _ = strings.Cut(rest, "/")
		return "api.request", stream, r.Method != http.MethodGet && r.Method != http.MethodHead && rest != ""
	}
	rest, ok := strings.CutPrefix(path, hls.Prefix)
	if !ok {
		return "", "", false
	}
	stream, rest, _ = strings.Cut(rest, "/")
	switch {
	case rest == "index.m3u8":
		return "viewer.multivariant", stream, true
	case api.IsDocument(path):
		return "viewer.card", stream, false
	case strings.HasSuffix(rest, ".m3u8"):
		return "viewer.playlist", stream, false
	}
	return "viewer.media", stream, false
}

// waits tells a traced request's span what it waits for.
func waits(r *http.Request, what string) func() {
	span, _ := r.Context().Value(spanOf{}).(*tracing.Span)
	if span == nil {
		return nil
	}
	span.Step("wait_for_" + what)
	return func() { span.Step("") }
}

// statusNoted notes what a handler answered with.
type statusNoted struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusNoted) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusNoted) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *statusNoted) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// unboundAfter is how long the span of a command waits for the media: there may be no publisher.
const unboundAfter = 30 * time.Second

// commandWay is a traced command. It implements overlay.Way.
type commandWay struct {
	span *tracing.Span

	mu        sync.Mutex // guards what follows
	announced bool
	late      *time.Timer
}

// commands is how desks have commands followed; nil where tracing is off.
func (n *Node) commands() func(context.Context, string, *overlay.Command) overlay.Way {
	if n.tracing == nil {
		return nil
	}
	return n.followCommand
}

// failureOf is what a span says of an error, whose text may have addresses in it.
func failureOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, context.Canceled):
		return "given up"
	}
	return "failed"
}

// followCommand begins to follow a command to a desk; nil where it is not traced.
func (n *Node) followCommand(ctx context.Context, stream string, c *overlay.Command) overlay.Way {
	var span *tracing.Span
	if c.Source == "api" {
		span = n.tracing.Within(ctx, tracing.Internal, "card.command")
	} else {
		span = n.tracing.Begin(context.Background(), tracing.Internal, "card.command")
	}
	if span == nil {
		return nil
	}
	for key, value := range map[string]string{
		"pushcart.stream": stream, "pushcart.node": n.joins.node, "pushcart.card.op": string(c.Op), "pushcart.card.source": c.Source,
		"pushcart.card.id": c.Card, "pushcart.card.slot": c.Slot,
	} {
		span.Set(key, value)
	}
	span.Step("validate")
	return &commandWay{span: span}
}

// Judged implements overlay.Way.
func (w *commandWay) Judged() { w.span.Step("journal") }

// Flushed implements overlay.Way.
func (w *commandWay) Flushed() { w.span.Step("acknowledge") }

// Announced implements overlay.Way.
func (w *commandWay) Announced() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.announced = true
	w.span.Step("bind")
	w.late = time.AfterFunc(unboundAfter, func() { w.span.End("no frame came for it") })
}

// Answered implements overlay.Way.
func (w *commandWay) Answered(failure string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if failure != "" || !w.announced {
		w.span.End(failure)
	}
}

// bound tells that the state is bound to a frame.
func (w *commandWay) bound() { w.span.Step("publish") }

// published tells that the part with the state is there.
func (w *commandWay) published() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.late != nil {
		w.late.Stop()
	}
	w.span.End("")
}

// carriedOn has requests to other nodes go on with the trace that they are part of. to may be nil.
func (n *Node) carriedOn(to http.RoundTripper) http.RoundTripper {
	if n.tracing == nil || to == nil {
		return to
	}
	return tracedTrip{n.tracing, to}
}

// tracedTrip is an http.RoundTripper within spans.
type tracedTrip struct {
	tracing *tracing.Provider
	to      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t tracedTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	span := t.tracing.Within(r.Context(), tracing.Client, "node.request")
	ctx := span.Context(r.Context())
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone()
	t.tracing.Inject(ctx, r.Header)
	response, err := t.to.RoundTrip(r)
	if err != nil {
		span.End("the other node did not answer")
		return response, err
	}
	span.SetInt("http.response.status_code", int64(response.StatusCode))
	span.End("")
	return response, nil
}
