package codec

// bitReader reads big-endian bit fields. Its error is sticky: past the end every field reads as zero and bad is set, so
// that a parser can follow the specification's tables and check once.
type bitReader struct {
	b   []byte
	pos int // bits
	bad bool
}

// left is the number of unread bits.
func (r *bitReader) left() int { return len(r.b)*8 - r.pos }

// u reads an unsigned field of n bits, n at most 64.
func (r *bitReader) u(n int) uint64 {
	if r.bad || n > r.left() {
		r.bad = true
		return 0
	}
	var v uint64
	for n > 0 {
		room := 8 - r.pos&7
		take := min(room, n)
		bits := r.b[r.pos>>3] >> (room - take) & (1<<take - 1)
		v = v<<take | uint64(bits)
		r.pos += take
		n -= take
	}
	return v
}

func (r *bitReader) flag() bool { return r.u(1) == 1 }

// skip passes over n bits.
func (r *bitReader) skip(n int) {
	if r.bad || n > r.left() {
		r.bad = true
		return
	}
	r.pos += n
}

// ue reads an Exp-Golomb code (ITU-T H.264 9.1); AV1's uvlc (5.3.4.10.3) has the same shape.
func (r *bitReader) ue() uint64 {
	zeros := 0
	for !r.flag() {
		zeros++
		if r.bad || zeros > 32 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// unescape removes the emulation prevention bytes of a NAL unit (ITU-T H.264 7.4.1, H.265 7.4.2). It returns its
// argument when there are none.
func unescape(nal []byte) []byte {
	zeros, at := 0, -1
	for i, b := range nal {
		if zeros >= 2 && b == 3 {
			at = i
			break
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	if at < 0 {
		return nal
	}
	out := append(make([]byte, 0, len(nal)), nal[:at]...)
	zeros = 0
	for _, b := range nal[at+1:] {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		out = append(out, b)
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
