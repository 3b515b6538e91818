package rtmp

import (
	"fmt"

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
	manyTracks       = 1
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
	fourCC string
	packet byte
	body   []byte
}

// track finds the share of track 0; ok is false when there is none. others tells of more tracks.
func (h *exHeader) track(multitrack byte) (t exTrack, ok, others bool) {
	if h.packet != multitrack {
		return exTrack{fourCC: string(h.take(4)), packet: h.packet, body: h.b}, !h.bad, false
	}
	kinds := h.u(1)
	h.packet = byte(kinds & 15)
	var common string
	if kinds>>4 != manyTracksCodecs {
		common = string(h.take(4))
	}
	for len(h.b) > 0 && !h.bad {
		cc := common
		if kinds>>4 == manyTracksCodecs {
			cc = string(h.take(4))
		}
		id := h.u(1)
		size := len(h.b)
		if kinds>>4 != oneTrack {
			size = h.u(3)
		}
		body := h.take(size)
		switch {
		case h.bad:
		case id == 0:
			t, ok = exTrack{fourCC: cc, packet: h.packet, body: body}, true
		default:
			others = true
		}
	}
	return t, ok, others
}

// otherTrack counts what is not track 0, and says so once.
func (s *session) otherTrack() {
	s.ignore(ignoredTrack)
	if !s.otherTracks {
		s.otherTracks = true
		s.log.Warn("the publisher sends several tracks of a kind; only the first one is used")
	}
}

// exVideo takes an enhanced video message.
func (s *session) exVideo(at uint32, body []byte) error {
	h := exHeader{b: body[1:], packet: body[0] & 15}
	h.modifiers()
	if body[0]>>4&7 == frameCommand && h.packet != exMetadata {
		s.ignore(ignoredPacket)
		return nil
	}
	if h.packet == exMetadata || h.packet == exMPEG2Start {
		s.ignore(ignoredPacket)
		return nil
	}
	x, ok, others := h.track(exMultitrack)
	if others {
		s.otherTrack()
	}
	if !ok {
		if h.bad {
			s.ignore(ignoredPacket)
		}
		return nil
	}
	t := tag{time: at, nanos: h.nanos, payload: x.body}
	switch x.fourCC {
	case "avc1":
		t.codec = stream.H264
	case "hvc1":
		t.codec = stream.HEVC
	case "av01":
		t.codec = stream.AV1
	default:
		return unsupported(exName(x.fourCC)+" video", insteadVideo)
	}
	switch x.packet {
	case exSequenceStart:
		return s.videoConfig(t)
	case exCodedFrames:
		if t.codec != stream.AV1 {
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
	x, ok, others := h.track(exAudioTracks)
	if others {
		s.otherTrack()
	}
	if !ok {
		if h.bad {
			s.ignore(ignoredPacket)
		}
		return nil
	}
	t := tag{time: at, nanos: h.nanos, payload: x.body}
	switch x.fourCC {
	case "mp4a":
		t.codec = stream.AAC
	case "Opus":
		t.codec = stream.Opus
	case ".mp3":
		t.codec = stream.MP3
	default:
		return unsupported(exName(x.fourCC)+" audio", insteadAudio)
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
	case "vp08":
		return "VP8"
	case "vp09":
		return "VP9"
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
