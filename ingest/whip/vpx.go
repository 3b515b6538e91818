package whip

// frame is an access unit under way that has no inner structure: one frame.
type frame struct {
	pieces
}

func (f *frame) append(b []byte, first bool) error {
	f.renew()
	if first && !f.open {
		if err := f.begin(); err != nil {
			return err
		}
	}
	return f.write(b...)
}

// complete is always so: nothing in the payload tells the end of a frame.
func (f *frame) complete() bool { return true }

func (f *frame) take() [][]byte {
	if f.open {
		f.end()
	}
	return f.pieces.take()
}

// vp8 reads the payload format of VP8 (RFC 7741 4.2).
type vp8 struct{ frame }

func (a *vp8) starts(p []byte) bool {
	rest, first, err := vp8Descriptor(p)
	return err == nil && first && len(rest) > 0 && rest[0]&1 == 0
}

func (a *vp8) add(p []byte) error {
	rest, first, err := vp8Descriptor(p)
	if err != nil {
		return err
	}
	return a.append(rest, first)
}

// vp8Descriptor skips the payload descriptor:
//
//	X R N S R PID(3) | [I L T K RSV(4)] | [M PictureID(7 or 15)] | [TL0PICIDX(8)] | [TID(2) Y KEYIDX(5)]
//
// first tells that the frame begins here.
func vp8Descriptor(p []byte) (rest []byte, first bool, err error) {
	if len(p) < 2 {
		return nil, false, errPayload
	}
	first = p[0]&0x10 != 0 && p[0]&0x07 == 0
	at := 1
	if p[0]&0x80 != 0 {
		x := p[1]
		at = 2
		if x&0x80 != 0 {
			if len(p) <= at {
				return nil, false, errPayload
			}
			if p[at]&0x80 != 0 {
				at++
			}
			at++
		}
		if x&0x40 != 0 {
			at++
		}
		if x&0x30 != 0 {
			at++
		}
	}
	if len(p) <= at {
		return nil, false, errPayload
	}
	return p[at:], first, nil
}

// vp9 reads the payload format of VP9 (RFC 9628 4.2). Spatial layers of one picture become one superframe's frames.
type vp9 struct{ frame }

func (a *vp9) starts(p []byte) bool {
	_, first, err := vp9Descriptor(p)
	return err == nil && first && p[0]&0x40 == 0
}

func (a *vp9) add(p []byte) error {
	rest, first, err := vp9Descriptor(p)
	if err != nil {
		return err
	}
	return a.append(rest, first)
}

// vp9Descriptor skips the payload descriptor:
//
//	I P L F B E V Z | [M PictureID(7 or 15)] | [TID(3) U SID(3) D] [TL0PICIDX(8) unless F] | [P_DIFF(7) N]{1,3} with F and P
//	| [scalability structure with V]
//
// first tells that a frame begins here.
func vp9Descriptor(p []byte) (rest []byte, first bool, err error) {
	if len(p) < 2 {
		return nil, false, errPayload
	}
	c := cursor{p: p, at: 1}
	h := p[0]
	flexible := h&0x10 != 0
	if h&0x80 != 0 && c.next()&0x80 != 0 {
		c.next()
	}
	if h&0x20 != 0 {
		c.next()
		if !flexible {
			c.next()
		}
	}
	if flexible && h&0x40 != 0 {
		for i := 0; c.next()&1 != 0; i++ {
			if i == 2 {
				return nil, false, errPayload
			}
		}
	}
	if h&0x02 != 0 {
		c.structure()
	}
	if c.at >= len(p) {
		return nil, false, errPayload
	}
	return p[c.at:], h&0x08 != 0, nil
}

// cursor reads bytes; behind the end they are 0.
type cursor struct {
	p  []byte
	at int
}

func (c *cursor) next() byte {
	c.at++
	if c.at > len(c.p) {
		return 0
	}
	return c.p[c.at-1]
}

// structure skips a scalability structure: N_S(3) Y G RSV(3), [WIDTH(16) HEIGHT(16)]{N_S+1} with Y,
// [N_G(8) and for each TID(3) U R(2) RSV(2), P_DIFF(8){R}] with G.
func (c *cursor) structure() {
	h := c.next()
	if h&0x10 != 0 {
		c.at += 4 * (int(h>>5) + 1)
	}
	if h&0x08 != 0 {
		for range int(c.next()) {
			c.at += int(c.next() >> 2 & 3)
		}
	}
}
