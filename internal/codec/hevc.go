package codec

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// NAL unit types of HEVC (ITU-T H.265 table 7-1).
const (
	hevcRASLN     = 8
	hevcRASLR     = 9
	hevcIRAPFirst = 16 // BLA_W_LP
	hevcIRAPLast  = 21 // CRA_NUT
	hevcVCLLast   = 31
	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcAUD       = 35
	hevcFiller    = 38
	hevcPrefixSEI = 39
	hevcSuffixSEI = 40
)

// ptlSize is the size of the general part of profile_tier_level (ITU-T H.265 7.3.3), which the record repeats bit for
// bit: profile space, tier and profile (8), compatibility flags (32), constraint flags (48), level (8).
const ptlSize = 12

// hvccHeader is the size of the record before its arrays.
const hvccHeader = 23

// maxExtras bounds the NAL units of a record that are not parameter sets.
const maxExtras = 64

// readHVCC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1.2):
//
//	version(8)=1 profile_tier_level(96) 1111 min_spatial_segmentation(12) 111111 parallelism(2)
//	111111 chroma(2) 11111 luma depth - 8(3) 11111 chroma depth - 8(3) average frame rate(16)
//	constant frame rate(2) temporal layers(3) temporal id nested(1) lengthSizeMinusOne(2)
//	arrays(8) { complete(1) 0 NAL unit type(6) count(16) { length(16) NAL unit } }
func (v *Video) readHVCC(rec []byte) error {
	r := byteReader{b: rec}
	// Early encoders write version 0 before the same layout.
	if version := r.u8(); version > 1 {
		return fmt.Errorf("record version %d", version)
	}
	r.take(20)
	v.lenSize = r.u8()&3 + 1
	if v.lenSize == 3 {
		return errors.New("NAL unit lengths of 3 bytes")
	}
	v.sets = paramSets{}
	v.extra, v.extras = nil, 0
	arrays := r.u8()
	for range arrays {
		typ := r.u8() & 63
		for range r.u16() {
			nal := trimNAL(r.take(r.u16()))
			if r.bad {
				return errors.New("the record ends within a NAL unit")
			}
			if err := v.keepFromHVCC(typ, nal); err != nil {
				return err
			}
		}
	}
	if r.bad {
		return errors.New("the record is too short")
	}
	v.config = append([]byte(nil), rec[:hvccHeader]...)
	return v.rebuildHEVC()
}

// keepFromHVCC takes one NAL unit of the record. What is not a parameter set, SEI messages as a rule, is kept as it is.
func (v *Video) keepFromHVCC(typ int, nal []byte) error {
	if typ >= hevcVPS && typ <= hevcPPS {
		return v.keepHEVC(setKind(typ-hevcVPS), nal)
	}
	if v.extras == maxExtras {
		return errors.New("too many NAL units in the record")
	}
	v.extra = append(v.extra, 0x80|byte(typ), 0, 1)
	v.extra = putNAL(v.extra, nal)
	v.extras++
	return nil
}

// keepHEVC takes a parameter set from a record or from the stream.
func (v *Video) keepHEVC(k setKind, nal []byte) error {
	if err := checkSetSize(nal); err != nil {
		return err
	}
	id, ok := hevcSetID(k, nal)
	if !ok {
		return errors.New("a parameter set that is none")
	}
	v.sets.put(k, id, nal)
	return nil
}

// hevcSetID reads a parameter set's identifier (ITU-T H.265 7.3.2.1 to 7.3.2.3).
func hevcSetID(k setKind, nal []byte) (uint64, bool) {
	if len(nal) < 3 || int(nal[0]>>1&63) != hevcVPS+int(k) {
		return 0, false
	}
	r := bitReader{b: unescape(nal)}
	r.skip(16)
	var id uint64
	limit := uint64(15)
	switch k {
	case vps:
		id = r.u(4)
	case sps:
		r.skip(4)
		skipPTL(&r, int(r.u(3)))
		id = r.ue()
	default:
		id, limit = r.ue(), 63
	}
	return id, !r.bad && id <= limit
}

// hevcSetOfSlice reads which PPS a slice of a picture uses at which decoding can start (ITU-T H.265 7.3.6.1).
func hevcSetOfSlice(nal []byte) (number uint64, ok bool) {
	r := sliceHead(nal, 2)
	r.skip(1 + 1) // first slice, no output of former pictures
	number = r.ue()
	return number, !r.bad
}

// hevcSetOfPPS reads which SPS a PPS uses (ITU-T H.265 7.3.2.3.1).
func hevcSetOfPPS(nal []byte) (number uint64, ok bool) {
	r := sliceHead(nal, 2)
	r.ue()
	number = r.ue()
	return number, !r.bad
}

// skipPTL passes over temporal_id_nesting_flag and profile_tier_level, with layers more than one sub-layer.
func skipPTL(r *bitReader, layers int) {
	r.skip(1 + 8*ptlSize)
	var profiles, levels int
	for range layers {
		profiles += int(r.u(1))
		levels += int(r.u(1))
	}
	if layers > 0 {
		r.skip(2 * (8 - layers))
	}
	r.skip(88*profiles + 8*levels)
}

// hevcSPSHead is what the record needs of an SPS.
type hevcSPSHead struct {
	ptl           []byte
	layers        byte // number of temporal sub-layers(3) and whether they are nested(1), as the record has them
	chroma        uint64
	width, height uint64
	luma, color   uint64 // bit depths, less 8
}

// readHEVCSPS reads the first part of an SPS (ITU-T H.265 7.3.2.2.1).
func readHEVCSPS(nal []byte) (hevcSPSHead, error) {
	r := bitReader{b: unescape(nal)}
	var h hevcSPSHead
	r.skip(16 + 4)
	layers := int(r.u(3))
	if r.left() < 1+8*ptlSize {
		return h, errors.New("the SPS is too short")
	}
	h.ptl = r.b[3 : 3+ptlSize]
	h.layers = byte(layers+1)&7<<1 | r.b[2]&1
	skipPTL(&r, layers)
	r.ue() // identifier
	h.chroma = r.ue()
	if h.chroma > 3 {
		return h, fmt.Errorf("SPS: chroma format %d", h.chroma)
	}
	if h.chroma == 3 {
		r.skip(1)
	}
	h.width, h.height = r.ue(), r.ue()
	if r.flag() {
		// Cropping counts in chroma samples (table 6-1).
		unitX := [4]uint64{1, 2, 2, 1}[h.chroma]
		unitY := [4]uint64{1, 2, 1, 1}[h.chroma]
		h.width -= (r.ue() + r.ue()) * unitX
		h.height -= (r.ue() + r.ue()) * unitY
	}
	h.luma, h.color = r.ue(), r.ue()
	if r.bad || h.luma > 8 || h.color > 8 || h.width > maxPictureDim || h.height > maxPictureDim {
		return h, errors.New("SPS: impossible picture")
	}
	return h, nil
}

// rebuildHEVC writes the record anew by the parameter sets. Profile, tier, constraints and level come from the SPS:
// muxers are known to copy them with emulation prevention bytes inside, which shifts all that follow. The arrays are
// marked complete, since samples carry no parameter sets.
func (v *Video) rebuildHEVC() error {
	if len(v.sets[sps]) == 0 || len(v.sets[pps]) == 0 {
		return errors.New("the record has no parameter sets")
	}
	if v.sets.size() > maxRecord {
		return errors.New("too many parameter sets")
	}
	first := v.sets[sps][0].nal
	head, err := readHEVCSPS(first)
	if err != nil {
		return err
	}
	if err := v.props.checkPicture(int(head.width), int(head.height)); err != nil {
		return fmt.Errorf("SPS: %w", err)
	}
	out := make([]byte, hvccHeader)
	if len(v.config) > 0 {
		copy(out, v.config)
	} else {
		out[21] = head.layers << 2
	}
	out[0] = 1
	copy(out[1:], head.ptl)
	out[13] |= 0xF0
	out[15] |= 0xFC
	out[16] = 0xFC | byte(head.chroma)
	out[17] = 0xF8 | byte(head.luma)
	out[18] = 0xF8 | byte(head.color)
	out[21] |= 3
	out[22] = byte(v.extras)
	for k, sets := range v.sets {
		if len(sets) == 0 {
			continue
		}
		out[22]++
		out = append(out, 0x80|byte(hevcVPS+k), byte(len(sets)>>8), byte(len(sets)))
		for _, s := range sets {
			out = putNAL(out, s.nal)
		}
	}
	v.config = append(out, v.extra...)
	v.props.codecString = hevcCodecString(head.ptl)
	v.props.describeHEVC(first, uint8(head.luma)+8)
	return nil
}

// hevcCodecString writes the CODECS value (ISO/IEC 14496-15 Annex E.3).
func hevcCodecString(ptl []byte) string {
	var b strings.Builder
	b.WriteString("hvc1.")
	if space := ptl[0] >> 6; space > 0 {
		b.WriteByte('A' + space - 1)
	}
	compat := uint32(ptl[1])<<24 | uint32(ptl[2])<<16 | uint32(ptl[3])<<8 | uint32(ptl[4])
	tier := 'L'
	if ptl[0]&0x20 != 0 {
		tier = 'H'
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", ptl[0]&31, bits.Reverse32(compat), tier, ptl[11])
	constraints := ptl[5:11]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&b, ".%X", c)
	}
	return b.String()
}

// describeHEVC reads from the further parts of an SPS the rate that it claims, 0 where it claims none, how many pictures may
// precede another in decoding order and follow it in output order (ITU-T H.265 7.4.3.2.1, sps_max_num_reorder_pics), and what
// samples stand for. Where mediacommon cannot read the SPS that far, all that is guessed.
func (p *properties) describeHEVC(nal []byte, depth uint8) {
	p.frameRate, p.reorder, p.color, p.pixelAspect = 0, 1, unsaid(depth), [2]int{}
	var s h265.SPS
	if s.Unmarshal(nal) != nil || len(s.MaxNumReorderPics) == 0 {
		return
	}
	p.reorder = int(min(s.MaxNumReorderPics[len(s.MaxNumReorderPics)-1], maxReorder))
	signal := hevcSignal(s.VUI)
	p.color, p.pixelAspect = signal.color(depth), signal.pixelAspect()
	if s.VUI != nil && s.VUI.TimingInfo != nil {
		p.claimRate(uint64(s.VUI.TimingInfo.TimeScale), uint64(s.VUI.TimingInfo.NumUnitsInTick))
	}
}

// hevcNAL says what a NAL unit means for the sample.
func hevcNAL(nal []byte) nalClass {
	switch t := int(nal[0] >> 1 & 63); {
	case t >= hevcIRAPFirst && t <= hevcIRAPLast:
		return nalKey
	case t == hevcRASLN || t == hevcRASLR:
		return nalLeading
	case t <= hevcVCLLast:
		return nalPicture
	case t >= hevcVPS && t <= hevcPPS:
		return nalVPS + nalClass(t-hevcVPS)
	case t == hevcAUD || t == hevcFiller:
		return nalDrop
	case t == hevcPrefixSEI || t == hevcSuffixSEI:
		return nalSEI
	}
	return nalKeep
}
