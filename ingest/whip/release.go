package whip

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Limits on RTCP that is read.
const maxRTCP = 64 // packets in one compound packet that are looked at

// readReports reads sender reports until the connection ends.
func (t *track) readReports(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	s := t.media.session
	for {
		var list []rtcp.Packet
		var err error
		if t.layer != "" {
			list, _, err = receiver.ReadSimulcastRTCP(t.layer)
		} else {
			list, _, err = receiver.ReadRTCP()
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return
		case err != nil && s.ended():
			return
		case err != nil: // one that cannot be read
			continue
		}
		now := s.server.opt.Now()
		for _, p := range list[:min(len(list), maxRTCP)] {
			report, ok := p.(*rtcp.SenderReport)
			if !ok || report.NTPTime == 0 {
				continue
			}
			s.guarded(func() error {
				o := t.media.find(t.mid, t.layer, report.SSRC)
				if o == nil {
					return nil
				}
				o.report(report, now)
				return t.media.release(now)
			})
		}
	}
}

// ended tells whether the connection is being closed.
func (c *session) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// report takes a sender report.
func (t *track) report(r *rtcp.SenderReport, now time.Time) {
	if t.clock.report(r.RTPTime, unixOfNTP(r.NTPTime), r.PacketCount == 0) {
		t.media.timing.reported(&t.clock, t.unit == nil, t.media.hasSound(), now)
	}
}

// release lets go what is held back as soon as it is known where it belongs, or has waited long enough.
func (m *media) release(now time.Time) error {
	if len(m.held) == 0 {
		return nil
	}
	if !m.timing.open {
		if !m.ready(now) {
			return nil
		}
		m.open()
	}
	return m.flush(now)
}

// ready tells whether the session can begin.
func (m *media) ready(now time.Time) bool {
	waited := now.Sub(m.first)
	if m.size > holdBytes {
		return true
	}
	expected := 0
	for _, s := range m.session.offer.sections {
		n := max(1, len(s.layers))
		expected += n
		for _, t := range m.tracks {
			if t.mid != s.mid || t.since.IsZero() {
				continue
			}
			if n--; n < 0 {
				continue
			}
			if waited < holdReports && !t.clock.usable() || waited < holdLayers && len(s.layers) > 1 && !t.keyed {
				return false
			}
			expected--
		}
		if n > 0 && (waited < holdReports || len(s.layers) > 1 && waited < holdLayers) {
			return false
		}
	}
	return expected <= 0 || waited >= holdReports
}

// open places the tracks that have come on one timeline and numbers them: of the simulcast layers the smallest first, since
// browsers switch off the larger ones first.
func (m *media) open() {
	order := slices.Clone(m.tracks)
	slices.SortStableFunc(order, func(a, b *track) int {
		return cmp.Or(cmp.Compare(m.place(a), m.place(b)), cmp.Compare(uint(a.area-1), uint(b.area-1))) // none known is the last
	})
	var clocks []*trackClock // the reference is the first that has a report: sound, or else the lead
	for _, sound := range []bool{true, false} {
		for _, t := range order {
			if (t.unit == nil) == sound {
				clocks = append(clocks, &t.clock)
			}
		}
	}
	m.timing.begin(clocks)
	for _, t := range order {
		if t.unit == nil && !t.since.IsZero() || t.keyed {
			m.declare(t)
		}
	}
	if lead := m.lead(); lead != nil {
		for _, h := range m.held { // for the layers whose pictures came before the lead's
			if h.track == lead && h.units != nil {
				lead.clock.shown(h.u)
				if h.key {
					lead.clock.keyed = placedAt{h.u, lead.clock.offset}
				}
			}
		}
	}
}

// place is where in the offer a track's section stands.
func (m *media) place(t *track) int {
	return slices.IndexFunc(m.session.offer.sections, func(s section) bool { return s.mid == t.mid })
}

// declare makes the feed's track.
func (m *media) declare(t *track) {
	if !t.clock.placed {
		m.timing.join(&t.clock)
	}
	if t.number >= 0 {
		t.takeOver()
		return
	}
	if t.unit != nil {
		t.id = m.nextVideo
		m.nextVideo++
		t.number = t.id
		t.video = m.feed.Video(t.id, t.codec, feed.Label{})
		t.video.NeedKey = func() { t.damaged = true }
		return
	}
	t.id = m.nextAudio
	t.number = t.id
	m.nextAudio++
	switch t.codec {
	case stream.Opus:
		// Opus packets say themselves whether they are of one channel or of two; decoders of two play both (RFC 7587 7.1).
		var err error
		if t.audio, err = m.feed.Opus(t.id, 2, nil, feed.Label{}); err != nil {
			m.session.fault = err
		}
	default:
		t.audio = m.feed.G711(t.id, t.codec, t.rate, 1, feed.Label{})
	}
}

// takeOver goes on with a former track's number. Its pictures are of no use to decode this one's.
func (t *track) takeOver() {
	t.id = t.number
	if t.video != nil {
		t.video.NeedKey = nil // it is here
		t.video.Lost(ingest.DropLost)
		t.video.NeedKey = func() { t.damaged = true }
	}
}

// joins tells whether a track that came when the session had begun can be placed: it waits for its own report, and as a
// layer for the lead's picture of the same moment.
func (m *media) joins(t *track, now time.Time) bool {
	late := now.Sub(t.since) >= holdReports || m.size > holdBytes
	if !late && (!t.clock.usable() || !m.timing.dated) {
		return false
	}
	if !t.clock.placed {
		m.timing.join(&t.clock)
	}
	lead := m.lead()
	if lead == nil || t.unit == nil || lead.mid != t.mid {
		return true
	}
	for _, h := range m.held {
		if h.track == t && h.units != nil {
			t.clock.follow(h.u, &lead.clock)
			if late && h.key {
				t.clock.followKey(h.u, &lead.clock)
			}
		}
	}
	return late || t.clock.linked
}

// flush writes what is held of tracks that are numbered, in the order in which it came.
func (m *media) flush(now time.Time) error {
	for _, t := range m.tracks {
		if t.id < 0 && !t.since.IsZero() && (t.unit == nil || t.keyed) && m.joins(t, now) {
			m.declare(t)
		}
	}
	waiting := m.held
	m.held = nil
	m.size = 0
	for _, h := range waiting {
		if h.track.id < 0 {
			if h.track.unit == nil || h.track.keyed {
				m.held = append(m.held, h)
				for _, u := range h.units {
					m.size += len(u)
				}
			}
			continue
		}
		if m.session.fault != nil {
			return m.session.fault
		}
		if err := m.write(h); err != nil {
			return err
		}
	}
	return nil
}

// lead is the pictures' track of the lowest number; nil while there is none.
func (m *media) lead() *track {
	for _, t := range m.tracks {
		if t.unit != nil && t.id == 0 {
			return t
		}
	}
	return nil
}

// write hands an access unit on.
func (m *media) write(h held) error {
	t := h.track
	if h.units == nil {
		if t.video != nil {
			t.video.Lost(h.lost)
		} else if t.audio != nil {
			t.audio.Lost(h.lost)
		}
		return nil
	}
	var pts int64
	switch lead := m.lead(); {
	case lead == t:
		pts = h.u + t.clock.offsetAt(h.u)
		if h.key {
			t.clock.keyed = placedAt{h.u, pts - h.u}
		}
	case lead == nil || lead.mid != t.mid:
		pts = t.clock.pts(h.u, nil)
	default:
		t.clock.follow(h.u, &lead.clock)
		if h.key {
			t.clock.followKey(h.u, &lead.clock)
		}
		pts = t.clock.pts(h.u, &lead.clock)
	}
	m.timing.came(pts, t.rate, h.at)
	at := feed.Time{PTS: pts, Rate: t.rate, Wall: m.timing.wall(pts, t.rate)}
	m.came = true
	if t.video != nil {
		return t.video.Write(h.units, at)
	}
	if t.audio != nil {
		return t.audio.Write(h.units[0], at)
	}
	return nil
}
