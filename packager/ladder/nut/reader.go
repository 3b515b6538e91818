package nut

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	readBuffer   = 32 << 10 // bytes
	firstPayload = 64 << 10 // bytes that are set aside before any of a payload are there
	maxSkipped   = 64 << 20 // bytes of a packet that is not kept, such as an index
	maxTime      = 1 << 62  // ticks
)

// Reader reads a file of one stream: what AppendHeader and Writer make, and what ffmpeg's muxer does, in versions 3 and 4.
// It never reads beyond a frame before it returns it. After an error, it returns that error for good: a pipe loses nothing,
// so what does not fit is not looked behind. It is for one goroutine.
type Reader struct {
	in       *bufio.Reader
	maxFrame int

	err    error // sticky
	opened bool  // headers were read
	stream Stream
	layout layout

	synced  bool   // a syncpoint was read
	last    int64  // last_pts
	crc     uint32 // of what was read since it was set to 0
	word    [8]byte
	packet  []byte // the packet in hand
	payload []byte // the frame in hand
}

// NewReader makes a Reader of r. maxFrame bounds a frame's payload in bytes, with side data; a larger one is an error.
func NewReader(r io.Reader, maxFrame int) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, readBuffer), maxFrame: maxFrame}
}

// Stream returns the description of the stream. It reads the headers where they were not read. Its error is io.EOF when
// there is not a single byte.
func (r *Reader) Stream() (Stream, error) {
	if !r.opened && r.err == nil {
		r.opened = true
		r.err = r.open()
	}
	if r.stream.Rate == 0 {
		return Stream{}, r.err
	}
	return r.stream, nil
}

// Next returns the next frame, in the order of decoding. Its payload is lent until the next call. Frames without payload
// are left out. The error is io.EOF when the file ends between frames.
func (r *Reader) Next() (Frame, error) {
	if _, err := r.Stream(); err != nil {
		return Frame{}, err
	}
	for r.err == nil {
		f, err := r.next()
		if err != nil {
			r.err = err
		} else if len(f.Payload) > 0 {
			return f, nil
		}
	}
	return Frame{}, r.err
}

// open reads the file id, the main header and the stream header.
func (r *Reader) open() error {
	r.packet = slices.Grow(r.packet[:0], len(fileID))[:len(fileID)]
	if n, err := io.ReadFull(r.in, r.packet); err != nil && n == 0 {
		return err
	} else if err != nil {
		return within("file id", err)
	}
	if string(r.packet) != fileID {
		return errors.New("not a NUT file: it begins otherwise")
	}
	if err := r.readHeader("main header", mainStart, r.layout.readMain); err != nil {
		return err
	}
	return r.readHeader("stream header", streamStart, func(body []byte) (err error) {
		r.stream, err = r.layout.readStream(body)
		return err
	})
}

// readHeader reads packets up to the one with the given startcode, and that one with parse.
func (r *Reader) readHeader(name string, want uint64, parse func(body []byte) error) error {
	for {
		first, err := r.in.ReadByte()
		if err != nil {
			return within(name, err)
		}
		code, err := r.startcode(first)
		if err != nil {
			return err
		}
		if code == want {
			body, err := r.readPacket(name, code)
			if err != nil {
				return err
			}
			return within(name, parse(body))
		}
		if known(code) {
			return fmt.Errorf("NUT %s: there is another packet in its place", name)
		}
		if err := r.skipPacket(code); err != nil {
			return err
		}
	}
}

// known tells whether a packet's place in the file is fixed.
func known(code uint64) bool {
	switch code {
	case mainStart, streamStart, syncStart, indexStart, infoStart:
		return true
	}
	return false
}

// next reads one packet or frame. A packet is no error, and no payload.
func (r *Reader) next() (Frame, error) {
	first, err := r.in.ReadByte()
	if err != nil {
		return Frame{}, err
	}
	if first != 'N' {
		return r.readFrame(first)
	}
	code, err := r.startcode(first)
	if err != nil {
		return Frame{}, err
	}
	if code == syncStart {
		return Frame{}, r.readSyncpoint()
	}
	return Frame{}, r.skipPacket(code)
}

// readSyncpoint reads a syncpoint (nut.txt, syncpoint). ffmpeg writes a time before 0 as what it is in two's complement.
func (r *Reader) readSyncpoint() error {
	body, err := r.readPacket("syncpoint", syncStart)
	if err != nil {
		return err
	}
	f := fields{b: body}
	t, n := int64(f.v()), int64(len(r.layout.bases))
	f.v() // back_ptr
	id := (t%n + n) % n
	pts := (t - id) / n
	if f.bad || uint64(id) != r.layout.base || distance(pts, 0) > maxTime {
		return fmt.Errorf("NUT syncpoint: %w", errShort)
	}
	r.last, r.synced = pts, true
	return nil
}

// startcode reads the rest of a startcode.
func (r *Reader) startcode(first byte) (uint64, error) {
	if first != 'N' {
		return 0, fmt.Errorf("NUT: byte %#x where a startcode belongs", first)
	}
	r.word[0] = first
	if _, err := io.ReadFull(r.in, r.word[1:]); err != nil {
		return 0, within("startcode", err)
	}
	return binary.BigEndian.Uint64(r.word[:]), nil
}

// packetSize reads the header of a packet behind its startcode and returns the size of its body without the checksum.
func (r *Reader) packetSize(code uint64, limit int) (int, error) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], code)
	r.crc = updateCRC(0, b[:])
	size, err := r.v()
	if err != nil {
		return 0, err
	}
	if size < 4 || size > uint64(limit)+4 {
		return 0, fmt.Errorf("%d bytes; the limit is %d", size, limit)
	}
	if size > longPacket {
		if err := r.checksum(); err != nil {
			return 0, err
		}
	}
	return int(size) - 4, nil
}

// readPacket reads a packet behind its startcode. Its body is valid up to the next one.
func (r *Reader) readPacket(name string, code uint64) ([]byte, error) {
	size, err := r.packetSize(code, maxPacket)
	if err != nil {
		return nil, within(name, err)
	}
	r.packet = slices.Grow(r.packet[:0], size)[:size]
	if _, err = io.ReadFull(r.in, r.packet); err == nil {
		r.crc = updateCRC(0, r.packet)
		err = r.checksum()
	}
	return r.packet, within(name, err)
}

// skipPacket passes over a packet behind its startcode, but checks it.
func (r *Reader) skipPacket(code uint64) error {
	const name = "packet"
	size, err := r.packetSize(code, maxSkipped)
	if err != nil {
		return within(name, err)
	}
	r.packet = slices.Grow(r.packet[:0], longPacket)[:longPacket]
	r.crc = 0
	for size > 0 {
		part := r.packet[:min(size, longPacket)]
		if _, err := io.ReadFull(r.in, part); err != nil {
			return within(name, err)
		}
		r.crc = updateCRC(r.crc, part)
		size -= len(part)
	}
	return within(name, r.checksum())
}

// byte reads one byte and adds it to the checksum.
func (r *Reader) byte() (byte, error) {
	c, err := r.in.ReadByte()
	r.crc = r.crc<<8 ^ crcTable[byte(r.crc>>24)^c]
	return c, err
}

// maxStuffing is the number of bytes that a field may have in front for nothing (nut.txt, stuffing).
const maxStuffing = 8

// v reads a variable length value (nut.txt, v).
func (r *Reader) v() (uint64, error) {
	var v uint64
	for range maxStuffing + 10 {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		if v>>57 != 0 {
			break
		}
		v = v<<7 | uint64(c&0x7F)
		if c < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("a value of more than 64 bits")
}

// checksum reads a checksum and compares it with that of what was read.
func (r *Reader) checksum() error {
	want := r.crc
	var got uint32
	for range 4 {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		got = got<<8 | uint32(c)
	}
	if got != want {
		return errors.New("the checksum does not fit")
	}
	return nil
}

// within says where in a file err was met. The end of a file is not the end of what it is in the middle of.
func within(what string, err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("NUT %s: %w", what, err)
}
