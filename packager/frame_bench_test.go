package packager

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
)

// BenchmarkFrames is the path of a frame from the stream into the window, with its share of everything that parts and
// segments cost: 720p30 at 1.5 Mbit/s with AAC, into a window that is full.
func BenchmarkFrames(b *testing.B) {
	video := &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000, Config: []byte{1, 0x64, 0, 0x1f, 0xff}, CodecString: "avc1.64001f", Width: 1280, Height: 720}
	audio := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, CodecString: "mp4a.40.2", SampleRate: 48000, Channels: 2, FrameSamples: 1024}
	p := New("show", Options{
		Settings: testSettings(), Gen: 7, FirstMSN: 1000, Metrics: NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return epoch },
	})
	p.Tracks([]*stream.Track{video, audio})
	keyPayload, payload, sound := make([]byte, 30000), make([]byte, 5400), make([]byte, 340)

	pictures, sounds, bytes := 0, 0, 0
	// frame sends whichever comes next.
	frame := func() {
		at := int64(pictures) * 3000
		if heard := int64(sounds) * 1024 * 90 / 48; heard < at {
			f := stream.Frame{Track: audio, Era: 1, DTS: int64(sounds) * 1024, PTS: int64(sounds) * 1024, Duration: 1024, Key: true, Wall: epoch, Payload: sound}
			sounds++
			bytes += len(sound)
			p.Frame(&f)
			return
		}
		f := stream.Frame{Track: video, Era: 1, DTS: at, PTS: at, Key: pictures%60 == 0, Wall: epoch, Payload: payload}
		if f.Key {
			f.Payload = keyPayload
		}
		pictures++
		bytes += len(f.Payload)
		p.Frame(&f)
	}
	for range 140 * (30 + 47) { // until the window is full
		frame()
	}
	bytes = 0
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		frame()
		n++
	}
	b.SetBytes(int64(bytes / max(1, n)))
	if s := p.Presentation().Load().Rendition("video").Load(); len(s.Segments) < 30 {
		b.Fatalf("only %d segments", len(s.Segments))
	}
}
