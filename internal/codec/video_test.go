package codec

import (
	"bytes"
	"errors"
	"testing"

	"pushcart/internal/stream"
)

func TestEncodedVideo(t *testing.T) {
	for _, f := range videoFiles {
		t.Run(f.name, func(t *testing.T) {
			record, samples := readSamples(t, f.name)
			v := newVideo(t, f.codec, record)
			got := v.Track(7)
			if got.ID != 7 || got.Codec != f.codec || got.ClockRate != 90000 || got.Width != 96 || got.Height != 64 ||
				got.CodecString != f.want.CodecString || got.FrameRate != f.want.FrameRate {
				t.Errorf("track %+v, want %+v", got, f.want)
			}
			for i, b := range samples {
				s, err := v.Read(bytes.Clone(b))
				if err != nil {
					t.Fatalf("sample %d: %v", i, err)
				}
				if s.Key != (i%5 == 0) || s.Changed {
					t.Errorf("sample %d: key %v, changed %v", i, s.Key, s.Changed)
				}
				if !bytes.Equal(s.Payload, b) {
					t.Errorf("sample %d was altered", i)
				}
			}
			if !v.Given(record) || !v.Same(newVideo(t, f.codec, record)) {
				t.Error("the same record is taken for another")
			}
		})
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	for _, f := range videoFiles {
		record, samples := readSamples(t, f.name)
		v := newVideo(t, f.codec, record)
		in := bytes.Clone(samples[0])
		if n := testing.AllocsPerRun(100, func() {
			if _, err := v.Read(in); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a sample", f.name, n)
		}
	}
}

func TestDamagedSamples(t *testing.T) {
	for _, f := range videoFiles {
		record, samples := readSamples(t, f.name)
		v := newVideo(t, f.codec, record)
		whole := samples[0]
		for name, b := range map[string][]byte{
			"cut off":        whole[:len(whole)-1],
			"one byte":       whole[:1],
			"trailing bytes": append(bytes.Clone(whole), 0xFF, 0xFF, 0xFF),
		} {
			if _, err := v.Read(bytes.Clone(b)); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: error %v, want ErrDamaged", f.name, name, err)
			}
		}
		if s, err := v.Read(bytes.Clone(whole)); err != nil || !s.Key {
			t.Errorf("%s: a whole sample after damaged ones: %v", f.name, err)
		}
	}
}

func TestOtherVideoIsUnsupported(t *testing.T) {
	var u *UnsupportedError
	if _, err := NewVideo(stream.AAC, nil); !errors.As(err, &u) {
		t.Errorf("error %v", err)
	}
}

func FuzzVideo(f *testing.F) {
	for i, file := range videoFiles {
		record, samples := readSamples(f, file.name)
		f.Add(byte(i), record, samples[0], samples[1])
	}
	f.Fuzz(func(t *testing.T, which byte, record, first, second []byte) {
		v, err := NewVideo(videoFiles[int(which)%len(videoFiles)].codec, record)
		if err != nil {
			return
		}
		for _, b := range [][]byte{first, second, first} {
			s, err := v.Read(bytes.Clone(b))
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v", err)
			}
			track := v.Track(0)
			if len(track.Config) > 3*maxRecord || track.CodecString == "" {
				t.Fatalf("track %+v", track)
			}
			if v.LengthSize() == 0 || len(s.Payload) == 0 {
				continue
			}
			// What was made of it stands on its own: 4-byte lengths, nothing left to take out.
			again, err := NewVideo(v.Codec(), track.Config)
			if err != nil {
				t.Fatalf("the record made is not readable: %v", err)
			}
			r, err := again.Read(bytes.Clone(s.Payload))
			if err != nil || r.Key != s.Key || !bytes.Equal(r.Payload, s.Payload) {
				t.Fatalf("the sample made reads differently: %v", err)
			}
		}
	})
}

// FuzzParameterSets reads what is read only once the lengths around it hold: the insides of SPS and sequence headers,
// partly by mediacommon.
func FuzzParameterSets(f *testing.F) {
	for _, file := range videoFiles {
		record, _ := readSamples(f, file.name)
		v := newVideo(f, file.codec, record)
		if file.codec == stream.AV1 {
			f.Add(v.seqOBU)
			continue
		}
		f.Add(v.sets[sps][0].nal)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkSetSize(b) != nil || len(b) < 4 {
			return
		}
		v := Video{codec: stream.H264, config: make([]byte, hvccHeader)}
		v.sets.put(sps, 0, b)
		v.sets.put(pps, 0, []byte{8, 0x80})
		v.rebuildAVC()
		v.config = make([]byte, hvccHeader)
		v.rebuildHEVC()
		hevcSetID(sps, b)
		readAV1Sequence(b)
	})
}
