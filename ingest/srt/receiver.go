package srt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/circular"
	"github.com/datarhei/gosrt/congestion"
	"github.com/datarhei/gosrt/congestion/live"
	"github.com/datarhei/gosrt/crypto"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest/feed"
)

// Times of a connection (draft-sharabayko-srt-01 4.8).
const (
	tickEvery   = 10 * time.Millisecond // full acknowledgements, and delivery
	nakInterval = 20 * time.Millisecond // periodic loss reports
	datagram    = 1500
	// clockOrigin keeps times on the local clock positive, in microseconds, whatever the peer's begin with.
	clockOrigin = 1 << 40
	// driftSpan is for how long the peer's clock is compared with ours before it is judged, by at least driftCount packets;
	// driftStep is from what difference on it counts (4.7). All but driftCount in microseconds.
	driftSpan  = 10_000_000
	driftCount = 50
	driftStep  = 5000
	// packetCost is what a packet that waits costs besides its payload, in bytes.
	packetCost = 256
	// Key changes that a peer may have at once, and a second: each costs a millisecond. SRT changes keys each 2^24 packets.
	keysAtOnce = 20
	keysRate   = 2
	// window is how many packets a peer may send ahead of their acknowledgement, as libsrt has it; farAhead is from what
	// distance on a number is none of this stream's.
	window   = 8192
	farAhead = 1 << 17
	// endOfTime is later than any packet's time, in microseconds from now.
	endOfTime = 1 << 42
	// queued is how many packets may wait to be read.
	queued = 4096
)

// receiver is the receiving end of a connection. gosrt's packets, its keys and its congestion control do the work. Its own
// connections, and what makes them, are not used: a call that fails leaves goroutines behind for ever, an answer to a
// handshake that is lost is not sent again, a handshake can make it panic or allocate 4 GiB, and it does not follow the drift
// of the peer's clock, which eats up the latency in some hours.
type receiver struct {
	// write sends a datagram; release is called once when the connection ends.
	write   func([]byte)
	release func()

	remote net.Addr
	start  time.Time
	id     uint32 // our socket's
	peer   uint32 // the peer's
	secret string
	keys   crypto.Crypto // nil without a passphrase; handle's after the handshake

	recv  congestion.Receiver
	queue chan packet.Packet
	delay uint64 // microseconds
	heard atomic.Int64
	// ending tells that the peer said good-bye.
	ending atomic.Bool
	// vanished tells that nothing came from it for too long.
	vanished atomic.Bool

	times   peerClock  // handle's, as what follows
	changes feed.Meter // of keys
	wrapped []byte     // the keys that came last
	top     uint32     // highest number so far

	mu    sync.Mutex // guards what follows
	out   bytes.Buffer
	acks  [64]ackTime
	ack   uint32
	rtt   float64 // microseconds
	rttBy float64
	bad   uint64 // packets that could not be decrypted
	far   uint64 // packets with numbers that cannot be

	stopped sync.Once
	done    chan struct{}
	wg      sync.WaitGroup
}

// ackTime is when an acknowledgement was sent.
type ackTime struct {
	number uint32
	at     time.Time
}

// peerClock turns the peer's timestamps into times on our clock.
type peerClock struct {
	base   int64 // of our clock, when the peer's was 0
	last   int64 // timestamp without wraps
	first  int64 // least delay in the first span
	least  int64 // delay in the present one
	since  int64 // when that began
	count  int   // packets in it
	judged bool  // first is set
}

// place is the time of a timestamp; a packet that was not sent again tells how the clocks drift apart. Of each span the packet
// that was the fastest counts: the others waited somewhere on the way, which is the network's doing and no clock's.
func (c *peerClock) place(timestamp uint32, now int64, again bool) int64 {
	t := c.last + int64(int32(timestamp-uint32(c.last)))
	c.last = max(c.last, t)
	if !again {
		delay := now - c.base - t
		if c.count == 0 {
			c.least, c.since = delay, now
		}
		c.least = min(c.least, delay)
		if c.count++; c.count >= driftCount && now-c.since >= driftSpan {
			if !c.judged {
				c.first, c.judged = c.least, true
			} else if d := c.least - c.first; d > driftStep || d < -driftStep {
				c.base += d
			}
			c.count = 0
		}
	}
	return c.base + t
}

func (c *receiver) now() int64 { return time.Since(c.start).Microseconds() + clockOrigin }

// stamp is the time for a packet that is sent.
func (c *receiver) stamp() uint32 { return uint32(time.Since(c.start).Microseconds()) }

// newReceiver makes one that has not begun.
func newReceiver(remote net.Addr, write func([]byte), release func()) *receiver {
	return &receiver{
		write: write, release: release, remote: remote, start: time.Now(),
		queue: make(chan packet.Packet, queued), done: make(chan struct{}),
	}
}

// begin starts to receive after the handshake, whose timestamp came at a time.
func (c *receiver) begin(first circular.Number, timestamp uint32, at time.Time, delay time.Duration) {
	c.delay = uint64(delay.Microseconds())
	c.times = peerClock{base: at.Sub(c.start).Microseconds() + clockOrigin - int64(timestamp), last: int64(timestamp)}
	c.rtt, c.rttBy = 100_000, 50_000 // 4.10
	c.top = first.Dec().Val()
	c.heard.Store(c.now())
	c.recv = live.NewReceiver(live.ReceiveConfig{
		InitialSequenceNumber: first,
		PeriodicACKInterval:   uint64(tickEvery.Microseconds()),
		PeriodicNAKInterval:   uint64(nakInterval.Microseconds()),
		OnSendACK:             c.sendACK,
		OnSendNAK:             c.sendNAK,
		OnDeliver: func(p packet.Packet) {
			if c.ending.Load() { // all at once: nothing else comes that would have to wait
				select {
				case c.queue <- p:
				case <-c.done:
				}
				return
			}
			select {
			case c.queue <- p:
			default: // a gap in the stream, which the next packet shows
			}
		},
	})
	c.wg.Go(c.tick)
}

// ReadPacket implements link. What came before the end is read before it.
func (c *receiver) ReadPacket() (packet.Packet, error) {
	select {
	case p := <-c.queue:
		return p, nil
	case <-c.done:
	}
	select {
	case p := <-c.queue:
		return p, nil
	default:
	}
	if c.vanished.Load() {
		return nil, errVanished
	}
	return nil, io.EOF
}

// Close implements link. It returns after the last goroutine has ended.
func (c *receiver) Close() error {
	c.stop()
	c.wg.Wait()
	return nil
}

// stop ends the connection, and tells the peer.
func (c *receiver) stop() {
	c.stopped.Do(func() {
		c.send(packet.CTRLTYPE_SHUTDOWN, 0, 0, &packet.CIFShutdown{})
		close(c.done)
		c.release()
	})
}

// Stats implements link. Packets count with their headers, and those that wait with what they cost: there may be nothing in them.
func (c *receiver) Stats(s *gosrt.Statistics) {
	r := c.recv.Stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Accumulated = gosrt.StatisticsAccumulated{
		PktRecv: r.Pkt, PktRecvLoss: r.PktLoss, PktRecvRetrans: r.PktRetrans, PktRecvDrop: r.PktDrop + c.far, PktRecvUndecrypt: c.bad,
		ByteRecv: r.Byte + r.Pkt*(gosrt.UDP_HEADER_SIZE+gosrt.SRT_HEADER_SIZE),
	}
	s.Instantaneous = gosrt.StatisticsInstantaneous{MsRTT: c.rtt / 1000, ByteRecvBuf: r.ByteBuf + r.PktBuf*packetCost, MsRecvTsbPdDelay: c.delay / 1000}
}

// tick has the receiver acknowledge and deliver, and notices a peer that is gone.
func (c *receiver) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
			now := c.now()
			c.recv.Tick(uint64(now))
			if now-c.heard.Load() > peerTimeout.Microseconds() {
				c.vanished.Store(true)
				c.stop()
			}
		}
	}
}

// handle takes a packet that is for this connection. It is for one goroutine.
func (c *receiver) handle(p packet.Packet) {
	c.heard.Store(c.now())
	if !p.Header().IsControlPacket {
		c.data(p)
		return
	}
	c.control(p)
	p.Decommission()
}

// data takes a packet of media.
func (c *receiver) data(p packet.Packet) {
	h := p.Header()
	if h.MessageNumber == 0 { // of a filter that nobody asked for
		p.Decommission()
		return
	}
	if n := h.PacketSequenceNumber.Val(); !c.follows(n) {
		c.mu.Lock()
		c.far++
		c.mu.Unlock()
		p.Decommission()
		return
	}
	if c.keys != nil {
		if c.keys.EncryptOrDecryptPayload(p.Data(), h.KeyBaseEncryptionFlag, h.PacketSequenceNumber.Val()) != nil {
			c.mu.Lock()
			c.bad++
			c.mu.Unlock()
			p.Decommission()
			return
		}
	}
	h.PktTsbpdTime = uint64(c.times.place(h.Timestamp, c.now(), h.RetransmittedPacketFlag)) + c.delay
	c.recv.Push(p)
}

// follows tells whether a number may be of this stream, and notes the highest.
func (c *receiver) follows(n uint32) bool {
	ahead := (n - c.top) & packet.MAX_SEQUENCENUMBER
	if ahead > packet.MAX_SEQUENCENUMBER/2 { // from before
		return true
	}
	if ahead > farAhead {
		return false
	}
	c.top = n
	return true
}

// control acts on a control packet.
func (c *receiver) control(p packet.Packet) {
	h := p.Header()
	switch h.ControlType {
	case packet.CTRLTYPE_SHUTDOWN:
		// What waits for its time is the show's last moments.
		c.ending.Store(true)
		c.recv.Tick(uint64(c.now() + endOfTime))
		c.stop()
	case packet.CTRLTYPE_ACKACK:
		c.measure(h.TypeSpecific)
	case packet.CTRLTYPE_USER:
		if h.SubType == packet.EXTTYPE_KMREQ {
			c.newKeys(p)
		}
	}
}

// newKeys takes keys that the sender is about to change to (6.1.6), and says so.
func (c *receiver) newKeys(p packet.Packet) {
	var km packet.CIFKeyMaterialExtension
	if c.keys == nil || p.UnmarshalCIF(&km) != nil || km.Error != 0 {
		return
	}
	if !bytes.Equal(km.Wrap, c.wrapped) { // else it did not get the answer
		if !c.changes.Take(time.Now(), keysRate, keysAtOnce) || !c.unwrap(&km) {
			return
		}
		c.wrapped = bytes.Clone(km.Wrap)
	}
	c.send(packet.CTRLTYPE_USER, packet.EXTTYPE_KMRSP, 0, &km)
}

// unwrap takes keys, unless they are not in order: what gosrt then leaves behind decrypts nothing.
func (c *receiver) unwrap(km *packet.CIFKeyMaterialExtension) bool {
	try, err := crypto.New(int(km.KLen))
	return err == nil && try.UnmarshalKM(km, c.secret) == nil && c.keys.UnmarshalKM(km, c.secret) == nil
}

// measure takes the round-trip time of an acknowledgement (4.10).
func (c *receiver) measure(number uint32) {
	c.mu.Lock()
	a := &c.acks[number%uint32(len(c.acks))]
	if a.number != number || a.at.IsZero() {
		c.mu.Unlock()
		return
	}
	took := float64(time.Since(a.at).Microseconds())
	a.at = time.Time{}
	c.rtt = c.rtt*7/8 + took/8
	c.rttBy = c.rttBy*3/4 + max(c.rtt-took, took-c.rtt)/4
	interval := max(uint64((c.rtt+4*c.rttBy)/2), uint64(nakInterval.Microseconds()))
	c.mu.Unlock()
	c.recv.SetNAKInterval(interval)
}

// sendACK acknowledges what came up to a packet.
func (c *receiver) sendACK(next circular.Number, lite bool) {
	cif := packet.CIFACK{LastACKPacketSequenceNumber: next, IsLite: lite}
	number := uint32(0)
	if !lite {
		pps, bps, capacity := c.recv.PacketRate()
		c.mu.Lock()
		c.ack++
		number = c.ack
		c.acks[number%uint32(len(c.acks))] = ackTime{number, time.Now()}
		cif.RTT, cif.RTTVar = uint32(c.rtt), uint32(c.rttBy)
		c.mu.Unlock()
		cif.AvailableBufferSize = window
		cif.PacketsReceivingRate, cif.ReceivingRate, cif.EstimatedLinkCapacity = uint32(pps), uint32(bps), uint32(capacity)
	}
	c.send(packet.CTRLTYPE_ACK, 0, number, &cif)
}

// sendNAK asks for packets again: pairs of the first and the last one that are missing.
func (c *receiver) sendNAK(list []circular.Number) {
	c.send(packet.CTRLTYPE_NAK, 0, 0, &packet.CIFNAK{LostPacketSequenceNumber: list})
}

// send sends a control packet to the peer.
func (c *receiver) send(kind packet.CtrlType, sub packet.CtrlSubType, specific uint32, cif packet.CIF) {
	p := packet.NewPacket(c.remote)
	defer p.Decommission()
	h := p.Header()
	h.IsControlPacket, h.ControlType, h.SubType, h.TypeSpecific = true, kind, sub, specific
	h.Timestamp, h.DestinationSocketId = c.stamp(), c.peer
	if p.MarshalCIF(cif) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Reset()
	if p.Marshal(&c.out) == nil {
		c.write(c.out.Bytes()) // what is lost on the way is sent again, or asked for
	}
}

// errHandshake is a peer whose handshake is none.
var errHandshake = errors.New("the source does not answer as SRT has it")

// readHandshake reads a datagram. gosrt reads handshakes without looking at their lengths, and panics.
func readHandshake(b []byte, from net.Addr) (h *packet.PacketHeader, cif *packet.CIFHandshake, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = errHandshake
		}
	}()
	p, err := packet.NewPacketFromData(from, b)
	if err != nil || len(b) == 0 {
		return nil, nil, errHandshake
	}
	defer p.Decommission()
	header := *p.Header()
	if !header.IsControlPacket || header.ControlType != packet.CTRLTYPE_HANDSHAKE {
		return nil, nil, errHandshake
	}
	cif = &packet.CIFHandshake{}
	if err := p.UnmarshalCIF(cif); err != nil {
		return nil, nil, fmt.Errorf("%w: %v", errHandshake, err)
	}
	return &header, cif, nil
}
