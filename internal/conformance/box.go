package conformance

import (
	"encoding/binary"
	"fmt"
)

// maxBoxes bounds the boxes of one container; a live part has a handful.
const maxBoxes = 4096

// box is one box of ISO/IEC 14496-12 section 4.2.
type box struct {
	kind   string
	offset int // of its header within the bytes that were split
	size   int // with its header
	body   []byte
}

// splitBoxes takes data apart into boxes. Data that is not whole boxes is an error, with the boxes before it.
func splitBoxes(data []byte) ([]box, error) {
	var out []box
	for at := 0; at < len(data); {
		rest := data[at:]
		if len(rest) < 8 {
			return out, fmt.Errorf("%d bytes at %d are no box header", len(rest), at)
		}
		size, header := uint64(binary.BigEndian.Uint32(rest)), 8
		kind := string(rest[4:8])
		if size == 1 {
			if len(rest) < 16 {
				return out, fmt.Errorf("%q at %d ends within its header", kind, at)
			}
			size, header = binary.BigEndian.Uint64(rest[8:]), 16
		}
		if size < uint64(header) || size > uint64(len(rest)) {
			return out, fmt.Errorf("%q at %d claims %d bytes of %d", kind, at, size, len(rest))
		}
		if len(out) == maxBoxes {
			return out, fmt.Errorf("more than %d boxes", maxBoxes)
		}
		out = append(out, box{kind, at, int(size), rest[header:size]})
		at += int(size)
	}
	return out, nil
}

// child finds the first box of a kind within a container's body, and how many there are.
func child(body []byte, kind string) (b box, n int) {
	all, _ := splitBoxes(body) // what is damaged is not found
	for _, c := range all {
		if c.kind == kind {
			if n == 0 {
				b = c
			}
			n++
		}
	}
	return b, n
}

// descend follows a path of first children.
func descend(body []byte, path ...string) (box, bool) {
	var b box
	for _, kind := range path {
		var n int
		if b, n = child(body, kind); n == 0 {
			return box{}, false
		}
		body = b.body
	}
	return b, true
}

// fields reads big-endian numbers and remembers that it ran out.
type fields struct {
	data  []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || len(f.data) < n {
		f.short, f.data = true, nil
		return nil
	}
	out := f.data[:n]
	f.data = f.data[n:]
	return out
}

func (f *fields) uint(n int) uint64 {
	var v uint64
	for _, b := range f.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (f *fields) u8() int     { return int(f.uint(1)) }
func (f *fields) u16() int    { return int(f.uint(2)) }
func (f *fields) u32() uint32 { return uint32(f.uint(4)) }
func (f *fields) u64() uint64 { return f.uint(8) }
func (f *fields) full() (v int, flags uint32) {
	x := f.u32()
	return int(x >> 24), x & 0xffffff
}
