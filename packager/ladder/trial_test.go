package ladder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// Once the first engine works, what may go on in its place is tried at once, with H.264 before anything else.
func TestOrderOfTrial(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		order []command.Backend
		works []command.Backend
		want  []string
		told  int // trials before streams begin
	}{
		{
			"a GPU that has all", []command.Backend{command.NVENC, command.QSV, command.CPU}, []command.Backend{command.NVENC, command.CPU},
			[]string{
				"nvenc H.264", "nvenc HEVC", "cpu H.264", "qsv H.264", "qsv (encoding only) H.264", "nvenc (encoding only) H.264",
				"cpu HEVC", "qsv HEVC", "qsv (encoding only) HEVC", "nvenc (encoding only) HEVC",
			}, 2,
		},
		{
			"nothing but the CPU", []command.Backend{command.AMF, command.CPU}, []command.Backend{command.CPU},
			[]string{"amf H.264", "amf HEVC", "cpu H.264", "cpu HEVC"}, 4,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			told := 0
			x := trying{codecs: []stream.Codec{stream.H264, stream.HEVC}}
			x.try = func(_ context.Context, e command.Engine, codec stream.Codec) string {
				got = append(got, e.String()+" "+codec.String())
				if slices.Contains(c.works, e.Backend) {
					return ""
				}
				return "no driver"
			}
			x.found = func(f trial) {
				if f.works() && told == 0 {
					told = len(got)
				}
			}
			for _, e := range command.Candidates(c.order, "") {
				x.out.engines = append(x.out.engines, tried{engine: e, problem: notTried})
			}
			x.reasons = make([]map[stream.Codec]string, len(x.out.engines))
			x.all(t.Context())
			if !slices.Equal(got, c.want) || told != c.told {
				t.Errorf("tried %q, streams begin behind %d", got, told)
			}
		})
	}
}

// inStages is a trial by which the GPU works at once, and the CPU after some time, unless it does not work at all.
func inStages(after time.Duration, problem string) trialFunc {
	return func(_ context.Context, set Settings, _ []string, _ *slog.Logger, found func(trial)) error {
		codecs := []stream.Codec{stream.H264}
		gpu := tried{engine: command.Engine{Backend: command.NVENC, Encoders: codecs}}
		found(trial{version: "ffmpeg version 5.1", engines: []tried{gpu, {engine: command.Engine{Backend: command.CPU}, problem: notTried}}})
		time.Sleep(after)
		found(trial{version: "ffmpeg version 5.1", engines: []tried{gpu, {engine: command.Engine{Backend: command.CPU, Encoders: codecs}, problem: problem}}})
		return nil
	}
}

// A GPU that fails before what is behind it was tried is not taken again while that is being tried: the first that works goes on.
func TestEngineFailsDuringTrial(t *testing.T) {
	inShow(t, func(s *show) {
		onGPU(command.NVENC, command.CPU)(s)
		s.trial = inStages(2500*time.Millisecond, "")
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(150)
		all := s.host.all()
		if len(all) != 2 || s.restarts(whyExit) != 1 {
			t.Fatalf("%d children, %v restarts\n%s", len(all), s.restarts(whyExit), s.log.String())
		}
		if in, _ := s.m.Info("shop"); in.Jobs[0].Engine != "cpu" || in.State != Running {
			t.Errorf("info: %+v", in)
		}
		if got := len(aligned(t, s.out(), "720p")); got < 150-17 { // up to the key frame behind the failure, at 1.5 s
			t.Errorf("%d frames of 150\n%s", got, s.log.String())
		}
	})
}

// What waited for too long is not given to the engine that goes on: it begins with a key frame of now.
func TestEngineFailsLongBeforeTheNextIsTried(t *testing.T) {
	inShow(t, func(s *show) {
		onGPU(command.NVENC, command.CPU)(s)
		s.trial = inStages(6*time.Second, "")
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 10)
		frames := aligned(t, s.out(), "720p")
		all := s.host.all()
		if len(all) != 2 || len(frames) < 44+30*4 {
			t.Fatalf("%d children, %d frames\n%s", len(all), len(frames), s.log.String())
		}
		if got := duration(frames[44].PTS-p.from, 90000); got < 5*time.Second || got > 6*time.Second {
			t.Errorf("it goes on with the frame of %v", got)
		}
	})
}

// Where nothing behind the GPU works, it is taken again as soon as that is known.
func TestEngineFailsAndNothingElseWorks(t *testing.T) {
	inShow(t, func(s *show) {
		onGPU(command.NVENC, command.CPU)(s)
		s.trial = inStages(2500*time.Millisecond, "this ffmpeg is built without libx264")
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 2)
		if n := len(s.host.all()); n != 1 {
			t.Errorf("%d children before the trial is over", n)
		}
		if a := strings.Join(s.m.Advice("shop"), "\n"); strings.Contains(a, "names no other") {
			t.Errorf("advice before the trial is over: %q", a)
		}
		p.send(30 * 2)
		if n := len(s.host.all()); n < 2 {
			t.Errorf("%d children behind the trial\n%s", n, s.log.String())
		}
	})
}

// ffmpeg, or a driver, that is installed later needs no restart of the node.
func TestProgramInstalledLater(t *testing.T) {
	inShow(t, func(s *show) { s.noProgram = errors.New("ask ffmpeg for its encoders: it is not there") }, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30 * 150)
		if n := strings.Count(s.log.String(), "not there"); n != 1 {
			t.Errorf("it is said %d times in the log", n)
		}
		s.change(func() { s.noProgram = nil })
		p.send(30 * 62)
		if got := s.out().rungs(); len(got) != 2 {
			t.Fatalf("rungs %q\n%s", got, s.log.String())
		}
		if a := s.m.Advice("shop"); len(a) != 0 {
			t.Errorf("advice %q", a)
		}
		if n := s.m.Node(); n.Problem != "" {
			t.Errorf("node: %+v", n)
		}
	})
}

// Who asked for no ladder is not warned; who did is told what to do.
func TestComplaint(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*show)
		want   []string
	}{
		{"a ladder", func(s *show) { s.noProgram = errors.New("it is not there") }, []string{"level=WARN", "it is not there", "install ffmpeg", "every minute"}},
		{"none", func(s *show) {
			s.noProgram, s.set.Ladders, s.set.Streams = errors.New("it is not there"), nil, nil
		}, []string{"level=INFO", "it is not there", "install ffmpeg"}},
		{"no encoder", func(s *show) { s.trial = nothingWorks }, []string{"level=WARN", "no driver", "libx264", "every minute"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShow(t, c.change, func(s *show) {
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				text := s.log.String()
				for _, w := range c.want {
					if !strings.Contains(text, w) {
						t.Errorf("%q is missing in the log", w)
					}
				}
				if n := strings.Count(text, "\n"); n != 1 || strings.Contains(text, "level=ERROR") {
					t.Errorf("%d lines in the log", n)
				}
			})
		})
	}
}

func nothingWorks(_ context.Context, _ Settings, _ []string, _ *slog.Logger, found func(trial)) error {
	found(trial{version: "ffmpeg version 5.1", engines: []tried{{command.Engine{Backend: command.NVENC}, "no driver"}}})
	return nil
}

// A program that is not ffmpeg is named with what it should be.
func TestProgramIsNotFFmpeg(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"/bin/cat", "/bin/false", "/no/such/ffmpeg"} {
		err := tryEngines(t.Context(), Settings{Program: program}, child.Environment(nil), slog.New(slog.DiscardHandler), func(trial) {
			t.Errorf("%s was taken for ffmpeg", program)
		})
		if text := fmt.Sprint(err); !strings.Contains(text, program) || !strings.HasSuffix(text, `; ladder.ffmpeg has to be ffmpeg, or "" for no ladders`) {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// A later trial takes nothing of what is known of one form of a GPU for the other.
func TestLaterTrialKeepsFormsApart(t *testing.T) {
	t.Parallel()
	e := newEngines(time.Now, newMetrics(nil))
	all, plain := command.Engine{Backend: command.NVENC, Filters: true}, command.Engine{Backend: command.NVENC}
	e.set("ffmpeg", trial{engines: []tried{{all, ""}, {plain, notTried}}}, nil)
	e.set("ffmpeg", trial{engines: []tried{{all, notTried}, {plain, notTried}}}, nil)
	if got := e.names(); !slices.Equal(got, []string{"nvenc"}) {
		t.Errorf("%q work", got)
	}
}
