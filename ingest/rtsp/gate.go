package rtsp

import "github.com/pion/rtp"

// restart is how far a sequence number must jump to mean that the sender began anew, not that packets are lost.
const restart = 3000

// gate looks at a track's packets in the order in which they come, which is that of their sequence numbers as far as they
// could be put in order, and lets those through of which it is known that nothing of their access unit is missing.
//
// Depacketisers cannot tell: most take up what they hold when the packets in between are lost, and give out an access unit
// that lacks slices, or one made of two. A packet behind a gap belongs to an access unit whose beginning may be lost, so
// nothing passes until one begins whose predecessor's end was seen.
type gate struct {
	// single tells that each packet stands for itself, so that what comes behind a gap is whole.
	single bool

	started bool
	waiting bool // for an access unit to begin
	next    uint16
	marker  bool   // of the last packet
	at      uint32 // its timestamp
}

// verdict is what a gate finds.
type verdict struct {
	pass bool
	late bool // a packet that was there already, or is too late
	lost int  // packets missing before this one
}

// packet judges the next packet.
func (g *gate) packet(h *rtp.Header) verdict {
	step := int16(h.SequenceNumber - g.next)
	v := verdict{pass: true}
	switch {
	case !g.started:
	case step < 0 && step > -restart:
		return verdict{late: true}
	case step != 0:
		v.lost = max(1, int(step))
		if v.lost > restart {
			v.lost = 1 // how many is not known
		}
		g.waiting = !g.single
	}
	if g.waiting {
		begins := v.lost == 0 && (g.marker || h.Timestamp != g.at)
		v.pass, g.waiting = begins, !begins
	}
	g.started, g.next, g.marker, g.at = true, h.SequenceNumber+1, h.Marker, h.Timestamp
	return v
}

// damaged makes the gate wait for an access unit to begin, after one that was broken.
func (g *gate) damaged() { g.waiting = !g.single }
