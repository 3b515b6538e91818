package relay

import (
	"github.com/prometheus/client_golang/prometheus"
)

// copyMetrics are those of a Manager.
type copyMetrics struct {
	copies    prometheus.Gauge
	bytes     *prometheus.CounterVec // kind: live, backfill
	live      prometheus.Counter     // of bytes, looked up once: it is for each part
	steps     prometheus.Counter
	states    *prometheus.CounterVec // result: adopted, behind
	logs      prometheus.Counter
	failures  *prometheus.CounterVec // reason
	moves     *prometheus.CounterVec // reason
	refused   *prometheus.CounterVec // reason
	takeovers *prometheus.CounterVec // result
	lag       prometheus.Histogram
	first     prometheus.Histogram
	takeover  prometheus.Histogram
}

// Kinds, results and reasons in metrics.
const (
	kindLive     = "live"
	kindBackfill = "backfill"

	stateAdopted = "adopted"
	stateBehind  = "behind"

	moveFirst  = "first"
	moveFailed = "failed"
	moveOrigin = "origin_changed"
	moveBetter = "better_source"

	demandFull      = "too_many_copies"
	demandForbidden = "forbidden"

	takenFurther = "brought_further"
	takenAsIs    = "as_it_was"
	takenNothing = "nothing"
)

func newCopyMetrics(r prometheus.Registerer) *copyMetrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pushcart_relay_copy_" + name, Help: help}, labels)
	}
	m := &copyMetrics{
		copies:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushcart_relay_copies", Help: "Streams that are copied from other nodes at this time."}),
		bytes:     vec("bytes_total", "Verified media that came from other nodes, in bytes, by kind: live, or backfill of what was published before.", "kind"),
		steps:     prometheus.NewCounter(prometheus.CounterOpts{Name: "pushcart_relay_copy_steps_total", Help: "Steps of renditions that were applied to copies."}),
		states:    vec("states_total", "Whole states of renditions that came, by result: adopted, or behind what this node has published.", "result"),
		logs:      prometheus.NewCounter(prometheus.CounterOpts{Name: "pushcart_relay_copy_logs_total", Help: "Logs that other nodes opened for this one."}),
		failures:  vec("failures_total", "Logs that could not be opened, or ended before the show did, by reason.", "reason"),
		moves:     vec("moves_total", "Changes of the node that a stream is copied from, by reason: first, failed, origin_changed, better_source.", "reason"),
		refused:   vec("refused_total", "Streams that were asked for and are not copied, by reason: forbidden, too_many_copies.", "reason"),
		takeovers: vec("takeovers_total", "Copies that this node went on with as the origin, by result: brought_further, as_it_was, nothing.", "result"),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pushcart_relay_copy_lag_seconds", Help: "How much later than at the origin a part was published here, as far as the clocks agree.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pushcart_relay_copy_start_seconds", Help: "From the first demand for a stream to the first state of all its renditions.",
			Buckets: []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}),
	}
	m.takeover = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "pushcart_relay_copy_takeover_seconds", Help: "Time to bring what other nodes have of a stream that this node goes on with as its origin.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2, 3},
	})
	m.live = m.bytes.WithLabelValues(kindLive)
	if r != nil {
		r.MustRegister(m.copies, m.bytes, m.steps, m.states, m.logs, m.failures, m.moves, m.refused, m.takeovers, m.lag, m.first, m.takeover)
	}
	return m
}
