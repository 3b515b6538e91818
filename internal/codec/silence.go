package codec

// aacSilence makes one raw_data_block of silence (ISO/IEC 14496-3 table 4.3) with the given number of core channels: no
// scale factor bands, so no spectral data. nil for layouts other than mono and stereo.
func aacSilence(channels int) []byte {
	var w bitPacker
	const (
		singleChannel, channelPair, end = 0, 1, 7
		gain                            = 100 // without spectral data it has no effect
	)
	// ics_info: reserved bit, long window, sine shape, max_sfb 0, no prediction (table 4.6)
	icsInfo := func() { w.u(0, 1); w.u(0, 2); w.u(0, 1); w.u(0, 6); w.u(0, 1) }
	tools := func() { w.u(0, 3) } // pulse, TNS and gain control data are absent
	switch channels {
	case 1:
		w.u(singleChannel, 3)
		w.u(0, 4)
		w.u(gain, 8)
		icsInfo()
		tools()
	case 2:
		w.u(channelPair, 3)
		w.u(0, 4)
		w.u(1, 1) // common_window
		icsInfo()
		w.u(0, 2) // ms_mask_present
		for range 2 {
			w.u(gain, 8)
			tools()
		}
	default:
		return nil
	}
	w.u(end, 3)
	return w.b
}

// bitPacker packs bits, the most significant first; the last byte is filled with zeros.
type bitPacker struct {
	b    []byte
	used int // bits of the last byte
}

func (w *bitPacker) u(v, n int) {
	for n--; n >= 0; n-- {
		if w.used == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>n&1) << (7 - w.used)
		w.used = (w.used + 1) % 8
	}
}

// opusSilence makes a 20 ms packet of silence for one stream of one or two channels (RFC 6716 3.1): CELT, full band; the
// two bytes behind the table of contents decode to nothing. nil for other layouts.
func opusSilence(channels int) []byte {
	switch channels {
	case 1:
		return []byte{31 << 3, 0xff, 0xfe}
	case 2:
		return []byte{31<<3 | 1<<2, 0xff, 0xfe}
	}
	return nil
}
