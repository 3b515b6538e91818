package codec

import (
	"errors"
	"fmt"
)

// av1Sequence is what is of interest in a sequence header OBU.
type av1Sequence struct {
	profile, level              uint64
	tier, high, twelve, mono    bool
	subX, subY, fullRange       bool
	position                    uint64
	primaries, transfer, matrix uint64
	reduced                     bool
	width, height               int
	timeScale, unitsPerFrame    uint64
}

// readAV1Sequence follows sequence_header_obu (AV1 specification 5.5.1). mediacommon's parser stops at streams that
// carry a decoder model or a display delay.
func readAV1Sequence(payload []byte) (av1Sequence, error) {
	r := bitReader{b: payload}
	var s av1Sequence
	s.profile = r.u(3)
	r.skip(1) // still_picture
	s.reduced = r.flag()
	if s.reduced {
		s.level = r.u(5)
	} else {
		s.operatingPoints(&r)
	}
	wide, high := int(r.u(4))+1, int(r.u(4))+1
	s.width, s.height = int(r.u(wide))+1, int(r.u(high))+1
	if !s.reduced && r.flag() {
		r.skip(4 + 3) // frame identifiers
	}
	r.skip(3) // superblocks, filter intra, intra edge filter
	if !s.reduced {
		skipAV1Tools(&r)
	}
	r.skip(3) // superres, cdef, restoration
	s.color(&r)
	if r.bad || s.profile > 2 {
		return s, errors.New("sequence header: cut off or of an unknown profile")
	}
	return s, nil
}

// operatingPoints reads from timing_info_present_flag to the end of the operating points, of which the first counts.
func (s *av1Sequence) operatingPoints(r *bitReader) {
	model, delayBits := false, 0
	if r.flag() {
		ticks := r.u(32)
		s.timeScale = r.u(32)
		if r.flag() {
			s.unitsPerFrame = ticks * (r.ue() + 1)
		}
		if model = r.flag(); model {
			delayBits = int(r.u(5)) + 1
			r.skip(32 + 5 + 5)
		}
	}
	display := r.flag()
	points := int(r.u(5)) + 1
	for i := range points {
		r.skip(12)
		level, tier := r.u(5), false
		if level > 7 {
			tier = r.flag()
		}
		if i == 0 {
			s.level, s.tier = level, tier
		}
		if model && r.flag() {
			r.skip(2*delayBits + 1)
		}
		if display && r.flag() {
			r.skip(4)
		}
	}
}

// skipAV1Tools passes over enable_interintra_compound to order_hint_bits_minus_1.
func skipAV1Tools(r *bitReader) {
	r.skip(4)
	order := r.flag()
	if order {
		r.skip(2)
	}
	screen := uint64(2)
	if !r.flag() {
		screen = r.u(1)
	}
	if screen > 0 && !r.flag() {
		r.skip(1)
	}
	if order {
		r.skip(3)
	}
}

// color reads color_config (AV1 specification 5.5.2).
func (s *av1Sequence) color(r *bitReader) {
	s.high = r.flag()
	if s.profile == 2 && s.high {
		s.twelve = r.flag()
	}
	if s.profile != 1 {
		s.mono = r.flag()
	}
	s.primaries, s.transfer, s.matrix = unspecified, unspecified, unspecified
	if r.flag() {
		s.primaries, s.transfer, s.matrix = r.u(8), r.u(8), r.u(8)
	}
	switch {
	case s.mono:
		s.fullRange = r.flag()
		s.subX, s.subY = true, true
		return
	case s.primaries == 1 && s.transfer == 13 && s.matrix == 0: // sRGB
		s.fullRange = true
		return
	}
	s.fullRange = r.flag()
	switch {
	case s.profile == 0:
		s.subX, s.subY = true, true
	case s.profile == 2 && s.twelve:
		s.subX = r.flag()
		s.subY = s.subX && r.flag()
	case s.profile == 2:
		s.subX = true
	}
	if s.subX && s.subY {
		s.position = r.u(2)
	}
}

// patch makes the first four bytes of a record agree with the sequence header.
func (s *av1Sequence) patch(head []byte) {
	bit := func(b bool, shift int) byte {
		if b {
			return 1 << shift
		}
		return 0
	}
	head[1] = byte(s.profile)<<5 | byte(s.level)
	head[2] = bit(s.tier, 7) | bit(s.high, 6) | bit(s.twelve, 5) | bit(s.mono, 4) | bit(s.subX, 3) | bit(s.subY, 2) |
		byte(s.position)
}

// codecString writes the CODECS value (AV1-ISOBMFF 5). The optional fields appear only if any of them differs from
// what leaving them out means.
func (s *av1Sequence) codecString() string {
	tier := 'M'
	if s.tier {
		tier = 'H'
	}
	str := fmt.Sprintf("av01.%d.%02d%c.%02d", s.profile, s.level, tier, s.depth())
	unsaid := s.primaries == 2 && s.transfer == 2 && s.matrix == 2
	bt709 := s.primaries == 1 && s.transfer == 1 && s.matrix == 1
	if (unsaid || bt709) && !s.mono && !s.fullRange && s.subX && s.subY {
		return str
	}
	digit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return str + fmt.Sprintf(".%d.%d%d%d.%02d.%02d.%02d.%d", digit(s.mono), digit(s.subX), digit(s.subY),
		s.position, s.primaries, s.transfer, s.matrix, digit(s.fullRange))
}
