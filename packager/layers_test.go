package packager

import (
	"slices"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// TestLayersAreCutAlike: three sizes of one camera have the same boundaries, to the tick, from the first segment on.
func TestLayersAreCutAlike(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	g.run(100, 12, layers(), nil)
	g.End()
	g.judge("layers")
	g.judgeTold("layers")
	lead := g.firsts(g.Presentation().Load().Rendition("video"))
	for _, name := range []string{"video-1", "video-2"} {
		s := g.rendition(name)
		if !s.Independent || s.Segments[0].MSN != 1000 {
			t.Errorf("%s: independent %v, begins with %d", name, s.Independent, s.Segments[0].MSN)
		}
		if all := g.firsts(s.Rendition()); !slices.Equal(all, lead) {
			t.Errorf("%s: parts begin at\n%v, those of the leading one at\n%v", name, all, lead)
		}
		if _, gaps := g.parts(name); gaps > 0 {
			t.Errorf("%s has %d gaps", name, gaps)
		}
	}
	if got := g.variantNames(); !slices.Equal(got, []string{"video-2", "video-1", "video"}) {
		t.Errorf("variants %v", got)
	}
}

// TestALayerStopsAndReturns, as when a browser is short of bandwidth: the others do not wait for it, it is a gap while it is
// away, and those who join meanwhile are not told of it.
func TestALayerStopsAndReturns(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	all := layers()
	all[2].gone = func(at float64) bool { return at > 5.2 && at < 19 }
	all[2].rekey = true
	listed := []string{}
	g.run(100, 30, all, func(at float64, _ *stream.Frame) {
		if at > 18 && at < 18.1 {
			listed = g.variantNames()
		}
		if s := g.Presentation().Load().Rendition("video-2"); s != nil && at > 3 {
			if behind := g.lead.end - window.Ticks(100*90000) - s.Load().End(); behind > 90000 {
				t.Fatalf("at %.2f s the layer is %d ms behind", at, behind/90)
			}
		}
	})
	g.End()
	g.judge("stops")
	g.judgeTold("stops")
	for _, name := range []string{"video", "video-1", "audio"} {
		if _, gaps := g.parts(name); gaps > 0 {
			t.Errorf("%s has %d gaps", name, gaps)
		}
	}
	s := g.rendition("video-2")
	if media, gaps := g.parts("video-2"); gaps < 55 || gaps > 70 || media < 75 {
		t.Errorf("%d parts of media, %d gaps", media, gaps)
	}
	whole := 0
	for _, seg := range s.Segments {
		if seg.Gap() {
			whole++
		}
	}
	if whole < 5 {
		t.Errorf("%d segments are gaps", whole)
	}
	if !slices.Equal(listed, []string{"video-1", "video"}) {
		t.Errorf("while it is away, the variants are %v", listed)
	}
	if got := g.variantNames(); !slices.Equal(got, []string{"video-2", "video-1", "video"}) {
		t.Errorf("when it is back, the variants are %v", got)
	}
}

// TestALateLayerJoinsAtABoundary where it has a key frame, and its number is the leading one's.
func TestALateLayerJoinsAtABoundary(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Announce(state(1, "a"))
	all := layers()
	all[1].gone = func(at float64) bool { return at < 7.3 }
	all[2].gone = func(at float64) bool { return at < 0.9 }
	all[2].phase = 13 // never with the others
	all[2].off = 0
	g.run(100, 20, all, func(at float64, _ *stream.Frame) {
		switch got := g.variantNames(); {
		case at < 2.5 && len(got) > 0:
			t.Fatalf("after %.2f s, without two of three layers, the variants are %v", at, got)
		case at > 2.9 && at < 4 && !slices.Equal(got, []string{"video"}):
			t.Fatalf("after %.2f s, the variants are %v", at, got)
		}
	})
	g.End()
	g.judge("late")
	g.judgeTold("late")
	if first := g.rendition("video-1").Segments[0].MSN; first != 1004 {
		t.Errorf("the layer begins with %d", first)
	}
	g.judgeMedia("late", "video-1")
	if got := g.variantNames(); !slices.Equal(got, []string{"video-2", "video-1", "video"}) {
		t.Errorf("variants %v", got)
	}
}

// TestAllLayersAreInTheFirstList, although one of them joins where the second segment begins.
func TestAllLayersAreInTheFirstList(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	all := layers()
	all[1].gone = func(at float64) bool { return at < 0.5 }
	listed := 0.0
	g.run(100, 5, all, func(at float64, _ *stream.Frame) {
		if got := g.variantNames(); len(got) > 0 && len(got) < 3 {
			t.Fatalf("after %.2f s, the variants are %v", at, got)
		} else if listed == 0 && len(got) > 0 {
			listed = at
		}
	})
	if listed < 2 || listed > 2.5 {
		t.Errorf("they are listed after %.2f s", listed)
	}
}

// TestOnePictureIsNotHeldBack for others that nobody has declared.
func TestOnePictureIsNotHeldBack(t *testing.T) {
	t.Parallel()
	for _, all := range [][]*lane{layers()[:1], {layers()[0], layers()[3]}} {
		g := newRig(t)
		listed := 0.0
		g.run(100, 2, all, func(at float64, _ *stream.Frame) {
			if listed == 0 && len(g.variantNames()) > 0 {
				listed = at
			}
		})
		if listed == 0 || listed > 0.95 {
			t.Errorf("with %d tracks, it is listed after %.2f s", len(all), listed)
		}
	}
}

// TestALayerWithKeyFramesOfItsOwn joins none the less, behind a gap, and claims no independence: a camera's second stream.
func TestALayerWithKeyFramesOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, phase := range []int{2, 13, 31, 58} {
		g := newRig(t)
		g.Announce(state(1, "a"))
		all := layers()
		all[2].phase, all[2].off = phase, 0
		g.run(100, 20, all, func(at float64, f *stream.Frame) {
			if f.Track.ID == 2 && f.Key && at > 9 && at < 13 {
				g.Announce(state(int(at), "b"))
			}
			if r := g.Presentation().Load().Rendition("video-2"); r != nil && r.Load().Independent {
				t.Fatal("it claims independence")
			}
		})
		g.End()
		g.judge(phase)
		g.judgeTold(phase)
		s := g.rendition("video-2")
		first := s.Segments[0]
		if n := first.MSN - 1000; n < 2 || n > 4 {
			t.Errorf("phase %d: it begins with the segment %d of the show", phase, n)
		}
		if _, gaps := g.parts("video-2"); !first.Parts[0].Gap || gaps > 12 {
			t.Errorf("phase %d: it begins with a gap: %v; %d gaps", phase, first.Parts[0].Gap, gaps)
		}
		for _, name := range []string{"video", "video-1", "video-2"} {
			g.judgeMedia(phase, name)
			g.check(name)
		}
		if n := len(g.samples("video-2")); n < 400 {
			t.Errorf("phase %d: %d pictures of 600", phase, n)
		}
		if got := g.variantNames(); !slices.Equal(got, []string{"video-2", "video-1", "video"}) {
			t.Errorf("phase %d: variants %v", phase, got)
		}
	}
}

// TestALayerWithoutKeyFramesAtBoundaries goes on being cut, and claims no independence.
func TestALayerWithoutKeyFramesAtBoundaries(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	all := layers()
	all[1].gop = 90
	all[2].fps, all[2].gop = 15, 30
	g.run(100, 20, all, nil)
	g.End()
	g.judge("keys")
	if s := g.rendition("video-1"); s.Independent || s.Segments[0].MSN != 1000 || s.Segments[1].Independent() {
		t.Errorf("independent %v, segment %d is %v", s.Independent, s.Segments[1].MSN, s.Segments[1].Independent())
	}
	if s := g.rendition("video-2"); !s.Independent {
		t.Error("a layer of half the rate is not independent")
	}
	if n := len(g.samples("video-1")); n != 600 {
		t.Errorf("%d pictures of 600", n)
	}
}

// TestALayerChangesItsSize: its new track begins at a discontinuity that all renditions have.
func TestALayerChangesItsSize(t *testing.T) {
	t.Parallel()
	for _, id := range []int{0, 2} {
		g := newRig(t)
		all := layers()
		all[id].from, all[id].other = 7.5, videoTrack(id, 960, 540)
		all[id].other.Config = []byte{1, 0x42, 0, 0x1e, 0xff}
		g.run(100, 20, all, nil)
		g.End()
		g.judge(id)
		name := renditionName(id)
		inits := map[string]bool{}
		for _, seg := range g.rendition(name).Segments {
			inits[seg.Init.Name] = true
		}
		if s := g.rendition(name); len(inits) != 2 || s.Segments[len(s.Segments)-1].DiscontinuitySequence != 1 {
			t.Errorf("%s has %d initialisation sections, discontinuities %d", name, len(inits), s.Segments[len(s.Segments)-1].DiscontinuitySequence)
		}
		if v := g.Presentation().Load().Variants; !slices.ContainsFunc(v, func(v window.Variant) bool { return v.Video.Name == name && v.Width == 960 }) {
			t.Errorf("the variants of %s have its old size", name)
		}
	}
}

// TestTheNextLayerLeads when the one of the lowest number has no frames; that one joins in later, and leads the next visit.
func TestTheNextLayerLeads(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	all := layers()
	all[0].gone = func(at float64) bool { return at < 5 }
	g.run(100, 12, all, nil)
	if g.picture.id != 1 {
		t.Errorf("track %d leads", g.picture.id)
	}
	g.Away()
	g.era++
	all[0].gone = nil
	g.run(120, 12, all, nil)
	if g.picture.id != 0 {
		t.Errorf("on the next visit, track %d leads", g.picture.id)
	}
	g.End()
	g.judge("next")
	for _, name := range []string{"video", "video-1", "video-2"} {
		if s := g.rendition(name); s.Segments[len(s.Segments)-1].Gap() {
			t.Errorf("%s ends with a gap", name)
		}
	}
}

// TestTheLeadingLayerStops: its picture is held, and the others go on being cut by it.
func TestTheLeadingLayerStops(t *testing.T) {
	t.Parallel()
	for _, sound := range []bool{true, false} {
		g := newRig(t)
		all := layers()
		all[0].gone = func(at float64) bool { return at > 5.2 && at < 12 }
		g.run(100, 20, all[:3+btoi(sound)], nil)
		g.End()
		g.judge(sound)
		for _, name := range []string{"video-1", "video-2"} {
			if n := len(g.samples(name)); n < 595 {
				t.Errorf("sound %v: %s has %d pictures of 600", sound, name, n)
			}
		}
	}
}

// TestAVisitWithoutALayer: the rendition numbers on in gaps, and those who join are told of the others only.
func TestAVisitWithoutALayer(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.run(100, 8, layers(), nil)
	g.Away()
	g.era++
	g.run(120, 30, []*lane{layers()[1], layers()[3]}, nil)
	g.End()
	g.judge("without")
	if got := g.variantNames(); !slices.Equal(got, []string{"video-1"}) {
		t.Errorf("variants %v", got)
	}
	if r := g.rendition("video-1").Reports; len(r) != 1 {
		t.Errorf("reports on %v", r)
	}
}

// TestQueuesAreBounded: frames of a layer whose clock stands still, while the leading one does not come.
func TestQueuesAreBounded(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.Tracks([]*stream.Track{videoTrack(0, 320, 180), videoTrack(1, 640, 360), audioTrack(100, "")})
	for i := range int64(5000) {
		for _, tr := range []*stream.Track{videoTrack(1, 640, 360), audioTrack(100, "")} {
			g.Frame(&stream.Frame{Track: tr, Era: 1, DTS: 90000 + i/100, PTS: 90000 + i/100, Key: i%60 == 0, Duration: 1, Wall: epoch, Payload: make([]byte, 20000)})
		}
		for _, r := range g.renditions {
			if len(r.queue.frames) > mostQueuedFrames || r.queue.bytes > mostQueuedBytes {
				t.Fatalf("%d frames of %d bytes wait", len(r.queue.frames), r.queue.bytes)
			}
		}
	}
	if n := g.dropped(dropQueueFull); n < 1000 {
		t.Errorf("%v frames were dropped", n)
	}
}

// TestNoMoreTracksThanThereAreNumbers, and none of those that HLS has no place for.
func TestNoMoreTracksThanThereAreNumbers(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for id := -3; id < 200; id++ {
		g.Frame(&stream.Frame{Track: videoTrack(id, 1, 1), Era: 1, Key: true, Wall: epoch})
		g.Frame(&stream.Frame{Track: audioTrack(id, ""), Era: 1, Key: true, Wall: epoch})
		g.Frame(&stream.Frame{Track: &stream.Track{ID: id, Codec: stream.VP8, ClockRate: 90000}, Era: 1, Key: true, Wall: epoch})
		g.Frame(&stream.Frame{Track: &stream.Track{ID: id, Codec: stream.PCMU, ClockRate: 8000}, Era: 1, Key: true, Wall: epoch})
	}
	if n := len(g.renditions); n != 2*mostTracks {
		t.Errorf("%d renditions", n)
	}
}

// TestWhatCannotBeDeliveredDelaysNothing: sound beside a VP8 picture is played as if it were alone.
func TestWhatCannotBeDeliveredDelaysNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	vp8 := &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 640, Height: 360}
	g.run(100, 3, []*lane{{track: vp8, fps: 30, gop: 60}, {track: audioTrack(100, "")}}, func(at float64, _ *stream.Frame) {
		if at > 1.6 && len(g.Presentation().Load().Variants) == 0 {
			t.Fatal("nothing to play after 1.6 s")
		}
	})
	if g.picture != nil {
		t.Error("a VP8 picture leads")
	}
}
