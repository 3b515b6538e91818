package ladder

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// first gives a deed to the first child only.
func first(d deed) func(int, child.Spec) deed {
	return func(n int, _ child.Spec) deed {
		if n == 0 {
			return d
		}
		return deed{}
	}
}

func (s *show) restarts(why string) float64 {
	return s.metric("pushcart_ladder_restarts_total", why)
}

// Each failure costs the rungs what lies before the source's next key frame, and the source nothing.
func TestChildFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		deed  deed
		why   string
		error string
		lost  int // frames of 150
	}{
		{"killed", deed{exitAt: 40}, whyExit, "exit code 1", 60 - 39},
		{"exits at once", deed{exitAt: 1}, whyExit, "exit code 1", 30},
		{"garbage", deed{junkAt: 40}, whyGarbage, "cannot be read", 60 - 39},
		{"strange times", deed{strange: true}, whyGarbage, "times that no frame has", 150},
		{"cannot be started", deed{fails: true}, whyStart, "out of memory", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShow(t, func(s *show) { s.host.does = first(c.deed) }, func(s *show) {
				p := s.publish("shop", full(), nil)
				p.send(150)
				if got := len(s.out().of("")); got != 150 {
					t.Errorf("%d frames of the source", got)
				}
				got := len(aligned(t, s.out(), "720p"))
				if missing := 150 - got; missing > c.lost+1 || c.lost < 150 && missing < c.lost-1 {
					t.Errorf("%d frames are missing, want %d", missing, c.lost)
				}
				in, _ := s.m.Info("shop")
				if j := in.Jobs[0]; j.Restarts < 1 || !strings.Contains(j.LastError, c.error) || s.restarts(c.why) < 1 {
					t.Errorf("job: %+v", j)
				}
			})
		})
	}
}

// A child that was stopped does not read any more; one that hangs reads and gives nothing. Both are found in time.
func TestChildIsStuck(t *testing.T) {
	for _, c := range []struct {
		name string
		deed deed
	}{
		{"stopped", deed{stopAt: 60}},
		{"silent", deed{silentAt: 60}},
		{"silent from the start", deed{silentAt: 1}},
		{"stopped at the start", deed{stopAt: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShow(t, func(s *show) { s.host.does = first(c.deed) }, func(s *show) {
				p := s.publish("shop", full(), nil)
				p.send(60)
				p.send(30 * 7)
				if s.restarts(whyStuck) != 1 || len(s.host.all()) != 2 {
					t.Fatalf("%v restarts, %d children", s.restarts(whyStuck), len(s.host.all()))
				}
				if in, _ := s.m.Info("shop"); in.State != Running || !strings.Contains(in.Jobs[0].LastError, "gave nothing") {
					t.Errorf("info: %+v", in)
				}
				if n := len(s.out().of("")); n != 270 {
					t.Errorf("%d frames of the source", n)
				}
			})
		})
	}
}

// A publisher that sends nothing, or seldom, leaves a child with nothing to give: it is not stuck.
func TestQuietPublisher(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{holds: 5} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(20)
		time.Sleep(20 * time.Second)
		for range 5 {
			p.frame()
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		if n := len(s.host.all()); n != 1 {
			t.Errorf("%d children", n)
		}
	})
}

func TestBackoff(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{exitAt: 1} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 130)
		var gaps []time.Duration
		all := s.host.all()
		for i := 1; i < len(all); i++ {
			gaps = append(gaps, all[i].at.Sub(all[i-1].at).Round(time.Second))
		}
		// Each attempt waits for its time, and then for a key frame, one a second.
		if len(gaps) < 8 || !slices.IsSorted(gaps) || gaps[len(gaps)-1] < 30*time.Second || gaps[len(gaps)-1] > 32*time.Second {
			t.Errorf("starts were apart by %v", gaps)
		}
		in, _ := s.m.Info("shop")
		advice := strings.Join(s.m.Advice("shop"), "\n")
		if in.State != Failed || !strings.Contains(advice, "renditions of the picture fail") {
			t.Errorf("state %s, advice %q", in.State, advice)
		}
	})
	t.Run("values", func(t *testing.T) {
		want := []time.Duration{0, 0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
			30 * time.Second, 30 * time.Second}
		for n, w := range want {
			if got := backoff(n); got != w {
				t.Errorf("backoff(%d) = %v, want %v", n, got, w)
			}
		}
		if backoff(1000) != longestBackoff {
			t.Error("backoff(1000)")
		}
	})
}

// After a minute in which a child did well, a failure is the first again.
func TestHealthResetsBackoff(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(n int, _ child.Spec) deed {
			if n < 4 {
				return deed{exitAt: 1}
			}
			return deed{exitAt: 30 * 62}
		}
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 80)
		all := s.host.all()
		if len(all) != 6 {
			t.Fatalf("%d children", len(all))
		}
		if d := all[5].at.Sub(all[4].at); d > 63*time.Second {
			t.Errorf("the last one started %v behind the one before", d)
		}
	})
}

func onGPU(order ...command.Backend) func(*show) {
	return func(s *show) {
		s.set.Encoders = order
		s.host.does = func(_ int, spec child.Spec) deed {
			if slices.Contains(spec.Args, "h264_nvenc") {
				return deed{exitAt: 45}
			}
			return deed{}
		}
	}
}

func TestEngineFails(t *testing.T) {
	inShow(t, onGPU(command.NVENC, command.CPU), func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(20)
		if in, _ := s.m.Info("shop"); in.Jobs[0].Engine != "nvenc" {
			t.Fatalf("engine %q", in.Jobs[0].Engine)
		}
		p.send(130)
		if got := len(aligned(t, s.out(), "720p")); got < 150-17 {
			t.Errorf("%d frames", got)
		}
		in, _ := s.m.Info("shop")
		if in.Jobs[0].Engine != "cpu" || s.metric("pushcart_ladder_engine_failures_total", "nvenc") != 1 {
			t.Errorf("engine %q", in.Jobs[0].Engine)
		}
		if a := strings.Join(s.m.Advice("shop"), "\n"); !strings.Contains(a, "nvenc failed and is set aside") || !strings.Contains(a, "cpu encodes instead") {
			t.Errorf("advice %q", a)
		}
		// Five minutes later new children go to it again.
		p.send(30 * 301)
		s.publish("other", full(), nil)
		synctest.Wait()
		if in, _ := s.m.Info("other"); in.Jobs[0].Engine != "nvenc" {
			t.Errorf("engine %q", in.Jobs[0].Engine)
		}
	})
}

// The operator who does not name the CPU does not want it: the engine is tried again, and the advice says what is missing.
func TestNoFallBack(t *testing.T) {
	inShow(t, onGPU(command.NVENC), func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(120)
		for _, c := range s.host.all() {
			if !slices.Contains(c.spec.Args, "h264_nvenc") {
				t.Errorf("a child on another engine: %q", c.spec.Args)
			}
		}
		if a := strings.Join(s.m.Advice("shop"), "\n"); !strings.Contains(a, "add cpu to it") {
			t.Errorf("advice %q", a)
		}
	})
}

// A picture's child that fails costs no sound.
func TestSoundGoesOn(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(_ int, spec child.Spec) deed {
			if spec.Outputs == 2 {
				return deed{exitAt: 10}
			}
			return deed{}
		}
	}, func(s *show) {
		p := s.publish("shop", full(), aac())
		p.send(90)
		sound := s.out().of("audio-64k")
		for i := 1; i < len(sound); i++ {
			if sound[i].PTS-sound[i-1].PTS != 1024 {
				t.Fatalf("a hole in the sound at frame %d", i)
			}
		}
		if len(sound) < 130 {
			t.Errorf("%d frames of sound", len(sound))
		}
	})
}
