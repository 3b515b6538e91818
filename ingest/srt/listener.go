package srt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/crypto"
	srtnet "github.com/datarhei/gosrt/net"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest"
)

const (
	// smallestDatagram holds the headers and one packet of a transport stream, in bytes.
	smallestDatagram = gosrt.UDP_HEADER_SIZE + gosrt.SRT_HEADER_SIZE + 188
	// backlog is how many requests may wait.
	backlog = 128
	// arriving is how many packets of one connection may wait to be looked at.
	arriving = 1024
	// socketBuffer is asked of the system for the listener, in bytes: the default holds some 30 ms of a few publishers.
	socketBuffer = 4 << 20
	// magic stands in the answer to an induction (draft-sharabayko-srt-01 4.3.1.1).
	magic = 0x4A17
	// mostSocket is the greatest number of a socket: libsrt takes those with more bits for groups.
	mostSocket = 1<<30 - 1
)

// listener is a UDP port and the connections on it.
type listener struct {
	pc       *net.UDPConn
	log      *slog.Logger
	latency  time.Duration
	start    time.Time
	cookies  *srtnet.SYNCookie
	requests chan *request
	reading  sync.Once
	done     chan struct{} // closed when reading has ended

	mu    sync.Mutex // guards what follows
	conns map[uint32]*incoming
	peers map[peerID]*request
}

// peerID tells peers apart: a socket's number is the peer's choice.
type peerID struct {
	from   netip.AddrPort
	socket uint32
}

// incoming is a connection with its packets that were not looked at.
type incoming struct {
	*receiver
	from    netip.AddrPort
	packets chan packet.Packet
}

// request is a peer that asks for a connection. It is answered once, by reject or accept.
type request struct {
	ln     *listener
	remote netip.AddrPort // for logs and counting
	from   netip.AddrPort // as the socket has it
	cif    *packet.CIFHandshake
	stamp  uint32
	at     time.Time // when it came
	keys   crypto.Crypto
	secret string
	answer []byte // sent again when the peer asks again; guarded by ln.mu
}

func listen(opt Options) (*listener, error) {
	pc, err := ingest.ListenUDP(opt.ListenPacket, opt.Address)
	if err != nil {
		return nil, err
	}
	pc.SetReadBuffer(socketBuffer) // as much as the system grants
	cookies, err := srtnet.NewSYNCookie(pc.LocalAddr().String(), nil)
	if err != nil {
		pc.Close()
		return nil, err
	}
	ln := &listener{
		pc: pc, log: opt.Log, latency: opt.Latency, start: time.Now(), cookies: cookies, requests: make(chan *request, backlog),
		done: make(chan struct{}), conns: map[uint32]*incoming{}, peers: map[peerID]*request{},
	}
	return ln, nil
}

// begin reads the socket from now on. Before, its packets wait, or go to another process that has it too.
func (ln *listener) begin() { ln.reading.Do(func() { go ln.read() }) }

// accept waits for a request; net.ErrClosed tells the end.
func (ln *listener) accept() (*request, error) {
	select {
	case r := <-ln.requests:
		return r, nil
	case <-ln.done:
		return nil, net.ErrClosed
	}
}

// close gives the port back. The connections must have ended.
func (ln *listener) close() error {
	err := ln.pc.Close()
	ln.begin() // it ends at once
	<-ln.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// read takes datagrams until the socket is closed.
func (ln *listener) read() {
	defer close(ln.done)
	b := make([]byte, datagram)
	for {
		n, from, err := ln.pc.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil || n < 16 {
			continue
		}
		to := binary.BigEndian.Uint32(b[12:])
		if to == 0 {
			ln.handshake(b[:n], from)
			continue
		}
		ln.mu.Lock()
		c := ln.conns[to]
		ln.mu.Unlock()
		if c == nil || c.from != from {
			continue
		}
		p, err := packet.NewPacketFromData(c.remote, b[:n])
		if err != nil {
			continue
		}
		select {
		case c.packets <- p:
		default: // it is asked for again
			p.Decommission()
		}
	}
}

// handshake answers what asks for a connection (draft-sharabayko-srt-01 4.3.1). Nothing is kept of who has not shown that
// answers reach it.
func (ln *listener) handshake(b []byte, from netip.AddrPort) {
	header, cif, err := readHandshake(b, net.UDPAddrFromAddrPort(from))
	if err != nil {
		return
	}
	r := &request{ln: ln, remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), from: from, cif: cif, stamp: header.Timestamp, at: time.Now()}
	cif.PeerIP.FromNetAddr(ln.pc.LocalAddr())
	switch cif.HandshakeType {
	case packet.HSTYPE_INDUCTION:
		cif.Version, cif.EncryptionField, cif.ExtensionField = 5, 0, magic
		cif.SynCookie = ln.cookies.Get(from.String())
		ln.write(r.encode(), from)
	case packet.HSTYPE_CONCLUSION:
		if !ln.cookies.Verify(cif.SynCookie, from.String()) {
			ln.write(r.refusal(gosrt.REJ_ROGUE), from)
			return
		}
		ln.conclude(r)
	}
}

// conclude passes a request on, or answers it as before.
func (ln *listener) conclude(r *request) {
	if code := r.fault(); code != 0 {
		r.reject(code)
		return
	}
	id := peerID{r.from, r.cif.SRTSocketId}
	ln.mu.Lock()
	before := ln.peers[id]
	var answer []byte
	if before != nil {
		answer = before.answer
	} else {
		ln.peers[id] = r
	}
	ln.mu.Unlock()
	if before != nil {
		if answer != nil {
			ln.write(answer, r.from)
		}
		return
	}
	select {
	case ln.requests <- r:
	default:
		r.reject(gosrt.REJ_BACKLOG)
	}
}

// fault is the code for what cannot be; 0 is none.
func (r *request) fault() gosrt.RejectionReason {
	cif := r.cif
	switch {
	case cif.Version != 5:
		return gosrt.REJ_VERSION
	case cif.SRTHS == nil:
		return gosrt.REJ_ROGUE
	case !cif.SRTHS.SRTFlags.TSBPDSND || !cif.SRTHS.SRTFlags.REXMITFLG:
		return gosrt.REJ_ROGUE
	case cif.SRTHS.SRTFlags.STREAM:
		return gosrt.REJ_MESSAGEAPI
	case cif.HasCongestionCtl && cif.CongestionCtl != "live":
		return gosrt.REJ_CONGESTION
	}
	return 0
}

// unlock takes the peer's keys with a passphrase. Its error is that of a wrong one.
func (r *request) unlock(passphrase string) error {
	keys, err := crypto.New(int(r.cif.SRTKM.KLen))
	if err != nil {
		return err
	}
	if err := keys.UnmarshalKM(r.cif.SRTKM, passphrase); err != nil {
		return err
	}
	r.keys, r.secret = keys, passphrase
	return nil
}

// reject tells the peer why it gets no connection.
func (r *request) reject(code gosrt.RejectionReason) {
	r.ln.write(r.refusal(code), r.from)
	r.forget()
}

// refusal writes a rejection. It has no extensions, and so is never longer than what was asked by whoever that was.
func (r *request) refusal(code gosrt.RejectionReason) []byte {
	r.cif.HandshakeType = packet.HandshakeType(code)
	r.cif.HasHS, r.cif.HasKM, r.cif.HasSID, r.cif.HasCongestionCtl = false, false, false, false
	return r.encode()
}

// forget lets the peer ask anew.
func (r *request) forget() {
	r.ln.mu.Lock()
	defer r.ln.mu.Unlock()
	if id := (peerID{r.from, r.cif.SRTSocketId}); r.ln.peers[id] == r {
		delete(r.ln.peers, id)
	}
}

// accept makes the connection.
func (r *request) accept() *receiver {
	ln, cif := r.ln, r.cif
	id := peerID{r.from, cif.SRTSocketId}
	c := &incoming{from: r.from, packets: make(chan packet.Packet, arriving)}
	c.receiver = newReceiver(net.UDPAddrFromAddrPort(r.from), func(b []byte) { ln.write(b, r.from) }, func() {
		ln.mu.Lock()
		defer ln.mu.Unlock()
		delete(ln.conns, c.id)
		delete(ln.peers, id)
	})
	c.peer, c.keys, c.secret = cif.SRTSocketId, r.keys, r.secret

	own := uint16(ln.latency.Milliseconds())
	delay := max(own, cif.SRTHS.SendTSBPDDelay)
	cif.SRTHS.SRTVersion = gosrt.SRT_VERSION
	cif.SRTHS.SRTFlags = packet.CIFHandshakeExtensionFlags{TSBPDSND: true, TSBPDRCV: true, CRYPT: true, TLPKTDROP: true, PERIODICNAK: true, REXMITFLG: true}
	cif.SRTHS.SendTSBPDDelay, cif.SRTHS.RecvTSBPDDelay = max(own, cif.SRTHS.RecvTSBPDDelay), delay
	cif.SynCookie = 0
	cif.MaxTransmissionUnitSize = min(cif.MaxTransmissionUnitSize, datagram) // the smaller one of both

	ln.mu.Lock()
	for c.id == 0 || ln.conns[c.id] != nil {
		var b [4]byte
		rand.Read(b[:])
		c.id = binary.BigEndian.Uint32(b[:]) & mostSocket
	}
	cif.SRTSocketId = c.id
	r.answer = r.encodeTo(c.peer)
	ln.conns[c.id] = c
	ln.mu.Unlock()
	c.begin(cif.InitialPacketSequenceNumber, r.stamp, r.at, time.Duration(delay)*time.Millisecond)
	c.wg.Go(c.work)
	ln.write(r.answer, r.from)
	return c.receiver
}

// work looks at the packets.
func (c *incoming) work() {
	for {
		select {
		case p := <-c.packets:
			c.handle(p)
		case <-c.done:
			return
		}
	}
}

func (r *request) encode() []byte { return r.encodeTo(r.cif.SRTSocketId) }

// encodeTo writes the handshake as it is now for a peer's socket.
func (r *request) encodeTo(socket uint32) []byte {
	p := packet.NewPacket(nil)
	defer p.Decommission()
	h := p.Header()
	h.IsControlPacket, h.ControlType = true, packet.CTRLTYPE_HANDSHAKE
	h.Timestamp, h.DestinationSocketId = uint32(time.Since(r.ln.start).Microseconds()), socket
	var b bytes.Buffer
	if p.MarshalCIF(r.cif) != nil || p.Marshal(&b) != nil {
		return nil
	}
	return b.Bytes()
}

func (ln *listener) write(b []byte, to netip.AddrPort) {
	ln.pc.WriteToUDPAddrPort(b, to) // what is lost on the way is asked for again
}
