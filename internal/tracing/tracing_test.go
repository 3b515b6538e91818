package tracing_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/testkit"
	"pushcart/internal/tracing"
)

func open(t *testing.T, opt tracing.Options) *tracing.Provider {
	t.Helper()
	p, err := tracing.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p.Shutdown(ctx)
	})
	return p
}

func shutdown(p *tracing.Provider, within time.Duration) (took time.Duration) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	p.Shutdown(ctx)
	return time.Since(begin)
}

// value adds up a counter's series that have the label value.
func value(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range all {
		for _, m := range f.Metric {
			if f.GetName() == name && (label == "" || m.Label[0].GetValue() == label) {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}

// TestSpans: steps follow one another without holes and are the span's children, attributes and headers arrive, and what is within a
// step is its child, on another node too.
func TestSpans(t *testing.T) {
	t.Parallel()
	c := testkit.NewCollector(t)
	reg := prometheus.NewPedanticRegistry()
	p := open(t, tracing.Options{
		Endpoint: c.URL, Headers: map[string]string{"Authorization": "Bearer abc"}, Sample: 100, Version: "1", Instance: "here", Registerer: reg,
	})
	far := open(t, tracing.Options{Endpoint: c.URL, Sample: 0, Instance: "far"})

	s := p.Begin(context.Background(), tracing.Server, "join")
	s.Set("stream", "show")
	s.Set("empty", "")
	s.SetInt("era", 7)
	s.Step("one")
	inner := p.Within(s.Context(t.Context()), tracing.Client, "request")
	out := httptest.NewRequest("GET", "/", nil)
	out.Header.Set("Traceparent", "00-00000000000000000000000000000001-0000000000000001-01")
	p.Inject(inner.Context(t.Context()), out.Header)
	there := far.Answer(out, "answer", true)
	there.End("")
	inner.End("no answer")
	s.Step("two")
	s.Step("")
	s.Step("three")
	s.End("")
	s.End("again")
	s.Step("afterwards")
	shutdown(p, time.Minute)
	shutdown(far, time.Minute)

	joins := c.Named("join")
	if len(joins) != 1 || len(c.Spans()) != 6 {
		t.Fatalf("%+v", c.Spans())
	}
	join := joins[0]
	if join.Parent != "" || join.Kind != "server" || join.Node != "here" || join.Failed != "" ||
		join.Attributes["stream"] != "show" || join.Attributes["era"] != "7" || len(join.Attributes) != 2 {
		t.Errorf("%+v", join)
	}
	steps := c.Children(join)
	if len(steps) != 3 || steps[0].Name != "one" || steps[1].Name != "two" || steps[2].Name != "three" {
		t.Fatalf("%+v", steps)
	}
	if !steps[0].End.Equal(steps[1].Start) || !steps[2].End.Equal(join.End) || steps[2].Start.Before(steps[1].End) {
		t.Errorf("the steps do not follow one another: %+v", steps)
	}
	within := c.Children(steps[0])
	if len(within) != 1 || within[0].Name != "request" || within[0].Kind != "client" || within[0].Failed != "no answer" {
		t.Fatalf("%+v", within)
	}
	if answer := c.Children(within[0]); len(answer) != 1 || answer[0].Node != "far" {
		t.Errorf("%+v", answer)
	}
	if c.Header("Authorization") != "" && c.Header("Authorization") != "Bearer abc" {
		t.Error(c.Header("Authorization"))
	}
	if got := value(t, reg, "pushcart_tracing_spans_total", "sent"); got != 5 {
		t.Errorf("%v were counted", got)
	}
}

// TestNothingToSend: a provider that was never used ends at once and has left nothing behind.
func TestNothingToSend(t *testing.T) {
	t.Parallel()
	p := open(t, tracing.Options{Endpoint: "http://127.0.0.1:1", Sample: 100})
	if took := shutdown(p, time.Minute); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	p.Begin(t.Context(), tracing.Internal, "late").End("") // does nothing, and does not wait
}

// TestCollectorThatHangs: ending spans never waits, what is too much is dropped and counted, and the end is on time.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	var asked sync.Once
	reached, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Do(func() { close(reached) })
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	}))
	defer s.Close()
	defer close(release)
	reg := prometheus.NewPedanticRegistry()
	var log testkit.Log
	p := open(t, tracing.Options{Endpoint: s.URL, Sample: 100, Registerer: reg, Log: slog.New(slog.NewTextHandler(&log, nil))})
	root := p.Begin(t.Context(), tracing.Internal, "root")
	const spans = 10_000
	for range spans - 1 {
		p.Within(root.Context(t.Context()), tracing.Internal, "one").End("")
	}
	root.End("")
	<-reached
	if took := shutdown(p, 50*time.Millisecond); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	dropped, failed := value(t, reg, "pushcart_tracing_spans_total", "dropped"), value(t, reg, "pushcart_tracing_spans_total", "failed")
	if dropped < spans/4 || dropped+failed != spans {
		t.Errorf("of %d spans %v were dropped, and %v failed", spans, dropped, failed)
	}
	if n := strings.Count(log.String(), "traces could not be sent"); n != 1 {
		t.Errorf("the log tells of it %d times:\n%s", n, log.String())
	}
}

// TestCollectorThatRefuses: what it does not take is counted and not sent again for ever.
func TestCollectorThatRefuses(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	defer s.Close()
	reg := prometheus.NewPedanticRegistry()
	p := open(t, tracing.Options{Endpoint: s.URL + "/v1/traces", Sample: 100, Registerer: reg})
	p.Begin(t.Context(), tracing.Internal, "one").End("")
	shutdown(p, time.Minute)
	if value(t, reg, "pushcart_tracing_spans_total", "failed") != 1 {
		t.Error("it was not counted")
	}
}

// TestOptions: what is wrong with settings is told by their names, and never with what may be a secret.
func TestOptions(t *testing.T) {
	t.Parallel()
	for endpoint, sample := range map[string]float64{
		"localhost:4318": 1, "ftp://host/": 1, "http://": 1, "http://user:hunter2@host/": 1, "http://a b/": 1, "http://host": 101, "http://other": -1,
	} {
		p, err := tracing.Open(tracing.Options{Endpoint: endpoint, Sample: sample})
		if err == nil || p != nil || !strings.Contains(err.Error(), "tracing.") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, %v: %v", endpoint, sample, err)
		}
	}
	if p, err := tracing.Open(tracing.Options{Sample: 100}); p != nil || err != nil {
		t.Errorf("without an endpoint: %v, %v", p, err)
	}
}

// TestOff: a provider that is off, and a span that is not traced, do nothing and cost nothing.
func TestOff(t *testing.T) {
	var off *tracing.Provider
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Traceparent", "00-00000000000000000000000000000001-0000000000000001-01")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { everything(ctx, off, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r.Header.Get("Traceparent") == "" {
		t.Error("a header went")
	}
}

// everything calls each method.
func everything(ctx context.Context, p *tracing.Provider, r *http.Request) {
	for _, s := range [...]*tracing.Span{p.Begin(ctx, tracing.Server, "a"), p.Answer(r, "b", true), p.Within(ctx, tracing.Client, "c")} {
		s.Set("k", "v")
		s.SetInt("n", 1)
		s.Step("step")
		p.Inject(s.Context(ctx), r.Header)
		s.End("failed")
	}
	p.Shutdown(ctx)
}

func BenchmarkOff(b *testing.B) {
	var off *tracing.Provider
	r := httptest.NewRequest("GET", "/", nil)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		everything(ctx, off, r)
	}
}

// BenchmarkSpan is a span of two steps that is traced.
func BenchmarkSpan(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer s.Close()
	p, err := tracing.Open(tracing.Options{Endpoint: s.URL, Sample: 100})
	if err != nil {
		b.Fatal(err)
	}
	root := p.Begin(context.Background(), tracing.Internal, "root")
	ctx := root.Context(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		s := p.Within(ctx, tracing.Server, "one")
		s.Step("a")
		s.Step("b")
		s.End("")
	}
	p.Shutdown(context.Background())
}
