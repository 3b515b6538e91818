package codec

import (
	"fmt"

	"pushcart/internal/stream"
)

// mp3Rates and mp3Bitrates (kbit/s) of layer III by index (ISO/IEC 11172-3 2.4.2.3, 13818-3 2.4.2.3).
var (
	mp3Rates    = [2][3]int{{44100, 48000, 32000}, {22050, 24000, 16000}}
	mp3Bitrates = [2][15]int{
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
)

// mp3Header is a frame header of MPEG-1 or MPEG-2 layer III.
type mp3Header struct {
	rate, channels, samples, size int
}

// readMP3Header reads sync(12) ID(1) layer(2) protection(1) bitrate(4) rate(2) padding(1) private(1) mode(2).
// mediacommon's tells twice the true length for MPEG-2.
func readMP3Header(b []byte) (mp3Header, error) {
	if len(b) < 4 || b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return mp3Header{}, damaged("no MP3 frame header")
	}
	if b[1]&0x10 == 0 || b[1]>>1&3 != 1 {
		return mp3Header{}, &UnsupportedError{What: "MPEG audio other than layer III of MPEG-1 and MPEG-2"}
	}
	low := int(^b[1] >> 3 & 1)
	bitrate, rate := int(b[2]>>4), int(b[2]>>2&3)
	if bitrate == 0 || bitrate == 15 || rate == 3 {
		return mp3Header{}, damaged("an MP3 frame header with reserved values")
	}
	h := mp3Header{rate: mp3Rates[low][rate], channels: 2, samples: 1152 >> low}
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	h.size = h.samples/8*1000*mp3Bitrates[low][bitrate]/h.rate + int(b[2]>>1&1)
	return h, nil
}

// NewMP3 describes an MP3 track by one of its frames.
func NewMP3(id int, frame []byte) (*stream.Track, error) {
	h, err := readMP3Header(frame)
	if err != nil {
		return nil, fmt.Errorf("MP3: %w", err)
	}
	return &stream.Track{
		ID: id, Codec: stream.MP3, ClockRate: h.rate, CodecString: "mp4a.40.34",
		SampleRate: h.rate, Channels: h.channels, FrameSamples: h.samples,
	}, nil
}

// NextMP3 cuts the first frame off b. Its errors are as NewMP3's.
func NextMP3(b []byte) (frame, rest []byte, err error) {
	h, err := readMP3Header(b)
	if err != nil {
		return nil, nil, err
	}
	if h.size > len(b) {
		return nil, nil, damaged("an MP3 frame of %d bytes where %d are left", h.size, len(b))
	}
	return b[:h.size], b[h.size:], nil
}
