package ladder

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/packager/ladder/child"
)

func TestNoSmear(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = first(deed{offAt: 40}) }, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(90)
		got := aligned(t, s.out(), "720p")
		if len(got) != 39+30 || !got[39].Key {
			t.Errorf("%d frames; behind the one that is missing: key %v", len(got), got[39].Key)
		}
		if in, _ := s.m.Info("shop"); in.Rungs[0].Dropped[dropUnknown] != 1 || in.Rungs[0].Dropped[dropReference] != 20 {
			t.Errorf("dropped: %v", in.Rungs[0].Dropped)
		}
	})
}

func TestClaim(t *testing.T) {
	t.Parallel()
	var r rung
	for i, c := range []struct {
		era      int
		dts, pts int64
		want     int64
		ok       bool
	}{
		{1, 100, 100, 100, true},
		{1, 90, 130, 101, true},
		{1, 101, 102, 102, true},
		{1, 101, 102, 0, false},
		{1, 160, 160, 160, true},
		{0, 200, 200, 0, false},
		{2, 5, 7, 5, true},
	} {
		if got, ok := r.claim(c.era, c.dts, c.pts); ok != c.ok || ok && got != c.want {
			t.Errorf("%d: %d, %v", i, got, ok)
		}
	}
}

func TestLastWordsAreNoReturn(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = func(int, child.Spec) deed { return deed{holds: 20} } }, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(10)
		p.x.Close()
		synctest.Wait()
		s.wantFrames("720p", 10) // their track is learned now
		time.Sleep(5 * time.Second)
		if n := len(s.host.all()); n != 1 {
			t.Errorf("%d children were started for a publisher who is away", n-1)
		}
		if in, _ := s.m.Info("shop"); in.State != Waiting {
			t.Errorf("state %s", in.State)
		}
	})
}

func TestReturnWithTheSameTracks(t *testing.T) {
	inShow(t, nil, func(s *show) {
		video := full()
		p := s.publish("shop", video, nil)
		p.send(30)
		p.x.Close()
		time.Sleep(time.Second)
		s.publish("shop", video, nil).send(30)
		s.wantFrames("720p", 60)
	})
}

func TestSoundThatStops(t *testing.T) {
	inShow(t, nil, func(s *show) {
		p := s.publish("shop", full(), aac())
		p.send(30)
		p.audio = nil
		p.send(30 * 60)
		p.audio = aac()
		p.send(30)
		sounds := 0
		for _, c := range s.host.all() {
			if !c.head.Video {
				sounds++
			}
		}
		if sounds != 2 || len(s.host.all()) != 3 {
			t.Errorf("%d children for sound of %d", sounds, len(s.host.all()))
		}
		if got := s.out().of("audio-64k"); len(got) < 80 {
			t.Errorf("%d frames of sound", len(got))
		}
	})
}

func TestRateThatRises(t *testing.T) {
	inShow(t, nil, func(s *show) {
		video := full()
		video.FrameRate = 0
		p := s.publish("shop", video, nil)
		for range 15 * 3 {
			p.frame()
			p.n++
			time.Sleep(2 * time.Second / fps)
		}
		s.newLadder("720p 1.8M")
		if err := p.x.SetTrack(aac()); err != nil {
			t.Fatal(err)
		}
		for range 15 * 20 {
			p.frame()
			p.n++
			time.Sleep(2 * time.Second / fps)
		}
		if n := len(s.host.all()); n != 2 {
			t.Fatalf("%d children at a steady rate", n)
		}
		p.send(30 * 30)
		all := s.host.all()
		if len(all) != 3 {
			t.Fatalf("%d children", len(all))
		}
		if !slices.ContainsFunc(all[2].spec.Args, func(a string) bool { return strings.HasPrefix(a, "fps=") && a > "fps=25" }) {
			t.Errorf("the last one's arguments: %q", all[2].spec.Args)
		}
	})
}

// A rung that was taken off is not announced again for a moment when the phone is turned.
func TestReducedStaysReduced(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(_ int, spec child.Spec) deed {
			if spec.Outputs > 1 {
				return deed{pace: 45 * time.Millisecond}
			}
			return deed{}
		}
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 17)
		if got := s.out().rungs(); !slices.Equal(got, []string{"480p"}) {
			t.Fatalf("after 17 s: %q", got)
		}
		s.out().told.Store(0)
		p.video = full()
		p.video.Width, p.video.Height = 1080, 1920
		if err := p.x.SetTrack(p.video); err != nil {
			t.Fatal(err)
		}
		p.send(30 * 2)
		if got := s.out().told.Load(); got != 1 {
			t.Errorf("up to %d rungs were announced", got)
		}
	})
}
