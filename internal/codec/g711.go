package codec

import (
	"bytes"
	"fmt"

	"pushcart/internal/stream"
)

// NewG711 describes a track of G.711: stream.PCMA or stream.PCMU, one byte for each sample of each channel.
func NewG711(id int, c stream.Codec, sampleRate, channels int) (*stream.Track, error) {
	if sampleRate < 1000 || sampleRate > 192000 || channels < 1 || channels > 8 {
		return nil, fmt.Errorf("%s with %d channels at %d Hz", c, channels, sampleRate)
	}
	zero := byte(0xD5) // ITU-T G.711 table 1a
	switch c {
	case stream.PCMA:
	case stream.PCMU:
		zero = 0xFF // table 2a
	default:
		return nil, &UnsupportedError{What: c.String()}
	}
	samples := sampleRate / 50
	return &stream.Track{
		ID: id, Codec: c, ClockRate: sampleRate, SampleRate: sampleRate, Channels: channels,
		Silence: bytes.Repeat([]byte{zero}, samples*channels), SilenceSamples: samples,
	}, nil
}
