package codec

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"pushcart/internal/stream"
)

// unspecified is the code point of ITU-T H.273 8.1 to 8.3 for what a stream does not say; H.264 and HEVC infer it where
// there is none.
const unspecified = 2

// unsaid is the colour of a stream that says its bit depth alone.
func unsaid(depth uint8) stream.Color {
	return stream.Color{Primaries: unspecified, Transfer: unspecified, Matrix: unspecified, Depth: depth}
}

// signal is what the video usability information of H.264 (ITU-T H.264 E.1.1) and HEVC (ITU-T H.265 E.2.1) say of samples.
// Both have the same fields.
type signal struct {
	primaries, transfer, matrix uint8
	described                   bool // the three above are there
	full                        bool
	aspect                      uint8 // aspect_ratio_idc; 0 is unspecified
	sarWidth, sarHeight         uint16
}

// extendedAspect is the aspect_ratio_idc whose ratio is written out.
const extendedAspect = 255

// aspects are the ratios of aspect_ratio_idc, the width of a sample to its height (ITU-T H.264 table E-1).
var aspects = [...][2]int{
	{}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11}, {64, 33},
	{160, 99}, {4, 3}, {3, 2}, {2, 1},
}

// pixelAspect is the width of a sample to its height; zero where it is square or not said.
func (s signal) pixelAspect() [2]int {
	var a [2]int
	switch {
	case s.aspect == extendedAspect:
		a = [2]int{int(s.sarWidth), int(s.sarHeight)}
	case int(s.aspect) < len(aspects):
		a = aspects[s.aspect]
	}
	if a[0] == 0 || a[1] == 0 || a[0] == a[1] {
		return [2]int{}
	}
	return a
}

// color is what samples of so many bits stand for.
func (s signal) color(depth uint8) stream.Color {
	c := unsaid(depth)
	if s.described {
		c.Primaries, c.Transfer, c.Matrix = s.primaries, s.transfer, s.matrix
	}
	c.Full = s.full
	return c
}

// avcSignal reads an SPS's video usability information; nil has none.
func avcSignal(v *h264.SPS_VUI) signal {
	if v == nil {
		return signal{}
	}
	return signal{
		v.ColourPrimaries, v.TransferCharacteristics, v.MatrixCoefficients, v.ColourDescriptionPresentFlag, v.VideoFullRangeFlag,
		v.AspectRatioIdc, v.SarWidth, v.SarHeight,
	}
}

// hevcSignal reads an SPS's video usability information; nil has none.
func hevcSignal(v *h265.SPS_VUI) signal {
	if v == nil {
		return signal{}
	}
	return signal{
		v.ColourPrimaries, v.TransferCharacteristics, v.MatrixCoefficients, v.ColourDescriptionPresentFlag, v.VideoFullRangeFlag,
		v.AspectRatioIdc, v.SarWidth, v.SarHeight,
	}
}

// depth of a sample in bits (AV1 specification 5.5.2).
func (s *av1Sequence) depth() uint8 {
	switch {
	case s.twelve:
		return 12
	case s.high:
		return 10
	}
	return 8
}

// pictureColor is what a sequence header's color_config says (AV1 specification 6.4.2).
func (s *av1Sequence) pictureColor() stream.Color {
	return stream.Color{
		Primaries: uint8(s.primaries), Transfer: uint8(s.transfer), Matrix: uint8(s.matrix), Full: s.fullRange, Depth: s.depth(),
	}
}

// color is what a VP9 record says.
func (r *vpRecord) color() stream.Color {
	return stream.Color{Primaries: r.primaries, Transfer: r.transfer, Matrix: r.matrix, Full: r.full, Depth: r.depth}
}

// vp8Color is the colour of all VP8 (RFC 6386 9.2): that of ITU-R BT.601 in the limited range.
func vp8Color() stream.Color { return stream.Color{Primaries: 6, Transfer: 6, Matrix: 6, Depth: 8} }
