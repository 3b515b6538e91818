package conformance

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// This file writes the media of the fake origin, by hand, so that faults can be put anywhere.

func mkbox(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return append(append(out, kind...), body...)
}

func u16(v ...int) (out []byte) {
	for _, x := range v {
		out = binary.BigEndian.AppendUint16(out, uint16(x))
	}
	return out
}

func u32(v ...uint32) (out []byte) {
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, x)
	}
	return out
}

func zeros(n int) []byte { return make([]byte, n) }

func mkInit(timescale uint32, handler string, entry []byte, width, height int) []byte {
	ftyp := mkbox("ftyp", []byte("iso6"), u32(0), []byte("iso6cmfc"))
	tkhd := mkbox("tkhd", u32(3), zeros(8), u32(1), zeros(4+4+52), u32(uint32(width)<<16, uint32(height)<<16))
	mdhd := mkbox("mdhd", u32(0), zeros(8), u32(timescale, 0), zeros(4))
	hdlr := mkbox("hdlr", zeros(8), []byte(handler), zeros(13))
	stbl := mkbox("stbl", mkbox("stsd", u32(0, 1), entry), mkbox("stts", u32(0, 0)), mkbox("stsc", u32(0, 0)),
		mkbox("stsz", u32(0, 0, 0)), mkbox("stco", u32(0, 0)))
	trak := mkbox("trak", tkhd, mkbox("mdia", mdhd, hdlr, mkbox("minf", stbl)))
	mvex := mkbox("mvex", mkbox("trex", u32(0, 1, 1, 0, 0, 0)))
	return slices.Concat(ftyp, mkbox("moov", mkbox("mvhd", zeros(100)), trak, mvex))
}

func avcEntry(width, height int) []byte {
	avcC := mkbox("avcC", []byte{1, 0x64, 0, 0x1f, 0xff, 0xe0, 0})
	return mkbox("avc1", zeros(6), u16(1), zeros(16), u16(width, height), zeros(50), avcC)
}

func hevcEntry(width, height int) []byte {
	c := append([]byte{1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93}, zeros(10)...)
	c[21] = 3
	return mkbox("hvc1", zeros(6), u16(1), zeros(16), u16(width, height), zeros(50), mkbox("hvcC", c))
}

func aacEntry(channels int) []byte {
	asc := []byte{2<<3 | 3>>1, 1<<7 | byte(channels)<<3}
	dsi := append([]byte{5, byte(len(asc))}, asc...)
	dec := slices.Concat([]byte{4, byte(13 + len(dsi)), 0x40, 0x15}, zeros(11), dsi)
	es := slices.Concat([]byte{3, byte(3 + len(dec) + 3), 0, 1, 0}, dec, []byte{6, 1, 2})
	return mkbox("mp4a", zeros(6), u16(1), zeros(8), u16(channels, 16), zeros(4), u32(48000<<16), mkbox("esds", u32(0), es))
}

// mkSample is one sample to write.
type mkSample struct {
	duration uint32
	flags    uint32
	data     []byte
}

const (
	flagsSync  = 0x02000000
	flagsDelta = 0x01010000
)

// mkEvent is one event message to write. The zero value of each fault field is right.
type mkEvent struct {
	version   byte
	timescale uint32
	time      uint64
	duration  uint32
	id        uint32
	scheme    string
	value     string
	data      []byte
}

// tellAt is an event message with an ID3 tag.
func tellAt(time uint64, id uint32, text string) mkEvent {
	return mkEvent{1, 90000, time, unknownDuration, id, schemeID3, "shop.cards", mkTag(mkFrame("TXXX", "\x03shop.state\x00"+text))}
}

func (e *mkEvent) bytes() []byte {
	names := []byte(e.scheme + "\x00" + e.value + "\x00")
	if e.version == 0 {
		return mkbox("emsg", u32(0), names, u32(e.timescale, uint32(e.time), e.duration, e.id), e.data)
	}
	return mkbox("emsg", u32(uint32(e.version)<<24), u32(e.timescale), binary.BigEndian.AppendUint64(nil, e.time), u32(e.duration, e.id), names, e.data)
}

// mkTag is an ID3v2.4 tag around frames, mkFrame one of them; sizes below 128 times 128.
func mkTag(frames ...[]byte) []byte {
	body := bytes.Join(frames, nil)
	return append([]byte{'I', 'D', '3', 4, 0, 0, 0, 0, byte(len(body) >> 7), byte(len(body) & 0x7f)}, body...)
}

func mkFrame(kind, body string) []byte {
	return append([]byte(kind), append([]byte{0, 0, byte(len(body) >> 7), byte(len(body) & 0x7f), 0, 0}, body...)...)
}

// mkChunk is one CMAF chunk to write. The zero value of each fault field is right.
type mkChunk struct {
	sequence  uint32
	track     uint32
	decode    uint64
	samples   []mkSample
	tfhdFlags uint32
	shift     int32 // of the data offset
	front     []byte
	tail      []byte // behind the samples, in the mdat
	twice     bool   // two traf
	between   []byte // moof and mdat
	behind    []byte // the mdat
}

func (c *mkChunk) bytes() []byte {
	build := func(offset int32) []byte {
		run := binary.BigEndian.AppendUint32(u32(0x701, uint32(len(c.samples))), uint32(offset))
		for _, s := range c.samples {
			run = append(run, u32(s.duration, uint32(len(s.data)), s.flags)...)
		}
		traf := mkbox("traf", mkbox("tfhd", u32(0x20000^c.tfhdFlags, c.track)),
			mkbox("tfdt", u32(1<<24), binary.BigEndian.AppendUint64(nil, c.decode)), mkbox("trun", run))
		if c.twice {
			traf = append(traf, traf...)
		}
		return mkbox("moof", mkbox("mfhd", u32(0, c.sequence)), traf)
	}
	size := len(build(0))
	var data []byte
	for _, s := range c.samples {
		data = append(data, s.data...)
	}
	return slices.Concat(c.front, build(int32(size+8+len(c.between))+c.shift), c.between, mkbox("mdat", data, c.tail), c.behind)
}

func nal(kind byte, size int) []byte {
	return append(append(u32(uint32(size)), kind), bytes.Repeat([]byte{0x55}, size-1)...)
}
