package codec

import (
	"encoding/binary"
	"fmt"

	"pushcart/internal/stream"
)

// maxReorder bounds the pictures that may precede another in decoding order and follow it in output order: the largest
// decoded picture buffer of H.264 and HEVC has 16.
const maxReorder = 16

// maxScratch is the size in bytes of a sample's buffer that is kept even if later samples are far smaller.
const maxScratch = 1 << 20

// NewElementary makes an inspector for an elementary stream as packets bring it: its codec data come in band, or beforehand
// as single parameter sets. Until they have, it is not Ready.
func NewElementary(c stream.Codec) (*Video, error) {
	v := &Video{codec: c, inBand: true}
	switch c {
	case stream.H264, stream.HEVC:
		v.lenSize = 4
	case stream.AV1, stream.VP8, stream.VP9:
	default:
		return nil, &UnsupportedError{What: c.String() + " video"}
	}
	return v, nil
}

// Ready tells whether the codec data are known, so that Track has an answer.
func (v *Video) Ready() bool { return len(v.config) > 0 || v.codec == stream.VP8 && v.props.width > 0 }

// Reorder is how many pictures may precede another in decoding order and follow it in output order, as far as the codec
// data tell.
func (v *Video) Reorder() int { return v.props.reorder }

// Parameters takes parameter sets that came apart from the pictures: NAL units, or the OBU of AV1's sequence header; what else
// is among them is passed over. If they complete the first codec data, the inspector is Ready after it; later ones count from
// the next key frame on.
func (v *Video) Parameters(units [][]byte) error {
	for _, u := range units {
		if err := v.parameter(u); err != nil {
			return fmt.Errorf("%s codec data: %w", v.codec, err)
		}
	}
	if v.Ready() || !v.pending || !v.complete() {
		return nil
	}
	if err := v.rebuild(); err != nil {
		return fmt.Errorf("%s codec data: %w", v.codec, err)
	}
	v.pending = false
	return nil
}

func (v *Video) parameter(unit []byte) error {
	unit = trimNAL(unit)
	if len(unit) == 0 {
		return nil
	}
	switch v.codec {
	case stream.H264, stream.HEVC:
		if class := v.classify(unit); class >= nalVPS {
			return v.keepSet(class, unit)
		}
	case stream.AV1:
		o, _, err := nextOBU(unit)
		if err != nil || o.typ != obuSequenceHeader || v.Ready() {
			return err
		}
		err = v.newSequence(o.payload)
		v.pending = false // nobody was told otherwise
		return err
	}
	return nil
}

// ReadUnits inspects one access unit that came as separate NAL units without start codes, as OBUs, or as the one frame of VP8 or
// VP9, and makes a sample of it, as Read does. It keeps nothing of units.
func (v *Video) ReadUnits(units [][]byte) (Sample, error) {
	switch v.codec {
	case stream.H264, stream.HEVC:
		return v.joinNALs(units)
	case stream.AV1:
		return v.joinOBUs(units)
	}
	if len(units) != 1 {
		return Sample{}, damaged("%d frames where one is meant", len(units))
	}
	return v.Read(units[0])
}

// joinNALs puts a length before each NAL unit that belongs into a sample.
func (v *Video) joinNALs(units [][]byte) (Sample, error) {
	var s Sample
	if v.user.some() {
		v.user.reset()
	}
	out, picture := v.buffer(sizeOf(units)), false
	for _, nal := range units {
		if nal = trimNAL(nal); len(nal) == 0 {
			continue
		}
		switch class := v.classify(nal); class {
		case nalDrop:
			continue
		case nalVPS, nalSPS, nalPPS:
			if err := v.keepSet(class, nal); err != nil {
				return Sample{}, err
			}
			continue
		case nalPicture:
			picture = true
		case nalLeading:
			picture, s.Leading = true, true
		case nalKey:
			if !s.Key {
				v.use(nal)
			}
			picture, s.Key = true, true
		case nalSEI:
			v.user.read(nal, v.nalHeader())
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	}
	v.scratch.b = out
	if !picture {
		return Sample{}, nil
	}
	s.Payload = out
	return s, v.atKey(&s)
}

// joinOBUs puts OBUs together to a temporal unit in which each states its size.
func (v *Video) joinOBUs(units [][]byte) (Sample, error) {
	var w obuWalk
	out := v.buffer(sizeOf(units) + len(v.seqOBU))
	for _, rest := range units {
		for len(rest) > 0 {
			o, n, err := nextOBU(rest)
			if err != nil {
				return Sample{}, err
			}
			keep, err := v.seeOBU(o, &w)
			if err != nil {
				return Sample{}, err
			}
			if keep {
				header := 1 + int(rest[0]>>2&1)
				if w.key && w.sequence == nil && !w.led && v.seqOBU != nil {
					out = appendSequence(out, v.seqOBU)
					w.led = true
				}
				out = append(out, rest[:header]...)
				out[len(out)-header] |= 2
				out = putLEB128(out, len(o.payload))
				out = append(out, o.payload...)
			}
			rest = rest[n:]
		}
	}
	v.scratch.b = out
	s := v.finishOBUs(&w)
	if w.picture {
		s.Payload = out
	}
	return s, nil
}

// sizeOf is at least the size of a sample made of units.
func sizeOf(units [][]byte) int {
	n := 0
	for _, u := range units {
		n += len(u) + 8
	}
	return n
}

// Buffer is where samples are put together. Inspectors that are used one after the other may share one, so that many tracks
// cost no more than one.
type Buffer struct{ b []byte }

// Share makes the inspector use a buffer that others use, too. To be called before the first Read.
func (v *Video) Share(b *Buffer) { v.scratch = b }

// buffer returns empty memory for a sample of about size bytes, which is v.scratch.b afterwards.
func (v *Video) buffer(size int) []byte {
	if v.scratch == nil {
		v.scratch = &Buffer{}
	}
	b := v.scratch
	if cap(b.b) > maxScratch && size < cap(b.b)/8 {
		b.b = nil
	}
	if cap(b.b) < size {
		b.b = make([]byte, 0, size)
	}
	return b.b[:0]
}
