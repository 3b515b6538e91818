package packager

import (
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// TestContinueWithSilence: sound that is declared, and comes late or never, is silent meanwhile, with the codec data of before or
// others; a gap is left for what has no silence.
func TestContinueWithSilence(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 5, single(), nil)
	for _, other := range []bool{false, true} {
		for _, silent := range []bool{false, true} {
			lanes := single()
			lanes[1].gone = func(at float64) bool { return at < 3 }
			if other {
				lanes[1].track.Config = []byte{0x12, 0x10}
			}
			if !silent {
				lanes[1].track.Silence, lanes[1].track.SilenceSamples = nil, 0
			}
			x := continued(t, s.copyAt(t, len(s.moments)-2, nil, nil), 9, epoch)
			x.visit(x.from(), 8, lanes, 0, nil)
			x.judgeAll(silent)
			gaps := 0
			for _, g := range x.rendition("audio").Segments {
				for _, p := range g.Parts {
					gaps += btoi(p.Gap)
				}
			}
			if silent != (gaps == 0) {
				t.Errorf("silence %v, other codec data %v: %d gaps", silent, other, gaps)
			}
			breaks := 0
			for _, g := range x.rendition("video").Segments {
				breaks += btoi(g.Discontinuity)
			}
			if want := 1 + btoi(other && !silent); breaks != want {
				t.Errorf("silence %v, other codec data %v: %d discontinuities, want %d", silent, other, breaks, want)
			}
		}
	}
}

// TestContinueWithRungsOnly: where a picture can only come from a rung, and the publisher has gone again before any came, what is on
// its way is waited for.
func TestContinueWithRungsOnly(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 5, single(), nil)
	x := continued(t, s.copyAt(t, len(s.moments)-2, nil, nil), 9, epoch)
	next := ladderShow()
	next.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
	for _, st := range next.steps {
		st.lag = constant(1.2)
	}
	from := x.from()
	next.visit(from, 1, true)
	next.run(x.rig, nil)
	x.judgeAll("rungs only")
	for _, st := range next.steps {
		if n := len(x.samples(st.track.Rung)); n != 30 {
			t.Errorf("%d pictures of %s", n, st.track.Rung)
		}
	}
	if n := x.dropped(dropOldEra); n > 0 {
		t.Errorf("%v frames were dropped", n)
	}
	x.judgeFrom("rungs only", "audio", from, 1, []*lane{{track: next.sound}})
}

// TestContinueWithoutARung: players of a rung that is declared and does not come are not left waiting as long as for one that nobody
// was told of.
func TestContinueWithoutARung(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.visit(100, 6, false)
	notes := recordShow(g, s)
	x := continued(t, notes.copyAt(t, len(notes.moments)-1, nil, nil), 9, epoch)
	next := ladderShow()
	next.steps[1].dead = func(float64) bool { return true }
	next.visit(x.from(), 6, false)
	next.run(x.rig, nil)
	if last, _ := x.rendition("480p").Last(); last.MSN <= x.last {
		t.Errorf("after 6 s the rung that does not come is at %v, the others began with %d", last, x.last+1)
	}
	x.judgeAll("without a rung")
}

// TestContinueAndGoAgain: a publisher that goes before a frame came, and the end of a presentation that was only taken over.
func TestContinueAndGoAgain(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 5, layers(), nil)
	late := func(name string) int { return btoi(name == "video-2") * 40 }
	x := continued(t, s.copyAt(t, len(s.moments)-2, late, nil), 9, epoch)
	x.Tracks([]*stream.Track{layers()[0].track})
	x.Away()
	x.Announce(state(1, "a"))
	for _, r := range x.renditions {
		if now := x.rendition(r.name); now.Ended || now.NextMSN != x.last+1 {
			t.Errorf("%s goes on with %d, ended %v", r.name, now.NextMSN, now.Ended)
		}
	}
	x.End()
	x.judge("gone")
	x.checkAlike()
	x.judgeTakeover("gone")
	if !x.Presentation().Load().Ended {
		t.Error("it has not ended")
	}
	if len(x.variantRenditions()) != 6 {
		t.Errorf("the variants have %q", x.variantRenditions())
	}

	// The same, and the publisher returns.
	x = continued(t, s.copyAt(t, len(s.moments)-2, late, nil), 9, epoch)
	x.era = 1
	x.Away()
	x.era = 2
	x.visit(x.from()+20, 5, layers(), 0, nil)
	x.judgeAll("back")
	breaks := slices.DeleteFunc(slices.Clone(x.rendition("video").Segments), func(g *window.Segment) bool { return !g.Discontinuity })
	if len(breaks) != 1 || breaks[0].Wall.Sub(x.date) < 19*time.Second {
		t.Errorf("%d discontinuities", len(breaks))
	}
}
