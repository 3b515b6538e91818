package ladder

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestFedTable(t *testing.T) {
	t.Parallel()
	var x fedTable
	if _, ok := x.at(0); ok {
		t.Error("an empty table knows something")
	}
	wall := time.Unix(1000, 0)
	order := []int64{0, 9000, 3000, 6000, 12000} // with B-frames
	for i := range int64(mostFed) {
		x.add(fed{pts: i/5*15000 + order[i%5], key: i%5 == 0, wall: wall.Add(time.Duration(i))})
	}
	last := int64(mostFed-1)/5*15000 + 9000
	if newest, _ := x.newest(); newest < last {
		t.Errorf("newest %d", newest)
	}
	for _, pts := range []int64{0, 3000, 6000, 9000, 12000, 15000} {
		if f, ok := x.at(pts); !ok || f.pts != pts || f.key != (pts%15000 == 0) {
			t.Errorf("at %d: %+v, %v", pts, f, ok)
		}
		if _, ok := x.at(pts + 1); ok {
			t.Errorf("a frame at %d", pts+1)
		}
	}
	for i := range int64(10) {
		x.add(fed{pts: 1e9 + i})
	}
	if _, ok := x.at(0); ok {
		t.Error("the table grows for ever")
	}
	if f, ok := x.before(2e9); !ok || f.pts != 1e9+9 {
		t.Errorf("before: %+v, %v", f, ok)
	}
	if _, ok := x.before(-1); ok {
		t.Error("something was fed before the first")
	}
}

// Decoding times rise, are never above the presentation time, and end up a constant delay behind it.
func TestDecodeOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		delay int
		pts   []int64
		want  []int64
	}{
		{0, []int64{0, 3, 6}, []int64{0, 3, 6}},
		{1, []int64{0, 9, 3, 6, 18, 12, 15}, []int64{-3, 0, 3, 6, 9, 12, 15}},
		{2, []int64{0, 12, 6, 3, 9, 24, 18, 15, 21}, []int64{-6, -3, 0, 3, 6, 9, 12, 15, 18}},
	} {
		o := newDecodeOrder(c.delay)
		var got []int64
		for _, p := range c.pts {
			got = append(got, o.next(p, 3))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("delay %d: %v, want %v", c.delay, got, c.want)
		}
	}
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add(2, []byte{0, 4, 2, 1, 3})
	f.Add(0, []byte{9, 0})
	f.Add(16, bytes.Repeat([]byte{3, 1}, 20))
	f.Fuzz(func(t *testing.T, delay int, steps []byte) {
		o := newDecodeOrder(delay)
		for i, s := range steps {
			pts := int64(i)*100 + int64(int8(s))*100
			if dts := o.next(pts, 100); dts > pts {
				t.Fatalf("decoded at %d, shown at %d", dts, pts)
			}
		}
	})
}

func TestSplitAnnexB(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"\x01\x02\x03", nil},
		{"\x00\x00\x01", nil},
		{"\x00\x00\x01A", []string{"A"}},
		{"\x00\x00\x00\x01AB\x00\x00\x01C\x00\x00\x00\x01\x00\x00\x01D\x00", []string{"AB", "C", "D"}},
		{"xx\x00\x00\x01A\x00\x00\x02B", []string{"A\x00\x00\x02B"}},
	} {
		var got []string
		for _, u := range splitAnnexB(nil, []byte(c.in)) {
			got = append(got, string(u))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzSplitAnnexB(f *testing.F) {
	f.Add([]byte("\x00\x00\x01A\x00\x00\x00\x01B"))
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		units := splitAnnexB(nil, b)
		var again []byte
		for _, u := range units {
			if len(u) == 0 || bytes.Contains(u, []byte{0, 0, 1}) || u[len(u)-1] == 0 {
				t.Fatalf("unit %x", u)
			}
			again = append(append(again, 0, 0, 1), u...)
		}
		if got := splitAnnexB(nil, again); len(got) != len(units) {
			t.Fatalf("%d units, then %d", len(units), len(got))
		}
	})
}

func BenchmarkSplitAnnexB(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	frame := []byte{0, 0, 0, 1}
	for range 20 << 10 {
		frame = append(frame, byte(1+r.IntN(255)))
	}
	var units [][]byte
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		units = splitAnnexB(units[:0], frame)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	idle, total, ok := parseStat("cpu  100 5 50 800 40 1 2 2 30 0\ncpu0 1 2 3\n")
	if !ok || idle != 840 || total != 1000 {
		t.Errorf("%d of %d, %v", idle, total, ok)
	}
	for _, bad := range []string{"", "cpu", "cpu 1 2 x 4 5", "intr 1 2 3 4 5"} {
		if _, _, ok := parseStat(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("cpu  100 5 50 800 40 1 2 2 30 0\n")
	f.Add("cpu 1 2 3 4")
	f.Fuzz(func(t *testing.T, text string) {
		parseStat(text) // of any text, without end or panic
	})
}

func TestMeter(t *testing.T) {
	t.Parallel()
	var m meter
	at := time.Unix(1000, 0)
	if m.rate(at) != 0 {
		t.Error("a rate of nothing")
	}
	for i := range 100 {
		m.add(at.Add(time.Duration(i)*100*time.Millisecond), 10)
	}
	if got := m.rate(at.Add(10 * time.Second)); got != 100 {
		t.Errorf("%v a second", got)
	}
	if got := m.rate(at.Add(20 * time.Second)); got != 0 {
		t.Errorf("%v a second, ten seconds later", got)
	}
}
