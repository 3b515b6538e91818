package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"pushcart/ingest"
)

// Server takes publishers' connections.
type Server struct {
	opt     Options
	metrics *metrics

	mu     sync.Mutex // guards what follows
	conns  map[*conn]struct{}
	places ingest.Places
}

// NewServer makes a server. It fails when the metrics cannot be registered.
func NewServer(opt Options) (*Server, error) {
	if opt.Door == nil {
		return nil, errors.New("rtmp: Options.Door is required")
	}
	opt = opt.withDefaults()
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("rtmp: registering metrics: %w", err)
	}
	return &Server{opt: opt, metrics: m, conns: map[*conn]struct{}{}}, nil
}

// limits are those in force now.
func (s *Server) limits() Limits { return s.opt.Limits().withDefaults() }

// protocol names what the server speaks, as users know it.
func (s *Server) protocol() string {
	if s.opt.TLS != nil {
		return "rtmps"
	}
	return "rtmp"
}

// Serve takes connections from l until ctx ends, which is no error, or l fails. It closes l, tells the publishers that
// are connected why they must go, and returns after the last of its goroutines has ended. It may be called for several
// listeners.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer onDone(ctx, func() { l.Close() })()
	defer l.Close()
	for delay := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			delay = 0
			s.start(ctx, &wg, nc)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if !ingest.Temporary(err) {
			cancel()
			return fmt.Errorf("rtmp: accepting on %s: %w", l.Addr(), err)
		}
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.opt.Log.Error("rtmp: accepting a connection; retrying", "error", err, "delay", delay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// onDone runs f on a goroutine when ctx ends. The function it returns calls that off, or waits until f has ended.
func onDone(ctx context.Context, f func()) func() {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		f()
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// start admits a connection and serves it on a goroutine of its own.
func (s *Server) start(ctx context.Context, wg *sync.WaitGroup, nc net.Conn) {
	c := newConn(ctx, s, nc)
	if r := s.admit(c); r != "" {
		s.metrics.results[r].Inc()
		c.log.Debug("rtmp: connection refused", "result", string(r))
		c.cancel()
		nc.Close()
		return
	}
	wg.Go(func() {
		defer s.leave(c)
		defer onDone(ctx, func() {
			c.kick(ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment."))
		})()
		c.serve()
	})
}

// admit counts a connection in, unless there are too many.
func (s *Server) admit(c *conn) result {
	lim := s.limits()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.places.Take(c.remote.Addr(), lim.MaxConnections, lim.MaxConnectionsPerAddress) {
	case ingest.FullServer:
		return resultTooMany
	case ingest.FullNetwork:
		return resultTooManyAddress
	}
	s.conns[c] = struct{}{}
	s.metrics.connections.Inc()
	return ""
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.places.Leave(c.remote.Addr())
	s.metrics.connections.Dec()
}
