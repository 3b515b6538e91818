package nut

// fields reads the fields of a packet in their order. Its error is sticky: past the end, every field reads as zero and bad
// is set, so that a parser can follow the specification and check once.
type fields struct {
	b   []byte
	bad bool
}

// byte reads one byte.
func (f *fields) byte() byte {
	if f.bad || len(f.b) == 0 {
		f.bad = true
		return 0
	}
	c := f.b[0]
	f.b = f.b[1:]
	return c
}

// v reads a variable length value (nut.txt, v). More than 64 bits are an error; stuffing is not.
func (f *fields) v() uint64 {
	var v uint64
	for {
		c := f.byte()
		if v>>57 != 0 {
			f.bad = true
		}
		if f.bad {
			return 0
		}
		v = v<<7 | uint64(c&0x7F)
		if c < 0x80 {
			return v
		}
	}
}

// s reads a signed variable length value (nut.txt, s).
func (f *fields) s() int64 { return signed(f.v()) }

// signed makes a signed value of how it is stored (nut.txt, s).
func signed(v uint64) int64 {
	v++
	if v&1 != 0 {
		return -int64(v >> 1)
	}
	return int64(v >> 1)
}

// at reads a value of at most limit: a larger one is an error.
func (f *fields) at(limit uint64) uint64 {
	v := f.v()
	if v > limit {
		f.bad = true
		return 0
	}
	return v
}

// bytes reads data with its length before it (nut.txt, vb). They are part of the packet, not a copy.
func (f *fields) bytes() []byte {
	n := f.v()
	if f.bad || n > uint64(len(f.b)) {
		f.bad = true
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

// Kinds of value of side data, as info packets have them (nut.txt, info_packet).
const (
	valueText   = -1 // text
	valueBinary = -2 // a type, then data
	valueSigned = -3
	valueTime   = -4
)

// skipSideData passes over the side data and the metadata that ffmpeg puts before a frame's payload in version 4: two lists
// of names with values.
func (f *fields) skipSideData() {
	for range 2 {
		for n := f.v(); n > 0 && !f.bad; n-- {
			f.bytes()
			switch kind := f.s(); {
			case kind == valueText:
				f.bytes()
			case kind == valueBinary:
				f.bytes()
				f.bytes()
			case kind == valueTime:
				f.v()
			case kind < 0:
				f.s()
			}
		}
	}
}
