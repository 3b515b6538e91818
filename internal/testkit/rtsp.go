package testkit

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// RTSP is a publisher over RTSP (RFC 2326), by ANNOUNCE and RECORD. It is written on nothing but sockets, so that it shares
// no code with a server and can do what is wrong.
type RTSP struct {
	ledger
	t     testing.TB
	show  *Show
	nc    net.Conn
	base  string // the URL with its query
	cseq  int
	from  string // session identifier
	auth  func(method, uri string) string
	udp   []*rtspPort // by track; nil over TCP
	clock captureClock

	tracks   []*rtpTrack
	reported []time.Time

	answers chan *rtspAnswer
	gone    chan struct{}
	writing sync.Mutex // guards writes to nc
}

// rtspAnswer is a response.
type rtspAnswer struct {
	code   int
	reason string
	header textproto.MIMEHeader
	body   []byte
}

// rtspPort is a pair of sockets for one track over UDP.
type rtspPort struct {
	rtp, rtcp  *net.UDPConn
	to, toRTCP *net.UDPAddr
	line       *line
}

func openRTSP(t testing.TB, n Target, s Show) (Source, error) {
	return OpenRTSP(t, n.Address("rtsp").String(), s, false, nil)
}

func openRTSPUDP(t testing.TB, n Target, s Show) (Source, error) {
	return OpenRTSP(t, n.Address("rtsp").String(), s, true, nil)
}

func openRTSPS(t testing.TB, n Target, s Show) (Source, error) {
	return OpenRTSP(t, n.Address("rtsps").String(), s, false, &tls.Config{InsecureSkipVerify: true})
}

// DialRTSP connects to an address, with TLS unless secure is nil, and says nothing yet.
func DialRTSP(t testing.TB, address string, s Show, secure *tls.Config) (*RTSP, error) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	scheme := "rtsp"
	if secure != nil {
		scheme = "rtsps"
		c := tls.Client(nc, secure)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		nc = c
	}
	p := &RTSP{t: t, show: &s, nc: nc, answers: make(chan *rtspAnswer, 4), gone: make(chan struct{})}
	p.base = scheme + "://" + address + "/live/" + s.Name
	if s.Key != "" && !s.Basic {
		p.base += "?key=" + url.QueryEscape(s.Key)
	}
	for i, m := range s.Tracks {
		p.tracks = append(p.tracks, newRTPTrack(i, m, s.Origin))
	}
	p.reported = make([]time.Time, len(p.tracks))
	go p.read()
	t.Cleanup(p.Drop)
	return p, nil
}

// OpenRTSP begins to publish a show at an address, with RTP over UDP or in the same connection.
func OpenRTSP(t testing.TB, address string, s Show, udp bool, secure *tls.Config) (*RTSP, error) {
	t.Helper()
	p, err := DialRTSP(t, address, s, secure)
	if err != nil {
		return nil, err
	}
	if err := p.Announce(p.SDP()); err != nil {
		p.Drop()
		return nil, err
	}
	for i := range p.tracks {
		if err := p.setup(i, udp); err != nil {
			p.Drop()
			return nil, err
		}
	}
	if err := p.must("RECORD", p.base, "Range: npt=0.000-\r\n", nil); err != nil {
		p.Drop()
		return nil, err
	}
	return p, nil
}

// read takes what the server says until it says no more.
func (p *RTSP) read() {
	defer close(p.gone)
	r := bufio.NewReader(p.nc)
	for {
		first, err := r.Peek(1)
		if err != nil {
			return
		}
		if first[0] == '$' {
			head := make([]byte, 4)
			if _, err := io.ReadFull(r, head); err != nil {
				return
			}
			if _, err := r.Discard(int(binary.BigEndian.Uint16(head[2:]))); err != nil {
				return
			}
			continue
		}
		a, err := readRTSP(r)
		if err != nil {
			return
		}
		select {
		case p.answers <- a:
		default: // a test does not ask more than it reads the answers of
		}
	}
}

func readRTSP(r *bufio.Reader) (*rtspAnswer, error) {
	tp := textproto.NewReader(r)
	line, err := tp.ReadLine()
	if err != nil {
		return nil, err
	}
	a := &rtspAnswer{}
	fields := strings.SplitN(line, " ", 3)
	if len(fields) > 1 {
		a.code, _ = strconv.Atoi(fields[1])
	}
	if len(fields) > 2 {
		a.reason = fields[2]
	}
	if a.header, err = tp.ReadMIMEHeader(); err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(a.header.Get("Content-Length"))
	a.body = make([]byte, n)
	_, err = io.ReadFull(r, a.body)
	return a, err
}

// ask sends a request and waits for its answer; headers end with CRLF each.
func (p *RTSP) ask(method, uri, headers string, body []byte) (*rtspAnswer, error) {
	p.cseq++
	text := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: testkit/1.0\r\n", method, uri, p.cseq)
	if p.from != "" {
		text += "Session: " + p.from + "\r\n"
	}
	if p.auth != nil {
		text += "Authorization: " + p.auth(method, uri) + "\r\n"
	}
	if body != nil {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if err := p.Raw(append([]byte(text+headers+"\r\n"), body...)); err != nil {
		return nil, err
	}
	for {
		select {
		case a := <-p.answers:
			if a.header.Get("Cseq") == strconv.Itoa(p.cseq) {
				return a, nil
			}
		case <-p.gone:
			select {
			case a := <-p.answers:
				return a, nil
			default:
				return nil, errors.New("the server closed the connection")
			}
		case <-time.After(patience):
			return nil, fmt.Errorf("no answer to %s", method)
		}
	}
}

// must asks and wants success. What is refused for want of credentials is asked again with them.
func (p *RTSP) must(method, uri, headers string, body []byte) error {
	a, err := p.ask(method, uri, headers, body)
	if err == nil && a.code == 401 && p.auth == nil && p.show.Basic {
		if p.auth = credentials(a.header["Www-Authenticate"], "publisher", p.show.Key); p.auth != nil {
			a, err = p.ask(method, uri, headers, body)
		}
	}
	if err != nil {
		return err
	}
	if a.code != 200 {
		return &Refused{Code: a.code, Words: strings.TrimSpace(a.reason + "\n" + string(a.body))}
	}
	if from, _, _ := strings.Cut(a.header.Get("Session"), ";"); from != "" {
		p.from = from
	}
	return nil
}

// credentials answers the first challenge that it knows: Digest with MD5 (RFC 2617 3.2.2), or Basic.
func credentials(challenges []string, user, password string) func(method, uri string) string {
	for _, c := range challenges {
		scheme, list, _ := strings.Cut(c, " ")
		list = strings.ReplaceAll(list, ", ", ",")
		switch {
		case scheme == "Basic":
			return func(string, string) string {
				return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			}
		case scheme == "Digest" && (Attribute(list, "algorithm") == "" || Attribute(list, "algorithm") == "MD5"):
			realm, nonce := Attribute(list, "realm"), Attribute(list, "nonce")
			hash := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
			return func(method, uri string) string {
				response := hash(hash(user+":"+realm+":"+password) + ":" + nonce + ":" + hash(method+":"+uri))
				return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, user, realm, nonce, uri, response)
			}
		}
	}
	return nil
}

// Announce sends a description.
func (p *RTSP) Announce(sdp string) error {
	return p.must("ANNOUNCE", p.base, "Content-Type: application/sdp\r\n", []byte(sdp))
}

// SDP describes the show.
func (p *RTSP) SDP() string {
	text := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=" + p.show.Name + "\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	for i, t := range p.tracks {
		text += t.sdp(i)
	}
	return text
}

// sdp is a track's media description.
func (t *rtpTrack) sdp(number int) string {
	c := t.media.Clip
	b64 := base64.StdEncoding.EncodeToString
	var sets []string
	for _, s := range c.ParameterSets() {
		sets = append(sets, b64(s))
	}
	kind, name, format := "audio", "", ""
	switch c.Codec {
	case AVC:
		kind, name = "video", "H264/90000"
		format = "packetization-mode=1;sprop-parameter-sets=" + strings.Join(sets, ",") + ";profile-level-id=" + hex.EncodeToString(c.Config[1:4])
	case HEVC:
		kind, name = "video", "H265/90000"
		format = fmt.Sprintf("sprop-vps=%s;sprop-sps=%s;sprop-pps=%s", sets[0], sets[1], sets[2])
	case VP8:
		kind, name = "video", "VP8/90000"
	case AAC:
		name = fmt.Sprintf("MPEG4-GENERIC/%d/%d", t.rate, c.channels())
		format = "profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=" + hex.EncodeToString(c.Config)
	case Opus:
		name, format = "opus/48000/2", "sprop-stereo=1"
	case PCMA:
		name = "PCMA/8000"
	}
	title := ""
	if t.media.Name != "" {
		title = "i=" + t.media.Name + "\r\n" // RFC 8866 5: right behind the media line
	}
	text := fmt.Sprintf("m=%s 0 RTP/AVP %d\r\n%sa=rtpmap:%d %s\r\n", kind, t.payload, title, t.payload, name)
	if format != "" {
		text += fmt.Sprintf("a=fmtp:%d %s\r\n", t.payload, format)
	}
	if t.media.Language != "" {
		text += "a=lang:" + t.media.Language + "\r\n"
	}
	return text + fmt.Sprintf("a=control:streamid=%d\r\n", number)
}

// setup sets a track up.
func (p *RTSP) setup(track int, udp bool) error {
	uri := fmt.Sprintf("%s/streamid=%d", p.base, track)
	if !udp {
		return p.must("SETUP", uri, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;mode=record;interleaved=%d-%d\r\n", 2*track, 2*track+1), nil)
	}
	port, err := newRTSPPort()
	if err != nil {
		return err
	}
	p.udp = append(p.udp, port)
	local := port.rtp.LocalAddr().(*net.UDPAddr).Port
	headers := fmt.Sprintf("Transport: RTP/AVP;unicast;mode=record;client_port=%d-%d\r\n", local, port.rtcp.LocalAddr().(*net.UDPAddr).Port)
	a, err := p.ask("SETUP", uri, headers, nil)
	if err != nil {
		return err
	}
	if a.code != 200 {
		return &Refused{Code: a.code, Words: a.reason}
	}
	p.from, _, _ = strings.Cut(a.header.Get("Session"), ";")
	_, ports, ok := strings.Cut(a.header.Get("Transport"), "server_port=")
	first, second, _ := strings.Cut(strings.SplitN(ports, ";", 2)[0], "-")
	rtpPort, err1 := strconv.Atoi(first)
	rtcpPort, err2 := strconv.Atoi(second)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("SETUP: no server_port in %q", a.header.Get("Transport"))
	}
	host := p.nc.RemoteAddr().(*net.TCPAddr).IP
	port.to, port.toRTCP = &net.UDPAddr{IP: host, Port: rtpPort}, &net.UDPAddr{IP: host, Port: rtcpPort}
	var spoil *Impairment
	if p.show.Line != nil {
		own := *p.show.Line
		own.Seed += uint64(track)
		spoil = &own
	}
	port.line = newLine(spoil, func(b []byte) { port.rtp.WriteToUDP(b, port.to) })
	return nil
}

// newRTSPPort opens an even port and the one behind it (RFC 3550 11).
func newRTSPPort() (*rtspPort, error) {
	for range 100 {
		a, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		number := a.LocalAddr().(*net.UDPAddr).Port
		if number%2 == 0 {
			if b, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number + 1}); err == nil {
				return &rtspPort{rtp: a, rtcp: b}, nil
			}
		}
		a.Close()
	}
	return nil, errors.New("no pair of UDP ports is free")
}

// Write implements Source.
func (p *RTSP) Write(track int, s *Sample) error {
	select {
	case <-p.gone:
		return fmt.Errorf("RTSP: %w", net.ErrClosed)
	default:
	}
	t := p.tracks[track]
	if now := time.Now(); now.Sub(p.reported[track]) >= time.Second {
		p.reported[track] = now
		at := s.DTS + s.Offset
		b, err := rtcp.Marshal([]rtcp.Packet{t.report(at, p.clock.at(p.show, at)), &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
			Source: t.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "testkit"}}}}}})
		if err == nil {
			err = p.packet(track, true, b)
		}
		if err != nil {
			return err
		}
	}
	for _, packet := range t.pack(s) {
		b, err := packet.Marshal()
		if err == nil {
			err = p.packet(track, false, b)
		}
		if err != nil {
			return err
		}
	}
	p.note(track, t.media, s)
	return nil
}

// packet sends RTP or RTCP.
func (p *RTSP) packet(track int, control bool, b []byte) error {
	if p.udp != nil {
		if control {
			_, err := p.udp[track].rtcp.WriteToUDP(b, p.udp[track].toRTCP)
			return err
		}
		p.udp[track].line.put(b)
		return nil
	}
	channel := byte(2 * track)
	if control {
		channel++
	}
	return p.Raw(append(binary.BigEndian.AppendUint16([]byte{'$', channel}, uint16(len(b))), b...))
}

// Raw writes bytes into the connection as they are.
func (p *RTSP) Raw(b []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.nc.SetWriteDeadline(time.Now().Add(patience))
	_, err := p.nc.Write(b)
	return err
}

// Lost is how many packets the show's Line has lost on purpose.
func (p *RTSP) Lost() (n int) {
	for _, u := range p.udp {
		n += u.line.Lost()
	}
	return n
}

// Leave implements Source.
func (p *RTSP) Leave() {
	if p.from != "" {
		p.ask("TEARDOWN", p.base, "", nil)
	}
	p.Drop()
}

// Drop implements Source.
func (p *RTSP) Drop() {
	if tcp, ok := p.nc.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	p.nc.Close()
	<-p.gone
	for _, u := range p.udp {
		if u.line != nil {
			u.line.close()
		}
		u.rtp.Close()
		u.rtcp.Close()
	}
	p.udp = nil
}

// Gone implements Source.
func (p *RTSP) Gone() <-chan struct{} { return p.gone }

// RTSPURL is what ffmpeg and GStreamer publish to.
func (n *Node) RTSPURL(scheme, name, key string) string {
	credentials := ""
	if key != "" {
		credentials = "publisher:" + key + "@"
	}
	return scheme + "://" + credentials + n.Address(scheme).String() + "/live/" + name
}

// Rebase has further requests go to another URL.
func (p *RTSP) Rebase(to string) { p.base = to }
