package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pushcart/internal/stream"
)

// avcParts takes a record with one SPS and one PPS apart.
func avcParts(record []byte) (sps, pps []byte) {
	r := byteReader{b: record[6:]}
	sps = r.take(r.u16())
	r.take(1)
	return sps, r.take(r.u16())
}

func TestStripsWhatSamplesMustNotCarry(t *testing.T) {
	record, _ := readSamples(t, "avc")
	v := newVideo(t, stream.H264, record)
	sps, pps := avcParts(record)
	aud, filler, sei := []byte{9, 0xF0}, []byte{12, 0xFF, 0x80}, []byte{6, 1, 2, 0x80}
	idr, more := []byte{0x65, 1, 2, 3}, []byte{0x65, 4, 5}
	slice := []byte{0x41, 7}
	tests := []struct {
		name     string
		in, want [][]byte
		key      bool
	}{
		{"nothing", [][]byte{idr, more}, [][]byte{idr, more}, true},
		{"in front", [][]byte{aud, sps, pps, idr, more}, [][]byte{idr, more}, true},
		{"in the middle", [][]byte{sei, pps, idr, filler, more}, [][]byte{sei, idr, more}, true},
		{"at the end", [][]byte{slice, filler}, [][]byte{slice}, false},
		{"empty units", [][]byte{{}, slice, {}}, [][]byte{slice}, false},
		{"no picture", [][]byte{aud, sps, pps, sei}, nil, false},
		{"nothing at all", nil, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := v.Read(nals(4, test.in...))
			if err != nil {
				t.Fatal(err)
			}
			if want := nals(4, test.want...); !bytes.Equal(s.Payload, want) || s.Key != test.key || s.Changed {
				t.Errorf("got %x key %v changed %v, want %x key %v", s.Payload, s.Key, s.Changed, want, test.key)
			}
		})
	}
}

func TestRewritesShortLengths(t *testing.T) {
	record, _ := readSamples(t, "avc")
	for _, size := range []int{1, 2} {
		short := bytes.Clone(record)
		short[4] = 0xFC | byte(size-1)
		v := newVideo(t, stream.H264, short)
		if v.LengthSize() != size || !bytes.Equal(v.Track(0).Config, record) {
			t.Errorf("length size %d: reported as %d, record %x", size, v.LengthSize(), v.Track(0).Config)
		}
		idr, more := []byte{0x65, 1, 2, 3}, []byte{0x65, 4, 5}
		s, err := v.Read(nals(size, []byte{9, 0xF0}, idr, more))
		if err != nil || !s.Key || !bytes.Equal(s.Payload, nals(4, idr, more)) {
			t.Errorf("length size %d: %x, %v", size, s.Payload, err)
		}
	}
	record[4] = 0xFE
	if _, err := NewVideo(stream.H264, record); err == nil {
		t.Error("lengths of 3 bytes were taken")
	}
}

func TestParameterSetsInBand(t *testing.T) {
	for _, name := range []string{"avc", "hevc"} {
		t.Run(name, func(t *testing.T) {
			c, key, slice := stream.H264, []byte{0x65, 1, 2}, []byte{0x41, 1, 2}
			if name == "hevc" {
				c, key, slice = stream.HEVC, []byte{19 << 1, 1, 2}, []byte{1 << 1, 1, 2}
			}
			record, _ := readSamples(t, name)
			v := newVideo(t, c, record)
			before := v.Track(0)
			// The same PPS but for its last byte: another one of the same number.
			pps := bytes.Clone(v.sets[pps][0].nal)
			pps[len(pps)-1] ^= 0x06
			if s, err := v.Read(nals(4, pps)); err != nil || s.Changed || s.Payload != nil {
				t.Fatalf("parameter sets alone: %+v, %v", s, err)
			}
			if s, err := v.Read(nals(4, slice)); err != nil || s.Changed {
				t.Fatalf("changed before a key frame: %+v, %v", s, err)
			}
			s, err := v.Read(nals(4, pps, key))
			if err != nil || !s.Changed || !s.Key || !bytes.Equal(s.Payload, nals(4, key)) {
				t.Fatalf("key frame with new sets: %+v, %v", s, err)
			}
			after := v.Track(0)
			if bytes.Equal(before.Config, after.Config) || !bytes.Contains(after.Config, pps) {
				t.Error("the record does not have the new set")
			}
			if after.CodecString != before.CodecString || after.Width != before.Width {
				t.Errorf("track %+v", after)
			}
			if s, err := v.Read(nals(4, append(pps, 0, 0), key)); err != nil || s.Changed {
				t.Errorf("the same sets again: %+v, %v", s, err)
			}
		})
	}
}

func TestBrokenParameterSetInBand(t *testing.T) {
	record, _ := readSamples(t, "avc")
	v := newVideo(t, stream.H264, record)
	good, _ := avcParts(record)
	key := []byte{0x65, 1}
	// A set of the same number whose picture size is missing.
	bad := good[:8]
	if _, err := v.Read(nals(4, bad, key)); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
	if _, err := v.Read(nals(4, key)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a key frame that needs the broken set: error %v", err)
	}
	if s, err := v.Read(nals(4, good, key)); err != nil || s.Changed || !s.Key {
		t.Errorf("after the good set returned: %+v, %v", s, err)
	}
}

func TestAVCRecord(t *testing.T) {
	record, _ := readSamples(t, "avc")
	sps, pps := avcParts(record)
	lying := bytes.Clone(record)
	copy(lying[1:4], []byte{66, 0, 30})
	if got := newVideo(t, stream.H264, lying).Track(0); got.CodecString != "avc1.64000a" || !bytes.Equal(got.Config, record) {
		t.Errorf("a record that contradicts its SPS: %s, %x", got.CodecString, got.Config)
	}

	// Two parameter sets of each kind.
	two := []byte{1, 100, 0, 10, 0xFF, 0xE2}
	two = putNAL(putNAL(two, sps), sps)
	two = putNAL(putNAL(append(two, 2), pps), pps)
	if got := newVideo(t, stream.H264, two).Track(0); !bytes.Equal(got.Config, two) {
		t.Errorf("a record with two sets of a kind was altered: %x", got.Config)
	}

	for name, bad := range map[string][]byte{
		"empty":       {},
		"version":     append([]byte{0}, record[1:]...),
		"cut off":     record[:len(record)-8],
		"no sets":     {1, 100, 0, 10, 0xFF, 0xE0, 0},
		"SPS as PPS":  putNAL(append(putNAL([]byte{1, 100, 0, 10, 0xFF, 0xE1}, sps), 1), sps),
		"huge record": append(bytes.Clone(record), make([]byte, maxRecord)...),
	} {
		if _, err := NewVideo(stream.H264, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAVCRebuildHasHighProfileFields(t *testing.T) {
	record, _ := readSamples(t, "avc")
	v := newVideo(t, stream.H264, record)
	if err := v.rebuildAVC(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.config, record) {
		t.Errorf("rebuilt\n%x, was\n%x", v.config, record)
	}
}

// TestHEVCRecordWithEmulationPrevention checks the correction of records whose muxer copied the SPS's profile bytes
// with emulation prevention bytes among them, and so shifted what follows.
func TestHEVCRecordWithEmulationPrevention(t *testing.T) {
	record, _ := readSamples(t, "hevc")
	want := newVideo(t, stream.HEVC, record).Track(0)
	v := newVideo(t, stream.HEVC, record)
	raw := v.sets[sps][0].nal
	if !bytes.Contains(raw[3:15], []byte{0, 0, 3}) {
		t.Fatal("the SPS has no emulation prevention bytes where the test needs them")
	}
	wrong := bytes.Clone(record)
	copy(wrong[1:13], raw[3:15])
	if bytes.Equal(wrong, record) {
		t.Fatal("nothing wrong with the record")
	}
	got := newVideo(t, stream.HEVC, wrong).Track(0)
	if got.CodecString != want.CodecString || !bytes.Equal(got.Config, want.Config) {
		t.Errorf("codec %s, want %s", got.CodecString, want.CodecString)
	}
}

func TestHEVCRecord(t *testing.T) {
	record, _ := readSamples(t, "hevc")
	got := newVideo(t, stream.HEVC, record).Track(0).Config
	if len(got) != len(record) {
		t.Errorf("%d bytes, was %d", len(got), len(record))
	}
	if !bytes.Equal(got[:hvccHeader-1], record[:hvccHeader-1]) {
		t.Errorf("header %x, was %x", got[:hvccHeader], record[:hvccHeader])
	}
	r := byteReader{b: got[hvccHeader:]}
	for range got[22] {
		if head := r.u8(); head&0x80 == 0 {
			t.Errorf("array %#x is not complete", head)
		}
		for range r.u16() {
			r.take(r.u16())
		}
	}
	if r.bad || len(r.b) != 0 {
		t.Error("the arrays do not fill the record")
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "cut off": record[:60], "header only": append(bytes.Clone(record[:22]), 0),
	} {
		if _, err := NewVideo(stream.HEVC, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHEVCCodecString(t *testing.T) {
	for want, ptl := range map[string][]byte{
		"hvc1.1.6.L93.B0":       {0x01, 0x60, 0, 0, 0, 0xB0, 0, 0, 0, 0, 0, 93},
		"hvc1.2.4.H150.90":      {0x22, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 150},
		"hvc1.A4.41.L120.B0.23": {0x44, 0x82, 0, 0, 0, 0xB0, 0x23, 0, 0, 0, 0, 120},
		"hvc1.1.6.L93":          {0x01, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 93},
	} {
		if got := hevcCodecString(ptl); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestHEVCKeyFrames(t *testing.T) {
	record, _ := readSamples(t, "hevc")
	v := newVideo(t, stream.HEVC, record)
	for typ := range 32 {
		s, err := v.Read(nals(4, []byte{byte(typ << 1), 1, 0x80}))
		if err != nil {
			t.Fatal(err)
		}
		if want := typ >= 16 && typ <= 21; s.Key != want || len(s.Payload) == 0 {
			t.Errorf("NAL unit type %d: key %v, want %v", typ, s.Key, want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, test := range [][2][]byte{
		{{1, 2, 3}, {1, 2, 3}},
		{{0, 0, 3, 1}, {0, 0, 1}},
		{{0, 0, 3, 0, 0, 3}, {0, 0, 0, 0}},
		{{0, 0, 0, 3}, {0, 0, 0}},
		{{0, 3, 0, 0, 3}, {0, 3, 0, 0}},
	} {
		if got := unescape(test[0]); !bytes.Equal(got, test[1]) {
			t.Errorf("%x became %x, want %x", test[0], got, test[1])
		}
	}
}

func TestManyParameterSets(t *testing.T) {
	record, _ := readSamples(t, "avc")
	v := newVideo(t, stream.H264, record)
	key := []byte{0x65, 1}
	for i := range 300 {
		// PPS number i in Exp-Golomb, followed by so much that they are too many.
		var pps []byte
		code := uint32(i + 1)
		bits := 0
		for 1<<bits <= code {
			bits++
		}
		word := uint64(code) << (64 - (2*bits - 1))
		pps = append([]byte{8}, binary.BigEndian.AppendUint64(nil, word)...)
		pps = append(pps, bytes.Repeat([]byte{0xAA}, 1000)...)
		if _, err := v.Read(nals(4, pps, key)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
	if n := len(v.Track(0).Config); n > 2*maxRecord {
		t.Errorf("the record grew to %d bytes", n)
	}
}
