package codec

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// maxDeeper bounds the bits of a sample beyond 8 (ITU-T H.264 7.4.2.1.1 allows 6, H.265 7.4.3.2.1 allows 8).
const maxDeeper = 8

// NAL unit types of H.264 (ITU-T H.264 table 7-1).
const (
	avcSlice  = 1
	avcIDR    = 5
	avcSEI    = 6
	avcSPS    = 7
	avcPPS    = 8
	avcAUD    = 9
	avcFiller = 12
)

// readAVCC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1.2):
//
//	version(8)=1 profile(8) compatibility(8) level(8) 111111 lengthSizeMinusOne(2)
//	111 count(5) { length(16) SPS }  count(8) { length(16) PPS }  [chroma format, bit depths, SPS extensions]
func (v *Video) readAVCC(rec []byte) error {
	r := byteReader{b: rec}
	if version := r.u8(); version != 1 {
		return fmt.Errorf("record version %d", version)
	}
	r.take(3)
	v.lenSize = r.u8()&3 + 1
	if v.lenSize == 3 {
		return errors.New("NAL unit lengths of 3 bytes")
	}
	v.sets = paramSets{}
	for _, k := range []setKind{sps, pps} {
		count := r.u8()
		if k == sps {
			count &= 31
		}
		for range count {
			nal := trimNAL(r.take(r.u16()))
			if r.bad {
				return errors.New("the record ends within a parameter set")
			}
			if err := v.keepAVC(k, nal); err != nil {
				return err
			}
		}
	}
	if r.bad {
		return errors.New("the record is too short")
	}
	v.config = append([]byte(nil), rec...)
	v.config[4] = 0xFC | 3
	return v.describeAVC()
}

// keepAVC takes a parameter set from a record or from the stream.
func (v *Video) keepAVC(k setKind, nal []byte) error {
	if err := checkSetSize(nal); err != nil {
		return err
	}
	id, ok := avcSetID(k, nal)
	if !ok {
		return errors.New("a parameter set that is none")
	}
	v.sets.put(k, id, nal)
	most := mostAVCSPS
	if k == pps {
		most = mostAVCPPS
	}
	v.sets.forget(k, most)
	return nil
}

// What the record has room for (ISO/IEC 14496-15 5.3.3.1.2). There are 32 and 256 numbers.
const (
	mostAVCSPS = 31
	mostAVCPPS = 255
)

// avcSetOfSlice reads which PPS a slice uses (ITU-T H.264 7.3.3).
func avcSetOfSlice(nal []byte) (number uint64, ok bool) {
	r := sliceHead(nal, 1)
	r.ue() // first macroblock
	r.ue() // type
	number = r.ue()
	return number, !r.bad
}

// avcSetOfPPS reads which SPS a PPS uses (ITU-T H.264 7.3.2.2).
func avcSetOfPPS(nal []byte) (number uint64, ok bool) {
	r := sliceHead(nal, 1)
	r.ue()
	number = r.ue()
	return number, !r.bad
}

// avcSetID reads a parameter set's identifier (ITU-T H.264 7.3.2.1.1, 7.3.2.2).
func avcSetID(k setKind, nal []byte) (uint64, bool) {
	want, skip, limit := byte(avcSPS), 4, uint64(31)
	if k == pps {
		want, skip, limit = avcPPS, 1, 255
	}
	if len(nal) <= skip || nal[0]&31 != want {
		return 0, false
	}
	r := bitReader{b: unescape(nal)}
	r.skip(8 * skip)
	id := r.ue()
	return id, !r.bad && id <= limit
}

// describeAVC sets the properties by the first SPS.
func (v *Video) describeAVC() error {
	if len(v.sets[sps]) == 0 || len(v.sets[pps]) == 0 {
		return errors.New("the record has no parameter sets")
	}
	first := v.sets[sps][0].nal
	var s h264.SPS
	if err := s.Unmarshal(first); err != nil {
		return fmt.Errorf("SPS: %w", err)
	}
	if err := v.props.checkPicture(s.Width(), s.Height()); err != nil {
		return fmt.Errorf("SPS: %w", err)
	}
	v.props.reorder = avcReorder(&s)
	signal := avcSignal(s.VUI)
	v.props.color, v.props.pixelAspect = signal.color(uint8(min(s.BitDepthLumaMinus8, maxDeeper)+8)), signal.pixelAspect()
	v.props.frameRate = 0
	if s.VUI != nil && s.VUI.TimingInfo != nil {
		// A frame is two fields, and the tick is a field's.
		v.props.claimRate(uint64(s.VUI.TimingInfo.TimeScale), 2*uint64(s.VUI.TimingInfo.NumUnitsInTick))
	}
	if len(v.sets[sps]) == 1 {
		// Some muxers fill these in from their settings instead of from the SPS; decoders are chosen by them.
		copy(v.config[1:4], avcProfile(first))
	}
	v.props.codecString = fmt.Sprintf("avc1.%02x%02x%02x", v.config[1], v.config[2], v.config[3])
	return nil
}

// avcProfile returns profile, constraints and level of an SPS, without emulation prevention bytes.
func avcProfile(nal []byte) []byte { return unescape(nal[:min(8, len(nal))])[1:4] }

// avcReorder is how many pictures may precede another in decoding order and follow it in output order (ITU-T H.264 E.2.1,
// max_num_reorder_frames). Where the SPS does not say it, none is a guess: few encoders that use B-frames leave it out.
func avcReorder(s *h264.SPS) int {
	if s.VUI == nil || s.VUI.BitstreamRestriction == nil || s.PicOrderCntType == 2 {
		return 0
	}
	return int(min(s.VUI.BitstreamRestriction.MaxNumReorderFrames, maxReorder))
}

// rebuildAVC writes the record anew after parameter sets came in band.
func (v *Video) rebuildAVC() error {
	if v.sets.size() > maxRecord {
		return errors.New("too many parameter sets")
	}
	first := v.sets[sps][0].nal
	out := append([]byte{1}, avcProfile(first)...)
	out = append(out, 0xFC|3, 0xE0|byte(len(v.sets[sps])))
	for _, s := range v.sets[sps] {
		out = putNAL(out, s.nal)
	}
	out = append(out, byte(len(v.sets[pps])))
	for _, s := range v.sets[pps] {
		out = putNAL(out, s.nal)
	}
	var s h264.SPS
	if err := s.Unmarshal(first); err != nil {
		return fmt.Errorf("SPS: %w", err)
	}
	switch s.ProfileIdc {
	case 100, 110, 122, 144:
		out = append(out, 0xFC|byte(s.ChromaFormatIdc&3), 0xF8|byte(s.BitDepthLumaMinus8&7),
			0xF8|byte(s.BitDepthChromaMinus8&7), 0)
	}
	v.config = out
	return v.describeAVC()
}

// avcNAL says what a NAL unit means for the sample.
func avcNAL(nal []byte) nalClass {
	switch t := nal[0] & 31; {
	case t == avcIDR:
		return nalKey
	case t >= avcSlice && t < avcIDR:
		return nalPicture
	case t == avcSPS:
		return nalSPS
	case t == avcPPS:
		return nalPPS
	case t == avcSEI:
		return nalSEI
	case t == avcAUD || t == avcFiller:
		return nalDrop
	}
	return nalKeep
}
