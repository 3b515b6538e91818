package packager

import (
	"cmp"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testSettings() Settings {
	return Settings{SegmentDuration: 2 * time.Second, MaxSegmentDuration: 4 * time.Second, PartDuration: 200 * time.Millisecond, DVR: 60 * time.Second}
}

// rig is a packager with a publisher that the test plays.
type rig struct {
	*Packager
	t            *testing.T
	video, audio *stream.Track
	era          int
	metrics      *prometheus.Registry
	parsed       map[string][]sample // what mediacommon makes of a part, by its bytes: several judges ask for the same one
	reads        int                 // parts whose first sample was asked for
}

func newRig(t *testing.T) *rig { return newRigWith(t, nil) }

// newRigWith changes the packager's options before it is made.
func newRigWith(t *testing.T, change func(*Options)) *rig {
	reg := prometheus.NewRegistry()
	opt := Options{
		Settings: testSettings(), Gen: 7, FirstMSN: 1000, Metrics: NewMetrics(reg),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return epoch },
	}
	if change != nil {
		change(&opt)
	}
	p := New("show", opt)
	return &rig{
		Packager: p, t: t, era: 1, metrics: reg, parsed: map[string][]sample{},
		video: &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000, Config: []byte{1, 0x64, 0, 0x1f, 0xff}, CodecString: "avc1.64001f", Width: 1280, Height: 720},
		audio: &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, CodecString: "mp4a.40.2", SampleRate: 48000, Channels: 2, FrameSamples: 1024},
	}
}

// dropped counts the frames that were dropped for a reason.
func (g *rig) dropped(reason string) (n float64) {
	g.t.Helper()
	families, err := g.metrics.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "pushcart_packager_dropped_frames_total" && m.GetLabel()[0].GetValue() == reason {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// event is a frame to come, in the order of its time.
type event struct {
	at float64 // seconds
	f  stream.Frame
}

// shape describes a publisher's stream.
type shape struct {
	seconds float64
	frames  func(i int) float64 // DTS of video frame i in seconds; nil for no video
	gop     float64             // seconds between key frames
	cts     float64             // composition offset of every frame
	audio   bool
	from    float64                           // start of media time
	skip    func(video bool, at float64) bool // frames that never come
}

func constantRate(fps float64) func(int) float64 {
	return func(i int) float64 { return float64(i) / fps }
}

func ms(seconds float64) int64 { return int64(math.Round(seconds * 1000)) }

// play feeds a shape with millisecond timestamps, as RTMP carries them.
func (g *rig) play(s shape) {
	var tracks []*stream.Track
	var events []event
	if s.frames != nil {
		tracks = append(tracks, g.video)
		lastKey := math.Inf(-1)
		for i := 0; ; i++ {
			at := s.frames(i)
			if at >= s.seconds {
				break
			}
			key := at-lastKey >= s.gop-1e-9
			if key {
				lastKey = at
			}
			if s.skip != nil && s.skip(true, at) {
				continue
			}
			dts := ms(s.from+at) * 90
			size := 2000
			if key {
				size = 20000
			}
			events = append(events, event{at, stream.Frame{Track: g.video, Era: g.era, DTS: dts, PTS: dts + ms(s.cts)*90, Key: key, Wall: epoch.Add(time.Duration(at * 1e9)), Payload: make([]byte, size)}})
		}
	}
	if s.audio {
		tracks = append(tracks, g.audio)
		step := float64(g.audio.FrameSamples) / float64(g.audio.ClockRate)
		start := int64(s.from * float64(g.audio.ClockRate))
		for i := 0; float64(i)*step < s.seconds; i++ {
			at := float64(i) * step
			if s.skip != nil && s.skip(false, at) {
				continue
			}
			dts := start + int64(i*g.audio.FrameSamples)
			events = append(events, event{at + 0.001, stream.Frame{Track: g.audio, Era: g.era, DTS: dts, PTS: dts, Duration: int64(g.audio.FrameSamples), Key: true, Wall: epoch.Add(time.Duration(at * 1e9)), Payload: make([]byte, 300)}})
		}
	}
	sortEvents(events)
	g.Tracks(tracks)
	for i := range events {
		g.Frame(&events[i].f)
	}
}

func sortEvents(events []event) {
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
}

func (g *rig) rendition(name string) *window.Snapshot {
	g.t.Helper()
	r := g.Presentation().Load().Rendition(name)
	if r == nil {
		g.t.Fatalf("no rendition %q", name)
	}
	return r.Load()
}

// check holds a rendition against the rules of section 4.4.4.9 and against itself.
func (g *rig) check(name string) {
	g.t.Helper()
	s := g.rendition(name)
	target := g.Presentation().Load().PartTarget
	if target == 0 {
		g.t.Fatalf("%s: no part target", name)
	}
	for i, seg := range s.Segments {
		if i > 0 && seg.MSN != s.Segments[i-1].MSN+1 {
			g.t.Errorf("%s: segment %d follows %d", name, seg.MSN, s.Segments[i-1].MSN)
		}
		var sum window.Ticks
		for n, p := range seg.Parts {
			sum += p.Duration
			last := n == len(seg.Parts)-1
			if p.Duration > target {
				g.t.Errorf("%s %d.%d: part of %d ticks exceeds the target of %d", name, seg.MSN, n, p.Duration, target)
			}
			if !last && !p.Gap && !seg.Parts[n+1].Gap && p.Duration*100 < target*85 {
				g.t.Errorf("%s %d.%d: part of %d ticks is under 85 %% of %d", name, seg.MSN, n, p.Duration, target)
			}
		}
		if sum != seg.Duration {
			g.t.Errorf("%s %d: parts sum to %d, segment says %d", name, seg.MSN, sum, seg.Duration)
		}
		if int(math.Round(float64(seg.Duration)/window.Rate)) > 4 {
			g.t.Errorf("%s %d: %d ticks exceed the target duration", name, seg.MSN, seg.Duration)
		}
		if i > 0 && !seg.Discontinuity && !cutShort(s.Segments[i-1]) {
			before := s.Segments[i-1]
			want := before.Wall.Add(window.Duration(before.Duration))
			if d := seg.Wall.Sub(want).Abs(); d > 60*time.Millisecond {
				g.t.Errorf("%s %d: PROGRAM-DATE-TIME is %v off the durations before", name, seg.MSN, d)
			}
		}
	}
}

// sample is what a player would make of the bytes.
type sample struct {
	dts, pts int64
	duration int64
	key      bool
}

// samples reads a rendition's media back with mediacommon.
func (g *rig) samples(name string) []sample {
	g.t.Helper()
	var out []sample
	for _, seg := range g.rendition(name).Segments {
		for _, p := range seg.Parts {
			if p.Data != nil {
				out = append(out, g.readSamples(p.Data)...)
			}
		}
	}
	return out
}

// readSamples reads a part with mediacommon; its callers share the result.
func (g *rig) readSamples(data []byte) (out []sample) {
	g.t.Helper()
	if out, ok := g.parsed[string(data)]; ok {
		return out
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(data); err != nil {
		g.t.Fatal(err)
	}
	for _, part := range parts {
		at := int64(part.Tracks[0].BaseTime)
		for _, s := range part.Tracks[0].Samples {
			out = append(out, sample{at, at + int64(s.PTSOffset), int64(s.Duration), !s.IsNonSyncSample})
			at += int64(s.Duration)
		}
	}
	g.parsed[string(data)] = out
	return out
}

func TestConstantRates(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]shape{
		"30":           {frames: constantRate(30), gop: 2, audio: true},
		"29.97":        {frames: constantRate(30000.0 / 1001), gop: 2.002, audio: true},
		"25":           {frames: constantRate(25), gop: 2, audio: true},
		"24":           {frames: constantRate(24), gop: 2, audio: true},
		"60":           {frames: constantRate(60), gop: 2, audio: true},
		"50 B-frames":  {frames: constantRate(50), gop: 2, cts: 0.04, audio: true},
		"15":           {frames: constantRate(15), gop: 2, audio: true},
		"10":           {frames: constantRate(10), gop: 2, audio: true},
		"30 long GOP":  {frames: constantRate(30), gop: 8.3, audio: true},
		"30 GOP 1 s":   {frames: constantRate(30), gop: 1, audio: true},
		"30 GOP 3.4 s": {frames: constantRate(30), gop: 3.4, audio: true},
		"video only":   {frames: constantRate(30), gop: 2},
		"audio only":   {audio: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.seconds = 21
			s.from = 1
			g := newRig(t)
			g.play(s)
			if s.frames != nil {
				g.check("video")
			}
			if s.audio {
				g.check("audio")
			}
			if s.frames != nil && s.audio {
				g.checkAligned(s)
			}
			if s.frames != nil {
				g.checkTimes(s)
			}
			view := g.Presentation().Load()
			if len(view.Variants) != 1 {
				t.Fatalf("%d variants", len(view.Variants))
			}
		})
	}
}

// checkAligned holds the audio rendition's boundaries against the video's.
func (g *rig) checkAligned(s shape) {
	g.t.Helper()
	video, audio := g.rendition("video"), g.rendition("audio")
	if len(audio.Segments) < len(video.Segments)-1 {
		g.t.Errorf("audio has %d segments, video %d", len(audio.Segments), len(video.Segments))
	}
	half := float64(g.audio.FrameSamples) / float64(g.audio.ClockRate) / 2
	for i, a := range audio.Segments {
		v := video.Segments[i]
		if a.MSN != v.MSN || !a.Wall.Equal(v.Wall) || a.DiscontinuitySequence != v.DiscontinuitySequence {
			g.t.Errorf("segment %d: audio %v %d, video %v %d", v.MSN, a.Wall, a.DiscontinuitySequence, v.Wall, v.DiscontinuitySequence)
		}
		if i == 0 {
			continue
		}
		if d := math.Abs(float64(a.Start-v.Start)) / window.Rate; d > 2*half+0.002+s.cts {
			g.t.Errorf("segment %d: audio begins %.4f s from video", v.MSN, d)
		}
	}
}

// checkTimes holds what a player reads against what was sent.
func (g *rig) checkTimes(s shape) {
	g.t.Helper()
	var end int64 = -1
	for i, x := range g.samples("video") {
		want := ms(s.from+s.frames(i))*90 + ms(s.cts)*90
		if x.pts != want {
			g.t.Fatalf("frame %d: PTS %d, sent %d", i, x.pts, want)
		}
		if end >= 0 && x.dts != end {
			g.t.Fatalf("frame %d: decoding time %d, the frame before ends at %d", i, x.dts, end)
		}
		end = x.dts + x.duration
	}
}

func TestVariableRate(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	times := []float64{0}
	for times[len(times)-1] < 30 {
		times = append(times, times[len(times)-1]+0.028+rng.Float64()*0.02)
	}
	g := newRig(t)
	s := shape{seconds: 25, frames: func(i int) float64 { return times[i] }, gop: 2, audio: true, from: 5}
	g.play(s)
	g.checkTimes(s)
	g.check("audio")
	g.check("video")
}

// TestThinnedRate: every frame of a constant rate may be missing, as with cameras in the dark.
func TestThinnedRate(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	g := newRig(t)
	g.video.FrameRate = 25
	g.play(shape{seconds: 30, frames: constantRate(25), gop: 2, audio: true, from: 5, skip: func(video bool, at float64) bool {
		return video && math.Mod(at, 2) > 0.01 && rng.Float64() < 0.35
	}})
	g.check("audio")
	g.check("video")
	if v := g.Presentation().Load().Variants[0]; v.FrameRate != 25 {
		t.Errorf("FRAME-RATE is %v, the codec data says 25", v.FrameRate)
	}
}

func TestKeyframesBeginIndependentSegments(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 20, frames: constantRate(30), gop: 8.3, audio: true, from: 1})
	s := g.rendition("video")
	if s.Independent {
		t.Error("claims independent segments with a GOP longer than the target")
	}
	independent := 0
	for _, seg := range s.Segments {
		if seg.Independent() {
			independent++
		}
	}
	if independent != 3 {
		t.Errorf("%d independent segments, want one per key frame: 3", independent)
	}
}

func TestReturnOfPublisher(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 1})
	before := g.rendition("video").NextMSN
	g.Away()
	g.era = 2
	g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 8})
	g.check("video")
	g.check("audio")
	g.checkAligned(shape{})
	v := g.rendition("video")
	found := 0
	for _, seg := range v.Segments {
		if seg.Discontinuity {
			found++
			if seg.MSN != before || !seg.Independent() {
				t.Errorf("discontinuity at %d (independent %v), want %d", seg.MSN, seg.Independent(), before)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d discontinuities, want 1", found)
	}
	g.End()
	if !g.rendition("video").Ended || !g.rendition("audio").Ended || !g.Presentation().Load().Ended {
		t.Error("not ended")
	}
}

func TestStalls(t *testing.T) {
	t.Parallel()
	for name, skip := range map[string]func(video bool, at float64) bool{
		"video pauses 1 s":  func(v bool, at float64) bool { return v && at > 5.5 && at < 6.5 },
		"video pauses 6 s":  func(v bool, at float64) bool { return v && at > 5.5 && at < 11.5 },
		"audio pauses 1 s":  func(v bool, at float64) bool { return !v && at > 5.5 && at < 6.5 },
		"audio pauses 6 s":  func(v bool, at float64) bool { return !v && at > 5.5 && at < 11.5 },
		"audio starts late": func(v bool, at float64) bool { return !v && at < 3.3 },
		"audio never comes": func(v bool, at float64) bool { return !v },
		"video starts late": func(v bool, at float64) bool { return v && at < 1 },
		"video ends":        func(v bool, at float64) bool { return v && at > 9 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.play(shape{seconds: 20, frames: constantRate(30), gop: 2, audio: true, from: 1, skip: skip})
			g.check("video")
			v := g.rendition("video")
			if len(v.Segments) < 8 {
				t.Errorf("only %d video segments", len(v.Segments))
			}
			if name != "audio never comes" {
				g.check("audio")
				a := g.rendition("audio")
				first, last := a.Segments[0].MSN, a.Segments[len(a.Segments)-1].MSN
				if d := v.Segments[len(v.Segments)-1].MSN - last; d < -1 || d > 1 {
					t.Errorf("audio is at %d, video at %d", last, v.Segments[len(v.Segments)-1].MSN)
				}
				if first < v.Segments[0].MSN && name != "video starts late" {
					t.Errorf("audio begins at %d, before video's %d", first, v.Segments[0].MSN)
				}
				for _, seg := range a.Segments {
					if w := v.Segment(seg.MSN); w != nil && !w.Wall.Equal(seg.Wall) {
						t.Errorf("segment %d: audio at %v, video at %v", seg.MSN, seg.Wall, w.Wall)
					}
				}
			}
		})
	}
}

func TestCodecDataChanges(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 1})
	changed := *g.video
	changed.Config = []byte{1, 0x64, 0, 0x28, 0xff}
	g.video = &changed
	g.play(shape{seconds: 5, frames: constantRate(30), gop: 2, audio: true, from: 6})
	g.check("video")
	s := g.rendition("video")
	inits := map[string]bool{}
	for i, seg := range s.Segments {
		inits[seg.Init.Name] = true
		if i > 0 && (seg.Init != s.Segments[i-1].Init) != seg.Discontinuity {
			t.Errorf("segment %d: init changes %v, discontinuity %v", seg.MSN, seg.Init != s.Segments[i-1].Init, seg.Discontinuity)
		}
	}
	if len(inits) != 2 {
		t.Errorf("%d initialisation sections, want 2", len(inits))
	}
}

func TestPartTarget(t *testing.T) {
	t.Parallel()
	goal := window.FromDuration(200 * time.Millisecond)
	for _, fps := range []float64{5, 10, 12, 15, 20, 23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 120} {
		for _, audio := range []window.Ticks{1920, 2090, 4180, 1800, 2351} {
			frame := window.Ticks(math.Round(90000 / fps))
			target := partTarget(goal, frame, audio)
			if fill := target / frame * frame; fill*100 < target*86 {
				t.Errorf("%v fps: target %d is filled by %d only", fps, target, fill)
			}
			if fill := target / audio * audio; fill*100 < target*85 {
				t.Logf("%v fps with audio of %d: target %d is filled by %d", fps, audio, target, fill)
			}
			if target < goal*7/10 || target > goal*14/10 {
				t.Errorf("%v fps: target %d is far from the goal", fps, target)
			}
		}
	}
}

// TestKeyFrameBehindAHole: decoding time goes on without holes only where it must. A key frame can begin anew, so that
// its part does not claim to last from before the hole.
// TestASecondFrameThatIsLate does not make the parts of the whole show as long as its pause.
func TestASecondFrameThatIsLate(t *testing.T) {
	t.Parallel()
	for _, first := range []int{1, 2, 3} {
		for _, audio := range []bool{true, false} {
			g := newRig(t)
			late := func(i int) float64 {
				if i < first {
					return float64(i) / 30
				}
				return 1 + float64(i-first)/30
			}
			g.play(shape{seconds: 8, frames: late, gop: 2, audio: audio, from: 1})
			g.End()
			if g.target > window.Rate/4 {
				t.Errorf("after %d frames and a pause: parts of %d ms", first, g.target/90)
			}
			g.check("video")
			g.judge(first)
			shown := 0
			for _, s := range g.samples("video") {
				if s.pts >= 2*90000 {
					shown++
				}
			}
			if shown != 210 {
				t.Errorf("%d of 210 frames behind the pause came out", shown)
			}
		}
	}
}

// TestSlowPictures: with few frames a second, each is a part.
func TestSlowPictures(t *testing.T) {
	t.Parallel()
	for _, fps := range []float64{1, 2, 3} {
		g := newRig(t)
		g.play(shape{seconds: 12, frames: constantRate(fps), gop: 2, from: 1})
		g.End()
		g.check("video")
		g.judgeMedia(fps, "video")
		if _, gaps := g.parts("video"); gaps > 0 {
			t.Errorf("%v frames a second: %d gaps", fps, gaps)
		}
	}
}

func TestKeyFrameBehindAHole(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.play(shape{seconds: 12, frames: constantRate(30), gop: 2, from: 1, skip: func(_ bool, at float64) bool { return at > 3.5 && at < 5.99 }})
	g.check("video")
	for _, s := range g.samples("video") {
		if s.duration > 90000/2 || s.pts-s.dts > 90000/2 {
			t.Errorf("a sample at %d lasts %d ticks, and is shown %d after its decoding", s.pts, s.duration, s.pts-s.dts)
		}
	}
}
