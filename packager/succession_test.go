package packager

import (
	"slices"
	"testing"

	"pushcart/internal/stream"
)

// TestAPictureOfAnotherSizeLeads: what stands in for a browser's VP8 is named by its size, which changes with the network. Who plays it
// has no other playlist to go to: it goes on in the same one, and takes no name that another rung has.
func TestAPictureOfAnotherSizeLeads(t *testing.T) {
	t.Parallel()
	for _, lag := range []float64{0.2, 1.2} {
		g := newRig(t)
		s := ladderShow()
		s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
		s.steps = s.steps[:1]
		large := rungTrack(16, "720p", 1280, 720)
		small := rungTrack(16, "360p", 640, 360)
		small.Config = append(slices.Clone(small.Config), 3)
		s.steps[0] = &step{track: large, lag: constant(lag), other: small, from: 14}
		s.visit(100, 30, true)
		s.at(114.1, func(g *rig) { g.Tracks([]*stream.Track{s.picture.track, s.sound, small}) })
		s.run(g, nil)
		g.judgeShow(lag)
		if got := g.variantNames(); !slices.Equal(got, []string{"720p"}) {
			t.Errorf("lag %v: variants %v", lag, got)
		}
		if v := g.Presentation().Load().Variants; v[0].Height != 360 {
			t.Errorf("lag %v: the variant is %dx%d", lag, v[0].Width, v[0].Height)
		}
		if n := len(g.samples("720p")); n != 900 {
			t.Errorf("lag %v: %d pictures of 900", lag, n)
		}
		if n := len(g.Presentation().Load().Renditions); n != 2 {
			t.Errorf("lag %v: %d renditions", lag, n)
		}
		r := g.rendition("720p")
		if n := r.Segments[len(r.Segments)-1].DiscontinuitySequence; n != 1 {
			t.Errorf("lag %v: %d discontinuities", lag, n)
		}
	}
}

// TestNamesThatMoveBetweenRungs: what stands in goes on in its rendition when another rung gets the name that it had for a while.
func TestNamesThatMoveBetweenRungs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
	large, small, own := rungTrack(16, "720p", 1280, 720), rungTrack(16, "360p", 640, 360), rungTrack(18, "360p", 640, 360)
	s.steps = []*step{{track: large, lag: constant(0.5), other: small, from: 10}}
	s.visit(100, 20, true)
	again := []*step{{track: large, lag: constant(0.5)}, {track: own, lag: constant(0.3)}}
	s.at(110, func(g *rig) { g.Tracks([]*stream.Track{s.picture.track, small, s.sound}) })
	s.steps = again
	s.visit(120.4, 20, true)
	s.run(g, func(at float64) {
		if at > 112 && at < 120 {
			if got := g.variantNames(); !slices.Equal(got, []string{"720p"}) {
				t.Fatalf("variants %v", got)
			}
		}
	})
	g.judgeShow("names")
	if got := g.variantNames(); !slices.Equal(got, []string{"720p", "360p"}) || g.picture.name != "720p" {
		t.Errorf("variants %v, %s leads", got, g.picture.name)
	}
	if a, b := len(g.samples("720p")), len(g.samples("360p")); a < 1185 || b != 600 {
		t.Errorf("%d and %d pictures", a, b)
	}
	if n := len(g.Presentation().Load().Renditions); n != 3 {
		t.Errorf("%d renditions", n)
	}
}

// TestTheNextRungLeads when a change of plan takes the leading one away, and the publisher's own picture once it can be delivered:
// others do not follow a still picture for the rest of the show.
func TestTheNextRungLeads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		lag     float64 // of the one that goes
		next    float64 // of the one that comes
		reorder bool
	}{{"alike", 0.3, 0.3, false}, {"sooner", 1.1, 0.1, false}, {"later", 0.1, 1.2, false}, {"reordered", 0.4, 0.6, true}} {
		g := newRig(t)
		s := ladderShow()
		s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
		s.picture.reorder = c.reorder
		s.steps[0].lag, s.steps[1].lag = constant(c.lag), constant(c.next)
		s.steps[0].dead = func(at float64) bool { return at > 14.3 }
		s.steps[1].coded = c.reorder
		s.visit(100, 40, true)
		s.at(114.2, func(g *rig) {
			g.Tracks(slices.DeleteFunc(slices.Clone(g.tracks), func(t *stream.Track) bool { return t.Rung == "720p" }))
		})
		s.run(g, nil)
		if g.picture.name != "480p" {
			t.Errorf("%s: %s leads", c.name, g.picture.name)
		}
		g.judgeShow(c.name)
		if got := g.variantNames(); !slices.Equal(got, []string{"480p", "240p"}) {
			t.Errorf("%s: variants %v", c.name, got)
		}
		for _, name := range []string{"480p", "240p"} {
			s.judgePictures(g, c.name, name)
			if n := len(g.samples(name)); n < 1200-150 {
				t.Errorf("%s: %s has %d pictures of 1200", c.name, name, n)
			}
		}
		if n := len(g.samples("audio")); n < 1870 {
			t.Errorf("%s: %d frames of sound", c.name, n)
		}
		r := g.rendition("480p")
		if n := r.Segments[len(r.Segments)-1].DiscontinuitySequence; n != 0 {
			t.Errorf("%s: %d discontinuities", c.name, n)
		}
		if t.Failed() {
			return
		}
	}
}

// TestThePublishersPictureLeadsAgain when what it sends can be delivered, in mid-visit and in the next one.
func TestThePublishersPictureLeadsAgain(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = s.steps[:1]
	own := s.picture.track
	vp8 := &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
	s.picture.track = vp8
	s.visit(100, 14, true)
	s.visit(120, 14, true)
	s.picture.track = own
	s.visit(140, 14, true)
	s.picture.track = vp8
	s.visit(160, 30, true)
	// Behind 10 s of it the publisher goes over to H.264.
	s.at(170.01, func(g *rig) { g.Tracks([]*stream.Track{own, s.sound, s.steps[0].track}) })
	s.at(170.4, func(g *rig) { g.Tracks([]*stream.Track{own, s.sound}) })
	for _, e := range s.picture.pictures(4, 160, 30) {
		if e.at > 10 {
			e.f.Track = own
			s.at(160+e.at, func(g *rig) { g.Frame(&e.f) })
		}
	}
	s.run(g, func(at float64) {
		if at > 101 && at < 134 && g.picture.name != "720p" || at > 141 && at < 154 && g.picture.name != "video" || at > 162 && at < 170 && g.picture.name != "720p" {
			t.Fatalf("after %.2f s %s leads", at-100, g.picture.name)
		}
	})
	if g.picture.name != "video" {
		t.Errorf("%s leads", g.picture.name)
	}
	g.judgeShow("own again")
	if got := g.variantNames(); !slices.Equal(got, []string{"video"}) {
		t.Errorf("variants %v", got)
	}
	if n := len(g.samples("video")); n < 14*30+17*30 {
		t.Errorf("%d pictures of the publisher's", n)
	}
}

// TestAHeldPictureIsSucceeded: where a publisher comes back and its sound is there long before its picture, the picture of before is held
// and leads. It does not lead on when another one comes: a rung for what cannot be delivered now, or the publisher's own.
func TestAHeldPictureIsSucceeded(t *testing.T) {
	t.Parallel()
	for _, vp8First := range []bool{false, true} {
		g := newRig(t)
		s := ladderShow()
		s.steps = s.steps[:1]
		s.steps[0].lag = constant(0.4)
		own := s.picture.track
		vp8 := &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
		visits, want := []*stream.Track{own, vp8}, "720p"
		if vp8First {
			visits, want = []*stream.Track{vp8, own}, "video"
		}
		s.picture.track = visits[0]
		s.visit(100, 10, true)
		s.picture.track = visits[1]
		s.stops = func(video bool, at float64) bool { return video && at < 7.9 }
		s.visit(115, 30, true)
		s.run(g, func(at float64) {
			if at > 119 && at < 122 && (g.lead.track == nil || g.picture.name == want || g.era != 2 || !g.needKey) {
				t.Fatalf("after %.2f s no picture is held", at)
			}
		})
		if g.picture.name != want {
			t.Errorf("%v: %s leads", vp8First, g.picture.name)
		}
		g.judgeShow(vp8First)
		if n := len(g.samples(want)); n < 30*20 {
			t.Errorf("%v: %d pictures", vp8First, n)
		}
		if n := len(g.samples("audio")); n < 40*46 {
			t.Errorf("%v: %d frames of sound", vp8First, n)
		}
		if t.Failed() {
			return
		}
	}
}
