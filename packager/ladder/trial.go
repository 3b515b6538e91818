package ladder

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// tried is what came of an engine's trial.
type tried struct {
	engine  command.Engine
	problem string // why it does not work; "" when it does
}

// trial is what is known of the program and the engines so far.
type trial struct {
	version string
	engines []tried
}

// works tells whether some engine does.
func (t *trial) works() bool {
	return slices.ContainsFunc(t.engines, func(x tried) bool { return x.problem == "" })
}

// trialFunc finds out what the host can do. It tells found each time that it knows more: first what the program is, then the
// engines, and the first one of the order that works is told of complete. Its error says in a sentence why there is nothing to call.
type trialFunc func(ctx context.Context, set Settings, env []string, log *slog.Logger, found func(trial)) error

// notTried is what is said of an engine whose turn has not come.
const notTried = "It was not tried yet."

// codecs are those that the settings need: H.264 always, the others when a ladder has them.
func (s *Settings) codecs() []stream.Codec {
	all := []stream.Codec{stream.H264}
	for _, l := range s.Ladders {
		for _, r := range l.Rungs {
			if r.Codec.Video() && !slices.Contains(all, r.Codec) {
				all = append(all, r.Codec)
			}
		}
	}
	return all
}

// tryEngines lets the engines of the settings encode something, one after the other.
func tryEngines(ctx context.Context, set Settings, env []string, log *slog.Logger, found func(trial)) error {
	tools, err := child.Ask(ctx, child.TrialOptions{Program: set.Program, Nice: set.Nice, Env: env, Log: log})
	if err != nil {
		return err
	}
	x := trying{tools: tools, codecs: set.codecs(), found: found}
	x.out.version = tools.Version()
	for _, e := range command.Candidates(set.Encoders, set.Device) {
		e.Encoders, e.Software = nil, nil
		x.out.engines = append(x.out.engines, tried{engine: e, problem: notTried})
	}
	x.reasons = make([]map[stream.Codec]string, len(x.out.engines))
	found(x.out) // the program is there, which is all that sound needs
	x.all(ctx)
	return nil
}

// trying is a trial that goes on.
type trying struct {
	tools   *child.Tools
	codecs  []stream.Codec
	found   func(trial)
	out     trial
	reasons []map[stream.Codec]string // by engine: why a codec does not work, "" when it does
}

// all tries all engines. What the first that works does not encode, the CPU is tried with before others.
func (x *trying) all(ctx context.Context) {
	cpu := slices.IndexFunc(x.out.engines, func(t tried) bool { return t.engine.Backend == command.CPU })
	told := false
	for i := range x.out.engines {
		x.engine(ctx, i, x.codecs)
		if ctx.Err() != nil {
			return
		}
		if cpu > i && x.out.engines[i].problem == "" && !told {
			x.engine(ctx, cpu, x.missing(i))
		}
		x.tell(cpu)
		told = told || x.out.works()
	}
}

// missing are the codecs that an engine does not encode.
func (x *trying) missing(i int) (out []stream.Codec) {
	for _, c := range x.codecs {
		if x.reasons[i][c] != "" {
			out = append(out, c)
		}
	}
	return out
}

// engine tries one engine with what it was not tried with.
func (x *trying) engine(ctx context.Context, i int, codecs []stream.Codec) {
	if x.reasons[i] == nil {
		x.reasons[i] = map[stream.Codec]string{}
	}
	for _, c := range codecs {
		if _, known := x.reasons[i][c]; !known {
			x.reasons[i][c] = x.tools.Try(ctx, x.out.engines[i].engine, c)
		}
	}
	t := &x.out.engines[i]
	t.engine.Encoders, t.problem = nil, ""
	var reasons []string
	for _, c := range x.codecs {
		reason, known := x.reasons[i][c]
		switch {
		case known && reason == "":
			t.engine.Encoders = append(t.engine.Encoders, c)
		case known && !slices.Contains(reasons, reason):
			reasons = append(reasons, reason)
		}
	}
	if len(t.engine.Encoders) == 0 {
		t.problem = notTried
		if len(reasons) > 0 {
			t.problem = strings.Join(reasons, "; ")
		}
	}
}

// tell tells what is known; the CPU, where it is among the engines, does what others cannot.
func (x *trying) tell(cpu int) {
	out := trial{version: x.out.version, engines: slices.Clone(x.out.engines)}
	for i := range out.engines {
		if cpu >= 0 && i != cpu {
			out.engines[i].engine.Software = slices.Clone(out.engines[cpu].engine.Encoders)
		}
	}
	x.found(out)
}
