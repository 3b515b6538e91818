package ladder

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
)

// both sends of two publishers at once.
func both(a, b *publisher, frames int) {
	for range frames {
		a.frame()
		b.frame()
		time.Sleep(time.Second / fps)
	}
	synctest.Wait()
}

// max_cpu that is lowered counts for ladders that run: one rung after the other goes, of whoever takes most.
func TestLowerBudget(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.MaxCPU = 100
		s.host.does = func(_ int, spec child.Spec) deed { return deed{cpu: []float64{0, 0.6, 1.5}[spec.Outputs]} }
	}, func(s *show) {
		s.m.room.cores = 4
		a := s.publish("shop", full(), nil)
		a.send(30 * 12)
		small := full()
		small.Width, small.Height = 1280, 720
		b := s.publish("other", small, nil) // has 480p only
		both(a, b, 30*20)
		rungs := func() (out []string) { return append(s.out().rungs(), s.sink("other").rungs()...) }
		if got := rungs(); len(got) != 3 {
			t.Fatalf("rungs %q\n%s", got, s.log.String())
		}
		s.change(func() { s.set.MaxCPU = 40 }) // 1.6 of the 2.1 that are taken
		both(a, b, 30*8)
		if got := rungs(); len(got) != 3 {
			t.Errorf("after 8 s: %q", got)
		}
		both(a, b, 30*5)
		if got := rungs(); !slices.Equal(got, []string{"480p", "480p"}) {
			t.Fatalf("after 13 s: %q\n%s", got, s.log.String())
		}
		in, _ := s.m.Info("shop")
		if off := in.Rungs[0].Off; !strings.Contains(off, "took 2.10 processors, of which ladder.max_cpu leaves it 1.60") {
			t.Errorf("off: %q", off)
		}
		if text := s.log.String(); strings.Count(text, "more than ladder.max_cpu") != 1 {
			t.Errorf("log:\n%s", text)
		}
		if adv := strings.Join(s.m.Advice("shop"), "\n"); !strings.Contains(adv, "The rendition 720p is not made: encoding took") {
			t.Errorf("advice %q", adv)
		}
		both(a, b, 30*60)
		if got := rungs(); len(got) != 2 {
			t.Errorf("without room: %q", got)
		}
		s.change(func() { s.set.MaxCPU = 100 })
		both(a, b, 30*40)
		if got := rungs(); len(got) != 3 {
			t.Errorf("with room: %q\n%s", got, s.log.String())
		}
		if n := len(s.out().of("480p")); n != a.n {
			t.Errorf("%d frames of 480p, %d were sent", n, a.n)
		}
	})
}

// An estimate that was too low is found out. One rung goes at a time, and each gets its time to be measured.
func TestEstimateWasTooLow(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.MaxCPU = 100
		s.set.Ladders[0] = ladderOf(s.t, "mobile", "720p 1.8M", "480p 900k", "240p 350k")
		s.host.does = func(_ int, spec child.Spec) deed { return deed{cpu: 2 * float64(spec.Outputs)} }
	}, func(s *show) {
		s.m.room.cores = 2.5
		p := s.publish("shop", full(), nil)
		for _, want := range []struct{ seconds, rungs int }{{15, 3}, {8, 2}, {9, 2}, {12, 1}, {40, 1}} {
			p.send(30 * want.seconds)
			if got := s.out().rungs(); len(got) != want.rungs {
				t.Fatalf("%+v: rungs %q\n%s", want, got, s.log.String())
			}
		}
	})
}

// What viewers need goes when there is nothing else, and the last of it stays.
func TestConversionGoesLast(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.MaxCPU = 100
		s.set.Streams = []Choice{{Stream: "shop", Ladder: "mobile"}}
		s.host.does = func(_ int, spec child.Spec) deed { return deed{cpu: 0.5 * float64(spec.Outputs)} }
	}, func(s *show) {
		s.m.room.cores = 4
		vp8 := func() *stream.Track {
			return &stream.Track{Codec: stream.VP8, ClockRate: 90000, Width: 640, Height: 360, FrameRate: 30}
		}
		small := full()
		small.Width, small.Height = 1280, 720
		a, b, c := s.publish("shop", small, nil), s.publish("phone", vp8(), nil), s.publish("phone-2", vp8(), nil)
		send := func(seconds int) {
			for range 30 * seconds {
				for _, p := range []*publisher{a, b, c} {
					p.frame()
				}
				time.Sleep(time.Second / fps)
			}
			synctest.Wait()
		}
		made := func() (shop, phones int) {
			return len(s.out().rungs()), len(s.sink("phone").rungs()) + len(s.sink("phone-2").rungs())
		}
		send(12)
		if shop, phones := made(); shop != 1 || phones != 2 {
			t.Fatalf("%d and %d rungs\n%s", shop, phones, s.log.String())
		}
		s.change(func() { s.set.MaxCPU = 5 })
		send(14)
		if shop, phones := made(); shop != 0 || phones != 2 {
			t.Errorf("first: %d and %d rungs\n%s", shop, phones, s.log.String())
		}
		send(14)
		if shop, phones := made(); shop != 0 || phones != 1 {
			t.Errorf("then: %d and %d rungs\n%s", shop, phones, s.log.String())
		}
		send(60)
		if shop, phones := made(); shop != 0 || phones != 1 {
			t.Errorf("at last: %d and %d rungs\n%s", shop, phones, s.log.String())
		}
	})
}

// That some of a stream's pictures find no room is logged once, and not again until it changes.
func TestPartOfTheRoomIsLogged(t *testing.T) {
	for _, c := range []struct {
		name   string
		poster time.Duration
	}{{"a poster is made", time.Second}, {"nothing is made", 0}} {
		t.Run(c.name, func(t *testing.T) {
			inShow(t, func(s *show) {
				s.set.Poster, s.set.MaxTranscodes = c.poster, 1
				s.host.does = func(int, child.Spec) deed { return deed{jpeg: c.poster > 0} }
			}, func(s *show) {
				s.publish("shop", full(), nil).send(30)
				s.publish("other", full(), nil).send(30 * 30)
				text := s.log.String()
				if strings.Count(text, "there is no room") != 1 || !strings.Contains(text, "missing=2") || !strings.Contains(text, "1 transcode runs already") {
					t.Errorf("log:\n%s", text)
				}
			})
		})
	}
}

// A child that is as fast as the stream, and all of it too late, is replaced by one without that distance.
func TestLateChildIsReplaced(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = first(deed{holds: 50}) }, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 9)
		if n := len(s.host.all()); n != 1 {
			t.Fatalf("%d children after 9 s", n)
		}
		p.send(30 * 10)
		if n := len(s.host.all()); n != 2 || s.restarts(whyLate) != 1 {
			t.Fatalf("%d children, %v restarts\n%s", n, s.restarts(whyLate), s.log.String())
		}
		in, _ := s.m.Info("shop")
		for _, r := range in.Rungs {
			if r.Lag > time.Second || r.State != Running {
				t.Errorf("rung: %+v", r)
			}
		}
		p.send(30 * 60)
		if n := len(s.host.all()); n != 2 {
			t.Errorf("%d children", n)
		}
		aligned(t, s.out(), "720p")
	})
}

// A child that is late again right after is one that cannot keep up: its costliest rung goes.
func TestLateChildIsOverload(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(_ int, spec child.Spec) deed {
			if spec.Outputs > 1 {
				return deed{holds: 50}
			}
			return deed{}
		}
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 30)
		if got := s.out().rungs(); !slices.Equal(got, []string{"480p"}) {
			t.Errorf("rungs %q\n%s", got, s.log.String())
		}
		if n := len(s.host.all()); n != 3 {
			t.Errorf("%d children", n)
		}
	})
}

// What waits is thrown away up to the newest key frame; where something was refused behind that, all of it is.
func TestFeedSkips(t *testing.T) {
	t.Parallel()
	q := newFeed()
	track := full()
	push := func(n int, key bool) bool {
		return q.push(&stream.Frame{Track: track, Key: key, PTS: int64(n) * 9000, Payload: []byte{byte(n)}}, 0, time.Unix(0, 0))
	}
	for i := range 9 {
		push(i, i%3 == 0)
	}
	q.skip()
	if e, _, _ := q.first(func(*queued) verdict { return take }, func(*queued) {}); !e.key || e.pts != 6*9000 {
		t.Errorf("it goes on with %+v", e)
	}
	for i := 9; push(i, false); i++ {
	}
	q.skip()
	if _, some := q.waiting(); some {
		t.Error("frames are left that others are missing behind")
	}
	push(100, false)
	if _, some := q.waiting(); some {
		t.Error("it goes on without a key frame")
	}
	if push(101, true); !push(102, false) {
		t.Error("it does not go on")
	}
	if _, _, n := q.level(); n != 2 {
		t.Errorf("%d frames wait", n)
	}
	q.skip()
	if _, _, n := q.level(); n != 2 {
		t.Errorf("%d frames wait", n)
	}
}

// A child that was held up once and has no time to spare: the next one does not begin with what waited meanwhile.
func TestLateQueueIsThrownAway(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(n int, _ child.Spec) deed {
			if n == 0 {
				return deed{pace: time.Second / fps, nap: 1900 * time.Millisecond}
			}
			return deed{pace: time.Second / fps}
		}
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 40)
		in, _ := s.m.Info("shop")
		if n := len(s.host.all()); n != 2 || len(s.out().rungs()) != 2 || in.Rungs[0].Delay > time.Second {
			t.Errorf("%d children, rungs %+v\n%s", n, in.Rungs, s.log.String())
		}
	})
}

// A source that sends few pictures is further behind with those that a child keeps back: another child would keep them, too.
func TestFewPicturesAreNotLate(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = func(int, child.Spec) deed { return deed{holds: 5} } }, func(s *show) {
		p := s.publish("shop", full(), nil)
		for range 80 {
			p.frame()
			p.n += 14
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(s.host.all()); n != 1 || len(s.out().rungs()) != 2 {
			t.Errorf("%d children, rungs %q\n%s", n, s.out().rungs(), s.log.String())
		}
	})
}

// Where there is no room for the costliest rung, and the others are too much for ffmpeg, the next one goes.
func TestOverloadWithoutRoom(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Ladders[0] = ladderOf(s.t, "mobile", "720p 1.8M", "480p 900k", "240p 350k")
		s.set.MaxCPU = 100
		s.host.does = func(_ int, spec child.Spec) deed {
			return deed{cpu: 0.1, pace: []time.Duration{0, 10, 45, 45}[spec.Outputs] * time.Millisecond}
		}
	}, func(s *show) {
		s.m.room.cores = 0.8
		p := s.publish("shop", full(), nil)
		p.send(30)
		if got := s.out().rungs(); !slices.Equal(got, []string{"480p", "240p"}) {
			t.Fatalf("rungs %q", got)
		}
		p.send(30 * 14)
		if got := s.out().rungs(); !slices.Equal(got, []string{"240p"}) {
			t.Errorf("rungs %q\n%s", got, s.log.String())
		}
	})
}
