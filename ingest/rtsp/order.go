package rtsp

import (
	"slices"
	"time"

	"github.com/pion/rtp"
)

// Bounds of waiting for a datagram that others have overtaken.
const (
	// overtaken is how long it is waited for.
	overtaken = 100 * time.Millisecond
	// mostOvertaking is how many datagrams wait with it.
	mostOvertaking = 512
)

// order puts a track's datagrams into the order of their sequence numbers. Without reordering and losses nothing waits.
//
// gortsplib's waits for 64 packets of the track instead of for a time: after a loss that holds audio back for more than a second.
type order struct {
	started bool
	next    uint16
	held    []overtaker // by sequence number, all behind next
	since   time.Time   // when the wait for next began, while something is held
	out     []*rtp.Packet
}

type overtaker struct {
	packet *rtp.Packet
	at     time.Time
}

// take takes a datagram's packet, and returns those whose turn it is, for use until the next call. Packets that come too late
// or again are among them: the gate counts them.
func (o *order) take(p *rtp.Packet, now time.Time) []*rtp.Packet {
	o.out = o.out[:0]
	ahead := int16(p.SequenceNumber - o.next)
	switch {
	case !o.started:
		o.started = true
		o.pass(p)
	case ahead <= -restart || ahead >= restart:
		o.flush()
		o.pass(p)
	case ahead < 0:
		o.out = append(o.out, p)
	case ahead == 0:
		o.pass(p)
		o.follow()
	default:
		o.hold(p, now)
	}
	return o.out
}

// due returns the packets that have waited for long enough for one in front of them.
func (o *order) due(now time.Time) []*rtp.Packet {
	o.out = o.out[:0]
	for len(o.held) > 0 && (now.Sub(o.since) >= overtaken || len(o.held) > mostOvertaking) {
		o.next = o.held[0].packet.SequenceNumber
		o.follow()
	}
	return o.out
}

// rest returns what is held.
func (o *order) rest() []*rtp.Packet {
	o.out = o.out[:0]
	o.flush()
	return o.out
}

func (o *order) pass(p *rtp.Packet) {
	o.out = append(o.out, p)
	o.next = p.SequenceNumber + 1
}

// follow passes those that are next, and waits for the one after them from when the first behind it came.
func (o *order) follow() {
	n := 0
	for n < len(o.held) && o.held[n].packet.SequenceNumber == o.next {
		o.pass(o.held[n].packet)
		n++
	}
	o.held = slices.Delete(o.held, 0, n)
	for i, h := range o.held {
		if i == 0 || h.at.Before(o.since) {
			o.since = h.at
		}
	}
}

func (o *order) flush() {
	for _, h := range o.held {
		o.pass(h.packet)
	}
	clear(o.held)
	o.held = o.held[:0]
}

func (o *order) hold(p *rtp.Packet, now time.Time) {
	at, there := slices.BinarySearchFunc(o.held, p.SequenceNumber, func(h overtaker, seq uint16) int {
		return int(int16(h.packet.SequenceNumber - seq))
	})
	if there {
		return
	}
	if len(o.held) == 0 {
		o.since = now
	}
	o.held = slices.Insert(o.held, at, overtaker{p, now})
}
