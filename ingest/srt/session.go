package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/ingest/ts"
)

const (
	// peerTimeout is how long nothing at all may come from a peer: SRT sends something each second.
	peerTimeout = 5 * time.Second
	// watchEvery is how often a session is looked at.
	watchEvery = 250 * time.Millisecond
	// bitrateSpan is how many seconds of MaxBitrate may come at once.
	bitrateSpan = 4
)

// link is a connection that brings packets.
type link interface {
	// ReadPacket waits for the next packet in order, or for the end: io.EOF after a good-bye, errVanished without one.
	ReadPacket() (packet.Packet, error)
	Stats(*gosrt.Statistics)
	Close() error
}

// session is one publisher's.
type session struct {
	opt     Options
	metrics *metrics
	log     *slog.Logger
	pub     ingest.Publication
	// encrypted tells that what is not is not the publisher's.
	encrypted bool

	kicked atomic.Pointer[ingest.Refusal] // why to end; the first one stays
	end    chan struct{}                  // closed with it
	media  atomic.Uint64                  // frames so far
}

func newSession(opt Options, m *metrics) *session {
	return &session{opt: opt, metrics: m, log: opt.Log, end: make(chan struct{})}
}

// kick ends the session, from any goroutine.
func (s *session) kick(r *ingest.Refusal) {
	if s.kicked.CompareAndSwap(nil, r) {
		close(s.end)
	}
}

// errVanished is a peer of whom nothing came any more.
var errVanished = errors.New("the connection broke")

// errGone is a peer that said good-bye.
var errGone = errors.New("the connection was closed")

// errPanic is a session that ended by a fault of the server's.
var errPanic = errors.New("a fault of the server")

// run reads from the link until it ends, and closes it. It returns how the session went, and why it ended.
func (s *session) run(ctx context.Context, l link) (result, error) {
	var wg sync.WaitGroup
	over := make(chan struct{})
	w := watcher{session: s, link: l}
	wg.Go(func() { w.run(ctx, over) })
	err := s.read(l)
	close(over)
	wg.Wait()
	l.Close()
	if r := s.kicked.Load(); r != nil {
		err = r
	} else if errors.Is(err, errVanished) {
		err = ingest.Refuse(ingest.ReasonIdle, "The connection broke: nothing came for %d seconds. Check the encoder's network.", int(peerTimeout.Seconds()))
	}
	if errors.Is(err, errGone) {
		s.pub.Close(nil)
	} else {
		s.pub.Close(err)
	}
	var refusal *ingest.Refusal
	how := resultNoMedia
	if errors.As(err, &refusal) {
		s.metrics.refusals.Count(refusal.Reason)
		how = resultRefused
		if refusal.Reason == ingest.ReasonShutdown {
			how = resultShutdown
		}
	}
	switch {
	case errors.Is(err, errPanic):
		how = resultPanic
	case s.media.Load() > 0:
		how = resultPublished
	}
	return how, err
}

// read takes the packets of the link.
func (s *session) read(l link) (err error) {
	media := feed.New(feed.Options{Publication: s.pub, Log: s.log, Now: s.opt.Now})
	reader := ts.NewReader(ts.Options{
		Feed:        media,
		Publication: s.pub, Log: s.log, MaxUnit: s.opt.Limits().withDefaults().MaxUnitSize,
	})
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error("srt: a fault of this server's ended a session; please report it", "panic", fault, "stack", string(debug.Stack()))
			err = errPanic
		}
		s.metrics.faults(reader.Stats())
	}()
	defer media.Flush() // commands whose pictures do not come any more
	var next uint32
	for first := true; ; first = false {
		p, err := l.ReadPacket()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errGone
			}
			return err
		}
		if s.kicked.Load() != nil {
			return errGone
		}
		h := p.Header()
		number := h.PacketSequenceNumber.Val()
		if lost := (number - next) & packet.MAX_SEQUENCENUMBER; lost != 0 && !first {
			reader.Lost(int(lost))
		}
		next = (number + 1) & packet.MAX_SEQUENCENUMBER
		if s.encrypted && h.KeyBaseEncryptionFlag == packet.UnencryptedPacket {
			reader.Lost(1)
		} else if err := reader.Write(p.Data()); err != nil {
			return err
		}
		p.Decommission()
		s.media.Store(reader.Stats().Media)
	}
}

// watcher looks at a session from the side, since reading waits without a deadline.
type watcher struct {
	session *session
	link    link

	stats    gosrt.Statistics
	started  time.Time
	mediaAt  time.Time // when a frame was handed on
	media    uint64
	level    float64 // bits above the rate limit: a bucket that leaks at MaxBitrate
	lookedAt time.Time
}

// run looks at the session until over is closed, and closes the link when it must end.
func (w *watcher) run(ctx context.Context, over <-chan struct{}) {
	s := w.session
	now := s.opt.Now()
	w.started, w.mediaAt, w.lookedAt = now, now, now
	defer w.finish()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	done, end := ctx.Done(), s.end
	for {
		select {
		case <-over:
			return
		case <-done:
			done = nil
			s.kick(ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment."))
		case <-end:
			end = nil
			w.link.Close()
		case <-ticker.C:
			if r := w.look(s.opt.Now()); r != nil {
				s.kick(r)
			}
		}
	}
}

// finish counts what is left to count.
func (w *watcher) finish() {
	before := w.stats.Accumulated
	w.link.Stats(&w.stats)
	w.session.metrics.traffic(&before, &w.stats.Accumulated)
	if w.stats.Accumulated.PktRecv > 0 {
		w.session.metrics.rtt.Observe(w.stats.Instantaneous.MsRTT / 1000)
	}
}

// look tells why the session must end; nil when it need not.
func (w *watcher) look(now time.Time) *ingest.Refusal {
	s := w.session
	limits := s.opt.Limits().withDefaults()
	before := w.stats.Accumulated
	w.link.Stats(&w.stats)
	a, in := &w.stats.Accumulated, &w.stats.Instantaneous
	s.metrics.traffic(&before, a)
	if m := s.media.Load(); m != w.media {
		w.media, w.mediaAt = m, now
	}
	w.level = max(0, w.level-now.Sub(w.lookedAt).Seconds()*float64(limits.MaxBitrate)) + 8*float64(a.ByteRecv-before.ByteRecv)
	w.lookedAt = now
	switch {
	case w.level > bitrateSpan*float64(limits.MaxBitrate):
		return ingest.Refuse(ingest.ReasonLimit, "This stream goes beyond what the server takes: its bitrate is too high.")
	case in.ByteRecvBuf > limits.buffered(time.Duration(in.MsRecvTsbPdDelay)*time.Millisecond):
		return ingest.Refuse(ingest.ReasonLimit, "This stream goes beyond what the server takes: packets are sent far ahead of their time.")
	case a.PktRecv == 0 && now.Sub(w.started) > limits.HandshakeTimeout:
		return ingest.Refuse(ingest.ReasonIdle, "Nothing was sent for %d seconds after the connection was made. Start the stream again.", int(limits.HandshakeTimeout.Seconds()))
	case now.Sub(w.mediaAt) > limits.IdleTimeout:
		return ingest.Refuse(ingest.ReasonIdle, "No audio or video came for %d seconds. Check the encoder's network and start the stream again.", int(limits.IdleTimeout.Seconds()))
	}
	return nil
}
