package e2e

import (
	"encoding/binary"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestPlayerPlaysThroughReconnect has real ffmpeg watch while real ffmpeg's publisher is killed and started again.
func TestPlayerPlaysThroughReconnect(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, quick)
	publish := func() *testkit.Process {
		args := append(testkit.Live(picture, sound441), strings.Fields(ordinaryX+"-bf 2 -g 25"+ordinaryA)...)
		return testkit.FFmpeg(t, append(args, testkit.ToFLV(n.PublishURL("show"))...)...)
	}
	first := publish()
	n.Log.Wait(t, "publisher arrived")
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", 2*time.Second)
	player := testkit.FFmpeg(t, "-live_start_index", "0", "-i", n.Master("show"), "-t", "7", "-f", "null", "-")
	reached(v, "video", 4*time.Second)
	first.Signal(syscall.SIGKILL)
	n.Log.Wait(t, "publisher lost")
	publish()
	if code := player.Wait(t); code != 0 {
		t.Errorf("the player ended with exit code %d", code)
	}
	complain(t, "player", player.Log.String())
	if l := v.Playlist("video"); l.Ended || l.Discontinuities() != 1 {
		t.Errorf("%s, ended %v", describe(l), l.Ended)
	}
}

// TestPublisherGoesSilent keeps the connection and sends nothing: it is told, and its stream waits for it.
func TestPublisherGoesSilent(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) { quick(c); c.RTMP.IdleTimeout = config.Duration(time.Second) })
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 2*time.Second)
	if s := p.Status(); s.Level != "error" || !strings.Contains(s.Description, "No audio or video came for 1 seconds") {
		t.Errorf("%+v", s)
	}
	p.Ended()
	if s := stream(t, n, "show"); s.State != "waiting" || !s.adviceWith("The publisher is away") {
		t.Errorf("%+v", s)
	}
	refusedOnce(t, n, "idle", "No audio or video came")
}

// TestPublisherSendsTooMuch is over max_bitrate.
func TestPublisherSendsTooMuch(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) { quick(c); c.RTMP.MaxBitrate = 100 * config.Kbps })
	p := testkit.Publish(t, n.RTMP(), "show")
	video := testkit.Pictures(t)
	p.Configure(0, video)
	if err := p.Play(t.Context(), testkit.Script{Video: video}); err != nil && !testkit.Gone(err) {
		t.Fatal(err)
	}
	if s := p.Status(); s.Level != "error" || !strings.Contains(s.Description, "bitrate is too high") {
		t.Errorf("%+v", s)
	}
	refusedOnce(t, n, "limit", "lower the encoder's bitrate")
}

// TestPublisherTalksNonsense in the middle of a show: it goes, the show waits, another show on the node goes on.
func TestPublisherTalksNonsense(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, quick)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p, other := testkit.Publish(t, n.RTMP(), "show"), testkit.Publish(t, n.RTMP(), "other")
	burst(t, p, video, audio, 0, 2*time.Second)
	burst(t, other, video, audio, 0, 2*time.Second)
	// Data and commands that cannot be decoded, unknown message types and empty frames are passed over.
	for typ := range byte(32) {
		if typ == 1 || typ == 2 {
			continue // these would change how chunks are read
		}
		for _, body := range []string{"", "\x00", "\x02\xff\xff", "\x03\x03\x03\x03", "\xff\xff\xff\xff\xff"} {
			if typ == 8 || typ == 9 {
				body = ""
			}
			if err := p.Send(typ, 2*time.Second, []byte(body)); err != nil {
				t.Fatalf("type %d with %q: %v", typ, body, err)
			}
		}
	}
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: 2 * time.Second, To: 4 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if l := reached(v, "video", 3500*time.Millisecond); l.Discontinuities() != 0 {
		t.Errorf("nonsense interrupted the show: %s", describe(l))
	}
	// A chunk size of zero cannot be lived with.
	if err := p.Send(1, 0, binary.BigEndian.AppendUint32(nil, 0)); err != nil {
		t.Fatal(err)
	}
	if s := p.Status(); s.Level != "error" || !strings.Contains(s.Description, "broke the RTMP protocol") {
		t.Errorf("%+v", s)
	}
	p.Ended()
	if err := other.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: 2 * time.Second, To: 4 * time.Second}); err != nil {
		t.Fatal(err)
	}
	w := testkit.NewViewer(t, n.Master("other"))
	w.Join()
	reached(w, "video", 3500*time.Millisecond)
}

// TestPublishingTwiceOnOneConnection leaves and comes back without hanging up.
func TestPublishingTwiceOnOneConnection(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, quick)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, video, audio, 0, 3*time.Second)
	p.Unpublish()
	p.Command("createStream", 6, nil)
	p.Command("publish", 7, nil, "show", "live")
	if s := p.Status(); s.Code != "NetStream.Publish.Start" {
		t.Fatalf("%+v", s)
	}
	burst(t, p, video, audio, 4*time.Second, 7*time.Second)
	p.Leave()
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	v.Until("video", "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 })
	pictures := allArrived(t, v, "video", true, p.Sent(), nil)
	allArrived(t, v, "audio", false, p.Sent(), pictures)
}

// TestNonsenseRequests are answered with an error that says what is wrong, at once, and readable from any page.
func TestNonsenseRequests(t *testing.T) {
	t.Parallel()
	n, _, v, l := showing(t, func(*config.Config) {})
	for path, want := range map[string]int{
		"/live/":                                               404,
		"/live/nobody/index.m3u8":                              404,
		"/live/show":                                           404,
		"/live/show/":                                          404,
		"/live/show/%2e%2e/index.m3u8":                         404,
		"/live/show/video.m3u8/":                               404,
		"/live/show/video/1-2-3.m4s":                           404,
		"/live/show/video/999-1.m4s":                           404,
		"/live/show/video/init-nothing.mp4":                    404,
		"/live/show/video.m3u8?_HLS_msn=-1":                    400,
		"/live/show/video.m3u8?_HLS_msn=x":                     400,
		"/live/show/video.m3u8?_HLS_msn=":                      400,
		"/live/show/video.m3u8?_HLS_part=1":                    400,
		"/live/show/video.m3u8?_HLS_skip=maybe":                400,
		"/live/show/video.m3u8?_HLS_msn=999999999999999999999": 400,
		"/live/show/video.m3u8?_HLS_msn=999999999999999":       400,
		"/live/show/video.m3u8?%zz":                            400,
		"/live/show/video.m3u8?_HLS_msn=1":                     200, // old
		"/live/show/video.m3u8?_HLS_other=1&session=2":         200, // unknown ones are ignored
		"/nothing": 404,
	} {
		status, header, body, err := testkit.Get(t.Context(), v.Client, n.HTTP()+path)
		if err != nil || status != want {
			t.Errorf("GET %s: status %d, want %d: %v: %.100s", path, status, want, err, body)
		}
		if strings.HasPrefix(path, "/live/") && header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("GET %s: pages of other origins cannot read the answer", path)
		}
	}
	for method, want := range map[string]int{"POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 204, "HEAD": 200} {
		req, err := http.NewRequest(method, n.Master("show"), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := v.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want || want == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s: status %d, want %d", method, res.StatusCode, want)
		}
	}
	v.Fetch(l.Segments[0].URI, http.StatusOK)
}

// TestSettingsOfShowsAreFixed changes the length of segments while a show is live: it keeps its own, the next has the new.
func TestSettingsOfShowsAreFixed(t *testing.T) {
	t.Parallel()
	n, p, v, before := showing(t, func(*config.Config) {})
	n.Reload(testkit.Config(func(c *config.Config) {
		c.HLS.SegmentDuration = config.Duration(3 * time.Second)
		c.HLS.MaxSegmentDuration = config.Duration(6 * time.Second)
		c.HLS.PartDuration = config.Duration(400 * time.Millisecond)
	}))
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: 3 * time.Second, To: 6 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if l := reached(v, "video", 5500*time.Millisecond); l.Target != before.Target || l.PartTarget != before.PartTarget || l.Complete() < 5 {
		t.Errorf("a live show changed: target %d then %d, parts of %v then %v, %s", before.Target, l.Target, before.PartTarget, l.PartTarget, describe(l))
	}
	q := testkit.Publish(t, n.RTMP(), "next")
	burst(t, q, video, audio, 0, 8*time.Second)
	w := testkit.NewViewer(t, n.Master("next"))
	w.Join()
	if l := reached(w, "video", 7*time.Second); l.Target != 6 || l.PartTarget < 400*time.Millisecond || l.PartTarget > 500*time.Millisecond || l.Complete() != 2 {
		t.Errorf("the next show: target %d, parts of %v, %s", l.Target, l.PartTarget, describe(l))
	}
}

// TestWatchPage is there for every stream, before and while it is live, and needs nothing from elsewhere.
func TestWatchPage(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	status, header, body, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+"/watch/show")
	if err != nil || status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %v, %v: %.200s", status, header, err, body)
	}
	for _, attribute := range []string{`src="http`, `href="http`, `src="//`, `href="//`} {
		if strings.Contains(string(body), attribute) {
			t.Errorf("the page loads something from elsewhere: %s", attribute)
		}
	}
}
