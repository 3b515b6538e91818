package rtsp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

// The two sockets, of RTP and of RTCP.
const (
	socketRTP = iota
	socketRTCP
)

// datagrams takes the packets of all sessions that send over UDP. gortsplib takes such a session for one over TCP: SETUP is
// answered here with the ports, and packets never come to it. Its own UDP lets two sessions have the same ports, of which the
// one that ends first leaves the other deaf, and holds all that is behind a lost packet back until 64 others have come.
type datagrams struct {
	server *Server
	conns  [2]*net.UDPConn // nil is no UDP

	mu     sync.Mutex // guards what follows
	routes [2]map[netip.AddrPort]*route
}

// route is where a medium of a session sends from.
type route struct {
	session *session
	ports   [2]int
	// track is set when the session records; nil in one that is not taken.
	track     *track
	recording bool
}

// errForeign is a datagram that is none of the session's.
var errForeign = errors.New("it has another synchronisation source or payload type than the medium's")

// run reads a socket until it is closed.
func (d *datagrams) run(which int) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := d.conns[which].ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // it passes, as when memory is short
			select {
			case <-d.server.done:
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		d.mu.Lock()
		r := d.routes[which][from]
		ready := r != nil && r.recording
		d.mu.Unlock()
		if ready {
			r.receive(which, bytes.Clone(buf[:n])) // packets may be kept
		}
	}
}

func (d *datagrams) close() (err error) {
	for _, c := range d.conns {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

// receive takes a datagram.
func (r *route) receive(which int, b []byte) {
	c := r.session
	defer func() {
		if fault := recover(); fault != nil { // of a parser: it must not end all the others' streams
			c.stop(panicked(c.log, fault))
		}
	}()
	if which == socketRTCP {
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			c.malformed(err)
			return
		}
		for _, p := range packets {
			if r.track != nil {
				c.receiver.control(r.track, p)
			}
		}
		return
	}
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		c.malformed(err)
		return
	}
	m := c.server.metrics
	m.bytes.Add(float64(len(p.Payload)))
	switch {
	case r.track == nil:
		m.packet(firstVideo, fateUnwanted, 1)
	case p.PayloadType != r.track.format.PayloadType():
		m.packet(r.track.id, fateUnwanted, 1)
	case !c.receiver.datagram(r.track, &p):
		c.malformed(errForeign)
	}
}

// claim reserves the ports that a medium is to be sent from. Those of a session that is just ending are waited for: encoders that
// reconnect use the same ones.
func (d *datagrams) claim(c *session, ports [2]int) (*route, *ingest.Refusal) {
	for _, p := range ports {
		if p <= 0 || p > 65535 {
			return nil, ingest.Refuse(ingest.ReasonProtocol, "The ports %d-%d cannot be sent from.", ports[0], ports[1])
		}
	}
	r := &route{session: c, ports: ports}
	timeout := time.After(longestEnd)
	for {
		other := d.reserve(r)
		if other == nil {
			return r, nil
		}
		if other != c && other.reason.Load() != nil {
			select {
			case <-other.gone:
				continue
			case <-timeout:
			}
		}
		return nil, ingest.Refuse(ingest.ReasonProtocol, "The ports %d-%d of your address are in use by another track or publisher. Choose others, or TCP.", ports[0], ports[1])
	}
}

// longestEnd is how long a session's end is waited for.
const longestEnd = 2 * time.Second

// reserve enters a route unless a session has its ports already.
func (d *datagrams) reserve(r *route) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range r.ports {
		if other := d.routes[i][r.session.from(p)]; other != nil {
			return other.session
		}
	}
	for i, p := range r.ports {
		d.routes[i][r.session.from(p)] = r
	}
	return nil
}

// release gives a session's ports back.
func (d *datagrams) release(c *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range c.routes {
		for i, p := range r.ports {
			if at := c.from(p); d.routes[i][at] == r {
				delete(d.routes[i], at)
			}
		}
	}
}

// record lets a medium's packets through. The first ones from here open the way back through a NAT.
func (d *datagrams) record(r *route, t *track) {
	d.mu.Lock()
	r.track, r.recording = t, true
	d.mu.Unlock()
	empty, _ := (&rtp.Packet{Header: rtp.Header{Version: 2}}).Marshal()
	d.send(socketRTP, r, empty)
	report, _ := (&rtcp.ReceiverReport{}).Marshal()
	d.send(socketRTCP, r, report)
}

// send sends to where a medium comes from. What does not arrive is not missed.
func (d *datagrams) send(which int, r *route, b []byte) {
	_, _ = d.conns[which].WriteToUDPAddrPort(b, r.session.from(r.ports[which]))
}

// from is where a session sends from by a port.
func (c *session) from(port int) netip.AddrPort {
	return netip.AddrPortFrom(c.peer.remote.Addr(), uint16(port))
}

// setup looks at a SETUP of a publisher's. If it asks for UDP first of what is offered, the ports are claimed, and gortsplib is
// made to believe that it asks for TCP.
func (d *datagrams) setup(c *session, req *base.Request) (*route, *ingest.Refusal) {
	var all headers.Transports
	if d.conns[socketRTP] == nil || all.Unmarshal(req.Header["Transport"]) != nil {
		return nil, nil
	}
	for _, t := range all {
		switch {
		case t.Secure, t.Delivery != nil && *t.Delivery == headers.TransportDeliveryMulticast:
			continue
		case t.Protocol == headers.TransportProtocolTCP, t.ClientPorts == nil, t.Mode == nil || *t.Mode != headers.TransportModeRecord:
			return nil, nil
		}
		r, refusal := d.claim(c, *t.ClientPorts)
		if refusal != nil {
			return nil, refusal
		}
		c.routes = append(c.routes, r)
		req.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;mode=record"}
		return r, nil
	}
	return nil, nil
}

// answer is the Transport header of the answer to a SETUP.
func (d *datagrams) answer(r *route) base.HeaderValue {
	return base.HeaderValue{fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d;server_port=%d-%d", r.ports[0], r.ports[1],
		d.conns[socketRTP].LocalAddr().(*net.UDPAddr).Port, d.conns[socketRTCP].LocalAddr().(*net.UDPAddr).Port)}
}

// report tells a publisher what arrives (RFC 3550 6.4.2).
func (d *datagrams) report(c *session) {
	for _, r := range c.routes {
		if r.track == nil {
			continue
		}
		if b, ok := c.receiver.report(r.track); ok {
			d.send(socketRTCP, r, b)
		}
	}
}

// reception is what a receiver report tells of a track.
type reception struct {
	source        uint32 // SSRC
	known         bool
	heard         time.Time // when its last packet came
	first, last   uint32    // sequence numbers with the count of wraps in front
	took          uint32    // packets
	expectedUntil uint32    // the last report's
	tookUntil     uint32
	reported      uint64 // NTP time of the last sender report
	reportedAt    time.Time
}

// changeSource is how long a synchronisation source must be silent for another one to take its place: a sender that began anew.
const changeSource = time.Second

// of tells whether a packet is the track's.
func (r *reception) of(p *rtp.Packet, now time.Time) bool {
	if r.known && p.SSRC != r.source && now.Sub(r.heard) < changeSource {
		return false
	}
	if !r.known || p.SSRC != r.source {
		*r = reception{source: p.SSRC, known: true, first: uint32(p.SequenceNumber), last: uint32(p.SequenceNumber)}
	}
	r.heard = now
	r.took++
	if step := int16(p.SequenceNumber - uint16(r.last)); step > 0 {
		r.last += uint32(step)
	}
	return true
}

// block makes the report.
func (r *reception) block(jitter uint32, now time.Time) rtcp.ReceptionReport {
	const mostLost = 1<<23 - 1 // 24 bits, signed
	expected := r.last - r.first + 1
	out := rtcp.ReceptionReport{SSRC: r.source, LastSequenceNumber: r.last, Jitter: jitter,
		TotalLost: uint32(min(max(0, int64(expected)-int64(r.took)), mostLost))}
	if due, got := expected-r.expectedUntil, r.took-r.tookUntil; due > got {
		out.FractionLost = uint8(min(255, uint64(due-got)*256/uint64(cmp.Or(due, 1))))
	}
	r.expectedUntil, r.tookUntil = expected, r.took
	if r.reported != 0 {
		out.LastSenderReport = uint32(r.reported >> 16)
		out.Delay = uint32(now.Sub(r.reportedAt).Seconds() * 65536)
	}
	return out
}
