package codec

import (
	"bytes"
	"testing"

	"pushcart/internal/stream"
)

// splitOBUs takes a temporal unit apart.
func splitOBUs(t *testing.T, b []byte) (units [][]byte) {
	t.Helper()
	for len(b) > 0 {
		_, n, err := nextOBU(b)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, b[:n])
		b = b[n:]
	}
	return units
}

func TestTemporalDelimitersGo(t *testing.T) {
	record, samples := readSamples(t, "av1")
	v := newVideo(t, stream.AV1, record)
	delimiter, padding := []byte{obuTemporalDelimiter<<3 | 2, 0}, []byte{obuPadding<<3 | 2, 2, 1, 0x80}
	units := splitOBUs(t, samples[0])
	if len(units) < 2 || units[0][0]>>3&15 != obuSequenceHeader {
		t.Fatalf("the key frame begins with %x", units[0][:2])
	}
	for name, in := range map[string][][]byte{
		"in front": append([][]byte{delimiter}, units...),
		"between":  append([][]byte{units[0], padding, delimiter}, units[1:]...),
		"behind":   append(append([][]byte{}, units...), padding),
	} {
		s, err := v.Read(bytes.Join(in, nil))
		if err != nil || !s.Key || s.Changed || !bytes.Equal(s.Payload, samples[0]) {
			t.Errorf("%s: key %v, changed %v, %d bytes, %v", name, s.Key, s.Changed, len(s.Payload), err)
		}
	}
	if s, err := v.Read(delimiter); err != nil || s.Payload != nil {
		t.Errorf("a delimiter alone: %+v, %v", s, err)
	}
}

func TestKeyFrameGetsItsSequenceHeader(t *testing.T) {
	record, samples := readSamples(t, "av1")
	v := newVideo(t, stream.AV1, record)
	units := splitOBUs(t, samples[0])
	s, err := v.Read(bytes.Join(units[1:], nil))
	if err != nil || !s.Key || !bytes.Equal(s.Payload, samples[0]) {
		t.Errorf("key %v, %d bytes, %v; want the header of the record in front", s.Key, len(s.Payload), err)
	}
}

func TestRecordWithoutSequenceHeader(t *testing.T) {
	record, samples := readSamples(t, "av1")
	v := newVideo(t, stream.AV1, record[:4])
	if got := v.Track(0); got.CodecString != "av01.0.00M.08" || got.Width != 0 {
		t.Errorf("track %+v", got)
	}
	if s, err := v.Read(bytes.Join(splitOBUs(t, samples[0])[1:], nil)); err != nil || s.Key {
		t.Errorf("a key frame that nothing describes: %+v, %v", s.Key, err)
	}
	s, err := v.Read(samples[0])
	if err != nil || !s.Key || !s.Changed {
		t.Fatalf("key %v, changed %v, %v", s.Key, s.Changed, err)
	}
	if got := v.Track(0); got.Width != 96 || got.Height != 64 || !bytes.Equal(got.Config, record) {
		t.Errorf("track %+v", got)
	}
}

func TestNewSequenceHeader(t *testing.T) {
	record, samples := readSamples(t, "av1")
	v := newVideo(t, stream.AV1, record)
	units := splitOBUs(t, samples[0])
	header := bytes.Clone(units[0])
	header[len(header)-1] |= 0x02 // in the trailing bits: another header with the same meaning
	if bytes.Equal(header, units[0]) {
		header[len(header)-1] ^= 0x01
	}
	s, err := v.Read(bytes.Join(append([][]byte{header}, units[1:]...), nil))
	if err != nil || !s.Changed || !s.Key {
		t.Fatalf("%v, changed %v", err, s.Changed)
	}
	if got := v.Track(0); !bytes.HasSuffix(got.Config, header[2:]) || got.Width != 96 {
		t.Errorf("track %+v", got)
	}
}

// TestNewSequenceHeaderInADamagedUnit: what the damaged unit brought holds from then on, so the next one has to tell.
func TestNewSequenceHeaderInADamagedUnit(t *testing.T) {
	record, samples := readSamples(t, "av1")
	v := newVideo(t, stream.AV1, record)
	units := splitOBUs(t, samples[0])
	header := bytes.Clone(units[0])
	header[len(header)-1] ^= 0x02
	whole := bytes.Join(append([][]byte{header}, units[1:]...), nil)
	if _, err := v.Read(append(bytes.Clone(whole), obuPadding<<3|2, 100)); err == nil {
		t.Fatal("damage was not noticed")
	}
	for _, changed := range []bool{true, false} {
		if s, err := v.Read(bytes.Clone(whole)); err != nil || s.Changed != changed || !s.Key {
			t.Errorf("%v, changed %v, want %v", err, s.Changed, changed)
		}
	}
}

func TestAV1CodecString(t *testing.T) {
	for want, s := range map[string]av1Sequence{
		"av01.0.08M.08": {level: 8, subX: true, subY: true, primaries: 1, transfer: 1, matrix: 1},
		"av01.0.13H.10.0.110.09.16.09.0": {level: 13, tier: true, high: true, subX: true, subY: true,
			primaries: 9, transfer: 16, matrix: 9},
		"av01.1.04M.08.0.000.02.02.02.1": {profile: 1, level: 4, primaries: 2, transfer: 2, matrix: 2, fullRange: true},
		"av01.2.04M.12.0.100.02.02.02.0": {profile: 2, level: 4, high: true, twelve: true, subX: true, primaries: 2, transfer: 2, matrix: 2},
	} {
		if got := s.codecString(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestLEB128(t *testing.T) {
	for _, v := range []int{0, 1, 127, 128, 300, 1 << 20} {
		b := putLEB128(nil, v)
		if got, n := leb128(b); got != uint64(v) || n != len(b) {
			t.Errorf("%d became %d", v, got)
		}
		if _, n := leb128(b[:len(b)-1]); n != 0 {
			t.Errorf("%d cut off was read", v)
		}
	}
	if _, n := leb128(bytes.Repeat([]byte{0x80}, 9)); n != 0 {
		t.Error("a number of 9 bytes was read")
	}
}
