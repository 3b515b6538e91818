package ingest

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what happens at the door.
type Metrics struct {
	sessions *prometheus.CounterVec
	active   *prometheus.GaugeVec
	refusals *prometheus.CounterVec
	drops    *prometheus.CounterVec
	waiting  prometheus.Gauge
	promoted prometheus.Counter
	drainMetrics
}

// NewMetrics makes the door's metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_ingest_sessions_total", Help: "Publishers let in, by protocol."}, []string{"protocol"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pushcart_ingest_publishers", Help: "Publishers that are connected, by protocol."}, []string{"protocol"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_ingest_refusals_total", Help: "Publishers refused or sent away, by protocol and reason."}, []string{"protocol", "reason"}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_ingest_dropped_total", Help: "Access units and messages thrown away before packaging, by reason."}, []string{"reason"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_ingest_standbys", Help: "Publishers that stand by and wait for the one they stand by for to go."}),
		promoted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_ingest_standby_takeovers_total", Help: "Times that a publisher that stood by went on with the stream."}),
	}
	m.drainMetrics = newDrainMetrics(reg)
	reg.MustRegister(m.sessions, m.active, m.refusals, m.drops, m.waiting, m.promoted)
	return m
}

func (m *Metrics) opened(protocol string) {
	m.sessions.WithLabelValues(protocol).Inc()
	m.active.WithLabelValues(protocol).Inc()
}

func (m *Metrics) closed(protocol string) { m.active.WithLabelValues(protocol).Dec() }

func (m *Metrics) refused(protocol string, r Reason) {
	m.refusals.WithLabelValues(protocol, string(r)).Inc()
}

func (m *Metrics) dropped(r DropReason) { m.drops.WithLabelValues(string(r)).Inc() }
