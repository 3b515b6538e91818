package rtmp

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	gortmp "github.com/bluenviron/gortmplib/pkg/message"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/ingest"
)

func TestConnectAnswer(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.connect("live")
	m := c.answer("_result")
	list, _ := obj(m.Arguments, 0).Get("fourCcList")
	if l, ok := list.(amf0.StrictArray); !ok || len(l) != 6 {
		t.Errorf("fourCcList %v", list)
	}
	if _, ok := obj(m.Arguments, 0).Get("videoFourCcInfoMap"); !ok {
		t.Error("no videoFourCcInfoMap")
	}
	if _, code, _ := statusOf(m); code != "NetConnection.Connect.Success" {
		t.Errorf("code %s", code)
	}
}

func TestWrongApplication(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.connect("studio")
	_, code, description := statusOf(c.answer("_error"))
	if code != "NetConnection.Connect.Rejected" || !strings.Contains(description, "rtmp://HOST/live") {
		t.Errorf("%s %q", code, description)
	}
	c.closed()
}

func TestStreamKeys(t *testing.T) {
	for _, test := range []struct{ app, tcURL, target, name, key string }{
		{"live", "", "show", "show", ""},
		{"live/", "", "show", "show", ""},
		{"/live ", "", "show", "show", ""},
		{"live", "", "show?key=se%2Bcr+et", "show", "se+cr+et"},
		{"live", "", "show?a=b&key=s&c=d", "show", "s"},
		{"live", "", "show?key=%zz", "show", "%zz"},
		{"live?key=s", "", "show", "show", "s"},
		{"live", "rtmp://host/live?key=s", "show", "show", "s"},
		{"live?key=s", "", "show?key=own", "show", "own"},
		{"live/show", "", "", "show", ""},
		{"live/show?key=s", "", "", "show", "s"},
		{"live/a", "", "b", "a/b", ""},
		{"live/_definst_", "", "show", "show", ""},
		{"live/_definst_/", "", "show?key=s", "show", "s"},
		{"live/_definst_/show?key=s", "", "", "show", "s"},
		{"live?key=s", "", "", "", "s"},
		{"live", "", " show?key=s\n", "show", "s"},
		{"live", "", "?a=b&key=%20", "", " "},
		{"live", "", "?key=s", "", "s"},
		{"live", "", "bare-secret", "bare-secret", ""},
	} {
		door := newFakeDoor()
		addr, stop := startServer(t, Options{Door: door})
		c := dial(t, addr)
		c.command("connect", 1, amf0.Object{{Key: "app", Value: test.app}, {Key: "tcUrl", Value: test.tcURL}})
		c.answer("_result")
		c.command("publish", 3, nil, test.target, "live")
		c.wantStatus("NetStream.Publish.Start", "")
		if r := (<-door.opened).request; r.Stream != test.name || r.Key != test.key {
			t.Errorf("%+v: stream %q key %q", test, r.Stream, r.Key)
		}
		c.nc.Close()
		stop()
	}
}

func TestRefusalsAtPublish(t *testing.T) {
	for _, test := range []struct {
		name, key, code, words string
		reason                 ingest.Reason
	}{
		{"wrong key", "show", "NetStream.Publish.Denied", "sentence", ingest.ReasonBadKey},
		{"name taken", "show", "NetStream.Publish.BadName", "sentence", ingest.ReasonNameTaken},
		{"shutdown", "show", "NetStream.Publish.Failed", "sentence", ingest.ReasonShutdown},
		{"empty key", "", "NetStream.Publish.Denied", "stream key is empty", ingest.ReasonBadName},
	} {
		t.Run(test.name, func(t *testing.T) {
			door := newFakeDoor()
			door.refuse = func(ingest.Request) *ingest.Refusal { return ingest.Refuse(test.reason, "A sentence.") }
			reg := prometheus.NewRegistry()
			addr, stop := startServer(t, Options{Door: door, Registerer: reg})
			c := dial(t, addr)
			c.connect("live")
			c.answer("_result")
			c.command("publish", 3, nil, test.key, "live")
			level, code, description := c.status()
			if level != "error" || code != test.code || !strings.Contains(description, test.words) {
				t.Errorf("%s %s %q", level, code, description)
			}
			c.closed()
			stop()
			s, err := NewServer(Options{Door: door, Registerer: reg}) // shares the metrics
			if err != nil {
				t.Fatal(err)
			}
			if n := counted(t, s.metrics.refusals[test.reason]); n != 1 {
				t.Errorf("%v refusals counted", n)
			}
		})
	}
}

// counted reads a counter or gauge.
func counted(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

func TestPublishBeforeConnect(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.command("publish", 3, nil, "show", "live")
	c.wantStatus("NetStream.Publish.Failed", "before connect")
}

func TestPlayIsToldWhereToWatch(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor(), Watch: func(s string) string { return "http://host/watch/" + s }})
	c := dial(t, addr)
	c.connect("live")
	c.answer("_result")
	c.command("play", 3, nil, "show")
	c.wantStatus("NetStream.Play.Failed", "http://host/watch/show")
	c.closed()
}

func TestUsualCommandsAreAnswered(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.connect("live")
	c.answer("_result")
	for i, name := range []string{"releaseStream", "FCPublish", "_checkbw", "getStreamLength", "createStream", "FCUnpublish"} {
		id := float64(10 + i)
		c.command("somethingElse", 99, nil)
		c.command(name, id, nil, "show")
		if m := c.answer("_result"); m.CommandID != int(id) {
			t.Errorf("%s: answer to %d", name, m.CommandID)
		}
	}
	// Commands of AMF3 sessions have a zero in front.
	c.send(typeCommandAMF3, 0, append([]byte{0}, marshal(t, "createStream", 50.0, nil)...))
	if m := c.answer("_result"); m.CommandID != 50 {
		t.Errorf("AMF3: answer to %d", m.CommandID)
	}
}

func TestOneStreamAConnection(t *testing.T) {
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("one")
	p := <-door.opened
	c.command("publish", 4, nil, "two", "live")
	c.wantStatus("NetStream.Publish.BadConnection", "already")
	c.command("FCUnpublish", 5, nil, "one")
	c.wantStatus("NetStream.Unpublish.Success", "one")
	<-p.closed
	if p.cause != nil {
		t.Errorf("cause %v", p.cause)
	}
	c.command("publish", 6, nil, "two", "live")
	c.wantStatus("NetStream.Publish.Start", "two")
	c.command("deleteStream", 7, nil, 1.0)
	<-(<-door.opened).closed
}

func TestLostPublisherHasACause(t *testing.T) {
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	p := <-door.opened
	c.nc.Close()
	<-p.closed
	if p.cause == nil {
		t.Error("a lost connection passes for a good-bye")
	}
}

func TestKick(t *testing.T) {
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	p := <-door.opened
	p.request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Taken over."))
	c.wantStatus("NetStream.Publish.Failed", "Taken over.")
	c.closed()
	<-p.closed
	if p.reason() != ingest.ReasonTakenOver {
		t.Errorf("cause %v", p.cause)
	}
}

func TestKickFromWithinOpen(t *testing.T) {
	door := newFakeDoor()
	door.onOpen = func(r ingest.Request) { r.Kick(ingest.Refuse(ingest.ReasonShutdown, "Closing.")) }
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.connect("live")
	c.command("publish", 3, nil, "show", "live")
	for level := ""; level != "error"; {
		level, _, _ = c.status()
	}
	c.closed()
}

func TestShutdownTellsPublishers(t *testing.T) {
	door := newFakeDoor()
	addr, stop := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	other := dial(t, addr) // has not published
	stop()
	c.wantStatus("NetConnection.Connect.AppShutdown", "shutting down")
	c.closed()
	other.closed()
	if p := <-door.opened; p.reason() != ingest.ReasonShutdown {
		t.Errorf("cause %v", p.cause)
	}
}

// pipeListener hands out in-memory connections, for tests in which time is simulated.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs a test in simulated time with a server at the other end of dial.
func inBubble(t *testing.T, opt Options, test func(t *testing.T, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		opt.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		s, err := NewServer(opt)
		if err != nil {
			t.Fatal(err)
		}
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- s.Serve(ctx, l) }()
		test(t, func() net.Conn {
			near, far := net.Pipe()
			l.conns <- far
			return near
		})
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestHandshakeTimeout(t *testing.T) {
	inBubble(t, Options{Door: newFakeDoor()}, func(t *testing.T, dial func() net.Conn) {
		begin := time.Now()
		nc := dial()
		nc.Write([]byte{3})
		for range 3 { // a byte now and then does not help
			time.Sleep(time.Second)
			nc.Write([]byte{0})
		}
		if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

func TestMustPublishInTime(t *testing.T) {
	inBubble(t, Options{Door: newFakeDoor()}, func(t *testing.T, dial func() net.Conn) {
		c := newClient(t, dial())
		begin := time.Now()
		c.connect("live")
		for range 4 { // being busy is not publishing
			time.Sleep(time.Second)
			c.command("_checkbw", 0, nil)
		}
		c.closed()
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

func TestIdlePublisher(t *testing.T) {
	door := newFakeDoor()
	door.opened = nil
	inBubble(t, Options{Door: door}, func(t *testing.T, dial func() net.Conn) {
		c := newClient(t, dial())
		c.publish("show")
		begin := time.Now()
		time.Sleep(3 * time.Second)
		c.send(typeAudio, 0, []byte{0xAF, 1, 0})
		pings := 0
		for m := range c.in {
			switch m := m.(type) {
			case *gortmp.UserControlPingRequest:
				pings++
				c.send(typeUserControl, 0, []byte{0, 7, 0, 0, 0, 0}) // alive, yet silent
			case *gortmp.CommandAMF0:
				if _, code, description := statusOf(m); code != "NetStream.Publish.Failed" || !strings.Contains(description, "15 seconds") {
					t.Errorf("status %s %q", code, description)
				}
			}
		}
		if d := time.Since(begin); d != 18*time.Second || pings == 0 {
			t.Errorf("ended after %v, with %d pings", d, pings)
		}
		if p := door.pubs[0]; p.reason() != ingest.ReasonIdle {
			t.Errorf("cause %v", p.cause)
		}
	})
}

func TestNoCodecDataByTheClock(t *testing.T) {
	door := newFakeDoor()
	door.opened = nil
	inBubble(t, Options{Door: door}, func(t *testing.T, dial func() net.Conn) {
		c := newClient(t, dial())
		c.publish("show")
		for range 6 {
			if c.trySend(typeVideo, 0, []byte{0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65}) != nil {
				break
			}
			time.Sleep(time.Second)
		}
		c.wantStatus("NetStream.Publish.Failed", "codec data")
		c.closed()
		p := door.pubs[0]
		if p.reason() != ingest.ReasonNoCodecData || p.drops[ingest.DropBeforeConfig] != 6 {
			t.Errorf("cause %v, drops %v", p.cause, p.drops)
		}
	})
}

func TestBitrateLimit(t *testing.T) {
	door := newFakeDoor()
	door.opened = nil
	limits := DefaultLimits()
	limits.MaxBitrate = 800_000 // 100 KB/s
	inBubble(t, Options{Door: door, Limits: func() Limits { return limits }}, func(t *testing.T, dial func() net.Conn) {
		c := newClient(t, dial())
		c.publish("show")
		frame := make([]byte, 90_000)
		frame[0], frame[1] = 0xAF, 1
		for i := range 30 { // within the limit, for as long as it takes
			c.send(typeAudio, int64(i)*1000, frame)
			time.Sleep(time.Second)
		}
		for i := range 30 { // twice the limit
			if c.trySend(typeAudio, int64(30000+500*i), frame) != nil {
				break
			}
			time.Sleep(time.Second / 2)
		}
		c.wantStatus("NetStream.Publish.Failed", "bitrate is too high")
		c.closed()
		if p := door.pubs[0]; p.reason() != ingest.ReasonLimit {
			t.Errorf("cause %v", p.cause)
		}
	})
}

func TestPingAndAcknowledgement(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.publish("show")
	c.send(typeUserControl, 0, []byte{0, 6, 0, 0, 4, 210})
	c.send(typeUserControl, 0, []byte{0, 77, 1})
	c.send(typeWindowAckSize, 0, []byte{0, 0, 0x40, 0})
	for i := range 40 {
		c.send(typeAudio, int64(i), append([]byte{0xAF, 1}, make([]byte, 1000)...))
	}
	pong, acks := false, 0
	for !pong || acks < 2 {
		switch m := (<-c.in).(type) {
		case *gortmp.UserControlPingResponse:
			pong = m.ServerTime == 1234
		case *gortmp.Acknowledge:
			if acks++; m.Value == 0 {
				t.Error("acknowledged nothing")
			}
		case nil:
			t.Fatalf("the connection ended; pong %v, %d acknowledgements", pong, acks)
		}
	}
}

// TestLimitsFollowAReload changes the limits under a live connection.
func TestLimitsFollowAReload(t *testing.T) {
	door := newFakeDoor()
	door.opened = nil
	var idle atomic.Int64
	idle.Store(int64(15 * time.Second))
	opt := Options{Door: door, Limits: func() Limits { return Limits{IdleTimeout: time.Duration(idle.Load())} }}
	inBubble(t, opt, func(t *testing.T, dial func() net.Conn) {
		c := newClient(t, dial())
		c.publish("show")
		idle.Store(int64(4 * time.Second))
		time.Sleep(2 * time.Second)
		c.send(typeAudio, 0, join(0xAF, 0, asc)) // new limits are read with this
		begin := time.Now()
		c.wantStatus("NetStream.Publish.Failed", "4 seconds")
		c.closed()
		if d := time.Since(begin); d != 4*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}
