package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"testing"

	"pushcart/internal/stream"
)

// units takes a sample with 4-byte lengths, or a temporal unit of AV1, apart.
func units(t testing.TB, c stream.Codec, sample []byte) (out [][]byte) {
	t.Helper()
	for len(sample) > 0 {
		n := 0
		if c == stream.AV1 {
			_, size, err := nextOBU(sample)
			if err != nil {
				t.Fatal(err)
			}
			out, n = append(out, bytes.Clone(sample[:size])), size
		} else {
			n = 4 + int(binary.BigEndian.Uint32(sample))
			out = append(out, bytes.Clone(sample[4:n]))
		}
		sample = sample[n:]
	}
	return out
}

// sets returns the parameter sets of a record.
func sets(t testing.TB, c stream.Codec, record []byte) (out [][]byte) {
	t.Helper()
	if c == stream.AV1 {
		return [][]byte{record[4:]}
	}
	for _, kind := range newVideo(t, c, record).sets {
		for _, s := range kind {
			out = append(out, s.nal)
		}
	}
	return out
}

// TestElementary: units and parameter sets make the same track and samples as record and samples do.
func TestElementary(t *testing.T) {
	t.Parallel()
	for _, f := range videoFiles {
		for _, apart := range []bool{true, false} {
			record, samples := readSamples(t, f.name)
			want := newVideo(t, f.codec, record)
			got, err := NewElementary(f.codec)
			if err != nil {
				t.Fatal(err)
			}
			if got.Ready() {
				t.Error("ready before it knows anything")
			}
			if apart {
				for _, s := range sets(t, f.codec, record) { // one after the other
					if got.Ready() {
						t.Error("ready too early")
					}
					if err := got.Parameters([][]byte{s}); err != nil {
						t.Fatal(err)
					}
				}
				if !got.Ready() {
					t.Fatalf("%s: not ready", f.name)
				}
			}
			for i, au := range samples {
				u := units(t, f.codec, au)
				if i == 0 && !apart {
					u = append(sets(t, f.codec, record), u...)
				}
				w, err := want.Read(bytes.Clone(au))
				if err != nil {
					t.Fatal(err)
				}
				s, err := got.ReadUnits(u)
				if err != nil {
					t.Fatal(err)
				}
				if s.Key != w.Key || s.Changed != (i == 0 && !apart) {
					t.Errorf("%s sample %d: key %v, changed %v", f.name, i, s.Key, s.Changed)
				}
				// Where the header came with the sample, it stands in it.
				if !bytes.Equal(s.Payload, w.Payload) && !(f.codec == stream.AV1 && i == 0) {
					t.Errorf("%s sample %d: %x, want %x", f.name, i, s.Payload, w.Payload)
				}
			}
			g, w := got.Track(3), want.Track(3)
			config := bytes.Clone(w.Config)
			if f.codec == stream.HEVC { // without the SEI that this encoder's record has
				config = config[:len(g.Config)]
				config[22]--
			}
			if !bytes.Equal(g.Config, config) || g.CodecString != w.CodecString || g.Width != w.Width || g.FrameRate != w.FrameRate {
				t.Errorf("%s: %x\nwant %x", f.name, g.Config, config)
			}
			if again := newVideo(t, f.codec, g.Config); !again.Same(got) {
				t.Errorf("%s: the record reads otherwise", f.name)
			}
		}
	}
}

// TestElementaryOBUs: OBUs come without sizes in RTP, and leave with them.
func TestElementaryOBUs(t *testing.T) {
	t.Parallel()
	record, samples := readSamples(t, "av1")
	v, _ := NewElementary(stream.AV1)
	want := newVideo(t, stream.AV1, record)
	if err := v.Parameters(sets(t, stream.AV1, record)); err != nil {
		t.Fatal(err)
	}
	for i, au := range samples {
		var bare [][]byte
		for _, u := range units(t, stream.AV1, au) {
			o, _, err := nextOBU(u)
			if err != nil {
				t.Fatal(err)
			}
			header := []byte{u[0] &^ 2}
			if u[0]&4 != 0 {
				header = append(header, u[1])
			}
			bare = append(bare, append(header, o.payload...))
		}
		w, _ := want.Read(bytes.Clone(au))
		s, err := v.ReadUnits(bare)
		if err != nil || !bytes.Equal(s.Payload, w.Payload) || s.Key != w.Key {
			t.Errorf("sample %d: %v\n%x\n%x", i, err, s.Payload, w.Payload)
		}
	}
}

// TestElementaryWithoutParameters: pictures that come before their parameter sets are no fault of the pictures.
func TestElementaryWithoutParameters(t *testing.T) {
	t.Parallel()
	for _, f := range videoFiles[:2] {
		record, samples := readSamples(t, f.name)
		v, _ := NewElementary(f.codec)
		all := sets(t, f.codec, record)
		for n := range len(all) {
			if err := v.Parameters(all[:n]); err != nil {
				t.Fatal(err)
			}
			s, err := v.ReadUnits(units(t, f.codec, samples[0]))
			if err != nil || s.Changed || v.Ready() {
				t.Errorf("%s with %d sets: %+v %v", f.name, n, s, err)
			}
		}
		s, err := v.ReadUnits(append(all, units(t, f.codec, samples[0])...))
		if err != nil || !s.Changed || !s.Key || !v.Ready() {
			t.Errorf("%s: %+v %v", f.name, s, err)
		}
	}
}

// TestProfileWithEmulationPrevention: profile and level of the record are those of the SPS as a decoder reads it.
func TestProfileWithEmulationPrevention(t *testing.T) {
	t.Parallel()
	if got := avcProfile([]byte{0x67, 0, 0, 3, 1, 0x80}); !bytes.Equal(got, []byte{0, 0, 1}) {
		t.Errorf("profile %x", got)
	}
	// An HEVC SPS of x265 has them in its constraint flags.
	record, _ := readSamples(t, "hevc")
	v, _ := NewElementary(stream.HEVC)
	all := sets(t, stream.HEVC, record)
	if !bytes.Contains(all[1], []byte{0, 0, 3}) {
		t.Fatal("the sample has no emulation prevention bytes")
	}
	if err := v.Parameters(all); err != nil {
		t.Fatal(err)
	}
	c := v.Track(0).Config
	if plain := unescape(all[1]); !bytes.Equal(c[1:13], plain[3:15]) || c[21] != 1<<3|1<<2|3 {
		t.Errorf("record %x", c[:23])
	}
}

// ivf has ffmpeg encode a test picture, and returns its frames.
func ivf(t testing.TB, args ...string) (frames [][]byte) {
	t.Helper()
	args = append([]string{"-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=320x180:r=25:d=0.4"}, args...)
	out, err := exec.Command("ffmpeg", append(args, "-f", "ivf", "-")...).Output()
	if err != nil || len(out) < 32 {
		t.Fatal(err)
	}
	for out = out[32:]; len(out) >= 12; {
		n := 12 + int(binary.LittleEndian.Uint32(out))
		frames = append(frames, out[12:n])
		out = out[n:]
	}
	return frames
}

func TestVP8(t *testing.T) {
	t.Parallel()
	v, _ := NewElementary(stream.VP8)
	for i, f := range ivf(t, "-c:v", "libvpx", "-g", "5") {
		s, err := v.ReadUnits([][]byte{f})
		if err != nil || s.Key != (i%5 == 0) || s.Changed != (i == 0) || !bytes.Equal(s.Payload, f) {
			t.Errorf("frame %d: key %v changed %v %v", i, s.Key, s.Changed, err)
		}
	}
	if tr := v.Track(0); tr.Width != 320 || tr.Height != 180 || tr.CodecString != "" || len(tr.Config) != 0 || !v.Ready() {
		t.Errorf("%+v", tr)
	}
	for _, bad := range [][]byte{nil, {0}, {0, 0, 0, 1, 2, 3, 4, 5, 6, 7}, {0, 0, 0, 0x9d, 1, 0x2a, 0, 0, 0, 0}} {
		if _, err := v.ReadUnits([][]byte{bad}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestVP9(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
		rec  []byte
	}{
		{[]string{"-pix_fmt", "yuv420p"}, "vp09.00.20.08", []byte{0, 20, 0x82, 2, 2, 2, 0, 0}},
		{[]string{"-pix_fmt", "yuv444p"}, "vp09.01.20.08.03.02.02.02.00", []byte{1, 20, 0x86, 2, 2, 2, 0, 0}},
		{[]string{"-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"}, "vp09.00.20.08", []byte{0, 20, 0x82, 1, 1, 1, 0, 0}},
	} {
		v, _ := NewElementary(stream.VP9)
		for i, f := range ivf(t, append([]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "5"}, c.args...)...) {
			s, err := v.ReadUnits([][]byte{f})
			if err != nil || s.Key != (i%5 == 0) || s.Changed != (i == 0) {
				t.Errorf("frame %d: key %v changed %v %v", i, s.Key, s.Changed, err)
			}
		}
		tr := v.Track(0)
		if tr.Width != 320 || tr.Height != 180 || tr.CodecString != c.want || !bytes.Equal(tr.Config, c.rec) {
			t.Errorf("%+v %x, want %s %x", tr, tr.Config, c.want, c.rec)
		}
		again, err := NewVideo(stream.VP9, append([]byte{1, 0, 0, 0}, tr.Config...))
		if err != nil || again.Track(0).CodecString != c.want || !bytes.Equal(again.Track(0).Config, c.rec) {
			t.Errorf("%v %+v", err, again.Track(0))
		}
	}
}

func TestVP9Level(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width, height int
		want          byte
	}{{160, 90, 11}, {640, 360, 30}, {1280, 720, 40}, {1920, 1080, 41}, {3840, 2160, 51}, {16384, 16384, 62}} {
		if got := vp9Level(c.width, c.height); got != c.want {
			t.Errorf("%dx%d: %d, want %d", c.width, c.height, got, c.want)
		}
	}
}

func TestG711(t *testing.T) {
	t.Parallel()
	a, err := NewG711(100, stream.PCMA, 8000, 1)
	if err != nil || a.ClockRate != 8000 || len(a.Silence) != 160 || a.Silence[0] != 0xD5 || a.SilenceSamples != 160 {
		t.Errorf("%+v %v", a, err)
	}
	u, err := NewG711(100, stream.PCMU, 16000, 2)
	if err != nil || len(u.Silence) != 640 || u.Silence[0] != 0xFF {
		t.Errorf("%+v %v", u, err)
	}
	for _, rate := range []int{-1, 0, 1 << 30} {
		if _, err := NewG711(100, stream.PCMA, rate, 1); err == nil {
			t.Error("a track at", rate)
		}
	}
	if _, err := NewG711(100, stream.AAC, 8000, 1); err == nil {
		t.Error("AAC is no G.711")
	}
}

// FuzzReadUnits: whatever comes, nothing breaks, samples hold only what came, and no unit is kept.
func FuzzReadUnits(f *testing.F) {
	for i, file := range videoFiles {
		record, samples := readSamples(f, file.name)
		var b []byte
		for _, u := range append(sets(f, file.codec, record), units(f, file.codec, samples[0])...) {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(u))), u...)
		}
		f.Add(byte(i), b)
	}
	f.Add(byte(3), []byte{0, 10, 0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0})
	f.Add(byte(4), []byte{0, 12, 0x82, 0x49, 0x83, 0x42, 0x00, 0x77, 0xf0, 0x32, 0x34, 0x30, 0x38, 0x24})
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		c := [...]stream.Codec{stream.H264, stream.HEVC, stream.AV1, stream.VP8, stream.VP9}[kind%5]
		v, err := NewElementary(c)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var all [][]byte
			for r := (byteReader{b: b}); len(r.b) > 0 && !r.bad; {
				all = append(all, bytes.Clone(r.take(r.u16())))
			}
			_ = v.Parameters(all) // may fail
			s, err := v.ReadUnits(all)
			if err != nil {
				continue
			}
			if len(s.Payload) > 2*len(b)+maxSetSize+64 {
				t.Fatalf("a sample of %d bytes from %d", len(s.Payload), len(b))
			}
			if s.Changed && !v.Ready() {
				t.Fatal("changed, but not known")
			}
			if v.Ready() {
				_ = v.Track(0)
			}
			v.UserData()
		}
	})
}
