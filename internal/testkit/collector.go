package testkit

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector receives traces as OTLP over HTTP (OTLP 1.x, binary protobuf).
type Collector struct {
	// URL is the endpoint.
	URL string

	mu      sync.Mutex // guards what follows
	spans   []TraceSpan
	headers http.Header
}

// TraceSpan is one span that was received.
type TraceSpan struct {
	Trace, ID, Parent string // hexadecimal; Parent is "" for the first of a trace
	Name              string
	Kind              string // "internal", "server" or "client"
	Start, End        time.Time
	Attributes        map[string]string
	Failed            string // what went wrong; "" is nothing
	Node              string // service.instance.id of who sent it
}

// Duration of the span.
func (s TraceSpan) Duration() time.Duration { return s.End.Sub(s.Start) }

// NewCollector listens until the test ends.
func NewCollector(t testing.TB) *Collector {
	c := &Collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("what came to the collector is not OTLP: %v", err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("%s %s of %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var request collect.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &request); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header.Clone()
	for _, of := range request.ResourceSpans {
		node := texts(of.Resource.GetAttributes())["service.instance.id"]
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, TraceSpan{
					Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Name: s.Name, Kind: kinds[s.Kind], Attributes: texts(s.Attributes), Node: node,
					Start: time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
					Failed: failure(s.Status),
				})
			}
		}
	}
	return nil
}

var kinds = map[otlp.Span_SpanKind]string{
	otlp.Span_SPAN_KIND_INTERNAL: "internal", otlp.Span_SPAN_KIND_SERVER: "server", otlp.Span_SPAN_KIND_CLIENT: "client",
}

func failure(s *otlp.Status) string {
	if s.GetCode() != otlp.Status_STATUS_CODE_ERROR {
		return ""
	}
	return s.GetMessage()
}

func texts(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range all {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.Key] = fmt.Sprint(v.IntValue)
		}
	}
	return out
}

// Spans are those that have come, by when they began.
func (c *Collector) Spans() []TraceSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(a, b TraceSpan) int { return a.Start.Compare(b.Start) })
	return all
}

// Named are the spans of a name.
func (c *Collector) Named(name string) []TraceSpan {
	return slices.DeleteFunc(c.Spans(), func(s TraceSpan) bool { return s.Name != name })
}

// Children are the spans that have the span for their parent.
func (c *Collector) Children(of TraceSpan) []TraceSpan {
	return slices.DeleteFunc(c.Spans(), func(s TraceSpan) bool { return s.Trace != of.Trace || s.Parent != of.ID })
}

// Header is what the last request had.
func (c *Collector) Header(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Get(name)
}
