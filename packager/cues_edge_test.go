package packager

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/playlist"
	"pushcart/packager/window"
)

// TestAPresentationFarBehindDecoding: more pictures lie between decoding a picture and showing it than are remembered.
func TestAPresentationFarBehindDecoding(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const cts = 70 * 1500
	g.feed(60*20, 60, true, func(int) int64 { return cts }, func(i int, dts int64) {
		if i == 300 {
			a := state(1, "a")
			a.Framed, a.Era, a.PTS = true, g.era, dts+cts
			g.Announce(a)
		}
		if i > 300 {
			g.Announce(state(i, "b"))
		}
	})
	all := g.emsgs("video")
	if i := slices.IndexFunc(all, func(e emsg) bool { return e.message == "state 1" }); i < 0 || all[i].time != 300*1500+cts {
		t.Errorf("the state is not at its frame: %+v", all[:min(3, len(all))])
	}
	if n := len(g.cues.waiting); n > 8 {
		t.Errorf("%d states wait", n)
	}
}

// TestWhatWaitsIsBounded: a state that is meant for a frame which is far ahead.
func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(25*14, 25, false, noReorder, func(i int, dts int64) {
		if i == 100 {
			a := state(1, "a")
			a.Framed, a.Era, a.PTS = true, g.era, dts+9*90000
			g.Announce(a)
		}
		for range 20 {
			g.Announce(state(i, "a"))
		}
		if n := len(g.cues.waiting); n > mostInbox {
			t.Fatalf("%d states wait", n)
		}
	})
}

// TestRangesAgreeWhenThePublisherIsGone: what changed with its last pictures is told by the audio rendition too.
func TestRangesAgreeWhenThePublisherIsGone(t *testing.T) {
	t.Parallel()
	for _, end := range []bool{false, true} {
		for back := 1; back < 8; back++ {
			g := newRig(t)
			g.feed(250, 25, true, func(int) int64 { return 7200 }, func(i int, _ int64) {
				switch i {
				case 100:
					g.Announce(state(1, "a"))
				case 250 - back:
					g.Announce(state(2))
				}
			})
			if end {
				g.End()
			} else {
				g.Away()
			}
			if v, a := g.rendition("video").Ranges, g.rendition("audio").Ranges; !slices.Equal(v.All, a.All) || v.All[0].End.IsZero() {
				t.Errorf("end %v, %d pictures before: %+v and %+v", end, back, v.All, a.All)
			}
		}
	}
}

// TestAnEndIsToldInDeltaUpdates: each rendition's updates tell of it at some time, however long the publisher is away.
func TestAnEndIsToldInDeltaUpdates(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.feed(25*50, 25, true, func(int) int64 { return 7200 }, func(i int, _ int64) {
		switch i {
		case 100:
			g.Announce(state(1, "a"))
		case 25*50 - 1:
			g.Announce(state(2))
		}
	})
	g.Away()
	told := map[string]bool{}
	look := func() {
		for _, name := range []string{"video", "audio"} {
			text := playlist.Media(g.rendition(name), g.out.Settings, playlist.SkipDateRanges)
			told[name] = told[name] || strings.Contains(string(text), "END-DATE")
		}
	}
	look()
	if !told["video"] || !told["audio"] {
		t.Errorf("delta updates that told of the end: %v", told)
	}
}

// TestDatesDoNotGoBack: a publisher that had sent ahead of time comes back at what is the right time.
func TestDatesDoNotGoBack(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	g.feed(500, 25, true, noReorder, func(i int, _ int64) {
		if i == 400 {
			g.Announce(state(2, "b"))
		}
	})
	g.Away()
	g.era++
	for i := range int64(250) {
		dts := 100*90000 + i*3600
		if i == 50 {
			g.Announce(state(3))
		}
		g.Frame(&stream.Frame{Track: g.video, Era: g.era, DTS: dts, PTS: dts, Key: i%50 == 0,
			Wall: epoch.Add(5*time.Second + window.Duration(i*3600)), Payload: make([]byte, 500)})
	}
	for _, d := range g.rendition("video").Ranges.All {
		if d.End.IsZero() || d.End.Before(d.Start) {
			t.Errorf("range %+v", d)
		}
	}
	segments := g.rendition("video").Segments
	for i := range segments[1:] {
		if segments[i+1].Wall.Before(segments[i].Wall.Add(window.Duration(segments[i].Duration)).Add(-time.Millisecond)) {
			t.Errorf("segment %d begins at %v, before the one in front of it ends", segments[i+1].MSN, segments[i+1].Wall)
		}
	}
}

// TestAnOldTimeIsTheNextFrame, never one of those that have passed.
func TestAnOldTimeIsTheNextFrame(t *testing.T) {
	t.Parallel()
	for _, rate := range []int64{25, 60, 120} {
		for _, part := range []time.Duration{200, 500, 1000} {
			g := newRig(t)
			g.opt.Settings.PartDuration = part * time.Millisecond
			asked := map[string]int64{}
			g.feed(int(rate*12), rate, false, noReorder, func(i int, dts int64) {
				if i > int(rate)*4 && i%int(rate*7/10) == 0 {
					a := state(i)
					a.Framed, a.Era = true, g.era
					asked[string(a.Message)] = dts
					g.Announce(a)
				}
			})
			for _, e := range g.emsgs("video") {
				if e.time < asked[e.message] {
					t.Fatalf("%d a second, parts of %d ms: %s begins %d ms before the next frame", rate, part, e.message, (asked[e.message]-e.time)/90)
				}
			}
		}
	}
}

// TestTheLastPicturesKeepTheirStates, although no later picture tells that none is shown in between.
func TestTheLastPicturesKeepTheirStates(t *testing.T) {
	t.Parallel()
	for _, end := range []bool{false, true} {
		for last := 246; last <= 250; last++ {
			g := newRig(t)
			g.feed(last, 25, true, reorder, func(i int, dts int64) {
				if i == 245 {
					a := state(1, "a")
					a.Framed, a.Era, a.PTS = true, g.era, dts+reorder(i)
					g.Announce(a)
				}
			})
			if end {
				g.End()
			} else {
				g.Away()
			}
			if n := countMessages(g.emsgs("video")); n != 1 {
				t.Errorf("end %v, %d pictures: the frame is in the media, its state is not", end, last)
			}
		}
	}
}

// TestAStateOfNoFrameLeavesOthersTheirs: one from the API comes with a picture that is shown later, then one in band.
func TestAStateOfNoFrameLeavesOthersTheirs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var want int64
	g.feed(250, 25, false, reorder, func(i int, dts int64) {
		switch i {
		case 105:
			g.Announce(state(1))
		case 106:
			a := state(2)
			want = dts + reorder(i)
			a.Framed, a.Era, a.PTS = true, g.era, want
			g.Announce(a)
		}
	})
	all := g.emsgs("video")
	i := slices.IndexFunc(all, func(e emsg) bool { return e.message == "state 2" })
	if i < 0 || all[i].time != want {
		t.Errorf("messages %+v, want the second state at %d", all, want)
	}
}

// TestNoStateIsToldBeforeItBegins: segments that are cut between key frames, of reordered pictures.
func TestNoStateIsToldBeforeItBegins(t *testing.T) {
	t.Parallel()
	for at := 60; at < 140; at++ {
		g := newRig(t)
		g.Tracks([]*stream.Track{g.video})
		var want int64
		for i := range int64(241) {
			dts := i * 3600
			if int(i) == at {
				want = dts + reorder(at)
				a := state(1, "a")
				a.Framed, a.Era, a.PTS = true, g.era, want
				g.Announce(a)
			}
			g.Frame(&stream.Frame{Track: g.video, Era: g.era, DTS: dts, PTS: dts + reorder(int(i)), Key: i == 0,
				Wall: epoch.Add(window.Duration(dts)), Payload: make([]byte, 500)})
		}
		for _, e := range g.emsgs("video") {
			if e.time < want {
				t.Errorf("frame %d is meant, a message begins at %d", want/3600, e.time/3600)
			}
		}
	}
}

// TestRemovedRangesAreForgottenAtRest: many changes, and then none.
func TestRemovedRangesAreForgottenAtRest(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.opt.Settings.DVR, g.out.Settings.DVR = 30*time.Second, 30*time.Second
	g.feed(25*300, 25, false, noReorder, func(i int, _ int64) {
		if i < 25*120 && i%5 == 0 {
			g.Announce(state(i, fmt.Sprint("card", i)))
		}
	})
	text := playlist.Media(g.rendition("video"), g.out.Settings, playlist.SkipDateRanges)
	if n := strings.Count(string(text), "card"); n > 1 {
		t.Errorf("%d ranges are told of three minutes after the last change:\n%.2000s", n, text)
	}
}
