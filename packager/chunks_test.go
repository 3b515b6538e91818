package packager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// errBoxes is why a part cannot be read.
var errBoxes = errors.New("no well-formed chunks")

// readChunks reads a part's samples by the letter of ISO/IEC 14496-12, some thirty times as fast as mediacommon does. It takes
// nothing but what a chunk of the packager's consists of, and is strict where other readers forgive: boxes end where their
// parents do, samples begin where the mdat's bytes do, and they are all of them.
func readChunks(data []byte) (out []sample, err error) {
	var payload, begins int64 // what the last moof's samples take, and where they begin, from the moof on
	open := false
	for rest := data; len(rest) > 0; {
		kind, body, next, err := takeBox(rest)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == "emsg" && !open:
		case kind == "moof" && !open:
			samples, taken, offset, err := readMoof(body)
			if err != nil {
				return nil, err
			}
			out = append(out, samples...)
			payload, begins, open = taken, offset, true
			if begins != int64(len(body))+16 {
				return nil, fmt.Errorf("%w: samples begin at %d, the mdat's bytes at %d", errBoxes, begins, len(body)+16)
			}
		case kind == "mdat" && open:
			if int64(len(body)) != payload {
				return nil, fmt.Errorf("%w: samples of %d bytes in an mdat of %d", errBoxes, payload, len(body))
			}
			open = false
		default:
			return nil, fmt.Errorf("%w: %q where it does not belong", errBoxes, kind)
		}
		rest = next
	}
	if open || len(out) == 0 {
		return nil, fmt.Errorf("%w: no mdat, or no sample", errBoxes)
	}
	return out, nil
}

// takeBox takes the first box off (4.2): a size of 32 bits and a kind.
func takeBox(data []byte) (kind string, body, rest []byte, err error) {
	if len(data) < 8 {
		return "", nil, nil, fmt.Errorf("%w: %d bytes where a box begins", errBoxes, len(data))
	}
	size := binary.BigEndian.Uint32(data)
	if size < 8 || int(size) > len(data) {
		return "", nil, nil, fmt.Errorf("%w: a box of %d bytes where %d are left", errBoxes, size, len(data))
	}
	return string(data[4:8]), data[8:size], data[size:], nil
}

// boxes are the boxes within another, which have to be these.
func boxes(data []byte, kinds ...string) (bodies [][]byte, err error) {
	for _, want := range kinds {
		kind, body, rest, err := takeBox(data)
		if err != nil {
			return nil, err
		}
		if kind != want {
			return nil, fmt.Errorf("%w: %s where %s belongs", errBoxes, kind, want)
		}
		bodies, data = append(bodies, body), rest
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind %s", errBoxes, len(data), kinds[len(kinds)-1])
	}
	return bodies, nil
}

// readMoof reads a movie fragment of one track (8.8): its samples, the bytes they take and where these begin.
func readMoof(data []byte) (out []sample, taken, offset int64, err error) {
	be := binary.BigEndian
	moof, err := boxes(data, "mfhd", "traf")
	if err != nil {
		return nil, 0, 0, err
	}
	traf, err := boxes(moof[1], "tfhd", "tfdt", "trun")
	if err != nil {
		return nil, 0, 0, err
	}
	tfhd, tfdt, trun := traf[0], traf[1], traf[2]
	// No defaults, and offsets count from the moof (8.8.7.1); times of 64 bits (8.8.12); offset, durations, sizes, flags and signed
	// composition offsets (8.8.8.1).
	if len(moof[0]) != 8 || be.Uint32(moof[0]) != 0 || len(tfhd) != 8 || be.Uint32(tfhd) != 0x020000 || len(tfdt) != 12 || tfdt[0] != 1 ||
		len(trun) < 12 || be.Uint32(trun) != 0x01000f01 || int64(len(trun)) != 12+16*int64(be.Uint32(trun[4:])) {
		return nil, 0, 0, fmt.Errorf("%w: mfhd %x, tfhd %x, tfdt %x, trun of %d bytes", errBoxes, moof[0], tfhd, tfdt, len(trun))
	}
	at := int64(be.Uint64(tfdt[4:]))
	for e := trun[12:]; len(e) > 0; e = e[16:] {
		duration, flags := int64(be.Uint32(e)), be.Uint32(e[8:])
		out = append(out, sample{at, at + int64(int32(be.Uint32(e[12:]))), duration, flags&0x10000 == 0}) // sample_is_non_sync_sample, 8.8.3.1
		at += duration
		taken += int64(be.Uint32(e[4:]))
	}
	return out, taken, int64(int32(be.Uint32(trun[8:]))), nil
}

// TestReadersAgree: mediacommon reads from each part what the tests' own reader does, which cannot be led astray.
func TestReadersAgree(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 21, from: 1, frames: constantRate(50), gop: 2, cts: 0.04, audio: true})
	parts := 0
	for _, name := range []string{"video", "audio"} {
		for _, seg := range g.rendition(name).Segments {
			for _, p := range seg.Parts {
				if p.Data == nil {
					continue
				}
				parts++
				own, err := readChunks(p.Data)
				if err != nil || !slices.Equal(own, g.readSamples(p.Data)) {
					t.Fatalf("part %d of %s: %v\n%v, mediacommon:\n%v", parts, name, err, own, g.readSamples(p.Data))
				}
				if parts > 4 {
					continue
				}
				for n := range p.Data {
					if some, err := readChunks(p.Data[:n]); err == nil && len(some) == len(own) {
						t.Errorf("%d bytes of %d are enough for %d samples", n, len(p.Data), len(some))
					}
				}
				for n := range 48 { // of moof, mfhd, the heads of traf and tfhd, and what that has
					other := slices.Clone(p.Data)
					other[n] ^= 0x80
					number := n >= 20 && n < 24 || n >= 44 // the fragment's and the track's
					if _, err := readChunks(other); err == nil && !number {
						t.Errorf("byte %d may be anything", n)
					}
				}
			}
		}
	}
	if parts < 50 {
		t.Errorf("only %d parts", parts)
	}
}
