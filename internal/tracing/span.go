package tracing

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Kind is which side of something a span is.
type Kind int

// The kinds.
const (
	// Internal is work that nobody outside asked for.
	Internal Kind = iota
	// Server is the answer to a request.
	Server
	// Client is a request to somebody else.
	Client
)

func (k Kind) otel() trace.SpanKind {
	switch k {
	case Server:
		return trace.SpanKindServer
	case Client:
		return trace.SpanKindClient
	}
	return trace.SpanKindInternal
}

// Span is something that was done, with the steps that it took. Nil is one that is not traced: all methods may be called, and do
// nothing. Its methods are for any goroutine.
type Span struct {
	p    *Provider
	span trace.Span
	ctx  context.Context // with the span

	mu    sync.Mutex // guards what follows
	step  trace.Span // the present one; nil between steps
	inner context.Context
	ended bool
}

// Begin begins a trace, or none, as the share that is traced has it.
func (p *Provider) Begin(ctx context.Context, kind Kind, name string) *Span {
	if p == nil || !p.sampler.begins() {
		return nil
	}
	return p.start(ctx, kind, name)
}

// Answer begins the span of a request that somebody sent. A trace that the request belongs to (W3C Trace Context) is joined: where the
// sender is trusted, because it is a node of the cluster, exactly if it is traced there, else for the share that is traced.
func (p *Provider) Answer(r *http.Request, name string, trusted bool) *Span {
	if p == nil {
		return nil
	}
	ctx := r.Context()
	if header := r.Header.Get("Traceparent"); header != "" {
		remote := trace.SpanContextFromContext(propagator.Extract(ctx, propagation.MapCarrier{"traceparent": header}))
		if remote.IsValid() {
			if !p.sampler.joins(remote, trusted) {
				return nil
			}
			return p.start(trace.ContextWithRemoteSpanContext(ctx, remote), Server, name)
		}
	}
	if trusted {
		return nil // it is not traced there
	}
	return p.Begin(ctx, Server, name)
}

// Within begins a span within the one that ctx is of; nil where there is none.
func (p *Provider) Within(ctx context.Context, kind Kind, name string) *Span {
	if p == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return nil
	}
	return p.start(ctx, kind, name)
}

var propagator propagation.TraceContext

func (p *Provider) start(ctx context.Context, kind Kind, name string) *Span {
	s := &Span{p: p}
	s.ctx, s.span = p.tracer.Start(ctx, name, trace.WithSpanKind(kind.otel()))
	s.inner = s.ctx
	return s
}

// Set gives the span an attribute.
func (s *Span) Set(key, value string) {
	if s != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// SetInt gives the span an attribute that is a number.
func (s *Span) SetInt(key string, value int64) {
	if s != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Step begins a step, and ends the one before at the same moment. "" begins none.
func (s *Span) Step(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	now := time.Now()
	s.endStepLocked(now)
	if name != "" {
		s.inner, s.step = s.p.tracer.Start(s.ctx, name, trace.WithTimestamp(now))
	}
}

func (s *Span) endStepLocked(now time.Time) {
	if s.step != nil {
		s.step.End(trace.WithTimestamp(now))
		s.step, s.inner = nil, s.ctx
	}
}

// Context is ctx with the span's present step, or the span, in it: for what is part of that.
func (s *Span) Context(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return trace.ContextWithSpan(ctx, trace.SpanFromContext(s.inner))
}

// End ends the span and its last step, once. failure says what went wrong, without secrets; "" is that all went well.
func (s *Span) End(failure string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	now := time.Now()
	if failure != "" {
		s.span.SetStatus(codes.Error, failure)
		if s.step != nil {
			s.step.SetStatus(codes.Error, failure)
		}
	}
	s.endStepLocked(now)
	s.span.End(trace.WithTimestamp(now))
}

// Inject writes the span that ctx is of into a request's header, for another node to go on with (W3C Trace Context). A header that
// is there already goes: it was somebody else's word.
func (p *Provider) Inject(ctx context.Context, h http.Header) {
	if p == nil {
		return
	}
	h.Del("Traceparent")
	h.Del("Tracestate")
	if trace.SpanFromContext(ctx).IsRecording() {
		propagator.Inject(ctx, propagation.HeaderCarrier(h))
	}
}
