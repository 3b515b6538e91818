package codec

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
)

// readVP8 inspects a frame (RFC 6386 9.1). A key frame begins with
//
//	size of the first partition(19) shown(1) version(3) not a key frame(1)=0, as 24 bits little-endian
//	9d 01 2a  scale(2) width(14) as 16 bits little-endian  scale(2) height(14) likewise
//
// VP8 has no codec data; the size is a property of the track.
func (v *Video) readVP8(frame []byte) (Sample, error) {
	if len(frame) < 3 {
		return Sample{}, damaged("a VP8 frame of %d bytes", len(frame))
	}
	s := Sample{Payload: frame, Key: frame[0]&1 == 0}
	if !s.Key {
		return s, nil
	}
	if len(frame) < 10 || !bytes.Equal(frame[3:6], []byte{0x9d, 0x01, 0x2a}) {
		return Sample{}, damaged("a VP8 key frame without its start code")
	}
	width, height := int(frame[7])<<8&0x3F00|int(frame[6]), int(frame[9])<<8&0x3F00|int(frame[8])
	if width == v.props.width && height == v.props.height {
		return s, nil
	}
	if err := v.props.checkPicture(width, height); err != nil {
		return Sample{}, damaged("%v", err)
	}
	v.props.color = vp8Color()
	s.Changed = true
	return s, nil
}

// readVP9 inspects a frame, or a superframe by its first frame (VP9 Bitstream & Decoding Process Specification 6.2).
func (v *Video) readVP9(frame []byte) (Sample, error) {
	var h vp9.Header
	if err := h.Unmarshal(frame); err != nil {
		return Sample{}, damaged("VP9: %v", err)
	}
	s := Sample{Payload: frame, Key: h.ColorConfig != nil && h.FrameSize != nil}
	if !s.Key {
		return s, nil
	}
	width, height := v.props.width, v.props.height
	if err := v.props.checkPicture(h.Width(), h.Height()); err != nil {
		return Sample{}, damaged("%v", err)
	}
	r := newVP9Record(&h)
	r.keepTransfer(v.config)
	if config := r.bytes(); !bytes.Equal(config, v.config) {
		v.config, v.props.codecString, v.props.color = config, r.codecString(), r.color()
		s.Changed = true
	}
	s.Changed = s.Changed || width != v.props.width || height != v.props.height
	return s, nil
}

// vpRecord is a VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding 1.0, 2.2):
//
//	profile(8) level(8) bit depth(4) chroma subsampling(3) full range(1) primaries(8) transfer(8) matrix(8)
//	size of initialisation data(16)=0
type vpRecord struct {
	profile, level, depth, chroma byte
	full                          bool
	primaries, transfer, matrix   byte
}

const vpRecordSize = 8

func newVP9Record(h *vp9.Header) vpRecord {
	c := h.ColorConfig
	r := vpRecord{
		profile: h.Profile, level: vp9Level(h.Width(), h.Height()), depth: c.BitDepth, chroma: h.ChromaSubsampling(), full: c.ColorRange,
	}
	// color_space of VP9 (7.2.2), as ISO/IEC 23091-2 numbers primaries, transfer and matrix.
	spaces := [8][3]byte{{2, 2, 2}, {6, 6, 6}, {1, 1, 1}, {6, 6, 6}, {7, 7, 7}, {9, 14, 9}, {2, 2, 2}, {1, 13, 0}}
	space := spaces[c.ColorSpace&7]
	r.primaries, r.transfer, r.matrix = space[0], space[1], space[2]
	return r
}

// keepTransfer takes the transfer characteristics of a record of the same colours. A frame's header cannot say them: all
// HDR is BT.2020 there.
func (r *vpRecord) keepTransfer(record []byte) {
	if len(record) >= vpRecordSize && record[3] == r.primaries && record[5] == r.matrix {
		r.transfer = record[4]
	}
}

func (r *vpRecord) bytes() []byte {
	range1 := byte(0)
	if r.full {
		range1 = 1
	}
	return []byte{r.profile, r.level, r.depth<<4 | r.chroma<<1 | range1, r.primaries, r.transfer, r.matrix, 0, 0}
}

// codecString writes the CODECS value. The optional fields appear if any of them differs from what leaving them out means:
// 4:2:0 in limited range, BT.709.
func (r *vpRecord) codecString() string {
	s := fmt.Sprintf("vp09.%02d.%02d.%02d", r.profile, r.level, r.depth)
	unsaid := r.primaries == 2 && r.transfer == 2 && r.matrix == 2
	bt709 := r.primaries == 1 && r.transfer == 1 && r.matrix == 1
	if r.chroma <= 1 && !r.full && (unsaid || bt709) {
		return s
	}
	return s + fmt.Sprintf(".%02d.%02d.%02d.%02d.%02d", r.chroma, r.primaries, r.transfer, r.matrix, r.bytes()[2]&1)
}

// readVPCC reads a VPCodecConfigurationRecord, or the body of a box of it, which has version and flags in front. The size of
// the picture is not in it; the first key frame tells.
func (v *Video) readVPCC(rec []byte) error {
	if len(rec) >= 4+vpRecordSize && bytes.Equal(rec[:4], []byte{1, 0, 0, 0}) {
		rec = rec[4:]
	}
	if len(rec) < vpRecordSize {
		return errors.New("the record is too short")
	}
	r := vpRecord{
		profile: rec[0], level: rec[1], depth: rec[2] >> 4, chroma: rec[2] >> 1 & 7, full: rec[2]&1 == 1,
		primaries: rec[3], transfer: rec[4], matrix: rec[5],
	}
	if r.profile > 3 || r.chroma > 3 || r.depth != 8 && r.depth != 10 && r.depth != 12 {
		return errors.New("a profile or a bit depth that VP9 does not have")
	}
	v.config, v.props.codecString, v.props.color = r.bytes(), r.codecString(), r.color()
	return nil
}

// vp9Levels has the limits of each level (VP9 Levels, webmproject.org/vp9/levels): luma samples a second and in a picture.
var vp9Levels = []struct {
	level         byte
	rate, picture int
}{
	{10, 829440, 36864}, {11, 2764800, 73728}, {20, 4608000, 122880}, {21, 9216000, 245760}, {30, 20736000, 552960},
	{31, 36864000, 983040}, {40, 83558400, 2228224}, {41, 160432128, 2228224}, {50, 311951360, 8912896}, {51, 588251136, 8912896},
	{52, 1176502272, 8912896}, {60, 1176502272, 35651584}, {61, 2353004544, 35651584}, {62, 4706009088, 35651584},
}

// vp9Level is the lowest level that has room for pictures of a size, at the highest rate that is usual, 60 a second: VP9 does
// not say its rate.
func vp9Level(width, height int) byte {
	const rate = 60
	for _, l := range vp9Levels {
		if width*height <= l.picture && width*height*rate <= l.rate {
			return l.level
		}
	}
	return 62
}
