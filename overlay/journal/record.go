package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	// MaxRecord is the longest payload of a record, in bytes.
	MaxRecord = 4 << 20
	// MaxFile is the largest file that Open reads, in bytes; Append lets none become larger.
	MaxFile = 512 << 20

	version     = 1
	headerSize  = 12
	recordSize  = 8 // of what stands in front of a payload
	maxScanWork = 64 << 20
)

var (
	magic      = []byte("pushcart")
	header     = binary.LittleEndian.AppendUint32(bytes.Clone(magic), version)
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// appendRecord writes one record behind b.
func appendRecord(b, payload []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, sum(b[at:at+4], payload))
	return append(b, payload...)
}

func sum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, length), castagnoli, payload)
}

// first returns the payload of the record at the beginning of b; ok is false when no whole one is there.
func first(b []byte) (payload []byte, ok bool) {
	n, ok := lengthOf(b)
	if !ok || n > len(b)-recordSize {
		return nil, false
	}
	payload = b[recordSize : recordSize+n : recordSize+n]
	return payload, binary.LittleEndian.Uint32(b[4:]) == sum(b[:4], payload)
}

// lengthOf is the length of the payload that b's first four bytes claim; ok is false when no record has that length.
func lengthOf(b []byte) (n int, ok bool) {
	if len(b) < recordSize {
		return 0, false
	}
	n64 := binary.LittleEndian.Uint32(b)
	return int(n64), n64 > 0 && n64 <= MaxRecord
}

// replay returns the payloads of the whole records in b and the length of what they take up.
func replay(b []byte) (payloads [][]byte, good int) {
	for {
		payload, ok := first(b[good:])
		if !ok {
			return payloads, good
		}
		payloads = append(payloads, payload)
		good += recordSize + len(payload)
	}
}

// torn tells whether rest, which does not begin with a whole record, is what an append that was cut short leaves behind
// and nothing else: a record of which the end is missing, or blocks that the file system had room for but never wrote.
// A whole record further on, or a whole length with the wrong sum, means that the disk has damaged what was once good.
func torn(rest []byte) bool {
	if len(bytes.Trim(rest, "\x00")) == 0 {
		return true
	}
	if n, ok := lengthOf(rest); len(rest) >= recordSize && (!ok || n <= len(rest)-recordSize) {
		return false
	}
	work := 0
	for at := 1; at < len(rest); at++ {
		n, ok := lengthOf(rest[at:])
		if !ok || n > len(rest)-at-recordSize {
			continue
		}
		if _, ok := first(rest[at:]); ok {
			return false
		}
		if work += n; work > maxScanWork {
			return false // too much to search through: what cannot be judged is kept
		}
	}
	return true
}
