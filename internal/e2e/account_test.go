package e2e

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// placed is a frame that arrived, beside what was sent of it.
type placed struct {
	sent     testkit.Sent
	received testkit.Received
}

// shift is where the node put the frame's presentation time, less where the publisher had it.
func (p placed) shift() time.Duration { return p.received.PTS - p.sent.PTS }

// The node fills up the sound in front of a cut with silence, to the length of the picture.
const (
	silentFrame = 16 // bytes; noise has ten times that
	someSilence = 8  // frames
)

// account matches what a viewer has of a rendition with what was sent, by the bytes. It reports frames that came twice,
// that came from nowhere or are out of order. The frames that did not come are returned, in order.
func account(t *testing.T, video bool, sent []testkit.Sent, received []testkit.Received) (arrived []placed, missing []testkit.Sent) {
	t.Helper()
	bySum := sums(sent)
	seen := map[int]bool{}
	last, silent := -1, 0
	for _, r := range received {
		i, ok := bySum[sum(r.Payload)]
		switch {
		case !ok && !video && len(r.Payload) < silentFrame && silent < someSilence:
			silent++
			continue
		case !ok:
			t.Errorf("%s: a frame at %v was never sent so", kindName(video), r.PTS)
			continue
		case seen[i]:
			t.Errorf("%s: the frame sent at %v came twice", kindName(video), sent[i].DTS)
		case i < last:
			t.Errorf("%s: the frame sent at %v came out of order", kindName(video), sent[i].DTS)
		}
		seen[i], last = true, i
		arrived = append(arrived, placed{sent[i], r})
	}
	for i, s := range sent {
		if s.Video == video && !seen[i] {
			missing = append(missing, s)
		}
	}
	return arrived, missing
}

// sum tells frames apart.
func sum(payload []byte) [sha256.Size]byte { return sha256.Sum256(payload) }

// sums finds frames' places by their bytes.
func sums(sent []testkit.Sent) map[[sha256.Size]byte]int {
	m := make(map[[sha256.Size]byte]int, len(sent))
	for i, s := range sent {
		m[sum(s.Payload)] = i
	}
	return m
}

func kindName(video bool) string {
	if video {
		return "video"
	}
	return "audio"
}

// allArrived wants every frame of a kind that was sent, and returns them. Sound that lies in front of the first of the
// pictures that are given, at the start or behind a discontinuity, may be missing: nothing shows while it plays.
func allArrived(t *testing.T, v *testkit.Viewer, rendition string, video bool, sent []testkit.Sent, pictures []placed) []placed {
	t.Helper()
	arrived, missing := account(t, video, sent, v.Samples(v.Playlist(rendition)))
	missing = slices.DeleteFunc(missing, func(s testkit.Sent) bool { return inFront(s, pictures) })
	if len(missing) > 0 {
		t.Errorf("%s: %d of %d frames did not arrive, the first of %v, the last of %v", rendition, len(missing),
			len(missing)+len(arrived), missing[0].DTS, missing[len(missing)-1].DTS)
	}
	return arrived
}

// inFront tells whether a frame lies before the first picture of a stretch, but not before its decoding time.
func inFront(s testkit.Sent, pictures []placed) bool {
	stretch := 0
	for i, p := range pictures {
		if i > 0 && p.received.Discontinuity == stretch {
			continue
		}
		stretch = p.received.Discontinuity
		if s.DTS >= p.sent.DTS-30*time.Millisecond && s.DTS < p.sent.PTS {
			return true
		}
	}
	return false
}

// steady wants all frames of each stretch without discontinuity moved by the same time, to within a tolerance, and
// returns that time by stretch.
func steady(t *testing.T, what string, arrived []placed, tolerance time.Duration) map[int]time.Duration {
	t.Helper()
	low, high := map[int]time.Duration{}, map[int]time.Duration{}
	for _, p := range arrived {
		d := p.received.Discontinuity
		if _, ok := low[d]; !ok {
			low[d], high[d] = p.shift(), p.shift()
		}
		low[d], high[d] = min(low[d], p.shift()), max(high[d], p.shift())
	}
	middle := map[int]time.Duration{}
	for d := range low {
		if high[d]-low[d] > tolerance {
			t.Errorf("%s, stretch %d: presentation times are moved by %v to %v, want a spread of %v at most", what, d, low[d], high[d], tolerance)
		}
		middle[d] = (low[d] + high[d]) / 2
	}
	return middle
}

// together wants audio and video moved alike in each stretch that has both.
func together(t *testing.T, video, audio map[int]time.Duration, tolerance time.Duration) {
	t.Helper()
	for d, v := range video {
		if a, ok := audio[d]; ok && (a-v > tolerance || v-a > tolerance) {
			t.Errorf("stretch %d: audio is %v off against video", d, a-v)
		}
	}
}

// forward wants decoding times that never go back, over discontinuities too.
func forward(t *testing.T, what string, arrived []placed) {
	t.Helper()
	for i := 1; i < len(arrived); i++ {
		if a, b := arrived[i-1].received, arrived[i].received; b.DTS <= a.DTS {
			t.Errorf("%s: DTS %v follows %v", what, b.DTS, a.DTS)
		}
	}
}

func describe(p *testkit.Playlist) string {
	return fmt.Sprintf("media sequence %d, %d segments, %d discontinuities", p.Sequence, len(p.Segments), p.Discontinuities())
}
