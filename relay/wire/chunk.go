package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Limits of media.
const (
	// MaxChunk is how many bytes of media a chunk has at most.
	MaxChunk = 64 << 10
	// MaxPart is the size of the largest part in bytes.
	MaxPart = 64 << 20
	// MaxParts is how many parts a segment has at most.
	MaxParts = 4096
	// MaxInit is the size of the largest initialisation section in bytes, and maxName the length of its name, as of all names.
	MaxInit = 512 << 10
	maxName = 255
)

// Chunk is a stretch of a part's media. Without FlagBackfill it is of the part that comes with the next step; when Offset is
// 0 the part begins, also when chunks of it came before: those are void then. The layout:
//
//	gen i64 | msn i64 | part u32 | size u32 | offset u32 | media
type Chunk struct {
	// Gen, MSN and Part are the part's position.
	Gen, MSN int64
	Part     int
	// Size of the whole part in bytes, and where in it Data begins.
	Size, Offset int
	// Data is not empty. As parsed it is valid until the next record is read.
	Data []byte
}

const chunkHead = 8 + 8 + 4 + 4 + 4

// AppendChunkHead appends what stands in front of the chunk's Data in the log: Data follow as they are, and then
// ChunkSum's four bytes. So the media need not be copied. Data are MaxChunk at most.
func AppendChunkHead(b []byte, c *Chunk, flags uint8) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(chunkHead+len(c.Data)))
	b = append(b, byte(TypeChunk), flags, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Gen))
	b = binary.BigEndian.AppendUint64(b, uint64(c.MSN))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Part))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Size))
	return binary.BigEndian.AppendUint32(b, uint32(c.Offset))
}

// AppendChunkSum appends the checksum of a chunk whose head AppendChunkHead has made.
func AppendChunkSum(b, head, data []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, data))
}

// AppendChunk appends a chunk's record. The error is ErrTooLong.
func AppendChunk(b []byte, c *Chunk, flags uint8) ([]byte, error) {
	if len(c.Data) > MaxChunk {
		return b, fmt.Errorf("%w: a chunk of %d bytes, of %d", ErrTooLong, len(c.Data), MaxChunk)
	}
	from := len(b)
	b = append(AppendChunkHead(b, c, flags), c.Data...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli)), nil
}

// ParseChunk reads a chunk, whose Data lie within the payload.
func ParseChunk(payload []byte) (Chunk, error) {
	if len(payload) <= chunkHead {
		return Chunk{}, fmt.Errorf("%w: a chunk of %d bytes has no media", ErrMalformed, len(payload))
	}
	c := Chunk{
		Gen: int64(binary.BigEndian.Uint64(payload)), MSN: int64(binary.BigEndian.Uint64(payload[8:])),
		Part: int(binary.BigEndian.Uint32(payload[16:])), Size: int(binary.BigEndian.Uint32(payload[20:])),
		Offset: int(binary.BigEndian.Uint32(payload[24:])), Data: payload[chunkHead:],
	}
	switch {
	case len(c.Data) > MaxChunk || c.Size > MaxPart || c.Part >= MaxParts:
		return Chunk{}, fmt.Errorf("%w: a chunk of %d bytes, of part %d with %d", ErrTooLong, len(c.Data), c.Part, c.Size)
	case c.Gen < 0 || c.MSN < 0 || c.Offset+len(c.Data) > c.Size:
		return Chunk{}, fmt.Errorf("%w: a chunk from %d with %d bytes, of a part with %d", ErrMalformed, c.Offset, len(c.Data), c.Size)
	}
	return c, nil
}

// Init is an initialisation section. The layout: length of the name, name, data.
type Init struct {
	// Name is made of the data's hash, which the receiver verifies.
	Name string
	Data []byte
}

// AppendInit appends the record. The error is ErrTooLong.
func AppendInit(b []byte, i *Init) ([]byte, error) {
	if len(i.Name) > maxName || len(i.Data) > MaxInit {
		return b, fmt.Errorf("%w: an initialisation section of %d bytes, of %d", ErrTooLong, len(i.Data), MaxInit)
	}
	from := len(b)
	return finish(append(appendText(begin(b, TypeInit, 0), i.Name), i.Data...), from)
}

// ParseInit reads an initialisation section; it has memory of its own.
func ParseInit(payload []byte) (*Init, error) {
	p := parser{b: payload}
	i := &Init{Name: p.text(maxName, "the section's name")}
	if p.err != nil {
		return nil, p.err
	}
	if len(p.b) > MaxInit || i.Name == "" {
		return nil, fmt.Errorf("%w: an initialisation section of %d bytes, of %d", ErrTooLong, len(p.b), MaxInit)
	}
	i.Data = append([]byte(nil), p.b...)
	return i, nil
}
