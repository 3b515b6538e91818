package codec

import (
	"bytes"
	"fmt"
	"slices"
)

// setKind tells parameter sets apart, in the order in which records list them.
type setKind int

const (
	vps setKind = iota // HEVC only
	sps
	pps
	setKinds
)

// paramSets are the parameter sets of a track by kind, each with its identifier. The first SPS is the one in use, as far as pictures
// have told.
type paramSets [setKinds][]paramSet

type paramSet struct {
	id  uint64
	nal []byte
}

// has tells whether the very same set is there; the usual answer for sets that are repeated in band.
func (p *paramSets) has(k setKind, nal []byte) bool {
	for i := range p[k] {
		if bytes.Equal(p[k][i].nal, nal) {
			return true
		}
	}
	return false
}

// put adds a set or replaces the one with its identifier. It keeps a copy.
func (p *paramSets) put(k setKind, id uint64, nal []byte) {
	set := paramSet{id: id, nal: bytes.Clone(nal)}
	if i := p.find(k, id); i >= 0 {
		p[k][i] = set
		return
	}
	p[k] = append(p[k], set)
}

// find returns the index of the set with an identifier; -1 when there is none.
func (p *paramSets) find(k setKind, id uint64) int {
	return slices.IndexFunc(p[k], func(s paramSet) bool { return s.id == id })
}

// lead puts a set in front of the others of its kind.
func (p *paramSets) lead(k setKind, at int) {
	set := p[k][at]
	p[k] = slices.Insert(slices.Delete(p[k], at, at+1), 0, set)
}

// forget leaves no more than most sets of a kind, without those that have been there for longest: encoders that number on and on do
// not come back to them before they send them again. The one in use stays.
func (p *paramSets) forget(k setKind, most int) {
	if over := len(p[k]) - most; over > 0 {
		p[k] = slices.Delete(p[k], 1, 1+over)
	}
}

// size is the number of bytes of all sets.
func (p *paramSets) size() int {
	n := 0
	for _, kind := range p {
		for _, s := range kind {
			n += len(s.nal)
		}
	}
	return n
}

// trimNAL takes off the zero bytes that byte streams may have after a NAL unit, and that length-prefixed ones must not.
func trimNAL(nal []byte) []byte { return bytes.TrimRight(nal, "\x00") }

// byteReader reads length-prefixed fields with a sticky error.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *byteReader) u8() int {
	if b := r.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *byteReader) u16() int {
	if b := r.take(2); b != nil {
		return int(b[0])<<8 | int(b[1])
	}
	return 0
}

// putNAL appends a NAL unit with a 16-bit length, as records have it.
func putNAL(out, nal []byte) []byte {
	out = append(out, byte(len(nal)>>8), byte(len(nal)))
	return append(out, nal...)
}

func checkSetSize(nal []byte) error {
	if len(nal) > maxSetSize {
		return fmt.Errorf("a parameter set of %d bytes: the limit is %d", len(nal), maxSetSize)
	}
	return nil
}
