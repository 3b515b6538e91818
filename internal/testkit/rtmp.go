package testkit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"pushcart/internal/load"
)

// patience bounds every single wait of a test for the server.
const patience = 20 * time.Second

// Status is an onStatus message, or the _error that answers connect.
type Status = load.Status

// Publisher is an RTMP client with full control of what is sent and when. It is for one goroutine at a time.
type Publisher struct {
	t       testing.TB
	session *load.Session

	sent struct {
		sync.Mutex
		log []Sent
	}
}

// Sent is one access unit that went out.
type Sent struct {
	// Track is the number of the track, where there are several of a kind.
	Track int
	Video bool
	// DTS and PTS in the time of the clips, which is what really happened when, whatever timestamps were sent.
	DTS, PTS time.Duration
	Key      bool
	Payload  []byte
}

// Dial connects to an RTMP address, with TLS unless secure is nil, and shakes hands.
func Dial(t testing.TB, address string, secure *tls.Config) *Publisher {
	t.Helper()
	s, err := load.Dial(t.Context(), address, secure, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Agent = "testkit/1.0"
	return &Publisher{t: t, session: s}
}

// Send writes one message with a timestamp, of which 32 bits of milliseconds are sent.
func (p *Publisher) Send(typ byte, at time.Duration, body []byte) error {
	return p.session.Send(typ, uint32(at.Round(time.Millisecond).Milliseconds()), body)
}

// Absolute has every message carry its whole time, instead of the difference to the one before.
func (p *Publisher) Absolute() { p.session.Out.Absolute = true }

// Command sends a command message.
func (p *Publisher) Command(name string, id float64, args ...any) {
	p.t.Helper()
	if err := p.session.Command(name, id, args...); err != nil {
		p.t.Fatal(err)
	}
}

// Status waits for the next status message.
func (p *Publisher) Status() Status {
	p.t.Helper()
	select {
	case s := <-p.session.Statuses():
		return s
	case <-p.session.Ended():
		select {
		case s := <-p.session.Statuses():
			return s
		default:
			p.t.Fatal("the server closed the connection without a status message")
		}
	case <-time.After(patience):
		p.t.Fatal("no status message came")
	}
	return Status{}
}

// Ended waits until the server has closed the connection, and closes it too.
func (p *Publisher) Ended() {
	p.t.Helper()
	select {
	case <-p.session.Ended():
		p.session.Close()
	case <-time.After(patience):
		p.t.Fatal("the server did not close the connection")
	}
}

// Connect sends connect and createStream.
func (p *Publisher) Connect(app string) {
	p.t.Helper()
	if err := p.session.Connect(app, "rtmp://localhost/"+app); err != nil {
		p.t.Fatal(err)
	}
}

// Open connects and asks to publish; it returns the server's answer.
func (p *Publisher) Open(key string) Status {
	p.t.Helper()
	p.Connect("live")
	p.Command("publish", 3, nil, key, "live")
	return p.Status()
}

// Publish begins to publish to an address, and ends the test when that is refused.
func Publish(t testing.TB, address, key string) *Publisher {
	t.Helper()
	p := Dial(t, address, nil)
	if s := p.Open(key); s.Code != "NetStream.Publish.Start" {
		t.Fatalf("publish %q: %+v", key, s)
	}
	return p
}

// Configure sends clips' codec data at a time.
func (p *Publisher) Configure(at time.Duration, clips ...*Clip) {
	p.t.Helper()
	for _, c := range clips {
		if c == nil || c.Config == nil && c.Codec == MP3 {
			continue
		}
		typ, body := tagOf(c, nil)
		if err := p.Send(typ, at, body); err != nil {
			p.t.Fatalf("send codec data: %v", err)
		}
	}
}

// Frame sends one sample with a timestamp and notes it for the comparison with what viewers get.
func (p *Publisher) Frame(c *Clip, s *Sample, at time.Duration) error {
	typ, body := tagOf(c, s)
	if err := p.Send(typ, at, body); err != nil {
		return fmt.Errorf("send frame at %v: %w", at, err)
	}
	p.sent.Lock()
	defer p.sent.Unlock()
	p.sent.log = append(p.sent.log, Sent{Video: c.Codec.Video(), DTS: s.DTS, PTS: s.DTS + s.Offset, Key: s.Key, Payload: s.Payload})
	return nil
}

// Sent returns what went out so far. It may be called from any goroutine.
func (p *Publisher) Sent() []Sent {
	p.sent.Lock()
	defer p.sent.Unlock()
	return append([]Sent(nil), p.sent.log...)
}

// Unpublish says good-bye as encoders do, and waits for the answer. The connection stays.
func (p *Publisher) Unpublish() {
	p.t.Helper()
	p.Command("FCUnpublish", 4, nil, "")
	p.Command("deleteStream", 5, nil, 1.0)
	if s := p.Status(); s.Code != "NetStream.Unpublish.Success" {
		p.t.Errorf("on leaving: %+v", s)
	}
}

// Leave unpublishes and hangs up.
func (p *Publisher) Leave() {
	p.t.Helper()
	p.Unpublish()
	p.session.Close()
}

// Drop closes the connection as a phone does whose network went away: without a word, and with a reset.
func (p *Publisher) Drop() {
	if tcp, ok := p.session.Conn().(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	p.session.Close()
}

// Gone tells whether err is that of a connection which the server has closed.
func Gone(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, net.ErrClosed)
}

// WantClosed connects to an address and wants the connection closed before anything is said.
func WantClosed(t testing.TB, address string) {
	t.Helper()
	WantClosedAfter(t, address, "")
}

// WantClosedAfter connects to an address, says something and wants the connection closed.
func WantClosedAfter(t testing.TB, address, say string) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, say); err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection is still open after %q", address, say)
	}
}
