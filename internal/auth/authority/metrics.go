package authority

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
)

// source is by what an attempt was decided: a metric label.
type source string

const (
	sourceOpen     source = "open"     // nothing is configured
	sourceKeys     source = "keys"     // publish.keys
	sourceCallback source = "callback" // it was asked
	sourceCache    source = "cache"    // it was asked before
	sourceKnown    source = "known"    // it could not be asked, and the publisher is known
	sourceJWT      source = "jwt"
	sourceNode     source = "node" // this node: too many wrong secrets
)

var sources = []source{sourceOpen, sourceKeys, sourceCallback, sourceCache, sourceKnown, sourceJWT, sourceNode}

// How the memory of the callback's answers was used: a metric label.
type cacheUse string

const (
	cacheHit   cacheUse = "hit"
	cacheMiss  cacheUse = "miss"
	cacheKnown cacheUse = "known"
)

// resultAllowed is the result of an attempt that was let in; those of others are auth.Why.
const resultAllowed = "allowed"

var results = []string{resultAllowed, string(auth.WhyKey), string(auth.WhyNoKeys), string(auth.WhyName), string(auth.WhyBusy), string(auth.WhyDown)}

// metrics counts attempts, calls and keys.
type metrics struct {
	attempts *prometheus.CounterVec
	cache    *prometheus.CounterVec
	calls    *prometheus.HistogramVec
	crowd    prometheus.Counter
	fetches  *prometheus.CounterVec
	all      []prometheus.Collector
}

func newMetrics(a *Authority) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_auth_attempts_total",
			Help: "Publishers that asked to be let in, by what decided (open, keys, callback, cache, known, jwt, node) and the result (allowed, or the reason of the refusal)."},
			[]string{"source", "result"}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_auth_callback_cache_total", Help: "Attempts for which an answer of the callback was remembered (hit), was not (miss), or which were let in because the callback was down and knew them (known)."},
			[]string{"result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pushcart_auth_callback_duration_seconds", Help: "How long the callback took, by the result (allowed, denied, down).",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}},
			[]string{"result"}),
		crowd: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_auth_callback_overdue_total", Help: "Calls of the callback that were given up before they began, since too many others were under way."}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_auth_jwks_fetches_total", Help: "Times that the keys that tokens are signed by were read, by the result (ok, failed)."},
			[]string{"result"}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.all = []prometheus.Collector{
		m.attempts, m.cache, m.calls, m.crowd, m.fetches,
		gauge("pushcart_auth_callback_in_flight", "Calls of the callback that are under way.", func() float64 {
			n, _ := a.gate.counts()
			return float64(n)
		}),
		gauge("pushcart_auth_callback_waiting", "Calls of the callback that wait for their turn.", func() float64 {
			_, n := a.gate.counts()
			return float64(n)
		}),
		gauge("pushcart_auth_jwks_age_seconds", "Time since the keys that tokens are signed by were last read; -1 without any.", func() float64 {
			if age, n := a.jwks.age(); n > 0 {
				return age.Seconds()
			}
			return -1
		}),
		gauge("pushcart_auth_jwks_keys", "Keys that tokens may be signed by.", func() float64 {
			_, n := a.jwks.age()
			return float64(n)
		}),
	}
	for _, s := range sources {
		m.attempts.WithLabelValues(string(s), resultAllowed)
	}
	for _, r := range results[1:] {
		m.attempts.WithLabelValues(string(sourceKeys), r)
	}
	for _, u := range []cacheUse{cacheHit, cacheMiss, cacheKnown} {
		m.cache.WithLabelValues(string(u))
	}
	for _, r := range []string{callAllowed, callDenied, callDown} {
		m.calls.WithLabelValues(r)
	}
	for _, r := range []string{fetchOK, fetchFailed} {
		m.fetches.WithLabelValues(r)
	}
	return m
}

// Results of calls and fetches: metric labels.
const (
	callAllowed = "allowed"
	callDenied  = "denied"
	callDown    = "down"
	fetchOK     = "ok"
	fetchFailed = "failed"
)

func (m *metrics) attempt(from source, err error) {
	result := resultAllowed
	var denied *auth.Denied
	if errors.As(err, &denied) {
		result = string(denied.Why)
	}
	m.attempts.WithLabelValues(string(from), result).Inc()
}

func (m *metrics) cached(use cacheUse, probe bool) {
	if !probe {
		m.cache.WithLabelValues(string(use)).Inc()
	}
}

func (m *metrics) called(took time.Duration, allowed bool, err error) {
	result := callDenied
	switch {
	case err != nil:
		result = callDown
	case allowed:
		result = callAllowed
	}
	m.calls.WithLabelValues(result).Observe(took.Seconds())
}

func (m *metrics) crowded() { m.crowd.Inc() }

func (m *metrics) fetched(err error) {
	result := fetchOK
	if err != nil {
		result = fetchFailed
	}
	m.fetches.WithLabelValues(result).Inc()
}
