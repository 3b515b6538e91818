package whip

import "encoding/binary"

// NAL unit types of H.264's payload format (RFC 6184 5.4).
const (
	h264IDR    = 5
	h264SPS    = 7
	h264PPS    = 8
	h264AUD    = 9
	h264STAPA  = 24
	h264FUA    = 28
	h264Single = 23 // the highest type of a NAL unit by itself
)

// h264 reads the payload format of H.264, packetization modes 0 and 1 (RFC 6184 6).
type h264 struct{ pieces }

func (a *h264) starts(p []byte) bool {
	if len(p) < 2 {
		return false
	}
	switch t := p[0] & 0x1f; t {
	case h264FUA:
		return p[1]&0x80 != 0
	default:
		return t >= h264IDR && t <= h264STAPA && t != h264PPS
	}
}

// add reads a single NAL unit, a STAP-A (5.7.1: 16-bit sizes) or an FU-A (5.8: indicator, header S|E|R|type).
func (a *h264) add(p []byte) error {
	a.renew()
	if len(p) == 0 {
		return errPayload
	}
	switch t := p[0] & 0x1f; {
	case t >= 1 && t <= h264Single:
		return a.whole(p)
	case t == h264STAPA:
		return a.aggregate(p[1:])
	case t == h264FUA && len(p) > 2:
		return a.fragment(p[1], p[2:], p[0]&0xe0|p[1]&0x1f)
	}
	return errPayload
}

// hevc reads the payload format of HEVC, without DONL fields (RFC 7798 4.4).
type hevc struct{ pieces }

// NAL unit types of HEVC's payload format.
const (
	hevcVPS    = 32
	hevcSPS    = 33
	hevcAP     = 48
	hevcFU     = 49
	hevcSingle = 47
)

func hevcType(b byte) byte { return b >> 1 & 0x3f }

func (a *hevc) starts(p []byte) bool {
	if len(p) < 3 {
		return false
	}
	t := hevcType(p[0])
	return t >= hevcVPS && t <= 35 || t == hevcAP || t == hevcFU && p[2]&0x80 != 0
}

// add reads a single NAL unit, an aggregation packet (4.4.2: 2-byte header, 16-bit sizes) or a fragmentation unit (4.4.3:
// 2-byte header, FU header S|E|type).
func (a *hevc) add(p []byte) error {
	a.renew()
	if len(p) < 3 {
		return errPayload
	}
	switch t := hevcType(p[0]); {
	case t <= hevcSingle:
		return a.whole(p)
	case t == hevcAP:
		return a.aggregate(p[2:])
	case t == hevcFU && len(p) > 3:
		return a.fragment(p[2], p[3:], p[0]&0x81|p[2]&0x3f<<1, p[1])
	}
	return errPayload
}

// aggregate reads NAL units with 16-bit sizes in front.
func (a *pieces) aggregate(p []byte) error {
	for len(p) > 0 {
		if len(p) < 2 {
			return errPayload
		}
		n := int(binary.BigEndian.Uint16(p))
		if n == 0 || n > len(p)-2 {
			return errPayload
		}
		if err := a.whole(p[2 : 2+n]); err != nil {
			return err
		}
		p = p[2+n:]
	}
	return nil
}

// fragment reads a part of a NAL unit; its flags are start (0x80) and end (0x40), and the NAL unit's header is given.
func (a *pieces) fragment(flags byte, part []byte, header ...byte) error {
	if flags&0x80 != 0 {
		if err := a.begin(); err != nil {
			return err
		}
		if err := a.write(header...); err != nil {
			return err
		}
	}
	if err := a.write(part...); err != nil {
		return err
	}
	if flags&0x40 != 0 {
		a.end()
	}
	return nil
}
