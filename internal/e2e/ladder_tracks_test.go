package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestLadderTurned turns the phone within one connection: new codec data and another size, in which the rungs follow at the
// same segment.
func TestLadderTurned(t *testing.T) {
	t.Parallel()
	n := laddered(t, testkit.NewProgram(t), threeRungs, nil)
	newHost(t, n.HTTP()).products(1)
	p := testkit.Publish(t, n.RTMP(), "show?key="+publishKey)
	sound := testkit.Sound(t).Repeat(long)
	stop := p.Live(testkit.Script{Video: testkit.LadderPictures(t, "30").Repeat(long), Audio: sound, Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Patience = sometime
	v.Join()
	climbed(t, v, pictureRungs...)
	reached(v, "video", 3*time.Second)
	stop()
	sent := p.Sent()
	stop = p.Live(testkit.Script{Video: testkit.LadderPictures(t, "portrait").Repeat(long), Audio: sound, Speed: 1, From: sent[len(sent)-1].DTS + 33*time.Millisecond})
	cut := v.Until("video", "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 && l.Last().Discontinuity })
	seam := cut.Last().MSN
	for _, rung := range pictureRungs {
		recovered(v, rung, seam, 2)
	}
	all := taken(v, append([]string{"video", "audio", soundRung}, pictureRungs...)...)
	stop()
	for i := range all[3:] {
		rung := &all[3+i]
		missing := rung.heldAgainst(t, &all[0], 0)
		if slices.ContainsFunc(missing, func(msn int64) bool { return msn >= seam+4 }) && lateFrames(t, n) == 0 {
			t.Errorf("%s lacks pictures of %v; the seam is %d", rung.name, missing, seam)
		}
		sizes := map[[2]int]bool{}
		for _, d := range v.Decode(rung.name, rung.segments) {
			sizes[[2]int{d.Width, d.Height}] = true
		}
		if s := rungSizes[rung.name]; len(sizes) != 2 || !sizes[s] || !sizes[[2]int{s[1], s[0]}] {
			t.Errorf("%s: its pictures are of %v, want %v and upright", rung.name, sizes, s)
		}
	}
	for i := range all[1:3] {
		all[1+i].sounds(t, &all[0], 0)
	}
	p.Leave()
}

// TestLadderOfManyTracks has publishers who send sizes or languages of their own: rungs stand beside them.
func TestLadderOfManyTracks(t *testing.T) {
	t.Parallel()
	opus := func(seed int) *testkit.Clip {
		return testkit.Encode(t, testkit.Opus, fmt.Sprintf("anoisesrc=amplitude=0.1:sample_rate=48000:seed=%d", seed), "-c:a", "libopus", "-ac", "2", "-b:a", "64k").Repeat(long)
	}
	for _, c := range []struct {
		name, protocol string
		tracks         []testkit.Media
		want           []string
	}{
		{"layers", "whip", []testkit.Media{{Clip: layer(t, 384, 216).Repeat(long), RID: "high"}, {Clip: layer(t, 192, 108).Repeat(long), RID: "low"}, {Clip: opus(1)}},
			[]string{"audio", "audio-aac", "video", "video-1"}},
		{"languages", "rtmp", []testkit.Media{{Clip: testkit.LadderPictures(t, "30").Repeat(long)}, {Clip: opus(1), Language: "de"}, {Clip: opus(2), Language: "fr"}},
			[]string{"audio", "audio-1", "audio-aac", "audio-aac-1", "video"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := laddered(t, testkit.NewProgram(t), strings.Replace(threeRungs, ", audio 48k", "", 1), nil)
			newHost(t, n.HTTP()).products(1)
			show := testkit.Show{Name: "show", Key: publishKey, Tracks: c.tracks}
			src := testkit.ByName(t, c.protocol).Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Patience = sometime
			v.Join()
			climbed(t, v, append(slices.Clone(pictureRungs), c.want...)...)
			judgedBy(t, n, conformance.Options{Duration: 4 * time.Second, LooseHints: true, DecodeSlack: time.Millisecond, RaisedHold: true, Off: hasty})
			master := v.Join()
			got := slices.Compact(slices.Sorted(slices.Values(testkit.Renditions(master))))
			want := append(slices.Clone(pictureRungs), c.want...)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("renditions %q, want %q:\n%s", got, want, master)
			}
			if c.name == "languages" {
				for rendition, language := range map[string]string{"audio-aac": "de", "audio-aac-1": "fr"} {
					if got := testkit.Attribute(variantOf(master, rendition), "LANGUAGE"); got != language {
						t.Errorf("%s: LANGUAGE is %q, want %q", rendition, got, language)
					}
				}
			}
			stop()
			src.Leave()
		})
	}
}
