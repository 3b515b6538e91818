package playlist

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/packager/window"
)

var update = flag.Bool("update", false, "write the golden files anew")

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// golden compares text with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".m3u8")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

const target = window.Rate / 5

// build makes a presentation with video and audio, ten parts to a segment, of as many parts as told.
func build(parts int, gapAt int, breakAt int) (*window.Presentation, *window.Rendition) {
	p := window.NewPresentation("show", window.Settings{TargetDuration: 4, DVR: 40 * time.Second, FirstMSN: 100, Gen: 7, Now: func() time.Time { return epoch }})
	video, audio := p.AddRendition("video", true, 100), p.AddRendition("audio", false, 100)
	inits := []*window.Init{{Name: "init-0a.mp4"}, {Name: "init-0b.mp4"}}
	p.SetPartTarget(target)
	sequence := int64(0)
	for n := range parts {
		var begin *window.Segment
		if n%10 == 0 {
			in := inits[0]
			if n >= breakAt {
				in = inits[1]
			}
			if n == breakAt {
				sequence++
			}
			begin = &window.Segment{Init: in, Wall: epoch.Add(time.Duration(n) * 200 * time.Millisecond), Discontinuity: n == breakAt, DiscontinuitySequence: sequence}
		}
		gap := n/10 == gapAt
		part := window.Part{Duration: target, Independent: n%10 == 0 && !gap, Gap: gap, ExpectCut: n%10 == 9}
		if !gap {
			part.Data = make([]byte, 40000)
		}
		p.Append(video, part, begin)
		part.Data = make([]byte, 3000)
		part.Independent, part.Gap = true, false
		p.Append(audio, part, begin)
	}
	p.SetVariants([]window.Variant{{
		Video: video, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 29.97,
		Audio: &window.AudioGroup{ID: "audio", Members: []window.AudioMember{{Rendition: audio, Name: "Original", Channels: 2}}},
	}})
	return p, video
}

func TestMediaGoldens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parts, gap, broken int
		skip               Skip
		end                bool
	}{
		"first-part":      {parts: 1, gap: -1, broken: -1},
		"live":            {parts: 134, gap: -1, broken: -1},
		"segment-ends":    {parts: 60, gap: -1, broken: -1},
		"delta":           {parts: 194, gap: -1, broken: -1, skip: SkipSegments},
		"delta-dates":     {parts: 194, gap: -1, broken: -1, skip: SkipDateRanges},
		"delta-too-short": {parts: 64, gap: -1, broken: -1, skip: SkipSegments},
		"gap":             {parts: 134, gap: 12, broken: -1},
		"discontinuity":   {parts: 74, gap: -1, broken: 40},
		"after-the-break": {parts: 274, gap: -1, broken: 40},
		"ended":           {parts: 74, gap: -1, broken: -1, end: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, video := build(c.parts, c.gap, c.broken)
			if c.end {
				p.End()
			}
			golden(t, name, Media(video.Load(), p.Settings, c.skip))
		})
	}
}

func TestMultivariantGoldens(t *testing.T) {
	t.Parallel()
	p, _ := build(64, -1, -1)
	golden(t, "multivariant", Multivariant(p.Load()))
	p.SetVariants([]window.Variant{{Video: p.Load().Rendition("audio"), Codecs: "mp4a.40.2"}})
	golden(t, "multivariant-audio", Multivariant(p.Load()))
}

// TestMultivariantOfManyRenditions: each video with each group of audio, and names that try to get out of their quotes.
func TestMultivariantOfManyRenditions(t *testing.T) {
	t.Parallel()
	p, video := build(64, -1, -1)
	audio := p.Load().Rendition("audio")
	more := map[string]*window.Rendition{}
	for i, name := range []string{"video-1", "audio-1", "audio-2"} {
		r := p.AddRendition(name, i == 0, 100)
		for n := range 20 {
			var begin *window.Segment
			if n%10 == 0 {
				begin = &window.Segment{Wall: epoch}
			}
			p.Append(r, window.Part{Data: make([]byte, 10000*(i+1)), Duration: target, Independent: true}, begin)
		}
		more[name] = r
	}
	aac := &window.AudioGroup{ID: "audio", Members: []window.AudioMember{
		{Rendition: audio, Name: "English\",URI=\"x\"\n", Language: "en", Channels: 2}, {Rendition: more["audio-1"], Name: "Deutsch", Language: "de", Channels: 1},
	}}
	opus := &window.AudioGroup{ID: "audio-2", Members: []window.AudioMember{{Rendition: more["audio-2"], Name: "Original", Channels: 6}}}
	var all []window.Variant
	for _, r := range []*window.Rendition{video, more["video-1"]} {
		v := window.Variant{Video: r, Audio: aac, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30}
		all = append(all, v)
		v.Audio, v.Codecs = opus, "avc1.64001f,opus"
		all = append(all, v)
	}
	p.SetVariants(all)
	golden(t, "multivariant-many", Multivariant(p.Load()))
	p.SetVariants([]window.Variant{{Video: audio, Audio: aac, Codecs: "mp4a.40.2"}})
	golden(t, "multivariant-languages", Multivariant(p.Load()))
}

// ladder makes a presentation of three sizes of a picture and of two rates of its sound, of which one goes without a picture.
func ladder(score func(i int) float64, ranges ...string) *window.Presentation {
	p, video := build(64, -1, -1)
	audio := p.Load().Rendition("audio")
	group := &window.AudioGroup{ID: "audio", Members: []window.AudioMember{{Rendition: audio, Name: "Original", Language: "en", Channels: 2}}}
	all := []window.Variant{{Video: video, Audio: group, Codecs: "hvc1.2.4.L93.b0,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30}}
	for i, name := range []string{"480p", "240p", "audio-64k"} {
		r := p.AddRendition(name, i < 2, 100)
		for n := range 20 {
			var begin *window.Segment
			if n%10 == 0 {
				begin = &window.Segment{Wall: epoch}
			}
			p.Append(r, window.Part{Data: make([]byte, 20000>>(2*i)), Duration: target, Independent: true, Lag: target}, begin)
		}
		v := window.Variant{Video: r, Audio: group, Codecs: "avc1.4d401f,mp4a.40.2", Width: 854 >> i, Height: 480 >> i, FrameRate: 30}
		if i == 2 {
			low := &window.AudioGroup{ID: "low", Members: []window.AudioMember{{Rendition: r, Name: "Original", Language: "en", Channels: 2}}}
			v = window.Variant{Video: r, Audio: low, Codecs: "mp4a.40.2"}
		}
		all = append(all, v)
	}
	for i := range all {
		all[i].Score = score(i)
		if i < len(ranges) {
			all[i].VideoRange = ranges[i]
		}
	}
	p.SetVariants(all)
	return p
}

// TestMultivariantOfALadder: SCORE stands with all variants or with none, VIDEO-RANGE where players have a choice, and neither a
// picture's attributes nor its rate with sound alone.
func TestMultivariantOfALadder(t *testing.T) {
	t.Parallel()
	falling := func(i int) float64 { return 4.5 - float64(i) }
	golden(t, "multivariant-ladder", Multivariant(ladder(falling, "PQ", "SDR", "SDR", "").Load()))
	golden(t, "multivariant-ladder-sdr", Multivariant(ladder(falling, "SDR", "SDR", "SDR", "").Load()))
	for name, score := range map[string]func(int) float64{
		"one without":   func(i int) float64 { return float64(i) },
		"one below":     func(i int) float64 { return float64(i) - 1 },
		"none at all":   func(int) float64 { return 0 },
		"the last only": func(i int) float64 { return float64(i / 3) },
	} {
		if text := string(Multivariant(ladder(score).Load())); strings.Contains(text, "SCORE") || strings.Contains(text, "VIDEO-RANGE") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// TestHoldBack: what players keep as a distance from the end has room for renditions that come later, from the last part on.
func TestHoldBack(t *testing.T) {
	t.Parallel()
	p, video := build(20, -1, -1)
	for _, c := range []struct {
		lag  window.Ticks
		want string
	}{
		{0, "PART-HOLD-BACK=0.60000,HOLD-BACK=12.00000,"},
		{5 * target, "PART-HOLD-BACK=1.60000,HOLD-BACK=13.00000,"},
		{target, "PART-HOLD-BACK=0.80000,HOLD-BACK=12.20000,"},
	} {
		p.Append(video, window.Part{Data: []byte("x"), Duration: target, Lag: c.lag}, &window.Segment{Wall: epoch})
		for _, skip := range []Skip{NoSkip, SkipSegments, SkipDateRanges} {
			if text := string(Media(video.Load(), p.Settings, skip)); !strings.Contains(text, c.want) {
				t.Errorf("a lag of %d: %.300s", c.lag, text)
			}
		}
	}
	p.Append(video, window.Part{Gap: true, Duration: target, Lag: 2 * target}, nil)
	if got := video.Load().Lag(); got != 2*target {
		t.Errorf("the lag that a gap tells is %d", got)
	}
	if got := p.AddRendition("480p", true, 100).Load().Lag(); got != 0 {
		t.Errorf("the lag before the first part is %d", got)
	}
}

// TestDeltaCompletesToFull: skipped segments put back give the whole playlist (6.2.5.1).
func TestDeltaCompletesToFull(t *testing.T) {
	t.Parallel()
	p, video := build(194, -1, -1)
	s := video.Load()
	full := strings.Split(string(Media(s, p.Settings, NoSkip)), "\n")
	delta := strings.Split(string(Media(s, p.Settings, SkipSegments)), "\n")
	// From the end, both must agree until the delta's EXT-X-SKIP, but for the EXT-X-MAP that it repeats.
	i, j := len(full)-1, len(delta)-1
	for !strings.HasPrefix(delta[j], "#EXT-X-SKIP") {
		if strings.HasPrefix(delta[j], "#EXT-X-MAP") {
			j--
			continue
		}
		if full[i] != delta[j] {
			t.Fatalf("line %q of the delta stands where the full playlist has %q", delta[j], full[i])
		}
		i, j = i-1, j-1
	}
	skipped := strings.Count(strings.Join(full[:i+1], "\n"), "#EXTINF")
	if delta[j] != "#EXT-X-SKIP:SKIPPED-SEGMENTS="+string(rune('0'+skipped)) {
		t.Errorf("%s, but %d segments are missing", delta[j], skipped)
	}
}

func BenchmarkMedia(b *testing.B) {
	p, video := build(194, -1, -1)
	s := video.Load()
	b.ReportAllocs()
	for b.Loop() {
		Media(s, p.Settings, NoSkip)
	}
}

func BenchmarkMultivariant(b *testing.B) {
	v := ladder(func(i int) float64 { return float64(9 - i) }, "PQ", "SDR", "SDR", "").Load()
	b.ReportAllocs()
	for b.Loop() {
		Multivariant(v)
	}
}
