package packager

import (
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/fmp4"
	"pushcart/packager/window"
)

// TestRemains reads back what a chunk and an initialisation section say, with reordered pictures and messages in front.
func TestRemains(t *testing.T) {
	t.Parallel()
	for _, track := range []*stream.Track{videoTrack(0, 640, 360), audioTrack(100, ""), opusTrack(101)} {
		init, err := fmp4.Init(track)
		if err != nil {
			t.Fatal(err)
		}
		rate := timescale(init)
		if rate != track.ClockRate {
			t.Errorf("timescale %d, want %d", rate, track.ClockRate)
		}
		at := int64(1_772_366_400) * int64(rate)
		samples := []fmp4.Sample{{Duration: 3000, Size: 2, Offset: 3000}, {Duration: 3000, Size: 1, Offset: 9000}, {Duration: 1000, Size: 1, Offset: -500}}
		b := fmp4.AppendEvent(nil, &fmp4.Event{Scheme: cueScheme, Value: cueValue, Timescale: uint32(rate), ID: 77, Message: []byte("x")})
		b = fmp4.AppendEvent(b, &fmp4.Event{Scheme: cueScheme, Value: cueValue, Timescale: uint32(rate), ID: 1<<32 - 1, Message: []byte("y")})
		b = fmp4.AppendChunk(b, 1, at, samples, []byte{1, 2, 3, 4})
		if ids := messageIDs(b); len(ids) != 2 || ids[0] != 77 || ids[1] != 1<<32-1 {
			t.Errorf("numbers %v", ids)
		}
		if end, ok := chunkEnd(b, rate); !ok || end != stream.Rescale(at+15000, rate, window.Rate) {
			t.Errorf("it ends at %d (%v), want %d", end, ok, stream.Rescale(at+15000, rate, window.Rate))
		}
		for n := range b { // a chunk that was cut off tells nothing wrong
			if end, ok := chunkEnd(b[:n], rate); ok && end != stream.Rescale(at+15000, rate, window.Rate) {
				t.Errorf("of %d bytes it ends at %d", n, end)
			}
		}
	}
}

// TestTimelineEnd: the end is where the last readable part ends and what is announced behind it; over a discontinuity nobody knows, and
// what the timeline was ahead of the dates before counts, with a margin.
func TestTimelineEnd(t *testing.T) {
	t.Parallel()
	lanes := single()
	g, s := recorded(t, 5, lanes, nil)
	g.Away()
	g.era++
	s.visit(120, 3, lanes, nil)
	last := len(s.moments) - 1
	from := func(has func(g *window.Segment, part int) bool) time.Time {
		return continued(t, s.copyAt(t, last, nil, has), 9, epoch).Begins()
	}
	seam := s.at("video", last, nil).Segments[0].MSN
	for _, g := range s.at("video", last, nil).Segments {
		if g.Discontinuity {
			seam = g.MSN
		}
	}
	end := from(nil)
	if off := end.Sub(time.Unix(123, 0)); off < -250*time.Millisecond || off > 50*time.Millisecond {
		t.Errorf("the timeline is taken to end %v from where it does", off)
	}
	if first := from(func(g *window.Segment, part int) bool { return g.MSN == seam && part < 2 }); first.Sub(end).Abs() > 50*time.Millisecond {
		t.Errorf("by its first parts the last stretch ends at %v, by its last ones at %v", first, end)
	}
	dates := epoch.Add(123 * time.Second)
	for _, had := range []bool{true, false} {
		at := from(func(g *window.Segment, part int) bool { return had && g.MSN < seam })
		if off := at.Sub(dates); off < 11*time.Second || off > 13*time.Second {
			t.Errorf("of a stretch without bytes the end is taken to be %v behind the dates (bytes before: %v)", off, had)
		}
	}
}

// TestTimelineAheadOfDates: where the last stretch cannot be read, the timeline is taken to be as far ahead of the dates as it was
// before.
func TestTimelineAheadOfDates(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := newScribe(g)
	for era, from := range []float64{1000, 1020} {
		g.era = era + 1
		g.run(from, 3, single(), func(_ float64, f *stream.Frame) {
			f.Wall = f.Wall.Add(-time.Duration(epoch.UnixNano()) - time.Minute)
			s.note()
		})
		g.Away()
	}
	s.note()
	has := func(g *window.Segment, _ int) bool { return g.DiscontinuitySequence == 0 }
	at := continued(t, s.copyAt(t, len(s.moments)-1, nil, has), 9, epoch).Begins()
	if off := at.Sub(time.Unix(1023, 0)); off < 11*time.Second || off > 13*time.Second {
		t.Errorf("the timeline is taken to end %v behind where it does", off)
	}
}

// FuzzRemains: what is read of media that another node made is bounded by what is there.
func FuzzRemains(f *testing.F) {
	init, err := fmp4.Init(videoTrack(0, 640, 360))
	if err != nil {
		f.Fatal(err)
	}
	b := fmp4.AppendEvent(nil, &fmp4.Event{Scheme: cueScheme, Value: cueValue, Timescale: 90000, ID: 77, Message: []byte("x")})
	f.Add(fmp4.AppendChunk(b, 1, 1<<40, []fmp4.Sample{{Duration: 3000, Size: 2, Offset: 3000}}, []byte{1, 2}))
	f.Add(init)
	f.Add([]byte("\x00\x00\x00\x10moof\x00\x00\x00\x08traf"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ids := messageIDs(b); len(ids)*32 > len(b) {
			t.Errorf("%d numbers in %d bytes", len(ids), len(b))
		}
		timescale(b)
		for _, rate := range []int{0, 1, 48000, 90000} {
			if end, ok := chunkEnd(b, rate); ok && (end < 0 || rate == 0) {
				t.Errorf("it ends at %d", end)
			}
		}
	})
}
