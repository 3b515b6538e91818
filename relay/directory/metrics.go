package directory

import "github.com/prometheus/client_golang/prometheus"

// metrics of a directory.
type metrics struct {
	healthy    prometheus.Gauge
	peers      prometheus.Gauge
	entries    prometheus.Gauge
	claims     *prometheus.CounterVec // by outcome
	superseded prometheus.Counter
	ignored    *prometheus.CounterVec // by what and why
	watches    *prometheus.CounterVec // restarts, by reason
	cards      *prometheus.CounterVec // by outcome
	requests   *prometheus.CounterVec // by side and outcome
	open       *prometheus.GaugeVec   // by side
	clocks     *prometheus.GaugeVec   // of other nodes that live, by name
}

// Sides of a carried request.
const (
	asking  = "asking"
	serving = "serving"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		healthy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_directory_healthy", Help: "1 while the directory takes claims."}),
		peers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_directory_peers", Help: "Other nodes that gave a sign of life lately."}),
		entries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_directory_streams", Help: "Streams that the directory has an origin of."}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_directory_claims_total", Help: "Claims of this node, by outcome."}, []string{"outcome"}),
		superseded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_directory_superseded_total", Help: "Streams of this node that another one took."}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_directory_ignored_total", Help: "What came from others and was not used, by kind and reason."}, []string{"kind", "reason"}),
		watches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_directory_watch_restarts_total", Help: "Times that the list of streams was read anew, by reason."}, []string{"reason"}),
		cards: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_directory_cards_total", Help: "Snapshots of cards, by what became of them."}, []string{"outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_directory_requests_total", Help: "Requests carried between nodes, by side and how they ended."}, []string{"side", "outcome"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pushcart_directory_requests_open", Help: "Requests being carried, by side."}, []string{"side"}),
	}
	m.clocks = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pushcart_directory_clock_offset_seconds",
		Help: "How far this node's clock is ahead of another node's, by its last heartbeat; what that took on the way, some tens of milliseconds at most, is in it.",
	}, []string{"node"})
	for _, o := range []string{"granted", "kept", "taken", "standby", "unreachable", "canceled"} {
		m.claims.WithLabelValues(o)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.healthy, m.peers, m.entries, m.claims, m.superseded, m.ignored, m.watches,
		m.cards, m.requests, m.open, m.clocks} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
