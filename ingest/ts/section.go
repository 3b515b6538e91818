package ts

import "encoding/binary"

// Sections (ISO/IEC 13818-1 2.4.4):
//
//	pointer(8) in a packet where one starts; table(8) syntax(1) private(1) reserved(2) length(12) ...; CRC-32 at the end
//
// length counts what follows it. A packet may hold several; what is behind the last is 0xFF.
const (
	sectionHead    = 3
	longestSection = sectionHead + 4093 // private sections; PAT and PMT have at most 1021
	tablePAT       = 0x00
	tablePMT       = 0x02
	tableSCTE35    = 0xFC
	tableStuffing  = 0xFF
)

// sections puts sections together.
type sections struct {
	buf  []byte
	open bool
}

// lost forgets what is incomplete.
func (s *sections) lost() { s.buf, s.open = s.buf[:0], false }

// push takes a packet's payload and calls emit for each section whose checksum is right. What emit gets is lent. It returns
// emit's error, and false when something was damaged.
func (s *sections) push(start bool, payload []byte, emit func([]byte) error) (whole bool, _ error) {
	whole = true
	if start {
		if len(payload) == 0 || int(payload[0]) >= len(payload) {
			s.lost()
			return false, nil
		}
		rest := payload[1 : 1+payload[0]]
		payload = payload[1+payload[0]:]
		if s.open {
			s.buf = append(s.buf, rest...)
			ok, err := s.take(emit)
			if err != nil {
				return ok, err
			}
			whole = ok && !s.open
		}
		s.buf, s.open = s.buf[:0], true
	}
	if !s.open {
		return whole, nil
	}
	s.buf = append(s.buf, payload...)
	ok, err := s.take(emit)
	return whole && ok, err
}

// take emits the sections that are complete.
func (s *sections) take(emit func([]byte) error) (whole bool, _ error) {
	b := s.buf
	defer func() { s.buf = s.buf[:copy(s.buf, b)] }()
	for {
		if len(b) > 0 && b[0] == tableStuffing {
			b, s.open = nil, false
		}
		if len(b) < sectionHead {
			return true, nil
		}
		n := sectionHead + int(binary.BigEndian.Uint16(b[1:])&0x0FFF)
		if n > longestSection || n < sectionHead+4 {
			b, s.open = nil, false
			return false, nil
		}
		if len(b) < n {
			return true, nil
		}
		if crc32(b[:n]) != 0 {
			b, s.open = nil, false
			return false, nil
		}
		if err := emit(b[:n]); err != nil {
			return true, err
		}
		b = b[n:]
	}
}

// crcTable is of the polynomial 0x04C11DB7, highest bit first (ISO/IEC 13818-1 annex A).
var crcTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crc32 is 0 over a section with its checksum.
func crc32(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c = c<<8 ^ crcTable[byte(c>>24)^v]
	}
	return c
}
