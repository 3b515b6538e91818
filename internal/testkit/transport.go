package testkit

import (
	"encoding/binary"
	"io"
)

// Stream types of MPEG-TS (ISO/IEC 13818-1 table 2-34; HEVC and private ones by their registrations).
const (
	tsAAC      = 0x0F
	tsMetadata = 0x15
	tsAVC      = 0x1B
	tsHEVC     = 0x24
	tsPrivate  = 0x06
	tsSCTE35   = 0x86
)

const (
	tsPacket = 188
	tsPMT    = 0x1000
	tsFirst  = 0x100
)

// tsStream is an elementary stream of a transportStream.
type tsStream struct {
	pid         int
	kind        byte
	descriptors []byte
	continuity  byte
}

// transportStream writes MPEG-TS, by hand, so that what nobody's library would write can be written too. Times count
// 1/90,000 s; 33 bits of them are sent.
type transportStream struct {
	w       io.Writer
	streams []*tsStream
	// program are descriptors of the whole program.
	program []byte
	pat     tsStream
	pmt     tsStream
	out     []byte
}

// add adds a stream and returns its number.
func (t *transportStream) add(kind byte, descriptors []byte) int {
	t.streams = append(t.streams, &tsStream{pid: tsFirst + len(t.streams), kind: kind, descriptors: descriptors})
	return len(t.streams) - 1
}

// tables writes PAT and PMT.
func (t *transportStream) tables() {
	t.pat.pid, t.pmt.pid = 0, tsPMT
	t.section(&t.pat, tsSection(0x00, 1, []byte{0, 1, 0xE0 | tsPMT>>8, tsPMT & 0xFF}))
	body := binary.BigEndian.AppendUint16(nil, 0xE000|uint16(t.streams[0].pid))
	body = append(binary.BigEndian.AppendUint16(body, 0xF000|uint16(len(t.program))), t.program...)
	for _, s := range t.streams {
		body = binary.BigEndian.AppendUint16(append(body, s.kind), 0xE000|uint16(s.pid))
		body = append(binary.BigEndian.AppendUint16(body, 0xF000|uint16(len(s.descriptors))), s.descriptors...)
	}
	t.section(&t.pmt, tsSection(0x02, 1, body))
}

// tsSection makes a section with the long header (2.4.4.11).
func tsSection(table byte, id uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{table}, 0xB000|uint16(len(body)+9))
	b = append(binary.BigEndian.AppendUint16(b, id), 0xC1, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crcMPEG(b))
}

// section writes a section that fits into one packet, or into several.
func (t *transportStream) section(s *tsStream, section []byte) {
	payload := append([]byte{0}, section...) // pointer field
	for first := true; len(payload) > 0; first = false {
		n := min(len(payload), tsPacket-4)
		p := t.header(s, first, nil, 0)
		p = append(p, payload[:n]...)
		for len(p) < tsPacket {
			p = append(p, 0xFF)
		}
		t.out = append(t.out, p...)
		payload = payload[n:]
	}
}

// header begins a packet: sync(8) error(1) start(1) priority(1) pid(13) scrambling(2) adaptation(2) continuity(4).
func (t *transportStream) header(s *tsStream, start bool, adaptation []byte, stuffing int) []byte {
	b := []byte{0x47, byte(s.pid >> 8), byte(s.pid), 0x10 | s.continuity}
	s.continuity = (s.continuity + 1) & 15
	if start {
		b[1] |= 0x40
	}
	if adaptation == nil && stuffing == 0 {
		return b
	}
	b[3] |= 0x20
	length := len(adaptation) + stuffing
	if adaptation == nil { // stuffing takes the length and the flags along
		length = stuffing - 1
		b = append(b, byte(length))
		if length > 0 {
			b = append(b, 0)
			for range length - 1 {
				b = append(b, 0xFF)
			}
		}
		return b
	}
	b = append(append(b, byte(length)), adaptation...)
	for range stuffing {
		b = append(b, 0xFF)
	}
	return b
}

// tsUnit is what a PES packet carries.
type tsUnit struct {
	stream        int
	id            byte // stream_id
	pts, dts      int64
	hasDTS        bool
	pcr           bool
	key           bool
	discontinuity bool // discontinuity_indicator
	data          []byte
}

// pes writes a PES packet (2.4.3.7) with its adaptation field (2.4.3.5).
func (t *transportStream) pes(u tsUnit) {
	s := t.streams[u.stream]
	flags, length := byte(0x80), byte(5)
	if u.hasDTS {
		flags, length = 0xC0, 10
	}
	b := []byte{0, 0, 1, u.id, 0, 0, 0x84, flags, length}
	b = tsTime(b, flags>>6, u.pts)
	if u.hasDTS {
		b = tsTime(b, 1, u.dts)
	}
	b = append(b, u.data...)
	if n := len(b) - 6; n < 1<<16 && u.id != 0xE0 {
		binary.BigEndian.PutUint16(b[4:], uint16(n))
	}
	var adaptation []byte
	if u.pcr || u.key || u.discontinuity {
		adaptation = []byte{0}
		if u.discontinuity {
			adaptation[0] |= 0x80
		}
		if u.key {
			adaptation[0] |= 0x40
		}
		if u.pcr {
			adaptation[0] |= 0x10
			base := uint64(u.dts-9000) & (1<<33 - 1)
			adaptation = append(adaptation, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1), byte(base<<7)|0x7E, 0)
		}
	}
	for first := true; len(b) > 0; first = false {
		room := tsPacket - 4
		if adaptation != nil {
			room -= 1 + len(adaptation)
		}
		n := min(len(b), room)
		p := t.header(s, first, adaptation, room-n)
		t.out = append(append(t.out, p...), b[:n]...)
		b, adaptation = b[n:], nil
	}
}

// tsTime appends a time stamp: mark(4) 3 bits, 15 bits, 15 bits, each with a marker bit.
func tsTime(b []byte, mark byte, at int64) []byte {
	return append(b, mark<<4|byte(at>>29)&0x0E|1, byte(at>>22), byte(at>>14)|1, byte(at>>7), byte(at<<1)|1)
}

// flush sends what was written, in pieces of at most seven packets, as SRT carries them.
func (t *transportStream) flush() error {
	for len(t.out) > 0 {
		n := min(len(t.out), 7*tsPacket)
		if _, err := t.w.Write(t.out[:n]); err != nil {
			return err
		}
		t.out = t.out[n:]
	}
	t.out = nil
	return nil
}

// crcMPEG is the CRC of sections (annex A): polynomial 04C11DB7, from all ones, not reflected.
func crcMPEG(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc ^= uint32(x) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// tsLanguage is an ISO 639 language descriptor (2.6.18).
func tsLanguage(code string) []byte {
	if len(code) != 3 {
		return nil
	}
	return append(append([]byte{0x0A, 4}, code...), 0)
}

// tsRegistration is a registration descriptor (2.6.8).
func tsRegistration(format string) []byte { return append([]byte{5, 4}, format...) }
