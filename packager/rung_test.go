package packager

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// TestRungsAreCutAlike: rungs that lag have the publisher's segments, numbers and pictures, to the tick, from the first on, whatever
// the rate, the order of the pictures and the lag.
func TestRungsAreCutAlike(t *testing.T) {
	t.Parallel()
	vfr := func(i int) float64 { return float64(i)/30 + float64(i%7)*0.0031 }
	rates := map[string]func(int) float64{"30": every(30), "29.97": every(30000.0 / 1001), "25": every(25), "60": every(60), "VFR": vfr}
	for rate, when := range rates {
		for _, reorder := range []bool{false, true} {
			for _, lag := range []float64{0.03, 0.5, 1.3} {
				label := fmt.Sprint(rate, " reorder ", reorder, " lag ", lag)
				t.Run(label, func(t *testing.T) {
					t.Parallel()
					s := ladderShow()
					s.picture.when, s.picture.reorder = when, reorder
					s.steps[0].lag = func(at float64) float64 { return lag * (1 + 0.1*math.Sin(at*50)) }
					s.steps[1].coded = true
					s.steps[2].every = 2
					s.visit(100, 20, true)
					g := newRig(t)
					for i := range 40 {
						s.at(101+float64(i)/3, func(g *rig) { g.Announce(state(i, fmt.Sprint("c", i/5))) })
					}
					s.run(g, nil)
					g.judgeShow(label)
					lead := g.firsts(g.Presentation().Load().Rendition("video"))
					for _, name := range []string{"video", "720p", "480p", "240p"} {
						g.check(name)
						s.judgePictures(g, label, name)
						if n := g.gapsOf(name); n > 0 {
							t.Errorf("%s has %d gaps", name, n)
						}
						if r := g.rendition(name); !r.Independent || r.Segments[0].MSN != 1000 {
							t.Errorf("%s: independent %v, begins with %d", name, r.Independent, r.Segments[0].MSN)
						}
						begins := slices.DeleteFunc(g.firsts(g.rendition(name).Rendition()), func(m mediaPart) bool { return m.part > 0 })
						want := slices.DeleteFunc(slices.Clone(lead), func(m mediaPart) bool { return m.part > 0 })
						if !slices.Equal(begins, want) {
							t.Errorf("%s: segments begin at\n%v, the publisher's at\n%v", name, begins, want)
						}
					}
					all := len(g.samples("video"))
					if a, b, c := len(g.samples("720p")), len(g.samples("480p")), len(g.samples("240p")); a != all || b != all || c != (all+1)/2 {
						t.Errorf("%d, %d and %d pictures of %d", a, b, c, all)
					}
				})
			}
		}
	}
}

// TestARungIsToldOf in the first list, when it was declared, and while it comes.
func TestARungIsToldOf(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps[0].dead = func(at float64) bool { return at > 10 && at < 28 }
	s.steps[2].dead = func(at float64) bool { return at < 7 }
	s.visit(100, 40, true)
	var without []*stream.Track
	s.at(135, func(g *rig) {
		without = slices.DeleteFunc(slices.Clone(g.tracks), func(t *stream.Track) bool { return t.Rung == "480p" })
		g.Tracks(without)
	})
	first := 0.0
	seen := func(at float64, want ...string) {
		if got := g.variantNames(); !slices.Equal(got, want) {
			t.Fatalf("after %.2f s the variants are %v, want %v", at-100, got, want)
		}
	}
	s.run(g, func(at float64) {
		if first == 0 && len(g.variantNames()) > 0 {
			first = at
		}
		switch {
		case at > 104 && at < 106:
			seen(at, "720p", "480p", "video")
		case at > 109 && at < 119:
			seen(at, "720p", "480p", "240p", "video")
		case at > 121 && at < 128:
			seen(at, "480p", "240p", "video")
		case at > 132 && at < 135:
			seen(at, "720p", "480p", "240p", "video")
		case at > 136:
			seen(at, "720p", "240p", "video")
		}
	})
	if first < 102 || first > 103 {
		t.Errorf("the first list is there after %.2f s, without a rung that was to come", first-100)
	}
	g.judgeShow("told of")
}

// TestTheFirstListHasAllRungs, and is there as soon as all have come.
func TestTheFirstListHasAllRungs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	for _, st := range s.steps {
		st.lag = func(at float64) float64 { return max(0.1, 1-at) } // a program that takes a second to start
	}
	s.visit(100, 6, true)
	first := 0.0
	s.run(g, func(at float64) {
		if n := len(g.variantNames()); n > 0 && n < 4 {
			t.Fatalf("variants %v", g.variantNames())
		} else if n > 0 && first == 0 {
			first = at
		}
	})
	if first > 101.4 {
		t.Errorf("it is there after %.2f s", first-100)
	}
	g.judgeShow("first list")
	if n := g.gapsOf("720p", "480p", "240p"); n > 0 {
		t.Errorf("%d gaps", n)
	}
}

// TestAProgramThatStartsLate has the show from its first segment on, although it takes seconds to come as far.
func TestAProgramThatStartsLate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	for i, st := range s.steps {
		start := 2 + 2*float64(i)
		st.lag = func(at float64) float64 { return max(0.2, start-at/2) } // it catches up at three times the speed
	}
	s.visit(100, 30, true)
	s.run(g, nil)
	if g.lag != g.target {
		t.Errorf("players stay %d ticks further behind; what catches up does not count", g.lag)
	}
	g.judgeShow("late start")
	for _, name := range []string{"720p", "480p", "240p"} {
		if first, gaps := g.rendition(name).Segments[0].MSN, g.gapsOf(name); first != 1000 || gaps > 0 {
			t.Errorf("%s begins with %d and has %d gaps", name, first, gaps)
		}
	}
}

// TestARungIsBehindForTooLong: something stands in for it after its Lag, it costs nobody else anything, and returns with a key frame.
func TestARungIsBehindForTooLong(t *testing.T) {
	t.Parallel()
	for _, away := range []float64{1, 2, 5, 60} {
		g := newRig(t)
		s := ladderShow()
		s.sound = nil
		s.steps[0].dead = func(at float64) bool { return at > 10.3 && at < 10.3+away }
		s.visit(100, away+25, true)
		worst := window.Ticks(0)
		s.run(g, func(at float64) {
			if at > 105 && at < 100+away+25 {
				worst = max(worst, g.lead.reached()+g.keyOffset-g.endOf(t, "720p"))
			}
			if r := g.renditions[1]; len(r.cuts) > 4 || len(r.queue.frames) > 1 {
				t.Fatalf("%d boundaries and %d frames are kept", len(r.cuts), len(r.queue.frames))
			}
		})
		g.judgeShow(away)
		if most := ticks(1.5) + 2*g.target; worst > most {
			t.Errorf("away for %v s, the rung is up to %d ticks behind, more than %d", away, worst, most)
		}
		if g.gapsOf("480p", "240p", "video") > 0 {
			t.Error("others have gaps")
		}
		s.judgePictures(g, away, "720p")
		// The time away, up to the next key frame.
		lost := (math.Ceil((10.3+away)/2)*2 - 10.3) * 30
		if n := len(g.samples("video")) - len(g.samples("720p")); float64(n) > lost+2 || float64(n) < lost-2 {
			t.Errorf("away for %v s, %d pictures are lost, want %v", away, n, lost)
		}
		for _, name := range []string{"video", "720p", "480p"} {
			if r := g.rendition(name); r.Segments[len(r.Segments)-1].DiscontinuitySequence != 0 {
				t.Errorf("%s has a discontinuity", name)
			}
		}
	}
}

// TestAnotherEncoder takes over in mid-stream: its codec data begin behind a discontinuity that all have.
func TestAnotherEncoder(t *testing.T) {
	t.Parallel()
	for _, late := range []float64{0.1, 0.8, 1.4} {
		g := newRig(t)
		s := ladderShow()
		for _, st := range s.steps {
			other := *st.track
			other.Config = append(slices.Clone(other.Config), 1)
			st.lag = constant(late)
			st.dead = func(at float64) bool { return at > 10.3 && at < 11 }
			st.other, st.from = &other, 11
		}
		s.at(109, func(g *rig) { g.Announce(state(1, "a")) })
		s.visit(100, 24, true)
		s.run(g, nil)
		g.judgeShow(late)
		for _, name := range []string{"video", "720p", "480p", "240p", "audio"} {
			r := g.rendition(name)
			if n := r.Segments[len(r.Segments)-1].DiscontinuitySequence; n != 1 {
				t.Errorf("lag %v: %s has %d discontinuities", late, name, n)
			}
			if r.Segments[len(r.Segments)-1].Gap() {
				t.Errorf("lag %v: %s ends with a gap", late, name)
			}
		}
		if n := len(g.samples("720p")); n < 600 {
			t.Errorf("lag %v: %d pictures of 720", late, n)
		}
	}
}

// TestRungsComeOnWhenThePublisherHasGone: what is on its way is of use, and is all there before the publisher is back.
func TestRungsComeOnWhenThePublisherHasGone(t *testing.T) {
	t.Parallel()
	for _, reorder := range []bool{false, true} {
		g := newRig(t)
		s := ladderShow()
		s.picture.reorder = reorder
		s.steps[0].lag, s.steps[1].lag = constant(1.2), constant(0.7)
		s.steps[1].coded, s.steps[2].every = true, 2
		s.steps = append(s.steps, &step{track: rungSound(116, "audio-aac"), lag: constant(0.9)})
		s.visit(100, 7.37, true)
		s.at(109, func(g *rig) {
			for _, name := range []string{"720p", "480p", "240p", "audio-aac"} {
				if off := g.endOf(t, name) - g.lead.end - g.keyOffset; abs(off) > ticks(0.09) {
					t.Errorf("before the publisher is back, %s ends %d ticks from it", name, off)
				}
			}
		})
		s.visit(120, 10, true)
		s.visit(131, 10, false)
		s.visit(141.1, 10, true) // while frames are on their way
		s.run(g, nil)
		old := g.dropped(dropOldEra)
		g.judgeShow(reorder)
		for _, name := range []string{"video", "720p", "480p", "240p", "audio-aac", "audio"} {
			r := g.rendition(name)
			if n := r.Segments[len(r.Segments)-1].DiscontinuitySequence; n != 3 {
				t.Errorf("%s has %d discontinuities", name, n)
			}
			if r.Segments[0].MSN != 1000 {
				t.Errorf("%s begins with %d", name, r.Segments[0].MSN)
			}
		}
		if n := g.gapsOf("720p", "480p", "240p"); n < 5 || n > 16 {
			t.Errorf("%d gaps, want those of what was on its way at the last return", n)
		}
		if old < 40 || old > 160 {
			t.Errorf("%v frames of an older era were dropped", old)
		}
		for _, name := range []string{"720p", "480p", "240p"} {
			s.judgePictures(g, reorder, name)
		}
	}
}

// TestARungLeads where the publisher's picture cannot be delivered, and sound of both kinds goes with it.
func TestARungLeads(t *testing.T) {
	t.Parallel()
	for _, lag := range []float64{0.1, 0.6, 1.4} {
		g := newRig(t)
		s := ladderShow()
		s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
		s.steps[0].lag = func(at float64) float64 { return max(lag, 1-at) + 0.1*math.Abs(math.Sin(at*9)) }
		s.steps[1].lag = constant(lag + 0.3)
		s.steps = append(s.steps, &step{track: rungSound(116, "audio-aac"), lag: constant(0.1)})
		s.sound = audioTrack(100, "")
		s.sound.Codec, s.sound.CodecString, s.sound.Config = stream.Opus, "opus", []byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")
		s.visit(100, 10, true)
		s.visit(115, 20, true)
		s.run(g, nil)
		if g.picture == nil || g.picture.name != "720p" {
			t.Fatalf("lag %v: 720p does not lead", lag)
		}
		v := g.Presentation().Load().Variants
		if len(v) != 6 || v[0].Codecs != "avc1.4d401f,mp4a.40.2" || v[1].Codecs != "avc1.4d401f,opus" || v[0].Audio.ID != "audio" {
			t.Errorf("lag %v: variants %+v", lag, v)
		}
		g.judgeShow(lag)
		if n := g.gapsOf("720p", "480p", "240p"); n > 0 {
			t.Errorf("lag %v: %d gaps", lag, n)
		}
		for _, name := range []string{"720p", "480p", "240p"} {
			if n := len(g.samples(name)); n != 900 {
				t.Errorf("lag %v: %s has %d pictures of 900", lag, name, n)
			}
		}
		for _, name := range []string{"audio", "audio-aac"} {
			if n := len(g.samples(name)); n < 1395 || n > 1420 {
				t.Errorf("lag %v: %s has %d frames of 1407", lag, name, n)
			}
		}
	}
}

// TestSoundDoesNotWaitForEver for a rung that is to lead; the picture joins when it comes.
func TestSoundDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
	for _, st := range s.steps {
		st.dead = func(at float64) bool { return at < 9 }
		st.lag = constant(0.8)
	}
	s.visit(100, 30, true)
	listed := 0.0
	s.run(g, func(at float64) {
		if listed == 0 && len(g.variantNames()) > 0 {
			listed = at
		}
	})
	if listed < 102 || listed > 108 {
		t.Errorf("there is something to play after %.2f s", listed-100)
	}
	if got := g.variantNames(); !slices.Equal(got, []string{"720p", "480p", "240p"}) {
		t.Errorf("variants %v", got)
	}
	g.judgeShow("sound first")
	if n := len(g.samples("720p")); n < 30*18 {
		t.Errorf("%d pictures", n)
	}
	if n := len(g.samples("audio")); n < 1390 {
		t.Errorf("%d frames of sound", n)
	}
}

// TestTheLeadingRungStops: its picture is held, sound goes on, and it leads again; with the same codec data there is no discontinuity.
func TestTheLeadingRungStops(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{false, true} {
		g := newRig(t)
		s := ladderShow()
		s.picture.track = &stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000, Width: 1920, Height: 1080}
		for _, st := range s.steps {
			st.dead = func(at float64) bool { return at > 10.3 && at < 17.1 }
			other := *st.track
			if changed {
				other.Config = append(slices.Clone(other.Config), 1)
			}
			st.other, st.from = &other, 15
		}
		s.visit(100, 40, true)
		s.run(g, nil)
		g.judgeShow(changed)
		for _, name := range []string{"720p", "480p", "240p", "audio"} {
			r := g.rendition(name)
			n := r.Segments[len(r.Segments)-1].DiscontinuitySequence
			if !changed && n != 0 || changed && (n < 1 || n > 2) {
				t.Errorf("changed %v: %s has %d discontinuities", changed, name, n)
			}
			if r.Segments[len(r.Segments)-1].Gap() {
				t.Errorf("changed %v: %s ends with a gap", changed, name)
			}
		}
	}
}

// TestASoundRungIsBehind: silence covers it no sooner than its Lag says.
func TestASoundRungIsBehind(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = []*step{{track: rungSound(116, "audio-aac"), lag: func(at float64) float64 { return 0.1 + 1.2*math.Abs(math.Sin(at)) }}}
	s.steps[0].dead = func(at float64) bool { return at > 20 && at < 26 }
	s.visit(100, 40, true)
	s.at(119, func(g *rig) {
		if n := len(g.samples("audio-aac")); n < 18*46 || g.dropped(dropLate) > 0 {
			t.Errorf("%d frames, %v of which came too late", n, g.dropped(dropLate))
		}
	})
	s.run(g, nil)
	g.judgeShow("sound")
	if g.gapsOf("audio-aac", "audio", "video") > 0 || g.dropped(dropLate) > 0 {
		t.Errorf("%d gaps, %v frames came too late", g.gapsOf("audio-aac"), g.dropped(dropLate))
	}
}

// TestHostileRungs: whatever they send, the publisher's own renditions are as they would be without, and memory is bounded.
func TestHostileRungs(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(n int, f *stream.Frame){
		"far ahead":       func(n int, f *stream.Frame) { f.PTS += 90000 * 3600; f.DTS = f.PTS },
		"beyond all":      func(n int, f *stream.Frame) { f.PTS, f.DTS = math.MaxInt64, math.MaxInt64 },
		"before all":      func(n int, f *stream.Frame) { f.PTS, f.DTS = math.MinInt64, math.MinInt64 },
		"standing":        func(n int, f *stream.Frame) { f.PTS, f.DTS = 100*90000, 100*90000 },
		"crawling":        func(n int, f *stream.Frame) { f.PTS, f.DTS = 100*90000+int64(n), 100*90000+int64(n) },
		"back and forth":  func(n int, f *stream.Frame) { f.PTS += int64(n%2)*9000 - 4500; f.DTS = f.PTS },
		"shown too early": func(n int, f *stream.Frame) { f.DTS = f.PTS + 9000 },
		"another era":     func(n int, f *stream.Frame) { f.Era += 1 << 30 },
		"no rate":         func(n int, f *stream.Frame) { c := *f.Track; c.ClockRate = 0; f.Track = &c },
		"all tracks":      func(n int, f *stream.Frame) { c := *f.Track; c.Rung = fmt.Sprint("r", n); f.Track = &c },
		"another codec":   func(n int, f *stream.Frame) { c := *f.Track; c.Codec = stream.AAC; f.Track = &c },
		"huge":            func(n int, f *stream.Frame) { f.Payload = make([]byte, 1<<17) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain, g := newRig(t), newRig(t)
			s, without := ladderShow(), ladderShow()
			s.steps = s.steps[:1]
			without.steps = nil
			without.visit(100, 20, true)
			s.visit(100, 20, true)
			// The rung's frames, spoiled.
			s.actions = slices.DeleteFunc(s.actions, func(a action) bool { return false })
			n := 0
			without.run(plain, nil)
			flood := s.steps[0].made(s.picture.pictures(1, 100, 20), 90000)
			s.steps = nil
			s.actions = nil
			s.era = 0
			s.visit(100, 20, true)
			for i := range flood {
				s.at(100+flood[i].at, func(g *rig) {
					for range 3 {
						f := flood[i].f
						n++
						spoil(n, &f)
						g.Frame(&f)
					}
				})
			}
			s.run(g, func(float64) {
				for _, r := range g.renditions {
					if len(r.queue.frames) > mostQueuedFrames || r.queue.bytes > mostQueuedBytes || len(r.cuts) > mostRungFollow {
						t.Fatalf("%d frames of %d bytes and %d boundaries are kept", len(r.queue.frames), r.queue.bytes, len(r.cuts))
					}
				}
				if len(g.renditions) > 2+2*stream.MostRungs {
					t.Fatalf("%d renditions", len(g.renditions))
				}
			})
			plain.End()
			g.judgeShow(name)
			for _, r := range []string{"video", "audio"} {
				a, b := plain.samples(r), g.samples(r)
				if !slices.Equal(a, b) {
					t.Errorf("%s has other samples, %d of %d", r, len(b), len(a))
				}
			}
		})
	}
}

// TestOnlyRungsHaveRungsNumbers: names tell them apart, and one that is no name for a URI is not used as one.
func TestOnlyRungsHaveRungsNumbers(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	names := []string{"720p", "video", "audio-3", "../x", "", "720P", "é", "a-name-that-is-longer-than-names-may-be"}
	for id := range 140 {
		tr := rungTrack(id, names[id%len(names)], 100, 100)
		g.Frame(&stream.Frame{Track: tr, Era: 1, Key: true, Wall: epoch})
	}
	var got []string
	for _, r := range g.renditions {
		if r.rung != nil {
			got = append(got, r.name)
		}
	}
	slices.Sort(got)
	want := []string{"720p", "video-17", "video-18", "video-19", "video-21", "video-22", "video-23"}
	if !slices.Equal(got, want) {
		t.Errorf("renditions %v, want %v", got, want)
	}
}

// TestANameKeepsItsRendition when a change of plan gives it another number.
func TestANameKeepsItsRendition(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.visit(100, 8, true)
	s.steps = []*step{{track: rungTrack(18, "240p", 426, 240), lag: constant(0.1)}, {track: rungTrack(19, "480p", 854, 480), lag: constant(0.1)}}
	s.visit(110, 20, true)
	s.run(g, nil)
	g.judgeShow("plan")
	for _, name := range []string{"480p", "240p"} {
		for _, seg := range g.rendition(name).Segments[1:4] {
			if seg.Gap() {
				t.Errorf("segment %d of %s is a gap", seg.MSN, name)
			}
		}
	}
	for i, v := range g.Presentation().Load().Variants {
		if want := []int{480, 240, 1080}[i]; v.Height != want {
			t.Errorf("variant %d is %s of %d lines", i, v.Video.Name, v.Height)
		}
	}
}

// TestEncodersThatKeepChanging cannot have a discontinuity for each of their key frames: all renditions get it.
func TestEncodersThatKeepChanging(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := ladderShow()
	s.steps = s.steps[:1]
	s.visit(100, 60, true)
	flood := s.steps[0].made(s.picture.pictures(1, 100, 60), 90000)
	s.actions = nil
	s.steps, s.era = nil, 0
	s.visit(100, 60, true)
	track := rungTrack(17, "720p", 1280, 720)
	for i := range flood {
		s.at(100+flood[i].at, func(g *rig) {
			f := flood[i].f
			if f.Key {
				other := *track
				other.Config = append(slices.Clone(other.Config[:4]), byte(i), byte(i>>8))
				track = &other
			}
			f.Track = track
			g.Frame(&f)
		})
	}
	s.run(g, nil)
	g.judgeShow("changing")
	r := g.rendition("video")
	if n := r.Segments[len(r.Segments)-1].DiscontinuitySequence; n < 2 || n > 6 {
		t.Errorf("%d discontinuities in a minute", n)
	}
}

// TestTheNextEncoderCountsFromEarlier: one that reorders pictures begins before the last one's end in decoding time. Nothing is lost
// but what is missing.
func TestTheNextEncoderCountsFromEarlier(t *testing.T) {
	t.Parallel()
	for _, delay := range []int64{0, 9000, 30000} {
		g := newRig(t)
		s := ladderShow()
		s.steps = s.steps[:1]
		s.visit(100, 20, true)
		flood := s.steps[0].made(s.picture.pictures(1, 100, 20), 90000)
		s.actions = nil
		s.steps, s.era = nil, 0
		s.visit(100, 20, true)
		g.Tracks([]*stream.Track{rungTrack(17, "720p", 1280, 720)})
		for i := range flood {
			f := flood[i].f
			if f.PTS >= ticks(110) {
				f.DTS -= delay
			}
			s.at(100+flood[i].at, func(g *rig) { g.Frame(&f) })
		}
		s.run(g, nil)
		g.judgeShow(delay)
		s.judgePictures(g, delay, "720p")
		if n := len(g.samples("720p")); n != 600 || g.gapsOf("720p") > 0 {
			t.Errorf("delay %d: %d pictures of 600, %d gaps", delay, n, g.gapsOf("720p"))
		}
	}
}

// TestWhatIsConvertedIsNotLost: frames that cannot be packaged are not counted where a rung stands for them.
func TestWhatIsConvertedIsNotLost(t *testing.T) {
	t.Parallel()
	for _, converted := range []bool{true, false} {
		g := newRig(t)
		s := ladderShow()
		s.sound = &stream.Track{ID: 100, Codec: stream.PCMA, ClockRate: 48000, SampleRate: 48000, Channels: 1}
		s.steps = []*step{{track: rungSound(116, "audio-aac"), lag: constant(0.1)}}
		if !converted {
			s.steps[0].track.SoundOnly = true
		}
		s.visit(100, 5, true)
		s.run(g, nil)
		if n := g.dropped(dropUnpackagable); converted != (n == 0) {
			t.Errorf("converted %v: %v frames are counted as lost", converted, n)
		}
	}
}
