package conformance

import "testing"

// TestVP9 reads codec data and frame headers of VP9.
func TestVP9(t *testing.T) {
	if got, err := vp9Codec([]byte{1, 0, 0, 0, 2, 31, 0xa2, 1, 1, 1, 0, 0}); got != "vp09.02.31.10" || err != nil {
		t.Errorf("CODECS %q, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {0, 0, 0, 0, 2, 31, 0xa2, 1, 1, 1, 0, 0}, {1, 0, 0, 0, 2, 31, 0xa2, 1, 1, 1, 0, 1, 9}, {1, 0, 0, 0, 2, 31}} {
		if got, err := vp9Codec(bad); err == nil {
			t.Errorf("%x is read as %q", bad, got)
		}
	}
	for data, want := range map[string][2]bool{
		"\x82": {true, true}, "\x86": {false, true}, "\x88": {false, true}, "\xa2": {true, true}, "\xb1": {true, true}, "\xb3": {false, true},
		"": {}, "\x02": {},
	} {
		if sync, ok := readVP9([]byte(data)); sync != want[0] || ok != want[1] {
			t.Errorf("%x is a key frame: %v, a frame: %v", data, sync, ok)
		}
	}
	if !sameCodec("vp09.00.31.08.01.01.01.01.00", "vp09.00.31.08") || sameCodec("vp09.00.31.081", "vp09.00.31.08") {
		t.Error("CODECS of VP9 are not compared by their mandatory fields")
	}
}
