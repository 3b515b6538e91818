package ladder

import (
	"bytes"
	"testing"
	"time"

	"pushcart/internal/stream"
)

func frameAt(t *stream.Track, n int, key bool) *stream.Frame {
	return &stream.Frame{Track: t, Era: 1, DTS: int64(n) * 3000, PTS: int64(n) * 3000, Key: key, Payload: []byte{byte(n), 1, 2, 3}}
}

// always takes everything.
func always(*queued) verdict { return take }

func (q *feed) popAll() (out []queued) {
	for {
		e, v, some := q.first(always, nil)
		if !some || v != take {
			return out
		}
		out = append(out, e)
	}
}

// What does not fit is dropped up to the next key frame, by time, by number and by size.
func TestFeedOverflow(t *testing.T) {
	t.Parallel()
	video := full()
	for _, c := range []struct {
		name string
		fill func(n int) *stream.Frame
		most int
	}{
		{"time", func(n int) *stream.Frame { return frameAt(video, n, n == 0) }, 61},
		{"number", func(n int) *stream.Frame { f := frameAt(video, n, n == 0); f.PTS = 5; return f }, mostQueuedFrames},
		{"size", func(n int) *stream.Frame {
			f := frameAt(video, n, n == 0)
			f.Payload = make([]byte, 4<<20)
			return f
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := newFeed()
			n := 0
			for q.push(c.fill(n), 0, time.Time{}) {
				n++
			}
			if n != c.most {
				t.Errorf("%d frames fit, want %d", n, c.most)
			}
			got := q.popAll()
			if len(got) != n {
				t.Fatalf("%d frames of %d", len(got), n)
			}
			// There is room again, and nothing to refer to.
			if q.push(frameAt(video, n+1, false), 0, time.Time{}) {
				t.Error("a frame whose reference was dropped was taken in")
			}
			if !q.push(frameAt(video, n+2, true), 0, time.Time{}) || !q.push(frameAt(video, n+3, false), 0, time.Time{}) {
				t.Error("a key frame was refused, or what refers to it")
			}
			if came, fulls, _ := q.counts(); came != uint64(n+2) || fulls != 2 {
				t.Errorf("%d came, %d were refused", came, fulls)
			}
		})
	}
}

func TestFeedKeepsOrderAndBytes(t *testing.T) {
	t.Parallel()
	video, q := full(), newFeed()
	q.span = time.Hour
	next := 0
	for n := range 500 {
		f := frameAt(video, n, true)
		if !q.push(f, 3, time.Time{}) {
			t.Fatal("no room")
		}
		clear(f.Payload) // it was lent
		for ; n%7 == 6 && next < n-5; next++ {
			e, _, _ := q.first(always, nil)
			if e.pts != int64(next)*3000 || e.gen != 3 || !bytes.Equal(e.data, []byte{byte(next), 1, 2, 3}) {
				t.Fatalf("frame %d: %+v", next, e)
			}
			q.release(e.data)
		}
	}
	if media, size, n := q.level(); n != 500-next || size != 4*n || media != duration(int64(n-1)*3000, 90000) {
		t.Errorf("level: %v, %d bytes, %d frames", media, size, n)
	}
}

func TestFeedClosed(t *testing.T) {
	t.Parallel()
	video, q := full(), newFeed()
	q.push(frameAt(video, 0, true), 0, time.Time{})
	q.setOpen(false, latencyQueue)
	if !q.push(frameAt(video, 1, false), 0, time.Time{}) || len(q.popAll()) != 0 {
		t.Error("a closed feed keeps frames, or counts them as refused")
	}
	q.setOpen(true, latencyQueue)
	q.push(frameAt(video, 2, false), 0, time.Time{})
	q.push(frameAt(video, 3, true), 0, time.Time{})
	if got := q.popAll(); len(got) != 1 || !got[0].key {
		t.Errorf("an opened feed begins with %+v", got)
	}
	if _, fulls, _ := q.counts(); fulls != 0 {
		t.Errorf("%d frames are counted as refused", fulls)
	}
}

func TestFeedVerdicts(t *testing.T) {
	t.Parallel()
	video, q, until := full(), newFeed(), make(chan struct{})
	for n := range 4 {
		q.push(frameAt(video, n, n == 2), 0, time.Time{})
	}
	dropped := 0
	judge := func(e *queued) verdict {
		switch {
		case e.key:
			return take
		case e.pts > 6000:
			return stop
		}
		return pass
	}
	e, v := q.next(until, judge, func(*queued) { dropped++ })
	if v != take || e.pts != 6000 || dropped != 2 {
		t.Errorf("%v, %+v, %d dropped", v, e, dropped)
	}
	if _, v := q.next(until, judge, nil); v != stop {
		t.Errorf("%v for a frame that is for another", v)
	}
	q.popAll()
	q.setAway(true)
	if _, v := q.next(until, judge, nil); v != gone {
		t.Errorf("%v while the publisher is away", v)
	}
	q.setAway(false)
	close(until)
	if _, v := q.next(until, judge, nil); v != stopped {
		t.Errorf("%v after the end", v)
	}
}

func BenchmarkFeed(b *testing.B) {
	video, q := full(), newFeed()
	f := frameAt(video, 0, true)
	f.Payload = make([]byte, 20<<10)
	now := time.Now()
	b.ReportAllocs()
	b.SetBytes(int64(len(f.Payload)))
	for b.Loop() {
		f.PTS += 3000
		q.push(f, 0, now)
		e, _, _ := q.first(always, nil)
		q.release(e.data)
	}
}
