package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// conversions is a node without ladders, whose ffmpeg makes what players can play.
const conversions = `
ladder:
  ffmpeg: %s
  encoders: [cpu]
  poster_interval: 1s
  max_cpu: 100
  threads: 1
  nice: 0
`

// TestLadderConverts publishes what HLS or browsers cannot play: viewers get H.264 and AAC, in step with one another and with
// what was sent. Pictures flash and sound beeps at each full second.
func TestLadderConverts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, protocol  string
		picture, sound  testkit.FourCC // "" is none
		pictures, aac   string         // renditions; "" is the first variant's
		passes, refuses string         // codecs that the multivariant playlist has besides, and has not
	}{
		{name: "VP8 and Opus by WHIP", protocol: "whip", picture: testkit.VP8, sound: testkit.Opus, aac: "audio-aac", refuses: "vp8"},
		{name: "H.264 and G.711 by RTSP", protocol: "rtsp/tcp", picture: testkit.AVC, sound: testkit.PCMA, pictures: "video", aac: "audio-aac", refuses: "alaw"},
		{name: "G.711 by RTSP", protocol: "rtsp/tcp", sound: testkit.PCMA, aac: "audio-aac", refuses: "alaw"},
		{name: "H.264 and Opus by RTMP", protocol: "rtmp", picture: testkit.AVC, sound: testkit.Opus, pictures: "video", aac: "audio-aac", passes: "opus"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := laddered(t, testkit.NewProgram(t), conversions, nil)
			show := testkit.Show{Name: "show", Key: publishKey}
			if c.picture != "" {
				show.Tracks = append(show.Tracks, testkit.Media{Clip: testkit.Signal(t, c.picture).Repeat(long)})
			}
			show.Tracks = append(show.Tracks, testkit.Media{Clip: testkit.SignalSound(t, c.sound).Repeat(long)})
			src := testkit.ByName(t, c.protocol).Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Patience = sometime
			v.Join()
			var master string
			testkit.EventuallyWithin(t, sometime, "AAC is listed", func() bool { master = v.Join(); return variantOf(master, c.aac) != "" })
			if c.pictures == "" && c.picture != "" {
				c.pictures = testkit.Renditions(master)[0]
			}
			begin := v.Playlist(c.aac).Sequence
			recovered(v, c.aac, begin+1, 2)
			// What is quiet for most of a second has segments of very different rates.
			judgedBy(t, n, conformance.Options{Duration: 5 * time.Second, LooseHints: true, DecodeSlack: time.Millisecond, RaisedHold: true,
				Off: append(slices.Clone(hasty), conformance.RuleVariantAverage, conformance.RuleVariantBandwidth)})
			names := []string{c.aac}
			if c.pictures != "" {
				names = append(names, c.pictures)
			}
			all := taken(v, names...)
			stop()

			master = v.Join()
			if !anyVariant(master, func(codecs string) bool {
				return strings.Contains(codecs, "mp4a.40.2") && strings.Contains(codecs, "avc1.") == (c.picture != "")
			}) {
				t.Errorf("no variant is H.264 and AAC:\n%s", master)
			}
			if c.passes != "" && !anyVariant(master, func(codecs string) bool { return strings.Contains(codecs, c.passes) }) {
				t.Errorf("no variant has %s, which some players can play:\n%s", c.passes, master)
			}
			if strings.Contains(strings.ToLower(master), c.refuses) && c.refuses != "" {
				t.Errorf("%s is listed:\n%s", c.refuses, master)
			}
			for i := range all {
				all[i].decodes(t, v, [2]int{})
			}
			at, level := v.Loudness(tailOf(all[0].segments))
			beeps := testkit.Rises(at, level, 300*time.Millisecond)
			each(t, c.aac, beeps)
			if c.pictures != "" {
				at, level := v.Brightness(tailOf(all[1].segments))
				flashes := testkit.Rises(at, level, 300*time.Millisecond)
				each(t, c.pictures, flashes)
				inStep(t, flashes, beeps)
			}
			d := ladderOf(t, n.HTTP())
			if d.Name != "" || d.State != "running" || len(d.Converts) == 0 {
				t.Errorf("API: %+v", d)
			}
			t.Logf("converted: %q", d.Converts)
			src.Leave()
		})
	}
}

// anyVariant tells whether CODECS of a variant are as wanted.
func anyVariant(master string, ok func(codecs string) bool) bool {
	for line := range strings.Lines(master) {
		if list, is := strings.CutPrefix(line, "#EXT-X-STREAM-INF:"); is && ok(testkit.Attribute(strings.TrimSpace(list), "CODECS")) {
			return true
		}
	}
	return false
}

// tailOf is the last run of segments without a gap or a discontinuity between them, the first of which is left out where
// something was missing before it.
func tailOf(segments []testkit.TakenSegment) []testkit.TakenSegment {
	from := len(segments)
	for from > 0 && segments[from-1].Media != nil && (from == len(segments) || !segments[from].Discontinuity && segments[from].Map == segments[from-1].Map) {
		from--
	}
	return segments[from:]
}

// each wants signals at a distance of a second.
func each(t *testing.T, what string, at []time.Duration) {
	t.Helper()
	if len(at) < 3 {
		t.Errorf("%s: %d signals: %v", what, len(at), at)
	}
	for i := 1; i < len(at); i++ {
		if d := at[i] - at[i-1]; d < 950*time.Millisecond || d > 1050*time.Millisecond {
			t.Errorf("%s: %v between two signals, want a second: %v", what, d, at)
		}
	}
}

// inStep wants a beep with each flash.
func inStep(t *testing.T, flashes, beeps []time.Duration) {
	t.Helper()
	const tolerance = 50 * time.Millisecond
	pairs, most := 0, time.Duration(0)
	for _, f := range flashes {
		for _, b := range beeps {
			if d := b - f; d.Abs() < 500*time.Millisecond {
				pairs++
				if d.Abs() > most.Abs() {
					most = d
				}
			}
		}
	}
	t.Logf("%d beeps come with their flashes, at most %v apart", pairs, most)
	if pairs < 3 || most.Abs() > tolerance {
		t.Errorf("flashes at %v, beeps at %v: %d pairs, at most %v apart", flashes, beeps, pairs, most)
	}
}
