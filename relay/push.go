package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultSpare is how many connections a Pusher keeps ready at each peer.
const DefaultSpare = 4

// PushOptions of a Pusher.
type PushOptions struct {
	// Peers are the nodes that may copy from this one over connections that this one makes, in the words that Dial takes. They
	// are asked for once.
	Peers []string
	// Dial makes a TLS connection to a peer's relay and checks that it is that peer.
	Dial func(ctx context.Context, peer string) (net.Conn, error)
	// Handler serves the logs: the Server of this node.
	Handler http.Handler
	// Spare is how many connections are kept ready at each peer; 0 is DefaultSpare.
	Spare int
	// Log may be nil, Registerer too.
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Pusher lets peers copy from this node where they cannot call it: it keeps connections ready at them (ReversePool).
type Pusher struct {
	opt      PushOptions
	server   *http.Server
	handlers sync.WaitGroup
	arrivals chan net.Conn
	attempts *prometheus.CounterVec

	mu    sync.Mutex // guards what follows
	ready map[net.Conn]*line
}

// line is a peer's connections that are not in use yet.
type line struct {
	peer  string
	count int           // guarded by the Pusher's mu
	less  chan struct{} // has one element when count fell
}

// NewPusher makes a Pusher, which does nothing before Run.
func NewPusher(o PushOptions) *Pusher {
	if o.Spare <= 0 {
		o.Spare = DefaultSpare
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pusher{opt: o, arrivals: make(chan net.Conn), ready: map[net.Conn]*line{}}
	p.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_relay_reverse_dials_total", Help: "Connections made to peers so that they copy over them, by result: ok or failed.",
	}, []string{"result"})
	if o.Registerer != nil {
		o.Registerer.MustRegister(p.attempts)
	}
	var only http.Protocols
	only.SetHTTP1(true)
	p.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.handlers.Add(1)
			defer p.handlers.Done()
			o.Handler.ServeHTTP(w, r)
		}),
		Protocols: &only, ConnState: p.state, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return p
}

// Run keeps the connections until ctx ends, and returns when everything that was served over them has ended.
func (p *Pusher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, peer := range p.opt.Peers {
		wg.Go(func() { p.keep(ctx, &line{peer: peer, less: make(chan struct{}, 1)}) })
	}
	wg.Go(func() {
		err := p.server.Serve(arrivals{ctx, p.arrivals})
		if !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			p.opt.Log.Error("connections to peers are not served any more", "error", err)
		}
	})
	<-ctx.Done()
	p.server.Close()
	wg.Wait()
	p.handlers.Wait()
}

// keep makes one peer's connections.
func (p *Pusher) keep(ctx context.Context, l *line) {
	failures := 0
	for ctx.Err() == nil {
		p.mu.Lock()
		enough := l.count >= p.opt.Spare
		p.mu.Unlock()
		if enough {
			select {
			case <-l.less:
			case <-ctx.Done():
			}
			continue
		}
		conn, err := p.dial(ctx, l.peer)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			p.attempts.WithLabelValues("failed").Inc()
			if failures == 0 {
				p.opt.Log.Warn("a peer cannot be reached for being copied from", "peer", l.peer, "error", err)
			}
			pause(ctx, backOff(failures, rand.Float64()))
			failures++
			continue
		}
		failures = 0
		p.attempts.WithLabelValues("ok").Inc()
		p.mu.Lock()
		p.ready[conn] = l
		l.count++
		p.mu.Unlock()
		select {
		case p.arrivals <- conn:
		case <-ctx.Done():
			p.used(conn)
			conn.Close()
		}
	}
}

// dial makes a connection and has it turned round.
func (p *Pusher) dial(ctx context.Context, peer string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := p.opt.Dial(ctx, peer)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = turn(conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// turn asks for the roles to be turned round. The answer is read byte by byte, since what follows it is the peer's first request.
func turn(conn net.Conn) error {
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\n\r\n", ReversePath, reverseProtocol)
	if err != nil {
		return err
	}
	const longest = 4096
	var head []byte
	var one [1]byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(conn, one[:]); err != nil {
			return fmt.Errorf("read the peer's answer: %w", err)
		}
		if head = append(head, one[0]); len(head) > longest {
			return errors.New("the peer's answer has no end")
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the peer answers %s: is this node's certificate one of its cluster?", answer.Status)
	}
	return nil
}

// state notes which connections came into use, or were lost before.
func (p *Pusher) state(conn net.Conn, s http.ConnState) {
	if s != http.StateNew {
		p.used(conn)
	}
}

func (p *Pusher) used(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.ready[conn]
	if l == nil {
		return
	}
	delete(p.ready, conn)
	l.count--
	select {
	case l.less <- struct{}{}:
	default:
	}
}

// arrivals is a net.Listener of connections that this node has made.
type arrivals struct {
	ctx   context.Context
	conns <-chan net.Conn
}

func (a arrivals) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (a arrivals) Close() error   { return nil }
func (a arrivals) Addr() net.Addr { return &net.TCPAddr{} }

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
