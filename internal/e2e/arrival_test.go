package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// TestFirstPartIsThereWithoutFurtherFrames sends exactly the frames of one part and no more: it has to be listed, since the
// node predicts the last frame's duration instead of waiting for the next.
func TestFirstPartIsThereWithoutFurtherFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		video, audio bool
		to           time.Duration
		wait         string // rendition to look at
	}{
		{"video only, one part and the time in which audio could still come", true, false, 800 * time.Millisecond, "video"},
		{"video and audio, one part", true, true, 240 * time.Millisecond, "video"},
		{"audio only, one part and the time in which it is waited for more", false, true, 960 * time.Millisecond, "audio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, nil)
			s := testkit.Script{To: c.to}
			if c.video {
				s.Video = testkit.Pictures(t)
			}
			if c.audio {
				s.Audio = testkit.Sound(t)
			}
			p := testkit.Publish(t, n.RTMP(), "show")
			p.Configure(0, s.Video, s.Audio)
			if err := p.Play(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			sent := time.Now()
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			l := v.Until(c.wait, "a part", func(l *testkit.Playlist) bool { return len(l.Segments) > 0 })
			t.Logf("first part %v after the last frame", time.Since(sent))
			part := l.Segments[0].Parts[0]
			v.Fetch(part.URI, http.StatusOK)
			if c.video && !part.Independent {
				t.Error("the first part is not independent")
			}
		})
	}
}

// TestEachPartIsThereWithItsLastFrame sends the frames of one part after the other, each only when the part before is listed.
// A node that waits for the frame after would never list the first.
func TestEachPartIsThereWithItsLastFrame(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, n.RTMP(), "show")
	p.Configure(0, video, audio)
	v := testkit.NewViewer(t, n.Master("show"))
	const part = 200 * time.Millisecond
	for i := time.Duration(0); i < 30; i++ {
		// Audio comes a little later, as from an encoder.
		if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: i * part, To: (i + 1) * part}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue // the audio of the first part is not complete yet
		}
		if i == 1 {
			v.Join()
		}
		v.Until("video", "the part just sent", func(l *testkit.Playlist) bool {
			total := 0
			for _, g := range l.Segments {
				total += len(g.Parts)
			}
			return total >= int(i+1)
		})
	}
}

// TestViewersWhoAreEarlyWait asks before the publisher's first frames have come: the answer is the playlist, not an error.
func TestViewersWhoAreEarlyWait(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	p := testkit.Publish(t, n.RTMP(), "show")
	type answer struct {
		status int
		body   string
		err    error
	}
	early := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		status, _, body, err := testkit.Get(ctx, http.DefaultClient, n.Master("show"))
		early <- answer{status, string(body), err}
	}()
	testkit.Eventually(t, "a request waits", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_hls_waiting_requests") > 0
	})
	p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), To: 2 * time.Second})
	if a := <-early; a.err != nil || a.status != http.StatusOK || !strings.Contains(a.body, "#EXT-X-STREAM-INF") {
		t.Errorf("status %d, error %v: %s", a.status, a.err, a.body)
	}
}
