package nut

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// frameHeader is what a frame's header says (nut.txt, frame).
type frameHeader struct {
	flags uint64
	pts   int64
	size  uint64 // with what is left out
	head  []byte // what is left out
}

// readFrame reads a frame behind its code.
func (r *Reader) readFrame(code byte) (Frame, error) {
	if !r.synced {
		return Frame{}, errors.New("NUT frame: there was no syncpoint before it")
	}
	h, err := r.readFrameHeader(code)
	if err != nil {
		return Frame{}, within("frame header", err)
	}
	r.last = h.pts
	body, err := r.readPayload(h)
	if err != nil {
		return Frame{}, within("frame", err)
	}
	return Frame{PTS: h.pts, Key: h.flags&flagKey != 0, Payload: body}, nil
}

// readFrameHeader reads a frame's header behind its code.
func (r *Reader) readFrameHeader(code byte) (frameHeader, error) {
	c := &r.layout.codes[code]
	r.crc = updateCRC(0, []byte{code})
	h := frameHeader{flags: c.flags}
	if h.flags&flagInvalid != 0 {
		return h, fmt.Errorf("code %#x is not valid", code)
	}
	in := headerReader{r: r}
	if h.flags&flagCoded != 0 {
		h.flags ^= in.v()
	}
	stream := c.stream
	if h.flags&flagStreamID != 0 {
		stream = in.v()
	}
	h.pts = r.last + c.pts
	if h.flags&flagCodedPTS != 0 {
		h.pts = r.fullPTS(in.v())
	}
	h.size = c.lsb
	if h.flags&flagSizeMSB != 0 {
		h.size += c.mul * min(in.v(), uint64(r.maxFrame)+1)
	}
	if h.flags&flagMatchTime != 0 {
		in.v()
	}
	header := c.header
	if h.flags&flagHeaderIdx != 0 {
		header = in.v()
	}
	in.skipReserved(h.flags, c.reserved)
	if in.err != nil {
		return h, in.err
	}
	if stream != 0 || header >= uint64(len(r.layout.elided)) {
		return h, errShort
	}
	if h.size <= elideLimit {
		h.head = r.layout.elided[header]
	}
	return h, r.checkHeader(h)
}

// checkHeader checks what a frame's header says, and its checksum where it has one. A large frame, and one far from the
// frame before, must have one (nut.txt, flags); pipe mode needs none for size.
func (r *Reader) checkHeader(h frameHeader) error {
	if distance(h.pts, 0) > maxTime {
		return fmt.Errorf("a PTS of %d", h.pts)
	}
	if h.size > uint64(r.maxFrame) {
		return fmt.Errorf("a frame of %d bytes; the limit is %d", h.size, r.maxFrame)
	}
	if h.size < uint64(len(h.head)) || h.flags&flagEOR != 0 && h.size != 0 {
		return errShort
	}
	if h.flags&flagChecksum != 0 {
		return r.checksum()
	}
	if !r.layout.pipe && h.size > 2*r.layout.maxDistance {
		return fmt.Errorf("a frame of %d bytes without a checksum", h.size)
	}
	if distance(h.pts, r.last) > r.layout.maxJump {
		return fmt.Errorf("a step from %d to %d without a checksum", r.last, h.pts)
	}
	return nil
}

// fullPTS makes a timestamp of what is stored (nut.txt, coded_pts). What does not fit becomes one that is out of bounds.
func (r *Reader) fullPTS(coded uint64) int64 {
	first := uint64(1) << r.layout.shift
	if coded < first {
		return lsbPTS(coded, r.layout.shift, r.last)
	}
	return int64(min(coded-first, maxTime+1))
}

// readPayload reads a frame's payload, puts before it what was left out, and takes off side data.
func (r *Reader) readPayload(h frameHeader) ([]byte, error) {
	head, size := len(h.head), int(h.size)
	r.payload = append(r.payload[:0], h.head...)
	for len(r.payload) < size {
		have := len(r.payload)
		next := min(size, max(cap(r.payload), 2*have, firstPayload))
		r.payload = slices.Grow(r.payload, next-have)[:next]
		if _, err := io.ReadFull(r.in, r.payload[have:]); err != nil {
			return nil, err
		}
	}
	if h.flags&flagSideData == 0 {
		return r.payload, nil
	}
	f := fields{b: r.payload[head:]}
	f.skipSideData()
	if f.bad {
		return nil, errShort
	}
	start := size - len(f.b) - head
	copy(r.payload[start:], h.head)
	return r.payload[start:], nil
}

// headerReader reads the fields of a frame's header. Its error is sticky.
type headerReader struct {
	r   *Reader
	err error
}

// v reads a variable length value, 0 after an error.
func (h *headerReader) v() uint64 {
	if h.err != nil {
		return 0
	}
	var v uint64
	v, h.err = h.r.v()
	return v
}

// skipReserved passes over reserved fields: as many as the frame's code says, unless the header does.
func (h *headerReader) skipReserved(flags, n uint64) {
	if flags&flagReserved != 0 {
		n = h.v()
	}
	if n > maxReserved {
		h.err = errShort
	}
	for ; n > 0 && h.err == nil; n-- {
		h.v()
	}
}
