package ingest

import (
	"testing"
	"time"

	"pushcart/internal/stream"
)

var (
	epoch      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	videoTrack = &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000}
	audioTrack = &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, FrameSamples: 1024}
)

// bench is a timeline with a hub's end of it.
type bench struct {
	*timeline
	t    *testing.T
	end  int64
	eras int
	now  time.Time
}

func newBench(t *testing.T, end int64) *bench {
	b := &bench{t: t, end: end, eras: 1, now: epoch}
	b.timeline = newTimeline(1, end, func() (int, int64) {
		b.eras++
		return b.eras, b.end
	})
	return b
}

// video places a video frame with the given publisher's time in ms; ok is false when it is dropped.
func (b *bench) video(at float64, cts float64) (f stream.Frame, ok bool) {
	f = stream.Frame{Track: videoTrack, DTS: int64(at * 90), PTS: int64((at + cts) * 90)}
	ok = b.place(&f, b.now)
	b.end = max(b.end, f.PTS)
	return f, ok
}

// audio places an audio frame, in ms as well.
func (b *bench) audio(at float64) (f stream.Frame, ok bool) {
	f = stream.Frame{Track: audioTrack, DTS: stream.Rescale(int64(at*1000), 1000000, 48000)}
	f.PTS = f.DTS
	ok = b.place(&f, b.now)
	b.end = max(b.end, stream.Rescale(f.PTS, 48000, 90000))
	return f, ok
}

func (b *bench) pass(ms float64) { b.now = b.now.Add(time.Duration(ms * 1e6)) }

func TestTimesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000)
	first, _ := b.video(500_000, 66)
	if want := int64(1000 + eraGap); first.DTS != want || first.PTS != want+66*90 || first.Era != 1 {
		t.Errorf("first frame at %d/%d in era %d, want %d", first.DTS, first.PTS, first.Era, want)
	}
	for i, at := range []float64{33, 67, 100, 133, 300, 2900} {
		b.pass(33)
		f, ok := b.video(500_000+at, 33)
		if !ok || f.DTS-first.DTS != int64(at*90) || f.PTS-f.DTS != 33*90 || f.Era != 1 {
			t.Errorf("frame %d at +%v ms: %+v", i, at, f)
		}
	}
}

func TestJumps(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]float64{"an hour ahead": 3.6e6, "an hour back": -3.6e6, "4 s ahead": 4000, "2 s back": -2000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0)
			at := 1e7
			var last stream.Frame
			for range 60 {
				last, _ = b.video(at, 0)
				b.audio(at)
				at += 33
				b.pass(33)
			}
			at += by
			v, ok := b.video(at, 0)
			if !ok || v.Era != 2 || v.DTS <= last.DTS {
				t.Fatalf("after the jump: %v %+v, before: %+v", ok, v, last)
			}
			a, ok := b.audio(at)
			if !ok || a.Era != 2 {
				t.Fatalf("audio after the jump: %v %+v", ok, a)
			}
			if d := stream.Rescale(a.DTS, 48000, 90000) - v.DTS; d < -90 || d > 90 {
				t.Errorf("the jump tore audio and video apart by %d ticks", d)
			}
			if b.eras != 2 {
				t.Errorf("%d eras", b.eras)
			}
		})
	}
}

// TestStragglers: what still follows the old clock after a jump is dropped.
func TestStragglers(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	for at := 0.0; at < 1000; at += 20 {
		b.video(at, 0)
		b.audio(at)
		b.pass(20)
	}
	b.video(1e6, 0)
	if _, ok := b.audio(1010); ok {
		t.Error("old audio was placed in the new era")
	}
	if a, ok := b.audio(1e6 + 10); !ok || a.Era != 2 {
		t.Errorf("new audio: %v %+v", ok, a)
	}
}

// TestOneClockJumps: only audio jumps; it is brought back to where video is.
func TestOneClockJumps(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	at := 0.0
	for ; at < 2000; at += 20 {
		b.video(at, 0)
		b.audio(at)
		b.pass(20)
	}
	a, _ := b.audio(at + 1e6)
	b.pass(700)
	at += 700
	v, ok := b.video(at, 0)
	if !ok || v.Era != a.Era {
		t.Fatalf("video after audio's jump: %v %+v", ok, v)
	}
	if d := v.DTS - stream.Rescale(a.DTS, 48000, 90000) - 700*90; d < -2000 || d > 2000 {
		t.Errorf("video lies %d ticks from where it should", d)
	}
}

func TestTracksThatStartApart(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	v, _ := b.video(36e6, 0)
	b.pass(100)
	a, _ := b.audio(0)
	if d := stream.Rescale(a.DTS, 48000, 90000) - v.DTS; d < 8900 || d > 9100 {
		t.Errorf("audio that arrives 100 ms after video lies %d ticks behind it", d)
	}
	// A start that is only late stays so.
	c := newBench(t, 0)
	v, _ = c.video(0, 0)
	c.pass(2000)
	a, _ = c.audio(2000)
	if d := stream.Rescale(a.DTS, 48000, 90000) - v.DTS; d != 180000 {
		t.Errorf("late audio lies %d ticks behind video, want 180000", d)
	}
}

func TestRisingDTS(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	last := int64(-1)
	for _, at := range []float64{0, 33, 33, 20, 66, 60, 100} {
		f, ok := b.video(at, 0)
		if !ok || f.DTS <= last || f.Era != 1 {
			t.Errorf("at %v ms: %v %+v after %d", at, ok, f, last)
		}
		last = f.DTS
	}
}

func TestAudioIsContinuous(t *testing.T) {
	t.Parallel()
	for name, drift := range map[string]float64{"exact": 1, "0.2 % fast": 1.002, "0.2 % slow": 0.998} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0)
			first, _ := b.audio(0)
			end := first.DTS + 1024
			var f stream.Frame
			for i := 1; i < 20000; i++ {
				at := float64(int64(float64(i) * 1024 / 48 * drift)) // whole ms, as RTMP has them
				f, _ = b.audio(at)
				if d := f.DTS - end; d < -8 || d > 8 {
					t.Fatalf("frame %d is %d ticks off the end of the one before", i, d)
				}
				if off := f.DTS - first.DTS - int64(at*48); off < -700 || off > 700 {
					t.Fatalf("frame %d is %d ticks off its timestamp", i, off)
				}
				end = f.DTS + 1024
			}
			if b.eras != 1 {
				t.Error("a drifting clock was taken for a jump")
			}
		})
	}
}

// TestAudioHole: a real hole stays where it is.
func TestAudioHole(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	a, _ := b.audio(0)
	h, _ := b.audio(521)
	if d := h.DTS - a.DTS; d != 521*48 {
		t.Errorf("the frame behind the hole lies %d ticks on, want %d", d, 521*48)
	}
}

func FuzzTimeline(f *testing.F) {
	f.Add([]byte{0, 0, 0, 33, 1, 0, 0, 20, 0, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		bench := newBench(t, 0)
		var rawV, rawA int64
		last := map[int]int64{}
		for ; len(b) >= 4; b = b[4:] {
			step := int64(int16(uint16(b[1])<<8|uint16(b[2]))) * int64(b[3])
			bench.pass(float64(b[0] & 0x7f))
			var fr stream.Frame
			var ok bool
			if b[0]&0x80 == 0 {
				rawV += step
				fr, ok = bench.video(float64(rawV), 0)
			} else {
				rawA += step
				fr, ok = bench.audio(float64(rawA))
			}
			if !ok {
				continue
			}
			if at, seen := last[fr.Track.ID]; seen && fr.DTS <= at {
				t.Fatalf("track %d goes from %d to %d", fr.Track.ID, at, fr.DTS)
			}
			last[fr.Track.ID] = fr.DTS
		}
	})
}
