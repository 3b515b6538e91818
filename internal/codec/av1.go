package codec

import (
	"bytes"
	"errors"
	"fmt"
)

// OBU types (AV1 specification 6.2.2).
const (
	obuSequenceHeader    = 1
	obuTemporalDelimiter = 2
	obuFrameHeader       = 3
	obuFrame             = 6
	obuPadding           = 15
)

// readAV1C reads an AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3.3):
//
//	marker(1)=1 version(7)=1 seq_profile(3) seq_level_idx_0(5) seq_tier_0(1) high_bitdepth(1) twelve_bit(1)
//	monochrome(1) subsampling x(1) y(1) chroma_sample_position(2) 000 delay present(1) delay(4) configOBUs
func (v *Video) readAV1C(rec []byte) error {
	if len(rec) < 4 {
		return errors.New("the record is too short")
	}
	if rec[0] != 0x81 {
		return fmt.Errorf("record marker and version %#x", rec[0])
	}
	v.config = bytes.Clone(rec)
	for rest := rec[4:]; len(rest) > 0; {
		o, n, err := nextOBU(rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
		if o.typ == obuSequenceHeader {
			return v.useSequence(o.payload, bytes.Clone(rec[:4]), bytes.Clone(rec[4:]))
		}
	}
	// Without a sequence header here, the first key frame brings it; the size is not known until then.
	var s av1Sequence
	r := bitReader{b: rec[1:4]}
	s.profile, s.level = r.u(3), r.u(5)
	s.tier, s.high, s.twelve, s.mono = r.flag(), r.flag(), r.flag(), r.flag()
	s.subX, s.subY, s.position = r.flag(), r.flag(), r.u(2)
	s.primaries, s.transfer, s.matrix = unspecified, unspecified, unspecified
	v.props.codecString, v.props.color = s.codecString(), s.pictureColor()
	return nil
}

// useSequence makes the record head and its OBUs say what a sequence header says.
func (v *Video) useSequence(payload, head, obus []byte) error {
	s, err := readAV1Sequence(payload)
	if err != nil {
		return err
	}
	if err := v.props.checkPicture(s.width, s.height); err != nil {
		return fmt.Errorf("sequence header: %w", err)
	}
	v.props.claimRate(s.timeScale, s.unitsPerFrame)
	v.props.codecString, v.props.color = s.codecString(), s.pictureColor()
	s.patch(head)
	v.config = append(head, obus...)
	v.seqOBU = bytes.Clone(payload)
	v.reduced = s.reduced
	return nil
}

// obu is one open bitstream unit (AV1 specification 5.3).
type obu struct {
	typ     byte
	payload []byte
}

// nextOBU reads the first OBU of b and tells its whole length. One without a size reaches to the end.
func nextOBU(b []byte) (obu, int, error) {
	if b[0]&0x80 != 0 {
		return obu{}, 0, damaged("the forbidden bit of an OBU is set")
	}
	o := obu{typ: b[0] >> 3 & 15}
	pos := 1
	if b[0]&4 != 0 {
		pos++
	}
	if pos > len(b) {
		return obu{}, 0, damaged("an OBU header is cut off")
	}
	if b[0]&2 == 0 {
		o.payload = b[pos:]
		return o, len(b), nil
	}
	size, n := leb128(b[pos:])
	if n == 0 || size > uint64(len(b)-pos-n) {
		return obu{}, 0, damaged("an OBU's size does not fit")
	}
	pos += n
	o.payload = b[pos : pos+int(size)]
	return o, pos + int(size), nil
}

// leb128 reads a number of at most 8 bytes (AV1 specification 4.10.5); 0 bytes read is a fault.
func leb128(b []byte) (v uint64, n int) {
	for i := 0; i < 8 && i < len(b); i++ {
		v |= uint64(b[i]&0x7F) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// putLEB128 appends a number in as few bytes as it takes.
func putLEB128(out []byte, v int) []byte {
	for v >= 0x80 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v))
}

// obuWalk is what the OBUs of a temporal unit have told so far.
type obuWalk struct {
	sequence []byte // payload of the last sequence header
	picture  bool
	key      bool // the first frame is one at which decoding can start
	led      bool // a sequence header was put in front
}

// seeOBU looks at one OBU and tells whether it belongs into a sample: temporal delimiters and padding do not (AV1-ISOBMFF 2.4).
func (v *Video) seeOBU(o obu, w *obuWalk) (keep bool, err error) {
	switch o.typ {
	case obuTemporalDelimiter, obuPadding:
		return false, nil
	case obuSequenceHeader:
		w.sequence = o.payload
		if !bytes.Equal(o.payload, v.seqOBU) {
			if err := v.newSequence(o.payload); err != nil {
				return false, damaged("%v", err)
			}
		}
	case obuFrame, obuFrameHeader:
		if !w.picture {
			w.key = v.startsHere(o.payload)
		}
		w.picture = true
	}
	return true, nil
}

// finishOBUs makes a sample, without its payload, of what a temporal unit had.
func (v *Video) finishOBUs(w *obuWalk) Sample {
	s := Sample{Key: w.picture && w.key && v.seqOBU != nil, Changed: v.pending}
	v.pending = false
	return s
}

// readOBUs walks a temporal unit. What goes stands in front as a rule, and then nothing is moved.
func (v *Video) readOBUs(tu []byte) (Sample, error) {
	var w obuWalk
	var out []byte
	start := -1
	for pos := 0; pos < len(tu); {
		o, n, err := nextOBU(tu[pos:])
		if err != nil {
			return Sample{}, err
		}
		keep, err := v.seeOBU(o, &w)
		if err != nil {
			return Sample{}, err
		}
		end := pos + n
		switch {
		case !keep:
		case start < 0:
			start, out = pos, tu[pos:end]
		case start+len(out) == pos:
			out = tu[start:end]
		default:
			out = append(out, tu[pos:end]...)
		}
		pos = end
	}
	s := v.finishOBUs(&w)
	if !w.picture {
		return s, nil
	}
	s.Payload = out
	if s.Key && w.sequence == nil {
		// A sample at which decoding starts must carry the header; some encoders send it in the record alone.
		whole := appendSequence(v.buffer(len(out)+len(v.seqOBU)+16), v.seqOBU)
		v.scratch.b = append(whole, out...)
		s.Payload = v.scratch.b
	}
	return s, nil
}

// newSequence takes a sequence header that differs from the record's.
func (v *Video) newSequence(payload []byte) error {
	if err := checkSetSize(payload); err != nil {
		return err
	}
	head := []byte{0x81, 0, 0, 0}
	if len(v.config) >= len(head) {
		copy(head, v.config)
	}
	if err := v.useSequence(payload, head, appendSequence(nil, payload)); err != nil {
		return err
	}
	v.pending = true
	return nil
}

func appendSequence(out, payload []byte) []byte {
	out = append(out, obuSequenceHeader<<3|2)
	return append(putLEB128(out, len(payload)), payload...)
}

// startsHere reads the beginning of a frame header (AV1 specification 5.9.2): a key frame that is shown.
func (v *Video) startsHere(payload []byte) bool {
	if v.reduced {
		return true
	}
	r := bitReader{b: payload}
	existing, typ, shown := r.flag(), r.u(2), r.flag()
	return !r.bad && !existing && typ == 0 && shown
}
