package nut

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// goldens are files as they should be, byte by byte, by the fields of the specification.
var goldens = []struct {
	name string
	file file
	hex  string
}{
	{
		name: "pictures",
		file: file{
			stream: Stream{Video: true, Tag: [4]byte{'H', '2', '6', '4'}, Rate: 90000, Delay: 2, Config: []byte{1, 0x64}, Width: 1280, Height: 720, FrameRate: 29.97},
			frames: []Frame{
				{PTS: 180000, Key: true, Payload: []byte("key")},
				{PTS: 186006, Payload: []byte("p")},
				{PTS: 183003, Payload: []byte("b")},
				{PTS: 500000, Payload: []byte("late")},
			},
		},
		hex: `
			6e75742f6d756c74696d6564696120636f6e7461696e657200
			4e4d7a561f5f04ad 26
				04 01 01 81ff7f 01 01 85bf10
				c000 00 28 00 29 00 68 00 69 00
				c000 06 00 01 00 00 00 817a
				00 02 ____
			4e5311405bf2f9db 1c
				00 00 04 48323634 00 0f 85bf10 02 00 02 0164
				8a00 8550 00 00 00 ____
			4e49ab68b596ba78 22
				01 00 00 00 01 0c 725f6672616d655f72617465
				02 0a 33303030302f31303031 ____
			4e4be4adeeca4569 08
				85bf10 00 ____
			02 8cfe20 03 6b6579
			01 81ad16 01 70
			01 81955b 01 62
			03 a0c220 04 ____ 6c617465`,
	},
	{
		name: "sound",
		file: file{
			stream: Stream{Tag: [4]byte{6}, Rate: 8000, SampleRate: 8000, Channels: 1},
			frames: []Frame{
				{PTS: 0, Key: true, Payload: []byte{0xD5}},
				{PTS: 160, Key: true, Payload: []byte("N")},
			},
		},
		hex: `
			6e75742f6d756c74696d6564696120636f6e7461696e657200
			4e4d7a561f5f04ad 25
				04 01 01 81ff7f 01 01 be40
				c000 00 28 00 29 00 68 00 69 00
				c000 06 00 01 00 00 00 817a
				00 02 ____
			4e5311405bf2f9db 14
				00 01 02 0600 00 0f be40 00 00 00
				be40 01 01 ____
			4e4be4adeeca4569 06
				00 00 ____
			02 00 01 d5
			02 8120 01 4e`,
	},
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := g.file.bytes()
			want := withChecksums(t, b, g.hex)
			if !bytes.Equal(b, want) {
				t.Fatalf("got\n%s\nwant\n%s", hex.Dump(b), hex.Dump(want))
			}
			got := readFile(t, b)
			sameFrames(t, got.frames, g.file.frames)
			s := g.file.stream
			s.FrameRate = 0
			if gs := got.stream; gs.Video != s.Video || gs.Tag != s.Tag || gs.Rate != s.Rate || gs.Delay != s.Delay || !bytes.Equal(gs.Config, s.Config) ||
				gs.Width != s.Width || gs.Height != s.Height || gs.SampleRate != s.SampleRate || gs.Channels != s.Channels {
				t.Fatalf("stream %+v, want %+v", gs, s)
			}
		})
	}
}

// withChecksums reads the bytes of a golden, with the file's own at the places of its checksums, which are told by ____:
// ffmpeg checks those.
func withChecksums(t *testing.T, b []byte, text string) []byte {
	t.Helper()
	var want []byte
	for part := range strings.FieldsSeq(text) {
		if part == "____" {
			if len(want)+4 > len(b) {
				t.Fatalf("only %d bytes", len(b))
			}
			want = append(want, b[len(want):len(want)+4]...)
			continue
		}
		field, err := hex.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, field...)
	}
	return want
}

// TestChecksum: catalogues of CRCs give the check value of this polynomial from 0, not reflected, with the result inverted
// (CRC-32/CKSUM: 0x765E7680); here it is not.
func TestChecksum(t *testing.T) {
	t.Parallel()
	if got := updateCRC(0, []byte("123456789")); got != 0x89A1897F {
		t.Errorf("checksum %#08x, want 0x89A1897F", got)
	}
	if got := updateCRC(updateCRC(0, []byte("1234")), []byte("56789")); got != 0x89A1897F {
		t.Errorf("in two parts %#08x", got)
	}
}

// TestNegativePTS: there is no way to say it.
func TestNegativePTS(t *testing.T) {
	t.Parallel()
	w := NewWriter(goldens[0].file.stream)
	if b := w.Append([]byte("x"), Frame{PTS: -1, Payload: []byte("y")}); string(b) != "x" {
		t.Errorf("got %q", b)
	}
}
