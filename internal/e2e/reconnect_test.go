package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// window sets how long a stream waits for its publisher.
func window(d time.Duration) func(*config.Config) {
	return func(c *config.Config) {
		quick(c)
		c.Publish.ReconnectWindow = config.Duration(d)
	}
}

// burst publishes some seconds at once.
func burst(t *testing.T, p *testkit.Publisher, video, audio *testkit.Clip, from, to time.Duration) {
	t.Helper()
	p.Configure(0, video, audio)
	if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: from, To: to}); err != nil {
		t.Fatal(err)
	}
}

// reached waits until a rendition has media of a length.
func reached(v *testkit.Viewer, rendition string, length time.Duration) *testkit.Playlist {
	return v.Until(rendition, "media", func(l *testkit.Playlist) bool { return lengthOf(l) >= length })
}

func lengthOf(l *testkit.Playlist) time.Duration {
	total := time.Duration(0)
	for _, g := range l.Segments {
		for _, part := range g.Parts {
			if !g.Complete {
				total += part.Duration
			}
		}
		total += g.Duration
	}
	return total
}

// TestPublisherDropsAndReturns closes the publisher's socket without a word: the show stays open, and goes on behind a
// discontinuity with the next number.
func TestPublisherDropsAndReturns(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, window(time.Minute))
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	first := testkit.Publish(t, n.RTMP(), "show")
	burst(t, first, video, audio, 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	before := reached(v, "video", 2500*time.Millisecond)
	first.Drop()
	n.Log.Wait(t, "publisher lost", "show")
	if s := stream(t, n, "show"); s.State != "waiting" || s.WaitingUntil == nil {
		t.Errorf("API: %+v", s)
	}
	if l := v.Playlist("video"); l.Ended {
		t.Fatal("the playlist ended with the connection")
	}

	second := testkit.Publish(t, n.RTMP(), "show")
	burst(t, second, video, audio, 5*time.Second, 8*time.Second)
	for _, rendition := range []string{"video", "audio"} {
		after := v.Until(rendition, "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 && l.Last().MSN >= before.Last().MSN+3 })
		if after.Sequence != before.Sequence || after.Ended {
			t.Errorf("%s: %s, ended %v; before, the media sequence was %d", rendition, describe(after), after.Ended, before.Sequence)
		}
		for _, g := range after.Segments {
			if g.Discontinuity && g.Map != after.Segments[0].Map {
				t.Errorf("%s: the same codec data got another EXT-X-MAP: %s", rendition, g.Map)
			}
		}
	}
	second.Leave()
	sent := append(first.Sent(), second.Sent()...)
	pictures := allArrived(t, v, "video", true, sent, nil)
	sounds := allArrived(t, v, "audio", false, sent, pictures)
	forward(t, "video", pictures)
	together(t, steady(t, "video", pictures, 3*time.Millisecond), steady(t, "audio", sounds, 24*time.Millisecond), 12*time.Millisecond)
	if s := stream(t, n, "show"); s.Reconnects != 1 {
		t.Errorf("API tells of %d reconnects", s.Reconnects)
	}
}

// TestPublisherReturnsWithAnotherSize has the host turn the phone: new codec data are a new EXT-X-MAP.
func TestPublisherReturnsWithAnotherSize(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]bool{"after its connection dropped": true, "in the same connection": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, window(time.Minute))
			landscape, audio := testkit.Pictures(t), testkit.Sound(t)
			portrait := testkit.Encode(t, testkit.AVC, "testsrc2=size=180x320:rate=25",
				"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
			p := testkit.Publish(t, n.RTMP(), "show")
			burst(t, p, landscape, audio, 0, 3*time.Second)
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			reached(v, "video", 2500*time.Millisecond)
			if drop {
				p.Drop()
				p = testkit.Publish(t, n.RTMP(), "show")
			}
			burst(t, p, portrait, audio, 3*time.Second, 6*time.Second)
			l := v.Until("video", "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 && l.Complete() >= 4 })
			maps := map[string]bool{}
			for _, g := range l.Segments {
				maps[g.Map] = true
				if first := g.Map != l.Segments[0].Map; first && !g.Discontinuity && len(maps) == 1 {
					t.Errorf("EXT-X-MAP changes without discontinuity at %d", g.MSN)
				}
			}
			if len(maps) != 2 {
				t.Errorf("%d different EXT-X-MAP, want 2:\n%s", len(maps), l.Text)
			}
			if master := v.Join(); !strings.Contains(master, "RESOLUTION=180x320") {
				t.Errorf("the multivariant playlist does not know the new size:\n%s", master)
			}
			p.Leave()
		})
	}
}

// TestPublisherStaysAway ends the show after the reconnect window; the next one under the name is a fresh live stream with
// higher numbers, and what was listed before can still be fetched.
func TestPublisherStaysAway(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, window(time.Second))
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, video, audio, 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", 2500*time.Millisecond)
	p.Drop()
	old := v.Ended("video")
	if audio := v.Ended("audio"); audio.Last().MSN != old.Last().MSN {
		t.Errorf("audio ends with segment %d, video with %d", audio.Last().MSN, old.Last().MSN)
	}
	if old.Hint != "" || !old.Last().Complete {
		t.Errorf("the ended playlist hints %q, its last segment is complete: %v", old.Hint, old.Last().Complete)
	}
	testkit.Eventually(t, "the API knows the stream no more", func() bool {
		status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+"/api/v1/streams/show")
		return err == nil && status == http.StatusNotFound
	})

	p = testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, video, audio, 5*time.Second, 8*time.Second)
	v.Join()
	fresh := v.Until("video", "the new show", func(l *testkit.Playlist) bool { return !l.Ended && len(l.Segments) > 2 })
	if fresh.Sequence <= old.Last().MSN {
		t.Errorf("the new show begins with number %d, the old one ended with %d", fresh.Sequence, old.Last().MSN)
	}
	for _, g := range old.Segments {
		v.Fetch(g.URI, http.StatusOK)
		v.Fetch(g.Map, http.StatusOK)
	}
	p.Leave()
}

// TestNobodyIsKeptWaitingByAShowThatEnds has a player wait for the next part while the show ends: it gets the last playlist
// at once.
func TestNobodyIsKeptWaitingByAShowThatEnds(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, window(0))
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", 2500*time.Millisecond)
	ended := make(chan *testkit.Playlist, 1)
	go func() { ended <- v.Ended("audio") }()
	testkit.Eventually(t, "a request waits", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_hls_waiting_requests") > 0
	})
	p.Leave()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the waiting player was not told of the end")
	}
}

// TestPublisherReturnsWithOtherTracks has a host whose program comes back with other tracks than it left with. The
// renditions that viewers know go on, within the rules.
func TestPublisherReturnsWithOtherTracks(t *testing.T) {
	t.Parallel()
	hevc := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.HEVC, "testsrc2=size=320x180:rate=25", "-c:v", "libx265", "-preset", "ultrafast",
			"-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-x265-params", "log-level=none:keyint=25:min-keyint=25:scenecut=0:bframes=0:open-gop=0")
	}
	opus := func(t *testing.T) *testkit.Clip {
		return testkit.Encode(t, testkit.Opus, "anoisesrc=amplitude=0.1:sample_rate=48000", "-c:a", "libopus", "-b:a", "64k", "-ac", "2")
	}
	avc := func(t *testing.T) *testkit.Clip { return testkit.Pictures(t) }
	aac := func(t *testing.T) *testkit.Clip { return testkit.Sound(t) }
	none := func(*testing.T) *testkit.Clip { return nil }
	for _, c := range []struct {
		name                         string
		video, audio, video2, audio2 func(*testing.T) *testkit.Clip
		codecs                       string // what the multivariant playlist must have in the end
	}{
		{"other codecs", avc, aac, hevc, opus, "hvc1."},
		{"the sound is gone", avc, aac, avc, none, "avc1."},
		{"the picture is gone", avc, aac, none, aac, "mp4a."},
		{"sound is new", avc, none, avc, aac, "mp4a."},
		{"the picture is new", none, aac, avc, aac, "avc1."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, window(time.Minute))
			p := testkit.Publish(t, n.RTMP(), "show")
			burst(t, p, c.video(t), c.audio(t), 0, 3*time.Second)
			v := testkit.NewViewer(t, n.Master("show"))
			renditions := testkit.Renditions(v.Join())
			reached(v, renditions[0], 2500*time.Millisecond)
			p.Drop()
			q := testkit.Publish(t, n.RTMP(), "show")
			stop := q.Live(testkit.Script{Video: c.video2(t), Audio: c.audio2(t), From: 4 * time.Second, Speed: 1})
			for _, rendition := range renditions {
				v.Until(rendition, "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() > 0 })
			}
			// CODECS tells those who join what comes, not what was.
			report, err := check(t, n.Master("show"), conformance.Options{Duration: 4 * time.Second, LooseHints: true,
				Off: append([]conformance.RuleID{conformance.RuleVariantCodecs}, hasty...)})
			if err != nil {
				t.Errorf("strict client: %v", err)
			}
			for _, x := range report.Violations {
				t.Errorf("%s", x)
			}
			if master := v.Join(); !strings.Contains(master, c.codecs) {
				t.Errorf("no %s in\n%s", c.codecs, master)
			}
			lead := endOf(v.Playlist(renditions[0]))
			for _, rendition := range testkit.Renditions(v.Join()) {
				if behind := lead.Sub(endOf(v.Playlist(rendition))); behind > time.Second || behind < -time.Second {
					t.Errorf("%s is left behind %s by %v", rendition, renditions[0], behind)
				}
			}
			stop()
			q.Leave()
			if c.video2(t) != nil {
				arrivedAmong(t, v, "video", true, append(p.Sent(), q.Sent()...), q.Sent())
			}
			if c.audio2(t) != nil {
				arrivedAmong(t, v, "audio", false, append(p.Sent(), q.Sent()...), q.Sent())
			}
		})
	}
}
