package rtmp

import (
	"fmt"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Frame types (FLV 10.1 E.4.3.1).
const frameCommand = 5

// Packet types of AVC, and by custom of HEVC, in classic tags.
const (
	packetConfig = 0
	packetFrame  = 1
)

const insteadVideo = "H.264"

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
		return unsupported(classicVideo(body[0]&15), insteadVideo)
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

// videoConfig takes codec data. Encoders repeat it; only what differs makes a new track.
func (s *session) videoConfig(t tag) error {
	if len(t.payload) == 0 || s.vid != nil && s.vid.Codec() == t.codec && s.vid.Given(t.payload) {
		return nil
	}
	v, err := codec.NewVideo(t.codec, t.payload)
	if err != nil {
		return s.configFault(err, insteadVideo)
	}
	same := s.vid != nil && s.vid.Same(v)
	s.vid = v
	if same {
		return nil
	}
	return s.newVideoTrack()
}

// newVideoTrack declares what the codec data says. The first frame of a replaced track must be a key frame.
func (s *session) newVideoTrack() error {
	s.needKey, s.bare = s.seenKey, wait{}
	s.vtrack = s.vid.Track(videoID)
	return s.declare(s.vtrack)
}

// videoFrame takes one access unit.
func (s *session) videoFrame(t tag) error {
	if len(t.payload) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	ms := s.clock.media(t.time)
	if t.offset > longestOffset || t.offset < -longestOffset {
		s.needKey = s.seenKey
		s.pub.Drop(ingest.DropDamaged)
		return nil
	}
	if s.vid == nil || s.vid.Codec() != t.codec {
		return s.noCodecData(ms)
	}
	sample, err := s.vid.Read(t.payload)
	if err != nil {
		s.needKey = s.seenKey
		s.pub.Drop(ingest.DropDamaged)
		return nil
	}
	dts := 90*ms + t.nanos*90/1_000_000
	if err := s.picture(&sample, ms, dts, t.offset); err != nil {
		return err
	}
	return s.userData(dts)
}

// picture passes a sample on, if there is one and it can be decoded.
func (s *session) picture(sample *codec.Sample, ms, dts, offset int64) error {
	if sample.Changed {
		if err := s.newVideoTrack(); err != nil {
			return err
		}
	}
	if len(sample.Payload) == 0 {
		return nil
	}
	if sample.Key {
		s.seenKey, s.needKey, s.keyless = true, false, wait{}
	} else if s.needKey {
		return s.noKey(ms)
	}
	s.frame = stream.Frame{Track: s.vtrack, DTS: dts, PTS: dts + 90*offset, Key: sample.Key, Payload: sample.Payload}
	return s.pub.Write(&s.frame)
}

// noKey drops what cannot be decoded until a key frame comes, and gives up on an encoder that sends none. Before the
// first one of all it is the door that waits.
func (s *session) noKey(ms int64) error {
	s.pub.Drop(ingest.DropBeforeKeyframe)
	if !s.keyless.over(ms, s.levelAt, keyTimeout) {
		return nil
	}
	return ingest.Refuse(ingest.ReasonNoKeyframe, "The video was damaged or changed, and no keyframe came in the %d seconds since. Set the encoder's keyframe interval to 2 seconds.",
		int(keyTimeout.Seconds()))
}

// noCodecData drops what cannot be understood, and gives up after a while.
func (s *session) noCodecData(ms int64) error {
	s.pub.Drop(ingest.DropBeforeConfig)
	if !s.bare.over(ms, s.levelAt, codecDataTimeout) {
		return nil
	}
	return ingest.Refuse(ingest.ReasonNoCodecData, "The video's codec data (sequence header) did not come in %d seconds. Restart the encoder, and let it reconnect with a new session instead of resuming the old one.",
		int(codecDataTimeout.Seconds()))
}
