package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// Desk is one stream's cards, as the API uses them. Its methods are for any goroutine.
type Desk interface {
	// Do carries a command out. Its error is an *overlay.Refusal, or that of the context.
	Do(context.Context, overlay.Command) (overlay.Result, error)
	// View is everything at this moment; never nil.
	View() *overlay.View
	// Preview is what viewers in a region get of a card; false when there is no such card. Region "" is any.
	Preview(id, region string) ([]byte, bool)
}

// Options sets an API up. All fields are needed unless they say otherwise.
type Options struct {
	// Desk opens a stream's desk, or makes it. Its error is an *overlay.Refusal.
	Desk func(stream string) (Desk, error)
	// Document finds what viewers get of a revision that was shown.
	Document func(stream, card string, rev int64) (overlay.Document, bool)
	// Keys is the JSON Web Key Set with which states are verified (RFC 7517): the node's own keys, and those of the nodes whose
	// streams it has copied. It is asked for each request; the result is not changed.
	Keys func() []byte
	// Tokens are the operators', in force now.
	Tokens *auth.Store
	// Streams are all that are there, by name.
	Streams func() []Stream
	// Stream describes one; false when there is none of the name.
	Stream func(name string) (Stream, bool)
	// Sources are what streams are fetched from; nil is a node that fetches nothing.
	Sources Sources
	// Elsewhere is how another node is asked that is the origin of a stream; nil where this node is, or where there is none. It is
	// asked for each request about a stream, so it must not wait. The field is nil on a node without a cluster.
	Elsewhere func(stream string) http.RoundTripper
	// Ladder describes what is made of a stream; false when nothing is. LadderNode tells what the node makes ladders with, and
	// LadderCommand what would be run for a stream that is live, or for a source as described; its error is an *overlay.Refusal, or
	// a sentence, behind "source: " where the description is at fault. The three are nil on a node that makes no ladders.
	Ladder        func(stream string) (LadderDetail, bool)
	LadderNode    func() LadderNode
	LadderCommand func(stream, source string) (LadderCommand, error)

	// Visible tells whether a request without a token may know of a stream, and Publisher whether a secret is one of a stream's
	// publishers, who may. They are asked for each request, and for each stream of a list; a nil Visible is that everybody may.
	Visible   func(r *http.Request, stream string) bool
	Publisher func(stream, secret string) bool
	// Address returns what stands in front of the addresses at which a stream can be played, and until when they are good: "" and
	// the zero time where everybody may play it. nil is that for all.
	Address func(stream string) (prefix string, expires time.Time)
	// Origins says in an answer that is for everybody which pages of other sites may read it; nil is all.
	Origins func(h http.Header, r *http.Request)

	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// API answers the requests of operators and viewers about streams, their cards, their sources and their ladders.
type API struct {
	opt     Options
	routes  []route
	guard   *guard
	feeds   *feeds
	metrics *metrics
	keys    atomic.Pointer[static] // as they were last asked for
	spec    static

	strangers chan struct{} // holds a value for each request of an open route that another node answers
	closing   sync.Once
	closed    chan struct{} // ends the event streams
}

// New makes an API.
func New(opt Options) *API {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sources == nil {
		opt.Sources = noSources{}
	}
	if opt.Origins == nil {
		opt.Origins = func(h http.Header, _ *http.Request) { h.Set("Access-Control-Allow-Origin", "*") }
	}
	m := newMetrics(opt.Registerer)
	a := &API{
		opt: opt, metrics: m, closed: make(chan struct{}), strangers: make(chan struct{}, mostStrangers),
		guard: &guard{tokens: opt.Tokens, now: opt.Now, log: opt.Log, failed: m.failed, strikes: map[string]*strikes{}},
		feeds: &feeds{byStream: map[string]*feed{}, byAddress: map[string]int{}, gauge: m.feeds},
		spec:  newStatic(openAPI, "application/yaml", "no-cache"),
	}
	a.routes = a.table()
	return a
}

// Close ends all event streams, so that nothing holds up the server's shutdown.
func (a *API) Close() { a.closing.Do(func() { close(a.closed) }) }

// metrics of the API.
type metrics struct {
	requests *prometheus.CounterVec
	failed   prometheus.Counter
	feeds    prometheus.Gauge
	carried  *prometheus.CounterVec // to streams' origins, by outcome
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_api_requests_total", Help: "Requests to the API, by method and status of the answer."}, []string{"method", "status"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_api_token_failures_total", Help: "Requests to the API with a token that is not good for the stream."}),
		feeds: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_api_event_streams", Help: "Dashboards that follow a stream's cards."}),
	}
	m.carried = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_api_carried_total", Help: "Requests that were carried to the node that is the stream's origin, by outcome."}, []string{"outcome"})
	reg.MustRegister(m.requests, m.failed, m.feeds, m.carried)
	return m
}

// static is a small document that is the same for everybody.
type static struct {
	body              []byte
	kind, cache, etag string
}

func newStatic(body []byte, kind, cache string) static {
	sum := sha256.Sum256(body)
	return static{body: body, kind: kind, cache: cache, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}

func (s static) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", s.cache)
	h.Set("ETag", s.etag)
	if matches(r.Header.Values("If-None-Match"), s.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", s.kind)
	// A client that goes away is no fault of ours.
	_, _ = w.Write(s.body)
}
