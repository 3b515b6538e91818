package load

import (
	"encoding/binary"
	"io"
)

// ChunkWriter writes RTMP messages as chunks (RTMP 1.0 5.3.1), each message in one write. Timestamps go out as they are told,
// wrapped and extended ones too. It is for one goroutine at a time; W must be set.
//
//	basic header   fmt(2) chunk stream(6)
//	fmt 0          time(24) length(24) type(8) message stream(32, little endian) [extended time(32)]
//	fmt 1          delta(24) length(24) type(8)
//	fmt 3          [extended time(32)], for the rest of a message
type ChunkWriter struct {
	W io.Writer
	// Size is the chunk size in bytes, as the peer knows it; 0 is 128, with which all connections begin (5.4.1).
	Size int
	// Absolute has every message carry its whole time, as some encoders do, instead of the difference to the one before.
	Absolute bool

	last map[byte]uint32 // time of the last message by chunk stream
}

const (
	firstChunkSize = 128
	extended       = 0xFFFFFF
)

// Write sends a message with a time in ms.
func (c *ChunkWriter) Write(typ byte, stream uint32, at uint32, body []byte) error {
	if c.last == nil {
		c.last = map[byte]uint32{}
	}
	size := c.Size
	if size == 0 {
		size = firstChunkSize
	}
	cs := 3 + typ%8
	before, known := c.last[cs]
	c.last[cs] = at
	var b []byte
	long := false
	if delta := at - before; known && !c.Absolute && delta < extended {
		b = append(b, 1<<6|cs, byte(delta>>16), byte(delta>>8), byte(delta))
	} else {
		long = at >= extended
		short := min(at, extended)
		b = append(b, cs, byte(short>>16), byte(short>>8), byte(short))
	}
	n := len(body)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), typ)
	if b[0]>>6 == 0 {
		b = binary.LittleEndian.AppendUint32(b, stream)
	}
	for first := true; first || len(body) > 0; first = false {
		if !first {
			b = append(b, 3<<6|cs)
		}
		if long {
			b = binary.BigEndian.AppendUint32(b, at)
		}
		k := min(len(body), size)
		b = append(b, body[:k]...)
		body = body[k:]
	}
	_, err := c.W.Write(b)
	return err
}
