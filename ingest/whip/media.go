package whip

import (
	"slices"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
)

// Media are held back at the start, until it is known at which times they were captured and which of several layers is the
// smallest.
const (
	holdReports = 700 * time.Millisecond // for sender reports
	holdLayers  = time.Second            // for the first key frame of each simulcast layer
	holdBytes   = 8 << 20
)

// audioWait is how long sound that cannot be asked for again is waited for: only what was overtaken comes.
const audioWait = 60 * time.Millisecond

const (
	maxVideoTracks = 16
	maxAudioTracks = 16
	firstAudio     = 100
	bitrateSpan    = 4 // seconds of MaxBitrate that may come at once
)

// media is what a session has received. The session's lock guards it.
type media struct {
	session  *session
	feed     *feed.Feed
	tracks   []*track
	timing   timing
	keys     keyframes
	came     bool      // something was published
	last     time.Time // when media came
	first    time.Time // when the first access unit was held
	held     []held
	size     int // bytes held
	channels int // data channels that were opened

	nextVideo, nextAudio int
	level                float64 // bits above the rate limit: a bucket that leaks at MaxBitrate
	levelAt              time.Time
	limits               Limits
	limitsAt             time.Time
}

// held is an access unit that waits; without units it stands for one that was lost.
type held struct {
	track *track
	units [][]byte
	u     int64
	key   bool
	lost  ingest.DropReason
}

func (m *media) init(s *session, f *feed.Feed) {
	m.session, m.feed = s, f
	m.nextAudio = firstAudio
	m.limits = s.server.limits()
	m.limitsAt = s.server.opt.Now()
	m.levelAt = m.limitsAt
	m.keys.interval, m.keys.delay = s.server.opt.KeyframeInterval, firstKeyDelay
}

// add makes a track; nil when it is not one that was agreed on, or one too many.
func (m *media) add(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) *track {
	s := m.session
	codec := remote.Codec()
	t := &track{media: m, ssrc: uint32(remote.SSRC()), layer: remote.RID(), rate: int(codec.ClockRate), id: -1}
	if tr := receiver.RTPTransceiver(); tr != nil {
		t.mid = tr.Mid()
	}
	section := s.offer.section(t.mid)
	if section == nil || len(m.tracks) >= maxVideoTracks+maxAudioTracks {
		m.session.pub.Drop(ingest.DropExcessTrack)
		return nil
	}
	t.codec = section.codec
	t.clock.rate = t.rate
	t.jitter.wait = m.limits.JitterBuffer
	t.jitter.asks = slices.ContainsFunc(codec.RTCPFeedback, func(f webrtc.RTCPFeedback) bool { return f.Type == "nack" && f.Parameter == "" })
	if t.codec.Video() {
		t.unit = newAssembler(t.codec)
	} else if !t.jitter.asks {
		t.jitter.wait = min(t.jitter.wait, audioWait)
	}
	m.tracks = append(m.tracks, t)
	return t
}

// count holds what comes against the rate limit.
func (m *media) count(n int, now time.Time) error {
	if now.Sub(m.limitsAt) >= time.Second {
		m.limits, m.limitsAt = m.session.server.limits(), now
	}
	rate := float64(m.limits.MaxBitrate)
	m.level = max(0, m.level-now.Sub(m.levelAt).Seconds()*rate) + 8*float64(n)
	m.levelAt = now
	if m.level > bitrateSpan*rate {
		return ingest.Refuse(ingest.ReasonLimit, "This stream goes beyond what the server takes: more than %d kbit/s for some seconds. Lower the bitrate.", m.limits.MaxBitrate/1000)
	}
	return nil
}

// pass writes an access unit, or holds it back.
func (m *media) pass(h held) error {
	if m.timing.open && h.track.id >= 0 {
		return m.write(h)
	}
	if h.units != nil {
		h.units = m.copied(h.units)
	}
	if m.first.IsZero() {
		m.first = m.session.server.opt.Now()
	}
	m.held = append(m.held, h)
	return m.release(m.session.server.opt.Now())
}

func (m *media) copied(units [][]byte) [][]byte {
	out := make([][]byte, len(units))
	for i, u := range units {
		out[i] = slices.Clone(u)
		m.size += len(u)
	}
	return out
}

// tick does what is due, and returns the RTCP packets to send.
func (m *media) tick(now time.Time) ([]rtcp.Packet, error) {
	var out []rtcp.Packet
	var seqs []uint16
	for _, t := range m.tracks {
		if err := t.drain(now); err != nil {
			return nil, err
		}
		if seqs = t.jitter.ask(now, seqs[:0]); len(seqs) > 0 {
			m.session.server.metrics.nacks.Add(float64(len(seqs)))
			out = append(out, &rtcp.TransportLayerNack{MediaSSRC: t.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)})
		}
	}
	if err := m.release(now); err != nil {
		return nil, err
	}
	return append(out, m.askKeys(now)...), nil
}

// due is when tick has something to do.
func (m *media) due(now time.Time) time.Time {
	next := now.Add(idleTick)
	for _, t := range m.tracks {
		if d := t.jitter.due(); !d.IsZero() && d.Before(next) {
			next = d
		}
	}
	return next
}

// stop gives back what is held.
func (m *media) stop() {
	for _, t := range m.tracks {
		t.jitter.clear()
	}
	m.held = nil
}

func (m *media) hasSound() bool {
	return slices.ContainsFunc(m.tracks, func(t *track) bool { return t.unit == nil && t.clock.placed })
}
