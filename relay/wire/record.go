package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Type of a record.
type Type uint8

// The types of records.
const (
	TypeHello Type = 1  // JSON: Hello
	TypeView  Type = 2  // JSON: View
	TypeState Type = 3  // State
	TypeInit  Type = 4  // Init
	TypeChunk Type = 5  // Chunk
	TypeStep  Type = 6  // Step
	TypeCard  Type = 7  // JSON: Card
	TypePing  Type = 8  // Ping
	TypeBye   Type = 9  // JSON: Bye
	TypeDesk  Type = 10 // what the stream's cards are continued from at another node, opaque
)

// Flags of records. Each belongs to one type.
const (
	// FlagBackfill of a chunk: it is of a part that was announced before, by a state or a step.
	FlagBackfill uint8 = 1
	// FlagMore of a state: the next record has more segments of the same state.
	FlagMore uint8 = 1
	// FlagMoreDesk of a desk: the next record goes on with the same snapshot, which is MaxDesk long at most.
	FlagMoreDesk uint8 = 1
	// FlagAbsent of a step: its part has media, which did not come in front of it; they follow as backfill.
	FlagAbsent uint8 = 1
)

// Limits of what a peer may send.
const (
	// MaxPayload is the greatest length of a record's payload in bytes.
	MaxPayload = 1 << 20
	// MaxDesk is the length of the longest snapshot of a desk in bytes, in all its records.
	MaxDesk = 16 << 20
	// HeadSize and SumSize are what a record has in front of its payload and behind it, in bytes.
	HeadSize = 8
	SumSize  = 4
)

// Errors of reading a log. After any of them the log is of no more use.
var (
	// ErrChecksum: a record was garbled.
	ErrChecksum = errors.New("a record's checksum is wrong")
	// ErrTooLong: a record or something in it is longer than the limits of this package allow.
	ErrTooLong = errors.New("a record is too long")
	// ErrMalformed: a record is whole, but is not what its type says.
	ErrMalformed = errors.New("a record is malformed")
)

// Record is one record as it was read.
type Record struct {
	Type  Type
	Flags uint8
	// Payload is valid until the next one is read.
	Payload []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// begin appends a record's head, whose length finish fills in.
func begin(b []byte, t Type, flags uint8) []byte {
	return append(b, 0, 0, 0, 0, byte(t), flags, 0, 0)
}

// finish completes the record that began at from.
func finish(b []byte, from int) ([]byte, error) {
	n := len(b) - from - HeadSize
	if n > MaxPayload {
		return b[:from], fmt.Errorf("%w: type %d with %d bytes, of %d", ErrTooLong, b[from+4], n, MaxPayload)
	}
	binary.BigEndian.PutUint32(b[from:], uint32(n))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli)), nil
}

// AppendRecord appends a record with a payload as it is. The error is ErrTooLong, and then nothing is appended.
func AppendRecord(b []byte, t Type, flags uint8, payload []byte) ([]byte, error) {
	from := len(b)
	return finish(append(begin(b, t, flags), payload...), from)
}

// deskRecord is how many bytes of a desk's snapshot go into one record.
const deskRecord = MaxPayload / 2

// AppendDesk appends a desk's snapshot, in as many records as it takes. The error is ErrTooLong.
func AppendDesk(b, desk []byte) ([]byte, error) {
	if len(desk) > MaxDesk {
		return b, fmt.Errorf("%w: a desk's snapshot of %d bytes, of %d", ErrTooLong, len(desk), MaxDesk)
	}
	for len(desk) > deskRecord {
		b, _ = AppendRecord(b, TypeDesk, FlagMoreDesk, desk[:deskRecord])
		desk = desk[deskRecord:]
	}
	return AppendRecord(b, TypeDesk, 0, desk)
}

// leastBuffer holds any chunk, so that a log of media never makes a Reader's buffer grow.
const leastBuffer = HeadSize + chunkHead + MaxChunk + SumSize + 4096

// Reader reads records. It is for one goroutine.
type Reader struct {
	from     io.Reader
	buf      []byte
	at, end  int   // of what is in buf and not yet taken
	err      error // of reading
	bad      error // of what was read
	received int64
}

// NewReader makes a reader of a log.
func NewReader(r io.Reader) *Reader { return &Reader{from: r, buf: make([]byte, leastBuffer)} }

// Received is how many bytes were read so far.
func (r *Reader) Received() int64 { return r.received }

// Next returns the next record, whose checksum holds. Its errors are those of the package, io.EOF at the end between two
// records, io.ErrUnexpectedEOF within one, and those of the reader underneath; they stay.
func (r *Reader) Next() (Record, error) {
	if r.bad != nil {
		return Record{}, r.bad
	}
	if !r.fill(HeadSize) {
		return Record{}, r.err
	}
	head := r.buf[r.at : r.at+HeadSize]
	n := int(binary.BigEndian.Uint32(head))
	if n > MaxPayload {
		r.bad = fmt.Errorf("%w: type %d claims %d bytes, of %d", ErrTooLong, head[4], n, MaxPayload)
		return Record{}, r.bad
	}
	if head[6]|head[7] != 0 {
		r.bad = fmt.Errorf("%w: its reserved bytes are not zero", ErrMalformed)
		return Record{}, r.bad
	}
	if !r.fill(HeadSize + n + SumSize) {
		return Record{}, r.err
	}
	whole := r.buf[r.at : r.at+HeadSize+n]
	sum := binary.BigEndian.Uint32(r.buf[r.at+HeadSize+n:])
	if crc32.Checksum(whole, castagnoli) != sum {
		r.bad = fmt.Errorf("%w: type %d, %d bytes", ErrChecksum, whole[4], n)
		return Record{}, r.bad
	}
	r.at += HeadSize + n + SumSize
	return Record{Type: Type(whole[4]), Flags: whole[5], Payload: whole[HeadSize:]}, nil
}

// fill reads until n bytes are there. The buffer grows with what has come, not with what was claimed.
func (r *Reader) fill(n int) bool {
	for r.end-r.at < n {
		if r.err != nil {
			if r.err == io.EOF && r.end > r.at {
				r.err = io.ErrUnexpectedEOF
			}
			return false
		}
		if r.at == r.end {
			r.at, r.end = 0, 0
		}
		if r.at+n > len(r.buf) && r.at > 0 {
			r.end = copy(r.buf, r.buf[r.at:r.end])
			r.at = 0
		}
		if r.end == len(r.buf) {
			larger := make([]byte, min(2*len(r.buf), HeadSize+MaxPayload+SumSize))
			copy(larger, r.buf[:r.end])
			r.buf = larger
		}
		got, err := r.from.Read(r.buf[r.end:])
		r.end += got
		r.received += int64(got)
		r.err = err
	}
	return true
}
