package rtsp

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

// TestOrder puts packets in order, and waits no longer than it may.
func TestOrder(t *testing.T) {
	t.Parallel()
	type step struct {
		after time.Duration
		seq   uint16
		want  []uint16
	}
	for name, steps := range map[string][]step{
		"in order, over the wrap": {{0, 65535, []uint16{65535}}, {0, 0, []uint16{0}}, {0, 1, []uint16{1}}},
		"overtaken":               {{0, 65534, []uint16{65534}}, {0, 0, nil}, {0, 65535, []uint16{65535, 0}}, {0, 1, []uint16{1}}},
		"again and late":          {{0, 5, []uint16{5}}, {0, 7, nil}, {0, 7, nil}, {0, 5, []uint16{5}}, {0, 6, []uint16{6, 7}}, {0, 6, []uint16{6}}},
		"lost":                    {{0, 1, []uint16{1}}, {0, 3, nil}, {overtaken - 1, 4, nil}, {1, 5, []uint16{3, 4, 5}}, {0, 6, []uint16{6}}},
		"lost twice": {{0, 1, []uint16{1}}, {0, 3, nil}, {overtaken / 2, 5, nil}, {overtaken / 2, 6, []uint16{3}},
			{overtaken/2 - 1, 7, nil}, {1, 8, []uint16{5, 6, 7, 8}}},
		"begun anew": {{0, 50000, []uint16{50000}}, {0, 50002, nil}, {0, 7, []uint16{50002, 7}}, {0, 8, []uint16{8}}},
	} {
		var o order
		now := time.Unix(0, 0)
		for i, s := range steps {
			now = now.Add(s.after)
			var got []uint16
			for _, p := range o.take(&rtp.Packet{Header: rtp.Header{SequenceNumber: s.seq}}, now) {
				got = append(got, p.SequenceNumber)
			}
			for _, p := range o.due(now) {
				got = append(got, p.SequenceNumber)
			}
			if !slices.Equal(got, s.want) {
				t.Errorf("%s, packet %d: %v, want %v", name, i, got, s.want)
			}
		}
	}
}

// FuzzOrder: every packet that is not there twice comes out once, those between two restarts in order.
func FuzzOrder(f *testing.F) {
	f.Add([]byte{0, 1, 0, 3, 0, 2, 20, 9, 200, 1, 0, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		var o order
		now := time.Unix(0, 0)
		seq := uint16(65500)
		in2, out := map[*rtp.Packet]bool{}, map[*rtp.Packet]bool{}
		last, began := uint16(0), false
		look := func(packets []*rtp.Packet) {
			for _, p := range packets {
				if out[p] || !in2[p] {
					t.Fatal("a packet that was out, or never in")
				}
				out[p] = true
				if step := int16(p.SequenceNumber - last); began && step <= 0 && step > -restart && p.SequenceNumber != last && int16(p.SequenceNumber-o.next) >= 0 {
					t.Fatalf("%d after %d", p.SequenceNumber, last)
				}
				last, began = p.SequenceNumber, true
			}
		}
		for len(in) >= 2 {
			now = now.Add(time.Duration(in[0]) * time.Millisecond)
			p := &rtp.Packet{Header: rtp.Header{SequenceNumber: seq + uint16(int8(in[1]))*uint16(1+in[0]%2*100)}}
			in2[p] = true
			look(o.take(p, now))
			look(o.due(now))
			if len(o.held) > 0 && now.Sub(o.since) >= overtaken {
				t.Fatal("held for too long")
			}
			seq, in = seq+1, in[2:]
		}
		look(o.rest())
		if len(o.held) > 0 {
			t.Fatal("something is left")
		}
	})
}

// TestLossDoesNotHoldBack: what is behind a lost packet waits for a tenth of a second, of sound too, of which there are few
// packets.
func TestLossDoesNotHoldBack(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.hold.over = true
	for n := range 50 {
		k := h.sound(n)
		if n != 10 && !h.datagram(h.tracks[1], k) {
			t.Fatalf("packet %d is of another source", n)
		}
		want := n + 1
		switch {
		case n >= 10 && n < 16: // after 16, the tenth of a second is over
			want = 10
		case n >= 16: // nobody knows whether the packet behind the lost one begins a frame
			want = n - 1
		}
		if got := len(h.pub.of(100)); got != want {
			t.Fatalf("after packet %d: %d frames, want %d", n, got, want)
		}
		h.at = h.at.Add(time.Second / 47)
	}
	if h.pub.dropped(ingest.DropLost) != 1 {
		t.Errorf("drops %v", h.pub.drops)
	}
}

// TestSilenceBehindALoss: what waits comes out although nothing follows.
func TestSilenceBehindALoss(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.receiver.hold.over = true
	for n := range 7 {
		if k := h.sound(n); n != 3 {
			h.datagram(h.tracks[1], k)
		}
	}
	h.at = h.at.Add(overtaken)
	if silent := h.idle(); silent != overtaken || len(h.pub.of(100)) != 5 {
		t.Errorf("%d frames, silent for %v", len(h.pub.of(100)), silent)
	}
}

// TestEndOfDatagrams: what waits behind a gap comes out at the end.
func TestEndOfDatagrams(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for n := range 7 {
		if k := h.sound(n); n != 3 {
			h.datagram(h.tracks[1], k)
		}
	}
	h.end()
	if n := len(h.pub.of(100)); n != 5 { // without the one that is lost and the next
		t.Errorf("%d frames", n)
	}
}

// TestSource: packets of another synchronisation source are not taken, unless the sender began anew.
func TestSource(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	send := func(source uint32) bool {
		k := h.sound(0)
		k.SSRC = source
		return h.datagram(h.tracks[1], k)
	}
	first, other := send(1), send(2)
	h.at = h.at.Add(changeSource)
	anew, old := send(2), send(1)
	if !first || other || !anew || old {
		t.Errorf("%v %v %v %v", first, other, anew, old)
	}
}

// TestReceiverReport counts what came and what did not.
func TestReceiverReport(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	if _, ok := h.receiver.report(h.tracks[1]); ok {
		t.Error("a report about nothing")
	}
	for n := range 8 {
		if k := h.sound(n); n%4 != 2 {
			k.SSRC = 77
			h.datagram(h.tracks[1], k)
		}
	}
	h.control(h.tracks[1], &rtcp.SenderReport{NTPTime: 0x1234_5678_9abc_def0, RTPTime: audioStart})
	h.at = h.at.Add(time.Second / 2)
	b, _ := h.receiver.report(h.tracks[1])
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	got := packets[0].(*rtcp.ReceiverReport).Reports[0]
	want := rtcp.ReceptionReport{SSRC: 77, FractionLost: 64, TotalLost: 2, LastSequenceNumber: 7 + 7, Jitter: 64, LastSenderReport: 0x56789abc, Delay: 32768}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// sender publishes sound by hand over UDP.
type sender struct {
	nc    net.Conn
	r     *bufio.Reader
	media [2]*net.UDPConn
	id    string
	setup string // the answer's transport
}

func newSender(t testing.TB, server *Server, pair [2]*net.UDPConn) *sender {
	t.Helper()
	nc := dial(t, server)
	return &sender{nc: nc, r: bufio.NewReader(nc), media: pair}
}

// port is that of RTP.
func (s *sender) port() int { return s.media[0].LocalAddr().(*net.UDPAddr).Port }

func pairOfPorts(t testing.TB) [2]*net.UDPConn {
	t.Helper()
	pair, err := listenPair(net.ListenPacket, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pair[0].Close()
		pair[1].Close()
	})
	return pair
}

const twoTracks = sdpHead + "m=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\nm=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n"

// announce goes up to before RECORD with one track, or with what body says; it returns the last answer.
func (s *sender) announce(t testing.TB, server *Server, name, body string, tracks int) string {
	t.Helper()
	url := address(server, "/live/"+name)
	ask(t, s.nc, "ANNOUNCE", url, body)
	line, _ := answer(t, s.r)
	for i := range tracks {
		if !strings.Contains(line, "200") {
			return line
		}
		ask(t, s.nc, "SETUP", fmt.Sprintf("%s/trackID=%d", url, i), "", fmt.Sprintf("Transport: RTP/AVP/UDP;unicast;client_port=%d-%d;mode=record", s.port(), s.port()+1))
		l, h := answer(t, s.r)
		line, s.id, s.setup = l, h.Get("Session"), h.Get("Transport")
	}
	return line
}

const oneTrack = sdpHead + "m=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\n"

func (s *sender) record(t testing.TB, server *Server, name string) {
	t.Helper()
	ask(t, s.nc, "RECORD", address(server, "/live/"+name), "", "Session: "+s.id)
	if line, _ := answer(t, s.r); !strings.Contains(line, "200") {
		t.Fatal(line)
	}
}

// send sends a packet of G.711.
func (s *sender) send(t testing.TB, server *Server, seq uint16) {
	t.Helper()
	p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 160}, Payload: make([]byte, 160)}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.media[0].WriteTo(b, server.AddrUDP()); err != nil {
		t.Fatal(err)
	}
}

// taken waits until a number of packets of sound are taken, so that a good-bye overtakes none.
func taken(t testing.TB, server *Server, n float64) {
	t.Helper()
	eventually(t, "the packets are taken", func() bool { return counted(t, server.metrics.packets[fateTaken][1]) == n })
}

// TestUDPByHand: the answer names the ports, and the way back through a NAT is opened.
func TestUDPByHand(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	s := newSender(t, server, pairOfPorts(t))
	if line := s.announce(t, server, "show", oneTrack, 1); !strings.Contains(line, "200") {
		t.Fatal(line)
	}
	at := server.AddrUDP().(*net.UDPAddr).Port
	if want := fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d;server_port=%d-%d", s.port(), s.port()+1, at, at+1); s.setup != want {
		t.Errorf("transport %q, want %q", s.setup, want)
	}
	s.record(t, server, "show")
	for i, m := range s.media {
		m.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, from, err := m.ReadFromUDPAddrPort(make([]byte, 100))
		if err != nil || int(from.Port()) != at+i {
			t.Errorf("from port %v: %v", from, err)
		}
	}
	p := door.next(t)
	stranger := &sender{media: pairOfPorts(t)}
	for seq := range uint16(40) { // for longer than anything is held back
		stranger.send(t, server, 1000+seq)
		s.send(t, server, seq)
	}
	taken(t, server, 40)
	ask(t, s.nc, "TEARDOWN", address(server, "/live/show"), "", "Session: "+s.id)
	if err := p.ended(t); err != nil {
		t.Error(err)
	}
	if n := len(p.of(100)); n != 40 || len(p.drops) > 0 {
		t.Errorf("%d frames, drops %v", n, p.drops)
	}
}

// TestPortsInUse: nobody gets the packets of another publisher by naming its ports, nor of another track.
func TestPortsInUse(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	pair := pairOfPorts(t)
	first := newSender(t, server, pair)
	first.announce(t, server, "first", oneTrack, 1)
	first.record(t, server, "first")
	p := door.next(t)
	if line := newSender(t, server, pair).announce(t, server, "second", oneTrack, 1); !strings.Contains(line, "in use by another track or publisher") {
		t.Errorf("another publisher: %q", line)
	}
	door.next(t).ended(t)
	if line := newSender(t, server, pairOfPorts(t)).announce(t, server, "third", twoTracks, 2); !strings.Contains(line, "in use by another track or publisher") {
		t.Errorf("another track: %q", line)
	}
	door.next(t).ended(t)
	first.send(t, server, 1)
	taken(t, server, 1)
	ask(t, first.nc, "TEARDOWN", address(server, "/live/first"), "", "Session: "+first.id)
	p.ended(t)
	if len(p.of(100)) != 1 {
		t.Errorf("%d frames", len(p.of(100)))
	}
	// The ports are free now.
	again := newSender(t, server, pair)
	if line := again.announce(t, server, "again", oneTrack, 1); !strings.Contains(line, "200") {
		t.Errorf("later: %q", line)
	}
}

// TestReconnectFromTheSamePorts: while the session before is still ending, the next one waits for it, and is not made deaf by its
// end.
func TestReconnectFromTheSamePorts(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	pair := pairOfPorts(t)
	first := newSender(t, server, pair)
	first.announce(t, server, "show", oneTrack, 1)
	first.record(t, server, "show")
	p := door.next(t)
	// The first does not get to its end.
	server.mu.Lock()
	var ending *session
	for c := range server.sessions {
		ending = c
	}
	server.mu.Unlock()
	ending.peer.mu.Lock()
	p.request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Another program took over."))
	second := newSender(t, server, pair)
	answered := make(chan string)
	go func() { answered <- second.announce(t, server, "show", oneTrack, 1) }()
	next := door.next(t)
	select {
	case line := <-answered:
		ending.peer.mu.Unlock()
		t.Fatalf("answered %q before the ports were free", line)
	case <-time.After(50 * time.Millisecond):
	}
	ending.peer.mu.Unlock()
	if line := <-answered; !strings.Contains(line, "200") {
		t.Fatalf("answered %q", line)
	}
	p.ended(t)
	second.record(t, server, "show")
	second.send(t, server, 1)
	taken(t, server, 1)
	ask(t, second.nc, "TEARDOWN", address(server, "/live/show"), "", "Session: "+second.id)
	next.ended(t)
	if len(next.of(100)) != 1 {
		t.Errorf("%d frames", len(next.of(100)))
	}
}

// TestTeardownOvertakes: the datagrams that a good-bye has overtaken are waited for.
func TestTeardownOvertakes(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	var clock atomic.Int64 // stands still, so that nothing passes for over
	server, _ := startServer(t, Options{Door: door, Now: func() time.Time { return time.Unix(1_800_000_000, clock.Load()) }})
	server.mostStraggle = time.Minute
	s := newSender(t, server, pairOfPorts(t))
	s.announce(t, server, "show", oneTrack, 1)
	s.record(t, server, "show")
	p := door.next(t)
	ask(t, s.nc, "TEARDOWN", address(server, "/live/show"), "", "Session: "+s.id)
	select {
	case <-p.closed:
		t.Fatal("it ended at once")
	case <-time.After(5 * straggle):
	}
	for seq := range uint16(3) {
		s.send(t, server, seq)
	}
	taken(t, server, 3)
	clock.Add(int64(straggle))
	if err := p.ended(t); err != nil {
		t.Error(err)
	}
	if n := len(p.of(100)); n != 3 {
		t.Errorf("%d frames", n)
	}
}

// TestBothFamilies: on a socket for IPv6 and IPv4, publishers of either are found and answered.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := listenPair(net.ListenPacket, "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{metrics: m, done: make(chan struct{})}
	s.datagrams = datagrams{server: s, conns: pair, routes: [2]map[netip.AddrPort]*route{{}, {}}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.datagrams.run(socketRTP)
	}()
	defer func() { <-read }()
	defer s.datagrams.close()
	for i, host := range []string{"127.0.0.1", "::1"} {
		nc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		port := nc.LocalAddr().(*net.UDPAddr).Port
		h := newHeard(t)
		h.receiver.metrics = m
		c := &session{server: s, receiver: h.receiver, peer: &peer{remote: netip.AddrPortFrom(netip.MustParseAddr(host), 1)}}
		r, refusal := s.datagrams.claim(c, [2]int{port, port})
		if refusal != nil {
			t.Fatal(refusal)
		}
		s.datagrams.record(r, h.tracks[1])
		nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, _, err := nc.ReadFrom(make([]byte, 100)); err != nil {
			t.Errorf("%s is not answered: %v", host, err)
		}
		b, err := h.sound(0).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.WriteTo(b, &net.UDPAddr{IP: net.ParseIP(host), Port: pair[0].LocalAddr().(*net.UDPAddr).Port}); err != nil {
			t.Fatal(err)
		}
		taken(t, s, float64(i+1))
	}
}

// TestMixedTransports are refused with a sentence.
func TestMixedTransports(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	s := newSender(t, server, pairOfPorts(t))
	s.announce(t, server, "show", twoTracks, 1)
	ask(t, s.nc, "SETUP", address(server, "/live/show/trackID=1"), "", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3;mode=record")
	answer(t, s.r)
	ask(t, s.nc, "RECORD", address(server, "/live/show"), "", "Session: "+s.id)
	if line, _ := answer(t, s.r); !strings.Contains(line, "same transport") {
		t.Errorf("answered %q", line)
	}
	door.next(t).ended(t)
}

// TestDatagramsOfNobody are not looked at.
func TestDatagramsOfNobody(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	s := newShow(t)
	s.publish(address(server, "/live/show"), gortsplib.TransportUDP)
	p := door.next(t)
	pair := pairOfPorts(t)
	for _, b := range [][]byte{nil, {0x80}, make([]byte, 40000)} {
		for i, c := range server.datagrams.conns {
			if _, err := pair[i].WriteTo(b, c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.report(s.video, time.Now(), uint32(videoStart))
	s.send(s.video, s.picture(0, 1)...)
	p.await(t, 0, 1)
	if n := counted(t, server.metrics.packets[fateMalformed][0]); n != 0 {
		t.Errorf("%v malformed", n)
	}
}
