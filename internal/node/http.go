package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/config"
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
	if n.tracing != nil {
		opt.Waits = waits
	}
	if c := n.cluster; c != nil {
		opt.Elsewhere, opt.Forbidden = n.access.elsewhere(c.router.Elsewhere), c.forbidden
		c.router.Register(mux)
	}
	media := hls.NewHandler(opt)
	cards := n.cardAPI()
	cards.Register(mux)
	n.registerWHIP(mux)
	n.access.register(mux)
	documents := cards.Documents()
	web.Register(mux, func() []string { return n.cfg.Load().Cards.Hosts }, playback.PrefixOf)

	// Media first and without the mux: it is asked for a hundred times as often as everything else.
	pages := n.front.Pages(mux)
	n.upgrade.media, n.upgrade.endEvents = media, cards.Close
	n.upgrade.core = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case !strings.HasPrefix(path, hls.Prefix):
			pages.ServeHTTP(w, r)
		case api.IsDocument(path):
			documents.ServeHTTP(w, r)
		default:
			media.ServeHTTP(w, r)
		}
	})
	s := n.serverFor(cfg, n.access.guard(n.drain.watch(n.traced(n.upgrade))))
	n.upgrade.count(s)
	// Dashboards follow for as long as they are let.
	s.RegisterOnShutdown(cards.Close)
	return s
}

// demand tells whether the node can fetch a stream, from a camera or from another node, and begins to.
func (n *Node) demand(name string) bool {
	return n.pulls.Demand(name) || n.cluster != nil && n.cluster.manager.Demand(name)
}

// adminServer serves the operator: metrics, health and profiles.
func (n *Node) adminServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(n.reg))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	n.registerDrain(mux)
	if n.cluster != nil {
		n.cluster.registerPages(mux)
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler: n.front.Pages(mux), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// serveHTTP runs a server on a listener until ctx ends.
func serveHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		if errors.Is(err, http.ErrServerClosed) {
			return nil // another process serves
		}
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
