package node

import (
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"time"

	"pushcart/relay"
	"pushcart/relay/route"
)

// openRouting makes what tells viewers and operators where streams are.
func (c *cluster) openRouting() {
	c.router = route.New(route.Options{
		Directory: c.directory,
		Settings: func() route.Settings {
			cfg := c.n.cfg.Load()
			return route.Settings{
				Redirect: cfg.Routing.Redirect, CountryHeader: cfg.Routing.CountryHeader,
				Countries: cfg.Places(), Fallback: cfg.Routing.Fallback,
			}
		},
	})
	c.view = route.ClusterOptions{
		Directory: c.directory,
		Certificate: func(node string) (time.Time, bool) {
			return c.trust.NotAfter(), node == c.trust.Identity().Name
		},
	}
}

// registerPages mounts the operator's view.
func (c *cluster) registerPages(mux *http.ServeMux) {
	mux.Handle("GET /cluster", route.Page(c.view))
	mux.Handle("GET /cluster.json", route.JSON(c.view))
}

// forbidden tells whether a stream must not be shown in this node's region.
func (c *cluster) forbidden(stream string) bool { return c.manager.Forbidden(stream) }

// meter measures the processor time that the node takes.
type meter struct {
	mu   sync.Mutex // guards what follows
	at   time.Time
	used time.Duration
	rate float64 // in cores
}

// meterEvery is the least time between two measurements.
const meterEvery = 2 * time.Second

// read returns the load of the last seconds, in cores.
func (m *meter) read(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsZero() && now.Sub(m.at) < meterEvery {
		return m.rate
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return m.rate
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if span := now.Sub(m.at); !m.at.IsZero() && span > 0 {
		m.rate = min(float64(used-m.used)/float64(span), float64(runtime.NumCPU()))
	}
	m.at, m.used = now, used
	return m.rate
}

// load is how busy this node is, for the directory's heartbeats.
func (c *cluster) load() relay.Load {
	now := time.Now()
	l := relay.Load{CPU: c.meter.read(now), Draining: c.n.drain.since(now) > 0}
	if c.server == nil {
		return l // the first heartbeat comes before the relay is there
	}
	for _, p := range c.n.registry.All() {
		l.Viewers += c.n.registry.Viewers(p.Stream, now)
	}
	l.Peers, l.Full = c.server.Load()
	return l
}
