package codec

import (
	"bytes"
	"math"
)

// userDataUUID marks the SEI messages of ours, 9f3c1b52-6e0d-4a57-8c1e-70757368cafe. A message is user_data_unregistered
// (ITU-T H.264 D.1.7, H.265 D.2.7), and what follows the UUID is one command as JSON text in UTF-8:
//
//	NAL unit header: 06 (H.264), 4e 01 or 50 01 (H.265: prefix or suffix SEI)
//	payload type 05, payload size (ff for each 255, then the rest), UUID(128), JSON text, 80
//
// Zero bytes behind the text are passed over: some muxers, ffmpeg's h264_metadata among them, end it like a string of C.
// The message belongs to the picture of its access unit. The UUID begins with a byte above 3 and has no zero in it, so that no
// emulation prevention byte ever stands before or within it: it can be searched for in the NAL unit as it came.
var userDataUUID = [16]byte{0x9f, 0x3c, 0x1b, 0x52, 0x6e, 0x0d, 0x4a, 0x57, 0x8c, 0x1e, 0x70, 0x75, 0x73, 0x68, 0xca, 0xfe}

// seiUserData is the payload type of user_data_unregistered.
const seiUserData = 5

// Bounds on the messages of one access unit.
const (
	maxUserData      = 8
	maxUserDataBytes = 16 << 10 // of all of them, without their UUIDs
)

// userData gathers the messages of one access unit.
type userData struct {
	messages [][]byte // in text
	text     []byte   // grown once, to all that it may hold
	lost     int
}

// some tells whether the access unit had messages of ours, whole or not.
func (u *userData) some() bool { return len(u.messages)+u.lost > 0 }

// reset forgets the messages of the access unit before.
func (u *userData) reset() { u.messages, u.text, u.lost = u.messages[:0], u.text[:0], 0 }

// read takes the messages of ours out of an SEI NAL unit whose header has the given size. Most units have none; they cost
// one search. What is wrong within the unit ends the reading and nothing else: the picture does not depend on it.
func (u *userData) read(nal []byte, header int) {
	if !bytes.Contains(nal, userDataUUID[:]) {
		return
	}
	r := seiReader{b: trimNAL(nal[min(header, len(nal)):])}
	for r.more() {
		typ, size := r.number(), r.number()
		if typ != seiUserData || size < len(userDataUUID) {
			r.skip(size)
			continue
		}
		size -= len(userDataUUID)
		if r.uuid() != userDataUUID {
			r.skip(size)
			continue
		}
		u.take(&r, size)
	}
}

// take copies a message, unless it is cut off or there are too many.
func (u *userData) take(r *seiReader, size int) {
	if len(u.messages) == maxUserData || size > maxUserDataBytes-len(u.text) {
		u.lost++
		r.skip(size)
		return
	}
	if cap(u.text) < maxUserDataBytes {
		u.text = make([]byte, 0, maxUserDataBytes)
	}
	from := len(u.text)
	for range size {
		u.text = append(u.text, r.byte())
		if r.bad {
			u.text = u.text[:from]
			u.lost++
			return
		}
	}
	u.messages = append(u.messages, bytes.TrimRight(u.text[from:], "\x00"))
}

// seiReader reads the payload of an SEI NAL unit (ITU-T H.264 7.3.2.3.1, H.265 7.3.5) and passes over its emulation
// prevention bytes on the way. Its error is sticky.
type seiReader struct {
	b     []byte
	zeros int // zero bytes read last
	bad   bool
}

// more tells whether another message follows: what is left is more than the stop bit.
func (r *seiReader) more() bool { return !r.bad && len(r.b) > 1 }

// byte reads one byte; 0 past the end.
func (r *seiReader) byte() byte {
	if r.zeros >= 2 && len(r.b) > 0 && r.b[0] == 3 {
		r.b, r.zeros = r.b[1:], 0
	}
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	if b == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return b
}

// number reads a payload type or size.
func (r *seiReader) number() int {
	sum := 0
	for {
		b := r.byte()
		sum = min(sum+int(b), math.MaxInt32)
		if b != 0xFF {
			return sum
		}
	}
}

// uuid reads 16 bytes.
func (r *seiReader) uuid() (id [16]byte) {
	for i := range id {
		id[i] = r.byte()
	}
	return id
}

// skip passes over n bytes of payload.
func (r *seiReader) skip(n int) {
	for ; n > 0 && !r.bad; n-- {
		r.byte()
	}
}
