package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestEveryDoorAuthorises lets the same in and refuses the same by each protocol, in words where it has a place for them.
func TestEveryDoorAuthorises(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, guarded)
		for _, c := range []struct {
			what, name, key string
			reason, words   string // "" is let in
		}{
			{"wrong key", "show", "not-the-secret", "bad_key", "The key for this stream is wrong"},
			{"another stream's key", "other", "show-secret-1", "bad_key", "The key for this stream is wrong"},
			{"no key", "show", "", "bad_key", "key"},
			{"right key", "show", "show-secret-1", "", ""},
			{"hashed key", "other", "hashed-secret", "", ""},
			{"key for any", "free", "any-secret-1", "", ""},
		} {
			show := usual(t, p, c.name, c.key)
			before := testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", c.reason)
			if c.reason == "" {
				src := p.Must(t, n, show)
				if err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{To: 400 * time.Millisecond, Speed: 1}); err != nil {
					t.Fatalf("%s: %v", c.what, err)
				}
				testkit.Eventually(t, c.what+": the stream is live", func() bool {
					s := list(t, n)
					return s[c.name].State == "live" && len(s[c.name].Tracks) == 2
				})
				src.Leave()
				continue
			}
			refused := p.Refusal(t, n, show)
			if p.Words && !strings.Contains(refused.Words, c.words) {
				t.Errorf("%s: the publisher is told %+v, want %q", c.what, refused, c.words)
			}
			// Without a key at all, a challenge may be the answer, which is no refusal.
			if c.key != "" {
				testkit.Eventually(t, c.what+" is counted", func() bool {
					return testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", c.reason) == before+1
				})
			}
		}
		if got := testkit.Scrape(t, n.Admin()).Value("pushcart_"+p.Room+"_refusals_total", "reason", "bad_key"); got < 2 {
			t.Errorf("pushcart_%s_refusals_total{reason=bad_key} is %v", p.Room, got)
		}
		for _, secret := range []string{"show-secret", "any-secret", "hashed-secret", "not-the-secret"} {
			if n.Log.Has(secret) {
				t.Errorf("the secret %q is in the log", secret)
			}
		}
	})
}

// list is all streams by name.
func list(t *testing.T, n *testkit.Node) map[string]streamInfo {
	t.Helper()
	var all struct{ Streams []streamInfo }
	getJSON(t, n.HTTP()+"/api/v1/streams", &all)
	out := map[string]streamInfo{}
	for _, s := range all.Streams {
		out[s.Name] = s
	}
	return out
}

// TestEveryDoorKeepsItsName refuses another publisher while a show is live, and lets the same one take over.
func TestEveryDoorKeepsItsName(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, guarded)
		show := usual(t, p, "show", "show-secret-1")
		old := p.Must(t, n, show)
		stop := testkit.OnAir(t, old, show.Tracks, testkit.Stretch{Speed: 1})
		v := testkit.NewViewer(t, n.Master("show"))
		v.Join()
		reached(v, "video", 1500*time.Millisecond)

		other := show
		other.Key = "show-secret-2"
		if refused := p.Refusal(t, n, other); p.Words && !strings.Contains(refused.Words, "already live from another publisher") {
			t.Errorf("another publisher is told %+v", refused)
		}
		if got := testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", "name_taken"); got != 1 {
			t.Errorf("name_taken is counted %v times", got)
		}
		stop()
		fresh := p.Must(t, n, show)
		select {
		case <-old.Gone():
		case <-time.After(10 * time.Second):
			t.Error("the session that was taken over is still open")
		}
		stop = testkit.OnAir(t, fresh, show.Tracks, testkit.Stretch{From: 6 * time.Second, Speed: 1})
		v.Until("video", "the new publisher's media", func(l *testkit.Playlist) bool {
			return l.Discontinuities() == 1 && lengthOf(l) > 3*time.Second
		})
		stop()
		fresh.Leave()
		if got := testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", "taken_over"); got != 1 {
			t.Errorf("taken_over is counted %v times", got)
		}
	})
}

// TestDoorsAreOneHouse has one protocol's publisher find the name taken by another's, and take over with the same key.
func TestDoorsAreOneHouse(t *testing.T) {
	t.Parallel()
	n := doors(t, guarded)
	var before testkit.Source
	var protocols []testkit.Protocol
	for _, p := range testkit.Protocols() {
		if p.Room != "whip" { // whose sound is of another coding
			protocols = append(protocols, p)
		}
	}
	v := testkit.NewViewer(t, n.Master("show"))
	for i, p := range protocols {
		show := usual(t, p, "show", "show-secret-2")
		if before != nil {
			p.Refusal(t, n, show)
		}
		show.Key = "show-secret-1"
		src := p.Must(t, n, show)
		if before != nil {
			select {
			case <-before.Gone():
			case <-time.After(10 * time.Second):
				t.Errorf("%s did not take over", p.Name)
			}
		}
		begin := time.Duration(i) * 2 * time.Second
		if err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{From: begin, To: begin + 1500*time.Millisecond, Speed: 1}); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		v.Join()
		v.Until("video", "what "+p.Name+" sends", func(l *testkit.Playlist) bool { return l.Discontinuities() == i })
		if s := stream(t, n, "show"); s.Protocol != p.Label || s.Reconnects != i {
			t.Errorf("API: %+v", s)
		}
		before = src
	}
	before.Leave()
}

// TestEveryDoorGoesIdle keeps the session and sends nothing: it is ended, and its stream waits.
func TestEveryDoorGoesIdle(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, func(c *config.Config) {
			for _, d := range []*config.Duration{&c.RTMP.IdleTimeout, &c.RTSP.IdleTimeout, &c.SRT.IdleTimeout, &c.WHIP.IdleTimeout} {
				*d = config.Duration(time.Second)
			}
			// The connection itself is kept alive every two seconds: without that it is lost, which is something else.
			c.WHIP.IdleTimeout = config.Duration(4 * time.Second)
		})
		show := usual(t, p, "show", "")
		src := p.Must(t, n, show)
		if err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{To: 1500 * time.Millisecond, Speed: 1}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-src.Gone():
		case <-time.After(15 * time.Second):
			t.Fatal("the session is still open")
		}
		testkit.Eventually(t, "the stream waits", func() bool { return stream(t, n, "show").State == "waiting" })
		if got := testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", "idle"); got != 1 {
			t.Errorf("idle is counted %v times", got)
		}
	})
}

// TestEveryDoorHasLimits sends more than max_bitrate.
func TestEveryDoorHasLimits(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := doors(t, func(c *config.Config) {
			for _, b := range []*config.Bitrate{&c.RTMP.MaxBitrate, &c.RTSP.MaxBitrate, &c.SRT.MaxBitrate, &c.WHIP.MaxBitrate} {
				*b = 100 * config.Kbps
			}
		})
		show := usual(t, p, "show", "")
		src := p.Must(t, n, show)
		err := testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{Speed: 2})
		select {
		case <-src.Gone():
		case <-time.After(10 * time.Second):
			t.Fatalf("the session is still open; sending ended with %v", err)
		}
		testkit.Eventually(t, "the refusal is counted", func() bool {
			return testkit.Scrape(t, n.Admin()).Value("pushcart_ingest_refusals_total", "protocol", p.Label, "reason", "limit") == 1
		})
	})
}

// TestRTSPAsksForCredentials logs in as RTSP clients do: with user and password, when asked.
func TestRTSPAsksForCredentials(t *testing.T) {
	t.Parallel()
	n := doors(t, guarded)
	p := testkit.ByName(t, "rtsp/tcp")
	show := usual(t, p, "show", "not-the-secret")
	show.Basic = true
	if refused := p.Refusal(t, n, show); refused.Code != 401 && refused.Code != 403 {
		t.Errorf("a wrong password: %+v", refused)
	}
	show.Key = "show-secret-1"
	src := p.Must(t, n, show)
	if s := stream(t, n, "show"); s.State != "live" {
		t.Errorf("API: %+v", s)
	}
	src.Leave()
	if n.Log.Has("show-secret") {
		t.Error("the password is in the log")
	}
	// Paths without live/ are answered with what to use.
	bad := testkit.Show{Name: "show", Tracks: show.Tracks}
	r, err := testkit.DialRTSP(t, n.Address("rtsp").String(), bad, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Rebase("rtsp://" + n.Address("rtsp").String() + "/show")
	var refused *testkit.Refused
	if err := r.Announce(r.SDP()); !errors.As(err, &refused) || !strings.Contains(refused.Words, "live/") {
		t.Errorf("a path without live/: %v", err)
	}
}
