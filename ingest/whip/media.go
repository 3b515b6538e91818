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
	maxStreams     = 128 // RTP streams in a session's life, those that take another's place included
	bitrateSpan    = 4   // seconds of MaxBitrate that may come at once
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

	added                int // RTP streams that came
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
	at    time.Time // when it came
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

// arrival is an RTP stream that came.
type arrival struct {
	ssrc   uint32
	format uint8 // payload type
	mid    string
	layer  string // RID
	rate   int
	asks   bool // retransmission was negotiated
}

// arrivalOf tells of a remote track.
func arrivalOf(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) arrival {
	codec := remote.Codec()
	a := arrival{ssrc: uint32(remote.SSRC()), format: uint8(codec.PayloadType), layer: remote.RID(), rate: int(codec.ClockRate)}
	if tr := receiver.RTPTransceiver(); tr != nil {
		a.mid = tr.Mid()
	}
	a.asks = slices.ContainsFunc(codec.RTCPFeedback, func(f webrtc.RTCPFeedback) bool { return f.Type == "nack" && f.Parameter == "" })
	return a
}

// add makes a track; nil when it is not one that was agreed on, or one too many. A stream of the same section and layer as
// another takes its place: senders may begin anew with another SSRC.
func (m *media) add(a arrival) *track {
	section := m.session.offer.sectionFor(a)
	m.added++
	if section == nil || m.added > maxStreams {
		m.session.pub.Drop(ingest.DropExcessTrack)
		return nil
	}
	t := &track{media: m, ssrc: a.ssrc, mid: section.mid, layer: a.layer, rate: a.rate, codec: section.codec, id: -1, number: -1}
	t.formats = m.session.offer.formats(section.codec)
	t.clock.rate = t.rate
	t.jitter.wait, t.jitter.asks = m.limits.JitterBuffer, a.asks
	if t.codec.Video() {
		t.unit = newAssembler(t.codec)
	} else if !t.jitter.asks {
		t.jitter.wait = min(t.jitter.wait, audioWait)
	}
	if i := slices.IndexFunc(m.tracks, func(o *track) bool { return o.mid == t.mid && o.layer == t.layer }); i >= 0 {
		m.replace(i, t)
		return t
	}
	if len(m.tracks) >= maxVideoTracks+maxAudioTracks {
		m.session.pub.Drop(ingest.DropExcessTrack)
		return nil
	}
	m.tracks = append(m.tracks, t)
	return t
}

// replace puts a track in the place, and under the number, of a former one.
func (m *media) replace(i int, t *track) {
	former := m.tracks[i]
	m.tracks[i] = t
	t.number, t.video, t.audio = former.number, former.video, former.audio
	t.keyed = false
	former.jitter.clear()
	m.held = slices.DeleteFunc(m.held, func(h held) bool {
		if h.track == former {
			m.size -= h.bytes()
		}
		return h.track == former
	})
	m.timing.forget(&former.clock)
	if former.id == 0 && former.unit != nil { // what was tied to the lead's stamps goes by its own until it finds the new ones
		for _, o := range m.tracks {
			o.clock.untie()
		}
	}
}

// find is the track of a section and layer that has an SSRC; nil when there is none.
func (m *media) find(mid, layer string, ssrc uint32) *track {
	for _, t := range m.tracks {
		if t.ssrc == ssrc && t.mid == mid && t.layer == layer {
			return t
		}
	}
	return nil
}

func (h *held) bytes() (n int) {
	for _, u := range h.units {
		n += len(u)
	}
	return n
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
