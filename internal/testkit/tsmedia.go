package testkit

import (
	"bytes"
	"encoding/binary"
	"time"
)

// tsMuxer puts a show's tracks, and what comes beside them, into MPEG-TS.
type tsMuxer struct {
	transportStream
	show    *Show
	media   []int // streams by track
	id3     int
	scte35  int
	written int // samples
	// breakNext sets the discontinuity flag with the next sample.
	breakNext bool
}

// newTSMuxer makes the tables. The tracks' own, timed ID3 and SCTE-35 are always in them.
func newTSMuxer(show *Show, w writerFunc) *tsMuxer {
	m := &tsMuxer{show: show}
	m.w = w
	// SCTE 35 8.1, and metadata_pointer_descriptor (2.6.58).
	m.program = append(append(tsRegistration("CUEI"), 0x25, 15, 0xFF, 0xFF), "ID3 \xFFID3 \x00\x1F\x00\x01"...)
	for _, media := range show.Tracks {
		var kind byte
		descriptors := tsLanguage(media.Language)
		switch media.Clip.Codec {
		case AVC:
			kind = tsAVC
		case HEVC:
			kind, descriptors = tsHEVC, tsRegistration("HEVC")
		case AAC:
			kind = tsAAC
		case Opus:
			// The Opus registration and its extension descriptor with the channels' number.
			kind, descriptors = tsPrivate, append(append(descriptors, tsRegistration("Opus")...), 0x7F, 2, 0x80, 2)
		default:
			kind = 0xA0 // which nobody knows
		}
		m.media = append(m.media, m.add(kind, descriptors))
	}
	// Timed ID3 as HTTP Live Streaming has it: metadata_descriptor (2.6.60) with "ID3 " as application's and format's identifier.
	m.id3 = m.add(tsMetadata, append([]byte{0x26, 13, 0xFF, 0xFF}, "ID3 \xFFID3 \x00\x0F"...))
	m.scte35 = m.add(tsSCTE35, nil)
	return m
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// ticks is the time on the wire of a time in the clip: a second later, as PCR has to be earlier.
func (m *tsMuxer) ticks(at time.Duration) int64 {
	const lead = 90000
	return int64(m.show.Origin) + lead + (int64(at)*9+5e4)/1e5
}

// write sends a sample.
func (m *tsMuxer) write(track int, s *Sample) error {
	clip := m.show.Tracks[track].Clip
	u := tsUnit{stream: m.media[track], id: 0xC0 + byte(track), pts: m.ticks(s.DTS + s.Offset), dts: m.ticks(s.DTS), data: s.Payload}
	if clip.Codec.Video() {
		u.id, u.hasDTS, u.key, u.pcr = 0xE0, s.Offset != 0, s.Key, track == 0
	} else {
		u.pcr = !m.show.Tracks[0].Clip.Codec.Video() && track == 0
	}
	switch clip.Codec {
	case AVC:
		u.data = startCodes([]byte{9, 0xF0}, withParameterSets(clip, s))
	case HEVC:
		u.data = startCodes([]byte{35 << 1, 1, 0x50}, withParameterSets(clip, s))
	case AAC:
		u.data = append(clip.adts(len(s.Payload)), s.Payload...)
	case Opus:
		u.id, u.data = 0xBD, append(opusControl(len(s.Payload)), s.Payload...)
	}
	if s.Key && (track == 0 || m.written%25 == 0) {
		m.tables()
	}
	m.written++
	u.discontinuity, m.breakNext = m.breakNext, false
	m.pes(u)
	return m.flush()
}

// startCodes puts start codes in front of units, the first being a delimiter.
func startCodes(delimiter []byte, units [][]byte) []byte {
	code := []byte{0, 0, 0, 1}
	return append(append(code, delimiter...), append(append([]byte(nil), code...), bytes.Join(units, code)...)...)
}

// adts is the header of an AAC frame of a size (ISO/IEC 13818-7 6.2).
func (c *Clip) adts(size int) []byte {
	size += 7
	index := byte(binary.BigEndian.Uint16(c.Config) >> 7 & 15)
	channels := byte(c.channels())
	return []byte{0xFF, 0xF1, 1<<6 | index<<2 | channels>>2, channels<<6 | byte(size>>11), byte(size >> 3), byte(size<<5) | 0x1F, 0xFC}
}

// opusControl is the header of an Opus packet in MPEG-TS: a prefix of eleven bits and the size as of laces of 255.
func opusControl(size int) []byte {
	b := []byte{0x7F, 0xE0}
	for ; size >= 255; size -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(size))
}

// ID3 sends a timed ID3 tag (id3v2.4.0-structure 3.1 and 4) with a TXXX frame of a description and a text.
func (m *tsMuxer) ID3(at time.Duration, description, text string) error {
	safe := func(n int) []byte {
		return []byte{byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}
	}
	body := append(append([]byte{3}, description...), 0)
	body = append(body, text...)
	frame := append(append(append([]byte("TXXX"), safe(len(body))...), 0, 0), body...)
	tag := append(append([]byte("ID3\x04\x00\x00"), safe(len(frame))...), frame...)
	m.pes(tsUnit{stream: m.id3, id: 0xBD, pts: m.ticks(at), data: tag})
	return m.flush()
}

// SpliceInsert sends a SCTE-35 cue for a time: splice_insert (SCTE 35 9.7.3) with an avail_descriptor or a
// segmentation_descriptor as given.
func (m *tsMuxer) SpliceInsert(at time.Duration, event uint32, descriptors []byte) error {
	command := binary.BigEndian.AppendUint32(nil, event)
	command = append(command, 0x7F, 0xCF) // not cancelled; out of network, whole program, no duration, not immediate
	command = spliceTime(command, m.ticks(at))
	command = append(command, 0, 1, 0, 0) // program and avails
	return m.splice(5, command, descriptors)
}

// TimeSignal sends a SCTE-35 time_signal (9.7.4) with descriptors.
func (m *tsMuxer) TimeSignal(at time.Duration, descriptors []byte) error {
	return m.splice(6, spliceTime(nil, m.ticks(at)), descriptors)
}

func spliceTime(b []byte, at int64) []byte {
	return append(b, 0xFE|byte(at>>32&1), byte(at>>24), byte(at>>16), byte(at>>8), byte(at))
}

// splice sends a splice_info_section (9.6).
func (m *tsMuxer) splice(kind byte, command, descriptors []byte) error {
	b := []byte{0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0 | byte(len(command)>>8), byte(len(command)), kind}
	b = append(b, command...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(descriptors))), descriptors...)
	b = append(binary.BigEndian.AppendUint16([]byte{0xFC}, 0x3000|uint16(len(b)+4)), b...)
	b = binary.BigEndian.AppendUint32(b, crcMPEG(b))
	m.section(m.streams[m.scte35], b)
	return m.flush()
}

// Segmentation is a segmentation_descriptor (SCTE 35 10.3.3) with a private UPID (0x0C, MPU): a format identifier of four
// letters and data.
func Segmentation(event uint32, format string, data []byte) []byte {
	body := append([]byte("CUEI"), binary.BigEndian.AppendUint32(nil, event)...)
	body = append(body, 0x7F, 0xBF) // not cancelled; whole program, no duration, delivery not restricted
	body = append(body, 0x0C, byte(len(format)+len(data)))
	body = append(append(body, format...), data...)
	body = append(body, 0x30, 0, 0) // provider advertisement start
	return append([]byte{2, byte(len(body))}, body...)
}
