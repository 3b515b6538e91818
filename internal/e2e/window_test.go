package e2e

import (
	"net/http"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestWindowSlides has more of a show than is kept: playlists stay as long as configured, delta updates leave out what is
// old, and what has left the playlist can be fetched for as long as the specification asks.
func TestWindowSlides(t *testing.T) {
	t.Parallel()
	const dvr = 8 * time.Second
	n := testkit.Start(t, func(c *config.Config) {
		c.HLS.SegmentDuration, c.HLS.MaxSegmentDuration = config.Duration(time.Second), config.Duration(time.Second)
		c.HLS.DVR = config.Duration(dvr)
		c.Publish.ReconnectWindow = config.Duration(time.Minute)
	})
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, video, audio, 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	first := reached(v, "video", 2500*time.Millisecond)
	p.Drop() // a discontinuity that slides out of the window
	p = testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, video, audio, 3*time.Second, 7*time.Second)
	stop := p.Live(testkit.Script{Video: video, Audio: audio, From: 7 * time.Second, Speed: 1})
	report, err := check(t, n.Master("show"), conformance.Options{Duration: 10 * time.Second, LooseHints: true, Off: hasty})
	if err != nil {
		t.Errorf("strict client: %v", err)
	}
	for _, x := range report.Violations {
		t.Errorf("%s", x)
	}
	for _, rule := range []conformance.RuleID{conformance.RuleSegmentStays, conformance.RuleDeltaEqual, conformance.RuleDeltaGiven, conformance.RuleDiscSeq} {
		if report.Exercised[rule] == 0 {
			t.Errorf("there was no occasion to judge %s", rule)
		}
	}
	l := v.Playlist("video")
	if length := lengthOf(l); length < dvr || length > dvr+3*time.Second {
		t.Errorf("the playlist has %v of media, %v are configured", length, dvr)
	}
	if l.Discontinuity != 1 || l.Discontinuities() != 0 {
		t.Errorf("the discontinuity sequence number is %d with %d discontinuities left, want 1 with none", l.Discontinuity, l.Discontinuities())
	}
	// The first segment has left the playlist, but is there for as long as the playlist is long.
	v.Fetch(first.Segments[0].URI, http.StatusOK)
	stop()
	p.Leave()
}
