package node

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pushcart/internal/stream"
	"pushcart/packager/hls"
)

// newRegistry makes the metrics registry with what the Go runtime and the process tell.
func newRegistry(version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	// The classical figures of memory have a gauge and a counter of one name, which OpenMetrics forbids; the runtime's own say more.
	reg.MustRegister(collectors.NewGoCollector(
		collectors.WithGoCollectorMemStatsMetricsDisabled(), collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsMemory, collectors.MetricsGC),
	), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pushcart_build_info", Help: "Always 1; the label tells the version."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	reg.MustRegister(info)
	return reg
}

// metricsHandler serves /metrics, as OpenMetrics to those who ask for that.
func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// nodeMetrics are those of the node itself. They belong to no room: how shows go over all rooms, and its settings.
type nodeMetrics struct {
	numbersBack       prometheus.Counter
	reconnects        prometheus.Counter
	absence           prometheus.Histogram
	ended             *prometheus.CounterVec
	reloads           *prometheus.CounterVec
	reloaded, refused prometheus.Gauge

	now func() time.Time

	mu   sync.Mutex                   // guards what follows
	away map[*stream.Stream]time.Time // streams that began, and when their publisher went; zero while it is there
}

// Results of reading the configuration again.
const (
	reloadApplied   = "applied"
	reloadUnchanged = "unchanged"
	reloadRefused   = "refused"
)

func newNodeMetrics(reg prometheus.Registerer, now func() time.Time) *nodeMetrics {
	m := &nodeMetrics{
		now: now, away: map[*stream.Stream]time.Time{},
		numbersBack: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_window_numbers_back_total", Help: "Times that a rendition's numbers went back. It has to be 0: players stop, and caches have other bytes under the name."}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_ingest_reconnects_total", Help: "Publishers that came back to a show that went on."}),
		absence: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pushcart_ingest_absence_seconds", Help: "How long publishers were away that came back in time.",
			Buckets: []float64{.5, 1, 2, 5, 10, 15, 20, 30, 60, 120}}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_streams_ended_total", Help: "Streams that are over on this node: ended, or elsewhere because another node goes on with them."}, []string{"how"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_config_reloads_total", Help: "Times that the configuration was read again, by result: applied, unchanged, or refused for a mistake."}, []string{"result"}),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_config_refused", Help: "1 while the configuration file has a mistake and the node goes on with the settings before."}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_config_applied_timestamp_seconds", Help: "When the settings in force were read, in Unix time."}),
	}
	for _, how := range []stream.State{stream.Ended, stream.Elsewhere} {
		m.ended.WithLabelValues(string(how))
	}
	for _, result := range []string{reloadApplied, reloadUnchanged, reloadRefused} {
		m.reloads.WithLabelValues(result)
	}
	m.reloaded.Set(float64(now().Unix()))
	reg.MustRegister(m.numbersBack, m.reconnects, m.absence, m.ended, m.reloads, m.refused, m.reloaded)
	return m
}

// changed hears what the hub tells of streams.
func (m *nodeMetrics) changed(s *stream.Stream, is stream.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch since, begun := m.away[s]; is {
	case stream.Live:
		if begun {
			m.reconnects.Inc()
		}
		if !since.IsZero() {
			m.absence.Observe(m.now().Sub(since).Seconds())
		}
		m.away[s] = time.Time{}
	case stream.Waiting:
		m.away[s] = m.now()
	default:
		delete(m.away, s)
		m.ended.WithLabelValues(string(is)).Inc()
	}
}

// reload counts that the configuration was read again.
func (m *nodeMetrics) reload(result string) {
	m.reloads.WithLabelValues(result).Inc()
	if result == reloadRefused {
		m.refused.Set(1)
		return
	}
	m.refused.Set(0)
	if result == reloadApplied {
		m.reloaded.Set(float64(m.now().Unix()))
	}
}

// ReloadRefused counts a changed configuration that could not be read, so that it never came to Reload.
func (n *Node) ReloadRefused() { n.metrics.reload(reloadRefused) }

// registerGauges registers what is read off the node when it is asked for.
func registerGauges(reg prometheus.Registerer, hub *stream.Hub, shows *hls.Registry, ready func() bool) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pushcart_ready", Help: "1 while the node takes publishers and viewers, as /readyz says.",
	}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	}))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pushcart_window_bytes", Help: "Media kept in memory, over all presentations.",
	}, func() float64 { return float64(shows.Bytes()) }))
	reg.MustRegister(&streamMetrics{hub: hub, shows: shows, now: time.Now})
}
