package e2e

import (
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

func TestStray(t *testing.T) {
	for _, name := range []string{"rtmp", "rtsp/tcp", "srt"} {
		t.Run(name, func(t *testing.T) {
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			big := *testkit.Encode(t, testkit.AVC, "testsrc2=size=640x360:rate=25",
				"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "33", "-keyint_min", "33", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
			big.Samples = big.Samples[33:]
			tracks := []testkit.Media{{Clip: layer(t, 320, 180)}, {Clip: &big}, {Clip: p.Sound(t)}}
			src := p.Must(t, n, testkit.Show{Name: "show", Tracks: tracks})
			stop := testkit.OnAir(t, src, tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			from := time.Now()
			v.Join()
			t.Log("first list after", time.Since(from))
			testkit.Eventually(t, "two variants", func() bool { return strings.Count(v.Join(), "STREAM-INF") == 2 })
			t.Log("both after", time.Since(from))
			judged(t, n, 6*time.Second)
			for _, r := range []string{"video", "video-1"} {
				for _, g := range v.Playlist(r).Segments {
					t.Log(r, g.MSN, g.Gap, g.Duration, g.Complete)
				}
			}
			stop()
			src.Leave()
		})
	}
}
