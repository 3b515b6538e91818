package ts

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// mostUnits is how many NAL units an access unit may have.
const mostUnits = 1024

// video takes the pictures of one stream, one in each PES.
type video struct {
	r     *Reader
	out   *feed.Video
	codec stream.Codec
	units [][]byte
	// fields tells that the sequence parameter set, which is kept to know it again, permits fields (H.264).
	fields bool
	set    []byte
}

func (v *video) unit(payload []byte, t times) error {
	var ok bool
	v.units, ok = splitUnits(v.units[:0], payload)
	c := v.count(v.units)
	switch {
	case !ok, c.slices > 0 && c.first == 0: // its beginning is missing
		v.lost(ingest.DropDamaged)
		return nil
	case !t.hasPTS, v.several(c):
		v.r.say("Pictures without a time, or several in one PES packet, are dropped: set the encoder to one picture in each.")
		v.lost(ingest.DropDamaged)
		return nil
	}
	at := feed.Time{HasDTS: true, Rate: 90000}
	if t.hasDTS {
		at.DTS = v.r.clock.follow(t.dts)
		at.PTS = v.r.clock.unwrap(t.pts)
	} else {
		at.DTS = v.r.clock.follow(t.pts)
		at.PTS = at.DTS
	}
	v.r.media++
	return v.out.Write(v.units, at)
}

func (v *video) lost(reason ingest.DropReason) { v.out.Lost(reason) }

// contents counts what an access unit consists of.
type contents struct {
	slices     int
	first      int // of them, those with which a picture, or a field, begins
	delimiters int
}

// several tells whether there is more than one picture. Two fields, each of them an access unit, make one.
func (v *video) several(c contents) bool {
	if v.fields {
		return c.delimiters > 2 || c.first > 2
	}
	return c.delimiters > 1 || c.first > 1
}

// remember looks at a sequence parameter set.
func (v *video) remember(u []byte) {
	if bytes.Equal(u, v.set) {
		return
	}
	v.set = append(v.set[:0], u...)
	var sps h264.SPS
	if sps.Unmarshal(u) == nil {
		v.fields = !sps.FrameMbsOnlyFlag
	}
}

// count looks at the heads of NAL units (ITU-T H.264 7.3.1, 7.3.3; H.265 7.3.1.2, 7.3.6.1).
func (v *video) count(units [][]byte) (c contents) {
	for _, u := range units {
		slice, delimiter, first := v.kind(u)
		if delimiter {
			c.delimiters++
		}
		if slice {
			c.slices++
			if first {
				c.first++
			}
		}
	}
	return c
}

func (v *video) kind(u []byte) (slice, delimiter, first bool) {
	if v.codec == stream.H264 {
		kind := u[0] & 0x1F
		if kind == 7 {
			v.remember(u)
		}
		// first_mb_in_slice is 0 when its first bit is set. Partitions B and C have another head.
		return kind == 1 || kind == 2 || kind == 5, kind == 9, len(u) > 1 && u[1]&0x80 != 0
	}
	kind := u[0] >> 1 & 0x3F
	if u[0]&1 != 0 || len(u) > 1 && u[1]>>3 != 0 { // of another layer
		return false, false, false
	}
	return kind < 32, kind == 35, len(u) > 2 && u[2]&0x80 != 0
}

// goesOn tells whether the PES that begins in a packet's payload has the rest of the picture before: one that is too long
// for a PES is carried on in others, which have no time.
func (v *video) goesOn(b []byte) (rest []byte, ok bool) {
	if len(b) < pesFixed || b[2] != 1 || b[6]&0xC0 != 0x80 || b[7]&0x80 != 0 || len(b) < pesFixed+int(b[8]) {
		return nil, false
	}
	rest = b[pesFixed+int(b[8]):]
	at := bytes.Index(rest, startCode)
	if at < 0 || len(bytes.TrimLeft(rest[:at], "\x00")) > 0 || at+len(startCode) == len(rest) {
		return rest, true
	}
	slice, _, first := v.kind(rest[at+len(startCode):])
	return rest, slice && !first
}

// slices counts those of a picture that is still open, behind its PES's head.
func (v *video) slices(b []byte) int {
	payload, _, ok := readPES(b)
	if !ok {
		return 0
	}
	if v.units, ok = splitUnits(v.units[:0], payload); !ok {
		return 0
	}
	return v.count(v.units).slices
}

var startCode = []byte{0, 0, 1}

// splitUnits finds the NAL units of a byte stream (ITU-T H.264 and H.265, annex B). ok is false when it does not begin with
// one, or has too many.
func splitUnits(units [][]byte, b []byte) (_ [][]byte, ok bool) {
	at := bytes.Index(b, startCode)
	if at < 0 || len(bytes.TrimLeft(b[:at], "\x00")) > 0 {
		return units, false
	}
	for b = b[at+len(startCode):]; ; {
		end := bytes.Index(b, startCode)
		unit := b
		if end >= 0 {
			unit = b[:end]
		}
		for len(unit) > 0 && unit[len(unit)-1] == 0 { // trailing zeros, and the first byte of a long start code
			unit = unit[:len(unit)-1]
		}
		if len(unit) > 0 {
			if len(units) == mostUnits {
				return units, false
			}
			units = append(units, unit)
		}
		if end < 0 {
			return units, len(units) > 0
		}
		b = b[end+len(startCode):]
	}
}
