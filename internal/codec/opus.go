package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"pushcart/internal/stream"
)

// opusRate is the clock of Opus whatever was recorded (RFC 7845 4).
const opusRate = 48000

// NewOpus describes an Opus track by its identification header (RFC 7845 5.1), whose numbers are little-endian:
//
//	"OpusHead" version(8) channels(8) pre-skip(16) input rate(32) gain(16) mapping family(8)
//	[streams(8) coupled(8) mapping(8 x channels)] for a family other than 0
func NewOpus(id int, head []byte) (*stream.Track, error) {
	if len(head) < 19 || string(head[:8]) != "OpusHead" {
		return nil, errors.New("codec data of Opus: not an OpusHead")
	}
	// The upper four bits are the major version.
	if head[8]>>4 != 0 {
		return nil, fmt.Errorf("codec data of Opus: version %d", head[8])
	}
	channels, family := int(head[9]), head[18]
	size := 19
	switch {
	case channels == 0:
		return nil, errors.New("codec data of Opus: no channels")
	case family == 0 && channels > 2, family == 1 && channels > 8:
		return nil, fmt.Errorf("codec data of Opus: %d channels in mapping family %d", channels, family)
	case family != 0:
		size += 2 + channels
	}
	if len(head) < size {
		return nil, errors.New("codec data of Opus: the channel mapping is cut off")
	}
	config := append([]byte(nil), head[:size]...)
	fixOpusOrder(config)
	t := &stream.Track{
		ID: id, Codec: stream.Opus, ClockRate: opusRate, Config: config, CodecString: "opus",
		SampleRate: opusRate, Channels: channels,
	}
	if family == 0 {
		t.Silence, t.SilenceSamples = opusSilence(channels), opusRate/50
	}
	return t, nil
}

// fixOpusOrder corrects headers of programs that write their numbers big-endian, as the dOps box has them: nobody
// records at more than 768 kHz, so a rate that makes sense the other way round tells.
func fixOpusOrder(h []byte) {
	const highest = 768000
	swapped := binary.BigEndian.Uint32(h[12:])
	if binary.LittleEndian.Uint32(h[12:]) <= highest || swapped == 0 || swapped > highest {
		return
	}
	binary.LittleEndian.PutUint32(h[12:], swapped)
	h[10], h[11] = h[11], h[10]
	h[16], h[17] = h[17], h[16]
}

// opusFrame is the duration of one frame by configuration number, in 1/48,000 s (RFC 6716 table 2).
var opusFrame = [32]int{
	480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960,
	120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960,
}

// OpusDuration is the duration of a packet in 1/48,000 s (RFC 6716 3.1). Its error wraps ErrDamaged.
func OpusDuration(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, damaged("an empty Opus packet")
	}
	frames := 1
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, damaged("an Opus packet without its frame count")
		}
		frames = int(packet[1] & 63)
	}
	d := frames * opusFrame[packet[0]>>3]
	if d == 0 || d > 5760 { // 120 ms at most
		return 0, damaged("an Opus packet of %d samples", d)
	}
	return d, nil
}
