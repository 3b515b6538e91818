package playlist

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pushcart/packager/window"
)

// withRanges makes a presentation with cards: one from the start to 10 s, one from 20 s on, one from 36 s to 38 s.
func withRanges(t testing.TB, parts int) (*window.Presentation, *window.Rendition) {
	t.Helper()
	p, video := build(parts, -1, -1)
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }
	set := &window.RangeSet{All: []window.DateRange{
		{ID: "main-7-1", Class: "live.pushcart.card", Value: "main/lamp/1", Start: at(0), End: at(10)},
		{ID: "main-7-2", Class: "live.pushcart.card", Value: "main/lamp/2", Start: at(20)},
		{ID: "offer-7-3", Class: "live.pushcart.card", Value: "offer/save/1", Start: at(36), End: at(38.04)},
	}}
	p.Append(video, window.Part{Data: make([]byte, 100), Duration: target, Ranges: set}, nil)
	return p, video
}

func TestRangeGoldens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parts int
		skip  Skip
	}{
		"ranges":           {parts: 196},
		"ranges-delta":     {parts: 196, skip: SkipSegments},
		"ranges-removed":   {parts: 276},
		"ranges-delta-v2":  {parts: 276, skip: SkipDateRanges},
		"ranges-delta-all": {parts: 14, skip: SkipDateRanges},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, video := withRanges(t, c.parts)
			golden(t, name, Media(video.Load(), p.Settings, c.skip))
		})
	}
}

// TestRangesAreKeptUntilTheNextChange: a part without ranges of its own leaves them as they are.
func TestRangesAreKeptUntilTheNextChange(t *testing.T) {
	t.Parallel()
	p, video := withRanges(t, 196)
	p.Append(video, window.Part{Data: make([]byte, 100), Duration: target}, nil)
	text := string(Media(video.Load(), p.Settings, NoSkip))
	if n := strings.Count(text, "#EXT-X-DATERANGE:"); n != 3 {
		t.Errorf("%d ranges, want 3:\n%s", n, text)
	}
	p.Append(video, window.Part{Data: make([]byte, 100), Duration: target, Ranges: &window.RangeSet{}}, nil)
	if text := string(Media(video.Load(), p.Settings, NoSkip)); strings.Contains(text, "#EXT-X-DATERANGE:") {
		t.Error("ranges of an empty set are listed")
	}
}

// BenchmarkMediaManyRanges renders a playlist of a show whose cards change five times a second.
func BenchmarkMediaManyRanges(b *testing.B) {
	p, video := build(194, -1, -1)
	set := &window.RangeSet{}
	for i := range 200 {
		start := epoch.Add(time.Duration(i) * 200 * time.Millisecond)
		set.All = append(set.All, window.DateRange{ID: fmt.Sprint("main-1763731200123-", i), Class: "live.pushcart.card",
			Value: fmt.Sprint("main/lamp/", i), Start: start, End: start.Add(200 * time.Millisecond)})
	}
	p.Append(video, window.Part{Data: make([]byte, 100), Duration: target, Ranges: set}, nil)
	s := video.Load()
	b.ReportAllocs()
	for b.Loop() {
		Media(s, p.Settings, NoSkip)
	}
}
