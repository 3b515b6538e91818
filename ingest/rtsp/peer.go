package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"pushcart/ingest"
)

// What a connection may do before it publishes.
const (
	// earlyTotal is how many bytes may come: gortsplib takes a session description of up to 128 KiB, of which encoders send
	// one or two.
	earlyTotal = 192 << 10
	// earlyRequests is how many requests: OPTIONS, ANNOUNCE twice, a SETUP for each track, RECORD.
	earlyRequests = mostMedia + 20
	writeTimeout  = 5 * time.Second
)

// errEarly is a connection that sends more than is needed to publish.
var errEarly = errors.New("more came than it takes to publish")

// errSlow is a connection that took too long to publish.
var errSlow = errors.New("it took too long to publish")

// errRate is a connection above MaxBitrate.
var errRate = errors.New("more came than the server takes")

// peer is a publisher's connection, as gortsplib reads it. gortsplib has no deadline before RECORD and no limit on what comes
// in all, so it sees the connection through this.
type peer struct {
	net.Conn
	server *Server
	remote netip.AddrPort
	id     string // for the log
	log    *slog.Logger
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	deadline time.Time  // gortsplib's own for reading, zero for none
	until    time.Time  // by which something must be published, zero when it is
	early    int        // bytes that came since until was set
	requests int        // likewise
	rate     bucket
	read     int // bytes in all
	how      result
	refused  *ingest.Refusal // what the client is to be told
	over     bool            // it is no longer counted
	asked    bool            // it was asked for a key
	last     base.Method     // of the last request
	setting  *route          // the SETUP for UDP that is being answered
	session  *session        // that it announced, nil when there is none
}

func newPeer(s *Server, nc net.Conn) *peer {
	p := &peer{Conn: nc, server: s, id: ingest.NewConn(), how: resultNoPublish}
	p.ctx, p.cancel = context.WithCancel(s.ctx)
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		p.remote = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	p.log = s.opt.Log.With("conn", p.id, "remote", p.remote)
	return p
}

// peerOf finds the peer below a connection of gortsplib's.
func peerOf(nc net.Conn) *peer {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.(*peer)
}

// waiting begins the time in which something must be published.
func (p *peer) waiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waitingLocked()
}

func (p *peer) waitingLocked() {
	p.until = time.Now().Add(p.server.limits().HandshakeTimeout) // sockets go by this clock
	p.early, p.requests = 0, 0
	p.applyLocked()
}

// publishing ends it.
func (p *peer) publishing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.how = time.Time{}, resultPublished
	p.applyLocked()
}

// SetReadDeadline implements net.Conn. The earlier of gortsplib's and ours holds.
func (p *peer) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.applyLocked()
}

func (p *peer) applyLocked() error {
	t := p.deadline
	if t.IsZero() || !p.until.IsZero() && p.until.Before(t) {
		t = p.until
	}
	return p.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (p *peer) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) && !p.until.IsZero() {
		p.outcomeLocked(resultTimeout)
		return n, errSlow
	}
	p.read += n
	p.server.metrics.bytes.Add(float64(n))
	if limit := p.server.limits().MaxBitrate; !p.rate.add(n, limit, p.server.opt.Now()) {
		if p.session != nil {
			p.session.stop(tooFast(limit))
		}
		return 0, fmt.Errorf("%w: more than %d kbit/s for some seconds", errRate, limit/1000)
	}
	if p.early += n; !p.until.IsZero() && p.early > earlyTotal {
		p.outcomeLocked(resultProtocol)
		return 0, errEarly
	}
	return n, err
}

// requested notes a request; it says whether it is within the limit.
func (p *peer) requested(m base.Method) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = m
	p.requests++
	return p.until.IsZero() || p.requests <= earlyRequests
}

// refuse notes what the client is to be told with the next response.
func (p *peer) refuse(r *ingest.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = r
	p.outcomeLocked(resultRefused)
}

// refusal takes what the client is to be told, and the last request's method.
func (p *peer) refusal() (*ingest.Refusal, base.Method) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.refused
	p.refused = nil
	return r, p.last
}

// sets notes what SETUP is being answered for UDP, and returns what was noted before.
func (p *peer) sets(r *route) *route {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.setting
	p.setting = r
	return before
}

// challenged notes that the client was asked for a key.
func (p *peer) challenged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
}

// present is the session that the connection announced.
func (p *peer) present() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// announced notes a session.
func (p *peer) announced(c *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = c
}

// left notes that a session has ended; the connection may announce another, or leave. If it has announced one already, that is
// not touched.
func (p *peer) left(c *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == c {
		p.session = nil
		p.waitingLocked()
	}
}

// outcomeLocked notes how the connection went, unless that is known.
func (p *peer) outcomeLocked(r result) {
	if p.how == resultNoPublish {
		p.how = r
	}
}

func (p *peer) outcome(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outcomeLocked(r)
}

// Close implements net.Conn.
func (p *peer) Close() error {
	p.cancel()
	err := p.Conn.Close()
	p.mu.Lock()
	over := p.over
	p.over = true
	p.mu.Unlock()
	if !over {
		p.server.leave(p)
	}
	return err
}
