package codec

import (
	"encoding/binary"
	"os"
	"testing"

	"pushcart/internal/stream"
)

// videoFiles are short encodings of a test picture of 96x64 pixels at 25 frames/s, with a key frame each 5 frames:
// the decoder configuration and then each sample, with a 32-bit length before each.
var videoFiles = []struct {
	name  string
	codec stream.Codec
	want  stream.Track
}{
	{"avc", stream.H264, stream.Track{CodecString: "avc1.64000a", FrameRate: 25}},
	{"hevc", stream.HEVC, stream.Track{CodecString: "hvc1.1.6.L30.90", FrameRate: 25}},
	{"av1", stream.AV1, stream.Track{CodecString: "av01.0.00M.08"}},
}

// readSamples reads one of videoFiles.
func readSamples(t testing.TB, name string) (record []byte, samples [][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".samples")
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		samples = append(samples, b[4:4+n])
		b = b[4+n:]
	}
	return samples[0], samples[1:]
}

func newVideo(t testing.TB, c stream.Codec, record []byte) *Video {
	t.Helper()
	v, err := NewVideo(c, record)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// nals joins NAL units as a sample has them, with lengths of size bytes.
func nals(size int, units ...[]byte) []byte {
	var out []byte
	for _, u := range units {
		for i := size - 1; i >= 0; i-- {
			out = append(out, byte(len(u)>>(8*i)))
		}
		out = append(out, u...)
	}
	return out
}
