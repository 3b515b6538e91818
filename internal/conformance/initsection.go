package conformance

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// track is what an initialization section says of its one track.
type track struct {
	id            uint32
	timescale     uint32
	handler       string // vide or soun
	sampleEntry   string // avc1, hvc1, av01, vp09, mp4a, Opus
	codec         string // RFC 6381
	width, height int    // of the sample entry
	shownWidth    int    // of the track header
	shownHeight   int
	channels      int
	transfer      int // transfer characteristics (ITU-T H.273 8.2); 0 when it has none
	nalLength     int
	editStart     int64 // media time of the first edit, in the track's timescale
	defaults      sampleDefaults
}

func (t *track) video() bool { return t.handler == "vide" }

// videoRange is the VIDEO-RANGE that the transfer characteristics stand for (rfc8216bis 4.4.6.2); "" when they say nothing.
func (t *track) videoRange() string {
	switch t.transfer {
	case 1, 6, 13, 14, 15:
		return "SDR"
	case 16:
		return "PQ"
	case 18:
		return "HLG"
	}
	return ""
}

// at converts ticks of the track to time.
func (t *track) at(ticks int64) time.Duration {
	if t.timescale == 0 {
		return 0
	}
	scale := int64(t.timescale)
	return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale)*time.Second/time.Duration(scale)
}

type sampleDefaults struct{ duration, size, flags uint32 }

var initRules = []RuleID{RuleInitBoxes, RuleInitTrack, RuleInitBrand}

// parseInit reads an initialization section (rfc8216bis section 3.1.2). The track is nil when it cannot be used.
func parseInit(data []byte) (*track, []issue) {
	var issues []issue
	fail := func(rule RuleID, format string, args ...any) { issues = append(issues, issuef(rule, format, args...)) }
	top, err := splitBoxes(data)
	if err != nil {
		fail(RuleInitBoxes, "%v", err)
	}
	if len(top) == 0 || top[0].kind != "ftyp" {
		fail(RuleInitBoxes, "the first box is not ftyp")
	} else if !strings.Contains(string(top[0].body), "cmfc") && !strings.Contains(string(top[0].body), "cmf2") {
		fail(RuleInitBrand, "ftyp has neither cmfc nor cmf2: %q", top[0].body)
	}
	for _, b := range top {
		if b.kind != "ftyp" && b.kind != "moov" && b.kind != "free" {
			fail(RuleInitBoxes, "%q in an initialization section", b.kind)
		}
	}
	moov, n := child(data, "moov")
	if n != 1 {
		fail(RuleInitBoxes, "%d moov boxes", n)
		return nil, issues
	}
	if _, err := splitBoxes(moov.body); err != nil {
		fail(RuleInitBoxes, "moov: %v", err)
	}
	trak, n := child(moov.body, "trak")
	if n != 1 {
		fail(RuleInitTrack, "%d tracks", n)
	}
	if n == 0 {
		return nil, issues
	}
	t := &track{}
	if err := t.read(trak.body); err != nil {
		fail(RuleInitBoxes, "trak: %v", err)
		return nil, issues
	}
	trex, ok := descend(moov.body, "mvex", "trex")
	f := fields{data: trex.body}
	f.full()
	id := f.u32()
	f.u32()
	t.defaults = sampleDefaults{f.u32(), f.u32(), f.u32()}
	if !ok || f.short || id != t.id {
		fail(RuleInitBoxes, "no mvex with a trex for track %d", t.id)
	}
	for _, table := range []string{"stts", "stsc", "stco"} {
		b, ok := descend(trak.body, "mdia", "minf", "stbl", table)
		f := fields{data: b.body}
		f.full()
		if count := f.u32(); !ok || f.short || count != 0 {
			fail(RuleInitBoxes, "%s is missing or not empty", table)
		}
	}
	return t, issues
}

func (t *track) read(trak []byte) error {
	tkhd, ok := descend(trak, "tkhd")
	f := fields{data: tkhd.body}
	long := 4
	if v, _ := f.full(); v == 1 {
		long = 8
	}
	f.take(2 * long)
	t.id = f.u32()
	f.take(4 + long + 52) // reserved, duration, reserved, layer, group, volume, reserved, matrix
	t.shownWidth, t.shownHeight = int(f.u32()>>16), int(f.u32()>>16)
	if !ok || f.short {
		return fmt.Errorf("no whole tkhd")
	}
	mdhd, ok := descend(trak, "mdia", "mdhd")
	f = fields{data: mdhd.body}
	long = 4
	if v, _ := f.full(); v == 1 {
		long = 8
	}
	f.take(2 * long)
	t.timescale = f.u32()
	if !ok || f.short || t.timescale == 0 {
		return fmt.Errorf("no mdhd with a timescale")
	}
	hdlr, ok := descend(trak, "mdia", "hdlr")
	f = fields{data: hdlr.body}
	f.take(8)
	t.handler = string(f.take(4))
	if !ok || t.handler != "vide" && t.handler != "soun" {
		return fmt.Errorf("the handler is %q", t.handler)
	}
	if elst, ok := descend(trak, "edts", "elst"); ok {
		f = fields{data: elst.body}
		v, _ := f.full()
		if count := f.u32(); count > 0 && v == 1 {
			f.u64()
			t.editStart = int64(f.u64())
		} else if count > 0 {
			f.u32()
			t.editStart = int64(int32(f.u32()))
		}
	}
	stsd, ok := descend(trak, "mdia", "minf", "stbl", "stsd")
	if !ok || len(stsd.body) < 8 {
		return fmt.Errorf("no stsd")
	}
	entries, err := splitBoxes(stsd.body[8:])
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("%d sample entries: %v", len(entries), err)
	}
	t.sampleEntry = entries[0].kind
	if t.video() {
		return t.videoEntry(entries[0].body)
	}
	return t.audioEntry(entries[0].body)
}

func (t *track) videoEntry(body []byte) error {
	f := fields{data: body}
	f.take(24)
	t.width, t.height = f.u16(), f.u16()
	f.take(50)
	if f.short {
		return fmt.Errorf("%s ends early", t.sampleEntry)
	}
	children := f.data
	if c, n := child(children, "colr"); n > 0 && len(c.body) >= 8 && string(c.body[:4]) == "nclx" { // ISO/IEC 14496-12 12.1.5
		t.transfer = int(c.body[6])<<8 | int(c.body[7])
	}
	var err error
	switch t.sampleEntry {
	case "avc1", "avc3":
		c, _ := child(children, "avcC")
		if len(c.body) < 7 || c.body[0] != 1 {
			return fmt.Errorf("no avcC")
		}
		t.codec, t.nalLength = t.sampleEntry+"."+hex.EncodeToString(c.body[1:4]), int(c.body[4]&3)+1
	case "hvc1", "hev1":
		c, _ := child(children, "hvcC")
		t.codec, t.nalLength, err = hevcCodec(t.sampleEntry, c.body)
	case "av01":
		c, _ := child(children, "av1C")
		t.codec, err = av1Codec(c.body)
	case "vp09":
		c, _ := child(children, "vpcC")
		t.codec, err = vp9Codec(c.body)
	default:
		err = fmt.Errorf("the sample entry is %q", t.sampleEntry)
	}
	return err
}

// hevcCodec writes the CODECS value of ISO/IEC 14496-15 Annex E.3 from an HEVCDecoderConfigurationRecord.
func hevcCodec(entry string, c []byte) (string, int, error) {
	if len(c) < 23 || c[0] != 1 {
		return "", 0, fmt.Errorf("no hvcC")
	}
	space := []string{"", "A", "B", "C"}[c[1]>>6]
	f := fields{data: c[2:]}
	compatible := bits.Reverse32(f.u32())
	tier := "L"
	if c[1]&0x20 != 0 {
		tier = "H"
	}
	constraints := c[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	codec := fmt.Sprintf("%s.%s%d.%x.%s%d", entry, space, c[1]&0x1f, compatible, tier, c[12])
	for _, b := range constraints {
		codec += fmt.Sprintf(".%x", b)
	}
	return codec, int(c[21]&3) + 1, nil
}

// av1Codec writes the mandatory fields of the CODECS value of AV1-ISOBMFF section 5.
func av1Codec(c []byte) (string, error) {
	if len(c) < 4 || c[0] != 0x81 {
		return "", fmt.Errorf("no av1C")
	}
	tier, depth := "M", 8
	if c[2]&0x80 != 0 {
		tier = "H"
	}
	if c[2]&0x40 != 0 {
		depth = 10
		if c[2]&0x20 != 0 {
			depth = 12
		}
	}
	return fmt.Sprintf("av01.%d.%02d%s.%02d", c[1]>>5, c[1]&0x1f, tier, depth), nil
}

// vp9Codec writes the mandatory fields of the CODECS value of the VP Codec ISO Media File Format Binding 1.0 from a vpcC box.
func vp9Codec(c []byte) (string, error) {
	f := fields{data: c}
	version, _ := f.full()
	profile, level, depth := f.u8(), f.u8(), f.u8()>>4
	f.take(3)
	if size := f.u16(); f.short || version != 1 || size != 0 || len(f.data) > 0 {
		return "", fmt.Errorf("no vpcC of version 1 without initialisation data")
	}
	return fmt.Sprintf("vp09.%02d.%02d.%02d", profile, level, depth), nil
}

func (t *track) audioEntry(body []byte) error {
	f := fields{data: body}
	f.take(16)
	t.channels = f.u16()
	f.take(10)
	if f.short {
		return fmt.Errorf("%s ends early", t.sampleEntry)
	}
	switch t.sampleEntry {
	case "Opus":
		c, n := child(f.data, "dOps")
		if n == 0 || len(c.body) < 11 {
			return fmt.Errorf("no dOps")
		}
		t.codec, t.channels = "opus", int(c.body[1])
		return nil
	case "mp4a":
		c, _ := child(f.data, "esds")
		return t.descriptor(c.body)
	}
	return fmt.Errorf("the sample entry is %q", t.sampleEntry)
}

// descriptor reads an ES descriptor (ISO/IEC 14496-1 section 7.2.6.5) for the object types that CODECS names.
func (t *track) descriptor(esds []byte) error {
	f := fields{data: esds}
	f.full()
	next := func(tag int) bool {
		if f.u8() != tag {
			return false
		}
		for i := 0; i < 4 && f.u8()&0x80 != 0; i++ {
		}
		return !f.short
	}
	if !next(3) {
		return fmt.Errorf("no ES descriptor")
	}
	f.u16()
	if flags := f.u8(); flags&0xe0 != 0 {
		return fmt.Errorf("an ES descriptor with flags %#x", flags)
	}
	if !next(4) {
		return fmt.Errorf("no decoder configuration")
	}
	object := f.u8()
	f.take(12)
	if object == 0x6b {
		// MP3 has two names: this one is the Authoring specification's.
		t.codec = "mp4a.40.34"
		return nil
	}
	if object != 0x40 {
		t.codec = fmt.Sprintf("mp4a.%02x", object)
		return nil
	}
	if !next(5) || len(f.data) < 2 {
		return fmt.Errorf("no AudioSpecificConfig")
	}
	asc := f.data
	audioType := int(asc[0] >> 3)
	if audioType == 31 {
		return fmt.Errorf("audio object type over 31")
	}
	t.codec = fmt.Sprintf("mp4a.40.%d", audioType)
	if frequency := asc[0]&7<<1 | asc[1]>>7; frequency != 15 {
		if c := int(asc[1] >> 3 & 15); c > 0 && c < 7 {
			t.channels = c
		} else if c == 7 {
			t.channels = 8
		}
	}
	// A decoder of HE-AAC v2 makes two channels of one.
	if audioType == 29 && t.channels == 1 {
		t.channels = 2
	}
	return nil
}
