package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"pushcart/internal/stream"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bitWriter puts together configurations for tests.
type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) put(bits int, v uint64) *bitWriter {
	for i := bits - 1; i >= 0; i-- {
		if w.n&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n>>3] |= byte(v>>i&1) << (7 - w.n&7)
		w.n++
	}
	return w
}

func TestAAC(t *testing.T) {
	// The core's part: object type, rate index, channels, and an empty GASpecificConfig.
	lc := func(rate, channels uint64) *bitWriter {
		return new(bitWriter).put(5, 2).put(4, rate).put(4, channels).put(3, 0)
	}
	tests := []struct {
		name                            string
		asc                             []byte
		codecs                          string
		clock, rate, channels, perFrame int
	}{
		{"LC 44.1 kHz stereo", unhex(t, "1210"), "mp4a.40.2", 44100, 44100, 2, 1024},
		{"LC 48 kHz mono", unhex(t, "1188"), "mp4a.40.2", 48000, 48000, 1, 1024},
		{"LC 5.1", lc(3, 6).b, "mp4a.40.2", 48000, 48000, 6, 1024},
		{"LC 7.1", lc(3, 7).b, "mp4a.40.2", 48000, 48000, 8, 1024},
		{"frames of 960", new(bitWriter).put(5, 2).put(4, 3).put(4, 2).put(3, 4).b, "mp4a.40.2", 48000, 48000, 2, 960},
		{"rate spelled out", new(bitWriter).put(5, 2).put(4, 15).put(24, 44100).put(4, 2).put(3, 0).b, "mp4a.40.2", 44100, 44100, 2, 1024},
		{"HE-AAC explicit", new(bitWriter).put(5, 5).put(4, 6).put(4, 2).put(4, 3).put(5, 2).put(3, 0).b, "mp4a.40.5", 24000, 48000, 2, 1024},
		{"HE-AAC v2 explicit", new(bitWriter).put(5, 29).put(4, 7).put(4, 1).put(4, 4).put(5, 2).put(3, 0).b, "mp4a.40.29", 22050, 44100, 2, 1024},
		{"HE-AAC compatible", lc(7, 2).put(11, 0x2B7).put(5, 5).put(1, 1).put(4, 4).b, "mp4a.40.5", 22050, 44100, 2, 1024},
		{"HE-AAC v2 compatible", lc(6, 1).put(11, 0x2B7).put(5, 5).put(1, 1).put(4, 3).put(11, 0x548).put(1, 1).b, "mp4a.40.29", 24000, 48000, 2, 1024},
		{"extension without SBR", lc(3, 2).put(11, 0x2B7).put(5, 5).put(1, 0).b, "mp4a.40.2", 48000, 48000, 2, 1024},
		{"padding behind", append(unhex(t, "1210"), 0, 0, 0), "mp4a.40.2", 44100, 44100, 2, 1024},
		// A program config element with one front pair, as FFmpeg writes for unusual layouts.
		{"layout spelled out", lc(3, 0).put(4, 0).put(2, 1).put(4, 3).put(4, 1).put(4, 0).put(4, 0).put(2, 1).put(3, 0).put(4, 0).
			put(3, 0).put(1, 1).put(4, 0).put(4, 1).put(4, 0).put(8, 0).put(8, 0).b, "mp4a.40.2", 48000, 48000, 3, 1024},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := NewAAC(100, test.asc)
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != 100 || got.Codec != stream.AAC || got.CodecString != test.codecs || got.ClockRate != test.clock ||
				got.SampleRate != test.rate || got.Channels != test.channels || got.FrameSamples != test.perFrame ||
				!bytes.Equal(got.Config, test.asc) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAACFaults(t *testing.T) {
	for name, asc := range map[string][]byte{
		"empty":          {},
		"cut off":        {0x12},
		"reserved rate":  new(bitWriter).put(5, 2).put(4, 13).put(4, 2).put(3, 0).b,
		"rate 0":         new(bitWriter).put(5, 2).put(4, 15).put(24, 0).put(4, 2).put(3, 0).b,
		"rate 16 MHz":    new(bitWriter).put(5, 2).put(4, 15).put(24, 0xFFFFFF).put(4, 2).put(3, 0).b,
		"reserved count": new(bitWriter).put(5, 2).put(4, 3).put(4, 9).put(3, 0).b,
		"too long":       make([]byte, maxSetSize+1),
	} {
		if _, err := NewAAC(0, asc); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var u *UnsupportedError
	if _, err := NewAAC(0, new(bitWriter).put(5, 31).put(6, 10).put(4, 3).put(4, 2).put(16, 0).b); !errors.As(err, &u) {
		t.Errorf("object type 42: %v, want an UnsupportedError", err)
	}
}

func opusHead(channels byte, rate uint32, family byte, mapping ...byte) []byte {
	h := append([]byte("OpusHead"), 1, channels, 0x38, 0x01)
	h = binary.LittleEndian.AppendUint32(h, rate)
	return append(append(h, 0x10, 0, family), mapping...)
}

func TestOpus(t *testing.T) {
	stereo := opusHead(2, 44100, 0)
	surround := opusHead(6, 48000, 1, 4, 2, 0, 4, 1, 2, 3, 5)
	bigEndian := bytes.Clone(stereo)
	copy(bigEndian[10:], []byte{0x01, 0x38, 0, 0, 0xAC, 0x44, 0, 0x10})
	for _, test := range []struct {
		name       string
		head, want []byte
		channels   int
	}{
		{"stereo", stereo, stereo, 2},
		{"5.1", surround, surround, 6},
		{"with bytes behind", append(bytes.Clone(stereo), 1, 2, 3), stereo, 2},
		{"numbers big-endian", bigEndian, stereo, 2},
	} {
		got, err := NewOpus(100, test.head)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got.ClockRate != 48000 || got.SampleRate != 48000 || got.Channels != test.channels || got.FrameSamples != 0 ||
			got.CodecString != "opus" || !bytes.Equal(got.Config, test.want) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	for name, head := range map[string][]byte{
		"empty":             {},
		"cut off":           stereo[:18],
		"version":           append([]byte("OpusHead\x10"), stereo[9:]...),
		"no channels":       opusHead(0, 48000, 0),
		"too many channels": opusHead(3, 48000, 0),
		"mapping cut off":   surround[:24],
	} {
		if _, err := NewOpus(0, head); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOpusDuration(t *testing.T) {
	for _, test := range []struct {
		packet []byte
		want   int
	}{
		{[]byte{0x78, 1}, 960},     // hybrid, 20 ms
		{[]byte{0xFC, 1}, 960},     // CELT, 20 ms
		{[]byte{0xE0, 1}, 120},     // CELT, 2.5 ms
		{[]byte{0x19, 1}, 5760},    // SILK, two of 60 ms
		{[]byte{0x03, 6}, 6 * 480}, // six of 10 ms
	} {
		if got, err := OpusDuration(test.packet); err != nil || got != test.want {
			t.Errorf("%x: %d, %v, want %d", test.packet, got, err, test.want)
		}
	}
	for _, packet := range [][]byte{{}, {0x03}, {0x03, 0}, {0x1B, 63}} {
		if _, err := OpusDuration(packet); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x: %v", packet, err)
		}
	}
}

func TestMP3(t *testing.T) {
	frame := func(head string, size int) []byte { return append(unhex(t, head), make([]byte, size-4)...) }
	for _, test := range []struct {
		name                     string
		frame                    []byte
		rate, channels, perFrame int
	}{
		{"MPEG-1 128 kbit/s 44.1 kHz", frame("fffb9064", 417), 44100, 2, 1152},
		{"the same, padded", frame("fffb9264", 418), 44100, 2, 1152},
		{"MPEG-1 320 kbit/s 48 kHz mono", frame("fffbe4c4", 960), 48000, 1, 1152},
		{"MPEG-2 64 kbit/s 24 kHz", frame("fff38464", 192), 24000, 2, 576},
	} {
		got, err := NewMP3(100, test.frame)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got.ClockRate != test.rate || got.SampleRate != test.rate || got.Channels != test.channels || got.FrameSamples != test.perFrame {
			t.Errorf("%s: %+v", test.name, got)
		}
		one, rest, err := NextMP3(append(bytes.Clone(test.frame), test.frame...))
		if err != nil || !bytes.Equal(one, test.frame) || !bytes.Equal(rest, test.frame) {
			t.Errorf("%s: cut into %d and %d bytes, %v", test.name, len(one), len(rest), err)
		}
		if _, _, err := NextMP3(test.frame[:len(test.frame)-1]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: cut off: %v", test.name, err)
		}
	}
	var u *UnsupportedError
	for _, head := range []string{"fffd9064", "ffe39064"} { // layer II, MPEG-2.5
		if _, err := NewMP3(0, unhex(t, head)); !errors.As(err, &u) {
			t.Errorf("%s: %v", head, err)
		}
	}
	for _, head := range []string{"", "fffb", "12345678", "fffb0064", "fffbf064", "fffb9c64"} {
		if _, err := NewMP3(0, unhex(t, head)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", head, err)
		}
	}
}

func FuzzAudio(f *testing.F) {
	f.Add(unhex(f, "1210"))
	f.Add(unhex(f, "2b920800"))
	f.Add(opusHead(2, 48000, 0))
	f.Add(unhex(f, "fffb9064"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func(int, []byte) (*stream.Track, error){NewAAC, NewOpus, NewMP3} {
			track, err := read(1, b)
			if err != nil {
				continue
			}
			if track.ClockRate < 7350 || track.SampleRate < track.ClockRate || track.Channels < 1 || track.CodecString == "" {
				t.Fatalf("%+v", track)
			}
		}
		if d, err := OpusDuration(b); err == nil && (d < 120 || d > 5760) {
			t.Fatalf("duration %d", d)
		}
		if frame, rest, err := NextMP3(b); err == nil && (len(frame) < 4 || len(frame)+len(rest) != len(b)) {
			t.Fatalf("%d + %d of %d", len(frame), len(rest), len(b))
		}
	})
}
