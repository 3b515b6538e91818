package ladder

import (
	"fmt"
	"time"

	"pushcart/packager/ladder/command"
)

// When a child counts as stuck: it was fed for this time and gave nothing, though it had more frames than it may keep.
const (
	stuckAfter      = 3 * time.Second
	stuckFirst      = 5 * time.Second // before the first frame comes back
	heldLatency     = 10
	heldQuality     = 100 // before the first frame comes back: look-ahead, and a picture of each thread
	heldReordered   = 16  // afterwards: for each frame that goes in one comes out, but for those that are reordered
	heldSound       = 32
	overloadSamples = 10   // seconds that are looked at
	slowSpeed       = 0.95 // of the stream's; jitter of measuring is above that
)

// watch is what a job's goroutine remembers of its child.
type watch struct {
	waits   []wait // by output
	samples []sample
	second  time.Time // of the last sample
	cpu     time.Duration
	rate    float64 // processors
	fed     int64   // frames, at the last sample
	share   float64 // of the source's pictures that came, averaged like rate
	slow    bool    // it cannot keep up, and there is nothing to take off
}

// wait is how long an output has been silent.
type wait struct {
	returned int64
	attempts int64
	since    time.Time
}

// sample is where a child was at one moment.
type sample struct {
	at       time.Time
	in, back int64 // newest time that came from the publisher, and the lowest of the outputs' newest, in the source's ticks
	fulls    uint64
}

// level is what Info tells of a child.
type level struct {
	rate, speed float64
	slow        bool
}

func (w *watch) begin(r *run) {
	now := r.j.l.m.opt.Now()
	w.waits = make([]wait, len(r.outputs))
	for i := range w.waits {
		w.waits[i].since = now
	}
	w.second, w.cpu, w.share = now, r.proc.CPU(), 1
}

// look tells whether the child is stuck, and once a second looks after its speed.
func (r *run) look() (why string, err error) {
	now := r.j.l.m.opt.Now()
	if r.watch.stuck(r, now) {
		return whyStuck, fmt.Errorf("ffmpeg gave nothing for %d s while it was fed", int(stuckAfter.Seconds()))
	}
	if now.Sub(r.watch.second) >= time.Second {
		if r.everySecond(now) {
			return whyLate, fmt.Errorf("all that ffmpeg gave for %d s came more than %v behind the source, which is too late", overloadSamples, r.want.mode().Lag())
		}
	}
	return "", nil
}

func (w *watch) stuck(r *run, now time.Time) bool {
	limit := stuckAfter
	if !r.answered.Load() {
		// A host on which many begin at once needs longer: the next attempts get more time.
		limit = stuckFirst * time.Duration(1+min(r.j.failures, 3))
	}
	if busy := r.busy.Load(); busy != 0 && now.Sub(r.began)-time.Duration(busy) >= limit {
		return true
	}
	attempts := r.attempts.Load()
	for i, o := range r.outputs {
		x := &w.waits[i]
		if returned := o.returned.Load(); returned != x.returned || attempts == x.attempts {
			*x = wait{returned, attempts, now}
			continue
		}
		if now.Sub(x.since) >= limit && attempts-x.attempts >= r.held(o) {
			return true
		}
	}
	return false
}

// held is how many frames a child may get without giving one.
func (r *run) held(o *output) int64 {
	if r.want.picture == nil {
		return heldSound
	}
	n := int64(heldLatency)
	if r.want.mode() == command.Quality {
		n = heldReordered
		if o.returned.Load() == 0 {
			n = heldQuality
		}
	}
	if source, capped := r.want.picture.Source.FrameRate, o.track.FrameRate; capped > 0 && source > capped {
		n *= int64(min(source/capped, 240)) + 1 // frames that are left out on purpose
	}
	return n
}

// everySecond measures the child, takes a rung off when it cannot keep up, and lets one return when there is room. It tells whether
// the child is to be replaced at once, because all of it comes too late.
func (r *run) everySecond(now time.Time) (tooLate bool) {
	w := &r.watch
	cpu := r.proc.CPU()
	rate := float64(cpu-w.cpu) / float64(now.Sub(w.second))
	if w.rate == 0 {
		w.rate = rate
	}
	w.rate += (rate - w.rate) / 4
	w.follow(r, now)
	r.j.l.m.metrics.cpu.WithLabelValues(kindOf(r.j.picture)).Add(max(0, (cpu - w.cpu).Seconds()))
	w.cpu, w.second = cpu, now
	w.sample(r, now)
	r.j.l.m.room.takes(r.j, w.rate)
	if w.share >= leastShare {
		r.j.l.m.room.measure(r.j, r.want.picture, r.kind(), w.rate/w.share, w.keepsUp(r))
	}
	switch {
	case r.outrun(now):
		r.cut.Store(true)
	case !w.behind(r) && w.late(r) && now.Sub(r.j.lateAt) > lateAgain:
		// It is as fast as the stream and may have been held up once: the next one begins without that distance.
		r.j.lateAt = now
		return true
	case w.behind(r), w.late(r):
		w.samples = nil
		if r.j.overloaded(r) {
			r.cut.Store(true)
		} else {
			w.slow = true
		}
	case w.keepsUp(r):
		w.slow = false
		if r.j.growable(r) {
			r.cut.Store(true)
		}
	case len(r.outputs) == 0 && r.j.growable(r):
		r.cut.Store(true)
	}
	r.mu.Lock()
	r.level = level{rate: w.rate, speed: w.speed(r), slow: w.slow}
	r.mu.Unlock()
	return false
}

// Pictures may come at that many times the rate that the encoders were told, before others are started, and not sooner than that.
const (
	outrunBy    = 1.4
	outrunAfter = 10 * time.Second
)

// outrun tells that the source sends many more pictures than the encoders were told, who would spend as many times the bit rate.
func (r *run) outrun(now time.Time) bool {
	if len(r.outputs) == 0 || r.want.picture == nil || now.Sub(r.began) < outrunAfter {
		return false
	}
	return r.j.l.rateOf(r.j.source) > outrunBy*r.told()
}

// told is the source's rate as the encoders have it.
func (r *run) told() float64 {
	if told := r.want.picture.Source.FrameRate; told > 0 {
		return told
	}
	return 30 // as package command takes it
}

// leastShare is how much of what a source may send has to come for its child's work to be measured by.
const leastShare = 0.25

// follow follows how much of the pictures that the source may send comes. A child that waits for a publisher who pauses takes
// nothing, which says nothing about what it needs.
func (w *watch) follow(r *run, now time.Time) {
	fed := r.attempts.Load()
	came := float64(fed-w.fed) / now.Sub(w.second).Seconds()
	w.fed = fed
	p := r.want.picture
	if p == nil || len(p.Outputs) == 0 {
		return
	}
	w.share += (min(1, came/r.told()) - w.share) / 4
}

// sample takes one once all outputs have given something.
func (w *watch) sample(r *run, now time.Time) {
	if len(r.outputs) == 0 {
		return
	}
	_, fulls, newest := r.j.feed.counts()
	s := sample{at: now, in: newest, fulls: fulls}
	for i, o := range r.outputs {
		back := o.newest.Load()
		if back == 0 {
			return
		}
		if i == 0 || back < s.back {
			s.back = back
		}
	}
	if len(w.samples) > overloadSamples {
		w.samples = append(w.samples[:0], w.samples[1:]...)
	}
	w.samples = append(w.samples, s)
}

// ends are the first and the last sample; false when they are too near to one another to tell anything.
func (w *watch) ends(atLeast time.Duration) (first, last sample, ok bool) {
	if len(w.samples) < 2 {
		return first, last, false
	}
	first, last = w.samples[0], w.samples[len(w.samples)-1]
	return first, last, last.at.Sub(first.at) >= atLeast
}

// speed is media time that came back per real time; 0 when not known.
func (w *watch) speed(r *run) float64 {
	first, last, ok := w.ends(2 * time.Second)
	if !ok {
		return 0
	}
	return first.speed(&last, r.want.track.ClockRate)
}

// behind tells that the child cannot keep up: it was slower than the stream in both halves of ten seconds, or its queue ran over,
// and it is far behind. One that was kept from working for a moment, and keeps that distance, is not meant.
func (w *watch) behind(r *run) bool {
	first, last, ok := w.ends(overloadSamples*time.Second - watchEvery)
	if !ok {
		return false
	}
	middle, rate := w.samples[len(w.samples)/2], r.want.track.ClockRate
	far := func(s *sample) bool { return s.behind(rate) > r.want.mode().Lag()/2 }
	slow := func(a, b *sample) bool {
		// Less than the clock, and less than what came: a source that pauses is slow by itself.
		return a.speed(b, rate) < slowSpeed && float64(b.back-a.back) < slowSpeed*float64(b.in-a.in)
	}
	return far(&last) && (slow(&first, &middle) && slow(&middle, &last) || last.fulls > first.fulls && far(&first))
}

// lateAgain is how soon after a child was replaced for being late the next one is slow rather than held up.
const lateAgain = time.Minute

// late tells that all that came for ten seconds was further behind than anybody waits for, however fast the child is: nothing of it
// is shown. A source that pauses is no child's fault.
func (w *watch) late(r *run) bool {
	first, last, ok := w.ends(overloadSamples*time.Second - watchEvery)
	if !ok || w.share < usualShare {
		return false
	}
	for _, s := range []sample{first, w.samples[len(w.samples)/2], last} {
		if s.behind(r.want.track.ClockRate) <= r.want.mode().Lag() {
			return false
		}
	}
	return true
}

// whyLate is why such a child is replaced, among the reasons in metrics.go.
const whyLate = "late"

// usualShare is how much of what a source may send has to come for its child to be blamed for the distance.
const usualShare = 0.5

// behind is how far the outputs are behind the publisher.
func (s *sample) behind(rate int) time.Duration { return duration(s.in-s.back, rate) }

// speed is media time that came back from s to b per real time.
func (s *sample) speed(b *sample, rate int) float64 {
	return float64(duration(b.back-s.back, rate)) / float64(b.at.Sub(s.at))
}

// keepsUp tells that the child is as fast as the stream.
func (w *watch) keepsUp(r *run) bool {
	first, last, ok := w.ends(4 * time.Second)
	if !ok {
		return false
	}
	rate := r.want.track.ClockRate
	return last.fulls == first.fulls && last.behind(rate)-first.behind(rate) < 250*time.Millisecond
}

// account counts the rest of the processors' time that the child took.
func (r *run) account() {
	r.j.l.m.metrics.cpu.WithLabelValues(kindOf(r.j.picture)).Add(max(0, (r.proc.CPU() - r.watch.cpu).Seconds()))
	r.j.mu.Lock()
	r.j.fed += uint64(max(0, r.attempts.Load()-1)) // the header is none
	r.j.mu.Unlock()
}

// describe is the child's part of an Info.
func (r *run) describe(in *JobInfo) {
	in.Engine, in.Since, in.Args = string(r.engine.Backend), r.began, r.args
	in.Fed += uint64(max(0, r.attempts.Load()-1))
	r.mu.Lock()
	x, p := r.level, r.proc
	r.mu.Unlock()
	in.CPU, in.Speed = 100*x.rate, x.speed
	if x.slow {
		in.State = Overloaded
	}
	if p != nil {
		in.PID, in.FPS, in.Stderr = p.Pid(), p.Progress().FPS, p.Stderr()
	}
}
