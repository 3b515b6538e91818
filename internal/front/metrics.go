package front

import "github.com/prometheus/client_golang/prometheus"

// Reasons for which TLS handshakes fail.
const (
	failedTimeout           = "timeout"
	failedGone              = "gone"
	failedNoTLS             = "not_tls"
	failedNoCertificate     = "no_certificate"
	failedClientCertificate = "client_certificate"
	failedByClient          = "refused_by_client"
	failedProtocol          = "protocol"
)

// metrics of the front.
type metrics struct {
	refused      [len(refusals)]prometheus.Counter
	failures     map[string]prometheus.Counter
	wrongSecrets prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, p *places) *metrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_http_connections_refused_total",
		Help: "Connections of viewers closed at once, by the limit: total (http.max_connections), address (http.max_connections_per_address), handshakes (a quarter of either).",
	}, []string{"reason"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_tls_handshake_failures_total", Help: "TLS handshakes of viewers that failed, by reason.",
	}, []string{"reason"})
	m := &metrics{
		failures: map[string]prometheus.Counter{},
		wrongSecrets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_http_cdn_secret_failures_total", Help: "Requests whose header Pushcart-CDN has none of http.cdn_secrets.",
		}),
	}
	for why := tooMany; int(why) < len(refusals); why++ {
		m.refused[why] = refused.WithLabelValues(refusals[why])
	}
	for _, why := range []string{
		failedTimeout, failedGone, failedNoTLS, failedNoCertificate, failedClientCertificate, failedByClient, failedProtocol,
	} {
		m.failures[why] = failures.WithLabelValues(why)
	}
	reg.MustRegister(refused, failures, m.wrongSecrets,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_http_connections", Help: "Open connections of viewers and caches.",
		}, func() float64 { open, _ := p.counts(); return float64(open) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_http_handshakes", Help: "Connections of viewers whose TLS handshake is under way.",
		}, func() float64 { _, shaking := p.counts(); return float64(shaking) }))
	return m
}
