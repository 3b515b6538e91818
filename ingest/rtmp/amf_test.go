package rtmp

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// nested is a value inside depth arrays.
func nested(depth int) []byte {
	return append(bytes.Repeat([]byte{amfStrictArray, 0, 0, 0, 1}, depth), amfNull)
}

func TestAMFBounds(t *testing.T) {
	good := marshal(t, "name", 1.0, true, nil, amf0.Undefined{}, amf0.Object{{Key: "k", Value: amf0.ECMAArray{{Key: "l", Value: "v"}}}},
		amf0.StrictArray{1.0, "x"})
	for _, test := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"every kind", good, true},
		{"nothing", nil, true},
		{"as deep as may be", nested(amfDepth), true},
		{"too deep", nested(amfDepth + 1), false},
		{"as many as may be", bytes.Repeat([]byte{amfNull}, amfValues-1), true},
		{"too many", bytes.Repeat([]byte{amfNull}, amfValues), false},
		{"a count beyond the end", []byte{amfStrictArray, 0xFF, 0xFF, 0xFF, 0xFF, amfNull}, false},
		{"cut off", good[:len(good)-1], false},
		{"object without an end", []byte{amfObject, 0, 0, amfNull}, false},
		{"AMF3", []byte{0x11, 1}, false},
		{"date", append([]byte{0x0B}, make([]byte, 10)...), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			head := marshal(t, "head")
			values, err := decodeAMF(append(head, test.in...))
			if (err == nil) != test.ok {
				t.Errorf("error %v", err)
			}
			if str(values, 0) != "head" {
				t.Errorf("what stands before is lost: %v", values)
			}
		})
	}
}

// TestDeepAMFDoesNotReachTheDecoder: hundreds of thousands of levels would overflow the stack, which nothing recovers.
func TestDeepAMFDoesNotReachTheDecoder(t *testing.T) {
	deep := nested(4 << 20)
	if _, err := decodeAMF(deep); err == nil {
		t.Error("no error")
	}
	objects := bytes.Repeat([]byte{amfObject, 0, 1, 'k'}, 4<<20)
	if _, err := decodeAMF(objects); err == nil {
		t.Error("no error")
	}
}

func TestPlainValues(t *testing.T) {
	got := plain(amf0.Object{{Key: "a", Value: 1.0}, {Key: "b", Value: amf0.StrictArray{"x", nil, amf0.Undefined{}, false}}})
	want := map[string]any{"a": 1.0, "b": []any{"x", nil, nil, false}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// FuzzAMF runs the guard and the decoder behind it together: what the guard passes, the decoder takes.
func FuzzAMF(f *testing.F) {
	f.Add(marshal(f, "connect", 1.0, amf0.Object{{Key: "app", Value: "live"}}))
	f.Add(marshal(f, "@setDataFrame", "onMetaData", amf0.ECMAArray{{Key: "width", Value: 1280.0}}, amf0.StrictArray{nil, true}))
	f.Add(nested(20))
	f.Add(binary.BigEndian.AppendUint32([]byte{amfStrictArray}, 1<<30))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, scanErr := scanAMF(b)
		values, err := amf0.Unmarshal(b[:n])
		if err != nil {
			t.Fatalf("the guard passed what the decoder refuses: %v", err)
		}
		if scanErr == nil && n != len(b) {
			t.Fatal("the guard stopped early without an error")
		}
		for _, v := range values {
			plain(v)
		}
		if depth(values) > amfDepth+1 {
			t.Fatalf("%d levels", depth(values))
		}
	})
}

func depth(values []any) int {
	deepest := 0
	for _, v := range values {
		switch v := plain(v).(type) {
		case []any:
			deepest = max(deepest, 1+depth(v))
		case map[string]any:
			for _, e := range v {
				deepest = max(deepest, 1+depth([]any{e}))
			}
		}
	}
	return deepest
}
