package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// byDoor runs a test for each way in: whatever a protocol is, the house behind it is the same.
func byDoor(t *testing.T, test func(t *testing.T, p testkit.Protocol)) {
	t.Helper()
	for _, p := range testkit.Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// doors starts a node with every way in and short segments.
func doors(t *testing.T, change func(*config.Config)) *testkit.Node {
	t.Helper()
	return testkit.Start(t, func(c *config.Config) {
		quick(c)
		testkit.WithTLS(t, c)
		if change != nil {
			change(c)
		}
	})
}

// usual is the protocol's usual one, with a key.
func usual(t *testing.T, p testkit.Protocol, name, key string) testkit.Show {
	return testkit.Show{Name: name, Key: key, Tracks: p.Media(t)}
}

// comparable reduces frames to what all protocols carry of them.
func comparable(codec testkit.FourCC, sent []testkit.Sent, track int) (out []testkit.Sent) {
	for _, s := range sent {
		if s.Track == track {
			s.Payload = testkit.Slices(codec, s.Payload)
			out = append(out, s)
		}
	}
	return out
}

// carried wants the frames of a track among what a rendition has, each once and in order, and returns them. Those may be missing
// that were sent before the way was open or were under way when it was closed, which how far tells, and sound in front of
// the pictures.
func carried(t *testing.T, n *testkit.Node, v *testkit.Viewer, rendition string, m testkit.Media, sent []testkit.Sent, track int, head, tail time.Duration, pictures []placed) []placed {
	t.Helper()
	received := slicesOf(v, rendition, m.Clip.Codec)
	// On a busy machine sound may come so late that silence has taken its place: the node counts that.
	late := int(testkit.Scrape(t, n.Admin()).Value("pushcart_packager_dropped_frames_total"))
	if late > 0 && !m.Clip.Codec.Video() {
		received = slices.DeleteFunc(received, func(r testkit.Received) bool { return len(r.Payload) < silentFrame })
	}
	all := comparable(m.Clip.Codec, sent, track)
	arrived, missing := account(t, m.Clip.Codec.Video(), all, received)
	if len(all) == 0 || len(arrived) == 0 {
		t.Fatalf("%s: %d frames were sent, %d came", rendition, len(all), len(arrived))
	}
	end := all[len(all)-1].DTS
	missing = slices.DeleteFunc(missing, func(s testkit.Sent) bool {
		return s.DTS < all[0].DTS+head || s.DTS > end-tail || inFront(s, pictures)
	})
	if late > 0 {
		t.Logf("%s: %d frames are missing, the node counts %d that came too late", rendition, len(missing), late)
	}
	if excused := !m.Clip.Codec.Video() && len(missing) <= min(late, len(all)/4); len(missing) > 0 && !excused {
		t.Errorf("%s: %d of %d frames did not arrive, the first of %v, the last of %v", rendition, len(missing), len(all),
			missing[0].DTS, missing[len(missing)-1].DTS)
	}
	return arrived
}

// slack is what of a show may be missing at its ends, by protocol.
func slack(p testkit.Protocol) (head, tail time.Duration) {
	switch p.Room {
	case "rtmp":
		return 0, 0
	case "whip":
		return 1100 * time.Millisecond, 400 * time.Millisecond // packets that come before the tracks are known to the server are lost
	}
	return 0, 400 * time.Millisecond
}

// judged runs the strict client for a while and reports what it finds.
func judged(t *testing.T, n *testkit.Node, d time.Duration, off ...conformance.RuleID) *conformance.Report {
	t.Helper()
	return judgedBy(t, n, conformance.Options{Duration: d, LooseHints: true, DecodeSlack: time.Millisecond, Off: append(slices.Clone(hasty), off...)})
}

func judgedBy(t *testing.T, n *testkit.Node, opt conformance.Options) *conformance.Report {
	t.Helper()
	report, err := check(t, n.Master("show"), opt)
	if err != nil {
		t.Errorf("strict client: %v", err)
	}
	for _, x := range report.Violations {
		t.Errorf("%s", x)
	}
	return report
}

// TestEveryDoor publishes a show by each protocol: viewers get every frame, within the rules and in its time; the API and the
// metrics tell the same of it.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, nil)
		show := usual(t, p, "show", "")
		src := p.Must(t, n, show)
		stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
		v := testkit.NewViewer(t, n.Master("show"))
		v.Join()
		judged(t, n, 5*time.Second)

		s := stream(t, n, "show")
		sound := show.Tracks[1].Clip.Codec
		if s.State != "live" || s.Protocol != p.Label || s.Playlist != "/live/show/index.m3u8" || s.Reconnects != 0 || s.Viewers != 1 {
			t.Errorf("API: %+v", s)
		}
		if p.Room != "srt" && s.Agent != "testkit/1.0" {
			t.Errorf("API: agent %q", s.Agent)
		}
		if s.KeyframeSeconds < 0.98 || s.KeyframeSeconds > 1.02 {
			t.Errorf("API: key frames each %v s", s.KeyframeSeconds)
		}
		if len(s.Tracks) != 2 {
			t.Fatalf("API: %d tracks", len(s.Tracks))
		}
		if k := s.Tracks[0]; k.Kind != "video" || k.Codec != "H.264" || !strings.HasPrefix(k.Codecs, "avc1.") || k.Width != 320 ||
			k.Height != 180 || k.FrameRate < 20 || k.FrameRate > 30 || k.Bitrate <= 0 || k.Frames == 0 {
			t.Errorf("API: %+v", k)
		}
		if k := s.Tracks[1]; k.Kind != "audio" || (k.Codec == "AAC") != (sound == testkit.AAC) || k.Channels != 2 || k.SampleRate < 44100 || k.Bitrate <= 0 {
			t.Errorf("API: %+v", k)
		}
		if reorders := show.Tracks[0].Clip.Samples[0].Offset > 0; reorders != s.adviceWith("B-frames add", "ms") {
			t.Errorf("API: advice %q", s.Advice)
		}
		m := testkit.Scrape(t, n.Admin())
		for _, name := range []string{"pushcart_ingest_publishers", "pushcart_ingest_sessions_total"} {
			if got := m.Value(name, "protocol", p.Label); got != 1 {
				t.Errorf("%s{protocol=%q} is %v", name, p.Label, got)
			}
		}
		if got := m.Value("pushcart_" + p.Room + "_bytes_received_total"); got <= 0 {
			t.Errorf("pushcart_%s_bytes_received_total is %v", p.Room, got)
		}

		stop()
		sent := src.Sent()
		src.Leave()
		testkit.Eventually(t, "the session is over", func() bool {
			return testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_publishers", "protocol", p.Label) == 0
		})
		head, tail := slack(p)
		pictures := carried(t, n, v, "video", show.Tracks[0], sent, 0, head, tail, nil)
		sounds := carried(t, n, v, "audio", show.Tracks[1], sent, 1, head+time.Second/10, tail, pictures)
		forward(t, "video", pictures)
		forward(t, "audio", sounds)
		together(t, steady(t, "video", pictures, 3*time.Millisecond), steady(t, "audio", sounds, 24*time.Millisecond), 12*time.Millisecond)
		if l := v.Playlist("video"); l.Discontinuities() != 0 || l.Ended {
			t.Errorf("%s, ended %v", describe(l), l.Ended)
		}
	})
}

// TestEveryDoorReconnects loses the publisher: the show waits, goes on behind one discontinuity when it is back, and ends when
// it stays away.
func TestEveryDoorReconnects(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, func(c *config.Config) { c.Publish.ReconnectWindow = config.Duration(3 * time.Second) })
		show := usual(t, p, "show", "")
		first := p.Must(t, n, show)
		stop := testkit.OnAir(t, first, show.Tracks, testkit.Stretch{Speed: 1})
		v := testkit.NewViewer(t, n.Master("show"))
		v.Join()
		before := reached(v, "video", 2500*time.Millisecond)
		stop()
		first.Drop()
		testkit.Eventually(t, "the stream waits", func() bool { return stream(t, n, "show").State == "waiting" })
		if s := stream(t, n, "show"); s.WaitingUntil == nil || !s.adviceWith("The publisher is away") {
			t.Errorf("API: %+v", s)
		}

		second := p.Must(t, n, show)
		stop = testkit.OnAir(t, second, show.Tracks, testkit.Stretch{From: 6 * time.Second, Speed: 1})
		for _, rendition := range []string{"video", "audio"} {
			after := v.Until(rendition, "a discontinuity", func(l *testkit.Playlist) bool {
				return l.Discontinuities() == 1 && l.Last().MSN >= before.Last().MSN+2
			})
			if after.Sequence != before.Sequence || after.Ended {
				t.Errorf("%s: %s, ended %v; before, the media sequence was %d", rendition, describe(after), after.Ended, before.Sequence)
			}
		}
		if s := stream(t, n, "show"); s.Reconnects != 1 || s.State != "live" {
			t.Errorf("API: %+v", s)
		}
		stop()
		sent := append(first.Sent(), second.Sent()...)
		second.Leave()
		for _, rendition := range []string{"video", "audio"} {
			if l := v.Ended(rendition); l.Discontinuities() != 1 {
				t.Errorf("%s: %s", rendition, describe(l))
			}
		}
		arrived, _ := account(t, true, comparable(show.Tracks[0].Clip.Codec, sent, 0), slicesOf(v, "video", show.Tracks[0].Clip.Codec))
		forward(t, "video", arrived)
		testkit.Eventually(t, "the API knows the stream no more", func() bool {
			status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+"/api/v1/streams/show")
			return err == nil && status == http.StatusNotFound
		})
	})
}

// slicesOf downloads a rendition, reduced to what all protocols carry.
func slicesOf(v *testkit.Viewer, rendition string, codec testkit.FourCC) []testkit.Received {
	received := v.Samples(v.Playlist(rendition))
	for i := range received {
		received[i].Payload = testkit.Slices(codec, received[i].Payload)
	}
	return received
}
