package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestPlayersTakeMediaWithCards changes cards while the strict client, ffprobe and ffmpeg look at the stream: none of them
// has anything to say of it.
func TestPlayersTakeMediaWithCards(t *testing.T) {
	t.Parallel()
	change := withCards(t)
	n := testkit.Start(t, func(c *config.Config) {
		change(c)
		// Short segments, so that playlists get long enough for delta updates.
		c.HLS.MaxSegmentDuration = config.Duration(time.Second)
	})
	h := newHost(t, n.HTTP())
	h.products(3)
	p := testkit.Publish(t, n.RTMP(), "show?key="+publishKey)
	p.Live(testkit.Script{Video: testkit.Pictures(t, "-bf", "2", "-tune", "film"), Audio: testkit.Sound(t), Speed: 1})
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- h.busy(stop) }()
	report := playable(t, n.Master("show"), wanted{video: "h264", audio: "aac", width: 320, height: 180, fps: 25, sampleRate: 44100},
		conformance.Options{Off: hasty})
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if report.Exercised[conformance.RuleDeltaEqual] == 0 {
		t.Error("there was no occasion to judge delta updates")
	}

	// One segment by itself, as a file: ffprobe finds all of its pictures, and complains of nothing.
	v := testkit.NewViewer(t, n.Master("show"))
	l := v.Playlist("video")
	g := l.Segments[len(l.Segments)-3]
	segment := v.Fetch(g.URI, http.StatusOK)
	if strings.Count(string(segment), "emsg\x01") < 2 {
		t.Fatalf("segment %d has fewer than two messages", g.MSN)
	}
	file := testkit.WriteFile(t, "segment.mp4", "")
	if err := os.WriteFile(file, append(v.Fetch(g.Map, http.StatusOK), segment...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := testkit.Output(t, "ffprobe", "-loglevel", "verbose", "-show_entries", "packet=pts", "-of", "csv=p=0", file)
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, errs)
	}
	for line := range strings.Lines(errs) {
		if strings.Contains(strings.ToLower(line), "emsg") && strings.Contains(strings.ToLower(line), "error") {
			t.Errorf("ffprobe: %s", line)
		}
	}
	m := &cardMedia{rendition: "segment"}
	m.read(t, g.MSN, segment)
	if packets := strings.Count(out, "\n"); packets != len(m.pictures) || packets == 0 {
		t.Errorf("ffprobe finds %d pictures in a segment of %d", packets, len(m.pictures))
	}
}

// busy shows one card after the other until stop is closed.
func (h *host) busy(stop <-chan struct{}) error {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		a, err := h.ask(http.MethodPut, "/slots/main", map[string]any{"card": fmt.Sprint("c", i%3)})
		if err != nil || a.status/100 != 2 {
			return fmt.Errorf("change %d: status %d, %w: %s", i, a.status, err, a.body)
		}
	}
}
