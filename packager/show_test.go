package packager

import (
	"math"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// origin is a publisher's picture as a show plays it, with what a rung is made from.
type origin struct {
	track *stream.Track
	// when is the time of the i-th picture in the order of showing; gop pictures go from key frame to key frame.
	when func(i int) float64
	gop  int
	// reorder has B-frames: two of three pictures are shown before the one that is decoded before them.
	reorder bool
}

// pictures lists the frames of a visit in decoding order, with the seconds at which they come.
func (o *origin) pictures(era int, from, seconds float64) (out []event) {
	var shown []int
	for i := 0; o.when(i) < seconds; i++ {
		shown = append(shown, i)
	}
	coded := slices.Clone(shown)
	if o.reorder {
		for i := 0; i < len(coded); i++ {
			if i%o.gop == 0 {
				continue
			}
			if n := min(3, o.gop-i%o.gop, len(coded)-i); n > 1 {
				last := coded[i+n-1]
				copy(coded[i+1:i+n], coded[i:i+n-1])
				coded[i] = last
				i += n - 1
			}
		}
	}
	for n, i := range coded {
		f := stream.Frame{Track: o.track, Era: era, DTS: ticks(from + o.when(n)), PTS: ticks(from + o.when(i)), Key: i%o.gop == 0, Payload: make([]byte, 60)}
		if o.reorder {
			f.PTS = ticks(from + o.when(i+1))
		}
		f.Wall = epoch.Add(time.Duration((from + o.when(n)) * 1e9))
		out = append(out, event{o.when(n), f})
	}
	return out
}

func ticks(seconds float64) int64 { return int64(math.Round(seconds * 90000)) }

// step is a rung as a show plays it.
type step struct {
	track *stream.Track
	// lag is how long after its source a frame of the given time comes, in seconds.
	lag func(at float64) float64
	// dead tells that the program is away: what is of that time never comes, nor what refers to it.
	dead func(at float64) bool
	// every n-th picture of the source is there.
	every int
	// coded keeps the source's order and decoding times.
	coded bool
	// other is the track behind the time from, in seconds; nil keeps the one.
	other *stream.Track
	from  float64
	// delay is how much sooner, in ticks, than it did what comes behind that time is decoded.
	delay int64
}

// made lists what a rung has of its source's frames.
func (s *step) made(source []event, rate int) (out []event) {
	source = slices.Clone(source)
	if !s.coded {
		slices.SortFunc(source, func(a, b event) int { return int(a.f.PTS - b.f.PTS) })
	}
	lost, n, last := true, 0, 0.0
	for _, e := range source {
		if s.dead != nil && s.dead(e.at) {
			lost = true
			continue
		}
		if lost = lost && !e.f.Key; lost {
			continue
		}
		if n++; e.f.Key {
			n = 0
		}
		if s.every > 1 && n%s.every > 0 {
			continue
		}
		f := e.f
		f.Track = s.track
		if s.other != nil && e.at >= s.from {
			f.Track = s.other
		}
		if !s.coded {
			f.DTS = f.PTS
		}
		if s.from > 0 && e.at >= s.from {
			f.DTS -= s.delay
		}
		last = max(last, e.at+s.lag(e.at))
		out = append(out, event{last, f})
	}
	return out
}

// show is a stream with a ladder, visit by visit. Whatever happens is put in the order of its time, so that a rung's frames of one
// visit may come in the next.
type show struct {
	picture *origin // nil for none
	sound   *stream.Track
	steps   []*step
	actions []action
	era     int
	ends    float64
	stops   func(video bool, at float64) bool // what of the publisher's frames never comes
	sent    map[int64]bool                    // when the publisher's pictures are shown
}

type action struct {
	at float64
	do func(g *rig)
}

// rungTrack is a rung of a picture.
func rungTrack(id int, name string, width, height int) *stream.Track {
	return &stream.Track{ID: id, Codec: stream.H264, ClockRate: 90000, Config: []byte{1, 0x4d, 0, byte(id), 0xff}, CodecString: "avc1.4d401f",
		Width: width, Height: height, Rung: name, Lag: 1500 * time.Millisecond}
}

// rungSound is a rung of sound.
func rungSound(id int, name string) *stream.Track {
	t := audioTrack(id, "")
	t.Config, t.Rung, t.Lag = []byte{0x12, 0x10}, name, 1500*time.Millisecond
	return t
}

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

func every(fps float64) func(int) float64 { return func(i int) float64 { return float64(i) / fps } }

// ladderShow is a 1080p publisher with three rungs of 0.1, 0.2 and 0.3 seconds' lag.
func ladderShow() *show {
	return &show{
		picture: &origin{track: videoTrack(0, 1920, 1080), when: every(30), gop: 60},
		sound:   audioTrack(100, ""),
		steps: []*step{
			{track: rungTrack(17, "720p", 1280, 720), lag: constant(0.3)},
			{track: rungTrack(18, "480p", 854, 480), lag: constant(0.2)},
			{track: rungTrack(19, "240p", 426, 240), lag: constant(0.1)},
		},
	}
}

// declared are a rung's tracks before its first frame: without codec data.
func (s *show) declared() (out []*stream.Track) {
	for _, st := range s.steps {
		t := *st.track
		t.Config, t.CodecString = nil, ""
		out = append(out, &t)
	}
	return out
}

// visit adds one of the publisher, at a time of the show; away tells whether its end is told.
func (s *show) visit(from, seconds float64, away bool) {
	s.era++
	era := s.era
	var own []*stream.Track
	var pictures, sounds []event
	if s.picture != nil {
		own = append(own, s.picture.track)
		pictures = s.picture.pictures(era, from, seconds)
	}
	if s.sound != nil {
		own = append(own, s.sound)
		l := &lane{track: s.sound}
		sounds = l.frames(era, from, seconds)
	}
	if s.stops != nil {
		pictures = slices.DeleteFunc(pictures, func(e event) bool { return s.stops(true, e.at) })
		sounds = slices.DeleteFunc(sounds, func(e event) bool { return s.stops(false, e.at) })
	}
	tracks := slices.Concat(own, s.declared())
	s.actions = append(s.actions, action{from - 0.001, func(g *rig) { g.era = era; g.Tracks(tracks) }})
	if s.sent == nil {
		s.sent = map[int64]bool{}
	}
	for i := range pictures {
		s.sent[pictures[i].f.PTS] = true
	}
	add := func(events []event) {
		for i := range events {
			e := &events[i]
			s.actions = append(s.actions, action{from + e.at, func(g *rig) { g.Frame(&e.f) }})
		}
	}
	add(pictures)
	add(sounds)
	for _, st := range s.steps {
		if st.track.Video() {
			add(st.made(pictures, 90000))
		} else {
			add(st.made(sounds, 48000))
		}
	}
	if away {
		s.actions = append(s.actions, action{from + seconds, func(g *rig) { g.Away() }})
	}
	s.ends = max(s.ends, from+seconds)
}

// at adds something to happen.
func (s *show) at(when float64, do func(g *rig)) { s.actions = append(s.actions, action{when, do}) }

// run plays all of it, and calls each after every action.
func (s *show) run(g *rig, each func(at float64)) {
	g.t.Helper()
	slices.SortStableFunc(s.actions, func(a, b action) int { return int(math.Round((a.at - b.at) * 1e6)) })
	for _, a := range s.actions {
		a.do(g)
		if each != nil {
			each(a.at)
		}
		if g.t.Failed() {
			return
		}
	}
}

// judgeShow ends a show and holds all of it against the rules.
func (g *rig) judgeShow(label any) {
	g.t.Helper()
	g.End()
	g.judge(label)
	g.judgeTold(label)
	g.judgeSets(label)
	g.checkAlike()
}

// judgePictures holds each picture of a rung against what the publisher sent, to the tick. Only a key frame behind a hole that is
// shorter than a part may be shown sooner, from where its segment begins.
func (s *show) judgePictures(g *rig, label any, name string) {
	g.t.Helper()
	for _, seg := range g.rendition(name).Segments {
		for n, p := range seg.Parts {
			if p.Gap {
				continue
			}
			for i, x := range g.readSamples(p.Data) {
				if !s.sent[x.pts] && (n > 0 || i > 0 || !x.key || len(s.sent) == 0) {
					g.t.Errorf("%v: %d.%d of %s has a picture at %d, the publisher none", label, seg.MSN, n, name, x.pts)
					return
				}
			}
		}
	}
}

// gaps of all renditions together.
func (g *rig) gapsOf(names ...string) (n int) {
	g.t.Helper()
	for _, name := range names {
		_, gaps := g.parts(name)
		n += gaps
	}
	return n
}

// endOf is the presentation time up to which a rendition is published.
func (g *rig) endOf(t testing.TB, name string) window.Ticks {
	t.Helper()
	for _, r := range g.renditions {
		if r.name == name && r.w != nil {
			return r.w.end + r.offset
		}
	}
	t.Fatalf("no rendition %q", name)
	return 0
}
