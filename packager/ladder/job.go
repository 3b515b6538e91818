package ladder

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// Waits of a job.
const (
	// Attempts after failures: the first at once, then after this time, which doubles each time up to the longest. A child that
	// did well for long enough makes the next failure the first again.
	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 30 * time.Second
	healthy        = time.Minute
	// Children that were replaced within a short life without having failed: after so many in a row each waits, longer each time.
	shortLife    = 3 * time.Second
	mostBrief    = 5
	longestPause = 8 * time.Second
	// A rung that was taken off comes back after this time, if there is room. The time doubles each time that the rung is taken off
	// again, up to the longest, and begins anew when the job has kept up for twice that.
	firstReturn   = 30 * time.Second
	longestReturn = 10 * time.Minute
	// retryRoom is how often a job for which there was no room asks again, and retryReturn how often one that makes something asks
	// for room for the rest.
	retryRoom   = 2 * time.Second
	retryReturn = 5 * time.Second
)

// job makes of one of the publisher's tracks what is wanted of it, by one child after the other. Its goroutine, run, decides;
// the others only read what mu guards.
type job struct {
	l       *Ladder
	source  int
	picture bool
	feed    *feed
	wake    chan struct{}          // of one place
	yield   atomic.Bool            // room is needed for what viewers need of another stream
	prune   atomic.Pointer[string] // why a rung is to go, since children take too much; nil when none is

	mu        sync.Mutex // guards what follows
	want      *want
	state     State
	current   *run     // the newest child; nil before the first, and while none is to run
	granted   *want    // what there is room for; nil when nothing was asked yet
	refused   bool     // there is room for nothing
	off       int      // outputs that were taken off while a child ran
	offFor    string   // why those were
	gone      int      // outputs that are not made, those included, as far as the engine has them
	offWhy    string   // why
	notes     []string // of the engine
	restarts  int
	lastError string
	stderr    []string
	drops     map[string]uint64
	fed       uint64

	// Of run alone.
	failures  int
	notBefore time.Time
	returnAt  time.Time     // when what was taken off may come back
	retryAt   time.Time     // when it is looked again whether there is room
	returns   time.Duration // the next wait for a return
	tookOff   time.Time
	made      *command.PictureJob // what runs, or ran up to now; nil when nothing does
	returning bool                // the next child gets a rung more: there was room for it a moment ago
	brief     int                 // children in a row that were soon replaced by others although they did not fail
	pruned    bool                // a rung was taken off a moment ago since children take too much: the rest stays
	hoping    bool                // the engine failed, and others are being tried: the next one that works goes on
	skip      bool                // what waits is too old for the next child
	lateAt    time.Time           // when a child was last replaced because all that it gave came too late
	lacks     int                 // outputs for which there was no room, as it was logged last
}

func newJob(l *Ladder, source int, f *feed, picture bool) *job {
	return &job{
		l: l, source: source, feed: f, picture: picture, wake: make(chan struct{}, 1), state: Waiting, drops: map[string]uint64{},
		returns: firstReturn,
	}
}

func (j *job) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// assign says what is wanted; nil is nothing.
func (j *job) assign(w *want) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.same(j.want) {
		return
	}
	j.want, j.granted, j.refused = w, nil, false
}

func (j *job) wanted() *want {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.want
}

func (j *job) setState(s State) {
	j.mu.Lock()
	j.state = s
	j.mu.Unlock()
}

// tracks are what the job makes, as the stream is to know it.
func (j *job) tracks() []*stream.Track {
	w := j.expected()
	if w == nil {
		return nil
	}
	plan := command.Plan{Picture: w.picture}
	if w.sound != nil {
		plan.Sound = []command.SoundJob{*w.sound}
	}
	declared := command.Tracks(plan)
	for i, t := range declared {
		declared[i] = j.l.rung(t.ID).declared(t, w.gen)
	}
	return declared
}

// expected is what the job makes, or is about to: until it is known what there is room for, as much less than what is wanted as before.
func (j *job) expected() *want {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch w := j.want; {
	case j.refused:
		return nil
	case j.granted != nil:
		return j.granted
	case w == nil || w.picture == nil || j.gone == 0:
		return w
	default:
		less := w.picture.Without(j.gone)
		if less == nil {
			return nil
		}
		return w.with(less)
	}
}

// run makes one child after the other until ctx ends.
func (j *job) run(ctx context.Context) {
	before := make(chan struct{}) // closed when the child before has given all
	close(before)
	defer func() {
		<-before
		j.l.m.room.leave(j)
	}()
	for {
		w, e, ok := j.await(ctx)
		if !ok {
			return
		}
		r, err := j.start(ctx, w, e, before)
		if err != nil {
			if ctx.Err() == nil {
				j.failed(w, e, whyStart, err, time.Time{})
			}
			continue
		}
		before = r.done
		why, err := r.serve(ctx)
		j.mu.Lock()
		if j.current == r {
			j.current = nil
		}
		j.mu.Unlock()
		if why != "" && ctx.Err() == nil {
			<-r.done // it was killed
			j.failed(w, e, why, err, r.began)
			continue
		}
		select {
		case <-r.before: // so that one child drains at a time, however fast they change
		case <-ctx.Done():
		}
		j.replaced(r)
	}
}

// await waits until a child is to be started, and says what for and on what engine; false when ctx has ended.
func (j *job) await(ctx context.Context) (*want, command.Engine, bool) {
	for {
		if ctx.Err() != nil {
			return nil, command.Engine{}, false
		}
		w, e, wait := j.next()
		if w != nil {
			return w, e, true
		}
		var timer <-chan time.Time
		var t *time.Timer
		if wait > 0 {
			t = time.NewTimer(wait)
			timer = t.C
		}
		select {
		case <-ctx.Done():
		case <-j.wake:
		case <-timer:
		}
		if t != nil {
			t.Stop()
		}
	}
}

// next finds what is to be started now; nil when nothing is, and how long that is so at most, 0 being until the job is woken.
func (j *job) next() (*want, command.Engine, time.Duration) {
	var none command.Engine
	w := j.wanted()
	gen, some := j.feed.waiting()
	switch {
	case w == nil:
		j.rest(Off)
		return nil, none, 0
	case !some && j.l.isAway():
		j.rest(Waiting)
		return nil, none, 0
	case some && gen > w.gen:
		return nil, none, 0 // the plan for these frames is being made
	}
	j.hope(w)
	if d := j.notBefore.Sub(j.l.m.opt.Now()); d > 0 {
		if j.hoping {
			j.setState(Waiting)
			return nil, none, min(d, firstBackoff) // the queue stays open: it is a matter of a second or so
		}
		if j.brief <= mostBrief {
			j.setState(Failed)
		} else {
			j.setState(Waiting)
		}
		if d > firstBackoff {
			j.feed.setOpen(false, w.span())
		}
		j.l.m.room.leave(j)
		return nil, none, d
	}
	if j.skip {
		j.feed.skip()
		j.skip = false
	}
	j.yield.Store(false)
	j.prune.Store(nil)
	granted, e, ok := j.admit(w)
	j.l.declare()
	if !ok {
		j.feed.setOpen(false, w.span())
		return nil, none, retryRoom
	}
	j.feed.setOpen(true, w.span())
	return granted, e, 0
}

// rest is for a job that has nothing to do.
func (j *job) rest(s State) {
	j.setState(s)
	j.made = nil
	j.l.m.room.leave(j)
	if s == Off {
		j.feed.setOpen(false, latencyQueue)
	} else {
		j.feed.setOpen(true, latencyQueue)
	}
}

// admit finds an engine, and what of the want there is room for.
func (j *job) admit(w *want) (*want, command.Engine, bool) {
	m := j.l.m
	if w.sound != nil {
		why := m.room.enterSound(j, j.l.firstSound(j.source))
		j.mu.Lock()
		defer j.mu.Unlock()
		j.refused, j.offWhy = why != "", why
		if j.refused {
			j.granted, j.state = nil, Overloaded
			return nil, command.Engine{}, false
		}
		j.granted = w
		return w, command.Engine{}, true
	}
	e, on, notes, ok := m.engines.pick(at(w.picture, j.l.rateOf(j.source)), j.l.name)
	if !ok {
		j.mu.Lock()
		j.refused, j.state, j.notes = true, Failed, notes
		j.mu.Unlock()
		return nil, e, false
	}
	kind := costKind{e.Backend, w.mode()}
	j.mu.Lock()
	off := j.off
	j.mu.Unlock()
	if off > 0 && (j.returning || j.mayGrow(j.made, on, kind, off)) {
		off--
	}
	j.returning = false
	granted, gone, why := m.room.admit(j, on, kind, min(off, len(on.Outputs)), j.pruned)
	j.pruned = false
	j.logRoom(granted, len(on.Outputs), gone-min(off, len(on.Outputs)), why)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes, j.off, j.gone = notes, off, gone
	j.retryAt = m.opt.Now().Add(retryReturn)
	switch {
	case gone > off:
		j.offWhy = why // there is no room
	case off > 0:
		j.offWhy = j.offFor
	}
	j.refused, j.made = granted == nil, granted
	if granted == nil {
		j.state = Overloaded
		return nil, e, false
	}
	j.granted = w.with(granted)
	return j.granted, e, true
}

// logRoom logs that there is no room for some of a job's outputs, each time that their number changes.
func (j *job) logRoom(granted *command.PictureJob, all, lacks int, why string) {
	if granted == nil {
		lacks = max(1, all) // a poster, where nothing else is wanted
	}
	was := j.lacks
	if j.lacks = lacks; lacks == was || lacks == 0 || why == "" {
		return
	}
	if made := len(leftOutputs(granted)); made > 0 {
		j.l.log.Warn("there is no room for some of a stream's renditions", "missing", lacks, "made", made, "why", why)
		return
	}
	j.l.log.Warn("there is no room for a stream's renditions", "missing", lacks, "why", why)
}

// hope looks how the trial goes on that a job waits for. What waits with it is not to become older than anybody waits for.
func (j *job) hope(w *want) {
	if !j.hoping {
		return
	}
	if media, _, _ := j.feed.level(); media > w.mode().Lag() {
		j.feed.skip()
	}
	m, now := j.l.m, j.l.m.opt.Now()
	switch {
	case m.engines.another(j.l.name):
		j.notBefore, j.hoping = now, false
	case !m.hopes(j.l.name), !now.Before(j.notBefore):
		j.notBefore, j.hoping = now.Add(backoff(j.failures)), false
	}
}

// mayGrow tells whether it is time, and there is room, for a rung to come back to what is made now.
func (j *job) mayGrow(now, all *command.PictureJob, k costKind, off int) bool {
	if off == 0 || j.l.m.opt.Now().Before(j.returnAt) {
		return false
	}
	to := all.Without(min(off-1, len(all.Outputs)))
	if to != nil && j.l.m.room.fits(j, to, k) && j.l.m.room.spares(j, now, to, k) {
		return true
	}
	j.returnAt = j.l.m.opt.Now().Add(retryReturn)
	return false
}

// failed takes note of a child that failed, and says when the next one may start.
func (j *job) failed(w *want, e command.Engine, why string, err error, began time.Time) {
	m := j.l.m
	m.metrics.restarts.WithLabelValues(why).Inc()
	now := m.opt.Now()
	if !began.IsZero() && now.Sub(began) >= healthy {
		j.failures = 0
	}
	j.failures++
	j.made, j.returning, j.brief = nil, false, 0
	another := false
	blamed := w.picture != nil && e.Backend != command.CPU && why != whyStart && why != whyLate // which are not the engine's fault
	if blamed {
		another = m.engines.failed(e, j.l.name)
	}
	j.notBefore = now.Add(backoff(j.failures))
	switch {
	case another:
		j.notBefore = now // the next engine goes on at once
	case blamed && m.hopes(j.l.name):
		j.notBefore, j.hoping = now.Add(child.DefaultLimit), true // or as soon as one is found
	case why == whyLate:
		j.skip = true
	}
	j.mu.Lock()
	j.restarts++
	j.lastError = err.Error()
	j.mu.Unlock()
	j.l.log.Warn("a child that makes renditions failed", "track", j.source, "engine", e.Backend, "reason", why, "error", err,
		"again in", j.notBefore.Sub(now))
}

// replaced takes note of a child that is to be replaced without having failed. A publisher whose codec data change all the time, or
// who reconnects all the time, is let off some times; then the next child waits, or the host would do nothing but start them.
func (j *job) replaced(r *run) {
	now := j.l.m.opt.Now()
	if now.Sub(r.began) >= shortLife {
		j.brief = 0
		return
	}
	if j.brief++; j.brief > mostBrief {
		j.notBefore = now.Add(min(longestPause, backoff(j.brief-mostBrief+2)))
	}
}

// backoff is the wait after the nth failure in a row.
func backoff(n int) time.Duration {
	if n <= 1 {
		return 0
	}
	return min(longestBackoff, firstBackoff<<min(n-2, 10))
}

// overloaded takes the costliest rung off, because the child cannot keep up. It tells whether there was one.
func (j *job) overloaded(r *run) bool {
	if r.want.picture == nil {
		return false
	}
	if len(r.want.picture.Outputs) == 0 || onlyConversion(r.want.picture) {
		return false
	}
	j.takeOff(r, "a rung was taken off because ffmpeg cannot keep up", tooSlow)
	return true
}

// pruneFor takes the costliest rung off, because children take more than they may. It tells whether there was one, and somebody
// asked for it.
func (j *job) pruneFor(r *run) bool {
	why := j.prune.Swap(nil)
	if why == nil || r.want.picture == nil || len(r.want.picture.Outputs) == 0 {
		return false
	}
	j.takeOff(r, "a rung was taken off because encoding takes more than ladder.max_cpu", *why)
	j.pruned = true
	return true
}

// takeOff takes the costliest rung off of what a child makes.
func (j *job) takeOff(r *run, message, why string) {
	left, now := r.want.picture.Without(1), j.l.m.opt.Now()
	if now.Sub(j.tookOff) > 2*longestReturn {
		j.returns = firstReturn
	}
	j.tookOff, j.returnAt = now, now.Add(j.returns)
	j.l.log.Warn(message, "left", len(leftOutputs(left)), "for", j.returns, "why", why)
	j.returns = min(longestReturn, 2*j.returns)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.off = max(j.off, j.gone) + 1 // what there was no room for is the costliest, too
	j.offFor, j.offWhy = why, why
}

// tooSlow is why rungs are taken off while a child runs.
const tooSlow = "ffmpeg could not keep up with the stream: take rungs out of the ladder, or use a larger host or a GPU."

func leftOutputs(p *command.PictureJob) []command.Output {
	if p == nil {
		return nil
	}
	return p.Outputs
}

// onlyConversion tells that nothing is made but what viewers need: that is not taken off.
func onlyConversion(p *command.PictureJob) bool {
	return !slices.ContainsFunc(p.Outputs, func(o command.Output) bool { return !o.StandsIn })
}

// growable tells whether something that is not made can come back to what a child makes.
func (j *job) growable(r *run) bool {
	j.mu.Lock()
	w, off, gone := j.want, j.off, j.gone
	j.mu.Unlock()
	if w == nil || w.picture == nil {
		return false
	}
	on, _ := at(w.picture, r.want.picture.Source.FrameRate).On(j.l.m.engines.asNow(r.engine))
	if on == nil {
		return false
	}
	// What there was no room for needs room, and nothing else.
	if now := j.l.m.opt.Now(); gone > off && !now.Before(j.retryAt) {
		j.retryAt = now.Add(retryReturn)
		if to := on.Without(min(gone-1, len(on.Outputs))); to != nil && j.l.m.room.fits(j, to, r.kind()) {
			return true
		}
	}
	if off > 0 {
		j.returning = j.mayGrow(r.want.picture, on, r.kind(), off)
		return j.returning
	}
	return len(on.Outputs)-gone > len(r.want.picture.Outputs) // an engine was found to encode more
}

func (j *job) drop(reason string) {
	j.l.m.metrics.drop(reason)
	j.mu.Lock()
	j.drops[reason]++
	j.mu.Unlock()
}

// info tells how the job does, and the rungs that it has, also those that were taken off.
func (j *job) info(now time.Time) (JobInfo, []RungInfo, []string) {
	j.mu.Lock()
	in := JobInfo{
		Track: j.source, Picture: j.picture, State: j.state, Restarts: j.restarts, LastError: j.lastError, Stderr: j.stderr,
		Fed: j.fed, Dropped: maps.Clone(j.drops),
	}
	r, w, granted, why, notes := j.current, j.want, j.granted, j.offWhy, slices.Clone(j.notes)
	if j.refused {
		granted = nil
	}
	asked := j.granted != nil || j.refused
	j.mu.Unlock()
	in.Queued, in.QueuedBytes, in.QueuedFrames = j.feed.level()
	if _, fulls, _ := j.feed.counts(); fulls > 0 {
		in.Dropped[dropFull] = fulls
	}
	if r != nil {
		r.describe(&in)
	}
	var rungs []RungInfo
	for _, o := range w.outputs() {
		ri := j.l.rung(o.Track).info(&o, j.source, now)
		ri.State = in.State
		if asked && !slices.ContainsFunc(granted.outputs(), func(g command.Output) bool { return g.Track == o.Track }) {
			ri.State, ri.Off = Off, why
			if why == "" {
				ri.Off = fmt.Sprintf("No encoder for %s works here.", o.Rung.Codec)
			}
		}
		rungs = append(rungs, ri)
	}
	return in, rungs, notes
}
