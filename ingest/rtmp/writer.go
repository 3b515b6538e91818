package rtmp

import (
	"encoding/binary"
	"io"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// Chunk streams on which messages go out: protocol control as the specification demands, the others by habit.
const (
	chunkControl = 2
	chunkCommand = 3
	chunkStatus  = 5
)

// sendChunkSize is what the client is told to expect; larger than any message sent, so each goes in one chunk.
const sendChunkSize = 64 << 10

// User control events (RTMP 1.0 7.1.7).
const (
	eventStreamBegin  = 0
	eventPingRequest  = 6
	eventPingResponse = 7
)

// messageWriter sends messages, each in one write. gortmplib's writer keeps a buffer per connection and reports a
// missing acknowledgement as a fault, neither of which serves a server that sends little.
type messageWriter struct {
	w    io.Writer
	size int // the chunk size that the client knows of
}

// send writes one message with headers of fmt 0, continued by fmt 3.
func (w *messageWriter) send(chunk byte, typ byte, streamID uint32, body []byte) error {
	out := make([]byte, 0, 12+len(body)+len(body)/w.size)
	out = append(out, chunk, 0, 0, 0, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), typ)
	out = binary.LittleEndian.AppendUint32(out, streamID)
	for {
		n := min(len(body), w.size)
		out = append(out, body[:n]...)
		body = body[n:]
		if len(body) == 0 {
			break
		}
		out = append(out, 3<<6|chunk)
	}
	_, err := w.w.Write(out)
	return err
}

// control sends a protocol control message of one number.
func (w *messageWriter) control(typ byte, value uint32, more ...byte) error {
	return w.send(chunkControl, typ, 0, append(binary.BigEndian.AppendUint32(nil, value), more...))
}

// setChunkSize tells the client of larger chunks and sends them from then on.
func (w *messageWriter) setChunkSize(size int) error {
	if err := w.control(typeSetChunkSize, uint32(size)); err != nil {
		return err
	}
	w.size = size
	return nil
}

// event sends a user control message.
func (w *messageWriter) event(event uint16, value uint32) error {
	body := binary.BigEndian.AppendUint16(nil, event)
	return w.send(chunkControl, typeUserControl, 0, binary.BigEndian.AppendUint32(body, value))
}

// command sends a command or the answer to one.
func (w *messageWriter) command(streamID uint32, name string, id float64, args ...any) error {
	body, err := append(amf0.Data{name, id}, args...).Marshal()
	if err != nil {
		return err
	}
	chunk := byte(chunkCommand)
	if streamID != 0 {
		chunk = chunkStatus
	}
	return w.send(chunk, typeCommandAMF0, streamID, body)
}

// status sends an onStatus command (RTMP 1.0 7.2.2).
func (w *messageWriter) status(streamID uint32, level, code, description string) error {
	return w.command(streamID, "onStatus", 0, nil, amf0.Object{
		{Key: "level", Value: level},
		{Key: "code", Value: code},
		{Key: "description", Value: description},
	})
}
