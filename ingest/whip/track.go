package whip

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// track is one RTP stream: a source's, or one simulcast layer's.
type track struct {
	media   *media
	ssrc    uint32
	formats [128]bool // payload types of the codec
	mid     string
	layer   string // RID; "" without simulcast
	codec   stream.Codec
	rate    int
	jitter  jitter
	clock   trackClock
	unit    assembler // nil for sound

	// The access unit under way.
	open   bool
	stamp  uint32
	at     time.Time // of its last packet
	broken bool      // packets are missing: nothing up to the next access unit is of use
	within bool      // stamp is that of the broken one
	begun  bool

	keyed   bool      // a key frame came
	damaged bool      // and another is needed, because something is missing
	asked   time.Time // when a key frame was asked for
	tries   int       // how often, without one that came
	area    int       // pixels of the key frame that came first
	id      int       // of the stream's track; -1 until the feed knows it
	number  int       // the id that it will have; -1 when it takes nobody's place
	since   time.Time // when the first access unit came
	active  time.Time // when media came

	video *feed.Video
	audio *feed.Audio
}

// track reads a remote track to its end; the library calls it on a goroutine of its own.
func (c *session) track(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	if !c.enter() {
		return
	}
	defer c.others.Done()
	var t *track
	c.guarded(func() error {
		t = c.media.add(arrivalOf(remote, receiver))
		return nil
	})
	if t == nil {
		return
	}
	reports := make(chan struct{})
	go func() {
		defer close(reports)
		t.readReports(remote, receiver)
	}()
	t.readPackets(remote)
	<-reports
}

// repairEvery is how often retransmissions are looked for while packets are missing: the library has them apart, and hands them
// over only when something is read, which at few pictures a second would be too late.
const repairEvery = 10 * time.Millisecond

// rtpReader is what a remote track is read by.
type rtpReader interface {
	Read([]byte) (int, interceptor.Attributes, error)
	SetReadDeadline(time.Time) error
}

// readPackets reads RTP until the connection ends.
func (t *track) readPackets(remote rtpReader) {
	s := t.media.session
	missing, hurried := false, false
	for {
		if missing || hurried {
			var until time.Time
			if missing {
				until = time.Now().Add(repairEvery)
			}
			_ = remote.SetReadDeadline(until) // an error is a connection that is ending
			hurried = missing
		}
		p := packets.Get().(*packet)
		n, _, err := remote.Read(p.buf[:])
		if err != nil {
			packets.Put(p)
			var timeout net.Error
			switch {
			case errors.As(err, &timeout) && timeout.Timeout():
				missing = s.missing(t)
				continue
			case errors.Is(err, webrtc.ErrCodecNotFound), errors.Is(err, io.ErrShortBuffer):
				s.server.metrics.packets[fateInvalid].Inc() // a format that was not agreed on, or longer than any network carries
				continue
			}
			return
		}
		s.guarded(func() error {
			err := t.take(p, n)
			missing = t.jitter.asks && len(t.jitter.gaps) > 0
			return err
		})
	}
}

// missing tells whether packets of a track are.
func (c *session) missing(t *track) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.jitter.asks && len(t.jitter.gaps) > 0
}

// take takes a packet that was read into p. The reader of a stream that another has replaced may get the new one's, so it is
// the packet that tells whose it is.
func (t *track) take(p *packet, n int) error {
	m := t.media
	now := m.session.server.opt.Now()
	counts := m.session.server.metrics
	counts.bytes.Add(float64(n))
	counts.packets[fateReceived].Inc()
	if err := m.count(n, now); err != nil {
		packets.Put(p)
		return err
	}
	err := p.parse(n, now)
	if err == nil {
		t = m.find(t.mid, t.layer, p.header.SSRC)
	}
	if err != nil || t == nil || !t.formats[p.header.PayloadType&0x7f] {
		counts.packets[fateInvalid].Inc()
		packets.Put(p)
		return nil
	}
	if len(p.payload) > 0 {
		t.active = now
	}
	gaps := len(t.jitter.gaps)
	how, kept := t.jitter.push(p)
	if how != fateReceived {
		counts.packets[how].Inc()
	}
	if !kept {
		packets.Put(p)
		return nil
	}
	if len(t.jitter.gaps) > gaps {
		signal(m.session.wake)
	}
	return t.drain(now)
}

// drain takes out of the jitter buffer what may pass.
func (t *track) drain(now time.Time) error {
	counts := t.media.session.server.metrics
	for {
		p, lost := t.jitter.pop(now)
		if lost > 0 {
			counts.packets[fateLost].Add(float64(lost))
			if err := t.lose(ingest.DropLost); err != nil {
				return err
			}
		}
		if p == nil {
			return nil
		}
		if waited := now.Sub(p.at); waited > 0 {
			counts.waits.Observe(waited.Seconds())
		}
		err := t.deliver(p)
		packets.Put(p)
		if err != nil {
			return err
		}
	}
}

// lose drops the access unit under way: something in it or in front of the next one is missing.
func (t *track) lose(reason ingest.DropReason) error {
	m := t.media
	t.open, t.broken, t.within = false, true, false
	if t.unit == nil {
		t.broken = false
	} else {
		t.unit.reset()
		t.damaged = t.damaged || t.begun
	}
	if !t.begun {
		return nil
	}
	return m.pass(held{track: t, lost: reason})
}

// deliver takes the next packet in order.
func (t *track) deliver(p *packet) error {
	if len(p.payload) == 0 { // padding, to probe the network
		return nil
	}
	if t.unit == nil {
		t.begun = true
		return t.complete([][]byte{p.payload}, p.ts, p.at)
	}
	if t.open && p.ts != t.stamp { // the last packet had no marker
		if err := t.finish(); err != nil {
			return err
		}
	}
	if t.broken && !t.mended(p) {
		return nil
	}
	if !t.begun {
		if !t.unit.starts(p.payload) {
			return nil
		}
		t.begun = true
	}
	t.open, t.stamp, t.at = true, p.ts, p.at
	if err := t.unit.add(p.payload); err != nil {
		if err := t.lose(ingest.DropDamaged); err != nil {
			return err
		}
		t.within, t.stamp = true, p.ts
		t.mended(p)
		return nil
	}
	if p.marker {
		return t.finish()
	}
	return nil
}

// mended tells whether a packet behind missing ones begins an access unit: behind one with a marker, or with another time
// than the packet before it.
func (t *track) mended(p *packet) bool {
	switch {
	case t.within && p.ts != t.stamp:
		t.broken = false
		return true
	case p.marker: // the end of the damaged one
		t.broken = false
	default:
		t.within, t.stamp = true, p.ts
	}
	return false
}

// finish takes the access unit that is complete.
func (t *track) finish() error {
	t.open = false
	if !t.unit.complete() { // the sender left something out
		err := t.lose(ingest.DropDamaged)
		t.broken = false
		return err
	}
	units := t.unit.take()
	if len(units) == 0 {
		return nil
	}
	return t.complete(units, t.stamp, t.at)
}

// complete takes an access unit or an audio frame; its bytes are lent.
func (t *track) complete(units [][]byte, stamp uint32, at time.Time) error {
	m := t.media
	m.last = at
	u := t.clock.unwrap(stamp)
	t.clock.arrival(u, at)
	if t.since.IsZero() {
		t.since = at
	}
	key := t.unit != nil && isKey(t.codec, units)
	if key {
		if !t.keyed {
			t.keyed, t.area = true, pixels(t.codec, units)
		}
		t.damaged, t.tries = false, 0
		m.keys.came(at)
	}
	return m.pass(held{track: t, units: units, u: u, at: at, key: key})
}
