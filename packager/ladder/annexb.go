package ladder

// splitAnnexB appends to units the NAL units of a byte stream (ITU-T H.264 annex B, H.265 annex B): what stands between start
// codes 00 00 01, without the zeros in front of the next one. What stands before the first start code is not one. The units
// are parts of b.
func splitAnnexB(units [][]byte, b []byte) [][]byte {
	begin := -1
	for i := 0; i+2 < len(b); {
		switch {
		case b[i+2] > 1:
			i += 3
		case b[i] == 0 && b[i+1] == 0 && b[i+2] == 1:
			if begin >= 0 {
				units = appendUnit(units, b[begin:i])
			}
			i += 3
			begin = i
		default:
			i++
		}
	}
	if begin >= 0 {
		units = appendUnit(units, b[begin:])
	}
	return units
}

func appendUnit(units [][]byte, u []byte) [][]byte {
	for len(u) > 0 && u[len(u)-1] == 0 {
		u = u[:len(u)-1]
	}
	if len(u) == 0 {
		return units
	}
	return append(units, u)
}
