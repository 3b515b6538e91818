package feed

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestOrderOfKnownStructures: at a constant rate, decoding times are one picture apart, and no later than presentation.
func TestOrderOfKnownStructures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim, want int
		pattern     []int64 // presentation order of the pictures of a group, in decoding order
	}{
		"no B-frames":             {0, 0, []int64{0, 1, 2, 3}},
		"two B-frames":            {1, 1, []int64{0, 3, 1, 2, 6, 4, 5}},
		"a pyramid":               {2, 2, []int64{0, 4, 2, 1, 3, 8, 6, 5, 7}},
		"a pyramid, not said":     {0, 2, []int64{0, 4, 2, 1, 3, 8, 6, 5, 7}},
		"a deep pyramid":          {3, 3, []int64{0, 8, 4, 2, 1, 3, 6, 5, 7}},
		"a claim that is too big": {16, 0, []int64{0, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const picture = 3003
			var o order
			o.claim(c.claim)
			last, settled := int64(0), 0
			for i := range int64(400) {
				group := int64(len(c.pattern))
				pts := (i/group*group + c.pattern[i%group]) * picture
				dts := o.next(pts, picture, i == 0)
				if i > 0 && dts <= last {
					t.Fatalf("picture %d decoded at %d, the one before at %d", i, dts, last)
				}
				if step := dts - last; step != picture {
					settled = int(i)
				}
				if c.claim >= c.want && dts > pts {
					t.Fatalf("picture %d decoded at %d and shown at %d", i, dts, pts)
				}
				if i > 20 && dts > pts {
					t.Fatalf("picture %d decoded at %d and shown at %d, still", i, dts, pts)
				}
				last = dts
			}
			if o.depth != c.want || settled > 20 && c.claim <= c.want || settled > quietPictures+1 {
				t.Errorf("depth %d, even from picture %d on", o.depth, settled)
			}
		})
	}
}

// TestOrderSurvivesLoss: lost pictures, pauses and other clocks leave decoding times that rise and are not late.
func TestOrderSurvivesLoss(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pattern := []int64{0, 4, 2, 1, 3}
	for range 200 {
		var o order
		o.claim(2)
		var last, offset int64
		for i := range int64(300) {
			switch r.IntN(40) {
			case 0:
				if i%5 != 0 {
					continue // lost
				}
			case 1:
				if i%5 == 0 {
					offset += r.Int64N(90000 * 20) // a pause
				}
			}
			pts := offset + (i/5*5+pattern[i%5])*3000
			dts := o.next(pts, 3000, false)
			if i > 0 && dts <= last && last != 0 {
				t.Fatalf("picture %d decoded at %d, the one before at %d", i, dts, last)
			}
			if dts > pts {
				t.Fatalf("picture %d decoded at %d and shown at %d", i, dts, pts)
			}
			last = dts
		}
	}
}

// FuzzOrder: whatever the times, decoding times rise, but for a jump to another clock, and no time leads astray for long.
func FuzzOrder(f *testing.F) {
	f.Add(uint8(2), []byte{0, 12, 6, 3, 9, 24})
	f.Add(uint8(0), []byte{1, 0xF1, 1, 3, 0x85, 24})
	f.Fuzz(func(t *testing.T, claim uint8, steps []byte) {
		var o order
		o.claim(int(claim))
		var pts, last int64
		for i, s := range steps {
			pts += (int64(int8(s))) * int64(i*i*i+1) * 100
			former := o.latest[0]
			if s%16 == 5 {
				o.lost()
			}
			dts := o.next(pts, 3000, s%16 == 5 || s%16 == 1)
			if i > 0 && dts <= last && pts >= last-orderStep {
				t.Fatalf("step %d: %d after %d (shown at %d, the latest at %d)", i, dts, last, pts, former)
			}
			last = dts
		}
		for i := range 40 {
			pts = max(pts, o.latest[0]) + 3000
			if dts := o.next(pts, 3000, false); dts > pts+int64(len(steps))+40 && i > orderStep/3000 {
				t.Fatalf("decoded at %d, shown at %d", dts, pts)
			}
		}
	})
}

// TestTimesOfAnySize: no time and no rate overflows.
func TestTimesOfAnySize(t *testing.T) {
	t.Parallel()
	const most = 1<<63 - 1
	for _, v := range []int64{-most - 1, -most, -1, 0, 1, most} {
		for _, from := range []int{-1, 0, 1, 90000, 1e9, most} {
			for _, to := range []int{8000, 90000, 192000} {
				if got := rescale(v, from, to); (v < 0) != (got < 0) && got != 0 || got > 9e9*192000 || got < -9e9*192000 {
					t.Errorf("%d of %d in %d is %d", v, from, to, got)
				}
			}
		}
	}
	if got := rescale(48000*1000, 48000, 90000); got != 90000*1000 {
		t.Error(got)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "und": "", "mul": "", "zxx": "", "spa": "es", "deu": "de", "ger": "de", "fre": "fr", "fra": "fr", "pt-BR": "pt-BR", "pt_br": "pt-BR",
		" en ": "en", "english": "", "xx\"y": "", "en-US-" + string(make([]byte, 40)): "", "zh-Hans": "zh-Hans",
	} {
		if got := cleanLanguage(in); got != want {
			t.Errorf("language %q is %q, want %q", in, got, want)
		}
	}
	long := ""
	for range 100 {
		long += "ä"
	}
	for in, want := range map[string]string{
		"Commentary": "Commentary", " a\x00b\nc\u202ed\" ": "abcd", "\xff\xfe": "", long: long[:64],
	} {
		if got := cleanName(in); got != want {
			t.Errorf("name %q is %q, want %q", in, got, want)
		}
	}
}

// TestWait: media time is counted once, in whatever order pictures come, and a jump of its clock is none of it.
func TestWait(t *testing.T) {
	t.Parallel()
	pattern := []int64{0, 4, 2, 1, 3}
	now := time.Unix(0, 0)
	var w wait
	n := int64(0)
	for !w.over((n/5*5+pattern[n%5])*3000+n/100%2*1e9, now, 30*time.Second) {
		n++
	}
	if n < 850 || n > 950 {
		t.Errorf("30 s last %d pictures at 30 a second", n)
	}
	w = wait{}
	w.over(0, now, time.Second)
	if w.over(0, now.Add(999*time.Millisecond), time.Second) || !w.over(0, now.Add(time.Second), time.Second) {
		t.Error("the clock does not count")
	}
}
