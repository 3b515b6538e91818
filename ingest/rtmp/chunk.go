package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Message types (RTMP 1.0 5.4, 7.1).
const (
	typeSetChunkSize     = 1
	typeAbort            = 2
	typeAcknowledgement  = 3
	typeUserControl      = 4
	typeWindowAckSize    = 5
	typeSetPeerBandwidth = 6
	typeAudio            = 8
	typeVideo            = 9
	typeDataAMF3         = 15
	typeSharedObjectAMF3 = 16
	typeCommandAMF3      = 17
	typeDataAMF0         = 18
	typeSharedObjectAMF0 = 19
	typeCommandAMF0      = 20
	typeAggregate        = 22
)

const (
	defaultChunkSize = 128
	noTime           = 0xFFFFFF // says that an extended timestamp follows
	firstGrowth      = 4 << 10  // bytes of a message body taken on before any of it has come
	keepBody         = 1 << 20  // bytes of a body's buffer that are kept for the next message
)

// message is one RTMP message.
type message struct {
	typ      byte
	streamID uint32
	time     uint32 // ms, wrapping
	body     []byte // lent until the next call of read
}

// chunkLimits bound what a peer can make a chunkReader hold.
type chunkLimits struct {
	message int // bytes of one message
	streams int // chunk streams in use
	pending int // bytes of all unfinished messages
}

// errLimit is wrapped by the errors of a peer that goes beyond chunkLimits.
var errLimit = errors.New("limit exceeded")

// errChunk is wrapped by the errors of a peer that breaks the chunk format.
var errChunk = errors.New("broken chunk")

// chunkReader joins chunks into messages (RTMP 1.0 5.3.1):
//
//	basic header     fmt(2) id(6) [id - 64 in 1 or, low byte first, 2 bytes]
//	message header   fmt 0: time(24) length(24) type(8) stream id(32, little-endian); 1: delta, length, type; 2: delta;
//	                 3: nothing
//	[extended time(32)] data
//
// gortmplib's rawmessage.Reader is not used here because it puts no limit on the number of unfinished messages,
// allocates what a header claims before any of it has come, knows no chunk stream beyond 63, and allocates for each
// chunk.
type chunkReader struct {
	r       *bufio.Reader
	limits  chunkLimits
	size    int // of a chunk's data, as the peer has set it
	streams []*chunkStream
	last    *chunkStream // used last; tried first
	pending int          // bytes in open messages
	held    int          // bytes that all bodies have room for
}

// chunkStream is the state that chunks of one identifier share.
type chunkStream struct {
	id       uint32
	typ      byte
	streamID uint32
	length   int
	time     uint32
	delta    uint32
	ext      bool   // the last header but those of fmt 3 had an extended time
	extTime  uint32 // that time
	open     bool   // a message is unfinished
	body     []byte
}

func newChunkReader(r *bufio.Reader, l chunkLimits) *chunkReader {
	return &chunkReader{r: r, limits: l, size: defaultChunkSize}
}

// setSize takes a Set Chunk Size message's value.
func (c *chunkReader) setSize(v uint32) error {
	if v == 0 || v > 0x7FFFFFFF {
		return fmt.Errorf("%w: chunk size %d", errChunk, v)
	}
	c.size = int(min(v, noTime)) // no message is longer
	return nil
}

// abort forgets an unfinished message.
func (c *chunkReader) abort(id uint32) {
	for _, s := range c.streams {
		if s.id == id {
			c.drop(s)
		}
	}
}

func (c *chunkReader) drop(s *chunkStream) {
	if s.open {
		c.pending -= len(s.body)
		s.open = false
	}
}

// read returns the next message. It blocks until one is whole.
func (c *chunkReader) read() (message, error) {
	for {
		s, err := c.header()
		if err != nil {
			return message{}, err
		}
		if err := c.data(s); err != nil {
			return message{}, err
		}
		if len(s.body) == s.length {
			c.drop(s)
			return message{typ: s.typ, streamID: s.streamID, time: s.time, body: s.body}, nil
		}
	}
}

// header reads a chunk's headers and opens a message if none is unfinished.
func (c *chunkReader) header() (*chunkStream, error) {
	first, err := c.r.ReadByte()
	if err != nil {
		return nil, err
	}
	id, err := c.identifier(first)
	if err != nil {
		return nil, err
	}
	s, known, err := c.stream(id)
	if err != nil {
		return nil, err
	}
	format := first >> 6
	// A first chunk of fmt 1 with no message before it comes from real encoders and is harmless: fields start at 0.
	if !known && format >= 2 {
		return nil, fmt.Errorf("%w: fmt %d on chunk stream %d, which has no message to refer to", errChunk, format, id)
	}
	if format == 3 {
		return s, c.continues(s)
	}
	return s, c.opens(s, format)
}

func (c *chunkReader) identifier(first byte) (uint32, error) {
	id := uint32(first & 63)
	if id >= 2 {
		return id, nil
	}
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	if id == 0 {
		return 64 + uint32(b), nil
	}
	high, err := c.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	return 64 + uint32(b) + uint32(high)<<8, nil
}

// stream finds a chunk stream or makes it.
func (c *chunkReader) stream(id uint32) (s *chunkStream, known bool, err error) {
	if c.last != nil && c.last.id == id {
		return c.last, true, nil
	}
	for _, s := range c.streams {
		if s.id == id {
			c.last = s
			return s, true, nil
		}
	}
	if len(c.streams) >= c.limits.streams {
		return nil, false, fmt.Errorf("%w: more than %d chunk streams", errLimit, c.limits.streams)
	}
	s = &chunkStream{id: id}
	c.streams = append(c.streams, s)
	c.last = s
	return s, false, nil
}

// opens reads a header of fmt 0, 1 or 2. In the middle of a message it begins another, as encoders do that were
// interrupted; the unfinished one is lost.
func (c *chunkReader) opens(s *chunkStream, format byte) error {
	size := [3]int{11, 7, 3}[format]
	h, err := c.r.Peek(size)
	if err != nil {
		return cut(err)
	}
	c.drop(s)
	field := uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
	if format <= 1 {
		s.length = int(h[3])<<16 | int(h[4])<<8 | int(h[5])
		s.typ = h[6]
	}
	if format == 0 {
		s.streamID = binary.LittleEndian.Uint32(h[7:])
	}
	if _, err := c.r.Discard(size); err != nil {
		return cut(err)
	}
	s.ext = field == noTime
	if s.ext {
		h, err := c.r.Peek(4)
		if err != nil {
			return cut(err)
		}
		field = binary.BigEndian.Uint32(h)
		s.extTime = field
		if _, err := c.r.Discard(4); err != nil {
			return cut(err)
		}
	}
	s.delta = field
	if format == 0 {
		s.time = field
	} else {
		s.time += field
	}
	return c.begin(s)
}

// continues reads what follows a header of fmt 3: the rest of a message, or a message like the one before, one delta
// later (RTMP 1.0 5.3.1.2.4).
func (c *chunkReader) continues(s *chunkStream) error {
	if s.ext {
		if err := c.skipRepeated(s.extTime); err != nil {
			return err
		}
	}
	if s.open {
		return nil
	}
	s.time += s.delta
	return c.begin(s)
}

// skipRepeated passes over an extended time if it is repeated here, on which encoders differ. Data that equals it by
// chance is rarer than either kind of encoder. It looks at no more bytes than it takes to tell, since there may be no
// more for a while: the end of a message may be shorter than the time.
func (c *chunkReader) skipRepeated(time uint32) error {
	var want [4]byte
	binary.BigEndian.PutUint32(want[:], time)
	for i := range want {
		h, err := c.r.Peek(i + 1)
		if err != nil {
			return cut(err)
		}
		if h[i] != want[i] {
			return nil
		}
	}
	_, err := c.r.Discard(len(want))
	return cut(err)
}

// begin opens a message.
func (c *chunkReader) begin(s *chunkStream) error {
	if s.length > c.limits.message {
		return fmt.Errorf("%w: a message of %d bytes, at most %d are taken", errLimit, s.length, c.limits.message)
	}
	if cap(s.body) > keepBody && s.length < cap(s.body)/4 {
		c.release(s)
	}
	s.body = s.body[:0]
	s.open = true
	return nil
}

// data reads a chunk's share of the message. The buffer grows with what has come, not with what was promised.
func (c *chunkReader) data(s *chunkStream) error {
	n := min(s.length-len(s.body), c.size)
	if c.pending+n > c.limits.pending {
		return fmt.Errorf("%w: more than %d bytes of unfinished messages", errLimit, c.limits.pending)
	}
	for n > 0 {
		if len(s.body) == cap(s.body) {
			c.grow(s)
		}
		part := s.body[len(s.body):min(cap(s.body), len(s.body)+n)]
		if _, err := io.ReadFull(c.r, part); err != nil {
			return cut(err)
		}
		s.body = s.body[:len(s.body)+len(part)]
		c.pending += len(part)
		n -= len(part)
	}
	return nil
}

// grow makes room for more of a message, at the cost of buffers that lie idle.
func (c *chunkReader) grow(s *chunkStream) {
	size := min(s.length, max(firstGrowth, 2*cap(s.body)))
	if c.held+size > c.limits.pending {
		for _, o := range c.streams {
			if !o.open {
				c.release(o)
			}
		}
	}
	c.held += size - cap(s.body)
	grown := make([]byte, len(s.body), size)
	copy(grown, s.body)
	s.body = grown
}

func (c *chunkReader) release(s *chunkStream) {
	c.held -= cap(s.body)
	s.body = nil
}

// cut makes an end in the middle of a message an unexpected one.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
