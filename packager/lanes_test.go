package packager

import (
	"math"
	"slices"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// lane is one track of a publisher with several, as a test plays it.
type lane struct {
	track *stream.Track
	// fps of video; gop frames from key frame to key frame, the first at phase.
	fps, gop, phase int
	// late is how long after its time a frame comes, in seconds.
	late float64
	// off moves all times, in ticks: what a sender report's rounding does.
	off int64
	// gone tells of the seconds in which no frame comes; nil is never.
	gone func(at float64) bool
	// keyAt adds a key frame where a stretch without frames ends.
	rekey bool
	// from is when another track of the same number takes over, in seconds; 0 is never.
	from  float64
	other *stream.Track
}

func videoTrack(id, width, height int) *stream.Track {
	return &stream.Track{ID: id, Codec: stream.H264, ClockRate: 90000, Config: []byte{1, 0x64, 0, byte(0x1f + id), 0xff},
		CodecString: "avc1.64001f", Width: width, Height: height}
}

func audioTrack(id int, language string) *stream.Track {
	return &stream.Track{ID: id, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, CodecString: "mp4a.40.2", SampleRate: 48000,
		Channels: 2, FrameSamples: 1024, Language: language, Silence: []byte{1, 2, 3}, SilenceSamples: 1024}
}

// layers is a camera in three sizes, its smallest first, and its sound.
func layers() []*lane {
	return []*lane{
		{track: videoTrack(0, 320, 180), fps: 30, gop: 60},
		{track: videoTrack(1, 640, 360), fps: 30, gop: 60, late: 0.01, off: 60},
		{track: videoTrack(2, 1280, 720), fps: 30, gop: 60, late: 0.03, off: -70},
		{track: audioTrack(100, ""), late: 0.02},
	}
}

// frames lists a lane's frames from a time on, with the seconds at which they come.
func (l *lane) frames(era int, from, seconds float64) (out []event) {
	gone, was := false, false
	for i := 0; ; i++ {
		at := float64(i) * 1024 / 48000
		if l.track.Video() {
			at = float64(i) / float64(l.fps)
		}
		if at >= seconds {
			return out
		}
		if was, gone = gone, l.gone != nil && l.gone(at); gone {
			continue
		}
		t, changed := l.track, false
		if l.from > 0 && at >= l.from {
			t, changed = l.other, at-l.from < 1/30.0
		}
		f := stream.Frame{Track: t, Era: era, Key: true, Wall: epoch.Add(time.Duration((from + at) * 1e9)), Payload: make([]byte, 60)}
		if t.Video() {
			f.DTS = int64(math.Round((from+at)*90000)) + l.off
			f.Key = (i-l.phase)%l.gop == 0 || l.rekey && was || changed
		} else {
			f.DTS, f.Duration = int64(from*48000)+int64(i)*1024, 1024
		}
		f.PTS = f.DTS
		out = append(out, event{at + l.late, f})
	}
}

// run plays lanes, calling before each frame that comes.
func (g *rig) run(from, seconds float64, lanes []*lane, before func(at float64, f *stream.Frame)) {
	g.t.Helper()
	var tracks []*stream.Track
	var events []event
	for _, l := range lanes {
		tracks = append(tracks, l.track)
		events = append(events, l.frames(g.era, from, seconds)...)
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(math.Round((a.at - b.at) * 1e6)) })
	g.Tracks(tracks)
	for i := range events {
		e := &events[i]
		if j := slices.IndexFunc(tracks, func(t *stream.Track) bool { return t.ID == e.f.Track.ID }); tracks[j] != e.f.Track {
			tracks = slices.Clone(tracks)
			tracks[j] = e.f.Track
			g.Tracks(tracks)
		}
		if before != nil {
			before(e.at, &e.f)
		}
		g.Frame(&e.f)
	}
}

// mediaPart is a part as a player reads it, with when its first sample is shown.
type mediaPart struct {
	msn   int64
	part  int
	first window.Ticks
}

// firsts lists when the first sample of each part with media is shown.
func (g *rig) firsts(r *window.Rendition) (out []mediaPart) {
	g.t.Helper()
	rate := 90000
	if !r.Video {
		rate = 48000
	}
	for _, seg := range r.Load().Segments {
		for n, p := range seg.Parts {
			if p.Data != nil {
				first := g.firstSample(p.Data)
				out = append(out, mediaPart{seg.MSN, n, stream.Rescale(first, rate, window.Rate)})
			}
		}
	}
	return out
}

// judge holds all renditions against one another and against themselves, once the presentation has ended.
func (g *rig) judge(label any) {
	g.t.Helper()
	g.invariants()
	all := g.Presentation().Load().Renditions
	known := map[int64]*window.Segment{}
	starts := map[int64]window.Ticks{} // of the first video rendition that has media there, by msn
	for _, r := range all {
		s := r.Load()
		if s.NextMSN != g.NextMSN() {
			g.t.Errorf("%v: %s goes on with %d, the packager with %d", label, r.Name, s.NextMSN, g.NextMSN())
		}
		var want time.Time
		for i, x := range s.Segments {
			if y := known[x.MSN]; y == nil {
				known[x.MSN] = x
			} else if !x.Wall.Equal(y.Wall) || x.Discontinuity != y.Discontinuity || x.DiscontinuitySequence != y.DiscontinuitySequence {
				g.t.Errorf("%v: segment %d of %s is at %v, discontinuity %v (%d); others have %v, %v (%d)", label, x.MSN, r.Name,
					x.Wall, x.Discontinuity, x.DiscontinuitySequence, y.Wall, y.Discontinuity, y.DiscontinuitySequence)
			}
			if i > 0 && x.Init != s.Segments[i-1].Init && x.Init.Name != s.Segments[i-1].Init.Name && !x.Discontinuity {
				g.t.Errorf("%v: segment %d of %s has another initialisation section and no discontinuity", label, x.MSN, r.Name)
			}
			// No hole and no overlap: what is announced adds up to the dates.
			if i == 0 || x.Discontinuity || cutShort(s.Segments[i-1]) {
				want = x.Wall
			}
			if off := x.Wall.Sub(want).Abs(); off > 230*time.Millisecond {
				g.t.Errorf("%v: segment %d of %s is dated %v off what is announced before it", label, x.MSN, r.Name, off)
			}
			want = want.Add(window.Duration(x.Duration))
		}
		first := slices.IndexFunc(s.Segments[0].Parts, func(p window.Part) bool { return !p.Gap })
		if r.Video && first >= 0 && !s.Segments[0].Parts[first].Independent {
			g.t.Errorf("%v: %s does not begin with a key frame", label, r.Name)
		}
		last := window.Ticks(math.MinInt64)
		for _, m := range g.firsts(r) {
			if m.first <= last {
				g.t.Errorf("%v: part %d.%d of %s begins at %d, the one before it at %d", label, m.msn, m.part, r.Name, m.first, last)
			}
			if last = m.first; m.part > 0 {
				continue
			}
			if lead, ok := starts[m.msn]; !ok {
				starts[m.msn] = m.first
			} else if off := abs(m.first - lead); off > max(90000*3/10, g.target) {
				g.t.Errorf("%v: segment %d of %s begins %d ms from the others", label, m.msn, r.Name, off/90)
			}
		}
	}
	g.judgeVariants(label)
}

// judgeVariants: groups are of one codec, and names differ.
func (g *rig) judgeVariants(label any) {
	g.t.Helper()
	for _, v := range g.Presentation().Load().Variants {
		if v.Audio == nil {
			continue
		}
		names := map[string]bool{}
		for _, m := range v.Audio.Members {
			if m.Name == "" || names[m.Name] {
				g.t.Errorf("%v: two members of %s are named %q", label, v.Audio.ID, m.Name)
			}
			names[m.Name] = true
		}
	}
}

// judgeTold holds the messages of the video renditions against one another: a number stands for one message at one time, and
// all have the same, but where they have no media.
func (g *rig) judgeTold(label any) {
	g.t.Helper()
	type key struct {
		id   uint32
		time int64
		text string
	}
	byID := map[uint32]key{}
	told := map[string]map[key]bool{}
	whole := map[string]map[int64]bool{}
	all := map[string][]emsg{}
	var names []string
	for _, r := range g.Presentation().Load().Renditions {
		if !r.Video {
			continue
		}
		names = append(names, r.Name)
		all[r.Name] = g.emsgs(r.Name)
		told[r.Name], whole[r.Name] = map[key]bool{}, map[int64]bool{}
		last, lastEra := int64(math.MinInt64), int64(-1)
		segments := r.Load().Segments
		for _, s := range segments {
			whole[r.Name][s.MSN] = !slices.ContainsFunc(s.Parts, func(p window.Part) bool { return p.Data == nil })
		}
		for _, e := range all[r.Name] {
			k := key{e.id, e.time, e.message}
			if o, ok := byID[e.id]; ok && o != k {
				g.t.Errorf("%v: number %d stands for %+v and, in %s, for %+v", label, e.id, o, r.Name, k)
			}
			byID[e.id], told[r.Name][k] = k, true
			if seg := r.Load().Segment(e.msn); seg.DiscontinuitySequence != lastEra {
				last, lastEra = math.MinInt64, seg.DiscontinuitySequence
			}
			if e.time < last {
				g.t.Errorf("%v: %s goes back to %d with %+v", label, r.Name, last, e)
			}
			last = e.time
		}
		begun := false
		for _, s := range segments {
			first := slices.ContainsFunc(all[r.Name], func(e emsg) bool { return e.msn == s.MSN && e.part == 0 })
			if begun = begun || first; begun && !first && s.Parts[0].Data != nil && !(len(s.Parts) > 1 && s.Parts[1].Data == nil) {
				g.t.Errorf("%v: segment %d of %s does not tell the state where it begins", label, s.MSN, r.Name)
			}
		}
	}
	for _, a := range names {
		for _, e := range all[a] {
			for _, b := range names {
				x, y := g.rendition(a).Segment(e.msn), g.rendition(b).Segment(e.msn)
				if y == nil || y.Duration < x.Duration-window.Rate/50 {
					continue // its track ended sooner
				}
				near := whole[b][e.msn-1] && whole[b][e.msn] && whole[b][e.msn+1] && whole[a][e.msn-1] && !cutShort(x) && !cutShort(y)
				if near && !told[b][key{e.id, e.time, e.message}] {
					g.t.Errorf("%v: %s has %+v, %s has not", label, a, e, b)
				}
			}
		}
	}
}

// counts of a rendition's parts.
func (g *rig) parts(name string) (media, gaps int) {
	for _, s := range g.rendition(name).Segments {
		for _, p := range s.Parts {
			if p.Gap {
				gaps++
			} else {
				media++
			}
		}
	}
	return media, gaps
}

func (g *rig) variantNames() (names []string) {
	for _, v := range g.Presentation().Load().Variants {
		names = append(names, v.Video.Name)
	}
	return names
}

// firstSample is when a part's first sample is shown. Each 16th part goes through mediacommon too, which takes its time.
func (g *rig) firstSample(data []byte) int64 {
	g.t.Helper()
	all, err := readChunks(data)
	if err != nil {
		g.t.Fatal(err)
	}
	if g.reads++; g.reads%16 == 0 && !slices.Equal(all, g.readSamples(data)) {
		g.t.Errorf("part %d: mediacommon reads %v, the tests' own reader %v", g.reads, g.readSamples(data), all)
	}
	first := all[0].pts
	for _, s := range all {
		first = min(first, s.pts)
	}
	return first
}
