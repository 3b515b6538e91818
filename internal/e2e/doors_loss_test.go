package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestLoss has datagrams lost, held up and in another order on their way: the playlists keep their rules, and no picture is
// sent on that cannot be decoded, or that refers to one that is not there.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, p := range testkit.Protocols() {
		if !p.Datagrams {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			n := doors(t, nil)
			// Each picture refers to the one before it, so that one that is missing spoils all up to the next key frame.
			show := testkit.Show{Name: "show", Tracks: []testkit.Media{{Clip: testkit.Pictures(t)}, {Clip: p.Sound(t)}}}
			show.Line = &testkit.Impairment{Seed: 7, Loss: 0.02, Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond, Spare: 60}
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			// Pictures that are left out change what parts could last; the rest of the rules hold as ever.
			judged(t, n, 8*time.Second, conformance.RuleVariantRate)
			stop()
			l := v.Playlist("video")
			intact(t, v, l, show.Tracks[0].Clip.Codec, src.Sent())
			decodes(t, v, l)
			decodes(t, v, v.Playlist("audio"))
			lossCounted(t, n, p, src)
			src.Leave()
		})
	}
}

// intact wants each picture to be one that was sent, and behind the one that it refers to.
func intact(t *testing.T, v *testkit.Viewer, l *testkit.Playlist, codec testkit.FourCC, sent []testkit.Sent) {
	t.Helper()
	all := comparable(codec, sent, 0)
	bySum := sums(all)
	before, came := -2, 0
	for _, r := range v.Samples(l) {
		i, ok := bySum[sum(testkit.Slices(codec, r.Payload))]
		switch {
		case !ok:
			t.Errorf("a picture at %v was never sent so", r.PTS)
			continue
		case !all[i].Key && i != before+1:
			t.Errorf("the picture sent at %v comes behind that of number %d, it refers to number %d", all[i].DTS, before, i-1)
		}
		before = i
		came++
	}
	t.Logf("%d pictures of %d came", came, len(all))
	if came < len(all)/10 {
		t.Errorf("%d pictures of %d came", came, len(all))
	}
}

// decodes has ffmpeg decode all that a playlist lists, and wants no complaint.
func decodes(t *testing.T, v *testkit.Viewer, l *testkit.Playlist) {
	t.Helper()
	var file bytes.Buffer
	for i, g := range l.Segments {
		if i == 0 {
			file.Write(v.Fetch(g.Map, http.StatusOK))
		}
		if g.Complete && !g.Gap {
			file.Write(v.Fetch(g.URI, http.StatusOK))
		}
	}
	name := filepath.Join(t.TempDir(), "all.mp4")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, err := testkit.Output(t, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-err_detect", "explode",
		"-i", name, "-fps_mode", "passthrough", "-f", "null", "-")
	if err != nil || errs != "" {
		t.Errorf("ffmpeg cannot decode what was sent on: %v: %s", err, errs)
	}
}

// lossCounted wants the loss in the metrics: as packets that came when they were asked for again, or as lost for good.
func lossCounted(t *testing.T, n *testkit.Node, p testkit.Protocol, src testkit.Source) {
	t.Helper()
	m := testkit.Scrape(t, n.Admin())
	drops := stream(t, n, "show").Drops
	t.Logf("dropped by reason: %v", drops)
	switch p.Room {
	case "rtsp":
		if src.(*testkit.RTSP).Lost() == 0 {
			t.Error("the line lost nothing")
		}
		if m.Value("pushcart_rtsp_packets_total", "result", "lost") == 0 || drops["packets_lost"] == 0 {
			t.Errorf("nothing is counted as lost: %v", drops)
		}
	case "whip":
		if m.Value("pushcart_whip_nacks_total") == 0 || m.Value("pushcart_whip_packets_total", "fate", "recovered") == 0 {
			t.Errorf("no packet was asked for again: %v asked, %v recovered", m.Value("pushcart_whip_nacks_total"),
				m.Value("pushcart_whip_packets_total", "fate", "recovered"))
		}
	case "srt":
		if src.(*testkit.SRT).Stats().Accumulated.PktRetrans == 0 {
			t.Error("no packet was sent again")
		}
	}
}
