package srt

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/circular"
	"github.com/datarhei/gosrt/crypto"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest"
)

// Client fetches streams: it implements ingest.Puller for srt://HOST:PORT?streamid=...&passphrase=...&pbkeylen=...&latency=MS.
type Client struct {
	opt     Options
	metrics *metrics
}

// NewClient makes a client. Of the options, Address and Passphrase mean nothing to it.
func NewClient(opt Options) (*Client, error) {
	opt = opt.withDefaults()
	opt.Passphrase = ""
	if err := opt.check(); err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("srt: registering metrics: %w", err)
	}
	return &Client{opt: opt, metrics: m}, nil
}

// source is what a URL says.
type source struct {
	address    string
	id         string
	passphrase string
	keyLength  int
	latency    time.Duration
}

// readSource takes a URL apart. Its errors hold nothing of what may be secret.
func (c *Client) readSource(u *url.URL) (s source, err error) {
	if u == nil || u.Scheme != "srt" || u.Hostname() == "" || u.Port() == "" {
		return s, errors.New("the source's URL is not of the form srt://HOST:PORT?streamid=ID")
	}
	q := u.Query()
	s = source{address: u.Host, id: q.Get("streamid"), passphrase: q.Get("passphrase"), keyLength: 16, latency: c.opt.Latency}
	if mode := q.Get("mode"); mode != "" && mode != "caller" {
		return s, errors.New("the source's URL asks for another mode than caller, which is the only one that fetches a stream")
	}
	if len(s.id) > gosrt.MAX_STREAMID_SIZE {
		return s, fmt.Errorf("the source's stream identifier is longer than %d bytes", gosrt.MAX_STREAMID_SIZE)
	}
	if err := checkPassphrase(s.passphrase); err != nil {
		return s, err
	}
	switch v := q.Get("pbkeylen"); v {
	case "", "0", "16":
	case "24", "32":
		s.keyLength, _ = strconv.Atoi(v)
	default:
		return s, errors.New("the source's pbkeylen is none of 16, 24 and 32")
	}
	if v := q.Get("latency"); v != "" {
		ms, err := strconv.Atoi(v)
		most := c.opt.Limits().withDefaults().MaxLatency
		if s.latency = time.Duration(ms) * time.Millisecond; err != nil || ms < 20 || ms > int(most.Milliseconds()) {
			return s, fmt.Errorf("the source's latency is not 20 to %d ms", most.Milliseconds())
		}
	}
	return s, nil
}

// Pull implements ingest.Puller.
func (c *Client) Pull(ctx context.Context, p ingest.Pull) error {
	s, err := c.readSource(p.URL)
	if err != nil {
		return err
	}
	l, how, err := c.call(ctx, s)
	if err != nil {
		c.metrics.results[how].Inc()
		return err
	}
	defer l.Close()
	x := newSession(c.opt, c.metrics)
	x.encrypted = s.passphrase != ""
	remote := addressOf(l.remote)
	id := ingest.NewConn()
	pub, err := c.opt.Door.Open(ingest.Request{
		Protocol: "srt", Remote: remote, Stream: p.Stream, Pulled: true, Kick: x.kick, Conn: id, Context: ctx,
	})
	if err != nil {
		c.metrics.results[resultRefused].Inc()
		return err
	}
	c.metrics.connections.Inc()
	defer c.metrics.connections.Dec()
	x.pub, x.log = pub, c.opt.Log.With("conn", id, "stream", pub.Name(), "remote", remote)
	how, err = x.run(ctx, l)
	c.metrics.results[how].Inc()
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// resendEvery is how soon a handshake is sent again that is not answered.
const resendEvery = 250 * time.Millisecond

// call connects to a source (draft-sharabayko-srt-01 4.3.1).
func (c *Client) call(ctx context.Context, s source) (_ *receiver, _ result, err error) {
	limits := c.opt.Limits().withDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.HandshakeTimeout)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "udp", s.address)
	if err != nil {
		return nil, resultUnreachable, fmt.Errorf("the source's address %s cannot be reached: %w", s.address, err)
	}
	conn := nc.(*net.UDPConn)
	l := newReceiver(conn.RemoteAddr(), func(b []byte) { conn.Write(b) }, func() { conn.Close() })
	l.secret = s.passphrase
	h := handshake{receiver: l, conn: conn, source: s, most: limits.MaxLatency}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	var seed [8]byte
	rand.Read(seed[:])
	l.id = binary.BigEndian.Uint32(seed[:])&mostSocket | 1
	h.first = circular.New(binary.BigEndian.Uint32(seed[4:])&packet.MAX_SEQUENCENUMBER, packet.MAX_SEQUENCENUMBER)
	if s.passphrase != "" {
		if l.keys, err = crypto.New(s.keyLength); err != nil {
			return nil, resultBadHandshake, err
		}
	}
	how, err := h.run(ctx)
	return l, how, err
}

// handshake makes a connection.
type handshake struct {
	*receiver
	conn   *net.UDPConn
	source source
	first  circular.Number
	most   time.Duration // of latency
}

// run goes through induction and conclusion.
func (h *handshake) run(ctx context.Context) (result, error) {
	cif, _, how, err := h.exchange(ctx, &packet.CIFHandshake{
		IsRequest: true, Version: 4, ExtensionField: 2, InitialPacketSequenceNumber: h.first, MaxTransmissionUnitSize: datagram,
		MaxFlowWindowSize: gosrt.DefaultConfig().FC, HandshakeType: packet.HSTYPE_INDUCTION, SRTSocketId: h.id,
	}, packet.HSTYPE_INDUCTION)
	if err != nil {
		return how, err
	}
	if cif.Version != 5 || cif.ExtensionField != magic {
		return resultBadHandshake, errors.New("the source speaks SRT before version 1.3: update it")
	}
	delay := uint16(h.source.latency.Milliseconds())
	conclusion := &packet.CIFHandshake{
		IsRequest: true, Version: 5, InitialPacketSequenceNumber: h.first, MaxTransmissionUnitSize: datagram,
		MaxFlowWindowSize: gosrt.DefaultConfig().FC, HandshakeType: packet.HSTYPE_CONCLUSION, SRTSocketId: h.id, SynCookie: cif.SynCookie,
		HasHS: true, HasSID: true, StreamId: h.source.id,
		SRTHS: &packet.CIFHandshakeExtension{
			SRTVersion:     gosrt.SRT_VERSION,
			SRTFlags:       packet.CIFHandshakeExtensionFlags{TSBPDSND: true, TSBPDRCV: true, CRYPT: true, TLPKTDROP: true, PERIODICNAK: true, REXMITFLG: true},
			RecvTSBPDDelay: delay, SendTSBPDDelay: delay,
		},
	}
	if h.keys != nil {
		conclusion.HasKM, conclusion.SRTKM = true, &packet.CIFKeyMaterialExtension{}
		if err := h.keys.MarshalKM(conclusion.SRTKM, h.secret, packet.EvenKeyEncrypted); err != nil {
			return resultBadHandshake, err
		}
	}
	cif, header, how, err := h.exchange(ctx, conclusion, packet.HSTYPE_CONCLUSION)
	if err != nil {
		return how, err
	}
	if cif.SRTHS == nil || cif.Version != 5 {
		return resultBadHandshake, errHandshake
	}
	if h.keys != nil && cif.SRTKM == nil {
		return resultRejected, errors.New("the source does not encrypt: take the passphrase out of its URL, or set it in the source")
	}
	h.peer = cif.SRTSocketId
	latency := time.Duration(max(delay, cif.SRTHS.SendTSBPDDelay)) * time.Millisecond
	if latency > h.most {
		h.send(packet.CTRLTYPE_SHUTDOWN, 0, 0, &packet.CIFShutdown{})
		return resultBadHandshake, fmt.Errorf("the source asks for a latency of %v, and %v is the most: lower it there", latency, h.most)
	}
	h.conn.SetReadDeadline(time.Time{})
	h.begin(cif.InitialPacketSequenceNumber, header.Timestamp, time.Now(), latency)
	h.wg.Go(h.read)
	return "", nil
}

// read takes datagrams until the socket is closed.
func (h *handshake) read() {
	b := make([]byte, datagram)
	for {
		n, err := h.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue // the network says that it could not deliver something
		}
		p, err := packet.NewPacketFromData(h.remote, b[:n])
		if err != nil || n == 0 {
			continue
		}
		if p.Header().DestinationSocketId != h.id {
			p.Decommission()
			continue
		}
		h.handle(p)
	}
}

// exchange sends a handshake until it is answered.
func (h *handshake) exchange(ctx context.Context, request *packet.CIFHandshake, want packet.HandshakeType) (*packet.CIFHandshake, *packet.PacketHeader, result, error) {
	b := make([]byte, datagram)
	request.PeerIP.FromNetAddr(h.conn.LocalAddr())
	for {
		h.send(packet.CTRLTYPE_HANDSHAKE, 0, 0, request)
		for resend := time.Now().Add(resendEvery); ; {
			if ctx.Err() != nil {
				return nil, nil, resultUnreachable, fmt.Errorf("the source at %s did not answer: check its address, and that it listens there", h.source.address)
			}
			h.conn.SetReadDeadline(resend)
			n, err := h.conn.Read(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				timer := time.NewTimer(time.Until(resend)) // nobody listens there yet
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				timer.Stop()
				break
			}
			header, cif, err := readHandshake(b[:n], h.remote)
			switch {
			case err != nil && h.keys != nil && refusesKeys(b[:n]):
				h.peer = binary.BigEndian.Uint32(b[40:])
				h.send(packet.CTRLTYPE_SHUTDOWN, 0, 0, &packet.CIFShutdown{})
				return nil, nil, resultRejected, errors.New("the source has another passphrase, or none")
			case err != nil, header.DestinationSocketId != h.id:
				continue
			case cif.HandshakeType == want:
				return cif, header, "", nil
			case cif.HandshakeType.IsRejection():
				return nil, nil, resultRejected, rejected(cif.HandshakeType.Val())
			}
		}
	}
}

// refusesKeys tells whether an answer accepts the call but not the keys, which a source does that does not insist on encryption:
// a word stands in the place of the key material. gosrt does not read that.
func refusesKeys(b []byte) bool {
	const extensions = 64 // behind the packet's head and the handshake
	if !(len(b) > extensions && b[0] == 0x80 && b[1] == 0 && binary.BigEndian.Uint32(b[36:]) == packet.HSTYPE_CONCLUSION.Val()) {
		return false
	}
	for b = b[extensions:]; len(b) >= 4; {
		kind, words := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if kind == packet.EXTTYPE_KMRSP.Value() {
			return words == 1
		}
		b = b[min(4+4*words, len(b)):]
	}
	return false
}

// rejections are what codes mean to who set up the pull (SRT Access Control Guidelines; draft-sharabayko-srt-01 table 7).
var rejections = map[uint32]string{
	1004:                             "it finds fault with the handshake",
	1008:                             "it wants another version of SRT",
	1010:                             "the passphrase is wrong",
	1011:                             "it wants a passphrase, or none",
	uint32(gosrt.REJX_BAD_REQUEST):   "the stream identifier is wrong",
	uint32(gosrt.REJX_UNAUTHORIZED):  "the key or password is wrong",
	uint32(gosrt.REJX_OVERLOAD):      "it is overloaded",
	uint32(gosrt.REJX_FORBIDDEN):     "it does not permit that",
	uint32(gosrt.REJX_NOTFOUND):      "there is no such stream",
	uint32(gosrt.REJX_BAD_MODE):      "it does not send streams",
	uint32(gosrt.REJX_UNACCEPTABLE):  "it cannot do what is asked for",
	uint32(codeConflict):             "the stream is in use",
	uint32(gosrt.REJX_DOWN):          "it is down",
	uint32(gosrt.REJX_UNIMPLEMENTED): "it cannot do what is asked for",
}

func rejected(code uint32) error {
	if why := rejections[code]; why != "" {
		return fmt.Errorf("the source did not take the call: %s (SRT code %d)", why, code)
	}
	return fmt.Errorf("the source did not take the call (SRT code %d)", code)
}

var _ ingest.Puller = (*Client)(nil)
