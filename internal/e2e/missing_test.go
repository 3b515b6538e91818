package e2e

import (
	"slices"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// hole leaves out what one kind has between two times.
func hole(video bool, from, to time.Duration) mapping {
	return func(v bool, at time.Duration) (time.Duration, bool) {
		return at, v != video || at < from || at >= to
	}
}

// TestOneKindOfMediaIsMissingForAWhile has a publisher lose its sound or its picture. Players go on: both playlists keep
// up with the publisher, within the rules, and what was sent is there at its time.
func TestOneKindOfMediaIsMissingForAWhile(t *testing.T) {
	t.Parallel()
	const forever = time.Hour
	for _, c := range []struct {
		name string
		at   mapping
		// pictures and sounds that were sent must be there but for those in [from, to) of the publisher's time.
		from, to time.Duration
	}{
		{name: "sound comes five seconds late", at: hole(false, 0, 5*time.Second)},
		{name: "sound stops", at: hole(false, 4*time.Second, forever)},
		{name: "sound stops for four seconds", at: hole(false, 4*time.Second, 8*time.Second)},
		// Until the key frame after the hole, pictures refer to what was lost.
		{name: "the picture stops for five seconds", at: hole(true, 3500*time.Millisecond, 8500*time.Millisecond), from: 8 * time.Second, to: 9 * time.Second},
		{name: "the picture stops", at: hole(true, 4*time.Second, forever)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, quick)
			p := testkit.Publish(t, n.RTMP(), "show")
			stop := p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), Speed: 1, Map: c.at})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			report, err := check(t, n.Master("show"), conformance.Options{Duration: 10 * time.Second, LooseHints: true, Off: hasty})
			if err != nil {
				t.Errorf("strict client: %v", err)
			}
			for _, x := range report.Violations {
				t.Errorf("%s", x)
			}
			lead := v.Playlist("video")
			if lengthOf(lead) < 9*time.Second {
				t.Errorf("video is left behind: %v of media at the end", lengthOf(lead))
			}
			if behind := endOf(lead).Sub(endOf(v.Playlist("audio"))); behind > time.Second {
				t.Errorf("audio is left behind video by %v", behind)
			}
			stop()
			p.Leave()
			sent := p.Sent()
			kept := sent[:0:0]
			for _, s := range sent {
				if s.DTS < c.from || s.DTS >= c.to || !s.Video {
					kept = append(kept, s)
				}
			}
			pictures := arrivedAmong(t, v, "video", true, sent, kept)
			sounds := arrivedAmong(t, v, "audio", false, sent, kept)
			forward(t, "video", pictures)
			forward(t, "audio", sounds)
			together(t, steady(t, "video", pictures, 3*time.Millisecond), steady(t, "audio", sounds, 24*time.Millisecond), 12*time.Millisecond)
		})
	}
}

// endOf is the date and time at which a playlist's media ends.
func endOf(l *testkit.Playlist) time.Time {
	last := l.Last()
	end := last.Wall.Add(last.Duration)
	for _, part := range last.Parts {
		if !last.Complete {
			end = end.Add(part.Duration)
		}
	}
	return end
}

// arrivedAmong wants all frames of kept, allows those of sent besides, and no others but what the node puts in the place of
// missing media: silence, and the last key frame again.
func arrivedAmong(t *testing.T, v *testkit.Viewer, rendition string, video bool, sent, kept []testkit.Sent) []placed {
	t.Helper()
	bySum := sums(sent)
	seen := map[int]bool{}
	var received []testkit.Received
	for _, r := range v.Samples(v.Playlist(rendition)) {
		i, ok := bySum[sum(r.Payload)]
		if !ok && !video || ok && seen[i] && sent[i].Key && video {
			continue
		}
		seen[i] = ok
		received = append(received, r)
	}
	arrived, missing := account(t, video, sent, received)
	wanted := sums(kept)
	missing = slices.DeleteFunc(missing, func(s testkit.Sent) bool {
		_, ok := wanted[sum(s.Payload)]
		return !ok
	})
	if n := len(missing); n > 0 {
		t.Errorf("%s: %d frames did not arrive, the first of %v, the last of %v", rendition, n, missing[0].DTS, missing[n-1].DTS)
	}
	return arrived
}
