package ts

import (
	"encoding/binary"

	"pushcart/internal/codec"
)

// Opus in MPEG-2 TS (ETSI TS Opus 0.1.3-draft): each packet has a control header,
//
//	prefix(11)=0x3FF start trim(1) end trim(1) extension(1) reserved(2) size(8) ...; trims(16 each); extension
//
// in which size is a sum of bytes that goes on as long as they are 255.
type opus struct{}

func (o opus) size(b []byte) int {
	_, size := o.measure(b)
	return size
}

// measure finds where the packet is behind its control header, and how long both are together.
func (o opus) measure(b []byte) (at, whole int) {
	if len(b) < 3 {
		return 0, 0
	}
	head := binary.BigEndian.Uint16(b)
	if head>>5 != 0x3FF {
		return 0, -1
	}
	at, size := 2, 0
	for {
		if at == len(b) {
			return 0, 0
		}
		size += int(b[at])
		at++
		if b[at-1] != 255 {
			break
		}
	}
	for _, flag := range [...]uint16{0x10, 0x08} {
		if head&flag != 0 {
			at += 2
		}
	}
	if head&0x04 != 0 {
		if at >= len(b) {
			return 0, 0
		}
		at += 1 + int(b[at])
	}
	if len(b) < at+size {
		return 0, 0
	}
	return at, at + size
}

func (o opus) next(b []byte) (f frame) {
	at, n := o.measure(b)
	if n <= 0 {
		return frame{size: n}
	}
	f = frame{size: n}
	samples, err := codec.OpusDuration(b[at:n])
	if err != nil {
		f.damaged = true
		return f
	}
	f.payload, f.duration = b[at:n], float64(samples)*90000/48000
	return f
}

// opusLayouts are streams, coupled streams and mapping of 3 to 8 channels in mapping family 1 (RFC 7845 5.1.1.2).
var opusLayouts = [...][]byte{
	{2, 1, 0, 2, 1},
	{2, 2, 0, 1, 2, 3},
	{3, 2, 0, 4, 1, 2, 3},
	{4, 2, 0, 4, 1, 2, 3, 5},
	{4, 3, 0, 4, 1, 2, 3, 5, 6},
	{5, 3, 0, 6, 1, 2, 3, 4, 5, 7},
}

// opusHead makes an identification header of the descriptor's channel configuration: 1 to 8 channels in the usual order.
// nil for others.
func opusHead(configuration byte) []byte {
	if configuration == 0 || configuration > 8 {
		return nil
	}
	head := append([]byte("OpusHead"), 1, configuration, 0, 0, 0x80, 0xBB, 0, 0, 0, 0)
	if configuration <= 2 {
		return append(head, 0)
	}
	return append(append(head, 1), opusLayouts[configuration-3]...)
}
