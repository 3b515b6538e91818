package ingest

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// TestAudioInExcess: audio whose timestamps say that its frames last less than its codec data does must not run away from
// the video that it belongs to.
func TestAudioInExcess(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	v, _ := b.video(0, 0)
	dropped := 0
	for i := range 3000 {
		at := float64(i) * 20 // frames of 1,024 samples last 21.3 ms
		b.pass(20)
		f, ok := b.audio(at)
		if !ok {
			dropped++
			continue
		}
		if ahead := stream.Rescale(f.DTS, 48000, 90000) - v.DTS - int64(at*90); ahead > 90*150 {
			t.Fatalf("frame %d is %d ms ahead of its timestamp", i, ahead/90)
		}
	}
	if dropped == 0 || dropped > 300 {
		t.Errorf("%d of 3000 frames dropped, want about one in sixteen", dropped)
	}
	if b.eras != 1 {
		t.Errorf("%d eras", b.eras)
	}
}

// TestAbsurdOffsets: no picture waits for minutes behind its decoding; such an offset is damage, and would carry the
// stream's time away with it.
func TestAbsurdOffsets(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	for _, cts := range []float64{8_000_000, -8_000_000, 60_000} {
		b.pass(33)
		if f, ok := b.video(float64(b.now.Sub(epoch).Milliseconds()), cts); !ok || f.PTS != f.DTS {
			t.Errorf("an offset of %v ms: %v, DTS %d, PTS %d", cts, ok, f.DTS, f.PTS)
		}
	}
	if f, _ := b.video(200, 2000); f.PTS-f.DTS != 2000*90 {
		t.Errorf("an offset of 2 s becomes %d ticks", f.PTS-f.DTS)
	}
}

// TestClockThatJumpsAllTheTime: a publisher that mixes two clocks gets no discontinuity for each of its frames.
func TestClockThatJumpsAllTheTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	for i := range 300 {
		b.video(float64(i*33+i%2*1e7), 0)
		b.pass(33)
	}
	if b.eras > 30 {
		t.Errorf("%d eras in ten seconds", b.eras)
	}
	// Once the clock is steady again, so is the stream.
	eras, kept := b.eras, 0
	for i := range 300 {
		b.pass(33)
		if _, ok := b.video(float64(5e7+i*33), 0); ok {
			kept++
		}
	}
	if b.eras > eras+1 || kept < 280 {
		t.Errorf("afterwards: %d more eras, %d of 300 frames kept", b.eras-eras, kept)
	}
}

// TestLateJump: the first frames' clock counts for nothing when the real one starts a moment later.
func TestLateJump(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	b.video(0, 0)
	b.pass(20)
	if f, ok := b.video(1e6, 0); !ok || f.Era != 2 {
		t.Errorf("right behind the first frame, the clock's jump: %v %+v", ok, f)
	}
}

// TestBurstsMoveNothing: the wall clock has no say in a steady stream.
func TestBurstsMoveNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	first, _ := b.video(0, 0)
	for i := 1; i < 400; i++ {
		if i%100 == 0 {
			b.now = b.now.Add(3300 * time.Millisecond)
		}
		f, ok := b.video(float64(i*33), 0)
		if !ok || f.Era != 1 || f.DTS-first.DTS != int64(i*33*90) {
			t.Fatalf("frame %d: %v %+v", i, ok, f)
		}
	}
}

// counter is a consumer that counts frames.
type counter struct{ frames int }

func (c *counter) Tracks([]*stream.Track) {}
func (c *counter) Frame(*stream.Frame)    { c.frames++ }
func (c *counter) Data(*stream.Data)      {}
func (c *counter) Away()                  {}
func (c *counter) End()                   {}

// TestHugeAudio: no audio frame has megabytes.
func TestHugeAudio(t *testing.T) {
	t.Parallel()
	seen := &counter{}
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{seen} },
	})
	door := NewDoor(Options{
		Hub: hub, Authority: authority.New(authority.Options{}), Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Settings: func() Settings { return Settings{KeyframeTimeout: time.Second} },
	})
	p, err := door.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("127.0.0.1:5"), Stream: "show"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetTrack(audioTrack); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{100, mostAudio, mostAudio + 1, 8 << 20} {
		f := stream.Frame{Track: audioTrack, DTS: int64(i) * 1024, Key: true, Payload: make([]byte, size)}
		if err := p.Write(&f); err != nil {
			t.Fatal(err)
		}
	}
	if seen.frames != 2 {
		t.Errorf("%d frames passed, want 2", seen.frames)
	}
	hub.Close()
	var r *Refusal
	if err := p.Write(&stream.Frame{Track: audioTrack, DTS: 9000}); !errors.As(err, &r) || r.Reason != ReasonShutdown {
		t.Errorf("writing while the node stops: %v", err)
	}
	p.Close(nil)
}
