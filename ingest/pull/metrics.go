package pull

import "github.com/prometheus/client_golang/prometheus"

// result labels how an attempt to fetch a source ended.
type result string

const (
	resultEnded   result = "ended"   // the source ended it
	resultFailed  result = "failed"  // it could not be reached, or broke off
	resultRefused result = "refused" // the door did not take what it sends
	resultStopped result = "stopped" // the node ended it: nobody watches, the source was taken away, or the node stops
)

// metrics of all sources. None has a label of one source: their number is the operator's, and their URLs are secrets.
type metrics struct {
	sources  map[State]prometheus.Gauge
	attempts map[result]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	sources := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pushcart_pull_sources", Help: "Sources that streams are fetched from, by state."}, []string{"state"})
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_pull_attempts_total", Help: "Attempts to fetch a source that have ended, by result."}, []string{"result"})
	reg.MustRegister(sources, attempts)
	m := &metrics{sources: map[State]prometheus.Gauge{}, attempts: map[result]prometheus.Counter{}}
	for _, s := range []State{Waiting, Connecting, Live, Failed} {
		m.sources[s] = sources.WithLabelValues(string(s))
	}
	for _, r := range []result{resultEnded, resultFailed, resultRefused, resultStopped} {
		m.attempts[r] = attempts.WithLabelValues(string(r))
	}
	return m
}
