package fmp4

import (
	"encoding/binary"
	"fmt"

	"pushcart/internal/stream"
)

// TrackID of the one track in every file.
const TrackID = 1

// Init writes the initialisation section of a track: ftyp and moov, with CMAF's brands. It fails for codec data that
// cannot be stored.
func Init(t *stream.Track) ([]byte, error) {
	entry, err := sampleEntry(t)
	if err != nil {
		return nil, err
	}
	w := &boxes{b: make([]byte, 0, 1024)}
	w.box("ftyp", func() {
		w.text("iso6")
		w.u32(0)
		w.text("iso6cmfcmp41")
	})
	w.box("moov", func() {
		w.full("mvhd", 0, 0, func() {
			w.zero(8) // creation and modification time
			w.u32(1000)
			w.u32(0) // duration
			w.u32(0x10000)
			w.u16(0x100)
			w.zero(10)
			w.matrix()
			w.zero(24)
			w.u32(TrackID + 1)
		})
		w.box("trak", func() { trak(w, t, entry) })
		w.box("mvex", func() {
			w.full("trex", 0, 0, func() {
				w.u32(TrackID)
				w.u32(1) // sample description
				w.zero(12)
			})
		})
	})
	return w.b, nil
}

func trak(w *boxes, t *stream.Track, entry func(*boxes)) {
	const enabledInMovie = 3
	w.full("tkhd", 0, enabledInMovie, func() {
		w.zero(8)
		w.u32(TrackID)
		w.zero(4 + 4 + 8) // reserved, duration, reserved
		w.u16(0)          // layer
		if t.Video() {
			w.u16(0)
			w.u16(0) // volume
		} else {
			w.u16(1)
			w.u16(0x100)
		}
		w.u16(0)
		w.matrix()
		w.u32(uint32(t.Width) << 16)
		w.u32(uint32(t.Height) << 16)
	})
	w.box("mdia", func() {
		w.full("mdhd", 0, 0, func() {
			w.zero(8)
			w.u32(uint32(t.ClockRate))
			w.u32(0)
			w.u16(0x55c4) // "und", ISO 639-2/T packed
			w.u16(0)
		})
		handler, name := "soun", "Pushcart audio"
		if t.Video() {
			handler, name = "vide", "Pushcart video"
		}
		w.full("hdlr", 0, 0, func() {
			w.u32(0)
			w.text(handler)
			w.zero(12)
			w.text(name)
			w.u8(0)
		})
		w.box("minf", func() {
			if t.Video() {
				w.full("vmhd", 0, 1, func() { w.zero(8) })
			} else {
				w.full("smhd", 0, 0, func() { w.zero(4) })
			}
			w.box("dinf", func() {
				w.full("dref", 0, 0, func() {
					w.u32(1)
					w.full("url ", 0, 1, func() {})
				})
			})
			w.box("stbl", func() {
				w.full("stsd", 0, 0, func() {
					w.u32(1)
					entry(w)
				})
				w.full("stts", 0, 0, func() { w.u32(0) })
				w.full("stsc", 0, 0, func() { w.u32(0) })
				w.full("stsz", 0, 0, func() { w.zero(8) })
				w.full("stco", 0, 0, func() { w.u32(0) })
			})
		})
	})
}

// Storable tells whether Init knows the codec: VP8 and G.711 have no place in CMAF.
func Storable(c stream.Codec) bool {
	switch c {
	case stream.H264, stream.HEVC, stream.AV1, stream.VP9, stream.AAC, stream.Opus, stream.MP3:
		return true
	}
	return false
}

// vpRecord is the size of a VPCodecConfigurationRecord without initialisation data: VP9 has none (VP Codec ISO Media File
// Format Binding 1.0, "VP Codec Configuration Box").
//
//	profile(8) level(8) bitDepth(4) chromaSubsampling(3) videoFullRangeFlag(1)
//	colourPrimaries(8) transferCharacteristics(8) matrixCoefficients(8) codecInitializationDataSize(16)
const vpRecord = 8

// sampleEntry returns the writer of a track's sample entry.
func sampleEntry(t *stream.Track) (func(*boxes), error) {
	if t.Codec != stream.MP3 && len(t.Config) == 0 {
		return nil, fmt.Errorf("%s track %d has no codec data", t.Codec, t.ID)
	}
	switch t.Codec {
	case stream.H264:
		return func(w *boxes) { visual(w, t, "avc1", func() { w.box("avcC", func() { w.bytes(t.Config) }) }) }, nil
	case stream.HEVC:
		return func(w *boxes) { visual(w, t, "hvc1", func() { w.box("hvcC", func() { w.bytes(t.Config) }) }) }, nil
	case stream.AV1:
		return func(w *boxes) { visual(w, t, "av01", func() { w.box("av1C", func() { w.bytes(t.Config) }) }) }, nil
	case stream.VP9:
		if len(t.Config) != vpRecord {
			return nil, fmt.Errorf("VP9 codec data has %d bytes and not %d", len(t.Config), vpRecord)
		}
		return func(w *boxes) {
			visual(w, t, "vp09", func() { w.full("vpcC", 1, 0, func() { w.bytes(t.Config) }) })
		}, nil
	case stream.AAC:
		return func(w *boxes) { audio(w, t, "mp4a", func() { esds(w, 0x40, t.Config) }) }, nil
	case stream.MP3:
		return func(w *boxes) { audio(w, t, "mp4a", func() { esds(w, 0x6b, nil) }) }, nil
	case stream.Opus:
		box, err := opusBox(t.Config)
		if err != nil {
			return nil, err
		}
		return func(w *boxes) { audio(w, t, "Opus", func() { w.box("dOps", func() { w.bytes(box) }) }) }, nil
	}
	return nil, fmt.Errorf("%s cannot be stored in fragmented MP4", t.Codec)
}

// visual writes a VisualSampleEntry (ISO/IEC 14496-12 12.1.3) with its configuration box.
func visual(w *boxes, t *stream.Track, kind string, config func()) {
	w.box(kind, func() {
		w.zero(6)
		w.u16(1) // data reference
		w.zero(16)
		w.u16(uint16(t.Width))
		w.u16(uint16(t.Height))
		w.u32(0x480000) // 72 dpi
		w.u32(0x480000)
		w.u32(0)
		w.u16(1)
		w.zero(32) // compressor name
		w.u16(24)
		w.u16(0xffff)
		config()
	})
}

// audio writes an AudioSampleEntry (ISO/IEC 14496-12 12.2.3).
func audio(w *boxes, t *stream.Track, kind string, config func()) {
	w.box(kind, func() {
		w.zero(6)
		w.u16(1)
		w.zero(8)
		w.u16(uint16(t.Channels))
		w.u16(16)
		w.zero(4)
		rate := t.ClockRate
		if rate > 0xffff {
			rate = 0 // does not fit 16.16; the codec data says it
		}
		w.u32(uint32(rate) << 16)
		config()
	})
}

// esds writes the elementary stream descriptor (ISO/IEC 14496-1 7.2.6.5, 14496-14 3.1).
func esds(w *boxes, objectType byte, config []byte) {
	descriptor := func(tag byte, body []byte) []byte {
		d := []byte{tag, 0x80, 0x80, byte(len(body)>>7) | 0x80, byte(len(body) & 0x7f)}
		return append(d, body...)
	}
	const audioStream = 5<<2 | 1
	decoder := append([]byte{objectType, audioStream}, make([]byte, 3+4+4)...) // buffer size and bitrates: not stated
	if config != nil {
		decoder = append(decoder, descriptor(5, config)...)
	}
	es := []byte{0, 0, 0} // ES_ID is 0 in files, no flags
	es = append(es, descriptor(4, decoder)...)
	es = append(es, descriptor(6, []byte{2})...)
	w.full("esds", 0, 0, func() { w.bytes(descriptor(3, es)) })
}

// opusBox turns an OpusHead packet (RFC 7845 5.1, little-endian) into the body of a dOps box (Opus in ISOBMFF 4.3.2,
// big-endian).
func opusBox(head []byte) ([]byte, error) {
	const magic = "OpusHead"
	if len(head) < 19 || string(head[:8]) != magic {
		return nil, fmt.Errorf("opus codec data is %d bytes and no OpusHead", len(head))
	}
	le := binary.LittleEndian
	b := []byte{0, head[9]}
	b = binary.BigEndian.AppendUint16(b, le.Uint16(head[10:]))
	b = binary.BigEndian.AppendUint32(b, le.Uint32(head[12:]))
	b = binary.BigEndian.AppendUint16(b, le.Uint16(head[16:]))
	b = append(b, head[18])
	if head[18] != 0 {
		want := 19 + 2 + int(head[9])
		if len(head) < want {
			return nil, fmt.Errorf("opus codec data lacks the channel mapping of its %d channels", head[9])
		}
		b = append(b, head[19:want]...)
	}
	return b, nil
}
