package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A node behind a firewall cannot be called: it calls, and is copied from over the connections that it made. It asks with
// POST ReversePath and the upgrade to reverseProtocol (RFC 9110 7.8); behind the answer 101 the roles are turned round, and the
// node that was called sends HTTP/1.1 requests for logs, one for each connection.

// ReversePath is where a relay's server takes connections over which it will ask.
const ReversePath = "/relay/1/reverse"

const reverseProtocol = "pushcart-relay"

// Bounds of what lies ready.
const (
	maxSparePerNode = 16
	maxSpare        = 1024
)

// ReverseOptions of a ReversePool.
type ReverseOptions struct {
	// Identify returns the name of the node that a request comes from, by its verified certificate.
	Identify func(*http.Request) (string, error)
	// Log may be nil, Registerer too.
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// ReversePool holds connections that nodes made for being copied from. It is the http.Handler of ReversePath.
type ReversePool struct {
	opt     ReverseOptions
	refused *prometheus.CounterVec

	mu      sync.Mutex // guards what follows
	spare   map[string][]*spare
	count   int
	changed chan struct{} // closed when a connection comes
	closed  bool
	wg      sync.WaitGroup // of watchers
}

// spare is a connection that waits. A watcher reads from it, so that one that was closed does not lie there as good.
type spare struct {
	conn net.Conn
	done chan struct{} // closed when the watcher has ended
	err  error         // why it ended; read after done
}

// NewReversePool makes an empty pool.
func NewReversePool(o ReverseOptions) *ReversePool {
	p := &ReversePool{opt: o, spare: map[string][]*spare{}, changed: make(chan struct{})}
	if p.opt.Log == nil {
		p.opt.Log = slog.New(slog.DiscardHandler)
	}
	p.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_relay_reverse_refused_total", Help: "Connections of nodes behind firewalls that were refused, by reason.",
	}, []string{"reason"})
	if o.Registerer != nil {
		o.Registerer.MustRegister(p.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_relay_reverse_spare_connections", Help: "Connections that nodes behind firewalls made and that wait to be used.",
		}, func() float64 {
			p.mu.Lock()
			defer p.mu.Unlock()
			return float64(p.count)
		}))
	}
	return p
}

// ServeHTTP takes a connection into the pool.
func (p *ReversePool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(reason, text string, status int) {
		p.refused.WithLabelValues(reason).Inc()
		http.Error(w, text, status)
	}
	if r.Method != http.MethodPost || r.Header.Get("Upgrade") != reverseProtocol {
		w.Header().Set("Upgrade", reverseProtocol)
		refuse("bad_request", "Ask with POST and Upgrade: "+reverseProtocol+".", http.StatusUpgradeRequired)
		return
	}
	node, err := p.opt.Identify(r)
	if err != nil {
		refuse("unknown_node", "The certificate names no node: "+err.Error(), http.StatusForbidden)
		return
	}
	if !p.room(node) {
		w.Header().Set("Retry-After", "1")
		refuse("full", "Enough connections wait already: keep fewer ready.", http.StatusServiceUnavailable)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse("bad_request", "The connection cannot be turned round: ask with HTTP/1.1.", http.StatusHTTPVersionNotSupported)
		return
	}
	// Nothing may come before a request was sent: what did come is no answer to it.
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n", reverseProtocol)
	if err != nil || buffered.Reader.Buffered() > 0 || conn.SetDeadline(time.Time{}) != nil || !p.put(node, conn) {
		conn.Close()
	}
}

func (p *ReversePool) room(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && p.count < maxSpare && len(p.spare[node]) < maxSparePerNode
}

func (p *ReversePool) put(node string, conn net.Conn) bool {
	s := &spare{conn: conn, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.count >= maxSpare || len(p.spare[node]) >= maxSparePerNode {
		return false
	}
	p.spare[node] = append(p.spare[node], s)
	p.count++
	close(p.changed)
	p.changed = make(chan struct{})
	p.wg.Go(func() { p.watch(node, s) })
	return true
}

// errSpoke is a node that sends something before it was asked.
var errSpoke = errors.New("the node sent something unasked")

// watch waits for the end of a spare connection: its own, or that it is taken, which ends the read by a deadline.
func (p *ReversePool) watch(node string, s *spare) {
	var one [1]byte
	n, err := s.conn.Read(one[:])
	if n > 0 {
		err = errSpoke
	}
	s.err = err
	close(s.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removeLocked(node, s) {
		s.conn.Close()
		p.opt.Log.Debug("a spare connection of a node behind a firewall has ended", "node", node, "error", err)
	}
}

func (p *ReversePool) removeLocked(node string, s *spare) bool {
	all := p.spare[node]
	for i, o := range all {
		if o == s {
			if p.spare[node] = append(all[:i:i], all[i+1:]...); len(all) == 1 {
				delete(p.spare, node)
			}
			p.count--
			return true
		}
	}
	return false
}

// Has tells whether a node has a connection ready.
func (p *ReversePool) Has(node string) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spare[node]) > 0
}

// Take returns a connection to a node, over which requests can be sent; it waits for one until ctx ends.
func (p *ReversePool) Take(ctx context.Context, node string) (net.Conn, error) {
	for {
		p.mu.Lock()
		changed, closed := p.changed, p.closed
		var s *spare
		if all := p.spare[node]; len(all) > 0 {
			s = all[len(all)-1] // the newest: the least likely to have died unheard
			p.removeLocked(node, s)
		}
		p.mu.Unlock()
		if s != nil {
			if conn := s.take(); conn != nil {
				return conn, nil
			}
			continue
		}
		if closed {
			return nil, net.ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("node %s has no address, and no connection of its own is ready: %w", node, ctx.Err())
		}
	}
}

// take ends the watcher's read; nil when the connection is no good any more.
func (s *spare) take() net.Conn {
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.done
	var timeout net.Error
	if errors.As(s.err, &timeout) && timeout.Timeout() && s.conn.SetReadDeadline(time.Time{}) == nil {
		return s.conn
	}
	s.conn.Close()
	return nil
}

// Close closes what waits and takes nothing more.
func (p *ReversePool) Close() {
	p.mu.Lock()
	p.closed = true
	for _, all := range p.spare {
		for _, s := range all {
			s.conn.Close()
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.wg.Wait()
}
