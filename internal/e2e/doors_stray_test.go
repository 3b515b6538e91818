package e2e

import (
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestLayersOfTheirOwnCadence has a second video whose key frames never fall on those of the first, as a camera's main stream
// has: it is there all the same, behind a gap, and the strict client finds nothing wrong with either.
func TestLayersOfTheirOwnCadence(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rtmp", "rtsp/tcp", "srt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			big := *testkit.Encode(t, testkit.AVC, "testsrc2=size=640x360:rate=25",
				"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "33", "-keyint_min", "33", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
			big.Samples = big.Samples[33:]
			tracks := []testkit.Media{{Clip: layer(t, 320, 180)}, {Clip: &big}, {Clip: p.Sound(t)}}
			src := p.Must(t, n, testkit.Show{Name: "show", Tracks: tracks})
			stop := testkit.OnAir(t, src, tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			testkit.Eventually(t, "two variants", func() bool { return strings.Count(v.Join(), "STREAM-INF") == 2 })
			judged(t, n, 6*time.Second)
			segments := 0
			for _, g := range v.Playlist("video-1").Segments {
				if !g.Gap && g.Complete {
					segments++
				}
			}
			if segments == 0 {
				t.Error("the second video has gaps only")
			}
			stop()
			src.Leave()
		})
	}
}
