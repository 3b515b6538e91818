package load

import "math/bits"

// bitWriter packs bits, the most significant first, as H.264 and AAC have them.
type bitWriter struct {
	b    []byte
	used int // bits of the last byte; 0 is all
}

// u writes the low n bits of v.
func (w *bitWriter) u(v uint64, n int) {
	for n--; n >= 0; n-- {
		if w.used == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>n&1) << (7 - w.used)
		w.used = (w.used + 1) % 8
	}
}

// ue writes an unsigned Exp-Golomb code (ITU-T H.264 9.1).
func (w *bitWriter) ue(v uint64) {
	n := bits.Len64(v + 1)
	w.u(0, n-1)
	w.u(v+1, n)
}

// align fills the last byte with zeros.
func (w *bitWriter) align() { w.used = 0 }

// trail ends an RBSP (ITU-T H.264 7.3.2.11).
func (w *bitWriter) trail() {
	w.u(1, 1)
	w.align()
}

// escape puts emulation prevention bytes into an RBSP (ITU-T H.264 7.4.1), behind a NAL unit's header.
func escape(header byte, rbsp []byte) []byte {
	out := make([]byte, 1, len(rbsp)+8)
	out[0] = header
	zeros := 0
	for _, b := range rbsp {
		if zeros >= 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}
