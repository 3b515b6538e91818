package ts

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// Timed ID3 is a tag in a PES of its own (Apple, "Timed Metadata for HTTP Live Streaming" 2.0). ID3v2.3 and 2.4:
//
//	"ID3" version(16) flags(8) size(32, 7 bits in each byte); frames: name(32) size(32) flags(16)
//
// TXXX: encoding(8) description 0 value, in which the terminator of UTF-16 has two bytes.
const (
	id3Head      = 10
	id3Frame     = 10
	longestValue = 16 << 10
)

// id3Names are the descriptions of a TXXX frame whose value is a card command.
var id3Names = []string{"pushcart", "live.pushcart"}

// metadata takes timed ID3.
type metadata struct{ r *Reader }

func (m metadata) unit(payload []byte, t times) error {
	at := int64(0)
	if t.hasPTS {
		at = m.r.clock.unwrap(t.pts)
	}
	// Carried as metadata access units, a tag has a head of 5 bytes (ISO/IEC 13818-1 2.12.4).
	if len(payload) > 8 && string(payload[:3]) != "ID3" && string(payload[5:8]) == "ID3" {
		payload = payload[5:]
	}
	for _, text := range id3Commands(payload) {
		if err := m.r.opt.Feed.Command(stream.DataID3, at, text, nil); err != nil {
			return err
		}
	}
	return nil
}

func (m metadata) lost(reason ingest.DropReason) { m.r.opt.Publication.Drop(reason) }

// id3Commands finds the card commands in a tag.
func id3Commands(tag []byte) (commands [][]byte) {
	const mostCommands = 16
	if len(tag) < id3Head || string(tag[:3]) != "ID3" || tag[3] != 3 && tag[3] != 4 {
		return nil
	}
	v4, flags := tag[3] == 4, tag[5]
	n, ok := synchsafe(tag[6:10])
	if !ok || n > len(tag)-id3Head {
		return nil
	}
	b := tag[id3Head : id3Head+n]
	if flags&0x80 != 0 && !v4 {
		b = resynchronised(b)
	}
	if flags&0x40 != 0 {
		if b, ok = skipExtendedHeader(b, v4); !ok {
			return nil
		}
	}
	for len(b) >= id3Frame && b[0] != 0 && len(commands) < mostCommands {
		size := int(b[4])<<24 | int(b[5])<<16 | int(b[6])<<8 | int(b[7])
		if v4 {
			if size, ok = synchsafe(b[4:8]); !ok {
				return commands
			}
		}
		if size > len(b)-id3Frame {
			return commands
		}
		body := b[id3Frame : id3Frame+size]
		if string(b[:4]) == "TXXX" {
			if text := userText(body, v4, b[9], flags&0x80 != 0); text != nil {
				commands = append(commands, text)
			}
		}
		b = b[id3Frame+size:]
	}
	return commands
}

// synchsafe reads a number of 28 bits.
func synchsafe(b []byte) (int, bool) {
	n := 0
	for _, v := range b[:4] {
		if v&0x80 != 0 {
			return 0, false
		}
		n = n<<7 | int(v)
	}
	return n, true
}

// skipExtendedHeader passes over what stands in front of the frames.
func skipExtendedHeader(b []byte, v4 bool) ([]byte, bool) {
	if len(b) < 4 {
		return nil, false
	}
	n, ok := int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3])+4, true
	if v4 {
		n, ok = synchsafe(b)
	}
	if !ok || n < 4 || n > len(b) {
		return nil, false
	}
	return b[n:], true
}

// userText is the value of a TXXX frame that carries a command; nil for another.
func userText(b []byte, v4 bool, format byte, unsynchronised bool) []byte {
	if v4 {
		if format&0x0C != 0 { // compressed or encrypted
			return nil
		}
		if format&0x01 != 0 { // with its length in front
			if len(b) < 4 {
				return nil
			}
			b = b[4:]
		}
		if unsynchronised || format&0x02 != 0 {
			b = resynchronised(b)
		}
	} else if format&0xC0 != 0 {
		return nil
	}
	if len(b) == 0 || len(b) > longestValue {
		return nil
	}
	encoding, b := b[0], b[1:]
	name, value, ok := cutText(b, encoding)
	if !ok {
		return nil
	}
	for _, n := range id3Names {
		if decodeText(name, encoding) == n {
			return []byte(strings.TrimRight(decodeText(value, encoding), "\x00"))
		}
	}
	return nil
}

// cutText cuts at the first terminator.
func cutText(b []byte, encoding byte) (name, value []byte, ok bool) {
	if encoding != 1 && encoding != 2 {
		return bytes.Cut(b, []byte{0})
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i], b[i+2:], true
		}
	}
	return nil, nil, false
}

// decodeText makes UTF-8 of ISO 8859-1 (0), UTF-16 with a byte order mark (1), UTF-16 (2) or UTF-8 (3). "" for what is none
// of it.
func decodeText(b []byte, encoding byte) string {
	switch encoding {
	case 0:
		out := make([]byte, 0, len(b))
		for _, v := range b {
			out = utf8.AppendRune(out, rune(v))
		}
		return string(out)
	case 1, 2:
		little := false
		if len(b) >= 2 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF) {
			little = b[0] == 0xFF
			b = b[2:]
		}
		u := make([]uint16, len(b)/2)
		for i := range u {
			if u[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1]); little {
				u[i] = u[i]<<8 | u[i]>>8
			}
		}
		return string(utf16.Decode(u))
	case 3:
		return string(b)
	}
	return ""
}

// resynchronised takes out the zeros that stand behind 0xFF so that nothing looks like a frame of MPEG audio (ID3v2.4 6.1).
func resynchronised(b []byte) []byte { return bytes.ReplaceAll(b, []byte{0xFF, 0}, []byte{0xFF}) }
