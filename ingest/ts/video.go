package ts

import (
	"bytes"

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
}

func (v *video) unit(payload []byte, t times) error {
	var ok bool
	v.units, ok = splitUnits(v.units[:0], payload)
	switch {
	case !ok:
		v.lost(ingest.DropDamaged)
		return nil
	case !t.hasPTS:
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
