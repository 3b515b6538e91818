package load

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
)

// RTMP message types (RTMP 1.0 5.4 and 7.1) besides those that are FLV's.
const (
	TypeChunkSize = 1
	TypeCommand   = 20
)

const (
	// ChunkSize is what Connect announces, in bytes: as OBS sends.
	ChunkSize = 4096
	// sendTimeout bounds each write: a server that takes nothing for so long is gone.
	sendTimeout = 10 * time.Second
	// pending is how many answers wait to be looked at; further ones are dropped.
	pending = 32
)

// Status is what a server says of a publisher: an onStatus message, or the _error that answers connect.
type Status struct{ Level, Code, Description string }

// Started tells whether it lets the publisher begin.
func (s Status) Started() bool { return s.Code == "NetStream.Publish.Start" }

// Session is the publishing end of an RTMP connection, with control of what is sent and when. What it sends is for one goroutine
// at a time; the server's answers are read by one of its own, which ends with the connection.
type Session struct {
	// Agent is what the client calls itself; "" is a name that all servers take for an encoder's. To be set before Connect.
	Agent string
	// Out writes messages. Connect sets its Size.
	Out ChunkWriter

	nc       net.Conn
	statuses chan Status
	results  chan result
	ended    chan struct{}
}

// result is the server's answer to a command (RTMP 1.0 7.2.1.1).
type result struct {
	id   float64
	ok   bool
	args amf0.Data
}

// Dial connects to an RTMP address, with TLS unless secure is nil, and shakes hands within limit.
func Dial(ctx context.Context, address string, secure *tls.Config, limit time.Duration) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		nc = tls.Client(nc, secure)
	}
	nc.SetDeadline(time.Now().Add(limit))
	release := context.AfterFunc(ctx, func() { nc.Close() })
	if _, _, err := handshake.DoClient(nc, false, false); err != nil || !release() {
		nc.Close()
		return nil, fmt.Errorf("RTMP handshake with %s: %w", address, errors.Join(err, ctx.Err()))
	}
	nc.SetDeadline(time.Time{})
	s := &Session{
		Out: ChunkWriter{W: nc}, nc: nc,
		statuses: make(chan Status, pending), results: make(chan result, pending), ended: make(chan struct{}),
	}
	go s.read()
	return s, nil
}

// read takes what the server says until it says no more.
func (s *Session) read() {
	defer close(s.ended)
	r := newChunkReader(bufio.NewReader(s.nc))
	for {
		typ, body, err := r.next()
		if err != nil {
			return
		}
		if typ != TypeCommand {
			continue
		}
		data, err := amf0.Unmarshal(body)
		if err != nil || len(data) < 2 {
			continue // what cannot be read is no answer
		}
		name, _ := data[0].(string)
		id, _ := data[1].(float64)
		if name == "onStatus" || name == "_error" {
			select {
			case s.statuses <- statusOf(data):
			default:
			}
		}
		if name == "_result" || name == "_error" {
			select {
			case s.results <- result{id: id, ok: name == "_result", args: data[2:]}:
			default:
			}
		}
	}
}

func statusOf(data amf0.Data) (s Status) {
	for _, a := range data {
		if o, ok := a.(amf0.Object); ok {
			s.Level, _ = o.GetString("level")
			s.Code, _ = o.GetString("code")
			s.Description, _ = o.GetString("description")
		}
	}
	return s
}

// Send writes one message of the message stream 1 with a time in ms.
func (s *Session) Send(typ byte, at uint32, body []byte) error { return s.send(typ, 1, at, body) }

func (s *Session) send(typ byte, stream, at uint32, body []byte) error {
	s.nc.SetWriteDeadline(time.Now().Add(sendTimeout))
	return s.Out.Write(typ, stream, at, body)
}

// Command sends a command message (RTMP 1.0 7.2).
func (s *Session) Command(name string, id float64, args ...any) error {
	return s.command(1, name, id, args...)
}

func (s *Session) command(stream uint32, name string, id float64, args ...any) error {
	body, err := append(amf0.Data{name, id}, args...).Marshal()
	if err == nil {
		err = s.send(TypeCommand, stream, 0, body)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	return nil
}

// Connect sends connect, the chunk size, and createStream, without waiting for answers.
func (s *Session) Connect(app, tcURL string) error {
	err := s.command(0, "connect", 1, amf0.Object{{Key: "app", Value: app}, {Key: "type", Value: "nonprivate"},
		{Key: "flashVer", Value: cmp.Or(s.Agent, "FMLE/3.0 (compatible; pushcart)")}, {Key: "tcUrl", Value: tcURL}})
	if err != nil {
		return err
	}
	if err := s.send(TypeChunkSize, 0, 0, binary.BigEndian.AppendUint32(nil, ChunkSize)); err != nil {
		return fmt.Errorf("set chunk size: %w", err)
	}
	s.Out.Size = ChunkSize
	return s.command(0, "createStream", 2, nil)
}

// Statuses has the server's status messages.
func (s *Session) Statuses() <-chan Status { return s.statuses }

// Ended is closed when the connection has ended, from whichever side.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Conn is the connection itself.
func (s *Session) Conn() net.Conn { return s.nc }

// Close ends the connection and waits for the goroutine that reads from it.
func (s *Session) Close() {
	s.nc.Close()
	<-s.ended
}

// answer waits for the answer to a command.
func (s *Session) answer(ctx context.Context, id float64) (result, error) {
	for {
		select {
		case r := <-s.results:
			if r.id != id {
				continue // of a command whose answer nobody waits for
			}
			if !r.ok {
				return r, fmt.Errorf("the server refuses: %s", statusOf(r.args).words())
			}
			return r, nil
		case <-s.ended:
			return result{}, errors.New("the server closed the connection")
		case <-ctx.Done():
			return result{}, fmt.Errorf("the server does not answer: %w", ctx.Err())
		}
	}
}

// words are what is worth telling of a status.
func (s Status) words() string {
	return strings.TrimSpace(strings.Join([]string{s.Code, s.Description}, " "))
}

// Target is an address to publish to, taken apart: rtmp://HOST[:1935]/APP/NAME?QUERY.
type Target struct {
	Secure  bool
	Address string // host:port
	App     string
	Key     string // name and query; secret
	tcURL   string
}

// Ports of RTMP and RTMPS where an address names none.
const (
	rtmpPort  = "1935"
	rtmpsPort = "443"
)

// ParseTarget reads an address. Its error does not repeat what stands behind the application, which may be a secret.
func ParseTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "rtmp" && u.Scheme != "rtmps" || u.User != nil {
		return Target{}, errors.New("the address to publish to is not rtmp://HOST/APP/NAME?key=KEY")
	}
	t := Target{Secure: u.Scheme == "rtmps", Address: u.Host}
	if u.Port() == "" {
		port := rtmpPort
		if t.Secure {
			port = rtmpsPort
		}
		t.Address = net.JoinHostPort(u.Hostname(), port)
	}
	path := strings.Trim(u.Path, "/")
	at := strings.LastIndexByte(path, '/')
	if at < 1 || at == len(path)-1 {
		return Target{}, fmt.Errorf("the address to publish to at %s has no application or no name: rtmp://HOST/APP/NAME", u.Host)
	}
	t.App, t.Key = path[:at], path[at+1:]
	if u.RawQuery != "" {
		t.Key += "?" + u.RawQuery
	}
	t.tcURL = u.Scheme + "://" + u.Host + "/" + t.App
	return t, nil
}

// Publish connects and begins to publish; it returns when the server lets it, within limit.
func Publish(ctx context.Context, t Target, secure *tls.Config, limit time.Duration) (*Session, error) {
	if t.Secure {
		if secure == nil {
			secure = &tls.Config{}
		}
		if secure.ServerName == "" {
			secure = secure.Clone()
			secure.ServerName, _, _ = net.SplitHostPort(t.Address)
		}
	} else {
		secure = nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := Dial(ctx, t.Address, secure, limit)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx, t); err != nil {
		s.Close()
		return nil, fmt.Errorf("publish at %s: %w", t.Address, err)
	}
	return s, nil
}

// open goes through the commands one after the other: not every server takes them all at once.
func (s *Session) open(ctx context.Context, t Target) error {
	if err := s.Connect(t.App, t.tcURL); err != nil {
		return err
	}
	if _, err := s.answer(ctx, 1); err != nil {
		return err
	}
	created, err := s.answer(ctx, 2)
	if err != nil {
		return err
	}
	stream := uint32(1)
	if n := len(created.args); n > 0 {
		if v, ok := created.args[n-1].(float64); ok && v >= 1 && v < 1<<24 {
			stream = uint32(v)
		}
	}
	if stream != 1 {
		return fmt.Errorf("the server's message stream is number %d; only 1 is sent to", stream)
	}
	if err := s.command(stream, "publish", 3, nil, t.Key, "live"); err != nil {
		return err
	}
	for {
		select {
		case status := <-s.statuses:
			if status.Started() {
				return nil
			}
			if status.Level == "error" || status.Level == "" {
				return fmt.Errorf("the server refuses: %s", status.words())
			}
		case <-s.ended:
			return errors.New("the server closed the connection")
		case <-ctx.Done():
			return fmt.Errorf("the server does not let it begin: %w", ctx.Err())
		}
	}
}
