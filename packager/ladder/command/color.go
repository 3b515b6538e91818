package command

import (
	"pushcart/internal/stream"
)

// Code points of ITU-T H.273 that are chosen where a stream names none.
const (
	bt709      = 1
	smpte170m  = 6
	bt2020     = 9
	firstHD    = 720 // lines, from which on what says nothing is taken for BT.709
	wideHD     = 1280
	depthOfHDR = 10
)

// Names that ffmpeg has for code points of ITU-T H.273 8.1 to 8.3. Others are rare, and taken for what is usual.
var (
	primaryNames = map[uint8]string{
		1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 11: "smpte431", 12: "smpte432",
	}
	transferNames = map[uint8]string{
		1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 11: "iec61966-2-4", 12: "bt1361e",
		13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67",
	}
	matrixNames = map[uint8]string{
		1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c",
	}
)

// hdr tells whether a track is of high dynamic range.
func hdr(t *stream.Track) bool { return t.Color.Range() != "SDR" }

// colorOf is what a track's samples stand for, with nothing left open.
func colorOf(t *stream.Track) stream.Color {
	usual := uint8(bt709)
	switch {
	case hdr(t):
		usual = bt2020
	case t.Codec == stream.VP8, min(t.Width, t.Height) < firstHD && max(t.Width, t.Height) < wideHD:
		usual = smpte170m // RFC 6386 9.2 for VP8; what players take small pictures for
	}
	c := t.Color
	if primaryNames[c.Primaries] == "" {
		c.Primaries = usual
	}
	if matrixNames[c.Matrix] == "" {
		c.Matrix = usual
	}
	if transferNames[c.Transfer] == "" {
		c.Transfer = usual
	}
	return c
}

// outputColor is the colour of an output in a codec, and whether it is tone-mapped. All are of limited range and, but for HDR
// in HEVC and AV1, of 8 bits.
func outputColor(t *stream.Track, c stream.Codec) (_ stream.Color, mapped bool) {
	if hdr(t) && c == stream.H264 {
		return stream.Color{Primaries: bt709, Transfer: bt709, Matrix: bt709, Depth: 8}, true
	}
	out := colorOf(t)
	out.Full, out.Depth = false, 8
	if hdr(t) {
		out.Depth = depthOfHDR
	}
	return out, false
}

// plain tells whether a track is surely of 8 bits, limited range and 4:2:0, as far as its codec data say: what every GPU
// decodes and scales without a change of format. 4:2:2, 4:4:4, full range and deep colour go through the CPU's filters.
func plain(t *stream.Track) bool {
	if t.Color.Full || t.Color.Depth > 8 || hdr(t) || t.Color.Matrix == 0 && t.Color.Primaries != 0 {
		return false
	}
	c := t.Config
	switch t.Codec {
	case stream.H264: // ISO/IEC 14496-15 5.3.3.1.2: the second byte is profile_idc; 100 is High
		return len(c) > 1 && c[1] <= 100 && c[1] != 44
	case stream.HEVC: // ISO/IEC 14496-15 8.3.3.1.2: chroma_format_idc, bit_depth_luma_minus8
		return len(c) > 18 && c[16]&3 == 1 && c[17]&7 == 0
	case stream.AV1: // AV1-ISOBMFF 2.3.3: high_bitdepth, twelve_bit, monochrome, subsampling x and y
		return len(c) > 2 && c[2]&0x7c == 0x0c
	case stream.VP9: // VP Codec ISO Media File Format Binding 1.0: bitDepth, chromaSubsampling, videoFullRangeFlag
		return len(c) > 6 && c[6]>>4 == 8 && c[6]>>1&7 <= 1 && c[6]&1 == 0
	}
	return t.Codec == stream.VP8
}

// everywhere tells whether decoders in browsers and phones take a track of H.264: not High 10, 4:2:2 or 4:4:4.
func everywhere(t *stream.Track) bool {
	return t.Codec != stream.H264 || len(t.Config) < 2 || t.Config[1] <= 100 && t.Config[1] != 44
}
