package rtmp

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	gortmp "github.com/bluenviron/gortmplib/pkg/message"

	"pushcart/ingest"
)

// publishAs publishes as a client with such a capsEx; nil leaves it out.
func (c *client) publishAs(key string, capsEx any) {
	c.t.Helper()
	args := amf0.Object{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://host/live?key=tc-secret"}}
	if capsEx != nil {
		args = append(args, amf0.ObjectEntry{Key: "capsEx", Value: capsEx})
	}
	c.command("connect", 1, args)
	c.answer("_result")
	c.command("createStream", 2, nil)
	c.answer("_result")
	c.command("publish", 3, nil, key, "live")
	c.wantStatus("NetStream.Publish.Start", "")
}

// pong waits until everything that was sent has been taken.
func (c *client) pong() {
	c.t.Helper()
	c.send(typeUserControl, 0, []byte{0, 6, 0, 0, 0, 1})
	for m := range c.in {
		if _, ok := m.(*gortmp.UserControlPingResponse); ok {
			return
		}
	}
	c.t.Fatal("the connection ended")
}

// TestReconnectRequest: a client that says so is asked to come back, as Enhanced RTMP v2 has it ("Reconnect Request"): on message stream 0,
// without tcUrl, since the address stays. What it sends meanwhile is taken, up to its good-bye.
func TestReconnectRequest(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]*tls.Config{"rtmp": nil, "rtmps": selfSigned(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			addr, _ := startServer(t, Options{Door: door, TLS: secure})
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if secure != nil {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			c := newClient(t, nc)
			c.publishAs("show", 1.0)
			p := <-door.opened
			if p.request.Reconnect == nil {
				t.Fatal("the door does not know that the client can be asked")
			}
			record, samples := encoded(t, "avc")
			c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
			c.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, samples[0]))
			c.pong()
			p.request.Reconnect(ingest.Drain{Here: true}) // while the connection is silent: the reader has to be woken
			m := c.answer("onStatus")
			level, code, description := statusOf(m)
			_, elsewhere := obj(m.Arguments, 1).Get("tcUrl")
			if m.MessageStreamID != 0 || m.CommandID != 0 || level != "status" || code != "NetConnection.Connect.ReconnectRequest" ||
				!strings.Contains(description, "Reconnect now") || elsewhere {
				t.Errorf("on stream %d, command %d: %s %s %q, tcUrl %t", m.MessageStreamID, m.CommandID, level, code, description, elsewhere)
			}
			for i, s := range samples {
				c.send(typeVideo, int64(40*i+40), join(0x17, 1, 0, 0, 0, s))
			}
			c.pong()
			if n := len(p.of(0)); n != 1+len(samples) {
				t.Errorf("%d pictures taken, want those after the request too: %d", n, 1+len(samples))
			}
			c.command("deleteStream", 9, nil, 1.0)
			c.wantStatus("NetStream.Unpublish.Success", "show")
			<-p.closed
			if p.cause != nil {
				t.Errorf("cause %v", p.cause)
			}
		})
	}
}

// TestNoReconnectRequest: who does not say that it can is not asked.
func TestNoReconnectRequest(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	for name, caps := range map[string]any{"none": nil, "others": 14.0, "negative": -1.0, "a word": "1", "endless": 1e300, "not a number": math.NaN()} {
		c := dial(t, addr)
		c.publishAs("show", caps)
		if p := <-door.opened; p.request.Reconnect != nil {
			t.Errorf("capsEx %s: it would be asked", name)
		}
		c.nc.Close()
	}
}

// TestReconnectRequestInTheRush: requests from many sides while media come and the connection ends.
func TestReconnectRequestInTheRush(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	for range 20 {
		c := dial(t, addr)
		c.publishAs("show", 1.0)
		p := <-door.opened
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() { p.request.Reconnect(ingest.Drain{}) })
		}
		asking.Go(func() { p.request.Kick(ingest.Drain{}.Refusal()) })
		for range 50 {
			if c.trySend(typeVideo, 0, []byte{0x17, 1, 0, 0, 0}) != nil {
				break
			}
		}
		c.closed()
		asking.Wait()
		<-p.closed
		if p.reason() != ingest.ReasonShutdown {
			t.Errorf("cause %v", p.cause)
		}
	}
}

// TestLogHasNoSecrets: wherever a client puts its key, the log does not have it, and each line has the connection's identifier.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	var lines safeBuffer
	door := newFakeDoor()
	door.refuse = func(r ingest.Request) *ingest.Refusal {
		if strings.HasPrefix(r.Stream, "bad") {
			return ingest.Refuse(ingest.ReasonBadKey, "The key is wrong.")
		}
		return nil
	}
	addr, stop := startServer(t, Options{Door: door, Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	const secret = "sec-ret-42"
	try := func(app, tcURL, key string) {
		c := dial(t, addr)
		say := func(values ...any) { c.trySend(typeCommandAMF0, 0, marshal(t, values...)) } // the server may have closed
		say("connect", 1.0, amf0.Object{{Key: "app", Value: app}, {Key: "tcUrl", Value: tcURL}, {Key: "pageUrl", Value: "http://h/?" + secret},
			{Key: "swfUrl", Value: "http://h/?" + secret}, {Key: "capsEx", Value: 1.0}})
		say("releaseStream", 2.0, nil, key)
		say("FCPublish", 3.0, nil, key)
		say("createStream", 4.0, nil)
		say("publish", 5.0, nil, key, secret)
		say(secret, 6.0, nil, secret)
		say("play", 7.0, nil, key)
		c.closed()
	}
	for _, name := range []string{"show", "bad"} {
		try("live?key="+secret, "rtmp://user:"+secret+"@h/live?key="+secret, name)
		try("live", "rtmp://h/live", name+"?key="+secret)
		try("live/"+name, "rtmp://h/live/"+name, "?key="+secret)
		try(secret, "rtmp://h/"+secret, name)
	}
	c := dial(t, addr)
	c.publishAs("show?key="+secret, 1.0)
	for range 7 { // the ones before
		select {
		case p := <-door.opened:
			p.request.Reconnect(ingest.Drain{})
		default:
		}
	}
	stop()
	text := lines.String()
	if strings.Contains(text, secret) {
		t.Errorf("the log has the secret:\n%s", text)
	}
	if n := strings.Count(text, "rtmp: connection ended"); n != 9 {
		t.Errorf("%d connections ended in the log, want 9:\n%s", n, text)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "conn=") {
			t.Errorf("a line without the connection: %s", line)
		}
	}
}

// safeBuffer takes lines from several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
