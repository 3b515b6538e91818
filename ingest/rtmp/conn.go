package rtmp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib/pkg/handshake"

	"pushcart/ingest"
)

// What a connection may hold before it publishes: under 256 KB with its buffers, its stack and TLS's.
const (
	earlyBuffer  = 4 << 10
	earlyMessage = 16 << 10
	earlyStreams = 8
	earlyPending = 48 << 10
	earlyTotal   = 256 << 10 // bytes that may come before something is published; encoders send some hundred
)

// What a publisher's connection has.
const (
	mediaBuffer  = 32 << 10
	mediaStreams = 32
)

const (
	writeTimeout  = 5 * time.Second
	kickTimeout   = time.Second // for a write when the connection must end
	lingerTimeout = time.Second // for the peer to read the last message
	lingerBytes   = 4 << 20
	bitrateSpan   = 4 // seconds of MaxBitrate that may come at once
	limitsEvery   = time.Second
)

// conn is one connection. All of it belongs to the goroutine of serve, but for kicked and leaving.
type conn struct {
	server *Server
	raw    net.Conn // TCP
	nc     net.Conn // what is spoken on: raw, or TLS over it
	remote netip.AddrPort
	id     string // for the log
	log    *slog.Logger
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	limits Limits
	asked  time.Time // when limits were read

	kicked  atomic.Pointer[ingest.Refusal] // why to end, from outside
	leaving atomic.Pointer[ingest.Drain]   // the client is to be asked to reconnect; nil once that is done

	chunks   *chunkReader
	out      messageWriter
	ahead    []byte    // read before mediaBuffer was there, to be read again
	unread   bool      // a write failed: the client gets to know nothing any more
	deadline time.Time // by which something must have happened
	pingAt   time.Time // when silence is to be broken

	received uint64  // bytes
	acked    uint64  // of them acknowledged
	window   uint64  // acknowledgement window of the peer
	level    float64 // bits above the rate limit: a bucket that leaks at MaxBitrate
	levelAt  time.Time

	session session
}

func newConn(ctx context.Context, s *Server, nc net.Conn) *conn {
	c := &conn{server: s, raw: nc, nc: nc, id: ingest.NewConn(), window: defaultWindow, limits: s.limits()}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.remote = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	c.log = s.opt.Log.With("conn", c.id, "remote", c.remote)
	c.out = messageWriter{w: timedWriter{c}, size: defaultChunkSize}
	c.session.conn, c.session.log = c, c.log
	return c
}

// longAgo is a deadline that wakes a reader.
var longAgo = time.Unix(1, 0)

// kick ends the connection from any goroutine, with a sentence for the publisher. The first reason stays.
func (c *conn) kick(r *ingest.Refusal) {
	if c.kicked.CompareAndSwap(nil, r) {
		c.cancel()
		c.raw.SetReadDeadline(longAgo)
		c.raw.SetWriteDeadline(time.Now().Add(kickTimeout))
	}
}

// serve runs the connection from its first byte to its last.
func (c *conn) serve() {
	defer c.raw.Close()
	defer c.cancel()
	defer c.survive()
	how, err := c.run()
	if r := c.kicked.Load(); r != nil {
		err = r
	}
	published := c.session.published
	c.session.end(err)
	var refusal *ingest.Refusal
	if errors.As(err, &refusal) {
		c.server.metrics.refusals.Count(refusal.Reason)
		c.farewell(refusal)
		how = resultRefused
		if refusal.Reason == ingest.ReasonShutdown {
			how = resultShutdown
		}
	}
	if published {
		how = resultPublished
	}
	c.server.metrics.results[how].Inc()
	c.log.Log(context.Background(), c.logLevel(how), "rtmp: connection ended", "result", string(how), "error", err)
}

// survive keeps a fault in handling one publisher's bytes from ending all the others' streams.
func (c *conn) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	c.server.metrics.results[resultPanic].Inc()
	c.log.Error("rtmp: a fault of this server's ended a connection; please report it",
		"panic", fault, "stack", string(debug.Stack()))
	c.session.end(errPanic)
}

// logLevel makes known what nobody else logs and somebody could mend: the door logs those whom it let in or refused. Who never gets
// through the handshake is counted, and told of when debugging only: strangers could fill the log otherwise.
func (c *conn) logLevel(how result) slog.Level {
	switch how {
	case resultRefused:
		if !c.session.logged {
			return slog.LevelWarn
		}
	case resultEncrypted, resultProtocol:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// run returns how the connection went, had it published nothing, and why it ended.
func (c *conn) run() (result, error) {
	now := c.server.opt.Now()
	c.levelAt, c.asked = now, now
	c.deadline = now.Add(c.limits.HandshakeTimeout)
	c.pingAt = c.deadline
	how, err := c.shake()
	if err != nil {
		return how, err
	}
	c.deadline = c.server.opt.Now().Add(c.limits.HandshakeTimeout)
	err = c.messages()
	switch {
	case errors.Is(err, io.EOF):
		return resultNoPublish, errGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.session.pub == nil {
			return resultTimeout, err
		}
		return resultTimeout, ingest.Refuse(ingest.ReasonIdle,
			"No audio or video came for %d seconds. Check the encoder's network and start the stream again.", int(c.limits.IdleTimeout.Seconds()))
	case errors.Is(err, errLimit), errors.Is(err, errRate):
		return resultProtocol, ingest.Refuse(ingest.ReasonLimit, "This stream goes beyond what the server takes: %v.", err)
	case errors.Is(err, errChunk):
		return resultProtocol, ingest.Refuse(ingest.ReasonProtocol, "The encoder broke the RTMP protocol: %v. Start the stream again.", err)
	}
	return resultProtocol, err
}

// shake goes through the TLS and RTMP handshakes.
func (c *conn) shake() (result, error) {
	if t := c.server.opt.TLS; t != nil {
		tc := tls.Server(c.raw, t)
		ctx, cancel := context.WithTimeout(context.Background(), c.limits.HandshakeTimeout)
		defer cancel()
		if err := tc.HandshakeContext(ctx); err != nil {
			return resultBadHandshake, fmt.Errorf("TLS handshake: %w", err)
		}
		c.nc = tc
	}
	r := bufio.NewReaderSize(timedReader{c}, earlyBuffer)
	version, err := r.Peek(1)
	if err != nil {
		return resultBadHandshake, fmt.Errorf("handshake: %w", err)
	}
	switch version[0] {
	case 3:
	case 6:
		return resultEncrypted, errors.New("handshake: the client asks for RTMPE, which is broken: use rtmps or rtmp")
	case 0x16:
		return resultBadHandshake, errors.New("handshake: the client speaks TLS: use the RTMPS port, or rtmp instead of rtmps")
	default:
		return resultBadHandshake, fmt.Errorf("handshake: RTMP version %d: another protocol?", version[0])
	}
	rw := struct {
		io.Reader
		io.Writer
	}{r, timedWriter{c}}
	if _, _, err := handshake.DoServer(rw, false); err != nil {
		return resultBadHandshake, fmt.Errorf("handshake: %w", err)
	}
	c.chunks = newChunkReader(r, chunkLimits{message: earlyMessage, streams: earlyStreams, pending: earlyPending})
	return "", nil
}

// messages reads and handles messages until something ends the connection.
func (c *conn) messages() error {
	for {
		m, err := c.chunks.read()
		if err != nil {
			return err
		}
		if err := c.handle(m); err != nil {
			return err
		}
		if err := c.acknowledge(); err != nil {
			return err
		}
	}
}

// widen raises the limits for a publisher that was let in.
func (c *conn) widen() {
	c.refreshLimits(c.server.opt.Now())
	c.chunks.limits = chunkLimits{message: c.limits.MaxMessageSize, streams: mediaStreams, pending: 2 * c.limits.MaxMessageSize}
	if c.chunks.r.Size() < mediaBuffer {
		rest, _ := c.chunks.r.Peek(c.chunks.r.Buffered())
		c.ahead = append([]byte(nil), rest...)
		c.chunks.r = bufio.NewReaderSize(timedReader{c}, mediaBuffer)
	}
	c.active()
}

// active notes that media came.
func (c *conn) active() {
	now := c.levelAt // when the bytes in hand were read
	c.deadline = now.Add(c.limits.IdleTimeout)
	c.pingAt = now.Add(c.limits.IdleTimeout / 3)
}

func (c *conn) refreshLimits(now time.Time) {
	c.asked = now
	c.limits = c.server.limits()
	if c.session.pub != nil {
		c.chunks.limits.message, c.chunks.limits.pending = c.limits.MaxMessageSize, 2*c.limits.MaxMessageSize
	}
}

// errGone is a peer that closed its connection between messages.
var errGone = errors.New("the connection was closed")

// errPanic is a connection that ended by a fault of the server's.
var errPanic = errors.New("a fault of the server")

// errUnread is a client that lets a write wait for too long.
var errUnread = errors.New("the client does not read what the server answers")

// errRate is a publisher above MaxBitrate.
var errRate = errors.New("its bitrate is too high")

// timedReader reads from the connection by its deadlines, and counts.
type timedReader struct{ c *conn }

// Read implements io.Reader.
func (t timedReader) Read(p []byte) (int, error) {
	c := t.c
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	for {
		if err := c.askToLeave(); err != nil {
			return 0, err
		}
		until := c.deadline
		ping := c.session.pub != nil && c.pingAt.Before(until)
		if ping {
			until = c.pingAt
		}
		// By the clock of the deadlines, which are the operating system's. For both directions, since TLS may have to
		// write in order to read.
		c.raw.SetDeadline(time.Now().Add(until.Sub(c.server.opt.Now())))
		if c.kicked.Load() != nil { // it may have set its deadline before this one
			return 0, os.ErrDeadlineExceeded
		}
		if c.leaving.Load() != nil { // likewise
			continue
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			return n, c.count(n)
		}
		late := errors.Is(err, os.ErrDeadlineExceeded) && c.kicked.Load() == nil
		if late && c.leaving.Load() != nil {
			continue
		}
		if !late || !ping {
			return 0, err
		}
		c.pingAt = c.deadline
		if err := c.out.event(eventPingRequest, uint32(c.server.opt.Now().UnixMilli())); err != nil {
			return 0, err
		}
	}
}

// count notes received bytes and holds them against the rate limit.
func (c *conn) count(n int) error {
	now := c.server.opt.Now()
	c.received += uint64(n)
	c.server.metrics.bytes.Add(float64(n))
	if now.Sub(c.asked) >= limitsEvery {
		c.refreshLimits(now)
	}
	if !c.session.published && c.received > earlyTotal {
		return fmt.Errorf("%w: more than %d bytes before publishing", errLimit, earlyTotal)
	}
	rate := float64(c.limits.MaxBitrate)
	c.level = max(0, c.level-now.Sub(c.levelAt).Seconds()*rate) + 8*float64(n)
	c.levelAt = now
	if c.level > bitrateSpan*rate {
		return fmt.Errorf("%w: more than %d kbit/s for some seconds; lower the encoder's bitrate", errRate, c.limits.MaxBitrate/1000)
	}
	return nil
}

// timedWriter gives each write its time: little when the connection must end anyway.
type timedWriter struct{ c *conn }

// Write implements io.Writer.
func (t timedWriter) Write(p []byte) (int, error) {
	c := t.c
	c.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
	if c.kicked.Load() != nil { // it may have set its deadline before this one
		c.raw.SetWriteDeadline(time.Now().Add(kickTimeout))
	}
	n, err := c.nc.Write(p)
	if err != nil {
		c.unread = true
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errUnread // not to pass for a publisher that is silent
		}
	}
	return n, err
}

// farewell tells the publisher why it must go and leaves it time to read that: a socket closed with data unread would
// be reset, and the sentence lost.
func (c *conn) farewell(r *ingest.Refusal) {
	if c.chunks == nil || c.unread {
		return
	}
	if !c.session.told {
		if err := c.session.refuse(r); err != nil {
			return
		}
	}
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.raw.SetReadDeadline(time.Now().Add(lingerTimeout))
	io.CopyN(io.Discard, c.nc, lingerBytes)
}
