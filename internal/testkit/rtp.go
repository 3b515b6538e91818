package testkit

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
)

// maxRTPPayload keeps packets within what any network takes.
const maxRTPPayload = 1180

// rtpTrack packs one track's samples into RTP packets. It is written here so that times, losses and mistakes are the test's.
type rtpTrack struct {
	media    Media
	rate     int
	payload  uint8
	ssrc     uint32
	sequence uint16
	origin   uint64
	vp8      codecs.VP8Payloader
	// inBand puts parameter sets in front of key frames.
	inBand bool

	packets, octets uint32 // sent so far
}

func newRTPTrack(number int, m Media, origin uint64) *rtpTrack {
	t := &rtpTrack{media: m, rate: 90000, payload: uint8(96 + number), ssrc: 0x7E570000 + uint32(number), sequence: 65500, origin: origin}
	switch m.Clip.Codec {
	case AAC:
		t.rate = m.Clip.sampleRate()
	case Opus:
		t.rate = 48000
	case PCMA:
		t.rate, t.payload = 8000, 8 // RFC 3551 6
	}
	t.inBand = m.Clip.Codec == AVC || m.Clip.Codec == HEVC
	return t
}

// ticks is the time on the wire of a time in the clip.
func (t *rtpTrack) ticks(at time.Duration) uint32 {
	return uint32(t.origin + uint64(int64(at/time.Second)*int64(t.rate)+(int64(at%time.Second)*int64(t.rate)+5e8)/1e9))
}

// pack makes a sample's packets.
func (t *rtpTrack) pack(s *Sample) (all []*rtp.Packet) {
	payloads := t.payloads(s)
	for i, p := range payloads {
		last := i == len(payloads)-1
		all = append(all, &rtp.Packet{Header: rtp.Header{
			Version: 2, Marker: last && t.media.Clip.Codec != PCMA && t.media.Clip.Codec != Opus, PayloadType: t.payload,
			SequenceNumber: t.sequence, Timestamp: t.ticks(s.DTS + s.Offset), SSRC: t.ssrc,
		}, Payload: p})
		t.sequence++
		t.packets++
		t.octets += uint32(len(p))
	}
	return all
}

func (t *rtpTrack) payloads(s *Sample) (out [][]byte) {
	switch t.media.Clip.Codec {
	case AVC, HEVC:
		units := NALUnits(s.Payload)
		if t.inBand {
			units = withParameterSets(t.media.Clip, s)
		}
		for _, nal := range units {
			out = append(out, fragments(t.media.Clip.Codec, nal)...)
		}
		return out
	case AAC:
		// RFC 3640 3.3.6, AAC-hbr: 16 bits with the headers' length in bits, a header of 13 bits of size and 3 of index.
		size := len(s.Payload)
		return [][]byte{append([]byte{0, 16, byte(size >> 5), byte(size << 3)}, s.Payload...)}
	case VP8:
		return t.vp8.Payload(maxRTPPayload, s.Payload)
	}
	return [][]byte{s.Payload}
}

// fragments are a NAL unit's packets: itself, or where it is too long FU-A of H.264 (RFC 6184 5.8) and FU of HEVC (RFC 7798
// 4.4.3).
func fragments(codec FourCC, nal []byte) (out [][]byte) {
	if len(nal) <= maxRTPPayload {
		return [][]byte{nal}
	}
	head, kind := []byte{nal[0]&0xE0 | 28}, nal[0]&0x1F
	rest := nal[1:]
	if codec == HEVC {
		head, kind = []byte{nal[0]&0x81 | 49<<1, nal[1]}, nal[0]>>1&0x3F
		rest = nal[2:]
	}
	for first := true; len(rest) > 0; first = false {
		n := min(len(rest), maxRTPPayload-3)
		unit := append([]byte(nil), head...)
		flags := kind
		if first {
			flags |= 0x80
		}
		if n == len(rest) {
			flags |= 0x40
		}
		out = append(out, append(append(unit, flags), rest[:n]...))
		rest = rest[n:]
	}
	return out
}

// report is a sender report (RFC 3550 6.4.1) that says when what has a time in the clip was captured.
func (t *rtpTrack) report(at time.Duration, captured time.Time) *rtcp.SenderReport {
	return &rtcp.SenderReport{SSRC: t.ssrc, NTPTime: ntp(captured), RTPTime: t.ticks(at), PacketCount: t.packets, OctetCount: t.octets}
}

// ntp is a time as seconds since 1900 and a binary fraction of 32 bits.
func ntp(at time.Time) uint64 {
	const epoch = 2208988800
	return uint64(at.Unix()+epoch)<<32 | uint64(at.Nanosecond())<<32/1e9
}

// sampleRate of a clip of AAC, by its AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1): type(5) frequency index(4).
func (c *Clip) sampleRate() int {
	index := binary.BigEndian.Uint16(c.Config) >> 7 & 15
	return []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}[index]
}

// channels of a clip of AAC: the four bits behind the frequency.
func (c *Clip) channels() int { return int(binary.BigEndian.Uint16(c.Config) >> 3 & 15) }
