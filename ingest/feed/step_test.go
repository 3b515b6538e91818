package feed_test

import (
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// TestClockStepsBack: a source that begins anew by an earlier clock, as a file played in a loop does, is told to the door as it
// is: what passes for reordered pictures would squeeze seconds of video into nothing.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	for name, c := range clips(t) {
		if c.Samples[0].Offset > 200*time.Millisecond {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, back := range []time.Duration{2 * time.Second, 4 * time.Second, time.Hour} {
				b := newBench()
				v := b.Video(0, codecs[c.Codec], feed.Label{})
				write := func(origin time.Duration) {
					for i, s := range c.Samples {
						if err := v.Write(pictures(c, i, i == 0), feed.Time{PTS: ticks(origin + s.DTS + s.Offset), Rate: 90000}); err != nil {
							t.Fatal(err)
						}
					}
				}
				write(2 * time.Hour)
				former := len(b.frames)
				write(2*time.Hour + 4*time.Second - back)
				again := b.frames[former:]
				for i, s := range c.Samples {
					if step := again[i].DTS - again[0].DTS - ticks(s.DTS-c.Samples[0].DTS); step < -90 || step > 90 || again[i].DTS > again[i].PTS {
						t.Fatalf("%v back: picture %d is decoded at %d ticks from the first, off by %d, and shown %d after that",
							back, i, again[i].DTS-again[0].DTS, step, again[i].PTS-again[i].DTS)
					}
				}
				if off := again[0].PTS - b.frames[0].PTS - ticks(4*time.Second-back); off != 0 {
					t.Errorf("%v back: presentation is off by %d", back, off)
				}
			}
		})
	}
}

// TestOrderAfterLoss: behind a hole, pictures are decoded as long before they are shown as ever, not as long as the hole is.
func TestOrderAfterLoss(t *testing.T) {
	t.Parallel()
	c := clips(t)["avc pyramid"]
	var most int64
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for i, s := range c.Samples {
		if i == 10 {
			for _, f := range b.frames {
				most = max(most, f.PTS-f.DTS)
			}
			v.Lost(ingest.DropLost)
			continue
		}
		if err := v.Write(pictures(c, i, i == 0), feed.Time{PTS: 1e6 + ticks(s.DTS+s.Offset), Rate: 90000}); err != nil {
			t.Fatal(err)
		}
	}
	if b.drops[ingest.DropBeforeKeyframe] < 20 {
		t.Fatalf("drops %v", b.drops)
	}
	for i, f := range b.frames {
		if f.DTS > f.PTS || f.PTS-f.DTS > most+ticks(time.Millisecond) {
			t.Errorf("frame %d is shown %d ticks after it is decoded; before the loss it was %d at most", i, f.PTS-f.DTS, most)
		}
	}
}

// TestCommandsOutliveVideo: a command that waits for its picture is passed on when pictures come no more, be it that only sound
// comes or another layer.
func TestCommandsOutliveVideo(t *testing.T) {
	t.Parallel()
	c := plain(t)
	for _, layer := range []bool{false, true} {
		b := newBench()
		v, o := b.Video(0, stream.H264, feed.Label{}), b.Video(1, stream.H264, feed.Label{})
		a, err := b.Opus(100, 2, nil, feed.Label{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := v.Write(pictures(c, i, i == 0), at(40*i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Command(stream.DataID3, 90*1000, []byte(`{}`), nil); err != nil || len(b.data) != 0 {
			t.Fatalf("%v, %d commands", err, len(b.data))
		}
		passed := 0
		for i := 10; i < 75; i++ {
			if layer {
				err = o.Write(pictures(c, i, i == 25), at(40*i))
			} else {
				err = a.Write([]byte{0xFC, 0xFF, 0xFE}, feed.Time{PTS: int64(40*i) * 48, Rate: 48000})
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.now = b.now.Add(40 * time.Millisecond); len(b.data) == 1 && passed == 0 {
				passed = 40 * i
			}
		}
		if len(b.data) != 1 || passed < 1000 || passed > 1700 {
			t.Errorf("layer %v: %d commands, the first at %d ms", layer, len(b.data), passed)
		}
	}
}

// TestFlush: what waits when the publisher goes is passed on, in order.
func TestFlush(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	if err := v.Write(pictures(c, 0, true), at(0)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1", "2"} {
		if err := b.Command(stream.DataSCTE35, 90*4000, []byte(text), nil); err != nil || len(b.data) != 0 {
			t.Fatalf("%v, %d commands", err, len(b.data))
		}
	}
	if err := b.Flush(); err != nil || len(b.data) != 2 || b.data[0].PTS != 90*4000 || b.data[0].Values[0] != "1" || b.data[1].Values[0] != "2" {
		t.Errorf("%v %+v", err, b.data)
	}
	if err := b.Flush(); err != nil || len(b.data) != 2 {
		t.Errorf("%v, %d commands after a second time", err, len(b.data))
	}
}

// TestJumpWhileWaiting: how long a key frame or codec data are waited for is not what the clock jumps by meanwhile.
func TestJumpWhileWaiting(t *testing.T) {
	t.Parallel()
	c := plain(t)
	for _, known := range []bool{true, false} {
		b := newBench()
		v := b.Video(0, stream.H264, feed.Label{})
		if known {
			if err := v.Write(pictures(c, 0, true), at(0)); err != nil {
				t.Fatal(err)
			}
			v.Lost(ingest.DropLost)
		}
		for i := 1; i < 25; i++ {
			jump := i / 8 % 2 * 3_600_000 // there and back again
			if err := v.Write(pictures(c, i, false), at(40*i+jump)); err != nil {
				t.Fatalf("picture %d: %v", i, err)
			}
			b.now = b.now.Add(40 * time.Millisecond)
		}
		if err := v.Write(pictures(c, 25, true), at(3_601_000)); err != nil {
			t.Error(err)
		}
		if n := len(b.frames); !b.frames[n-1].Key || b.frames[n-1].PTS != 90*3_601_000 {
			t.Errorf("known %v: the key frame is not passed on", known)
		}
	}
}
