package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Limits of what a server may send: it has little to say to a publisher.
const (
	maxMessage      = 64 << 10 // bytes
	maxChunkStreams = 32
)

var errChunks = errors.New("what the server sends is not RTMP, or too much")

// chunkReader puts messages together out of chunks (RTMP 1.0 5.3.1). Times are passed over.
type chunkReader struct {
	r       *bufio.Reader
	size    int
	streams map[uint32]*incoming
}

// incoming is a chunk stream's message so far.
type incoming struct {
	length   int
	typ      byte
	extended bool
	body     []byte
}

func newChunkReader(r *bufio.Reader) *chunkReader {
	return &chunkReader{r: r, size: firstChunkSize, streams: map[uint32]*incoming{}}
}

// next returns the next whole message but for changes of the chunk size, which it follows. The body is the caller's.
func (c *chunkReader) next() (typ byte, body []byte, err error) {
	for {
		m, err := c.chunk()
		if err != nil {
			return 0, nil, err
		}
		if len(m.body) < m.length {
			continue
		}
		body := m.body
		m.body = nil
		if m.typ != TypeChunkSize {
			return m.typ, body, nil
		}
		if len(body) < 4 {
			return 0, nil, errChunks
		}
		if c.size = int(binary.BigEndian.Uint32(body)); c.size < 1 || c.size > 1<<24 {
			return 0, nil, errChunks
		}
	}
}

// chunk reads one chunk and returns the message that it belongs to.
func (c *chunkReader) chunk() (*incoming, error) {
	first, err := c.r.ReadByte()
	if err != nil {
		return nil, err
	}
	id := uint32(first & 63)
	if id < 2 { // one or two bytes more, the least significant first
		var more [2]byte
		if _, err := io.ReadFull(c.r, more[:id+1]); err != nil {
			return nil, err
		}
		id = 64 + uint32(more[0]) + uint32(more[1])<<8
	}
	m := c.streams[id]
	if m == nil {
		if len(c.streams) == maxChunkStreams || first>>6 != 0 {
			return nil, errChunks
		}
		m = &incoming{}
		c.streams[id] = m
	}
	if err := c.header(m, first>>6); err != nil {
		return nil, err
	}
	n := min(c.size, m.length-len(m.body))
	at := len(m.body)
	m.body = append(m.body, make([]byte, n)...)
	_, err = io.ReadFull(c.r, m.body[at:])
	return m, err
}

// header reads a chunk's header behind its basic header.
func (c *chunkReader) header(m *incoming, format byte) error {
	var h [11]byte
	if n := [4]int{11, 7, 3, 0}[format]; n > 0 {
		if len(m.body) > 0 {
			return errChunks // the message before is not whole
		}
		if _, err := io.ReadFull(c.r, h[:n]); err != nil {
			return err
		}
		m.extended = be24(h[:]) == extended
		if n >= 7 {
			if m.length, m.typ = int(be24(h[3:])), h[6]; m.length > maxMessage {
				return errChunks
			}
		}
	}
	if m.extended {
		_, err := io.ReadFull(c.r, h[:4])
		return err
	}
	return nil
}
