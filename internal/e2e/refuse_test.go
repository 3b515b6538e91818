package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// guarded configures keys and a short patience with publishers that cannot be played.
func guarded(c *config.Config) {
	quick(c)
	hash := sha256.Sum256([]byte("hashed-secret"))
	c.Publish.Keys = []config.Key{
		{Stream: "show", Key: "show-secret-1"},
		{Stream: "show", Key: "show-secret-2"},
		{Stream: "other", Key: config.Secret("sha256:" + hex.EncodeToString(hash[:]))},
		{Stream: "*", Key: "any-secret-1"},
	}
	c.Publish.KeyframeTimeout = config.Duration(time.Second)
}

// refusedOnce wants a refusal counted once under a reason, and logged with its sentence.
func refusedOnce(t *testing.T, n *testkit.Node, reason, sentence string) {
	t.Helper()
	n.Log.Wait(t, "level=WARN", "reason="+reason, sentence)
	m := testkit.Scrape(t, n.Admin())
	for _, name := range []string{"pushcart_ingest_refusals_total", "pushcart_rtmp_refusals_total"} {
		if got := m.Value(name, "reason", reason); got != 1 {
			t.Errorf("%s{reason=%q} is %v, want 1", name, reason, got)
		}
		if got := m.Value(name); got != 1 {
			t.Errorf("%s is %v in all, want 1", name, got)
		}
	}
}

// TestFFmpegPrintsWhatToDo has the real program refused; its user reads why.
func TestFFmpegPrintsWhatToDo(t *testing.T) {
	t.Parallel()
	ordinary := strings.Fields(ordinaryX + "-tune zerolatency -g 50" + ordinaryA)
	for _, c := range []struct {
		name, key    string
		args         []string
		before       string // a stream key that is live already
		reason, want string
	}{
		{name: "wrong key", key: "show?key=not-the-secret", args: ordinary, reason: "bad_key", want: "The key for this stream is wrong"},
		{name: "no key", key: "show", args: ordinary, reason: "bad_key", want: "Enter it as NAME?key=SECRET"},
		{name: "another stream's key", key: "other?key=show-secret-1", args: ordinary, reason: "bad_key", want: "The key for this stream is wrong"},
		{name: "live already", key: "show?key=show-secret-2", args: ordinary, before: "show?key=show-secret-1",
			reason: "name_taken", want: "is already live from another publisher"},
		{name: "codec", key: "show?key=show-secret-1", args: strings.Fields("-c:v flv1" + ordinaryA),
			reason: "unsupported_codec", want: "Sorenson H.263 video cannot be delivered over HLS: set the encoder to H.264"},
		{name: "audio codec", key: "show?key=show-secret-1", args: strings.Fields(ordinaryX + "-g 50 -c:a pcm_s16le"),
			reason: "unsupported_codec", want: "set the encoder to AAC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, guarded)
			if c.before != "" {
				testkit.Publish(t, n.RTMP(), c.before)
			}
			args := append(testkit.Live(picture, sound441), c.args...)
			p := testkit.FFmpeg(t, append(args, testkit.ToFLV(n.PublishURL(c.key))...)...)
			if code := p.Wait(t); code == 0 {
				t.Error("ffmpeg reports success")
			}
			if !strings.Contains(p.Log.String(), c.want) {
				t.Errorf("ffmpeg does not print %q:\n%s", c.want, p.Log)
			}
			refusedOnce(t, n, c.reason, c.want)
		})
	}
}

// TestPublisherIsToldWhyItMustGo sends what no ordinary encoder does.
func TestPublisherIsToldWhyItMustGo(t *testing.T) {
	t.Parallel()
	video := func(t *testing.T) *testkit.Clip { return testkit.Pictures(t) }
	for _, c := range []struct {
		name         string
		send         func(t *testing.T, p *testkit.Publisher)
		reason, want string
	}{
		{"no key frame", func(t *testing.T, p *testkit.Publisher) {
			clip := *video(t)
			clip.Samples = slices.DeleteFunc(slices.Clone(clip.Samples), func(s testkit.Sample) bool { return s.Key })
			p.Configure(0, &clip)
			p.Play(t.Context(), testkit.Script{Video: &clip})
		}, "no_keyframe", "No keyframe came in 1 seconds of video. Set the encoder's keyframe interval"},
		{"no codec data", func(t *testing.T, p *testkit.Publisher) {
			p.Play(t.Context(), testkit.Script{Video: video(t)})
		}, "no_codec_data", "The video's codec data (sequence header) did not come"},
		{"a codec of Enhanced RTMP that HLS cannot carry", func(t *testing.T, p *testkit.Publisher) {
			// VPCodecConfigurationRecord: version(8) flags(24) profile(8) level(8) depth(4) chroma(3) range(1) colours(24) size(16)
			p.Send(9, 0, append([]byte{0x90}, "vp08\x01\x00\x00\x00\x00\x0a\x82\x02\x02\x02\x00\x00"...))
			p.Play(t.Context(), testkit.Script{Video: testkit.VP8Pictures(t)})
		}, "unsupported_codec", "VP8 video cannot be delivered over HLS"},
		{"a message beyond the limit", func(t *testing.T, p *testkit.Publisher) {
			p.Send(9, 0, make([]byte, 9<<20))
		}, "limit", "This stream goes beyond what the server takes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, guarded)
			p := testkit.Publish(t, n.RTMP(), "show?key=show-secret-1")
			c.send(t, p)
			if s := p.Status(); s.Level != "error" || s.Code != "NetStream.Publish.Failed" || !strings.Contains(s.Description, c.want) {
				t.Errorf("%+v, want %q", s, c.want)
			}
			p.Ended()
			refusedOnce(t, n, c.reason, c.want)
		})
	}
}

// TestSameKeyTakesOver has a phone reconnect before its old connection has died: the new one is live at once, the old one is
// told and closed, viewers go on.
func TestSameKeyTakesOver(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, guarded)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	old := testkit.Publish(t, n.RTMP(), "show?key=show-secret-1")
	burst(t, old, video, audio, 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", 2500*time.Millisecond)

	fresh := testkit.Publish(t, n.RTMP(), "show?key=show-secret-1")
	if s := old.Status(); s.Level != "error" || !strings.Contains(s.Description, "took this stream over") {
		t.Errorf("the old connection is told %+v", s)
	}
	old.Ended()
	burst(t, fresh, video, audio, 5*time.Second, 8*time.Second)
	v.Until("video", "the new publisher's media", func(l *testkit.Playlist) bool {
		return l.Discontinuities() == 1 && lengthOf(l) > 5*time.Second
	})
	fresh.Leave()
	pictures := allArrived(t, v, "video", true, append(old.Sent(), fresh.Sent()...), nil)
	allArrived(t, v, "audio", false, append(old.Sent(), fresh.Sent()...), pictures)
	refusedOnce(t, n, "taken_over", "took this stream over")
}

// TestStreamKeysInEveryForm publishes as hosts are told to.
func TestStreamKeysInEveryForm(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, guarded)
	for key, name := range map[string]string{
		"show?key=show-secret-1":  "show",
		"show-secret-2":           "show", // a key alone stands for its stream
		"other?key=hashed-secret": "other",
		"hashed-secret":           "other",
		"free?key=any-secret-1":   "free",
	} {
		p := testkit.Dial(t, n.RTMP(), nil)
		if s := p.Open(key); s.Code != "NetStream.Publish.Start" {
			// Another credential of the same stream is kept its place until the reconnect window is over.
			if name != "show" || s.Code != "NetStream.Publish.BadName" {
				t.Errorf("publish %q: %+v", key, s)
			}
			continue
		}
		if s := stream(t, n, name); s.State != "live" {
			t.Errorf("publish %q: %s is %s", key, name, s.State)
		}
		p.Leave()
	}
	for _, secret := range []string{"show-secret", "any-secret", "hashed-secret"} {
		if n.Log.Has(secret) {
			t.Errorf("the secret %q is in the log", secret)
		}
	}
}

// TestFFmpegPublishesWithNameAndKey is what the documentation tells hosts.
func TestFFmpegPublishesWithNameAndKey(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, guarded)
	args := append(testkit.Live(picture, sound441), strings.Fields(ordinaryX+"-tune zerolatency -g 25"+ordinaryA)...)
	testkit.FFmpeg(t, append(args, testkit.ToFLV(n.PublishURL("free?key=any-secret-1"))...)...)
	n.Log.Wait(t, "publisher arrived", "stream=free", "Lavf")
	v := testkit.NewViewer(t, n.Master("free"))
	v.Join()
	reached(v, "video", 2*time.Second)
}

// TestPublishingIsOpenOnLoopbackWithoutKeys and says so loudly.
func TestPublishingIsOpenOnLoopbackWithoutKeys(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	n.Log.Wait(t, "level=WARN", "PUBLISHING IS OPEN")
	testkit.Publish(t, n.RTMP(), "anything").Leave()
	for _, name := range []string{"a/b", "..", "sp ace", strings.Repeat("x", 300)} {
		p := testkit.Dial(t, n.RTMP(), nil)
		if s := p.Open(name); s.Level != "error" || !strings.Contains(s.Description, "stream name") && !strings.Contains(s.Description, "stream key is too long") {
			t.Errorf("publish %.20q: %+v", name, s)
		}
		p.Ended()
	}
}
