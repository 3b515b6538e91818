package rtmp

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	gortmp "github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

// client speaks RTMP with gortmplib, which is another implementation than the one under test. What it receives is read
// on a goroutine, so that the server never waits for it.
type client struct {
	t   testing.TB
	nc  net.Conn
	raw *rawmessage.Writer
	in  chan gortmp.Message // closed at the end of the connection
}

// dial opens a connection and shakes hands.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Helper()
	c := &client{t: t, nc: nc, in: make(chan gortmp.Message, 4096)}
	rw := bytecounter.NewReadWriter(nc)
	if _, _, err := handshake.DoClient(rw, false, false); err != nil {
		t.Fatal(err)
	}
	c.raw = rawmessage.NewWriter(rw, rw.Writer, false)
	r := gortmp.NewReader(rw, rw.Reader, func(uint32) error { return nil })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(c.in)
		for {
			m, err := r.Read()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) &&
					!strings.Contains(err.Error(), "reset by peer") {
					t.Errorf("client: %v", err)
				}
				return
			}
			c.in <- m
		}
	}()
	t.Cleanup(func() { nc.Close(); <-ended })
	return c
}

// send writes one message; times are in ms.
func (c *client) send(typ byte, at int64, body []byte) {
	c.t.Helper()
	if err := c.trySend(typ, at, body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) trySend(typ byte, at int64, body []byte) error {
	return c.raw.Write(&rawmessage.Message{ChunkStreamID: 10 + typ%8, Timestamp: time.Duration(at) * time.Millisecond,
		Type: typ, MessageStreamID: 1, Body: body})
}

func (c *client) command(name string, id float64, args ...any) {
	c.t.Helper()
	c.send(typeCommandAMF0, 0, marshal(c.t, append(amf0.Data{name, id}, args...)...))
}

func marshal(t testing.TB, values ...any) []byte {
	t.Helper()
	b, err := amf0.Data(values).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer waits for a command of one of the names.
func (c *client) answer(names ...string) *gortmp.CommandAMF0 {
	c.t.Helper()
	for m := range c.in {
		if m, ok := m.(*gortmp.CommandAMF0); ok {
			for _, name := range names {
				if m.Name == name {
					return m
				}
			}
		}
	}
	c.t.Fatalf("the connection ended without %v", names)
	return nil
}

// status waits for onStatus and takes it apart.
func (c *client) status() (level, code, description string) {
	c.t.Helper()
	return statusOf(c.answer("onStatus"))
}

func statusOf(m *gortmp.CommandAMF0) (level, code, description string) {
	o := obj(m.Arguments, 1)
	level, _ = o.GetString("level")
	code, _ = o.GetString("code")
	description, _ = o.GetString("description")
	return level, code, description
}

// wantStatus fails the test unless the next onStatus has the code and a description with the words.
func (c *client) wantStatus(code, words string) {
	c.t.Helper()
	if _, got, description := c.status(); got != code || !strings.Contains(description, words) {
		c.t.Errorf("status %s %q, want %s with %q", got, description, code, words)
	}
}

func (c *client) connect(app string) {
	c.t.Helper()
	c.command("connect", 1, amf0.Object{{Key: "app", Value: app}, {Key: "flashVer", Value: "test"}})
}

// publish goes all the way to a published stream.
func (c *client) publish(key string) {
	c.t.Helper()
	c.connect("live")
	c.answer("_result")
	c.command("createStream", 2, nil)
	c.answer("_result")
	c.command("publish", 3, nil, key, "live")
	c.wantStatus("NetStream.Publish.Start", "")
}

// closed waits for the end of the connection.
func (c *client) closed() {
	for range c.in {
	}
}
