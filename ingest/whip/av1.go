package whip

// av1 reads the payload format of AV1 (AV1 RTP 1.0, 4).
type av1 struct{ pieces }

// OBU types (AV1 6.2.2).
const (
	obuSequence  = 1
	obuDelimiter = 2
	obuTileList  = 8
)

// starts is a packet that begins a coded video sequence (N) and continues nothing (Z).
func (a *av1) starts(p []byte) bool { return len(p) > 1 && p[0]&0x88 == 0x08 }

// add reads the aggregation header Z Y W(2) N RSV(3) and the OBU elements behind it: each with its size in front as
// leb128, but for the last one when W tells how many there are. Z: the first continues one of the packet before; Y: the
// last one goes on in the next packet.
func (a *av1) add(p []byte) error {
	a.renew()
	if len(p) < 2 {
		return errPayload
	}
	header, rest := p[0], p[1:]
	count := int(header >> 4 & 3)
	if header&0x80 == 0 && a.open || header&0x80 != 0 && !a.open {
		return errPayload
	}
	for i := 1; len(rest) > 0; i++ {
		size, last := len(rest), i == count
		if !last {
			n, length := leb128(rest)
			if length == 0 || n > len(rest)-length {
				return errPayload
			}
			rest, size = rest[length:], n
			last = count == 0 && size == len(rest)
		}
		if i > 1 || header&0x80 == 0 {
			if err := a.begin(); err != nil {
				return err
			}
		}
		if err := a.write(rest[:size]...); err != nil {
			return err
		}
		rest = rest[size:]
		if last && len(rest) > 0 {
			return errPayload
		}
		if !last || header&0x40 == 0 {
			a.end()
		}
	}
	return nil
}

// take leaves out temporal delimiters and tile lists, which senders should not have sent (5).
func (a *av1) take() [][]byte {
	all := a.pieces.take()
	kept := all[:0]
	for _, obu := range all {
		if len(obu) > 0 && obuType(obu) != obuDelimiter && obuType(obu) != obuTileList {
			kept = append(kept, obu)
		}
	}
	return kept
}

func obuType(obu []byte) byte { return obu[0] >> 3 & 15 }

// leb128 reads a length (AV1 4.10.5) of at most 4 bytes; length is 0 when it is none.
func leb128(b []byte) (value, length int) {
	for i := range min(4, len(b)) {
		value |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}
