package stream

import (
	"fmt"
	"time"
)

// Codec names an elementary stream's coding.
// The zero value is no codec.
type Codec uint8

// The codecs that frames may carry. Which of them HLS can deliver is the packager's to say.
const (
	H264 Codec = iota + 1
	HEVC
	AV1
	AAC
	Opus
	MP3
	VP8
	VP9
	PCMA
	PCMU
)

// String is the name that users see: in the API, in logs and in advice.
func (c Codec) String() string {
	switch c {
	case H264:
		return "H.264"
	case HEVC:
		return "HEVC"
	case AV1:
		return "AV1"
	case AAC:
		return "AAC"
	case Opus:
		return "Opus"
	case MP3:
		return "MP3"
	case VP8:
		return "VP8"
	case VP9:
		return "VP9"
	case PCMA:
		return "G.711 A-law"
	case PCMU:
		return "G.711 µ-law"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// Video tells whether the codec carries pictures.
func (c Codec) Video() bool {
	switch c {
	case H264, HEVC, AV1, VP8, VP9:
		return true
	}
	return false
}

// Track describes one elementary stream of a publisher.
//
// A Track never changes once frames refer to it: when the codec data changes in mid-stream, the ingest side makes a new
// Track with the same ID, and the first frame that refers to the new one is a key frame.
type Track struct {
	// ID is the track's number within its publisher: 0 for the first video track and 1 to 15 for further ones, 100 for the
	// first audio track and 101 to 115 for further ones. The video track of the lowest number leads: it decides where
	// segments begin, so it should be the one that is least likely to stop. Tracks of a Branch follow from FirstRung and
	// FirstRungAudio on.
	ID int
	// Codec of the frames.
	Codec Codec
	// ClockRate is the number of ticks a second in which DTS, PTS and Duration of this track's frames count.
	// 90,000 for video, the core sample rate for audio.
	ClockRate int
	// Config is the codec data as ISO-BMFF sample entries carry it, length-prefixed NAL units being 4 bytes:
	// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1), HEVCDecoderConfigurationRecord (8.3.3.1),
	// AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3), VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding 1.0),
	// AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) or OpusHead (RFC 7845 5.1). Empty for MP3, G.711 and VP8.
	Config []byte
	// CodecString is the CODECS value of RFC 6381, such as "avc1.64001f" or "mp4a.40.2"; "" where there is none.
	CodecString string
	// Language of an audio track as a BCP 47 tag, such as "pt-BR"; "" when it is not known.
	Language string
	// Name that people choose the track by, such as "Commentary"; "" when it has none.
	Name string
	// Undelivered tells that viewers do not get the track, because HLS cannot carry its codec. The door sets it.
	Undelivered bool

	// Rung is the rendition's name in URIs, such as "480p", of a track that was made from another one; "" for a publisher's own.
	// Until the first frame such a track may be declared with its codec and size alone, without codec data.
	Rung string
	// Lag is how far a rung may be behind the publisher's tracks before something stands in for it; 0 for a publisher's own.
	Lag time.Duration
	// SoundOnly tells that a rung of audio is for viewers who get no picture, and does not go with video.
	SoundOnly bool

	// Width and Height are the size in samples, without what the codec data crop; 0 for audio.
	Width, Height int
	// PixelAspect is the width of a sample to its height, such as {4, 3}; zero where it is square or not known.
	PixelAspect [2]int
	// FrameRate is the rate that the codec data claims, in frames a second; 0 when it claims none.
	FrameRate float64
	// Color is what the samples of a picture stand for.
	Color Color

	// SampleRate is the output rate in Hz (with SBR, twice the core rate); 0 for video.
	SampleRate int
	// Channels is the number of output channels; 0 for video.
	Channels int
	// FrameSamples is the constant number of ticks in one audio frame; 0 when frames state their own Duration.
	FrameSamples int
	// Silence is one frame of silence, to fill in for audio that stops; nil when none is known.
	Silence []byte
	// SilenceSamples is the number of ticks that Silence lasts.
	SilenceSamples int
}

// Numbers of the first rungs, and how many there may be of each kind.
const (
	FirstRung      = 16
	FirstRungAudio = 116
	MostRungs      = 16
)

// Video tells whether the track carries pictures.
func (t *Track) Video() bool { return t.Codec.Video() }

// Color is what samples stand for, in the code points of ITU-T H.273, as H.264, HEVC, AV1 and VP9 all have them. Zero values
// are not known: 0 is reserved there.
type Color struct {
	// Primaries, Transfer and Matrix: ITU-T H.273 8.1 to 8.3. 2 is "unspecified".
	Primaries, Transfer, Matrix uint8
	// Full tells that samples use the full range of values.
	Full bool
	// Depth is the number of bits of a sample; 0 is not known.
	Depth uint8
}

// Transfer characteristics of HDR (ITU-T H.273 8.2).
const (
	TransferPQ  = 16 // SMPTE ST 2084
	TransferHLG = 18 // ARIB STD-B67
)

// Range is the picture's VIDEO-RANGE as rfc8216bis 4.4.6.2 has it: "SDR", "HLG" or "PQ".
func (c Color) Range() string {
	switch c.Transfer {
	case TransferPQ:
		return "PQ"
	case TransferHLG:
		return "HLG"
	}
	return "SDR"
}
