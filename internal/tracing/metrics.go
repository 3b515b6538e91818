package tracing

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a provider.
type metrics struct {
	sent, failed, dropped, limited prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_tracing_spans_total",
		Help: "Spans by what became of them: sent, failed (the collector did not take them), dropped (too many waited to be sent).",
	}, []string{"result"})
	m := &metrics{
		sent: spans.WithLabelValues("sent"), failed: spans.WithLabelValues("failed"), dropped: spans.WithLabelValues("dropped"),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_tracing_limited_total", Help: "Joins and commands that were not traced because there were too many in a second."}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(spans), reg.Register(m.limited))
}
