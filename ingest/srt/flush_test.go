package srt

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"strings"
	"testing"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest"
)

// tape is a link that brings packets of a transport stream and then ends.
type tape struct {
	packets []packet.Packet
}

func (l *tape) ReadPacket() (packet.Packet, error) {
	if len(l.packets) == 0 {
		return nil, io.EOF
	}
	p := l.packets[0]
	l.packets = l.packets[1:]
	return p, nil
}

func (l *tape) Stats(*gosrt.Statistics) {}
func (l *tape) Close() error            { return nil }

// section is a packet with one section, to which the checksum is added (ISO/IEC 13818-1 annex A).
func section(pid uint16, body []byte) string {
	body[2] = byte(len(body) - 3 + 4)
	sum := ^uint32(0)
	for _, v := range body {
		for bit := 7; bit >= 0; bit-- {
			carry := sum>>31 ^ uint32(v>>bit&1)
			if sum <<= 1; carry != 0 {
				sum ^= 0x04C11DB7
			}
		}
	}
	b := append([]byte{0x47, 0x40 | byte(pid>>8), byte(pid), 0x10, 0}, binary.BigEndian.AppendUint32(body, sum)...)
	return string(b) + strings.Repeat("\xff", 188-len(b))
}

// TestCueAheadOfTheEnd: a cue for a picture that did not come before the publisher left is not lost without a trace.
func TestCueAheadOfTheEnd(t *testing.T) {
	t.Parallel()
	const command = `PUSH{"pushcart":"hide"}`
	b := section(0, []byte{0, 0xB0, 0, 0, 1, 0xC1, 0, 0, 0, 1, 0xF0, 0x00}) +
		section(0x1000, []byte{2, 0xB0, 0, 0, 1, 0xC1, 0, 0, 0xE1, 0x00, 0xF0, 0, 0x0F, 0xE1, 0x01, 0xF0, 0, 0x86, 0xE1, 0xF0, 0xF0, 0, 0x1B, 0xE1, 0x00, 0xF0, 0})
	sps := "\x67\x42\xc0\x0c\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\xa8"
	for i := range 3 { // pictures that fill a packet each
		pts := 90000 + 3600*i
		pes := "\x00\x00\x01\xE0\x00\x00\x80\x80\x05" + string([]byte{0x21, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1}) +
			"\x00\x00\x01" + sps + "\x00\x00\x01\x68\xce\x0f\xc8\x00\x00\x01\x65\x9a"
		b += "\x47\x41\x00" + string([]byte{0x10 | byte(i)}) + pes + strings.Repeat("\x33", 184-len(pes))
	}
	pts := uint32(90000 + 4*90000)
	cue := append([]byte{0xFC, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0, 5, 6, 0xFE}, binary.BigEndian.AppendUint32(nil, pts)...)
	descriptor := append([]byte("CUEI\x00\x00\x00\x01\x7f\xbf\x0c"), byte(len(command)))
	descriptor = append(append(descriptor, command...), 0x30, 1, 1)
	cue = append(append(cue, 0, byte(2+len(descriptor)), 2, byte(len(descriptor))), descriptor...)
	b += section(0x1F0, cue)

	door := newFakeDoor()
	pub, _ := door.Open(ingest.Request{Stream: "show"})
	m, _ := newMetrics(nil)
	s := newSession(Options{Door: door, Log: slog.New(slog.DiscardHandler)}.withDefaults(), m)
	s.pub = pub
	l := &tape{packets: []packet.Packet{media(0, 0, b)}}
	s.run(context.Background(), l)
	p := opened(t, door)
	if len(p.of(0)) == 0 || len(p.data) != 1 {
		t.Errorf("%d pictures, messages %+v, drops %v", len(p.of(0)), p.data, p.drops)
	}
}
