package packager

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// recordShow plays a show and notes every moment.
func recordShow(g *rig, s *show) *scribe {
	notes := newScribe(g)
	s.run(g, func(float64) { notes.note() })
	return notes
}

// TestContinueWithRungs: rungs keep their names, whatever their numbers are now; those that are not made here are told of no more.
func TestContinueWithRungs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = append(s.steps, &step{track: rungTrack(20, "A strange label", 320, 180), lag: constant(0.1)})
	s.steps = append(s.steps, &step{track: rungSound(116, "audio-aac"), lag: constant(0.2), coded: true, every: 1})
	s.visit(100, 5, false)
	notes := recordShow(g, s)
	if g.Presentation().Load().Rendition("video-20") == nil {
		t.Fatalf("the renditions are %q", g.variantRenditions())
	}
	for n, change := range []func(s *show){
		func(*show) {},
		func(s *show) { // other numbers
			for i, st := range s.steps[:3] {
				st.track.ID = 18 + 3*i
			}
		},
		func(s *show) { s.steps = slices.Delete(s.steps, 1, 2) },
		func(s *show) { s.steps = nil },
		func(s *show) {
			s.steps = append(s.steps, &step{track: rungTrack(26, "1080p", 1920, 1080), lag: constant(0.2)})
		},
		func(s *show) { // the publisher's own picture cannot be delivered now
			s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
		},
	} {
		for _, m := range []int{len(notes.moments) - 1 - 7*n, len(notes.moments) * 2 / 3} {
			x := continued(t, notes.copyAt(t, m, nil, nil), 9, epoch)
			next := ladderShow()
			next.steps = append(next.steps, &step{track: rungTrack(20, "A strange label", 320, 180), lag: constant(0.1)})
			next.steps = append(next.steps, &step{track: rungSound(116, "audio-aac"), lag: constant(0.2), coded: true, every: 1})
			change(next)
			next.visit(x.from(), 9, true)
			next.run(x.rig, nil)
			want := []string{"audio"}
			if next.picture.track.Codec == stream.H264 {
				want = append(want, "video")
			}
			for _, st := range next.steps {
				if name := st.track.Rung; name == "A strange label" {
					want = append(want, "video-20")
				} else {
					want = append(want, name)
				}
			}
			for _, name := range append(x.variantRenditions(), want...) {
				if !slices.Contains(want, name) || !slices.Contains(x.variantRenditions(), name) {
					t.Errorf("%d: the variants have %q, want %q", n, x.variantRenditions(), want)
					break
				}
			}
			label := fmt.Sprint("change ", n, ", moment ", m)
			x.judgeAll(label)
			for _, st := range next.steps {
				name := st.track.Rung
				if name == "A strange label" {
					name = "video-20"
				}
				media := 0
				for _, seg := range x.rendition(name).Segments {
					if seg.MSN > x.last && !slices.ContainsFunc(seg.Parts, func(p window.Part) bool { return p.Gap }) {
						media++
					}
				}
				if media < 2 {
					t.Errorf("%s: %s has media in %d segments behind the takeover", label, name, media)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// TestContinueNeverHeardOf: a rendition of which nothing was copied, and one that is behind further than anybody remembers, come to the
// number of the others.
func TestContinueNeverHeardOf(t *testing.T) {
	t.Parallel()
	g := newRigWith(t, func(o *Options) { o.Settings.DVR = 4 * time.Second })
	_, s := record(g, 26, layers(), func(g *rig, at float64) { g.Announce(state(1, "a")) })
	last := len(s.moments) - 1
	c := s.copyAt(t, last, func(name string) int {
		if name == "video-1" {
			return last * 9 / 10
		}
		return 0
	}, nil)
	head := s.moments[last].head
	head.Renditions = append(slices.Clone(head.Renditions), window.RenditionHead{Name: "video-3", Video: true}, window.RenditionHead{Name: "audio-1"})
	if err := c.CopyView(head); err != nil {
		t.Fatal(err)
	}
	x := continued(t, c, 9, epoch)
	for _, r := range c.Load().Renditions {
		if s := r.Load(); s.NextMSN != x.last+1 {
			t.Errorf("%s goes on with %d, want %d", r.Name, s.NextMSN, x.last+1)
		}
	}
	lanes := append(layers(), &lane{track: videoTrack(3, 1920, 1080), fps: 30, gop: 60})
	from := x.from()
	x.Announce(state(2, "a"))
	x.visit(from, 16, lanes, 0, nil)
	if !x.rendition("video-3").Independent {
		t.Error("a new rendition, whose segments all begin with key frames, does not say so")
	}
	delete(x.before, "video-1") // it has lost what nobody can list with the others
	x.judgeAll("never heard of")
	for _, l := range lanes {
		x.judgeFrom("never heard of", renditionName(l.track.ID), from, 16, lanes)
	}
}

// TestRandomContinues plays shows that move from node to node: publishers with several tracks, or a ladder, cut anywhere, copied with
// renditions behind and bytes missing, by nodes whose clocks and settings differ.
func TestRandomContinues(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 21))
		g := newRigWith(t, func(o *Options) { o.Settings.DVR = time.Hour })
		gen, from := int64(7), 100.0
		var x *takeover
		for n := range 3 {
			notes := newScribe(g)
			seconds := 2 + r.Float64()*6
			cards := 0
			announce := func(g *rig) {
				if cards++; r.IntN(50) == 0 {
					g.Announce(state(cards, fmt.Sprint("c", n, "-", cards/40)))
				}
			}
			off := time.Duration((r.Float64() - 0.5) * 1e10)
			if r.IntN(2) == 0 {
				s := randomLadderShow(r)
				randomSteps(r, s, seconds)
				s.visit(from, seconds, r.IntN(3) == 0)
				s.run(g, func(float64) { notes.note(); announce(g) })
			} else {
				g.run(from, seconds, randomLanes(r, seconds, r.IntN(3) == 0), func(_ float64, f *stream.Frame) {
					f.Wall = f.Wall.Add(off)
					notes.note()
					announce(g)
				})
				if r.IntN(4) == 0 {
					g.Away()
				}
			}
			notes.note()
			m := len(notes.moments) - 1 - r.IntN(1+len(notes.moments)/3)
			late := map[string]int{}
			behind := func(name string) int {
				if _, ok := late[name]; !ok {
					late[name] = 0
					if r.IntN(3) == 0 {
						late[name] = int(math.Pow(r.Float64(), 3) * 100)
					}
				}
				return late[name]
			}
			lost := r.IntN(3) * r.IntN(40)
			c := notes.copyAt(t, m, behind, func(g *window.Segment, part int) bool { return (int(g.MSN)*7+part)%100 >= lost })
			if !continues(c) {
				break
			}
			gen += 1 + r.Int64N(2)*1e6
			x = continued(t, c, gen, epoch.Add(time.Duration((from+seconds)*1e9)+off))
			x.Announce(state(0, fmt.Sprint("d", n))) // a desk tells its state as soon as it has a screen
			g, from = x.rig, x.from()+r.Float64()*r.Float64()*9
			if n == 2 {
				x.visit(from, 6, layers(), 0, nil)
			}
		}
		if x == nil {
			continue
		}
		label := fmt.Sprint("show ", seed)
		x.judgeAll(label)
		if t.Failed() {
			return
		}
	}
}
