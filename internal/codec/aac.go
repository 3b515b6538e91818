package codec

import (
	"errors"
	"fmt"

	"pushcart/internal/stream"
)

// Audio object types (ISO/IEC 14496-3 table 1.17).
const (
	aotLC  = 2
	aotSBR = 5
	aotPS  = 29
)

// aacRates are the sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// aacChannels are the channel counts by configuration (ISO/IEC 14496-3 table 1.19); 0 is reserved.
var aacChannels = [16]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0}

// audioConfig is what is of interest in an AudioSpecificConfig.
type audioConfig struct {
	object         int // of the core
	core, ext      int // sampling rates; ext 0 without SBR
	channels       int
	sbr, ps, short bool // short: frames of 960 samples
}

// NewAAC describes an AAC track by its AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1): LC, HE-AAC and HE-AAC v2, whether
// SBR and PS are signalled explicitly or, for older decoders, behind the core's configuration. mediacommon's parser does
// not read the latter.
func NewAAC(id int, asc []byte) (*stream.Track, error) {
	if len(asc) > maxSetSize {
		return nil, fmt.Errorf("AAC codec data of %d bytes: the limit is %d", len(asc), maxSetSize)
	}
	c, err := readAudioConfig(asc)
	if err != nil {
		return nil, fmt.Errorf("AAC codec data: %w", err)
	}
	t := &stream.Track{
		ID: id, Codec: stream.AAC, ClockRate: c.core, Config: append([]byte(nil), asc...), CodecString: "mp4a.40.2",
		SampleRate: c.core, Channels: c.channels, FrameSamples: 1024,
	}
	if c.short {
		t.FrameSamples = 960
	}
	t.Silence, t.SilenceSamples = aacSilence(c.channels), t.FrameSamples
	if c.sbr {
		t.CodecString, t.SampleRate = "mp4a.40.5", c.ext
	}
	if c.ps {
		t.CodecString, t.Channels = "mp4a.40.29", 2
	}
	return t, nil
}

func readAudioConfig(asc []byte) (audioConfig, error) {
	r := bitReader{b: asc}
	var c audioConfig
	c.object = readObjectType(&r)
	c.core = readRate(&r)
	layout := r.u(4)
	c.channels = aacChannels[layout]
	if c.object == aotSBR || c.object == aotPS {
		c.sbr, c.ps = true, c.object == aotPS
		c.ext = readRate(&r)
		c.object = readObjectType(&r)
	}
	if r.bad {
		return c, errors.New("cut off")
	}
	if c.object != aotLC {
		return c, &UnsupportedError{What: fmt.Sprintf("AAC of object type %d", c.object)}
	}
	// GASpecificConfig (4.4.1)
	c.short = r.flag()
	if r.flag() {
		r.skip(14)
	}
	r.skip(1) // extensionFlag, 0 for this object type
	if layout == 0 {
		c.channels = readProgramConfig(&r)
	}
	if r.bad {
		return c, errors.New("cut off")
	}
	if !c.sbr {
		c.readSyncExtension(&r)
	}
	return c, c.check()
}

// readSyncExtension reads the backward compatible signalling of SBR and PS (1.6.6.3). What does not fit is not one.
func (c *audioConfig) readSyncExtension(r *bitReader) {
	if r.left() < 16 || r.u(11) != 0x2B7 || readObjectType(r) != aotSBR || !r.flag() {
		return
	}
	ext := readRate(r)
	if r.bad {
		return
	}
	c.sbr, c.ext = true, ext
	if r.left() >= 12 && r.u(11) == 0x548 {
		c.ps = r.flag()
	}
}

func (c *audioConfig) check() error {
	for _, rate := range []int{c.core, c.ext} {
		if rate != 0 && (rate < 7350 || rate > 192000) || c.core == 0 {
			return fmt.Errorf("a sampling rate of %d Hz", rate)
		}
	}
	// SBR doubles the rate, or keeps it (4.6.18.2.6).
	if c.sbr && c.ext != 2*c.core && c.ext != c.core {
		return fmt.Errorf("SBR from %d to %d Hz", c.core, c.ext)
	}
	if c.channels == 0 {
		return errors.New("an unknown channel layout")
	}
	return nil
}

func readObjectType(r *bitReader) int {
	t := int(r.u(5))
	if t == 31 {
		t = 32 + int(r.u(6))
	}
	return t
}

func readRate(r *bitReader) int {
	i := int(r.u(4))
	switch {
	case i == 15:
		return int(r.u(24))
	case i < len(aacRates):
		return aacRates[i]
	}
	return 0
}

// readProgramConfig counts the channels of a program_config_element (4.5.1.1) and passes over it.
func readProgramConfig(r *bitReader) int {
	r.skip(4 + 2 + 4)
	front, side, back := int(r.u(4)), int(r.u(4)), int(r.u(4))
	lfe, assoc, coupling := int(r.u(2)), int(r.u(3)), int(r.u(4))
	for range 2 { // mono and stereo mixdown
		if r.flag() {
			r.skip(4)
		}
	}
	if r.flag() { // matrix mixdown
		r.skip(3)
	}
	channels := lfe
	for range front + side + back {
		channels += 1 + int(r.u(1)) // is_cpe
		r.skip(4)
	}
	r.skip(4*lfe + 4*assoc + 5*coupling)
	r.skip(-r.pos & 7) // to the next byte
	r.skip(8 * int(r.u(8)))
	return channels
}
