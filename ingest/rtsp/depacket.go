package rtsp

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpav1"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpvp8"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpvp9"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// mostPackets is how many packets one access unit may take: 32 MiB in full ones. Depacketisers bound its bytes, but not the
// number of empty fragments.
const mostPackets = 24 << 10

// unit is an access unit or an audio frame as a depacketiser gives it.
type unit struct {
	payload [][]byte
	raw     uint32 // RTP timestamp
	behind  int64  // how much later it is than that, in ticks: audio frames share a packet
}

// depacketise takes the next packet of a track, of which nothing is missing, and appends what has become complete.
type depacketise func(units []unit, p *rtp.Packet) ([]unit, error)

// errPackets is an access unit of too many packets.
var errPackets = fmt.Errorf("an access unit has more than %d packets", mostPackets)

// newDepacketiser makes a track's. It is made anew after each loss, since what a used one still holds is damaged. rate is the
// RTP clock's.
func newDepacketiser(f format.Format, rate int) (depacketise, error) {
	switch f := f.(type) {
	case *format.H264:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return pictures(d.Decode, rtph264.ErrMorePacketsNeeded), nil
	case *format.H265:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return pictures(d.Decode, rtph265.ErrMorePacketsNeeded), nil
	case *format.AV1:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return pictures(d.Decode, rtpav1.ErrMorePacketsNeeded), nil
	case *format.VP8:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return pictures(alone(d.Decode), rtpvp8.ErrMorePacketsNeeded), nil
	case *format.VP9:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return pictures(alone(d.Decode), rtpvp9.ErrMorePacketsNeeded), nil
	case *format.MPEG4Audio:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return aac(d, f.Config, rate), nil
	case *format.MPEG4AudioLATM:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return latm(d, f, rate), nil
	case *format.MPEG1Audio:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return mp3(d, rate), nil
	case *format.Opus, *format.G711:
		return packets, nil
	}
	return nil, fmt.Errorf("%s has no depacketiser", f.Codec())
}

// alone gives a decoder of single frames the form of the others.
func alone(decode func(*rtp.Packet) ([]byte, error)) func(*rtp.Packet) ([][]byte, error) {
	return func(p *rtp.Packet) ([][]byte, error) {
		frame, err := decode(p)
		if err != nil {
			return nil, err
		}
		return [][]byte{frame}, nil
	}
}

// pictures gives an access unit the time of its first packet. That is the last one's too, but for encoders that do not mark
// the last packet: the decoder of H.264 then ends an access unit when a packet has another timestamp.
func pictures(decode func(*rtp.Packet) ([][]byte, error), more error) depacketise {
	var raw uint32
	count := 0
	return func(units []unit, p *rtp.Packet) ([]unit, error) {
		if count == 0 {
			raw = p.Timestamp
		}
		if count++; count > mostPackets {
			return units, errPackets
		}
		payload, err := decode(p)
		if errors.Is(err, more) {
			return units, nil
		}
		if err != nil {
			return units, err
		}
		units = append(units, unit{payload: payload, raw: raw})
		count = 0
		if raw != p.Timestamp {
			count, raw = 1, p.Timestamp
		}
		return units, nil
	}
}

// packets is for coding in which each packet is a frame (RFC 7587 4.2, RFC 3551 4.5.14).
func packets(units []unit, p *rtp.Packet) ([]unit, error) {
	return append(units, unit{payload: [][]byte{p.Payload}, raw: p.Timestamp}), nil
}

// aacSamples is the number of samples in an AAC frame.
func aacSamples(c *mpeg4audio.AudioSpecificConfig) int64 {
	if c.FrameLengthFlag {
		return 960
	}
	return 1024
}

// aac takes packets of RFC 3640, of which one may hold several frames.
func aac(d *rtpmpeg4audio.Decoder, c *mpeg4audio.AudioSpecificConfig, rate int) depacketise {
	step := ticksOf(aacSamples(c), c.SampleRate, rate)
	var raw uint32
	count := 0
	return func(units []unit, p *rtp.Packet) ([]unit, error) {
		if count == 0 {
			raw = p.Timestamp
		}
		if count++; count > mostPackets {
			return units, errPackets
		}
		frames, err := d.Decode(p)
		if errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) {
			return units, nil
		}
		count = 0
		if err != nil {
			return units, err
		}
		for i, f := range frames {
			units = append(units, unit{payload: [][]byte{f}, raw: raw, behind: step(i)})
		}
		return units, nil
	}
}

// ticksOf tells how many ticks of an RTP clock a number of frames last.
func ticksOf(samples int64, sampleRate, rate int) func(frames int) int64 {
	return func(frames int) int64 { return int64(frames) * samples * int64(rate) / int64(sampleRate) }
}

// latm takes packets of RFC 6416 6, of which one holds an audioMuxElement (ISO/IEC 14496-3 1.7.3). Only the first layer of the
// first programme is taken.
func latm(d *rtpfragmented.Decoder, f *format.MPEG4AudioLATM, rate int) depacketise {
	mux := mpeg4audio.AudioMuxElement{MuxConfigPresent: false, StreamMuxConfig: f.StreamMuxConfig}
	c := f.StreamMuxConfig.Programs[0].Layers[0].AudioSpecificConfig
	step := ticksOf(aacSamples(c), c.SampleRate, rate)
	return func(units []unit, p *rtp.Packet) ([]unit, error) {
		element, err := d.Decode(p)
		if errors.Is(err, rtpfragmented.ErrMorePacketsNeeded) {
			return units, nil
		}
		if err != nil {
			return units, err
		}
		mux.Payloads = nil
		if err := mux.Unmarshal(element); err != nil {
			return units, err
		}
		for i, programmes := range mux.Payloads {
			if len(programmes) > 0 && len(programmes[0]) > 0 {
				units = append(units, unit{payload: [][]byte{programmes[0][0]}, raw: p.Timestamp, behind: step(i)})
			}
		}
		return units, nil
	}
}

// mp3 takes packets of RFC 2250 3.5.
func mp3(d *rtpmpeg1audio.Decoder, rate int) depacketise {
	return func(units []unit, p *rtp.Packet) ([]unit, error) {
		frames, err := d.Decode(p)
		if errors.Is(err, rtpmpeg1audio.ErrMorePacketsNeeded) {
			return units, nil
		}
		if err != nil {
			return units, err
		}
		behind := int64(0)
		for _, f := range frames {
			units = append(units, unit{payload: [][]byte{f}, raw: p.Timestamp, behind: behind})
			var h mpeg1audio.FrameHeader
			if h.Unmarshal(f) == nil && h.SampleRate > 0 {
				behind += int64(h.SampleCount()) * int64(rate) / int64(h.SampleRate)
			}
		}
		return units, nil
	}
}
