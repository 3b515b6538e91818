package e2e

import (
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// mapping says which timestamp a sample is sent with.
type mapping func(video bool, at time.Duration) (time.Duration, bool)

// hasty are rules that cannot be judged where segments last a second only: on a busy machine a position that was too far
// ahead has come by the time it is asked for.
var hasty = []conformance.RuleID{conformance.RuleBlockFar, conformance.RuleBlockPartFar}

// quick makes segments of a second.
func quick(c *config.Config) {
	c.HLS.SegmentDuration = config.Duration(time.Second)
	c.HLS.MaxSegmentDuration = config.Duration(2 * time.Second)
}

// TestTimestampsOfPublishersInTheField sends a show with the timestamps that encoders are known for. Viewers get every
// frame, within the rules, and sound fits picture.
func TestTimestampsOfPublishersInTheField(t *testing.T) {
	t.Parallel()
	const event = 4 * time.Second
	rounding := 3 * time.Millisecond // of RTMP's milliseconds, there and back
	audioJitter := 12 * time.Millisecond
	for _, c := range []struct {
		name            string
		at              mapping
		absolute        bool // timestamps on the wire
		discontinuities int
		apart           time.Duration // what audio may be off against video
		wander          time.Duration // what audio may wander against its timestamps
	}{
		{name: "B-frames and nothing else", at: nil},
		{name: "the clock jumps an hour ahead", discontinuities: 1, at: func(_ bool, at time.Duration) (time.Duration, bool) {
			if at >= event {
				at += time.Hour
			}
			return at, true
		}},
		{name: "the clock jumps an hour back", discontinuities: 1, at: func(_ bool, at time.Duration) (time.Duration, bool) {
			if at < event {
				at += time.Hour
			}
			return at, true
		}},
		{name: "32 bits wrap, counting on", at: func(_ bool, at time.Duration) (time.Duration, bool) {
			return at + (1<<32)*time.Millisecond - event, true
		}},
		{name: "32 bits wrap, from zero", absolute: true, at: func(_ bool, at time.Duration) (time.Duration, bool) {
			return (at + (1<<32)*time.Millisecond - event) % ((1 << 32) * time.Millisecond), true
		}},
		{name: "24 bits wrap", absolute: true, at: func(_ bool, at time.Duration) (time.Duration, bool) {
			return (at + (1<<24)*time.Millisecond - event) % ((1 << 24) * time.Millisecond), true
		}},
		{name: "audio and video start ten hours apart", apart: 250 * time.Millisecond, at: func(video bool, at time.Duration) (time.Duration, bool) {
			if !video {
				at += 10 * time.Hour
			}
			return at, true
		}},
		{name: "audio drifts by 0.2 %", wander: 10 * time.Millisecond, at: func(video bool, at time.Duration) (time.Duration, bool) {
			if !video {
				at += at / 500
			}
			return at, true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, quick)
			video := testkit.Pictures(t, "-bf", "2", "-tune", "film")
			audio := testkit.Sound(t)
			p := testkit.Publish(t, n.RTMP(), "show")
			stop := p.Live(testkit.Script{Video: video, Audio: audio, Speed: 1, Map: c.at, Absolute: c.absolute})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			report, err := check(t, n.Master("show"), conformance.Options{Duration: 8 * time.Second, LooseHints: true, DecodeSlack: time.Millisecond, Off: hasty})
			if err != nil {
				t.Errorf("strict client: %v", err)
			}
			for _, x := range report.Violations {
				t.Errorf("%s", x)
			}
			stop()
			p.Leave()

			sent := p.Sent()
			pictures := allArrived(t, v, "video", true, sent, nil)
			sounds := allArrived(t, v, "audio", false, sent, pictures)
			forward(t, "video", pictures)
			forward(t, "audio", sounds)
			together(t, steady(t, "video", pictures, rounding),
				steady(t, "audio", sounds, 2*audioJitter+c.wander), audioJitter+c.apart+c.wander)
			for _, rendition := range []string{"video", "audio"} {
				if p := v.Playlist(rendition); p.Discontinuities() != c.discontinuities {
					t.Errorf("%s: %s, want %d", rendition, describe(p), c.discontinuities)
				}
			}
		})
	}
}
