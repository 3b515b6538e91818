package packager

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// emsg is an event message as a player reads it.
type emsg struct {
	msn       int64
	part      int
	timescale uint32
	time      int64
	id        uint32
	message   string
}

// emsgs reads the event messages in front of each chunk of a rendition.
func (g *rig) emsgs(name string) []emsg {
	g.t.Helper()
	var out []emsg
	for _, seg := range g.rendition(name).Segments {
		for n, p := range seg.Parts {
			for b := p.Data; len(b) > 0; {
				size := binary.BigEndian.Uint32(b)
				kind, body := string(b[4:8]), b[8:size]
				b = b[size:]
				if kind != "emsg" {
					break
				}
				head := append([]byte{1, 0, 0, 0}, body[4:24]...)
				texts := bytes.SplitN(body[28-4:], []byte{0}, 3)
				if !bytes.Equal(body[:4], head[:4]) || string(texts[0]) != "https://aomedia.org/emsg/ID3" || string(texts[1]) != "live.pushcart.cards" {
					g.t.Fatalf("%s %d.%d: emsg %q", name, seg.MSN, n, body)
				}
				if d := binary.BigEndian.Uint32(body[16:]); d != 0xffffffff {
					g.t.Errorf("event_duration %d", d)
				}
				out = append(out, emsg{
					msn: seg.MSN, part: n, timescale: binary.BigEndian.Uint32(body[4:]), time: int64(binary.BigEndian.Uint64(body[8:])),
					id: binary.BigEndian.Uint32(body[20:]), message: string(texts[2]),
				})
			}
		}
	}
	return out
}

// state announces that the given cards are open, as "ID" each.
func state(n int, open ...string) Announcement {
	a := Announcement{Message: fmt.Appendf(nil, "state %d", n)}
	for _, id := range open {
		a.Open = append(a.Open, window.DateRange{ID: id, Class: "live.pushcart.card", Value: "main/" + id + "/1"})
	}
	return a
}

// feed sends frames of video, and audio for the same time, one by one, calling before each video frame.
func (g *rig) feed(frames int, rate int64, audio bool, cts func(i int) int64, before func(i int, dts int64)) {
	g.t.Helper()
	tracks := []*stream.Track{g.video}
	if audio {
		tracks = append(tracks, g.audio)
	}
	g.Tracks(tracks)
	heard := int64(0)
	for i := range int64(frames) {
		dts := i * 90000 / rate
		before(int(i), dts)
		g.Frame(&stream.Frame{Track: g.video, Era: g.era, DTS: dts, PTS: dts + cts(int(i)), Key: i%(2*rate) == 0,
			Wall: epoch.Add(window.Duration(dts)), Payload: make([]byte, 500)})
		for ; audio && heard*1024*90000/48000 <= dts; heard++ {
			g.Frame(&stream.Frame{Track: g.audio, Era: g.era, DTS: heard * 1024, PTS: heard * 1024, Duration: 1024, Key: true,
				Wall: epoch.Add(window.Duration(dts)), Payload: make([]byte, 100)})
		}
	}
}

func noReorder(int) int64 { return 0 }

// reorder is x264's B-pyramid: pictures 0 4 2 1 3 8 6 5 7 ... in decoding order, each shown two frames after its number.
func reorder(i int) int64 {
	const frame = 3600
	if i == 0 {
		return 2 * frame
	}
	return [4]int64{5, 2, 0, 1}[(i-1)%4] * frame
}

func TestAStateBeginsWithTheNextFrame(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(250, 25, true, noReorder, func(i int, dts int64) {
		if i == 37 {
			g.Announce(state(1, "a"))
		}
	})
	all := g.emsgs("video")
	if len(all) == 0 || all[0].time != 37*3600 || all[0].timescale != 90000 {
		t.Fatalf("emsgs %+v, want the first at frame 37", all)
	}
	// That frame's part, and again with each later segment.
	if all[0].part != 37%50/5 {
		t.Errorf("the first is in part %d", all[0].part)
	}
	ids := map[uint32]bool{}
	for i, e := range all {
		if ids[e.id] {
			t.Errorf("id %d twice", e.id)
		}
		ids[e.id] = true
		if i > 0 && (e.part != 0 || e.time%(50*3600) != 0 || e.message != "state 1") {
			t.Errorf("repeat %+v is not at a segment's first frame", e)
		}
	}
	if want := len(g.rendition("video").Segments); len(all) != want {
		t.Errorf("%d messages for %d segments", len(all), want)
	}
	if n := len(g.emsgs("audio")); n != 0 {
		t.Errorf("%d messages in the audio rendition", n)
	}
	for _, name := range []string{"video", "audio"} {
		set := g.rendition(name).Ranges
		if set == nil || len(set.All) != 1 || set.All[0].ID != "a" || !set.All[0].End.IsZero() {
			t.Fatalf("%s: ranges %+v", name, set)
		}
		if want := epoch.Add(37 * 40 * time.Millisecond); !set.All[0].Start.Equal(want) {
			t.Errorf("%s: START-DATE %v, want %v", name, set.All[0].Start, want)
		}
	}
	g.check("video")
	g.check("audio")
}

func TestAStateBeginsWithTheFrameItCameWith(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate  int64
		cts   func(int) int64
		after int64 // ticks that the announcement comes behind its frame
	}{
		"25":               {25, noReorder, 0},
		"30":               {30, noReorder, 0},
		"60":               {60, noReorder, 0},
		"B-frames":         {25, reorder, 0},
		"journal is slow":  {25, noReorder, 9000},
		"B-frames, slowly": {25, reorder, 9000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			type due struct {
				at int64
				a  Announcement
			}
			var want []int64
			var waiting []due
			frames := int(c.rate) * 20
			g.feed(frames, c.rate, true, c.cts, func(i int, dts int64) {
				if i%17 == 5 && i < frames-int(c.rate)*2 {
					a := state(i)
					a.Framed, a.Era, a.PTS = true, g.era, dts+c.cts(i)
					want = append(want, a.PTS)
					waiting = append(waiting, due{dts + c.after, a})
				}
				for len(waiting) > 0 && waiting[0].at <= dts {
					g.Announce(waiting[0].a)
					waiting = waiting[1:]
				}
			})
			var got []int64
			last := ""
			for _, e := range g.emsgs("video") {
				if e.message != last {
					got = append(got, e.time)
					last = e.message
				}
			}
			if !slices.IsSorted(want) {
				// A state never begins before one that came earlier.
				for i := range want[1:] {
					want[i+1] = max(want[i+1], want[i])
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("states begin at\n%v, want\n%v", got, want)
			}
			g.check("video")
		})
	}
}

func TestAStateBeginsAtItsDate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	at := epoch.Add(3010 * time.Millisecond)
	g.feed(250, 25, false, noReorder, func(i int, dts int64) {
		if i == 60 { // 600 ms ahead
			a := state(1, "a")
			a.At = at
			g.Announce(a)
			g.Announce(state(2, "a", "b")) // waits for the one before
		}
	})
	all := g.emsgs("video")
	if len(all) < 2 || all[0].time != 76*3600 || all[1].time != 76*3600 || all[0].message != "state 1" || all[1].message != "state 2" {
		t.Fatalf("messages %+v, want both at frame 76", all[:min(3, len(all))])
	}
	set := g.rendition("video").Ranges.All
	if len(set) != 2 || !set[0].Start.Equal(epoch.Add(3040*time.Millisecond)) {
		t.Errorf("ranges %+v", set)
	}
}

func TestALateStateBeginsWithTheNextFrame(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(250, 25, false, noReorder, func(i int, dts int64) {
		switch i {
		case 100:
			a := state(1)
			a.Framed, a.Era, a.PTS = true, g.era, dts-90000
			g.Announce(a)
		case 130:
			a := state(2)
			a.At = epoch.Add(-time.Hour)
			g.Announce(a)
		case 150:
			a := state(3)
			a.Framed, a.Era, a.PTS = true, g.era-1, dts
			g.Announce(a)
		}
	})
	var got []int64
	last := ""
	for _, e := range g.emsgs("video") {
		if e.message != last {
			got, last = append(got, e.time/3600), e.message
		}
	}
	if !slices.Equal(got, []int64{100, 130, 150}) {
		t.Errorf("states begin at frames %v", got)
	}
}

// TestAStateIsNotBoundBeforeOneThatWasToldAgain: the frame meant is the last one of a segment, and by the time that the
// state comes, the next segment's first part has told the state before.
func TestAStateIsNotBoundBeforeOneThatWasToldAgain(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1))
	g.feed(250, 25, false, noReorder, func(i int, dts int64) {
		if i == 106 {
			a := state(2)
			a.Framed, a.Era, a.PTS = true, g.era, 99*3600
			g.Announce(a)
		}
	})
	all := g.emsgs("video")
	if !slices.IsSortedFunc(all, func(a, b emsg) int { return int(a.time - b.time) }) {
		t.Errorf("times go back: %+v", all)
	}
	i := slices.IndexFunc(all, func(e emsg) bool { return e.message == "state 2" })
	if i < 1 || all[i].time != 100*3600 || all[i-1].time != 100*3600 {
		t.Errorf("messages %+v, want the second state at frame 100", all)
	}
}

func TestRangesOpenAndClose(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(500, 25, true, noReorder, func(i int, dts int64) {
		switch i {
		case 30:
			g.Announce(state(1, "a"))
		case 70:
			g.Announce(state(2, "a", "b"))
		case 120:
			g.Announce(state(3, "b"))
		case 201: // within one part
			g.Announce(state(4, "b", "flash"))
		case 203:
			g.Announce(state(5, "b"))
		case 300:
			g.Announce(state(6, "b2"))
		}
	})
	frame := func(n int) time.Time { return epoch.Add(time.Duration(n) * 40 * time.Millisecond) }
	want := []window.DateRange{
		{ID: "a", Start: frame(30), End: frame(120)}, {ID: "b", Start: frame(70), End: frame(300)}, {ID: "b2", Start: frame(300)},
	}
	for _, name := range []string{"video", "audio"} {
		got := g.rendition(name).Ranges.All
		if len(got) != len(want) {
			t.Fatalf("%s: %+v", name, got)
		}
		for i, w := range want {
			if got[i].ID != w.ID || !got[i].Start.Equal(w.Start) || !got[i].End.Equal(w.End) {
				t.Errorf("%s: range %+v, want %+v", name, got[i], w)
			}
		}
	}
	if n := countMessages(g.emsgs("video")); n != 6 {
		t.Errorf("%d states in the media, want all 6", n)
	}
}

func countMessages(all []emsg) int {
	seen := map[string]bool{}
	for _, e := range all {
		seen[e.message] = true
	}
	return len(seen)
}

func TestOldRangesAreForgotten(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(25*600, 25, true, noReorder, func(i int, dts int64) {
		if i%50 == 10 {
			g.Announce(state(i, "kept", fmt.Sprint("card", i)))
		}
	})
	for _, name := range []string{"video", "audio"} {
		got := g.rendition(name).Ranges.All
		if got[0].ID != "kept" || !got[0].End.IsZero() {
			t.Errorf("%s: the open range is gone", name)
		}
		if len(got) > 90 {
			t.Errorf("%s: %d ranges are kept after ten minutes", name, len(got))
		}
	}
	if n := len(g.cues.bound) + len(g.cues.told); n > 2*mostFollow+2 { // a state, and it again, of each segment that one may begin with
		t.Errorf("%d cues are kept", n)
	}
	if n := len(g.cues.sets); n > 2 {
		t.Errorf("%d sets are kept", n)
	}
}

func TestStatesOfAudioAlone(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	g.play(shape{seconds: 10, audio: true, from: 100})
	all := g.emsgs("audio")
	if len(all) < 3 || all[0].timescale != 48000 || all[0].time != 100*48000 {
		t.Fatalf("messages %+v", all)
	}
	if g.rendition("audio").Ranges == nil {
		t.Error("no ranges")
	}
}

func TestTheStateOutlivesAPublisher(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	g.play(shape{seconds: 5, frames: constantRate(25), gop: 2, audio: true, from: 100})
	g.Away()
	for i := range 40 {
		g.Announce(state(2+i, "a")) // nobody sends frames
	}
	g.era++
	g.play(shape{seconds: 5, frames: constantRate(25), gop: 2, audio: true, from: 130})
	all := g.emsgs("video")
	i := slices.IndexFunc(all, func(e emsg) bool { return e.time == 130*90000 })
	if i < 0 || all[len(all)-1].message != "state 41" {
		t.Fatalf("messages %+v", all)
	}
	if n := len(all) - i; n > mostAtOnce+4 {
		t.Errorf("%d messages after the publisher's return", n)
	}
	if r := g.rendition("audio").Ranges.All; len(r) != 1 || !r[0].End.IsZero() {
		t.Errorf("ranges %+v", r)
	}
}

func TestNoStateIsLostAtFiftyASecond(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	n := 0
	g.feed(30*60, 30, true, noReorder, func(i int, dts int64) {
		for ; n*30 < i*50; n++ {
			g.Announce(state(n, fmt.Sprint("card", n)))
		}
	})
	if got := countMessages(g.emsgs("video")); got < n-mostAtOnce {
		t.Errorf("%d of %d states are in the media", got, n)
	}
	g.check("video")
	g.check("audio")
}

func TestAnnounceFromManyGoroutines(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 200 {
				g.Announce(state(1000*n+i, "a"))
			}
		})
	}
	g.play(shape{seconds: 20, frames: constantRate(30), gop: 2, audio: true, from: 100})
	wg.Wait()
	g.check("video")
}

// TestClockFollowsTheFrames: a publisher that sends ahead of time takes the stream's clock with it.
func TestClockFollowsTheFrames(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if got := g.Clock(); !got.Equal(epoch) {
		t.Errorf("before the first frame the clock says %v", got)
	}
	g.feed(100, 25, false, noReorder, func(int, int64) {})
	if got, want := g.Clock(), epoch.Add(99*40*time.Millisecond); !got.Equal(want) {
		t.Errorf("clock %v, want the last frame's %v", got, want)
	}
}

// TestTheStateIsToldWhereverPlayersJoin: with two key frames a segment, in both parts that decoding can start with.
func TestTheStateIsToldWhereverPlayersJoin(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	g.play(shape{seconds: 10, frames: constantRate(25), gop: 1, audio: true, from: 100})
	told := map[window.Position]bool{}
	for _, e := range g.emsgs("video") {
		told[window.Position{MSN: e.msn, Part: e.part}] = true
	}
	joins := 0
	for _, s := range g.rendition("video").Segments {
		for n, p := range s.Parts {
			if p.Independent {
				if joins++; !told[window.Position{MSN: s.MSN, Part: n}] {
					t.Errorf("part %d.%d can be joined at and does not tell the state", s.MSN, n)
				}
			}
		}
	}
	if joins < 10 {
		t.Errorf("%d parts can be joined at", joins)
	}
}
