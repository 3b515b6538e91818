package whip

import (
	sequenceav1 "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	sequence264 "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	sequence265 "github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"pushcart/internal/stream"
)

// isKey tells whether decoding can start at an access unit, at a glance: package feed looks closer.
func isKey(c stream.Codec, units [][]byte) bool {
	for _, u := range units {
		if len(u) == 0 {
			continue
		}
		switch c {
		case stream.H264:
			if u[0]&0x1f == h264IDR {
				return true
			}
		case stream.HEVC:
			if t := hevcType(u[0]); t >= 16 && t <= 21 {
				return true
			}
		case stream.AV1:
			if obuType(u) == obuSequence {
				return true
			}
		case stream.VP8:
			return u[0]&1 == 0
		case stream.VP9:
			return vp9Key(u)
		}
	}
	return false
}

// vp9Key reads the beginning of a frame's uncompressed header (VP9 6.2): frame_marker(2) profile(2) [reserved with profile 3]
// show_existing_frame frame_type.
func vp9Key(frame []byte) bool {
	b := frame[0]
	if b>>6 != 2 || b&0x30 == 0x30 {
		return false
	}
	return b&0x0c == 0
}

// pixels is the size of a key frame's picture, for putting simulcast layers in order; 0 when it cannot be told.
func pixels(c stream.Codec, units [][]byte) int {
	for _, u := range units {
		w, h := 0, 0
		switch {
		case len(u) == 0:
		case c == stream.H264 && u[0]&0x1f == h264SPS:
			var s sequence264.SPS
			if s.Unmarshal(u) == nil {
				w, h = s.Width(), s.Height()
			}
		case c == stream.HEVC && hevcType(u[0]) == hevcSPS:
			var s sequence265.SPS
			if s.Unmarshal(u) == nil {
				w, h = s.Width(), s.Height()
			}
		case c == stream.AV1 && obuType(u) == obuSequence:
			var s sequenceav1.SequenceHeader
			if s.Unmarshal(u) == nil {
				w, h = s.Width(), s.Height()
			}
		case c == stream.VP8 && len(u) >= 10 && u[0]&1 == 0: // RFC 6386 9.1: tag(24) start code(24) width(16) height(16)
			w, h = int(u[6])|int(u[7]&0x3f)<<8, int(u[8])|int(u[9]&0x3f)<<8
		case c == stream.VP9 && vp9Key(u):
			w, h = vp9Size(u)
		}
		if w > 0 && h > 0 {
			return w * h
		}
	}
	return 0
}

// vp9Size reads a profile 0 key frame's size (VP9 6.2): behind frame type, show_frame and error_resilient_mode the sync
// code(24), color_space(3), color_range unless RGB, then width and height minus 1, 16 bits each.
func vp9Size(u []byte) (w, h int) {
	if len(u) < 10 || u[0]&0x30 != 0 || u[1] != 0x49 || u[2] != 0x83 || u[3] != 0x42 || u[4]>>5 == 7 {
		return 0, 0
	}
	at := 4*8 + 4
	word := func() int {
		v := 0
		for range 16 {
			v = v<<1 | int(u[at/8]>>(7-at%8)&1)
			at++
		}
		return v + 1
	}
	w = word()
	return w, word()
}
