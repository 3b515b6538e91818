package testkit

import (
	"time"

	"pushcart/internal/load"
)

// RTMP message types (RTMP 1.0 6).
const (
	typeAudio = load.TagAudio
	typeVideo = load.TagVideo
	typeData  = load.TagScript
)

// tagOf packs a sample, or the codec data, as the body of an RTMP message: classic tags where the codec has them, else
// those of Enhanced RTMP v2.
func tagOf(c *Clip, s *Sample) (typ byte, body []byte) {
	enhanced := func(first byte, packet byte) []byte {
		return append([]byte{first | packet}, c.Codec...)
	}
	const start, frames, framesX = 0, 1, 3
	switch {
	case c.Codec == AAC && s == nil:
		return typeAudio, append([]byte{0xAF, 0}, c.Config...)
	case c.Codec == AAC:
		return typeAudio, append([]byte{0xAF, 1}, s.Payload...)
	case !c.Codec.Video() && s == nil:
		return typeAudio, append(enhanced(0x90, start), c.Config...)
	case !c.Codec.Video():
		return typeAudio, append(enhanced(0x90, frames), s.Payload...)
	case c.Codec == AVC && s == nil:
		return typeVideo, append([]byte{0x17, 0, 0, 0, 0}, c.Config...)
	case s == nil:
		return typeVideo, append(enhanced(0x90, start), c.Config...)
	}
	kind := byte(0x20)
	if s.Key {
		kind = 0x10
	}
	ms := s.Offset.Round(time.Millisecond).Milliseconds()
	offset := []byte{byte(ms >> 16), byte(ms >> 8), byte(ms)}
	switch {
	case c.Codec == AVC:
		return typeVideo, append(append([]byte{kind | 7, 1}, offset...), s.Payload...)
	case c.Codec == AV1 || ms == 0:
		packet := byte(framesX)
		if c.Codec == AV1 {
			packet = frames
		}
		return typeVideo, append(enhanced(0x80|kind, packet), s.Payload...)
	}
	return typeVideo, append(append(enhanced(0x80|kind, frames), offset...), s.Payload...)
}
