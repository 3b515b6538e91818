package rtsp

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

// errGone is a peer that closed its connection without a good-bye.
var errGone = errors.New("the connection was closed")

// session is a publisher from ANNOUNCE to its end. gortsplib calls it from the session's goroutine, from those that packets
// come on, and the door from any.
type session struct {
	server *Server
	peer   *peer
	rtsp   *gortsplib.ServerSession
	log    *slog.Logger
	reason atomic.Pointer[cause] // why it ends, from this side; the first stays

	pub       ingest.Publication
	receiver  *receiver
	recording atomic.Bool
	datagram  atomic.Bool // media come over UDP
	routes    []*route    // for UDP, by SETUP; of the connection's goroutine up to RECORD, and read only then
	once      sync.Once
	gone      chan struct{} // closed by close
	broken    sync.Once     // a malformed packet was logged
	refused   bool          // the client was told why at ANNOUNCE, and that was counted
}

// cause is an error in a pointer.
type cause struct{ error }

func newSession(s *Server, p *peer, r *gortsplib.ServerSession) *session {
	return &session{server: s, peer: p, rtsp: r, log: p.log, gone: make(chan struct{})}
}

// kick ends the session because of something that happened elsewhere. It neither blocks nor calls back.
func (c *session) kick(r *ingest.Refusal) { c.stop(r) }

// stop ends the session from any goroutine.
func (c *session) stop(err error) {
	c.reason.CompareAndSwap(nil, &cause{err})
	c.rtsp.Close()
}

// open takes the publication that the door gave. An error is a refusal.
func (c *session) open(pub ingest.Publication, p plans) error {
	s := c.server
	c.pub = pub
	c.log = c.peer.log.With("stream", pub.Name())
	c.receiver = newReceiver(pub, c.log, s.metrics, s.opt.Now, func() int { return s.limits().MaxBitrate }, c.stop)
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.sessions[c] = struct{}{}
	}
	s.mu.Unlock()
	if ended {
		return shutdown()
	}
	c.peer.announced(c)
	return c.receiver.setup(pub, p)
}

// record begins to take packets. An error is a session of which some media come over UDP and others do not.
func (c *session) record() error {
	c.recording.Store(true)
	medias := c.rtsp.SetuppedMedias()
	transport := transportTCP
	if len(c.routes) > 0 {
		if len(c.routes) != len(medias) {
			return ingest.Refuse(ingest.ReasonProtocol, "All tracks have to come by the same transport.")
		}
		transport = transportUDP
		c.datagram.Store(true)
	}
	m := c.server.metrics
	m.sessions[transport].Inc()
	of := map[*description.Media]*track{}
	for _, t := range c.receiver.tracks {
		of[t.media] = t
	}
	for i, media := range medias { // in the order of their SETUP, which the routes are in too
		if transport == transportUDP {
			c.server.datagrams.record(c.routes[i], of[media])
			continue
		}
		c.connect(media, of[media])
	}
	c.peer.publishing()
	c.log.Debug("rtsp: recording", "transport", transport)
	c.server.watching.Go(c.watch)
	return nil
}

// connect takes a medium's packets from the connection; t is nil for one that is not taken.
func (c *session) connect(media *description.Media, t *track) {
	m := c.server.metrics
	for _, f := range media.Formats {
		if t != nil && t.format.PayloadType() == f.PayloadType() {
			continue
		}
		id := firstVideo
		if media.Type == description.MediaTypeAudio {
			id = firstAudio
		}
		c.rtsp.OnPacketRTP(media, f, func(*rtp.Packet) { m.packet(id, fateUnwanted, 1) })
	}
	if t != nil {
		c.rtsp.OnPacketRTP(media, t.format, func(p *rtp.Packet) { c.receiver.packet(t, p) })
		c.rtsp.OnPacketRTCP(media, func(p rtcp.Packet) { c.receiver.control(t, p) })
	}
}

// patience is how often silence is looked at, so that a limit that changes applies soon.
const patience = time.Second

// reporting is how often a publisher is told what arrives (RFC 3550 6.2).
const reporting = 5 * time.Second

// watch ends the session when nothing comes.
func (c *session) watch() {
	reports := time.NewTicker(reporting)
	defer reports.Stop()
	for {
		after := c.server.limits().IdleTimeout
		left := after - c.receiver.idle()
		if left <= 0 {
			c.stop(idle(after))
			return
		}
		select {
		case <-c.gone:
			return
		case <-reports.C:
			if c.datagram.Load() {
				c.server.datagrams.report(c)
			}
		case <-time.After(min(left, patience)):
		}
	}
}

// Bounds of waiting for datagrams that a good-bye has overtaken.
const (
	straggle     = 20 * time.Millisecond  // without any
	mostStraggle = 200 * time.Millisecond // in all; Server.mostStraggle
)

// drain lets the last datagrams come in before TEARDOWN ends the session.
func (c *session) drain() {
	if !c.datagram.Load() {
		return
	}
	timeout := time.After(c.server.mostStraggle)
	for wait := straggle; wait > 0; wait = straggle - c.receiver.silent() {
		select {
		case <-time.After(wait):
		case <-timeout:
			return
		case <-c.gone:
			return
		}
	}
}

// malformed counts a packet that is none of the session's.
func (c *session) malformed(err error) {
	c.server.metrics.packet(firstVideo, fateMalformed, 1)
	c.broken.Do(func() {
		c.log.Warn("rtsp: a packet cannot be read; it is dropped, as others may be", "error", ingest.Clip(ingest.PlainText(err.Error())))
	})
}

// close ends the session on this side, after the last of its packets. err is what gortsplib says: nil is a good-bye.
func (c *session) close(err error) {
	c.once.Do(func() {
		defer close(c.gone)
		c.reason.CompareAndSwap(nil, &cause{err})
		why := c.reason.Load().error
		if err == nil && errors.Is(why, errGone) {
			why = nil // it said good-bye and left
		}
		s := c.server
		s.mu.Lock()
		delete(s.sessions, c)
		s.mu.Unlock()
		c.peer.left(c)
		s.datagrams.release(c)
		c.receiver.end()
		var r *ingest.Refusal
		if errors.As(why, &r) && !c.refused {
			s.metrics.refusals.Count(r.Reason)
		}
		c.pub.Close(why)
	})
}
