package webhooks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

const (
	recordHead = 12 // bytes in front of a payload
	// maxRecord is the longest payload, in bytes: a body, and what is known of it.
	maxRecord = maxBody + 4<<10
	kindEvent = 1
	kindTold  = 2
)

var (
	recordMagic = []byte("pwq1")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// eventRecord is an event as the queue has it:
//
//	1 byte   1
//	8 bytes  sequence
//	8 bytes  when it happened, in milliseconds since 1970
//	1 byte   how many targets are to be told, then 8 bytes for each
//	1 byte   length of the type, and the type; the stream's name and the identifier in the same way
//	the rest is the body
//
// All numbers are little-endian.
type eventRecord struct {
	seq             uint64
	at              time.Time
	keys            []key
	typ, stream, id string
	body            []byte
}

// toldRecord says that a target needs to hear of an event no more:
//
//	1 byte   2
//	8 bytes  sequence
//	8 bytes  target
type toldRecord struct {
	seq uint64
	key key
}

// appendRecord writes a record behind b, whose payload f appends.
func appendRecord(b []byte, f func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, recordMagic...)
	b = append(b, make([]byte, recordHead-len(recordMagic))...)
	b = f(b)
	payload := b[at+recordHead:]
	binary.LittleEndian.PutUint32(b[at+4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[at+8:], recordSum(b[at+4:at+8], payload))
	return b
}

func recordSum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, length), castagnoli, payload)
}

func (r *eventRecord) append(b []byte) []byte {
	b = append(b, kindEvent)
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.at.UnixMilli()))
	b = append(b, byte(len(r.keys)))
	for _, k := range r.keys {
		b = append(b, k[:]...)
	}
	for _, s := range []string{r.typ, r.stream, r.id} {
		s = s[:min(len(s), 255)]
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return append(b, r.body...)
}

func (r *toldRecord) append(b []byte) []byte {
	b = append(b, kindTold)
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	return append(b, r.key[:]...)
}

var errRecord = errors.New("the record cannot be read")

// recordReader reads a payload, with an error that stays.
type recordReader struct {
	b   []byte
	bad bool
}

func (r *recordReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *recordReader) byte() int    { return int(r.take(1)[0]) }
func (r *recordReader) long() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *recordReader) text() string { return string(r.take(r.byte())) }

// parseRecord reads a payload: one of the two is not nil unless there is an error. The body is the payload's.
func parseRecord(payload []byte) (*eventRecord, *toldRecord, error) {
	r := recordReader{b: payload}
	switch r.byte() {
	case kindEvent:
		e := &eventRecord{seq: r.long(), at: time.UnixMilli(int64(r.long()))}
		n := r.byte()
		for range n {
			e.keys = append(e.keys, key(r.take(8)))
		}
		e.typ, e.stream, e.id = r.text(), r.text(), r.text()
		e.body = r.b
		if r.bad || n > MaxTargets || len(e.body) == 0 || len(e.body) > maxBody {
			return nil, nil, errRecord
		}
		return e, nil, nil
	case kindTold:
		t := &toldRecord{seq: r.long(), key: key(r.take(8))}
		if r.bad || len(r.b) > 0 {
			return nil, nil, errRecord
		}
		return nil, t, nil
	}
	return nil, nil, errRecord
}

// readRecord returns the payload of the record at the beginning of b.
func readRecord(b []byte) (payload []byte, ok bool) {
	if len(b) < recordHead || !bytes.Equal(b[:4], recordMagic) {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n == 0 || n > maxRecord || int(n) > len(b)-recordHead {
		return nil, false
	}
	payload = b[recordHead : recordHead+int(n)]
	return payload, binary.LittleEndian.Uint32(b[8:]) == recordSum(b[4:8], payload)
}

// scan calls f with each whole record in b and where it stands, and returns how many bytes were none.
func scan(b []byte, f func(at int, payload []byte)) (damaged int) {
	for at := 0; at < len(b); {
		if payload, ok := readRecord(b[at:]); ok {
			f(at, payload)
			at += recordHead + len(payload)
			continue
		}
		next := bytes.Index(b[at+1:], recordMagic)
		if next < 0 {
			return damaged + len(b) - at
		}
		damaged += next + 1
		at += next + 1
	}
	return damaged
}
