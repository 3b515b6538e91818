package whip

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	// keyEvery is the least distance of two requests for key frames.
	keyEvery = 500 * time.Millisecond
	// maxKeyDoublings is how often that distance is doubled for a layer that does not answer.
	maxKeyDoublings = 4
	// keyActive is how recently a layer must have sent media to be asked.
	keyActive = 2 * time.Second
	// maxKeyDelay bounds how far ahead of its time a key frame is asked for.
	maxKeyDelay = 400 * time.Millisecond
	// keyMargin is for the picture that the request comes too late for: a segment of the interval must not lack its end.
	keyMargin = 50 * time.Millisecond
	// firstKeyDelay is what is taken for the delay until some are known.
	firstKeyDelay = 150 * time.Millisecond
)

// keyframes asks a publisher for key frames: browsers send none by themselves for minutes.
type keyframes struct {
	interval func() time.Duration
	last     time.Time     // when a key frame came
	asked    time.Time     // when one was asked for
	delay    time.Duration // from asking to getting, smoothed
	pending  bool          // asked, and none came yet
}

// came notes a key frame.
func (k *keyframes) came(at time.Time) {
	if k.pending {
		k.pending = false
		k.delay += (at.Sub(k.asked) - k.delay) / 4
	}
	k.last = at
}

// reason tells why a key frame is to be asked for now; "" when none is. unkeyed and damaged tell of layers that wait for one.
func (k *keyframes) reason(now time.Time, unkeyed, damaged bool) keyReason {
	if now.Sub(k.asked) < keyEvery {
		return ""
	}
	interval := k.interval()
	if interval <= 0 {
		interval = defaultKeyframeInterval
	}
	switch {
	case unkeyed:
		return keyStart
	case damaged:
		return keyLoss
	case k.last.IsZero(), now.Sub(k.last) >= interval-min(k.delay+keyMargin, maxKeyDelay, interval/2):
		return keyInterval
	}
	return ""
}

// waits tells whether the track waits for a key frame, and it is time to ask: again and again, since a request or the key frame may be
// lost, but less and less often, since a layer that never sends one must not keep the others sending them.
func (t *track) waits(now time.Time) bool {
	return (!t.keyed || t.damaged) && now.Sub(t.asked) >= keyEvery<<min(max(t.tries-1, 0), maxKeyDoublings)
}

// askKeys makes picture loss indications (RFC 4585 6.3.1) for all layers at once, so that their key frames are of one picture
// and segments of all of them can begin there.
func (m *media) askKeys(now time.Time) []rtcp.Packet {
	var video []*track
	unkeyed, damaged := false, false
	for _, t := range m.tracks {
		if t.unit != nil && now.Sub(t.active) < keyActive {
			video = append(video, t)
			if t.waits(now) {
				unkeyed, damaged = unkeyed || !t.keyed, damaged || t.damaged
			}
		}
	}
	if len(video) == 0 {
		return nil
	}
	why := m.keys.reason(now, unkeyed, damaged)
	if why == "" {
		return nil
	}
	m.keys.asked, m.keys.pending = now, true
	var out []rtcp.Packet
	for _, t := range video {
		t.asked = now
		t.tries++
		out = append(out, &rtcp.PictureLossIndication{MediaSSRC: t.ssrc})
		m.session.server.metrics.keys[why].Inc()
	}
	return out
}
