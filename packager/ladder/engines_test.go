package ladder

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// Without ffmpeg everything but the ladder works, and it is said what is missing.
func TestNoProgram(t *testing.T) {
	inShow(t, func(s *show) { s.noProgram = errors.New("ask ffmpeg for its encoders: it is not there") }, func(s *show) {
		p := s.publish("shop", full(), aac())
		p.send(60)
		if n := len(s.out().of("")); n < 60 || len(s.host.all()) != 0 || len(s.out().rungs()) != 0 {
			t.Errorf("%d frames, %d children, rungs %q", n, len(s.host.all()), s.out().rungs())
		}
		if n := s.m.Node(); !n.Ready || !strings.Contains(n.Problem, "not there") {
			t.Errorf("node: %+v", n)
		}
		if a := strings.Join(s.m.Advice("shop"), "\n"); !strings.Contains(a, "install ffmpeg, which is found within a minute") {
			t.Errorf("advice %q", a)
		}
		if n := strings.Count(s.log.String(), "not there"); n != 1 || !strings.Contains(s.log.String(), "level=WARN") {
			t.Errorf("it is said %d times in the log:\n%s", n, s.log.String())
		}
		if s.m.Converts(stream.VP8) || s.m.Converts(stream.Opus) {
			t.Error("doors would take what nobody converts")
		}
	})
}

// Who needs nothing is not told that ffmpeg is missing.
func TestNoProgramAndNoNeed(t *testing.T) {
	inShow(t, func(s *show) { s.noProgram, s.set.Streams = errors.New("it is not there"), nil }, func(s *show) {
		s.publish("shop", full(), aac()).send(10)
		if a := s.m.Advice("shop"); len(a) != 0 {
			t.Errorf("advice %q", a)
		}
	})
}

func TestOff(t *testing.T) {
	inShow(t, func(s *show) { s.set.Program = "" }, func(s *show) {
		s.publish("shop", full(), aac()).send(10)
		if len(s.host.all()) != 0 || s.m.Converts(stream.Opus) {
			t.Error("something is made without a program")
		}
		if _, ok := s.m.Info("shop"); ok {
			t.Error("there is an info")
		}
	})
}

// A stream that begins before the trial is over waits for it, and begins with the next key frame.
func TestStreamWaitsForTrial(t *testing.T) {
	inShow(t, func(s *show) { s.tryFor = 1500 * time.Millisecond }, func(s *show) {
		if !s.m.Converts(stream.VP8) || s.m.Converts(stream.H264) {
			t.Error("before the trial, the settings count")
		}
		p := s.publish("shop", full(), nil)
		p.send(75)
		s.wantFrames("720p", 75) // the queue reaches back that far
	})
}

// A ladder that asks for another codec after the start has the engines tried with it.
func TestNewCodecIsTried(t *testing.T) {
	inShow(t, nil, func(s *show) {
		s.newLadder("720p 1.8M", "480p 900k hevc")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.publish("shop", full(), nil)
		synctest.Wait()
		if got := s.out().rungs(); len(got) != 2 || got[1] != "480p-hevc" {
			t.Errorf("rungs %q", got)
		}
	})
}

func TestDryRun(t *testing.T) {
	inShow(t, nil, func(s *show) {
		for _, c := range []struct{ name, source, ladder, want string }{
			{"mobile", "h264 1920x1080 30fps aac", "mobile", "libx264"},
			{"shop", "vp8 720x1280 opus mono", "mobile", "aac"},
			{"mobile", "hevc 3840x2160 25fps pq", "mobile", "libx264"},
		} {
			got, err := s.m.DryRun(s.t.Context(), c.name, c.source)
			if err != nil {
				t.Errorf("%+v: %v", c, err)
				continue
			}
			all := ""
			for _, l := range got.Lines {
				all += strings.Join(l, " ") + "\n"
			}
			if got.Ladder != c.ladder || !strings.HasPrefix(all, "ffmpeg ") || !strings.Contains(all, c.want) {
				t.Errorf("%+v: %+v", c, got)
			}
		}
		for _, source := range []string{"", "h264 0x0", "x", "30fps", "h264 -1fps"} {
			if _, err := s.m.DryRun(s.t.Context(), "mobile", source); err == nil || !strings.Contains(err.Error(), "describe the source") {
				t.Errorf("source %q: %v", source, err)
			}
		}
		p := s.publish("shop", full(), aac())
		p.send(1)
		if got, err := s.m.DryRun(s.t.Context(), "shop", ""); err != nil || len(got.Lines) != 2 || got.Engine != "cpu" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	s := Settings{
		Ladders: []command.Ladder{{Name: "a"}, {Name: "b"}},
		Streams: []Choice{{"shop", "a"}, {"none", ""}, {"cam-*", "b"}, {"*", "a"}},
	}
	for _, c := range []struct{ stream, key, want string }{
		{"shop", "", "a"}, {"shop", "b", "b"}, {"none", "", ""}, {"cam-2", "", "b"}, {"other", "", "a"}, {"shop", "unknown", ""},
	} {
		got := ""
		if l := s.choose(c.stream, c.key); l != nil {
			got = l.Name
		}
		if got != c.want {
			t.Errorf("%+v: ladder %q", c, got)
		}
	}
}
