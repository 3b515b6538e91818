package rtmp

import (
	"fmt"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Packet types of Enhanced RTMP v2 (ExVideoTagHeader, ExAudioTagHeader). Audio has no 3.
const (
	exSequenceStart = 0
	exCodedFrames   = 1
	exSequenceEnd   = 2
	exCodedFramesX  = 3
	exMetadata      = 4 // of audio: multichannel configuration
	exMPEG2Start    = 5 // of audio: multitrack
	exMultitrack    = 6
	exModEx         = 7
	exAudioTracks   = 5
)

// Multitrack types.
const (
	oneTrack         = 0
	manyTracksCodecs = 2
)

const modExNanoOffset = 0

// exHeader is the part of an enhanced tag that audio and video share, read piece by piece:
//
//	packet type(4), then while it is ModEx:
//	  size - 1(8) [if 255: size - 1(16)] data  ModEx type(4) packet type(4)
//	multitrack: multitrack type(4) packet type(4) [one codec for all: FourCC(32)]
//	  then by track: [each its codec: FourCC(32)] track id(8) [more than one track: size(24)] body
//	else FourCC(32) body
type exHeader struct {
	b      []byte
	packet byte
	nanos  int64
	bad    bool
}

func (h *exHeader) take(n int) []byte {
	if h.bad || n > len(h.b) {
		h.bad = true
		return nil
	}
	out := h.b[:n]
	h.b = h.b[n:]
	return out
}

func (h *exHeader) u(n int) (v int) {
	for _, b := range h.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// modifiers reads ModEx headers, up to the packet type that they modify.
func (h *exHeader) modifiers() {
	for h.packet == exModEx && !h.bad {
		size := h.u(1) + 1
		if size == 256 {
			size = h.u(2) + 1
		}
		data := h.take(size)
		kind := h.u(1)
		h.packet = byte(kind & 15)
		if kind>>4 == modExNanoOffset && len(data) >= 3 {
			h.nanos = int64(data[0])<<16 | int64(data[1])<<8 | int64(data[2])
		}
	}
}

// exTrack is one track's share of an enhanced tag.
type exTrack struct {
	number int
	fourCC string
	packet byte
	body   []byte
}

// tracks calls take for each track's share, and lost for a track whose share does not fit into the tag, until one of them fails.
// multitrack is the packet type that says that there may be several.
func (h *exHeader) tracks(multitrack byte, take func(exTrack) error, lost func(number int)) error {
	if h.packet != multitrack {
		x := exTrack{fourCC: string(h.take(4)), packet: h.packet, body: h.b}
		if h.bad {
			return nil
		}
		return take(x)
	}
	kind := h.u(1)
	packet := byte(kind & 15)
	kind >>= 4
	var common string
	if kind != manyTracksCodecs {
		common = string(h.take(4))
	}
	for len(h.b) > 0 && !h.bad {
		x := exTrack{fourCC: common, packet: packet}
		if kind == manyTracksCodecs {
			x.fourCC = string(h.take(4))
		}
		x.number = h.u(1)
		if h.bad {
			return nil
		}
		size := len(h.b)
		if kind != oneTrack {
			size = h.u(3)
		}
		if x.body = h.take(size); h.bad {
			lost(x.number)
			return nil
		}
		if err := take(x); err != nil {
			return err
		}
	}
	return nil
}

// exVideo takes an enhanced video message.
func (s *session) exVideo(at uint32, body []byte) error {
	h := exHeader{b: body[1:], packet: body[0] & 15}
	h.modifiers()
	if body[0]>>4&7 == frameCommand && h.packet != exMetadata || h.packet == exMetadata || h.packet == exMPEG2Start {
		s.ignore(ignoredPacket)
		return nil
	}
	err := h.tracks(exMultitrack, func(x exTrack) error { return s.exVideoTrack(&h, at, x) },
		func(n int) { s.videoTrack(n).Lost(ingest.DropDamaged) })
	if h.bad {
		s.ignore(ignoredPacket)
	}
	return err
}

// exVideoTrack takes one track's share of an enhanced video message.
func (s *session) exVideoTrack(h *exHeader, at uint32, x exTrack) error {
	t := tag{track: x.number, time: at, nanos: h.nanos, payload: x.body}
	composed := false // a composition time stands in front
	switch x.fourCC {
	case "avc1":
		t.codec, composed = stream.H264, true
	case "hvc1":
		t.codec, composed = stream.HEVC, true
	case "av01":
		t.codec = stream.AV1
	case "vp09":
		t.codec = stream.VP9
	case "vp08":
		t.codec = stream.VP8
	default:
		return feed.Unsupported(exName(x.fourCC)+" video", feed.InsteadVideo)
	}
	switch x.packet {
	case exSequenceStart:
		return s.videoConfig(t)
	case exCodedFrames:
		if composed {
			if len(t.payload) < 3 {
				s.ignore(ignoredEmpty)
				return nil
			}
			t.offset, t.payload = signed24(t.payload), t.payload[3:]
		}
		return s.videoFrame(t)
	case exCodedFramesX:
		return s.videoFrame(t)
	case exSequenceEnd:
	default:
		s.ignore(ignoredPacket)
	}
	return nil
}

// exAudio takes an enhanced audio message.
func (s *session) exAudio(at uint32, body []byte) error {
	h := exHeader{b: body[1:], packet: body[0] & 15}
	h.modifiers()
	err := h.tracks(exAudioTracks, func(x exTrack) error { return s.exAudioTrack(&h, at, x) },
		func(n int) { s.audioTrack(n).Lost(ingest.DropDamaged) })
	if h.bad {
		s.ignore(ignoredPacket)
	}
	return err
}

// exAudioTrack takes one track's share of an enhanced audio message.
func (s *session) exAudioTrack(h *exHeader, at uint32, x exTrack) error {
	t := tag{track: x.number, time: at, nanos: h.nanos, payload: x.body}
	switch x.fourCC {
	case "mp4a":
		t.codec = stream.AAC
	case "Opus":
		t.codec = stream.Opus
	case ".mp3":
		t.codec = stream.MP3
	default:
		return feed.Unsupported(exName(x.fourCC)+" audio", feed.InsteadAudio)
	}
	switch x.packet {
	case exSequenceStart:
		return s.audioConfig(t)
	case exCodedFrames:
		return s.audioFrame(t)
	case exSequenceEnd:
	default:
		s.ignore(ignoredPacket)
	}
	return nil
}

// exName names a FourCC for people.
func exName(fourCC string) string {
	switch fourCC {
	case "vvc1":
		return "VVC"
	case "ac-3":
		return "AC-3"
	case "ec-3":
		return "E-AC-3"
	case "fLaC":
		return "FLAC"
	}
	return fmt.Sprintf("%q", fourCC)
}
