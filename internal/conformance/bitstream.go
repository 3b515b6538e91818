package conformance

var sampleRules = []RuleID{RuleNALUnits, RuleParameterSets, RuleSyncFlags}

// inspect reads the samples' own data: whether they are sync samples, and whether they are made as the sample entry says.
func (m *media) inspect(t *track) (issues []issue) {
	for i := range m.samples {
		s := &m.samples[i]
		var ok, sets bool
		switch t.sampleEntry {
		case "avc1", "avc3", "hvc1", "hev1":
			s.sync, sets, ok = walkNAL(s.data, t)
		case "av01":
			s.sync, ok = walkOBU(s.data)
		case "vp09":
			s.sync, ok = readVP9(s.data)
		default:
			s.sync, ok = true, len(s.data) > 0
		}
		if !ok {
			issues = append(issues, issuef(RuleNALUnits, "sample %d of %d bytes is not whole units", i, len(s.data)))
			continue
		}
		if sets && (t.sampleEntry == "avc1" || t.sampleEntry == "hvc1") {
			issues = append(issues, issuef(RuleParameterSets, "sample %d has parameter sets in it", i))
		}
		if s.sync != s.flagged() {
			issues = append(issues, issuef(RuleSyncFlags, "sample %d: flags %#08x, but sync sample is %v", i, s.flags, s.sync))
		}
	}
	return issues
}

// walkNAL follows the NAL unit lengths of a sample (ISO/IEC 14496-15 section 5.3.2). It fails on a sample without picture.
func walkNAL(data []byte, t *track) (sync, sets, ok bool) {
	hevc := t.sampleEntry[0] == 'h'
	pictures := 0
	for len(data) > 0 {
		f := fields{data: data}
		size := f.uint(t.nalLength)
		if f.short || size == 0 || size > uint64(len(f.data)) {
			return false, false, false
		}
		kind := int(f.data[0] & 31)
		if hevc {
			kind = int(f.data[0] >> 1 & 63)
		}
		picture, irap, set := kind >= 1 && kind <= 5, kind == 5, kind == 7 || kind == 8 || kind == 13 || kind == 15
		if hevc {
			picture, irap, set = kind < 32, kind >= 16 && kind <= 23, kind >= 32 && kind <= 34
		}
		if picture {
			if pictures == 0 {
				sync = irap
			}
			pictures++
		}
		sets = sets || set
		data = f.data[size:]
	}
	return sync, sets, pictures > 0
}

// walkOBU follows the open bitstream units of a sample (AV1 section 5.3). A sync sample has a sequence header and starts
// with a shown key frame (AV1-ISOBMFF section 2.4).
func walkOBU(data []byte) (sync, ok bool) {
	header, frames := false, 0
	for len(data) > 0 {
		f := fields{data: data}
		h := f.u8()
		if h&0x80 != 0 {
			return false, false
		}
		if h&4 != 0 {
			f.u8()
		}
		size := uint64(len(f.data))
		if h&2 != 0 {
			size = 0
			for i := 0; i < 8; i++ {
				b := f.u8()
				size |= uint64(b&0x7f) << (7 * i)
				if b&0x80 == 0 {
					break
				}
			}
		}
		if f.short || size > uint64(len(f.data)) {
			return false, false
		}
		switch h >> 3 & 15 {
		case 1:
			header = true
		case 3, 6:
			if size == 0 {
				return false, false
			}
			// show_existing_frame, frame_type (0 is a key frame), show_frame
			if frames == 0 {
				sync = header && f.data[0]&0xf0 == 0x10
			}
			frames++
		}
		data = f.data[size:]
	}
	return sync, frames > 0
}

// readVP9 reads the start of a frame's uncompressed header (VP9 6.2): a key frame is one, and none that shows an old picture.
func readVP9(data []byte) (sync, ok bool) {
	if len(data) == 0 || data[0]>>6 != 2 {
		return false, false
	}
	bits := data[0] << 2 // behind frame_marker: two bits of the profile
	profile := bits>>7 | bits>>6&1<<1
	if bits <<= 2; profile == 3 {
		bits <<= 1 // a reserved bit
	}
	return bits>>6 == 0, true // show_existing_frame, frame_type
}
