// Package fmp4 writes the bytes of CMAF tracks: initialisation sections and chunks (ISO/IEC 14496-12 and 23000-19).
//
// A frame's payload and codec data arrive in the form in which sample tables store them, so this is a thin layer of
// headers over bytes that pass through. mediacommon's writer is not used for it: it knows one parameter set of a kind,
// rebuilds the decoder configuration from it (copying emulation-prevention bytes into hvcC, a fixed pre-skip into dOps),
// invents a btrt, and copies each sample three times through reflection. The tests read everything back with it.
package fmp4

import "encoding/binary"

// boxes builds nested boxes into one slice; a box's size is filled in when its body is done.
type boxes struct{ b []byte }

// box writes a box of the given type around what body writes.
func (w *boxes) box(kind string, body func()) {
	at := len(w.b)
	w.u32(0)
	w.b = append(w.b, kind...)
	body()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// full writes a FullBox (ISO/IEC 14496-12 4.2).
func (w *boxes) full(kind string, version byte, flags uint32, body func()) {
	w.box(kind, func() {
		w.u32(uint32(version)<<24 | flags)
		body()
	})
}

func (w *boxes) u8(v ...byte)   { w.b = append(w.b, v...) }
func (w *boxes) u16(v uint16)   { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *boxes) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *boxes) bytes(v []byte) { w.b = append(w.b, v...) }
func (w *boxes) text(v string)  { w.b = append(w.b, v...) }
func (w *boxes) zero(n int)     { w.b = append(w.b, make([]byte, n)...) }

// matrix is the unity transformation (ISO/IEC 14496-12 8.2.2).
func (w *boxes) matrix() {
	for _, v := range [9]uint32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000} {
		w.u32(v)
	}
}
