package ts

import "encoding/binary"

// PES packets (ISO/IEC 13818-1 2.4.3.6):
//
//	0x000001 stream(8) length(16)
//	'10' scrambling(2) priority(1) alignment(1) copyright(1) original(1) PTS_DTS(2) ESCR(1) rate(1) trick(1) copy(1) CRC(1)
//	extension(1) header length(8); PTS(40), DTS(40); ...; stuffing up to the header's length
//
// length counts what follows it; 0, for video, is up to the next one.
const (
	pesHead  = 6
	pesFixed = 9 // with the flags and the header's length
)

// times of a PES packet, in 33 bits.
type times struct {
	pts, dts       int64
	hasPTS, hasDTS bool
}

// readPES takes a whole PES packet apart. ok is false for one that is damaged or scrambled.
func readPES(b []byte) (payload []byte, t times, ok bool) {
	if len(b) < pesFixed || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xF0 != 0x80 {
		return nil, t, false
	}
	n := int(b[8])
	if len(b) < pesFixed+n {
		return nil, t, false
	}
	head := b[pesFixed : pesFixed+n]
	if b[7]&0x80 != 0 {
		if t.pts, t.hasPTS = readTimestamp(head); !t.hasPTS {
			return nil, t, false
		}
		if b[7]&0x40 != 0 {
			if t.dts, t.hasDTS = readTimestamp(head[5:]); !t.hasDTS {
				return nil, t, false
			}
		}
	}
	return b[pesFixed+n:], t, true
}

// readTimestamp reads mark(4) 32..30 1 29..15 1 14..0 1.
func readTimestamp(b []byte) (int64, bool) {
	if len(b) < 5 || b[0]&1 == 0 || b[2]&1 == 0 || b[4]&1 == 0 {
		return 0, false
	}
	return int64(b[0]>>1&7)<<30 | int64(binary.BigEndian.Uint16(b[1:])>>1)<<15 | int64(binary.BigEndian.Uint16(b[3:])>>1), true
}

// Bounds of assembly.
const (
	// trustStuffing is after how many PES in a row that ended with the packet that was stuffed, and had no other, the next
	// such packet is taken for the end.
	trustStuffing = 25
	// distrustStuffing tells a sender that stuffs in the middle, for good.
	distrustStuffing = -1
	// trustLength is after how many PES in a row, each with a time and a length, the length is taken for the picture's; longLength
	// is from what length on it never is, since no PES can have more than 65,535 bytes.
	trustLength = 25
	longLength  = 60_000
	// pesRoom is the first capacity of a buffer.
	pesRoom = 16 << 10
)

// assembly puts PES packets together out of one PID's payloads. A PES without a length, as most video has it, would be known
// to be complete only when the next one starts, which is a whole picture later. But the last packet of a PES has to be
// stuffed, since the next begins with a packet of its own: once a sender was seen to stuff there and nowhere else, that is
// taken for the end, if there are as many slices as in all the pictures before. One PES in 184 fills its last packet and needs
// no stuffing; it waits for the next. A picture in several PES has a time in the first one only.
type assembly struct {
	buf     []byte
	open    bool // a PES has begun, and is not finished
	damaged bool // something of it is missing
	early   bool // the last one was finished by its stuffing
	stuffed int  // packets of the open one that were stuffed
	last    bool // of them, the last one
	trust   int  // PES in a row that ended with stuffing, or distrustStuffing
	slices  int  // in each of them
	apart   int  // PES in a row that had a length and were a picture each, or distrustStuffing
}

// wanted is the length of the PES with its head, 0 when that is not known.
func (a *assembly) wanted() int {
	if len(a.buf) < pesHead {
		return 0
	}
	if n := int(binary.BigEndian.Uint16(a.buf[4:])); n != 0 {
		return pesHead + n
	}
	return 0
}

// add takes a payload in the PES that is open, and tells whether that is complete now.
func (a *assembly) add(p *packet) (complete bool) {
	a.buf = append(a.buf, p.payload...)
	if a.last = p.stuffed; p.stuffed {
		a.stuffed++
	}
	if n := a.wanted(); n != 0 {
		return len(a.buf) >= n
	}
	a.early = p.stuffed && a.stuffed == 1 && a.trust >= trustStuffing && len(a.buf) >= pesHead
	return a.early
}

// consists notes how many slices the open PES has, which is complete.
func (a *assembly) consists(slices int) {
	if slices != a.slices {
		a.slices, a.trust = slices, 0
	}
}

// goOn makes the open PES one without a length, which goes on in another.
func (a *assembly) goOn() {
	if n := a.wanted(); n != 0 {
		if len(a.buf) < n {
			a.damaged = true
		}
		a.buf = a.buf[:min(n, len(a.buf))]
		a.buf[4], a.buf[5] = 0, 0
	}
	a.trust, a.apart = distrustStuffing, distrustStuffing
}

// begin opens a PES.
func (a *assembly) begin() {
	a.buf, a.open, a.damaged, a.early = a.buf[:0], true, false, false
	a.stuffed, a.last = 0, false
}

// end closes the PES and returns its bytes, nil when some are missing.
func (a *assembly) end() []byte {
	whole := !a.damaged
	if n := a.wanted(); n != 0 {
		whole = whole && len(a.buf) >= n
		if whole {
			a.buf = a.buf[:n]
			if a.apart != distrustStuffing {
				a.apart = min(a.apart+1, trustLength)
			}
		}
	} else if whole && a.trust != distrustStuffing {
		switch {
		case a.last && a.stuffed == 1:
			a.trust = min(a.trust+1, trustStuffing)
		case a.stuffed > 0: // it may end anywhere
			a.trust = distrustStuffing
		}
	}
	a.open = false
	if !whole {
		return nil
	}
	return a.buf
}
