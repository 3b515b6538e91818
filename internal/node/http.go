package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/overlay/api"
	"pushcart/overlay/web"
	"pushcart/packager/hls"
)

// shutdownGrace is how long responses that are under way may take when the node stops.
const shutdownGrace = 3 * time.Second

// viewerServer serves viewers: media, API and pages.
func (n *Node) viewerServer(cfg *config.Config) *http.Server {
	opt := hls.Options{
		Registry: n.registry, Metrics: hls.NewMetrics(n.reg), Demand: n.demand, Poster: n.poster,
		Settings: func() hls.Settings {
			c := n.cfg.Load().HTTP
			return hls.Settings{MaxWaitingPerAddress: c.MaxWaitingPerAddress, MinReadRate: int64(c.MinReadRate)}
		},
	}
	mux := http.NewServeMux()
	if c := n.cluster; c != nil {
		opt.Elsewhere, opt.Forbidden = c.router.Elsewhere, c.forbidden
		c.router.Register(mux)
	}
	media := hls.NewHandler(opt)
	cards := n.cardAPI()
	cards.Register(mux)
	n.registerWHIP(mux)
	documents := cards.Documents()
	web.Register(mux, func() []string { return n.cfg.Load().Cards.Hosts })

	connections := &connectionLimit{
		max: func() int { return n.cfg.Load().HTTP.MaxConnections },
		gauge: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_http_connections", Help: "Open connections of viewers and caches."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_http_connections_refused_total", Help: "Connections closed at once because http.max_connections was reached."}),
	}
	n.reg.MustRegister(connections.gauge, connections.refused)
	s := &http.Server{
		// Media first and without the mux: it is asked for a hundred times as often as everything else.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch path := r.URL.Path; {
			case !strings.HasPrefix(path, hls.Prefix):
				mux.ServeHTTP(w, r)
			case api.IsDocument(path):
				documents.ServeHTTP(w, r)
			default:
				media.ServeHTTP(w, r)
			}
		}),
		ReadHeaderTimeout: time.Duration(cfg.HTTP.HeaderTimeout),
		IdleTimeout:       time.Duration(cfg.HTTP.IdleTimeout),
		WriteTimeout:      hls.WriteTimeout,
		MaxHeaderBytes:    int(cfg.HTTP.MaxHeaderSize),
		Protocols:         protocols(),
		ConnState:         connections.state,
		ConnContext:       hls.GatherContext,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	// Dashboards follow for as long as they are let.
	s.RegisterOnShutdown(cards.Close)
	return s
}

// demand tells whether the node can fetch a stream, from a camera or from another node, and begins to.
func (n *Node) demand(name string) bool {
	return n.pulls.Demand(name) || n.cluster != nil && n.cluster.manager.Demand(name)
}

// protocols: HTTP/1.1 and HTTP/2, the latter with TLS and, for proxies that know, in clear text.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// connectionLimit counts connections and closes those over the limit.
type connectionLimit struct {
	max     func() int
	open    atomic.Int64
	gauge   prometheus.Gauge
	refused prometheus.Counter
}

func (c *connectionLimit) state(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		open := c.open.Add(1)
		c.gauge.Set(float64(open))
		if limit := c.max(); limit > 0 && open > int64(limit) {
			c.refused.Inc()
			conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.gauge.Set(float64(c.open.Add(-1)))
	}
}

// adminServer serves the operator: metrics, health and profiles.
func (n *Node) adminServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !n.ready.Load() {
			http.Error(w, "not ready: starting or stopping", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	if n.cluster != nil {
		n.cluster.registerPages(mux)
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// serveHTTP runs a server on a listener until ctx ends. secure is nil for clear text.
func serveHTTP(ctx context.Context, s *http.Server, l net.Listener, secure *tls.Config) error {
	done := make(chan error, 1)
	go func() {
		if secure != nil {
			l = tls.NewListener(l, secure)
		} else {
			l = hls.GatherListener(l)
		}
		done <- s.Serve(l)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if s.Shutdown(grace) != nil {
		s.Close()
	}
	<-done
	return nil
}

// newRegistry makes the metrics registry with what the Go runtime and the process tell.
func newRegistry(version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pushcart_build_info", Help: "Always 1; the label tells the version."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	reg.MustRegister(info)
	return reg
}

// registerGauges registers what is read off the node when it is asked for.
func registerGauges(reg prometheus.Registerer, hub *stream.Hub, shows *hls.Registry) {
	count := func(state stream.State) func() float64 {
		return func() float64 {
			n := 0
			for _, s := range hub.List() {
				if s.Info().State == state {
					n++
				}
			}
			return float64(n)
		}
	}
	for _, state := range []stream.State{stream.Live, stream.Waiting} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_streams", Help: "Streams, by state: live, or waiting for their publisher to return.",
			ConstLabels: prometheus.Labels{"state": string(state)},
		}, count(state)))
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pushcart_window_bytes", Help: "Media kept in memory, over all presentations.",
	}, func() float64 { return float64(shows.Bytes()) }))
}
