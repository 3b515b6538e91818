package packager

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// single is a camera in one size, and its sound.
func single() []*lane {
	return []*lane{{track: videoTrack(0, 1280, 720), fps: 30, gop: 60}, {track: audioTrack(100, ""), late: 0.02}}
}

// recorded plays lanes and notes every moment.
func recorded(t *testing.T, seconds float64, lanes []*lane, before func(g *rig, at float64)) (*rig, *scribe) {
	return record(newRig(t), seconds, lanes, before)
}

func record(g *rig, seconds float64, lanes []*lane, before func(g *rig, at float64)) (*rig, *scribe) {
	s := newScribe(g)
	s.visit(100, seconds, lanes, before)
	return g, s
}

// visit plays lanes from a time on, and notes every moment.
func (s *scribe) visit(from, seconds float64, lanes []*lane, before func(g *rig, at float64)) {
	g := s.g
	g.run(from, seconds, lanes, func(at float64, f *stream.Frame) {
		s.note()
		if before != nil {
			before(g, at)
		}
	})
	s.note()
}

// judgeAll ends a takeover's presentation and holds all of it against the rules.
func (x *takeover) judgeAll(label any) {
	x.t.Helper()
	x.End()
	x.judge(label)
	x.judgeTold(label)
	x.judgeSets(label)
	x.checkAlike()
	x.judgeTakeover(label)
}

// TestContinueAnywhere takes a presentation over as it was copied at each moment of its first segments: with one rendition, with two and
// with four; with all renditions as far, and with each in its turn behind by a part and by segments.
func TestContinueAnywhere(t *testing.T) {
	t.Parallel()
	for name, lanes := range map[string]func() []*lane{
		"sound":   func() []*lane { return single()[1:] },
		"picture": func() []*lane { return single()[:1] },
		"both":    single,
		"layers":  layers,
		"eras":    single,
		"gaps": func() []*lane {
			all := layers()
			all[1].gone = func(at float64) bool { return at > 0.7 && at < 2.2 }
			all[2].gone = func(at float64) bool { return at > 1.2 }
			all[3].track.Silence = nil
			all[3].gone = func(at float64) bool { return at > 1.6 && at < 2.7 }
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			short := func(all []*lane) []*lane {
				for _, l := range all {
					l.gop /= 2
				}
				return all
			}
			g := newRigWith(t, func(o *Options) { o.Settings.SegmentDuration = time.Second })
			_, s := record(g, 3.3, short(lanes()), nil)
			after := lanes
			switch name {
			case "eras":
				for n := range 3 {
					s.g.Away()
					s.note()
					s.g.era++
					s.visit(105+4*float64(n), 0.7, short(lanes()), nil)
				}
			case "gaps":
				after = layers
			}
			names := []string{""}
			for name := range s.chains {
				names = append(names, name)
			}
			slices.Sort(names)
			for m := range s.moments {
				if len(names) > 3 && m%3 > 0 {
					continue // each rendition has its turn in each third moment
				}
				late := names[m%len(names)]
				by := []int{1, 2, 7, 12}[m/len(names)%4] * len(s.chains)
				c := s.copyAt(t, m, func(name string) int {
					if name == late {
						return by
					}
					return 0
				}, nil)
				if !continues(c) {
					continue
				}
				x := continued(t, c, 1_000_000, epoch)
				from := x.from()
				x.visit(from, 1.6, after(), 0, nil)
				label := fmt.Sprintf("moment %d, %q behind by %d", m, late, by)
				x.judgeAll(label)
				for _, r := range x.renditions {
					x.judgeMedia(label, r.name)
					x.judgeFrom(label, r.name, from, 1.6, after())
					if m > len(s.moments)/2 && !slices.Contains(x.variantRenditions(), r.name) {
						t.Errorf("%s: %s is in no variant", label, r.name)
					}
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// variantRenditions are the names of all renditions that the variants have.
func (g *rig) variantRenditions() (names []string) {
	for _, v := range g.Presentation().Load().Variants {
		names = append(names, v.Video.Name)
		if v.Audio != nil {
			for _, m := range v.Audio.Members {
				names = append(names, m.Rendition.Name)
			}
		}
	}
	return names
}

// judgeFrom: all frames of a visit from a time on are there, but for the last ones and sound in front of the first picture.
func (x *takeover) judgeFrom(label any, name string, from, seconds float64, lanes []*lane) {
	x.t.Helper()
	for _, l := range lanes {
		if renditionName(l.track.ID) != name {
			continue
		}
		rate := float64(l.track.ClockRate)
		want, n := 0, 0
		for _, e := range l.frames(1, from, seconds) {
			if e.at > 0.1 {
				want++
			}
		}
		for _, s := range x.samples(name) {
			if float64(s.pts)/rate > from+0.1 {
				n++
			}
		}
		if n < want-12 || n > want+1 {
			x.t.Errorf("%v: %d frames of %d came out in %s", label, n, want, name)
		}
	}
}

// TestContinueWithAnotherClock: a node whose clock is behind or ahead does not take dates and the timeline back.
func TestContinueWithAnotherClock(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 7, single(), nil)
	for _, off := range []time.Duration{-5 * time.Second, -time.Second, 5 * time.Second} {
		for _, bytes := range []bool{true, false} {
			c := s.copyAt(t, len(s.moments)-3, nil, func(*window.Segment, int) bool { return bytes })
			now := epoch.Add(107*time.Second + off)
			x := continued(t, c, 8, now) // a generation from a clock that is behind is one more than the last
			if end := time.Unix(107, 0); bytes && (x.Begins().Before(end.Add(-200*time.Millisecond)) || x.Begins().After(end.Add(time.Second))) {
				t.Errorf("the timeline is to begin at %v, what was copied ends at about %v", x.Begins(), end)
			}
			if !bytes && x.Begins().Before(x.date) {
				t.Errorf("without bytes the timeline is to begin at %v, before the date %v", x.Begins(), x.date)
			}
			if clock := x.Clock(); clock.Before(x.date) || clock.Before(now) {
				t.Errorf("the stream's clock is at %v, what was copied ends at %v", clock, x.date)
			}
			from := x.from()
			shift := time.Duration((107 - from) * 1e9) // of the times of capture, which do not go by the timeline
			x.visit(from, 5, single(), shift+off, nil)
			x.judgeAll(off)
			for _, r := range x.renditions {
				x.judgeFrom(off, r.name, from, 5, single())
			}
			if g := x.rendition("video").Segment(x.last + 1); off < 0 && !g.Wall.Equal(x.date) || off > 0 && g.Wall.Sub(x.date) < 4*time.Second {
				t.Errorf("%v: the first segment is dated %v, what was copied ends at %v", off, g.Wall, x.date)
			}
		}
	}
}

// TestContinueKeepsWhatIsFixed: a presentation's PART-TARGET, target duration and DVR stay, whatever the node's settings and the new
// frames are.
func TestContinueKeepsWhatIsFixed(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 7, single(), nil)
	for _, fps := range []int{12, 24, 25, 50, 60} {
		x := continued(t, s.copyAt(t, len(s.moments)-5, nil, nil), 9, epoch)
		lanes := []*lane{{track: videoTrack(0, 1920, 1080), fps: fps, gop: 20 * fps}, {track: opusTrack(100), late: 0.02}}
		lanes[0].track.Config = []byte{1, 0x64, 0, 0x28, 0xfe}
		from := x.from()
		x.Tracks([]*stream.Track{lanes[0].track})
		x.visit(from, 13, lanes[:1], 0, nil)
		x.judgeAll(fps)
		x.check("video")
		x.judgeMedia(fps, "video")
		x.judgeFrom(fps, "video", from, 13, lanes)
		set := x.Presentation().Settings
		if set.TargetDuration != 4 || set.DVR != 60*time.Second {
			t.Errorf("the settings have become %+v", set)
		}
		full := 0
		for _, g := range x.rendition("video").Segments {
			if g.MSN > x.last && g.Duration > 3*window.Rate {
				full++
			}
		}
		if full < 2 {
			t.Errorf("%d frames a second: %d segments of the length that the presentation allows, without a key frame", fps, full)
		}
	}
}

// TestContinueWithOtherMedia: renditions that the new publisher has not are told of no more, and new ones are; the numbers go on in all.
func TestContinueWithOtherMedia(t *testing.T) {
	t.Parallel()
	big := func(id, width, height int) *lane {
		return &lane{track: videoTrack(id, width, height), fps: 30, gop: 60}
	}
	for name, c := range map[string]struct {
		before, after []*lane
		want          []string
	}{
		"sound to both":           {single()[1:], single(), []string{"video", "audio"}},
		"picture to both":         {single()[:1], single(), []string{"video", "audio"}},
		"both to sound":           {single(), single()[1:], []string{"audio"}},
		"both to picture":         {single(), single()[:1], []string{"video"}},
		"sound to picture":        {single()[1:], single()[:1], []string{"video"}},
		"picture to sound":        {single()[:1], single()[1:], []string{"audio"}},
		"layers to one":           {layers(), single(), []string{"video", "audio"}},
		"one to layers":           {single(), layers(), []string{"video-2", "audio", "video-1", "audio", "video", "audio"}},
		"another size":            {single(), []*lane{big(0, 640, 360), single()[1]}, []string{"video", "audio"}},
		"picture of other number": {single(), []*lane{big(1, 640, 360), single()[1]}, []string{"video-1", "audio"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := recorded(t, 7, c.before, nil)
			for _, m := range []int{len(s.moments) - 1, len(s.moments) - 4, len(s.moments) / 2} {
				x := continued(t, s.copyAt(t, m, nil, nil), 9, epoch)
				from := x.from()
				x.visit(from, 16, c.after, 0, func(at float64, f *stream.Frame) {
					if int(at*100)%150 == 0 {
						x.Announce(state(int(at * 100)))
					}
				})
				if got := x.variantRenditions(); !slices.Equal(got, c.want) {
					t.Errorf("the variants have %q, want %q", got, c.want)
				}
				x.judgeAll(m)
				for _, r := range x.renditions {
					x.judgeFrom(m, r.name, from, 16, c.after)
				}
			}
		})
	}
}

// TestContinueAndPictureComesLate: where there was a picture, and sound is first when the publisher is here, that leads until the
// picture comes; all number on together.
func TestContinueAndPictureComesLate(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 7, layers(), nil)
	for _, late := range []float64{0.3, 1.2, 2.5, 6.01, 9.3} {
		x := continued(t, s.copyAt(t, len(s.moments)-2, nil, nil), 9, epoch)
		lanes := layers()
		for _, l := range lanes[:3] {
			l.gone, l.rekey = func(at float64) bool { return at < late }, true
		}
		from := x.from()
		x.visit(from, 16, lanes, 0, nil)
		if got := x.variantRenditions(); len(got) != 6 {
			t.Errorf("%v s late: the variants have %q", late, got)
		}
		x.judgeAll(late)
		if n := len(x.samples("video")); n < int(7*30+(16-late)*30)-20 {
			t.Errorf("%v s late: %d pictures", late, n)
		}
	}
}

// TestContinueWithoutBytes: what a copy knows of, but has no bytes of, breaks nothing.
func TestContinueWithoutBytes(t *testing.T) {
	t.Parallel()
	_, s := recorded(t, 8, single(), func(g *rig, at float64) {
		if int(at*1000)%500 == 0 {
			g.Announce(state(int(at*1000), "a"))
		}
	})
	for n, has := range []func(g *window.Segment, part int) bool{
		func(*window.Segment, int) bool { return false },
		func(g *window.Segment, part int) bool { return part%2 == 0 },
		func(g *window.Segment, part int) bool { return g.MSN > 1002 },
		func(g *window.Segment, part int) bool { return g.MSN < 1002 },
	} {
		x := continued(t, s.copyAt(t, len(s.moments)-2, nil, has), 9, epoch)
		x.visit(x.from(), 5, single(), 0, func(at float64, f *stream.Frame) {
			if int(at*1000)%500 == 0 {
				x.Announce(state(int(at*1000), "a"))
			}
		})
		x.judgeAll(n)
	}
}

// TestWhatIsNotContinued: a presentation that has ended, or never had media, is not gone on with, and its numbers are not used again.
func TestWhatIsNotContinued(t *testing.T) {
	t.Parallel()
	g, s := recorded(t, 3, single(), nil)
	g.End()
	s.note()
	ended := s.copyAt(t, len(s.moments)-1, nil, nil)
	late := s.copyAt(t, len(s.moments)-1, func(name string) int { return btoi(name == "audio") * 3 }, nil)
	for name, c := range map[string]*window.Presentation{
		"ended": ended, "ended in one rendition": late, "empty": window.NewCopy("show", window.Settings{TargetDuration: 4}),
	} {
		p := New("show", Options{Settings: testSettings(), Gen: 9, FirstMSN: 5, Continue: c, Metrics: g.opt.Metrics, Log: g.opt.Log})
		if p.Presentation() == c || !p.Begins().IsZero() {
			t.Errorf("%s: it goes on", name)
		}
		if want := max(5, numbersBehind(c)); p.NextMSN() != want {
			t.Errorf("%s: the new one begins with %d, want %d", name, p.NextMSN(), want)
		}
	}
}
