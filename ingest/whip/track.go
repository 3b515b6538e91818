package whip

import (
	"errors"
	"time"

	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// track is one RTP stream: a source's, or one simulcast layer's.
type track struct {
	media  *media
	ssrc   uint32
	mid    string
	layer  string // RID; "" without simulcast
	codec  stream.Codec
	rate   int
	jitter jitter
	clock  trackClock
	unit   assembler // nil for sound

	// The access unit under way.
	open   bool
	stamp  uint32
	at     time.Time // of its last packet
	broken bool      // packets are missing: nothing up to the next access unit is of use
	within bool      // stamp is that of the broken one
	begun  bool

	keyed  bool      // a key frame came
	area   int       // pixels of the key frame that came first
	id     int       // of the stream's track; -1 until the feed knows it
	since  time.Time // when the first access unit came
	active time.Time // when a packet came

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
		t = c.media.add(remote, receiver)
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
	t.readPackets(remote, captureID(receiver))
	<-reports
}

// captureID is the number of the header extension for the time of capture; 0 when it was not negotiated.
func captureID(r *webrtc.RTPReceiver) uint8 {
	for _, e := range r.GetParameters().HeaderExtensions {
		if e.URI == captureURI && e.ID > 0 && e.ID < 256 {
			return uint8(e.ID)
		}
	}
	return 0
}

// readPackets reads RTP until the connection ends.
func (t *track) readPackets(remote *webrtc.TrackRemote, capture uint8) {
	s := t.media.session
	for {
		p := packets.Get().(*packet)
		n, _, err := remote.Read(p.buf[:])
		if err != nil {
			packets.Put(p)
			if !errors.Is(err, webrtc.ErrCodecNotFound) {
				return
			}
			s.server.metrics.packets[fateInvalid].Inc() // a format that was not agreed on
			continue
		}
		s.guarded(func() error { return t.take(p, n, capture) })
	}
}

// take takes a packet that was read into p.
func (t *track) take(p *packet, n int, capture uint8) error {
	m := t.media
	now := m.session.server.opt.Now()
	counts := m.session.server.metrics
	counts.bytes.Add(float64(n))
	counts.packets[fateReceived].Inc()
	if err := m.count(n, now); err != nil {
		packets.Put(p)
		return err
	}
	if err := p.parse(n, now, capture); err != nil {
		counts.packets[fateInvalid].Inc()
		packets.Put(p)
		return nil
	}
	t.active = now
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
		m.keys.lost = m.keys.lost || t.begun
	}
	if !t.begun {
		return nil
	}
	return m.pass(held{track: t, lost: reason})
}

// deliver takes the next packet in order.
func (t *track) deliver(p *packet) error {
	if p.capture != 0 {
		t.clock.exact = true
		t.clock.report(p.ts, p.capture)
		t.media.timing.reported(&t.clock, t.unit == nil, t.media.hasSound(), p.at)
	}
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
			t.media.keys.wanted = true
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
	if t.unit != nil {
		if key && !t.keyed {
			t.keyed, t.area = true, pixels(t.codec, units)
		}
		if key {
			m.keys.came(at)
		}
	}
	return m.pass(held{track: t, units: units, u: u, key: key})
}
