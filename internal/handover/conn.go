// Package handover is how a process of the node gives all that it has to another one on the same host: the connection by a unix
// socket, who may use it, and the messages. What is given, and what is done at which step, is the node's business.
package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Protocol is the version of the messages. Processes of different versions do not take over from one another.
const Protocol = 1

// Purpose of a connection: the second byte on it, after Protocol.
type Purpose byte

// The purposes.
const (
	// Takeover is for messages, by whoever wants to take over.
	Takeover Purpose = 'T'
	// Media is for copies of presentations, asked for by HTTP.
	Media Purpose = 'M'
	// Viewers is for requests of viewers, passed on by HTTP from a process that has given them away.
	Viewers Purpose = 'V'
)

const (
	// mostMessage is the size of the largest message, in bytes: some thousand streams with their positions.
	mostMessage = 16 << 20
	// writeTime is how long the other side may take to read a message.
	writeTime = 5 * time.Second
	// greetTime is how long it may take to say what its connection is for.
	greetTime = 2 * time.Second
)

// Message is one step of a handover.
type Message struct {
	// Step that it is: a word of the node's.
	Step string `json:"step"`
	// Body belongs to the step.
	Body json.RawMessage `json:"body,omitempty"`
}

// Read reads the message's body.
func (m Message) Read(into any) error {
	if err := json.Unmarshal(m.Body, into); err != nil {
		return fmt.Errorf("read the message %q of the other process: %w", m.Step, err)
	}
	return nil
}

// stop is the step by which a process ends a handover; its body is the reason.
const stop = "stop"

// Stopped is the error of a handover that the other process has ended.
type Stopped struct {
	// Reason is a sentence.
	Reason string
}

// Error implements error.
func (s *Stopped) Error() string { return "the other process ends the takeover: " + s.Reason }

// ErrGone is the error of a handover whose other process has gone without a word.
var ErrGone = errors.New("the other process has gone")

// ErrTime is the error of a message that did not come in time.
var ErrTime = errors.New("the other process does not answer")

// Conn carries the messages of a handover, in both directions. Send and Stop are for any goroutine; Receive is for one.
type Conn struct {
	// Unix is the connection; sockets travel on it between messages.
	Unix *net.UnixConn

	writing sync.Mutex
}

// NewConn makes a Conn of a connection for the purpose Takeover.
func NewConn(c *net.UnixConn) *Conn { return &Conn{Unix: c} }

// Send sends a step. body may be nil.
func (c *Conn) Send(step string, body any) error {
	m := Message{Step: step}
	var err error
	if body != nil {
		if m.Body, err = json.Marshal(body); err != nil {
			return fmt.Errorf("send %q: %w", step, err)
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("send %q: %w", step, err)
	}
	if len(text) > mostMessage {
		return fmt.Errorf("send %q: it has %d bytes, more than %d", step, len(text), mostMessage)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.Unix.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := c.Unix.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return fmt.Errorf("send %q: %w: %w", step, ErrGone, err)
	}
	return nil
}

// Stop tells the other process that the handover is over, and why. It does not close the connection.
func (c *Conn) Stop(reason string) { _ = c.Send(stop, reason) } // one that has gone needs not be told

// Receive waits for the next message; 0 waits for as long as it takes. Nothing is read beyond it, so that sockets can follow. Its errors are a *Stopped, or wrap
// ErrGone or ErrTime, or tell what is wrong with what came.
func (c *Conn) Receive(within time.Duration) (Message, error) {
	var deadline time.Time
	if within > 0 {
		deadline = time.Now().Add(within)
	}
	c.Unix.SetReadDeadline(deadline)
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.Unix, head); err != nil {
		return Message{}, lost(err)
	}
	size := binary.BigEndian.Uint32(head)
	if size > mostMessage {
		return Message{}, fmt.Errorf("the other process sends a message of %d bytes, more than %d", size, mostMessage)
	}
	// In pieces, so that what is claimed is not allocated before it is there.
	text, err := io.ReadAll(io.LimitReader(c.Unix, int64(size)))
	if err == nil && len(text) < int(size) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Message{}, lost(err)
	}
	return parse(text)
}

// parse reads a message.
func parse(text []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(text, &m); err != nil {
		return Message{}, fmt.Errorf("the other process sends something that is no message: %w", err)
	}
	if m.Step == stop {
		var reason string
		if err := m.Read(&reason); err != nil {
			return Message{}, err
		}
		return Message{}, &Stopped{reason}
	}
	return m, nil
}

// Expect waits for a message of one step.
func (c *Conn) Expect(step string, within time.Duration) (Message, error) {
	m, err := c.Receive(within)
	if err == nil && m.Step != step {
		err = fmt.Errorf("the other process sends %.40q where %q is expected", m.Step, step)
	}
	if err != nil {
		return Message{}, fmt.Errorf("wait for %q: %w", step, err)
	}
	return m, nil
}

// lost words the failure of a read.
func lost(err error) error {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return ErrTime
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}
