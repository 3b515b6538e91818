package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
	"pushcart/overlay/api"
)

// Rungs of the ladder in these tests, cheap enough for many at once. What they are made from is 384x216.
var (
	pictureRungs = []string{"180p", "144p", "90p"}
	rungSizes    = map[string][2]int{"video": {384, 216}, "180p": {320, 180}, "144p": {256, 144}, "90p": {160, 90}}
)

// soundRung is the rung for those who get no picture.
const soundRung = "audio-48k"

// threeRungs is the section of a configuration file for them, where the program is and what else the section has.
const threeRungs = `
ladder:
  ffmpeg: %s
  encoders: [cpu]
  poster_interval: 1s
  max_cpu: 100
  threads: 1
  nice: 0
  ladders:
    - {name: mobile, rungs: [180p 250k, 144p 150k, 90p 80k, audio 48k]}
  streams:
    - {stream: "*", ladder: mobile}
`

// section reads the section "ladder" of a configuration file, as people write it.
func section(t *testing.T, text string) config.Ladder {
	t.Helper()
	c, err := config.Load(testkit.WriteFile(t, "ladder.yaml", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Ladder
}

// laddered is a node with cards, every way in and a ladder, whose ffmpeg is the program.
func laddered(t *testing.T, program *testkit.Program, text string, change func(*config.Config)) *testkit.Node {
	t.Helper()
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, program.Path)
	}
	l := section(t, text)
	cards := withCardsAndDoors(t)
	n := testkit.Start(t, func(c *config.Config) {
		cards(c)
		c.Ladder = l
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(func() {
		n.Stop()
		program.None()
	})
	tried(t, n.HTTP())
	return n
}

// tried waits until the node knows its encoders.
func tried(t *testing.T, base string) {
	t.Helper()
	testkit.EventuallyWithin(t, sometime, "the encoders were tried", func() bool {
		var l api.LadderNode
		return ask(t, base+"/api/v1/ladder", &l) == http.StatusOK && (len(l.Engines) > 0 || l.Error != "")
	})
}

// ask gets JSON as the show's operator.
func ask(t *testing.T, url string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatalf("GET %s: %v", url, err)
		}
	}
	return res.StatusCode
}

// ladderOf is what the API says of the show's ladder.
func ladderOf(t *testing.T, base string) (d api.LadderDetail) {
	t.Helper()
	if status := ask(t, base+"/api/v1/streams/show/ladder", &d); status != http.StatusOK {
		t.Fatalf("the ladder's status is %d", status)
	}
	return d
}

// pictureChild is the process that encodes pictures, as the API has it.
func pictureChild(d api.LadderDetail) (c api.LadderChild) {
	for _, c := range d.Children {
		if c.Kind == "picture" {
			return c
		}
	}
	return c
}

// showOf is a show with cards of a picture and of sound.
func showOf(picture, sound *testkit.Clip) testkit.Show {
	return testkit.Show{Name: "show", Key: publishKey, Tracks: []testkit.Media{{Clip: picture}, {Clip: sound}}}
}

// climbed waits until every rung has had media: of the last whole segment nothing is missing in any of them.
func climbed(t *testing.T, v *testkit.Viewer, rungs ...string) {
	t.Helper()
	testkit.EventuallyWithin(t, sometime, "all rungs are listed", func() bool {
		master := v.Join()
		return !slices.ContainsFunc(rungs, func(rung string) bool { return variantOf(master, rung) == "" })
	})
	for _, rung := range rungs {
		v.Until(rung, "a whole segment", func(l *testkit.Playlist) bool {
			n := len(l.Segments)
			return n >= 2 && wholeSegment(&l.Segments[n-2])
		})
	}
}

// wholeSegment tells that a segment has all its media.
func wholeSegment(g *testkit.Segment) bool {
	return g.Complete && !g.Gap && !slices.ContainsFunc(g.Parts, func(p testkit.Part) bool { return p.Gap })
}

// recovered waits until a rung has some whole segments without a gap in a row, the first of them behind a number.
func recovered(v *testkit.Viewer, rung string, after int64, want int) *testkit.Playlist {
	return v.Until(rung, "a recovery", func(l *testkit.Playlist) bool {
		run := 0
		for i := range l.Segments {
			if g := &l.Segments[i]; g.Complete {
				if wholeSegment(g) && g.MSN > after {
					run++
				} else {
					run = 0
				}
			}
		}
		return run >= want
	})
}

// variantOf finds a rendition's attributes in a multivariant playlist; "" when it is not listed.
func variantOf(master, rendition string) string {
	lines := strings.Split(master, "\n")
	for i, line := range lines {
		if list, ok := strings.CutPrefix(line, "#EXT-X-STREAM-INF:"); ok && i+1 < len(lines) && lines[i+1] == rendition+".m3u8" {
			return list
		}
		if list, ok := strings.CutPrefix(line, "#EXT-X-MEDIA:"); ok && testkit.Attribute(list, "URI") == rendition+".m3u8" {
			return list
		}
	}
	return ""
}

// lateFrames is what the node counts of frames that came too late for their place, on a machine that is busy.
func lateFrames(t *testing.T, n *testkit.Node) int {
	t.Helper()
	return int(testkit.Scrape(t, n.Admin()).Value("pushcart_packager_dropped_frames_total"))
}

// sometime is a patience for what takes as long as ffmpeg and the back-off of its starts take.
const sometime = 40 * time.Second

// usualLadder publishes the usual show over RTMP, so many times over, and returns its viewer once he has the given rungs.
func usualLadder(t *testing.T, n *testkit.Node, times int, rungs ...string) (v *testkit.Viewer, src testkit.Source, stop func()) {
	t.Helper()
	show := showOf(testkit.LadderPictures(t, "30").Repeat(times), testkit.Sound(t).Repeat(times))
	src = testkit.ByName(t, "rtmp").Must(t, n, show)
	stop = testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
	v = testkit.NewViewer(t, n.Master("show"))
	v.Patience = sometime
	v.Join()
	climbed(t, v, rungs...)
	return v, src, stop
}
