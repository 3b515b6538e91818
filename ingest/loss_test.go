package ingest

import (
	"testing"
	"time"

	"pushcart/internal/stream"
)

// TestLostAudio: where packets are known to be lost, the sound behind them keeps its time, and the hole is of whole frames. Where a
// timestamp only jitters by as much, nothing is missing.
func TestLostAudio(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lost, missing int
		jitter        int64 // ticks
	}{{1, 1, 0}, {1, 3, 200}, {2, 9, -200}, {1, 0, 0}, {0, 0, 300}} {
		b := newDoorBench(t, nil)
		p := b.publish(t)
		track := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 44100, FrameSamples: 1024}
		if err := p.SetTrack(track); err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		write := func(jitter int64) {
			if err := p.Write(&stream.Frame{Track: track, DTS: at + jitter, PTS: at + jitter, Payload: []byte{1}}); err != nil {
				t.Fatal(err)
			}
			at += 1024
			b.now = b.now.Add(23 * time.Millisecond)
		}
		for range 50 {
			write(0)
		}
		for range c.lost {
			p.Drop(DropLost)
		}
		at += 1024 * int64(c.missing)
		write(c.jitter)
		for range 50 {
			write(0)
		}
		for i, f := range b.frames {
			want := int64(i) * 1024
			if i >= 50 {
				want += 1024 * int64(c.missing)
			}
			if got := f.DTS - b.frames[0].DTS; got != want {
				t.Errorf("%+v: frame %d lies at %d, want %d", c, i, got, want)
				break
			}
		}
	}
	// Frames that are shorter than what passes for rounding are not taken for missing.
	short := &stream.Track{ID: 100, Codec: stream.Opus, ClockRate: 48000}
	tl := newBench(t, 0)
	var first int64
	for i := range int64(100) {
		tl.losses++
		f := stream.Frame{Track: short, DTS: i * 120, PTS: i * 120, Duration: 120}
		if !tl.place(&f, tl.now) {
			t.Fatal("frame", i)
		}
		if i == 0 {
			first = f.DTS
		}
		if f.DTS-first != i*120 {
			t.Fatalf("frame %d of 2.5 ms lies at %d", i, f.DTS-first)
		}
	}
	// A frame that is late by its timestamp alone moves the sound by little.
	b := newDoorBench(t, nil)
	p := b.publish(t)
	track := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 44100, FrameSamples: 1024}
	if err := p.SetTrack(track); err != nil {
		t.Fatal(err)
	}
	for i := range int64(100) {
		at := i * 1024
		if i == 50 {
			at += 1024
		}
		if i == 48 {
			p.Drop(DropLost) // of video, say: sound goes on
		}
		if err := p.Write(&stream.Frame{Track: track, DTS: at, PTS: at, Payload: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range b.frames {
		if off := f.DTS - b.frames[0].DTS - int64(i)*1024; off < 0 || off > 16 {
			t.Errorf("frame %d of sound that jitters is moved by %d", i, off)
		}
	}
}
