package nut

import (
	"bytes"
	"testing"
	"testing/iotest"
)

// FuzzReader: nothing makes a Reader panic or hold more than it may, however its bytes come, and what it reads is written
// and read again as it was.
func FuzzReader(f *testing.F) {
	const limit = 1 << 20
	for _, g := range goldens {
		f.Add(g.file.bytes())
	}
	for _, rest := range [][]byte{
		[]byte("\x02ader!\x02LLO!!"),
		checked(flagKey|flagCodedPTS|flagSizeMSB, v(128+500, 1), "c"),
		coded(flagStreamID|flagReserved|flagMatchTime|flagCodedPTS|flagSizeMSB, v(0, 101, 2, 9, 2, 1, 1), "ab"),
		coded(flagSideData|flagHeaderIdx|flagSizeMSB, v(9, 1), "\x01\x01a\x00\x00y!"),
		append(appendPacket(nil, indexStart, make([]byte, 5000)), coded(flagSizeMSB, v(1), "a")...),
	} {
		f.Add(made{madeMain, madeStream, append(bytes.Clone(madeSync), rest...)}.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), limit)
		slow := NewReader(iotest.HalfReader(bytes.NewReader(b)), limit)
		s, err := r.Stream()
		slow.Stream()
		w := NewWriter(s)
		out := AppendHeader(nil, s)
		var kept []Frame
		for err == nil {
			var frame Frame
			frame, err = r.Next()
			other, otherErr := slow.Next()
			if (err == nil) != (otherErr == nil) || other.PTS != frame.PTS || !bytes.Equal(other.Payload, frame.Payload) {
				t.Fatalf("%+v, %v; in halves %+v, %v", frame, err, other, otherErr)
			}
			if err == nil && frame.PTS >= 0 {
				frame.Payload = bytes.Clone(frame.Payload)
				kept = append(kept, frame)
				out = w.Append(out, frame)
			}
		}
		if cap(r.payload) > 2*limit || cap(r.packet) > 2*maxPacket {
			t.Fatalf("%d and %d bytes are held", cap(r.payload), cap(r.packet))
		}
		if len(kept) > 0 {
			sameFrames(t, readFile(t, out).frames, kept)
		}
	})
}
