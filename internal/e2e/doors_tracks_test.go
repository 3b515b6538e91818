package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// layer is a clip of a size with a key frame each second, at the same times as those of other sizes.
func layer(t *testing.T, width, height int) *testkit.Clip {
	return testkit.Encode(t, testkit.AVC, fmt.Sprintf("testsrc2=size=%dx%d:rate=25", width, height),
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
}

// TestLanguages publishes several audio tracks: each is a choice of the viewer's.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol      string
		first, second string // as the protocol writes them
	}{
		{"rtmp", "de", "fr"}, {"rtsp/tcp", "de", "fr"}, {"rtsp/udp", "deu", "fra"}, {"srt", "deu", "fra"},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, c.protocol)
			n := doors(t, func(cfg *config.Config) {
				cfg.Publish.Languages = []config.Language{{Stream: "show", Track: 3, Language: "pt-BR", Name: "Comentário"}}
			})
			tracks := []testkit.Media{{Clip: testkit.Pictures(t)}}
			for i, language := range []string{c.first, c.second, ""} {
				clip := testkit.Encode(t, testkit.AAC, fmt.Sprintf("anoisesrc=amplitude=0.1:sample_rate=44100:seed=%d", i+1), "-c:a", "aac", "-ac", "2", "-b:a", "64k")
				tracks = append(tracks, testkit.Media{Clip: clip, Language: language})
			}
			show := testkit.Show{Name: "show", Tracks: tracks}
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			renditions := map[string]string{} // by language
			testkit.Eventually(t, "three languages", func() bool {
				clear(renditions)
				for line := range strings.Lines(v.Join()) {
					if list, ok := strings.CutPrefix(strings.TrimSpace(line), "#EXT-X-MEDIA:"); ok {
						renditions[testkit.Attribute(list, "LANGUAGE")] = strings.TrimSuffix(testkit.Attribute(list, "URI"), ".m3u8")
						if name := testkit.Attribute(list, "NAME"); name == "" || testkit.Attribute(list, "LANGUAGE") == "pt-BR" && name != "Comentário" {
							t.Errorf("NAME=%q in %s", name, list)
						}
					}
				}
				return len(renditions) == 3
			})
			judged(t, n, 4*time.Second)
			stop()
			head, tail := slack(p)
			for i, language := range []string{"de", "fr", "pt-BR"} {
				if renditions[language] == "" {
					t.Errorf("no LANGUAGE=%q: %v", language, renditions)
					continue
				}
				carried(t, n, v, renditions[language], tracks[i+1], src.Sent(), i+1, head+200*time.Millisecond, tail+time.Second, nil)
			}
			src.Leave()
		})
	}
}

// TestLadders publishes several sizes of one picture: each is a variant, cut at the same times with the same numbers.
func TestLadders(t *testing.T) {
	t.Parallel()
	sizes := [][2]int{{640, 360}, {320, 180}, {160, 90}}
	for _, name := range []string{"rtmp", "rtsp/tcp", "srt", "whip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			var tracks []testkit.Media
			for i, size := range sizes {
				m := testkit.Media{Clip: layer(t, size[0], size[1])}
				if name == "whip" {
					m.RID = []string{"high", "mid", "low"}[i]
				}
				tracks = append(tracks, m)
			}
			tracks = append(tracks, testkit.Media{Clip: p.Sound(t)})
			show := testkit.Show{Name: "show", Tracks: tracks}
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			byHeight := map[string]string{}
			testkit.Eventually(t, "three variants", func() bool {
				clear(byHeight)
				lines := strings.Split(v.Join(), "\n")
				for i, line := range lines {
					if list, ok := strings.CutPrefix(line, "#EXT-X-STREAM-INF:"); ok && i+1 < len(lines) {
						byHeight[testkit.Attribute(list, "RESOLUTION")] = strings.TrimSuffix(lines[i+1], ".m3u8")
					}
				}
				return len(byHeight) == len(sizes)
			})
			judged(t, n, 5*time.Second)
			var renditions []string
			for _, rendition := range byHeight {
				renditions = append(renditions, rendition)
			}
			alike(t, v, append(renditions, "audio"))
			stop()
			if s := stream(t, n, "show"); len(s.Tracks) != len(tracks) {
				t.Errorf("API: %d tracks", len(s.Tracks))
			}
			head, tail := slack(p)
			for i, size := range sizes {
				rendition := byHeight[fmt.Sprintf("%dx%d", size[0], size[1])]
				if rendition == "" {
					t.Errorf("no variant of %dx%d: %v", size[0], size[1], byHeight)
					continue
				}
				carried(t, n, v, rendition, tracks[i], src.Sent(), i, head+time.Second, tail+time.Second, nil)
			}
			src.Leave()
		})
	}
}

// alike wants the segments that renditions have in common to have the same lengths and dates.
func alike(t *testing.T, v *testkit.Viewer, renditions []string) {
	t.Helper()
	slices.Sort(renditions)
	lead := map[int64]testkit.Segment{}
	for _, g := range v.Playlist(renditions[len(renditions)-1]).Segments {
		if g.Complete {
			lead[g.MSN] = g
		}
	}
	for _, rendition := range renditions[:len(renditions)-1] {
		common := 0
		for _, g := range v.Playlist(rendition).Segments {
			l, ok := lead[g.MSN]
			if !ok || !g.Complete {
				continue
			}
			common++
			near := 2 * time.Millisecond
			if rendition == "audio" {
				near = 30 * time.Millisecond // of whole frames
			}
			if d := (g.Duration - l.Duration).Abs(); d > near {
				t.Errorf("%s: segment %d lasts %v, elsewhere %v", rendition, g.MSN, g.Duration, l.Duration)
			}
			if d := g.Wall.Sub(l.Wall).Abs(); d > near {
				t.Errorf("%s: segment %d begins at %v, elsewhere at %v", rendition, g.MSN, g.Wall, l.Wall)
			}
		}
		if common < 3 {
			t.Errorf("%s has %d segments in common with the others", rendition, common)
		}
	}
}
