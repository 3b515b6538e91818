package packager

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
)

// BenchmarkRungs is the path of a frame as BenchmarkFrames has it, of a picture and three rungs that come six pictures later.
func BenchmarkRungs(b *testing.B) {
	const late = 6
	tracks := []*stream.Track{videoTrack(0, 1920, 1080), rungTrack(17, "720p", 1280, 720), rungTrack(18, "480p", 854, 480), rungTrack(19, "240p", 426, 240)}
	p := New("show", Options{
		Settings: testSettings(), Gen: 7, FirstMSN: 1000, Metrics: NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return epoch },
	})
	p.Tracks(tracks)
	payload := make([]byte, 5400)
	n := 0
	frame := func() {
		k, t := n/len(tracks), tracks[n%len(tracks)]
		n++
		if t.Rung != "" {
			k -= late
		}
		at := int64(k) * 3000
		if k >= 0 {
			p.Frame(&stream.Frame{Track: t, Era: 1, DTS: at, PTS: at, Key: k%60 == 0, Wall: epoch, Payload: payload})
		}
	}
	for range 140 * 30 * len(tracks) {
		frame()
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		frame()
	}
	for _, t := range tracks[1:] {
		s := p.Presentation().Load().Rendition(t.Rung).Load()
		if len(s.Segments) < 30 || s.Segments[len(s.Segments)-2].Gap() {
			b.Fatalf("%s has %d segments", t.Rung, len(s.Segments))
		}
	}
}
