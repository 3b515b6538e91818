package ladder

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"pushcart/packager/ladder/command"
)

// setAside is for how long an engine on which a child failed is not used for new ones, where there is another.
const setAside = 5 * time.Minute

// engines are the ways to encode that the trial found, and how they have done since.
type engines struct {
	now     func() time.Time
	metrics *metrics

	mu      sync.Mutex // guards what follows
	program string
	version string
	problem string
	list    []*engineState
}

type engineState struct {
	tried
	failures int
	until    time.Time            // set aside for all; zero is not
	blamed   map[string]time.Time // set aside for a stream; nil is for none
}

func newEngines(now func() time.Time, x *metrics) *engines { return &engines{now: now, metrics: x} }

// set takes what a trial has found so far, or why there is nothing to try.
func (e *engines) set(program string, t trial, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.program, e.version, e.problem = program, t.version, ""
	if err != nil {
		e.problem = err.Error()
	}
	former := e.list
	e.list = nil
	for _, x := range t.engines {
		s := &engineState{tried: x}
		for _, f := range former {
			if f.engine.Backend == x.engine.Backend && f.engine.Device == x.engine.Device {
				s.failures, s.until, s.blamed = f.failures, f.until, f.blamed
				if x.problem == notTried && f.engine.Filters == x.engine.Filters { // now; what was found before holds
					s.tried = f.tried
				}
			}
		}
		e.list = append(e.list, s)
		e.metrics.engine(string(x.engine.Backend), s.problem == "")
	}
}

// names are the back-ends that work.
func (e *engines) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, x := range e.list {
		if x.problem == "" {
			out = append(out, x.engine.String())
		}
	}
	return out
}

// versionOf is what the program says of itself.
func (e *engines) versionOf() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.version
}

// usable tells whether sound, or pictures too, can be made.
func (e *engines) usable(pictures bool) bool {
	return e.trouble(pictures) == ""
}

// trouble says why nothing can be made; "" when something can.
func (e *engines) trouble(pictures bool) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.problem != "" {
		return e.problem
	}
	if !pictures || slices.ContainsFunc(e.list, func(x *engineState) bool { return x.problem == "" }) {
		return ""
	}
	why := "none is named in ladder.encoders"
	if len(e.list) > 0 {
		why = fmt.Sprintf("%s: %s", e.list[len(e.list)-1].engine.Backend, e.list[len(e.list)-1].problem)
	}
	return "no encoder works (" + why + ")"
}

// aside tells whether an engine is not to be used for a stream.
func (x *engineState) aside(now time.Time, stream string) bool {
	return now.Before(x.asideUntil(stream))
}

func (x *engineState) asideUntil(stream string) time.Time {
	if t := x.blamed[stream]; t.After(x.until) {
		return t
	}
	return x.until
}

// pick chooses the engine for a stream's picture job and what the job is on it: one that is not set aside, then one that encodes the most
// of the outputs, then the first in order. False when none works. An engine that is set aside is better than none.
func (e *engines) pick(j *command.PictureJob, stream string) (command.Engine, *command.PictureJob, []string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	type choice struct {
		x     *engineState
		job   *command.PictureJob
		notes []string
		aside bool
	}
	var all []choice
	for _, x := range e.list {
		if x.problem != "" {
			continue
		}
		if on, notes := j.On(x.engine); on != nil {
			all = append(all, choice{x, on, notes, x.aside(e.now(), stream)})
		}
	}
	if len(all) == 0 {
		return command.Engine{}, nil, nil, false
	}
	best := slices.MinFunc(all, func(a, b choice) int {
		order := cmp.Or(rank(a.aside)-rank(b.aside), len(b.job.Outputs)-len(a.job.Outputs))
		if order == 0 && a.aside {
			order = a.x.asideUntil(stream).Compare(b.x.asideUntil(stream)) // the one whose failure is longer ago
		}
		return order
	})
	return best.x.engine, best.job, best.notes, true
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// asNow is an engine as it is known by now.
func (e *engines) asNow(of command.Engine) command.Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.list {
		if x.engine.Backend == of.Backend && x.engine.Device == of.Device {
			return x.engine
		}
	}
	return of
}

// failed sets an engine aside on which a stream's child failed: for that stream, whose pictures may be to blame, and for all when
// there are two such streams. It tells whether another engine can go on at once.
func (e *engines) failed(b command.Engine, stream string) (another bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	for _, x := range e.list {
		if x.engine.Backend == b.Backend && x.engine.Device == b.Device {
			x.failures++
			x.blame(now, stream)
		}
	}
	e.metrics.engineFailures.WithLabelValues(string(b.Backend)).Inc()
	return e.anyLocked("", stream)
}

// another tells whether an engine works that is not set aside for a stream.
func (e *engines) another(stream string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.anyLocked("", stream)
}

// untried tells whether the turn of an engine is still to come that is not set aside for a stream.
func (e *engines) untried(stream string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.anyLocked(notTried, stream)
}

func (e *engines) anyLocked(problem, stream string) bool {
	now := e.now()
	return slices.ContainsFunc(e.list, func(x *engineState) bool { return x.problem == problem && !x.aside(now, stream) })
}

func (x *engineState) blame(now time.Time, stream string) {
	maps.DeleteFunc(x.blamed, func(_ string, until time.Time) bool { return !now.Before(until) })
	if x.blamed == nil {
		x.blamed = map[string]time.Time{}
	}
	x.blamed[stream] = now.Add(setAside)
	if len(x.blamed) > 1 {
		x.until = now.Add(setAside)
	}
}

// asideAll tells whether each engine that works is set aside for a stream, and which back-end comes first.
func (e *engines) asideAll(stream string) (command.Backend, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var first command.Backend
	for _, x := range e.list {
		if x.problem != "" {
			continue
		}
		if !x.aside(e.now(), stream) {
			return "", false
		}
		first = cmp.Or(first, x.engine.Backend)
	}
	return first, first != ""
}

// asideNow are the back-ends that are set aside for a stream.
func (e *engines) asideNow(stream string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, x := range e.list {
		if x.aside(e.now(), stream) {
			out = append(out, string(x.engine.Backend))
		}
	}
	return out
}

func (e *engines) describe(in *NodeInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	in.Version, in.Problem = e.version, e.problem
	now, works := e.now(), false
	for _, x := range e.list {
		d := EngineInfo{
			Backend: string(x.engine.Backend), Device: x.engine.Device, Works: x.problem == "", Problem: x.problem,
			Filters: x.engine.Filters, Failures: x.failures,
		}
		for _, c := range x.engine.Encoders {
			d.Codecs = append(d.Codecs, c.String())
		}
		if now.Before(x.until) {
			d.AsideUntil = x.until
		}
		works = works || d.Works
		in.Engines = append(in.Engines, d)
	}
	if in.Problem == "" && in.Ready && in.Program != "" && !works {
		in.Problem = "No encoder of ladder.encoders works on this host: pictures are not encoded."
	}
}
