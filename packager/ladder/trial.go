package ladder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

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
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s does not answer within %v; %s", set.Program, child.DefaultLimit, programHelp)
	case err != nil:
		return fmt.Errorf("%w; %s", err, programHelp)
	}
	x := trying{try: tools.Try, codecs: set.codecs(), found: found}
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

// programHelp is how messages about a program end that cannot be asked.
const programHelp = `ladder.ffmpeg has to be ffmpeg, or "" for no ladders`

// trying is a trial that goes on.
type trying struct {
	try     func(context.Context, command.Engine, stream.Codec) (reason string) // as child.Tools.Try
	codecs  []stream.Codec
	found   func(trial)
	out     trial
	reasons []map[stream.Codec]string // by engine: why a codec does not work, "" when it does
}

// all tries all engines. What the first that works does not encode, the CPU is tried with before streams begin. What is behind
// the first comes at once, with H.264 before anything else: a GPU may fail in the node's first seconds.
func (x *trying) all(ctx context.Context) {
	cpu := slices.IndexFunc(x.out.engines, func(t tried) bool { return t.engine.Backend == command.CPU })
	for i := range x.out.engines {
		x.engine(ctx, i, x.codecs)
		works := x.out.engines[i].problem == ""
		if works && cpu > i {
			x.engine(ctx, cpu, x.missing(i))
		}
		if ctx.Err() != nil {
			return
		}
		x.tell(cpu)
		if works {
			x.behind(ctx, i, cpu)
			return
		}
	}
}

// behind tries what is behind the first engine that works: the CPU before others, which is there where a GPU is not, and last the
// same GPU in another form, which fails with it.
func (x *trying) behind(ctx context.Context, first, cpu int) {
	turn := func(i int) int {
		switch t, f := x.out.engines[i].engine, x.out.engines[first].engine; {
		case i == cpu:
			return 0
		case t.Backend != f.Backend || t.Device != f.Device:
			return 1
		}
		return 2
	}
	var rest []int
	for i := first + 1; i < len(x.out.engines); i++ {
		rest = append(rest, i)
	}
	slices.SortStableFunc(rest, func(a, b int) int { return turn(a) - turn(b) })
	for _, codecs := range [][]stream.Codec{{stream.H264}, x.codecs} {
		for _, i := range rest {
			x.engine(ctx, i, codecs)
			if ctx.Err() != nil {
				return
			}
			x.tell(cpu)
		}
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
			x.reasons[i][c] = x.try(ctx, x.out.engines[i].engine, c)
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

// trialAgain is how often the trial is made anew while nothing works: ffmpeg or a driver may be installed at any time.
const trialAgain = time.Minute

// searched takes note that a trial is over.
func (m *Manager) searched() {
	m.mu.Lock()
	m.again = m.opt.Now().Add(trialAgain)
	m.mu.Unlock()
}

// isDue tells whether it is time to try again what did not work.
func (m *Manager) isDue() bool {
	if m.engines.usable(true) || m.opt.Settings().Program == "" {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.again.IsZero() || m.opt.Now().Before(m.again) {
		return false
	}
	m.again = time.Time{} // this search is it
	return true
}

// complain tells the operator why nothing, or nothing of pictures, can be made: once for each cause, and louder where a ladder is
// asked for.
func (m *Manager) complain(set *Settings, err error) {
	message, cause := "no encoder works: no renditions of pictures can be made", m.engines.trouble(true)
	hint := "add cpu to ladder.encoders and start the node again, use an ffmpeg with libx264, or repair the GPU's driver; encoders are tried again every minute"
	if err != nil {
		message, cause = "no renditions can be made of streams", err.Error()
		hint = "install ffmpeg, which is looked for again every minute, or correct ladder.ffmpeg and start the node again"
	}
	m.mu.Lock()
	known := m.complaint == cause
	m.complaint = cause
	m.mu.Unlock()
	if known {
		return
	}
	level := slog.LevelInfo
	if len(set.Ladders) > 0 || len(set.Streams) > 0 { // keys can name no others
		level = slog.LevelWarn
	}
	m.log.Log(context.Background(), level, message, "error", cause, "hint", hint)
}

// hopes tells whether a stream's pictures had better wait for the trial than go to an engine again that failed.
func (m *Manager) hopes(stream string) bool {
	select {
	case <-m.tried:
		return false
	default:
		return m.engines.untried(stream)
	}
}
