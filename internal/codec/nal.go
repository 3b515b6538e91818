package codec

import (
	"bytes"
	"encoding/binary"

	"pushcart/internal/stream"
)

// nalClass says what becomes of a NAL unit.
type nalClass int

const (
	nalKeep    nalClass = iota // goes into the sample
	nalDrop                    // delimiters and filler: of no use in a file
	nalPicture                 // part of a picture
	nalLeading                 // part of a picture that refers to pictures before the key frame
	nalKey                     // part of a picture at which decoding can start
	nalSEI                     // supplemental enhancement information: goes into the sample, and is looked into
	nalVPS                     // parameter sets belong in the record; in the order of setKind
	nalSPS
	nalPPS
)

// readNALs walks length-prefixed NAL units. In the usual case, 4-byte lengths and nothing to take out or only in front,
// the sample is a part of au as it stands; otherwise what stays is moved together within au, or, where lengths grow,
// in a buffer of v's.
func (v *Video) readNALs(au []byte) (Sample, error) {
	var s Sample
	if v.user.some() {
		v.user.reset()
	}
	var out []byte // what stays so far
	if v.lenSize != 4 {
		out = v.buffer(2 * len(au))
	}
	start := -1 // in au, where out begins, as long as it is one piece of au
	picture := false
	for pos := 0; pos < len(au); {
		if len(au)-pos < v.lenSize {
			return Sample{}, damaged("%d stray bytes at the end", len(au)-pos)
		}
		size := nalSize(au[pos:], v.lenSize)
		body := pos + v.lenSize
		if size > len(au)-body {
			return Sample{}, damaged("a NAL unit of %d bytes where %d are left", size, len(au)-body)
		}
		end := body + size
		nal := au[body:end]
		class := nalDrop // an empty one
		if size > 0 {
			class = v.classify(nal)
		}
		switch class {
		case nalDrop:
			pos = end
			continue
		case nalVPS, nalSPS, nalPPS:
			if err := v.keepSet(class, nal); err != nil {
				return Sample{}, err
			}
			pos = end
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
		switch {
		case v.lenSize != 4:
			out = binary.BigEndian.AppendUint32(out, uint32(size))
			out = append(out, nal...)
		case start < 0:
			start, out = pos, au[pos:end]
		case start+len(out) == pos:
			out = au[start:end]
		default: // closes the gap that something taken out has left
			out = append(out, au[pos:end]...)
		}
		pos = end
	}
	if v.lenSize != 4 {
		v.scratch.b = out
	}
	if !picture {
		return Sample{}, nil
	}
	s.Payload = out
	return s, v.atKey(&s)
}

// atKey makes the record say what came in band, at a key frame: nobody can start with it earlier.
func (v *Video) atKey(s *Sample) error {
	if s.Key && v.pending && v.complete() {
		former := v.config
		if err := v.rebuild(); err != nil {
			return damaged("parameter sets in band: %v", err)
		}
		v.pending = false
		s.Changed = !bytes.Equal(former, v.config)
	}
	return nil
}

// use puts the SPS first that a slice of a key frame uses. Encoders that change the size of the picture may number its sets anew,
// and go back to those of a former size.
func (v *Video) use(slice []byte) {
	if len(v.sets[sps]) < 2 {
		return
	}
	of, used := avcSetOfSlice, avcSetOfPPS
	if v.codec == stream.HEVC {
		of, used = hevcSetOfSlice, hevcSetOfPPS
	}
	number, ok := of(slice)
	at := v.sets.find(pps, number)
	if !ok || at < 0 {
		return
	}
	if number, ok = used(v.sets[pps][at].nal); !ok {
		return
	}
	if at = v.sets.find(sps, number); at > 0 {
		v.sets.lead(sps, at)
		v.pending = true
	}
}

// longestSliceHead is how many bytes of a slice are looked at, which is more than what is read of it takes.
const longestSliceHead = 32

// sliceHead begins to read a slice, or a PPS, behind its NAL unit header.
func sliceHead(nal []byte, header int) bitReader {
	r := bitReader{b: unescape(nal[:min(longestSliceHead, len(nal))])}
	r.skip(8 * header)
	return r
}

// complete tells whether the parameter sets suffice for a record. One that was given says itself what it needs.
func (v *Video) complete() bool {
	return len(v.sets[sps]) > 0 && len(v.sets[pps]) > 0 && (v.codec != stream.HEVC || !v.inBand || len(v.sets[vps]) > 0)
}

// classify asks the codec; nal is not empty.
func (v *Video) classify(nal []byte) nalClass {
	if v.codec == stream.HEVC {
		return hevcNAL(nal)
	}
	return avcNAL(nal)
}

// nalHeader is the size of a NAL unit's header (ITU-T H.264 7.3.1, H.265 7.3.1.2).
func (v *Video) nalHeader() int {
	if v.codec == stream.HEVC {
		return 2
	}
	return 1
}

// keepSet takes a parameter set that came in band. Usually it repeats what is there.
func (v *Video) keepSet(class nalClass, nal []byte) error {
	kind := vps + setKind(class-nalVPS)
	nal = trimNAL(nal)
	if v.sets.has(kind, nal) {
		return nil
	}
	keep := v.keepAVC
	if v.codec == stream.HEVC {
		keep = v.keepHEVC
	}
	if err := keep(kind, nal); err != nil {
		return damaged("in band: %v", err)
	}
	v.pending = true
	return nil
}

// rebuild makes the record say what the parameter sets say.
func (v *Video) rebuild() error {
	if v.codec == stream.HEVC {
		return v.rebuildHEVC()
	}
	return v.rebuildAVC()
}

func nalSize(b []byte, n int) int {
	switch n {
	case 1:
		return int(b[0])
	case 2:
		return int(binary.BigEndian.Uint16(b))
	}
	return int(binary.BigEndian.Uint32(b))
}
