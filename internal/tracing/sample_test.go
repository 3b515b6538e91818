package tracing

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func testSampler(share float64) (*sampler, *metrics) {
	m, err := newMetrics(nil)
	if err != nil {
		panic(err)
	}
	s := newSampler(share, m)
	at := time.Unix(0, 0)
	s.now = func() time.Time { at = at.Add(time.Second); return at } // each is in a second of its own
	return s, m
}

// TestShare: as many are traced as is asked for, of those that begin here and of those that strangers send.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 0.1, 0.5, 1} {
		s, _ := testSampler(share)
		const n = 20_000
		here, strangers := 0, 0
		for i := range n {
			if s.begins() {
				here++
			}
			var id trace.TraceID
			// Spread evenly over all identifiers (a multiple of the golden ratio).
			v := uint64(i+1) * 0x9E3779B97F4A7C15
			for k := range 8 {
				id[8+k] = byte(v >> (56 - 8*k))
			}
			c := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}})
			if s.joins(c, false) {
				strangers++
			}
			if s.joins(c, false) != s.joins(c.WithTraceFlags(trace.FlagsSampled), false) {
				t.Fatal("what a stranger asks for decides")
			}
			if s.joins(c, true) || !s.joins(c.WithTraceFlags(trace.FlagsSampled), true) {
				t.Fatal("another node's word does not decide")
			}
		}
		for _, got := range []int{here, strangers} {
			if want := share * n; float64(got) < want-n/50 || float64(got) > want+n/50 || share == 0 && got > 0 || share == 1 && got < n {
				t.Errorf("%v: %d and %d of %d", share, here, strangers, n)
			}
		}
	}
}

// TestMostInASecond: no more begin in a second than there may be, and the rest is counted.
func TestMostInASecond(t *testing.T) {
	t.Parallel()
	s, m := testSampler(1)
	second := time.Unix(1, 0)
	s.now = func() time.Time { return second }
	began := 0
	for range 2 * mostRoots {
		if s.begins() {
			began++
		}
	}
	if began != mostRoots || counted(m.limited) != mostRoots {
		t.Errorf("%d began, %v were counted", began, counted(m.limited))
	}
	second = second.Add(time.Second)
	if !s.begins() {
		t.Error("none begins in the next second")
	}
}

// wellFormed is a traceparent of version 00 (W3C Trace Context 3.2), but for identifiers that are nothing but zeros.
var wellFormed = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$`)

// FuzzTraceparent: no header of a stranger's has a request fail, and none makes a span that is not in its trace.
func FuzzTraceparent(f *testing.F) {
	for _, v := range []string{
		"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "00-",
	} {
		f.Add(v)
	}
	p, err := Open(Options{Endpoint: "http://127.0.0.1:1", Sample: 100})
	if err != nil {
		f.Fatal(err)
	}
	p.sampler.now = func() func() time.Time {
		at := time.Unix(0, 0)
		return func() time.Time { at = at.Add(time.Second); return at }
	}()
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Traceparent"] = []string{header}
		s := p.Answer(r, "request", false)
		if s == nil {
			t.Fatalf("%q is not traced", header)
		}
		id := s.span.SpanContext().TraceID().String()
		right := wellFormed.MatchString(header) && strings.Trim(header[3:35], "0") != "" && strings.Trim(header[36:52], "0") != ""
		if right && header[3:35] != id || !right && !strings.Contains(header, id) && s.span.(sdk.ReadOnlySpan).Parent().IsValid() {
			t.Fatalf("%q is in the trace %s", header, id)
		}
	})
}

// counted is a counter's value.
func counted(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.Counter.GetValue()
}
