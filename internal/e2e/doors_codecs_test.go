package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestOpusThroughEveryDoor is delivered in fMP4.
func TestOpusThroughEveryDoor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rtsp/udp", "srt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			show := testkit.Show{Name: "show", Tracks: []testkit.Media{{Clip: testkit.Pictures(t)}, {Clip: testkit.OpusSound(t)}}}
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			if master := v.Join(); !strings.Contains(master, "opus") {
				t.Errorf("no opus in CODECS:\n%s", master)
			}
			judged(t, n, 3*time.Second)
			stop()
			head, tail := slack(p)
			pictures := carried(t, n, v, "video", show.Tracks[0], src.Sent(), 0, head, tail+time.Second, nil)
			carried(t, n, v, "audio", show.Tracks[1], src.Sent(), 1, head, tail+time.Second, pictures)
			src.Leave()
		})
	}
}

// TestSoundThatHLSCannotCarry is left out, beside a picture, and the host is told.
func TestSoundThatHLSCannotCarry(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rtsp/tcp", "whip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			show := testkit.Show{Name: "show", Tracks: []testkit.Media{{Clip: testkit.Pictures(t)}, {Clip: testkit.Telephone()}}}
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			if renditions := testkit.Renditions(v.Join()); len(renditions) != 1 {
				t.Errorf("renditions %q", renditions)
			}
			judged(t, n, 3*time.Second)
			testkit.Eventually(t, "the host is told", func() bool {
				return stream(t, n, "show").adviceWith("G.711 A-law", "cannot play over HLS", "set the encoder's audio to AAC")
			})
			stop()
			head, tail := slack(p)
			carried(t, n, v, "video", show.Tracks[0], src.Sent(), 0, head, tail+time.Second, nil)
			src.Leave()
		})
	}
}

// TestCodecsThatHLSCannotCarry are refused with a sentence.
func TestCodecsThatHLSCannotCarry(t *testing.T) {
	t.Parallel()
	sound := func(t *testing.T) []testkit.Media { return []testkit.Media{{Clip: testkit.Telephone()}} }
	vp8 := func(t *testing.T) []testkit.Media {
		return []testkit.Media{{Clip: testkit.VP8Pictures(t)}, {Clip: testkit.OpusSound(t)}}
	}
	for _, c := range []struct {
		name, protocol string
		tracks         func(t *testing.T) []testkit.Media
		want           string
	}{
		{"G.711 alone over RTSP", "rtsp/tcp", sound, "G.711"},
		{"G.711 alone over WHIP", "whip", sound, "G.711"},
		{"VP8 over WHIP", "whip", vp8, "VP8"},
		{"VP8 over RTSP", "rtsp/tcp", vp8, "VP8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, c.protocol)
			n := doors(t, nil)
			show := testkit.Show{Name: "show", Tracks: c.tracks(t)}
			src, err := p.Open(t, n, show)
			var refused *testkit.Refused
			switch {
			case errors.As(err, &refused):
				if !strings.Contains(refused.Words, c.want) {
					t.Errorf("the publisher is told %+v", refused)
				}
			case err != nil:
				t.Fatal(err)
			default: // it is known with the first frames only
				ctx, cancel := context.WithCancel(t.Context())
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					testkit.Send(ctx, src, show.Tracks, testkit.Stretch{Speed: 1}) // which fails when the session is ended
				}()
				select {
				case <-src.Gone():
				case <-time.After(15 * time.Second):
					t.Error("the session is still open")
				}
				cancel()
				<-sent
			}
			n.Log.Wait(t, "level=WARN", c.want)
			if got := testkit.Scrape(t, n.Admin()).Value("pushcart_"+p.Room+"_refusals_total", "reason", "unsupported_codec"); got != 1 {
				t.Errorf("unsupported_codec is counted %v times", got)
			}
		})
	}
}

// TestCaptureTime has publishers whose sender reports tell when pictures were taken, two seconds ago: EXT-X-PROGRAM-DATE-TIME
// is that, within a frame.
func TestCaptureTime(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rtsp/tcp", "rtsp/udp", "whip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, func(c *config.Config) {})
			show := usual(t, p, "show", "")
			taken := time.Now().Add(-2 * time.Second)
			show.Captured = func(at time.Duration) time.Time { return taken.Add(at) }
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			l := reached(v, "video", 4*time.Second)
			stop()
			codec := show.Tracks[0].Clip.Codec
			bySum := sums(comparable(codec, src.Sent(), 0))
			sent := comparable(codec, src.Sent(), 0)
			seen := map[int64]bool{}
			for _, r := range v.Samples(l) {
				if i, ok := bySum[sum(testkit.Slices(codec, r.Payload))]; ok && !seen[r.MSN] {
					seen[r.MSN] = true
					want := show.Captured(sent[i].PTS)
					if off := wallOf(l, r.MSN).Sub(want); off.Abs() > 40*time.Millisecond {
						t.Errorf("segment %d begins with a picture of %v, its date is %v off", r.MSN, want, off)
					}
				}
			}
			if len(seen) < 3 {
				t.Errorf("%d segments were judged", len(seen))
			}
			src.Leave()
		})
	}
}

func wallOf(l *testkit.Playlist, msn int64) time.Time {
	for _, g := range l.Segments {
		if g.MSN == msn {
			return g.Wall
		}
	}
	return time.Time{}
}
