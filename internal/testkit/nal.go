package testkit

import (
	"bytes"
	"encoding/binary"
)

// NALUnits takes a clip's sample of H.264 or HEVC apart: in MP4 each unit stands behind its length.
func NALUnits(payload []byte) (units [][]byte) {
	for len(payload) >= 4 {
		n := int(binary.BigEndian.Uint32(payload))
		if n > len(payload)-4 {
			return units
		}
		units = append(units, payload[4:4+n])
		payload = payload[4+n:]
	}
	return units
}

// ParameterSets are the units of a clip's decoder configuration record (ISO/IEC 14496-15 5.3.3.1 and 8.3.3.1): SPS and PPS
// of H.264, VPS, SPS and PPS of HEVC.
func (c *Clip) ParameterSets() (sets [][]byte) {
	take := func(b []byte, count int) []byte {
		for range count {
			n := int(binary.BigEndian.Uint16(b))
			sets = append(sets, b[2:2+n])
			b = b[2+n:]
		}
		return b
	}
	switch c.Codec {
	case AVC:
		rest := take(c.Config[6:], int(c.Config[5]&31))
		take(rest[1:], int(rest[0]))
	case HEVC:
		b := c.Config[23:]
		for range c.Config[22] {
			b = take(b[3:], int(binary.BigEndian.Uint16(b[1:])))
		}
	}
	return sets
}

// Slices is what of a sample of H.264 or HEVC every protocol carries: its slices, without delimiters, parameter sets and
// fillers, which protocols add and leave out. Samples of other codings are returned as they are.
func Slices(codec FourCC, payload []byte) []byte {
	var slice func(nal []byte) bool
	switch codec {
	case AVC:
		slice = func(nal []byte) bool { t := nal[0] & 31; return t >= 1 && t <= 5 }
	case HEVC:
		slice = func(nal []byte) bool { return nal[0]>>1 < 32 }
	default:
		return payload
	}
	var kept [][]byte
	for _, nal := range NALUnits(payload) {
		if len(nal) > 0 && slice(nal) {
			kept = append(kept, nal)
		}
	}
	return bytes.Join(kept, []byte{0, 0, 1})
}

// withParameterSets are a sample's units, with parameter sets in front of key frames.
func withParameterSets(c *Clip, s *Sample) [][]byte {
	units := NALUnits(s.Payload)
	if s.Key {
		units = append(c.ParameterSets(), units...)
	}
	return units
}
