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
	heldQuality     = 100
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
	w.second, w.cpu = now, r.proc.CPU()
}

// look tells whether the child is stuck, and once a second looks after its speed.
func (r *run) look() (why string, err error) {
	now := r.j.l.m.opt.Now()
	if r.watch.stuck(r, now) {
		return whyStuck, fmt.Errorf("ffmpeg gave nothing for %d s while it was fed", int(stuckAfter.Seconds()))
	}
	if now.Sub(r.watch.second) >= time.Second {
		r.everySecond(now)
	}
	return "", nil
}

func (w *watch) stuck(r *run, now time.Time) bool {
	limit := stuckAfter
	if !r.answered.Load() {
		limit = stuckFirst
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
		if now.Sub(x.since) >= limit && attempts-x.attempts >= r.held() {
			return true
		}
	}
	return false
}

// held is how many frames a child may keep before it gives the first.
func (r *run) held() int64 {
	switch {
	case r.want.picture == nil:
		return heldSound
	case r.want.mode() == command.Quality:
		return heldQuality
	}
	return heldLatency
}

// everySecond measures the child, takes a rung off when it cannot keep up, and lets one return when there is room.
func (r *run) everySecond(now time.Time) {
	w := &r.watch
	cpu := r.proc.CPU()
	rate := float64(cpu-w.cpu) / float64(now.Sub(w.second))
	if w.rate == 0 {
		w.rate = rate
	}
	w.rate += (rate - w.rate) / 4
	r.j.l.m.metrics.cpu.WithLabelValues(kindOf(r.j.picture)).Add(max(0, (cpu - w.cpu).Seconds()))
	w.cpu, w.second = cpu, now
	w.sample(r, now)
	r.j.l.m.room.measure(r.j, r.want.picture, r.kind(), w.rate, w.keepsUp(r))
	switch {
	case w.behind(r):
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
	slow := func(a, b *sample) bool { return a.speed(b, rate) < slowSpeed }
	return far(&last) && (slow(&first, &middle) && slow(&middle, &last) || last.fulls > first.fulls && far(&first))
}

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
