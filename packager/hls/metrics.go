package hls

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// kind of resource, for metrics.
type kind int

const (
	kindMultivariant kind = iota
	kindPlaylist
	kindSegment
	kindPart
	kindInit
	kindPoster
	kindOther
	kinds
)

var kindNames = [kinds]string{"multivariant", "playlist", "segment", "part", "init", "poster", "other"}

// codes that a handler answers with.
var codes = []int{
	http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusBadRequest, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusRequestedRangeNotSatisfiable, http.StatusTooManyRequests,
	http.StatusServiceUnavailable, http.StatusPreconditionFailed, http.StatusTemporaryRedirect,
	http.StatusUnavailableForLegalReasons,
}

// Metrics counts what viewers ask for.
type Metrics struct {
	requests [kinds]map[int]prometheus.Counter
	bytes    [kinds]prometheus.Counter
	waiting  prometheus.Gauge
	wake     prometheus.Histogram
	stalls   map[string]prometheus.Counter // by what was waited for
	rendered prometheus.Counter
}

// NewMetrics makes the metrics and registers them. Each series exists from the start, so that none has to be looked up
// while viewers wait.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_hls_requests_total", Help: "Requests of viewers and caches, by kind of resource and status code."}, []string{"kind", "code"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_hls_response_bytes_total", Help: "Bytes of response bodies sent, by kind of resource."}, []string{"kind"})
	m := &Metrics{
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_hls_waiting_requests", Help: "Requests that wait for a part that is not there yet."}),
		wake: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pushcart_hls_wake_seconds",
			Help:    "Time from the publication of a part to the moment at which a request that waited for it goes on.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}}),
	}
	stalls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_hls_stalls_total",
		Help: "Requests that waited in vain, by what for: part (the live edge stood still for three target durations), stream (that was to be fetched), start (of a stream with nothing to play yet).",
	}, []string{"wait"})
	m.stalls = map[string]prometheus.Counter{}
	for _, what := range []string{waitPart, waitStream, waitStart} {
		m.stalls[what] = stalls.WithLabelValues(what)
	}
	m.rendered = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_hls_rendered_playlists_total",
		Help: "Playlists that were written as text. All who ask for the same one get that text: it grows with the media, not with the viewers."})
	for k := range kinds {
		m.requests[k] = make(map[int]prometheus.Counter, len(codes))
		for _, c := range codes {
			m.requests[k][c] = requests.WithLabelValues(kindNames[k], strconv.Itoa(c))
		}
		m.bytes[k] = bytes.WithLabelValues(kindNames[k])
	}
	reg.MustRegister(requests, bytes, m.waiting, m.wake, stalls, m.rendered)
	return m
}

func (m *Metrics) request(k kind, code, bytes int) {
	if c := m.requests[k][code]; c != nil {
		c.Inc()
	}
	m.bytes[k].Add(float64(bytes))
}
