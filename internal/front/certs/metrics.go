package certs

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Where certificates are from, as metrics have it.
const (
	sourceFile = "file"
	sourceACME = "acme"
)

// metrics of certificates. It is a collector: how long they are valid is asked when it is asked for.
type metrics struct {
	expiries func() []expiry
	expires  *prometheus.Desc
	failures *prometheus.CounterVec
	now      func() time.Time
}

func newMetrics(reg prometheus.Registerer, now func() time.Time, expiries func() []expiry) *metrics {
	m := &metrics{
		now: now, expiries: expiries,
		expires: prometheus.NewDesc("pushcart_tls_certificate_expiry_seconds",
			"For how long the TLS certificate is still valid; negative when it is no longer.", []string{"source", "name"}, nil),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_tls_certificate_failures_total",
			Help: "TLS certificates that could not be had, by source: file (read again after a change), acme (asked of the authority).",
		}, []string{"source"}),
	}
	m.failures.WithLabelValues(sourceFile)
	m.failures.WithLabelValues(sourceACME)
	reg.MustRegister(m, m.failures)
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { out <- m.expires }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, e := range m.expiries() {
		out <- prometheus.MustNewConstMetric(m.expires, prometheus.GaugeValue, e.at.Sub(m.now()).Seconds(), e.source, e.name)
	}
}
