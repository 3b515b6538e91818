package codec

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// keyFrame has ffmpeg encode one picture, and returns its parameter sets and slices.
func keyFrame(t testing.TB, c stream.Codec, size string) (units [][]byte) {
	t.Helper()
	args := []string{"-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=" + size + ":d=0.04:r=25", "-pix_fmt", "yuv420p"}
	if c == stream.HEVC {
		args = append(args, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:info=0", "-f", "hevc", "-")
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-f", "h264", "-")
	}
	out, err := exec.Command("ffmpeg", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range bytes.Split(out, []byte{0, 0, 1})[1:] {
		units = append(units, bytes.TrimRight(u, "\x00"))
	}
	return units
}

// renumber writes other numbers for the Exp-Golomb codes at a bit of a NAL unit, for as many as there are; -1 leaves one as it is.
func renumber(nal []byte, bit int, numbers ...int) []byte {
	var bits strings.Builder
	for _, b := range unescape(nal) {
		fmt.Fprintf(&bits, "%08b", b)
	}
	text := strings.TrimRight(bits.String(), "0")
	out, rest := text[:bit], text[bit:]
	for _, n := range numbers {
		zeros := strings.IndexByte(rest, '1')
		code := rest[:2*zeros+1]
		rest = rest[len(code):]
		if n >= 0 {
			value := fmt.Sprintf("%b", n+1)
			code = strings.Repeat("0", len(value)-1) + value
		}
		out += code
	}
	out += rest
	out += strings.Repeat("0", (8-len(out)%8)%8)
	var raw []byte
	for ; out != ""; out = out[8:] {
		var b byte
		fmt.Sscanf(out[:8], "%b", &b)
		if n := len(raw); n >= 2 && raw[n-1] == 0 && raw[n-2] == 0 && b <= 3 {
			raw = append(raw, 3)
		}
		raw = append(raw, b)
	}
	return raw
}

// numbered returns a key frame whose SPS and PPS have a number.
func numbered(t testing.TB, c stream.Codec, units [][]byte, n int) (out [][]byte) {
	v, err := NewElementary(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		switch class := v.classify(u); {
		case class == nalSPS && c == stream.HEVC:
			u = renumber(u, 16+4+3+1+8*ptlSize, n)
		case class == nalSPS:
			u = renumber(u, 32, n)
		case class == nalPPS && c == stream.HEVC:
			u = renumber(u, 16, n, n)
		case class == nalPPS:
			u = renumber(u, 8, n, n)
		case class == nalKey && c == stream.HEVC:
			u = renumber(u, 16+2, n)
		case class == nalKey:
			u = renumber(u, 8, -1, -1, n)
		}
		out = append(out, u)
	}
	return out
}

// TestSetInUse: of several parameter sets the track is as the one says that the pictures use, also when an encoder goes back to one
// that it has sent before.
func TestSetInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []stream.Codec{stream.H264, stream.HEVC} {
		small, large := keyFrame(t, c, "160x96"), keyFrame(t, c, "640x352")
		frames := map[int][][]byte{160: numbered(t, c, small, 3), 640: numbered(t, c, large, 1)}
		bare := map[int][][]byte{} // without their parameter sets, which are known by then
		for width, units := range frames {
			for _, u := range units {
				v, _ := NewElementary(c)
				if v.classify(u) == nalKey {
					bare[width] = append(bare[width], u)
				}
			}
		}
		v, _ := NewElementary(c)
		for i, step := range []struct {
			units   [][]byte
			width   int
			changed bool
		}{
			{frames[160], 160, true}, {frames[160], 160, false}, {frames[640], 640, true}, {bare[640], 640, false}, {frames[160], 160, true},
			{bare[640], 640, true}, {bare[160], 160, true}, {bare[160], 160, false},
		} {
			s, err := v.ReadUnits(step.units)
			if err != nil || !s.Key || s.Changed != step.changed || v.Track(0).Width != step.width {
				t.Errorf("%s, step %d: %v, key %v, changed %v, %d wide, want %+v", c, i, err, s.Key, s.Changed, v.Track(0).Width, step.width)
			}
			if again, err := NewVideo(c, v.Track(0).Config); err != nil || again.Track(0).Width != step.width || again.Track(0).CodecString != v.Track(0).CodecString {
				t.Errorf("%s, step %d: the record reads otherwise: %v", c, i, err)
			}
		}
	}
}

// TestSetsWithoutEnd: an encoder that gives each key frame's sets the next number is followed for as long as it goes on.
func TestSetsWithoutEnd(t *testing.T) {
	t.Parallel()
	units := keyFrame(t, stream.H264, "160x96")
	v, _ := NewElementary(stream.H264)
	for i := range 100 {
		s, err := v.ReadUnits(numbered(t, stream.H264, units, i%32))
		if err != nil || !s.Key {
			t.Fatalf("key frame %d: %v", i, err)
		}
		r, err := NewVideo(stream.H264, v.Track(0).Config)
		if err != nil {
			t.Fatalf("key frame %d: %v", i, err)
		}
		if n := r.sets[sps][0].id; n != uint64(i%32) || r.sets.find(pps, n) < 0 {
			t.Fatalf("key frame %d: the first SPS is number %d", i, n)
		}
	}
}
