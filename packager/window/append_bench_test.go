package window

import (
	"testing"
	"time"
)

// BenchmarkAppend is one part into a full window of a minute, with an audio rendition to report on.
func BenchmarkAppend(b *testing.B) {
	p := NewPresentation("show", Settings{TargetDuration: 4, DVR: time.Minute, FirstMSN: 1})
	video, audio := p.AddRendition("video", true, 1), p.AddRendition("audio", false, 1)
	p.Append(audio, Part{Data: make([]byte, 10), Duration: Rate}, &Segment{})
	data := make([]byte, 40000)
	n := 0
	add := func() {
		var begin *Segment
		if n%10 == 0 {
			begin = &Segment{}
		}
		p.Append(video, Part{Data: data, Duration: Rate / 5, Independent: n%10 == 0}, begin)
		n++
	}
	for range 1000 {
		add()
	}
	b.ReportAllocs()
	for b.Loop() {
		add()
	}
	if got := len(video.Load().Segments); got < 60 || got > 80 {
		b.Fatalf("the window holds %d segments", got)
	}
}
