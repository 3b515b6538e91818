package e2e

import (
	"testing"
	"time"

	srt "github.com/datarhei/gosrt"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestClocksWrap begins three seconds before the timestamps of each protocol start again from zero: nobody notices.
func TestClocksWrap(t *testing.T) {
	t.Parallel()
	const before = 3 * time.Second
	for name, bits := range map[string]int{"rtsp/tcp": 32, "srt": 33, "whip": 32} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.ByName(t, name)
			n := doors(t, nil)
			show := usual(t, p, "show", "")
			show.Origin = 1<<bits - uint64(before.Seconds())*90000
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			judged(t, n, 5*time.Second)
			stop()
			head, tail := slack(p)
			pictures := carried(t, n, v, "video", show.Tracks[0], src.Sent(), 0, head, tail, nil)
			sounds := carried(t, n, v, "audio", show.Tracks[1], src.Sent(), 1, head+time.Second/10, tail, pictures)
			together(t, steady(t, "video", pictures, 3*time.Millisecond), steady(t, "audio", sounds, 24*time.Millisecond), 12*time.Millisecond)
			if l := v.Playlist("video"); l.Discontinuities() != 0 {
				t.Errorf("%s", describe(l))
			}
			src.Leave()
		})
	}
}

// TestTransportStreamIsCut has an encoder begin anew in the midst of its transport stream, with another clock and the flag that
// says so: viewers see one discontinuity.
func TestTransportStreamIsCut(t *testing.T) {
	t.Parallel()
	n := doors(t, nil)
	p := testkit.ByName(t, "srt")
	show := usual(t, p, "show", "")
	src := p.Must(t, n, show).(*testkit.SRT)
	if err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{To: 3 * time.Second, Speed: 1}); err != nil {
		t.Fatal(err)
	}
	src.Cut(7 * time.Hour)
	stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{From: 4 * time.Second, To: 9 * time.Second, Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	for _, rendition := range []string{"video", "audio"} {
		v.Until(rendition, "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 && l.Complete() >= 5 })
	}
	stop()
	src.Leave()
	arrived, _ := account(t, true, comparable(testkit.AVC, src.Sent(), 0), slicesOf(v, "video", testkit.AVC))
	forward(t, "video", arrived)
}

// TestSRTSettings encrypts, and asks for more latency than the node has.
func TestSRTSettings(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery"
	n := doors(t, func(c *config.Config) { c.SRT.Passphrase = secret })
	p := testkit.ByName(t, "srt")
	show := usual(t, p, "show", "")
	address := n.Address("srt").String()
	for name, passphrase := range map[string]string{"no": "", "another": "another passphrase"} {
		src, err := testkit.DialSRT(t, address, testkit.StreamID("show", ""), show, func(c *srt.Config) { c.Passphrase = passphrase })
		if err == nil {
			src.Drop()
			t.Errorf("%s passphrase is let in", name)
		}
	}
	for _, id := range []string{testkit.StreamID("show", ""), "publish:live/show"} {
		src, err := testkit.DialSRT(t, address, id, show, func(c *srt.Config) {
			c.Passphrase, c.PBKeylen, c.PeerLatency = secret, 32, 300*time.Millisecond
		})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{To: 1500 * time.Millisecond, Speed: 1}); err != nil {
			t.Fatal(err)
		}
		v := testkit.NewViewer(t, n.Master("show"))
		v.Join()
		reached(v, "video", time.Second)
		src.Leave()
	}
	if n.Log.Has(secret) {
		t.Error("the passphrase is in the log")
	}
}

// TestWHIPOverTCP publishes from a network that lets no UDP through.
func TestWHIPOverTCP(t *testing.T) {
	t.Parallel()
	n := doors(t, nil)
	show := usual(t, testkit.ByName(t, "whip"), "show", "")
	src, err := testkit.OpenWHIP(t, n, show, testkit.WHIPOptions{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	judged(t, n, 4*time.Second)
	stop()
	carried(t, n, v, "video", show.Tracks[0], src.Sent(), 0, 1100*time.Millisecond, time.Second, nil)
	src.Leave()
}
