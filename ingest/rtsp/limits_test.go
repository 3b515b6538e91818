package rtsp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// limited makes limits of which one or the other is tight.
func limited(change func(*Limits)) func() Limits {
	l := DefaultLimits()
	change(&l)
	return func() Limits { return l }
}

// patient makes limits whose IdleTimeout becomes tight when impatient is called.
func patient() (limits func() Limits, impatient func()) {
	var tight atomic.Bool
	return func() Limits {
		l := DefaultLimits()
		if tight.Load() {
			l.IdleTimeout = 200 * time.Millisecond
		}
		return l
	}, func() { tight.Store(true) }
}

// began publishes a key frame.
func began(t testing.TB, server *Server, door *fakeDoor, transport gortsplib.Transport) (*show, *fakePub) {
	t.Helper()
	s := newShow(t)
	s.publish(address(server, "/live/show"), transport)
	p := door.next(t)
	s.report(s.video, time.Now(), uint32(videoStart))
	s.send(s.video, s.picture(0, 1)...)
	p.await(t, 0, 1)
	return s, p
}

// TestSilentPublisherIsSentAway: also one whose cable was pulled, which is the same from here.
func TestSilentPublisherIsSentAway(t *testing.T) {
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			limits, impatient := patient()
			server, _ := startServer(t, Options{Door: door, Limits: limits})
			_, p := began(t, server, door, transport)
			impatient() // the limit changes at once
			if err := p.ended(t); reason(err) != ingest.ReasonIdle {
				t.Errorf("ended with %v", err)
			}
			eventually(t, "the connection has gone", func() bool { return gauge(t, server.metrics.connections) == 0 })
		})
	}
}

// TestLostConnectionEndsSession: at once, over UDP too.
func TestLostConnectionEndsSession(t *testing.T) {
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			server, _ := startServer(t, Options{Door: door})
			s := newShow(t)
			conns := make(chan net.Conn, 1)
			s.client = &gortsplib.Client{Transport: &transport, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
				if err == nil {
					conns <- nc
				}
				return nc, err
			}}
			if err := s.client.StartRecording(address(server, "/live/show"), s.description()); err != nil {
				t.Fatal(err)
			}
			defer s.client.Close()
			p := door.next(t)
			(<-conns).Close()
			if err := p.ended(t); !errors.Is(err, errGone) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestNextStreamOnTheSameConnection: the end of a session does nothing to the one that its connection has announced since.
func TestNextStreamOnTheSameConnection(t *testing.T) {
	t.Parallel()
	server, _ := startServer(t, Options{Door: newFakeDoor()})
	nc, far := net.Pipe()
	defer far.Close()
	p := newPeer(server, nc)
	defer nc.Close()
	first, second := newSession(server, p, nil), newSession(server, p, nil)
	for _, c := range []*session{first, second} {
		pub, err := server.opt.Door.Open(ingest.Request{Stream: "show"})
		if err != nil {
			t.Fatal(err)
		}
		s := newShow(t)
		if err := c.open(pub, readPlans(s.description(), nil)); err != nil {
			t.Fatal(err)
		}
	}
	p.publishing()
	first.close(nil)
	if p.present() != second || !p.until.IsZero() {
		t.Errorf("the connection has session %p, and until %v to publish", p.present(), p.until)
	}
	second.close(nil)
	if p.present() != nil || p.until.IsZero() {
		t.Errorf("the connection has session %p, and until %v to publish", p.present(), p.until)
	}
}

// TestKick: what happens elsewhere ends the session.
func TestKick(t *testing.T) {
	for name, end := range map[string]func(p *fakePub, stop func()) ingest.Reason{
		"takeover": func(p *fakePub, _ func()) ingest.Reason {
			p.request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Another program took over."))
			return ingest.ReasonTakenOver
		},
		"shutdown": func(_ *fakePub, stop func()) ingest.Reason {
			stop()
			return ingest.ReasonShutdown
		},
	} {
		for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
			t.Run(name+" "+transport.String(), func(t *testing.T) {
				t.Parallel()
				door := newFakeDoor()
				server, stop := startServer(t, Options{Door: door})
				_, p := began(t, server, door, transport)
				want := end(p, stop)
				if err := p.ended(t); reason(err) != want {
					t.Errorf("ended with %v, want %v", err, want)
				}
			})
		}
	}
}

// TestRefusalInMidStream ends the session.
func TestRefusalInMidStream(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	door.limit = 1
	server, _ := startServer(t, Options{Door: door})
	_, p := began(t, server, door, gortsplib.TransportTCP)
	if err := p.ended(t); reason(err) != ingest.ReasonNoKeyframe {
		t.Errorf("ended with %v", err)
	}
}

// TestMaxBitrate ends who sends more.
func TestMaxBitrate(t *testing.T) {
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			server, _ := startServer(t, Options{Door: door, Limits: limited(func(l *Limits) { l.MaxBitrate = 20_000 })})
			s := newShow(t)
			s.publish(address(server, "/live/show"), transport)
			p := door.next(t)
			for n := range 40 {
				k := s.picture(n, 1)[0]
				k.Payload = append(k.Payload, make([]byte, 1000)...)
				if s.client.WritePacketRTP(s.video, k) != nil {
					break
				}
			}
			if err := p.ended(t); reason(err) != ingest.ReasonLimit {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// dial speaks to a server by hand.
func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

// TestHostileConnections are closed, each for its reason, and leave nothing behind.
func TestHostileConnections(t *testing.T) {
	const options = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	endless := func(b string) func(net.Conn) {
		return func(nc net.Conn) {
			for range 100_000 {
				if _, err := io.WriteString(nc, b); err != nil {
					return
				}
			}
		}
	}
	for _, test := range []struct {
		name string
		send func(net.Conn)
		tls  bool
		want result
	}{
		{"silence", func(net.Conn) {}, false, resultTimeout},
		{"half a request", func(nc net.Conn) { io.WriteString(nc, "ANNOUNCE rtsp://x/live/show RTSP/1.0\r\nCSeq: 1\r\nConte") }, false, resultTimeout},
		{"half a body", func(nc net.Conn) {
			io.WriteString(nc, "ANNOUNCE rtsp://x/live/show RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 100000\r\n\r\nv=0")
		}, false, resultTimeout},
		{"silence in TLS", func(net.Conn) {}, true, resultTimeout},
		{"no TLS", func(nc net.Conn) { io.WriteString(nc, options) }, true, resultBadHandshake},
		{"garbage", endless(strings.Repeat("\x16\x03\x01x", 256)), false, resultProtocol},
		{"endless requests", endless(options), false, resultProtocol},
		{"endless header", endless("ANNOUNCE rtsp://x/live/show RTSP/1.0\r\nCSeq: 1\r\n" + strings.Repeat("X: y\r\n", 1000)), false, resultProtocol},
		{"huge body", func(nc net.Conn) {
			io.WriteString(nc, "ANNOUNCE rtsp://x/live/show RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 4000000000\r\n\r\n")
		}, false, resultProtocol},
		{"packets before RECORD", func(nc net.Conn) { io.WriteString(nc, "$\x00\x00\x04abcd") }, false, resultProtocol},
		{"wrong SDP", func(nc net.Conn) {
			io.WriteString(nc, "ANNOUNCE rtsp://x/live/show RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nnonsense\n")
		}, false, resultProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opt := Options{Door: newFakeDoor()}
			if test.want == resultTimeout {
				opt.Limits = limited(func(l *Limits) { l.HandshakeTimeout = 300 * time.Millisecond })
			}
			if test.tls {
				opt.TLS = selfSigned(t)
			}
			server, _ := startServer(t, opt)
			nc := dial(t, server)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				test.send(nc)
			}()
			io.Copy(io.Discard, nc) // until it is closed
			nc.Close()
			<-sent
			eventually(t, "it is counted as "+string(test.want), func() bool { return counted(t, server.metrics.results[test.want]) == 1 })
		})
	}
}

// TestGarbageAfterRecord: what is no frame is no media either.
func TestGarbageAfterRecord(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	limits, impatient := patient()
	server, _ := startServer(t, Options{Door: door, Limits: limits})
	s := newShow(t)
	conns := make(chan net.Conn, 1)
	transport := gortsplib.TransportTCP
	s.client = &gortsplib.Client{Transport: &transport, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			conns <- nc
		}
		return nc, err
	}}
	if err := s.client.StartRecording(address(server, "/live/show"), s.description()); err != nil {
		t.Fatal(err)
	}
	defer s.client.Close()
	p, nc := door.next(t), <-conns
	for {
		if _, err := nc.Write([]byte(strings.Repeat("\xff\xfe", 100) + "$\x09\x00\x02ab" + "$\x00\x00\x03abc")); err != nil {
			break
		}
		if counted(t, server.metrics.packets[fateMalformed][0]) > 0 {
			impatient()
		}
		select {
		case <-p.closed:
		case <-time.After(time.Millisecond):
		}
	}
	if err := p.ended(t); reason(err) != ingest.ReasonIdle {
		t.Errorf("ended with %v", err)
	}
	if counted(t, server.metrics.packets[fateMalformed][0]) == 0 {
		t.Error("nothing was counted as malformed")
	}
}

// TestConnectionLimits: those above are closed at once, and the places are given back.
func TestConnectionLimits(t *testing.T) {
	for name, test := range map[string]struct {
		limits func(*Limits)
		want   result
	}{
		"in all":      {func(l *Limits) { l.MaxConnections = 2 }, resultTooMany},
		"per address": {func(l *Limits) { l.MaxConnectionsPerAddress = 2 }, resultTooManyAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := startServer(t, Options{Door: newFakeDoor(), Limits: limited(test.limits)})
			first, second := dial(t, server), dial(t, server)
			eventually(t, "two are open", func() bool { return gauge(t, server.metrics.connections) == 2 })
			if _, err := dial(t, server).Read(make([]byte, 1)); err == nil {
				t.Error("the third was served")
			}
			if counted(t, server.metrics.results[test.want]) != 1 {
				t.Error("it was not counted")
			}
			first.Close()
			second.Close()
			eventually(t, "the places are free", func() bool { return gauge(t, server.metrics.connections) == 0 })
			nc := dial(t, server)
			fmt.Fprint(nc, "OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n")
			line, err := bufio.NewReader(nc).ReadString('\n')
			if err != nil || !strings.Contains(line, "200") {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
}

// TestManySessions begin and end without leaving anything; TestMain looks for goroutines.
func TestManySessions(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	for i := range 20 {
		transport := gortsplib.TransportTCP
		if i%2 == 1 {
			transport = gortsplib.TransportUDP
		}
		s, p := began(t, server, door, transport)
		s.client.Close()
		if err := p.ended(t); err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	eventually(t, "all have gone", func() bool { return gauge(t, server.metrics.connections) == 0 })
	eventually(t, "each has counted", func() bool { return counted(t, server.metrics.results[resultPublished]) == 20 })
}

// TestNewServer: what is wrong shows at once.
func TestNewServer(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	for name, opt := range map[string]Options{
		"no door":      {Address: "127.0.0.1:0"},
		"no address":   {Door: door},
		"TLS and UDP":  {Door: door, Address: "127.0.0.1:0", UDPAddress: "127.0.0.1:0", TLS: &tls.Config{}},
		"odd UDP port": {Door: door, Address: "127.0.0.1:0", UDPAddress: "127.0.0.1:8001"},
		"no port":      {Door: door, Address: "127.0.0.1"},
	} {
		if s, err := NewServer(opt); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	registry := prometheus.NewRegistry()
	opt := Options{Door: door, Address: "127.0.0.1:0", UDPAddress: "127.0.0.1:0", Registerer: registry}
	one, err := NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if one.AddrUDP().(*net.UDPAddr).Port%2 != 0 {
		t.Errorf("RTP at %v", one.AddrUDP())
	}
	two, err := NewServer(opt)
	if err != nil {
		t.Fatalf("the second server of a registry: %v", err)
	}
	two.Close()
	opt.Address = one.Addr().String()
	if s, err := NewServer(opt); err == nil {
		s.Close()
		t.Error("a port was opened twice")
	}
	opt.Address, opt.UDPAddress = "127.0.0.1:0", one.AddrUDP().String()
	if s, err := NewServer(opt); err == nil {
		s.Close()
		t.Error("a UDP port was opened twice")
	}
}
