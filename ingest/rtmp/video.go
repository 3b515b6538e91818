package rtmp

import (
	"fmt"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Frame types (FLV 10.1 E.4.3.1).
const frameCommand = 5

// Packet types of AVC, and by custom of HEVC, in classic tags.
const (
	packetConfig = 0
	packetFrame  = 1
)

// video takes a video message:
//
//	classic   0 frame type(3) codec(4) [AVC, HEVC: packet type(8) composition time(24, signed)] data
//	enhanced  1 frame type(3) packet type(4) ...: see exVideo
func (s *session) video(at uint32, body []byte) error {
	if len(body) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	if body[0]&0x80 != 0 {
		return s.exVideo(at, body)
	}
	if body[0]>>4 == frameCommand {
		s.ignore(ignoredPacket)
		return nil
	}
	t := tag{time: at}
	switch body[0] & 15 {
	case 7:
		t.codec = stream.H264
	case 12:
		t.codec = stream.HEVC
	default:
		return feed.Unsupported(classicVideo(body[0]&15), feed.InsteadVideo)
	}
	if len(body) < 5 {
		s.ignore(ignoredEmpty)
		return nil
	}
	t.offset = signed24(body[2:])
	t.payload = body[5:]
	switch body[1] {
	case packetConfig:
		return s.videoConfig(t)
	case packetFrame:
		return s.videoFrame(t)
	}
	return nil // the end of a sequence
}

// classicVideo names the codecs of FLV.
func classicVideo(id byte) string {
	names := [16]string{2: "Sorenson H.263 video", 3: "Screen video", 4: "VP6 video", 5: "VP6 video with alpha", 6: "Screen video 2"}
	if names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("Video of FLV codec %d", id)
}

func signed24(b []byte) int64 {
	return int64(int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8)
}

// videoConfig takes codec data.
func (s *session) videoConfig(t tag) error { return s.videoTrack(t.track).Record(t.codec, t.payload) }

// videoFrame takes one access unit.
func (s *session) videoFrame(t tag) error {
	if len(t.payload) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	dts := 90*s.clock.media(t.time) + t.nanos*90/1_000_000
	v := s.videoTrack(t.track)
	if t.offset > longestOffset || t.offset < -longestOffset {
		v.Lost(ingest.DropDamaged)
		return nil
	}
	return v.WriteSample(t.codec, t.payload, feed.Time{PTS: dts + 90*t.offset, DTS: dts, HasDTS: true, Rate: 90000})
}
