package tracing

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// mostRoots is how many traces may begin in a second: strangers choose how often they ask, and what identifiers they send.
const mostRoots = 500

// sampler decides what is traced.
type sampler struct {
	bound   uint64 // of 63 bits
	metrics *metrics
	now     func() time.Time

	mu     sync.Mutex // guards what follows
	second int64
	count  int
}

func newSampler(share float64, m *metrics) *sampler {
	return &sampler{bound: uint64(share * (1 << 63)), metrics: m, now: time.Now}
}

// begins decides on a trace that begins here.
func (s *sampler) begins() bool { return rand.Uint64()>>1 < s.bound && s.room() }

// joins decides on a trace that somebody else began. Of strangers, the identifier decides and not what they ask for, by the same
// rule at each node (TraceIDRatioBased of the OpenTelemetry specification), so that a trace is whole or not there at all.
func (s *sampler) joins(c trace.SpanContext, trusted bool) bool {
	if trusted {
		return c.IsSampled() && s.room()
	}
	id := c.TraceID()
	return binary.BigEndian.Uint64(id[8:])>>1 < s.bound && s.room()
}

// room tells whether one more may begin in this second.
func (s *sampler) room() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := s.now().Unix(); sec != s.second {
		s.second, s.count = sec, 0
	}
	if s.count >= mostRoots {
		s.metrics.limited.Inc()
		return false
	}
	s.count++
	return true
}
