package webhooks

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which events are dropped.
const (
	dropBusy    = "busy"    // more came than could be written
	dropFull    = "full"    // the queue is
	dropExpired = "expired" // Settings.RetryFor is over
	dropGone    = "gone"    // the target answered 410
	dropRemoved = "removed" // the target is in the settings no more
	dropDisk    = "disk"    // it could not be written, and there is no room in memory
	dropDamaged = "damaged" // it could not be read back
	dropInvalid = "invalid" // it could not be written as JSON, or is too large
)

// metrics count what becomes of events. Targets are named by their hosts.
type metrics struct {
	delivered, failed, dropped *prometheus.CounterVec
	diskErrors                 prometheus.Counter
	queued, oldest, bytes      *prometheus.Desc
	d                          *Dispatcher
}

func newMetrics(d *Dispatcher, reg prometheus.Registerer) (*metrics, error) {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		d:         d,
		delivered: vec("pushcart_webhooks_delivered_total", "Events that a target took.", "target"),
		failed:    vec("pushcart_webhooks_failed_total", "Requests to a target that failed, by reason.", "target", "reason"),
		dropped:   vec("pushcart_webhooks_dropped_total", "Events that a target will never get, by reason.", "target", "reason"),
		diskErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_webhooks_disk_errors_total", Help: "Failures to write the queue of webhooks."}),
		queued: prometheus.NewDesc("pushcart_webhooks_queued", "Events that wait for a target.", []string{"target"}, nil),
		oldest: prometheus.NewDesc("pushcart_webhooks_oldest_seconds", "Age of the oldest event that waits for a target; 0 when none does.", []string{"target"}, nil),
		bytes:  prometheus.NewDesc("pushcart_webhooks_queue_bytes", "Size of the queue's files.", nil, nil),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.delivered), reg.Register(m.failed), reg.Register(m.dropped), reg.Register(m.diskErrors), reg.Register(m))
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(c chan<- *prometheus.Desc) {
	c <- m.queued
	c <- m.oldest
	c <- m.bytes
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	now := m.d.opt.Now()
	for _, t := range m.d.targets {
		age := 0.0
		if at := t.oldest(); !at.IsZero() {
			age = max(0, now.Sub(at).Seconds())
		}
		gauge(m.queued, float64(t.count), t.name)
		gauge(m.oldest, age, t.name)
	}
	var size int64
	if m.d.store != nil {
		size = m.d.store.bytes()
	}
	gauge(m.bytes, float64(size))
}
