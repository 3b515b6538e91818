package ladder

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

func TestSoundDoesNotWaitForTrial(t *testing.T) {
	inShow(t, func(s *show) { s.tryFor = 8 * time.Second }, func(s *show) {
		p := s.publish("shop", full(), aac())
		p.send(60)
		if got := s.out().of("audio-64k"); len(got) < 80 {
			t.Errorf("%d frames of sound before the trial is over", len(got))
		}
		if got := s.out().rungs(); !slices.Equal(got, []string{"audio-64k"}) {
			t.Errorf("rungs %q", got)
		}
		p.send(30 * 8)
		if got := aligned(t, s.out(), "720p"); len(got) < 60 {
			t.Errorf("%d pictures behind the trial", len(got))
		}
	})
}

func TestLaterTrialForgetsNothing(t *testing.T) {
	t.Parallel()
	e := newEngines(time.Now, newMetrics(nil))
	cpu := command.Engine{Backend: command.CPU, Encoders: []stream.Codec{stream.H264}}
	gpu := command.Engine{Backend: command.NVENC}
	e.set("ffmpeg", trial{engines: []tried{{gpu, "no driver"}, {cpu, ""}}}, nil)
	e.set("ffmpeg", trial{engines: []tried{{gpu, "no driver"}, {command.Engine{Backend: command.CPU}, notTried}}}, nil)
	if !e.usable(true) {
		t.Error("while engines are tried anew there is none")
	}
}

func TestReturnWithoutDetours(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.idle = 0.8 // 720p takes about 0.5, the whole 0.9
		s.host.does = first(deed{pace: 45 * time.Millisecond})
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 60)
		if got := s.out().rungs(); len(got) != 2 || len(s.host.all()) != 3 {
			t.Errorf("rungs %q of %d children\n%s", got, len(s.host.all()), s.log.String())
		}
	})
}

func TestOneReturnAtATime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m, err := New(Options{Settings: func() Settings { return Settings{} }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	m.room.idle = 1
	p := &command.PictureJob{Source: full(), Outputs: []command.Output{{Width: 320, Height: 180}}}
	a, b := &job{}, &job{}
	k := costKind{command.CPU, command.Latency}
	for range 2 { // whoever has it keeps it
		if !m.room.spares(a, nil, p, k) {
			t.Error("room is not given")
		}
	}
	if m.room.spares(b, nil, p, k) {
		t.Error("room is given twice")
	}
	now = now.Add(newChild)
	if !m.room.spares(b, nil, p, k) {
		t.Error("the second one never gets it")
	}
}

func TestManyChanges(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = func(int, child.Spec) deed { return deed{lingers: true, holds: 100} } }, func(s *show) {
		p := s.publish("shop", full(), nil)
		most := 0
		for i := range 120 {
			p.video = full()
			p.video.Width -= 2 * (i % 2)
			p.n = (p.n + gop - 1) / gop * gop // a key frame
			if err := p.x.SetTrack(p.video); err != nil {
				t.Fatal(err)
			}
			p.send(5)
			most = max(most, len(s.host.running()))
		}
		if n := len(s.host.all()); n > 15 || most > 3 {
			t.Errorf("%d children in 20 s, %d at once", n, most)
		}
		// It goes on by itself when the changes end.
		s.host.mu.Lock()
		s.host.does = nil
		s.host.mu.Unlock()
		p.n = 200 * gop
		p.send(30 * 30)
		if in, _ := s.m.Info("shop"); in.State != Running {
			t.Errorf("state %s", in.State)
		}
	})
}

func TestProgramRemovedBlamesNoEngine(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Encoders = []command.Backend{command.NVENC, command.CPU}
		s.host.does = func(n int, _ child.Spec) deed { return deed{fails: n < 3} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 5)
		if in, _ := s.m.Info("shop"); in.Jobs[0].Engine != "nvenc" || in.State != Running {
			t.Errorf("engine %q, state %s", in.Jobs[0].Engine, in.State)
		}
	})
}

func TestDryRunLeavesTrialAlone(t *testing.T) {
	t.Parallel()
	m, err := New(Options{
		Settings: func() Settings { return Settings{Program: "ffmpeg", Encoders: []command.Backend{command.CPU}} },
		Log:      slog.New(slog.DiscardHandler),
		trial: func(ctx context.Context, _ Settings, _ []string, _ *slog.Logger, found func(trial)) error {
			if ctx.Err() == nil {
				found(trial{engines: []tried{{engine: command.Engine{Backend: command.CPU, Encoders: []stream.Codec{stream.H264}}}}})
			}
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, err := m.DryRun(gone, "shop", "h264"); err == nil {
		t.Error("a dry run without an end")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.try(ctx)
	if !m.engines.usable(true) {
		t.Error("the node never tries its encoders")
	}
}

func TestBadStreamKeepsNoEngineFromOthers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	e := newEngines(func() time.Time { return now }, newMetrics(nil))
	h264 := []stream.Codec{stream.H264}
	gpu, cpu := command.Engine{Backend: command.NVENC, Encoders: h264}, command.Engine{Backend: command.CPU, Encoders: h264}
	e.set("ffmpeg", trial{engines: []tried{{gpu, ""}, {cpu, ""}}}, nil)
	l := ladderOf(t, "l", "480p 900k")
	job := command.MakePlan([]*stream.Track{full()}, &l, command.PlanOptions{}).Picture
	picked := func(stream string) command.Backend {
		on, _, _, _ := e.pick(job, stream)
		return on.Backend
	}
	for range 3 {
		if !e.failed(gpu, "bad") {
			t.Error("nothing is left to go on with")
		}
	}
	if got := picked("bad"); got != command.CPU {
		t.Errorf("the stream on which it fails is encoded by %s", got)
	}
	if got := picked("good"); got != command.NVENC {
		t.Errorf("another stream is encoded by %s", got)
	}
	e.failed(gpu, "third")
	if got := picked("good"); got != command.CPU {
		t.Errorf("after two streams' failures a third one is encoded by %s", got)
	}
	now = now.Add(setAside)
	if got := picked("bad"); got != command.NVENC {
		t.Errorf("five minutes later it is encoded by %s", got)
	}
	e.failed(gpu, "bad")
	if got := picked("good"); got != command.NVENC {
		t.Errorf("old failures count: %s", got)
	}
}

func TestManyTracksOfSound(t *testing.T) {
	inShow(t, func(s *show) { s.set.Streams, s.set.MaxCPU = nil, 50 }, func(s *show) {
		s.m.room.cores = 0.2 // 0.1 for children: three tracks
		p := s.publish("shop", full(), nil)
		for i := range 12 {
			a := aac()
			a.ID, a.Codec, a.Config, a.CodecString = 100+i, stream.Opus, []byte("OpusHead"), "opus"
			if err := p.x.SetTrack(a); err != nil {
				t.Fatal(err)
			}
		}
		p.send(5)
		n := len(s.host.running())
		if n < 3 || n > 4 { // the first may come when three others are there
			t.Errorf("%d children", n)
		}
		in, _ := s.m.Info("shop")
		off := 0
		for _, r := range in.Rungs {
			if strings.Contains(r.Off, "max_cpu") {
				off++
			}
		}
		if len(in.Rungs) != 12 || in.Rungs[0].Off != "" || off != 12-n {
			t.Errorf("%d rungs, %d off, the first for %q", len(in.Rungs), off, in.Rungs[0].Off)
		}
		other := aac()
		other.Codec, other.Config, other.CodecString = stream.Opus, []byte("OpusHead"), "opus"
		s.publish("other", full(), other).send(5)
		if got := s.sink("other").rungs(); len(got) != 1 {
			t.Errorf("another stream's sound: %q", got)
		}
	})
}
