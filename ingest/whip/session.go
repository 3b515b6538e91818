package whip

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v4/packetio"
	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
)

const (
	// idleTick is how often a session looks around when nothing is due.
	idleTick = 50 * time.Millisecond
	// shortTick is the least time between two looks.
	shortTick = 2 * time.Millisecond
	// restartEvery is the least distance of two ICE restarts.
	restartEvery = 500 * time.Millisecond
	// closeTimeout is how long the library may take to end a connection before that is told of.
	closeTimeout = 10 * time.Second
)

var (
	errNoTag           = errors.New("no entity tag")
	errOldTag          = errors.New("an old entity tag")
	errHalfCredentials = errors.New("half of the ICE credentials")
	errTooManyRestarts = errors.New("too many ICE restarts")
	errFault           = errors.New("a fault of the server")
	errVanished        = errors.New("the connection was lost")
)

// session is one publisher's peer connection. Its own goroutine runs it; requests and the library's callbacks only signal.
type session struct {
	server *Server
	id     string
	conn   string // for the log: the identifier above is nearly a secret
	name   string
	from   netip.AddrPort
	secret [sha256.Size]byte // of the token
	log    *slog.Logger
	offer  *offer
	pc     *webrtc.PeerConnection
	pub    ingest.Publication

	kicked   chan *ingest.Refusal // room for one
	left     chan struct{}        // room for one: DELETE
	states   chan struct{}        // room for one: the connection's state has changed
	wake     chan struct{}        // room for one: look again when something is due
	done     chan struct{}        // closed when the connection ends, for those who wait to write
	cards    chan cardReply
	streams  atomic.Int32   // RTP and RTCP streams that came
	replying sync.Once      // starts the goroutine that sends answers
	others   sync.WaitGroup // goroutines of the library's callbacks that read or write

	negotiation sync.Mutex // guards what follows
	entity      string     // the entity tag, without quotation marks
	remote      fragment   // ICE credentials of the publisher
	restarted   time.Time

	mu    sync.Mutex // guards what follows
	over  bool       // nothing is taken any more
	fault error      // that ends the session
	media media
}

// begin makes a session of an offer: it makes the connection, and asks the door. The stream's present publisher makes way for one
// whose offer can be answered only.
func (s *Server) begin(r *http.Request, from netip.AddrPort, o *offer, conn string) (*session, string, error) {
	log := s.opt.Log.With("conn", conn, "protocol", "whip", "remote", from)
	c := &session{
		server: s, id: newID(), conn: conn, log: log, from: from, offer: o, secret: sha256.Sum256([]byte(credential(r))),
		kicked: make(chan *ingest.Refusal, 1), left: make(chan struct{}, 1), states: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), done: make(chan struct{}), cards: make(chan cardReply, maxReplies),
		entity: newID(), remote: credentials(o.text),
	}
	answer, err := c.connect(r.Context())
	if err == nil {
		err = c.open(request(r, from, conn, c.kick))
	}
	if err == nil && !s.add(c) {
		err = ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
		c.pub.Close(err)
	}
	if err != nil {
		c.disconnect()
		return nil, "", err
	}
	go c.run()
	return c, answer, nil
}

// request is what a POST asks of the door.
func request(r *http.Request, from netip.AddrPort, conn string, kick func(*ingest.Refusal)) ingest.Request {
	return ingest.Request{
		Protocol: "whip", Remote: from, Stream: r.PathValue("name"), Key: credential(r), Agent: ingest.Clip(ingest.PlainText(r.UserAgent())),
		Kick: kick, Conn: conn, Context: r.Context(),
	}
}

// maxBuffers is how many RTP and RTCP streams may come in a session's life, and bufferSize how many bytes of each wait to be
// read: the library keeps each for the session's life, whether anybody reads it or not.
const (
	maxBuffers = 512
	bufferSize = 1 << 20
)

type bufferFactory = func(packetio.BufferPacketType, uint32) io.ReadWriteCloser

// buffer makes the buffer of a stream.
func (c *session) buffer(packetio.BufferPacketType, uint32) io.ReadWriteCloser {
	b := streamBuffer{packetio.NewBuffer(), &c.streams}
	b.SetLimitSize(bufferSize)
	if c.streams.Add(1) > maxBuffers {
		c.kick(ingest.Refuse(ingest.ReasonLimit, "Too many RTP streams come in this session: one for each camera, microphone and simulcast layer is enough."))
	}
	return b
}

// streamBuffer is a stream's buffer. When another stream takes this one's place, the library writes, without a lock, what it read
// before it read here: that the counter is touched here and when a stream begins puts the two in order.
type streamBuffer struct {
	*packetio.Buffer
	streams *atomic.Int32
}

// Read implements io.Reader.
func (b streamBuffer) Read(p []byte) (int, error) {
	b.streams.Add(0)
	return b.Buffer.Read(p)
}

// kick ends the session from elsewhere.
func (c *session) kick(r *ingest.Refusal) {
	select {
	case c.kicked <- r:
	default:
	}
}

// open asks the door. The publisher has no answer yet, so there are no media.
func (c *session) open(r ingest.Request) error {
	pub, err := c.server.opt.Door.Open(r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pub, c.name = pub, pub.Name()
	c.log = c.log.With("stream", c.name)
	c.media.init(c, feed.New(feed.Options{Publication: pub, Log: c.log, Now: c.server.opt.Now}))
	return nil
}

// connect makes the peer connection and the answer.
func (c *session) connect(ctx context.Context) (string, error) {
	pc, err := c.server.connection(c.offer, c.buffer)
	if err != nil {
		return "", err
	}
	c.pc = pc
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { signal(c.states) })
	pc.OnTrack(c.track)
	pc.OnDataChannel(c.channel)
	answer, err := negotiate(ctx, pc, c.offer.text)
	if err != nil {
		return "", err
	}
	return c.server.dress(ctx, c.offer, answer, c.server.limits().MaxBitrate), nil
}

// tag is the entity tag of the ICE session.
func (c *session) tag() string {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return `"` + c.entity + `"`
}

// leave ends the session on the publisher's wish.
func (c *session) leave() {
	c.server.remove(c) // at once: the session's resource is gone
	signal(c.left)
}

// restart takes a fragment: with new ICE credentials it restarts ICE and returns the fragment to answer with.
func (c *session) restart(ctx context.Context, f fragment, match string) (answer, tag string, _ error) {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if match == "" {
		return "", "", errNoTag
	}
	if (f.ufrag == "") != (f.password == "") {
		return "", "", errHalfCredentials
	}
	same := f.ufrag == "" || f == c.remote
	if match != "*" && match != `"*"` && !matches(match, `"`+c.entity+`"`) {
		return "", "", errOldTag
	}
	if same {
		return "", "", nil
	}
	if now := c.server.opt.Now(); now.Sub(c.restarted) < restartEvery {
		return "", "", errTooManyRestarts
	} else {
		c.restarted = now
	}
	full, err := negotiate(ctx, c.pc, c.offer.restarted(f))
	if err != nil {
		return "", "", err
	}
	c.remote, c.entity = f, newID()
	c.server.metrics.restarts.Inc()
	c.log.Info("whip: ICE restarted")
	full = c.server.dress(ctx, c.offer, full, c.server.limits().MaxBitrate)
	return restartFragment(full), `"` + c.entity + `"`, nil
}

// run is the session's goroutine: it returns after everything of the session's has ended.
func (c *session) run() {
	defer c.server.leave(c.from.Addr())
	how, err := c.serve()
	var refusal *ingest.Refusal
	if errors.As(err, &refusal) { // before the resource is gone, which a publisher asks when its connection has ended
		c.server.metrics.refusals.Count(refusal.Reason)
		c.server.remember(c, refusal)
	}
	c.server.remove(c)
	c.mu.Lock()
	c.over = true
	c.media.stop()
	if c.media.came {
		how = resultPublished
	}
	c.mu.Unlock()
	c.pub.Close(err)
	c.disconnect()
	c.server.metrics.results[how].Inc()
	c.log.Debug("whip: session ended", "result", string(how), "error", err)
}

// serve returns how the session went, had no media come, and why it ended; nil when the publisher said good-bye.
func (c *session) serve() (result, error) {
	limits := c.server.limits()
	now := c.server.opt.Now()
	deadline, phase := now.Add(limits.ConnectTimeout), connecting
	timer := time.NewTimer(idleTick)
	defer timer.Stop()
	for {
		select {
		case <-c.server.ctx.Done():
			return resultShutdown, ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
		case r := <-c.kicked:
			if r.Reason == ingest.ReasonShutdown {
				return resultShutdown, r
			}
			return resultRefused, r
		case <-c.left:
			return resultLeft, nil
		case <-c.states:
			switch c.pc.ConnectionState() {
			case webrtc.PeerConnectionStateConnected:
				if phase == connecting {
					phase, deadline = connected, c.server.opt.Now().Add(limits.MediaTimeout)
				}
			case webrtc.PeerConnectionStateClosed:
				return resultLeft, nil
			case webrtc.PeerConnectionStateFailed:
				return resultLeft, errVanished
			}
		case <-c.wake:
		case <-timer.C:
		}
		now = c.server.opt.Now()
		look := c.look(now)
		if look.err != nil {
			return resultFault, look.err
		}
		if look.media.After(now.Add(-limits.IdleTimeout)) {
			phase, deadline = live, look.media.Add(limits.IdleTimeout)
		}
		if !now.Before(deadline) {
			return c.timedOut(phase, limits)
		}
		timer.Reset(max(shortTick, min(idleTick, look.next.Sub(now))))
	}
}

// phase of a session.
type phase uint8

const (
	connecting phase = iota
	connected        // and no media yet
	live
)

// timedOut is how a session ends that got no further in time.
func (c *session) timedOut(p phase, l Limits) (result, error) {
	switch p {
	case connecting:
		return resultConnectTimeout, ingest.Refuse(ingest.ReasonIdle,
			"The browser could not reach this server's media port within %d seconds. The operator must let UDP and TCP through to it and set the public address.", int(l.ConnectTimeout.Seconds()))
	case connected:
		return resultMediaTimeout, ingest.Refuse(ingest.ReasonIdle, "No sound or picture came within %d seconds. Allow the camera and start again.", int(l.MediaTimeout.Seconds()))
	}
	if c.pc.ICEConnectionState() == webrtc.ICEConnectionStateConnected {
		return resultPublished, ingest.Refuse(ingest.ReasonIdle, "No sound or picture came for %d seconds. Check the camera and start again.", int(l.IdleTimeout.Seconds()))
	}
	return resultPublished, errVanished
}

// looked is what a look at the media found.
type looked struct {
	err   error
	media time.Time // when media came last
	next  time.Time // when to look again at the latest
}

// look does what is due: gives up what is missing, asks for it, and for key frames.
func (c *session) look(now time.Time) (l looked) {
	var out []rtcp.Packet
	c.guarded(func() error {
		var err error
		out, err = c.media.tick(now)
		return err
	})
	if len(out) > 0 {
		// An error is a connection that is ending, which the state tells.
		_ = c.pc.WriteRTCP(out)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return looked{err: c.fault, media: c.media.last, next: c.media.due(now)}
}

// guarded does something with the media, unless the session is over; what fails ends it. A fault of the server's own in one
// publisher's media does not end the others' streams.
func (c *session) guarded(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.fault != nil {
		return
	}
	defer func() {
		if fault := recover(); fault != nil {
			c.log.Error("whip: a fault of this server's ended a session; please report it", "panic", fault, "stack", string(debug.Stack()))
			c.fault = errFault
		}
		if c.fault != nil {
			signal(c.wake)
		}
	}()
	if err := f(); err != nil {
		c.fault = err
	}
}

// enter counts a goroutine of the library's callbacks in, unless the session is over.
func (c *session) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.others.Add(1)
	return true
}

// disconnect ends the connection, which the browser sees, and waits for what it had started.
func (c *session) disconnect() {
	close(c.done)
	if c.pc == nil {
		return
	}
	slow := time.AfterFunc(closeTimeout, func() {
		c.log.Error("whip: a connection does not end")
	})
	defer slow.Stop()
	if err := c.pc.GracefulClose(); err != nil {
		c.log.Debug("whip: closing the connection", "error", err)
	}
	c.others.Wait()
}

// signal leaves word, unless there is some already.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
