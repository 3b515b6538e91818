package window

import (
	"bytes"
	"testing"
)

// TestBody: parts that lie behind one another in memory come out in one piece, others apart, and what an older snapshot
// shows does not change.
func TestBody(t *testing.T) {
	p := NewPresentation("show", Settings{TargetDuration: 4, FirstMSN: 1})
	r := p.AddRendition("video", true, 1)
	slab := make([]byte, 0, 100)
	var want []byte
	part := func(fresh bool, text string) Part {
		want = append(want, text...)
		if fresh {
			slab = make([]byte, 0, 100)
		}
		from := len(slab)
		slab = append(slab, text...)
		return Part{Data: slab[from:], Duration: Rate}
	}
	body := func() [][]byte { return r.Load().Open().Body() }

	p.Append(r, part(true, "one"), &Segment{})
	first := body()
	p.Append(r, part(false, "two"), nil)
	p.Append(r, Part{Gap: true, Duration: Rate}, nil)
	p.Append(r, part(false, "three"), nil)
	if got := body(); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("contiguous parts: %q", got)
	}
	p.Append(r, part(true, "four"), nil)
	p.Append(r, part(false, "five"), nil)
	if got := body(); len(got) != 2 || !bytes.Equal(bytes.Join(got, nil), want) {
		t.Errorf("two slabs: %q", got)
	}
	if len(first) != 1 || string(first[0]) != "one" {
		t.Errorf("the first snapshot has come to show %q", first)
	}
	if d := r.Load().Open().Parts[0].Data; cap(d) != len(d) {
		t.Errorf("a part of %d bytes lends out %d", len(d), cap(d))
	}

	p.Append(r, part(false, "six"), &Segment{})
	if got := body(); len(got) != 1 || string(got[0]) != "six" {
		t.Errorf("the next segment: %q", got)
	}
	p.Append(r, Part{Gap: true, Duration: Rate}, &Segment{})
	if got := body(); got != nil {
		t.Errorf("a gap: %q", got)
	}
}
