package rtmp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// TestSecretsStayOutOfTheLog has people put their secret where it does not belong.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	const secret = "topsecret77"
	for _, test := range []struct{ name, app, command, target string }{
		{"in place of the application", secret, "publish", "show"},
		{"below another application", "other/" + secret, "publish", "show"},
		{"played", "live", "play", secret},
		{"played with a query", "live", "play", "show?key=" + secret},
		{"too long", "live", "publish", strings.Repeat(secret, 100)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			addr, stop := startServer(t, Options{Door: newFakeDoor(),
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			c := dial(t, addr)
			c.connect(test.app)
			c.trySend(typeCommandAMF0, 0, marshal(t, test.command, 3.0, nil, test.target))
			c.closed()
			stop()
			if log.Len() == 0 || strings.Contains(log.String(), secret) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestAgentIsPlainText(t *testing.T) {
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.command("connect", 1, amf0.Object{{Key: "app", Value: "live"},
		{Key: "flashVer", Value: "OBS\r\nlevel=ERROR \x1b[31m\u202e\xff" + strings.Repeat("é", 100)}})
	c.answer("_result")
	c.command("publish", 3, nil, "show", "live")
	agent := (<-door.opened).request.Agent
	if !strings.HasPrefix(agent, "OBSlevel=ERROR [31mé") || len(agent) > 80 || strings.ContainsRune(agent, '\uFFFD') {
		t.Errorf("agent %q", agent)
	}
}

func TestLongStreamKeyIsRefused(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.connect("live")
	c.answer("_result")
	c.command("publish", 3, nil, strings.Repeat("a", 10_000), "live")
	c.wantStatus("NetStream.Publish.Denied", "too long")
}

// TestFloodBeforePublishing sends commands that are each well within the limits.
func TestFloodBeforePublishing(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor()})
	c := dial(t, addr)
	c.connect("live")
	body := marshal(t, "somethingElse", 0.0, string(text(10_000)))
	sent := 0
	for c.trySend(typeCommandAMF0, 0, body) == nil && sent < 4<<20 {
		sent += len(body)
	}
	c.wantStatus("NetStream.Publish.Failed", "before publishing")
}

// TestClientThatDoesNotRead floods the server with pings and reads none of the answers: it is cut off, for a reason
// that tells, and nothing waits for it.
func TestClientThatDoesNotRead(t *testing.T) {
	door := newFakeDoor()
	inBubble(t, Options{Door: door}, func(t *testing.T, dial func() net.Conn) {
		nc, p := unreading(t, door, dial)
		begin := time.Now()
		<-p.closed
		if d := time.Since(begin); d != writeTimeout {
			t.Errorf("cut off after %v", d)
		}
		if p.reason() != "" || p.cause == nil || !strings.Contains(p.cause.Error(), "does not read") {
			t.Errorf("cause %v", p.cause)
		}
		nc.Close()
	})
}

// TestKickWhileBlocked: a takeover or a shutdown does not wait for a client that does not read.
func TestKickWhileBlocked(t *testing.T) {
	door := newFakeDoor()
	inBubble(t, Options{Door: door}, func(t *testing.T, dial func() net.Conn) {
		nc, p := unreading(t, door, dial)
		begin := time.Now()
		p.request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Taken over."))
		<-p.closed
		if d := time.Since(begin); d > lingerTimeout {
			t.Errorf("cut off after %v", d)
		}
		if p.reason() != ingest.ReasonTakenOver {
			t.Errorf("cause %v", p.cause)
		}
		if _, err := io.Copy(io.Discard, nc); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > 2*lingerTimeout {
			t.Errorf("the connection was open for %v", d)
		}
		nc.Close()
	})
}

// unreading publishes on a connection on which a write waits for its reader, and stops reading.
func unreading(t *testing.T, door *fakeDoor, dial func() net.Conn) (net.Conn, *fakePub) {
	t.Helper()
	door.opened = make(chan *fakePub, 1) // of the bubble
	nc := dial()
	if _, _, err := handshake.DoClient(nc, false, false); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := messageWriter{w: &b, size: defaultChunkSize}
	w.command(0, "connect", 1, amf0.Object{{Key: "app", Value: "live"}})
	w.command(1, "publish", 3, nil, "show", "live")
	go nc.Write(b.Bytes())
	p := &fakePub{}
	for buf := make([]byte, 1); p.closed == nil; {
		select {
		case p = <-door.opened:
		default:
			if _, err := nc.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	return nc, p
}

// panickyDoor breaks when it is asked for one name.
type panickyDoor struct{ *fakeDoor }

func (d panickyDoor) Open(r ingest.Request) (ingest.Publication, error) {
	if r.Stream == "trap" {
		panic("the trap")
	}
	return d.fakeDoor.Open(r)
}

// TestPanicEndsOneConnection: a fault in handling one publisher does not end the others.
func TestPanicEndsOneConnection(t *testing.T) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	s, err := NewServer(Options{Door: panickyDoor{newFakeDoor()}, Registerer: reg, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	addr, stop := serve(t, s)
	other := dial(t, addr)
	other.publish("show")
	c := dial(t, addr)
	c.connect("live")
	c.answer("_result")
	c.command("publish", 3, nil, "trap", "live")
	c.closed()
	other.command("FCUnpublish", 5, nil, "show")
	other.wantStatus("NetStream.Unpublish.Success", "show")
	other.nc.Close()
	stop()
	if n := counted(t, s.metrics.results[resultPanic]); n != 1 {
		t.Errorf("%v counted", n)
	}
	if !strings.Contains(log.String(), "the trap") || !strings.Contains(log.String(), "panickyDoor") {
		t.Errorf("log: %s", log.String())
	}
}

// TestImpossibleCompositionTime: one frame must not move the stream's time ahead by hours.
func TestImpossibleCompositionTime(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, samples[0]))
		c.send(typeVideo, 40, join(0x27, 1, 0x7F, 0xFF, 0xFF, samples[1]))
		c.send(typeVideo, 80, join(0x27, 1, 0x80, 0, 0, samples[2]))
		c.send(typeVideo, 200, join(0x17, 1, 0, 0, 40, samples[5]))
	})
	v := p.of(videoID)
	if len(v) != 2 || v[1].DTS != 200*90 || p.drops[ingest.DropDamaged] != 2 {
		t.Errorf("%d frames, drops %v", len(v), p.drops)
	}
}

// TestKeyFrameThatNeverReturns: after damage only a key frame helps, and an encoder that sends none must be told.
func TestKeyFrameThatNeverReturns(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, samples[0]))
		c.send(typeVideo, 40, join(0x27, 1, 0, 0, 0, 0, 0, 1, 0, 1)) // damaged
		for at := int64(80); at < 60_000 && c.trySend(typeVideo, at, join(0x27, 1, 0, 0, 0, samples[1])) == nil; at += 1000 {
		}
		c.wantStatus("NetStream.Publish.Failed", "keyframe")
	})
	if p.reason() != ingest.ReasonNoKeyframe || len(p.frames) != 1 {
		t.Errorf("cause %v, %d frames", p.cause, len(p.frames))
	}
}

// TestUnusableCodecDataIsLoggedOnce: the log does not fill at the rate of messages.
func TestUnusableCodecDataIsLoggedOnce(t *testing.T) {
	door := newFakeDoor()
	var log bytes.Buffer
	addr, stop := startServer(t, Options{Door: door, Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := dial(t, addr)
	c.publish("show")
	for range 100 {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, "none"))
		c.send(typeAudio, 0, join(0x2F, "none"))
	}
	c.command("deleteStream", 9, nil, 1.0)
	p := <-door.opened
	<-p.closed
	c.nc.Close()
	stop()
	if n := strings.Count(log.String(), "codec data cannot be used"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if p.drops[ingest.DropDamaged] != 200 {
		t.Errorf("drops %v", p.drops)
	}
}

// TestCodecDataThatNeverSettles: each change costs every viewer a new initialisation.
func TestCodecDataThatNeverSettles(t *testing.T) {
	other := []byte{0x11, 0x90} // AAC LC, 48 kHz
	p := published(t, func(c *client) {
		for i := range 500 {
			config := [][]byte{asc, other}[i%2]
			if c.trySend(typeAudio, int64(i), join(0xAF, 0, config)) != nil {
				break
			}
		}
		c.wantStatus("NetStream.Publish.Failed", "changes too often")
	})
	if p.reason() != ingest.ReasonBadMedia || len(p.tracks) < 16 {
		t.Errorf("cause %v, %d tracks", p.cause, len(p.tracks))
	}
}

// dated keeps the deadline for writes.
type dated struct {
	scripted
	writeBy time.Time
}

func (d *dated) SetDeadline(t time.Time) error      { d.writeBy = t; return nil }
func (d *dated) SetWriteDeadline(t time.Time) error { d.writeBy = t; return nil }

// TestReadLetsTLSWrite: a client may ask for new TLS keys at any time, and Read answers that. The deadline of an answer
// sent long ago must not be in its way.
func TestReadLetsTLSWrite(t *testing.T) {
	s, err := NewServer(Options{Door: newFakeDoor()})
	if err != nil {
		t.Fatal(err)
	}
	d := &dated{scripted: scripted{in: bytes.NewReader([]byte{1})}}
	c := newConn(context.Background(), s, d)
	c.levelAt = time.Now()
	c.deadline = c.levelAt.Add(time.Hour)
	if err := c.out.event(eventPingResponse, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := (timedReader{c}).Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if left := d.writeBy.Sub(c.levelAt); left < time.Minute {
		t.Errorf("writes within Read must be done in %v", left)
	}
}
