package ladder

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// Ladder makes the renditions of one stream. It is a stream.Consumer: what the stream calls copies frames into queues and
// wakes goroutines, no more. One goroutine, own, decides what is to be made; each job has its own for its children.
type Ladder struct {
	m      *Manager
	s      *stream.Stream
	name   string
	log    *slog.Logger
	wake   chan struct{} // of one place: own has something to look at
	poster poster

	ctx     context.Context // of the jobs; ends with the stream or the manager
	cancel  context.CancelFunc
	working sync.WaitGroup // the jobs' goroutines

	mu     sync.Mutex // guards what follows; taken under the stream's lock, so nothing of the stream is called with it held
	off    bool       // nothing is made: frames are passed over
	away   bool
	seen   []*stream.Track // the publisher's, as they were told last
	left   []*stream.Track // those of the publisher who is away
	inputs []*input        // the publisher's tracks that may go to a job, in the order of their numbers
	all    []*stream.Track
	jobs   []*job // the picture's first
	rungs  map[int]*rung
	plan   command.Plan
	ladder *command.Ladder
	// asked is when somebody last asked for the poster, and posterless tells that there is none to make.
	asked      time.Time
	posterless bool
	place      bool // of those for a poster alone

	declaring sync.Mutex // guards declared, and keeps SetTracks calls in order; never taken under the stream's lock
	declared  []*stream.Track
}

// input is one of the publisher's tracks.
type input struct {
	id    int
	track *stream.Track
	// gen rises each time the track is described anew, as codec data or the picture's size change: a child takes frames of one
	// only.
	gen  int
	feed *feed

	seen  int     // times between pictures that were measured since it was described so
	era   int     // of the frame before
	last  int64   // its DTS
	every float64 // ticks between pictures
}

func newLadder(m *Manager, s *stream.Stream) *Ladder {
	l := &Ladder{
		m: m, s: s, name: s.Name(), log: m.log.With("stream", s.Name()), wake: make(chan struct{}, 1), rungs: map[int]*rung{}, away: true,
	}
	l.ctx, l.cancel = context.WithCancel(m.ctx)
	return l
}

// Tracks implements stream.Consumer.
func (l *Ladder) Tracks(tracks []*stream.Track) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var own []*stream.Track
	for _, t := range tracks {
		if t.Rung == "" {
			own = append(own, t)
		}
	}
	l.seen = own
	// Declaring rungs is told to everyone, so to this one, too: also while the publisher is away, whose tracks come with it.
	known := func(t *stream.Track) bool { return slices.Contains(l.left, t) }
	if l.off || len(own) == 0 || slices.Equal(own, l.all) || l.away && !slices.ContainsFunc(own, not(known)) {
		return
	}
	l.hereLocked(own)
}

func not[T any](f func(T) bool) func(T) bool { return func(v T) bool { return !f(v) } }

// hereLocked takes up the tracks of a publisher who is here.
func (l *Ladder) hereLocked(own []*stream.Track) {
	l.all, l.away, l.left = own, false, nil
	for _, t := range own {
		l.describeLocked(t)
	}
	l.signal()
}

// describeLocked takes a track's new description.
func (l *Ladder) describeLocked(t *stream.Track) {
	for _, in := range l.inputs {
		if in.id == t.ID {
			if !sameTrack(in.track, t) {
				in.gen++
				in.seen, in.every = 0, 0
			}
			in.track = t
			in.feed.setAway(false)
			return
		}
	}
	l.inputs = append(l.inputs, &input{id: t.ID, track: t, feed: newFeed()})
}

// Frame implements stream.Consumer.
func (l *Ladder) Frame(f *stream.Frame) {
	if f.Track.Rung != "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return
	}
	if l.away && len(l.seen) > 0 {
		l.hereLocked(l.seen) // who comes back with the same tracks is known by the first frame
	}
	for _, in := range l.inputs {
		if in.id == f.Track.ID {
			in.measure(f)
			if !in.feed.push(f, in.gen, l.m.opt.Now()) {
				l.m.metrics.drop(dropFull)
			}
			return
		}
	}
}

// measure follows the time between pictures, by the order in which they come: times of presentation may be reordered. A pause is none.
func (in *input) measure(f *stream.Frame) {
	d := float64(f.DTS) - float64(in.last)
	if in.era == f.Era && in.last != 0 && d > 0 && d < float64(f.Track.ClockRate) {
		in.seen = min(in.seen+1, measuredOver)
		in.every += (d - in.every) / float64(in.seen)
	}
	in.era, in.last = f.Era, f.DTS
}

// measuredOver is about how many pictures a measured rate is of, and how many it takes to overrule what a track claims.
const measuredOver = 30

// Data implements stream.Consumer.
func (l *Ladder) Data(*stream.Data) {}

// Away implements stream.Consumer.
func (l *Ladder) Away() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.away {
		l.left = l.all
	}
	l.away, l.all = true, nil
	for _, in := range l.inputs {
		in.feed.setAway(true)
	}
	l.signal()
}

// End implements stream.Consumer: all that runs for the stream ends.
func (l *Ladder) End() { l.cancel() }

func (l *Ladder) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// own is the stream's owner: it makes a plan each time that the publisher's tracks change, and gives the jobs their part.
func (l *Ladder) own() {
	defer func() {
		l.cancel()
		l.mu.Lock()
		l.off = true // nobody takes what would still come
		l.returnPlaceLocked()
		l.mu.Unlock()
		l.working.Wait()
		l.m.forget(l)
	}()
	select {
	case <-l.m.known:
	case <-l.ctx.Done():
		return
	}
	again := time.NewTimer(posterIdle)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-l.wake:
		case <-again.C:
		case <-l.ctx.Done():
			return
		}
		if left := l.replan(); left > 0 {
			again.Reset(left)
		}
	}
}

// replan finds what is to be made of the publisher's tracks now. It tells in how long to look again, whatever happens until then;
// 0 is never.
func (l *Ladder) replan() time.Duration {
	set := l.m.opt.Settings()
	ladder := set.choose(l.name, l.s.Ladder())
	l.mu.Lock()
	if l.away {
		// What there is drains by itself. What is declared stays, for the publisher's return.
		l.mu.Unlock()
		return 0
	}
	var plan command.Plan
	if l.m.engines.usable(false) {
		plan = command.MakePlan(l.all, ladder, command.PlanOptions{Convert: set.Convert, Poster: set.Poster})
	}
	ready := l.m.isReady()
	if plan.Picture != nil && !l.m.engines.usable(true) {
		plan.Picture = nil
	}
	left := l.onlyPosterLocked(&plan)
	l.plan, l.ladder = plan, ladder
	jobs := l.assignLocked(&plan, &set, ready)
	l.mu.Unlock()
	l.declare()
	for _, j := range jobs {
		j.signal()
	}
	return left
}

// assignLocked gives each input's job what it is to do, and makes the jobs that are missing. ready tells that encoders of pictures
// are known; sound needs none.
func (l *Ladder) assignLocked(plan *command.Plan, set *Settings, ready bool) []*job {
	for _, in := range l.inputs {
		if in.track.Video() && !ready {
			continue // what comes is kept until the trial is over
		}
		var w *want
		switch {
		case plan.Picture != nil && plan.Picture.Source.ID == in.id:
			w = &want{picture: plan.Picture}
		default:
			for i := range plan.Sound {
				if plan.Sound[i].Source.ID == in.id {
					w = &want{sound: &plan.Sound[i]}
				}
			}
		}
		j := l.jobLocked(in.id)
		if w == nil && j == nil {
			in.feed.setOpen(false, latencyQueue)
			continue
		}
		if w != nil {
			w.gen, w.set, w.track = in.gen, *set, in.track
			w.frameRate = in.rate()
		}
		if j == nil {
			j = newJob(l, in.id, in.feed, in.track.Video())
			l.jobs = append(l.jobs, j)
			slices.SortFunc(l.jobs, func(a, b *job) int { return a.source - b.source })
			j.assign(w) // before it runs: it would close the feed
			l.working.Go(func() { j.run(l.ctx) })
		}
		j.assign(w)
		for _, o := range w.outputs() {
			if l.rungs[o.Track] == nil {
				l.rungs[o.Track] = &rung{id: o.Track}
			}
		}
	}
	return slices.Clone(l.jobs)
}

// rate is the input's frame rate as encoders are to be told, who spend a picture's share of the bit rate by it: the one that it
// claims, or the measured one where none is claimed or where more comes; 0 when neither is known. A publisher that sends less for
// a while, as a phone in a dark room, gets no more bits for each picture, because it may send more at any time.
func (in *input) rate() float64 {
	claimed := in.track.FrameRate
	if in.seen == 0 || claimed > 0 && in.seen < measuredOver {
		return claimed
	}
	if measured := float64(in.track.ClockRate) / in.every; claimed <= 0 || measured > 1.1*claimed {
		return measured
	}
	return claimed
}

func (l *Ladder) jobLocked(source int) *job {
	for _, j := range l.jobs {
		if j.source == source {
			return j
		}
	}
	return nil
}

// rateOf is an input's frame rate as it is now; 0 when it is not known.
func (l *Ladder) rateOf(source int) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.inputs {
		if in.id == source {
			return in.rate()
		}
	}
	return 0
}

// firstSound tells whether an input is the first of which sound is made.
func (l *Ladder) firstSound(source int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.plan.Sound) == 0 || l.plan.Sound[0].Source.ID == source
}

func (l *Ladder) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}

func (l *Ladder) rung(id int) *rung {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rungs[id]
	if r == nil {
		r = &rung{id: id}
		l.rungs[id] = r
	}
	return r
}

// declare tells the stream the tracks of what is made, when they have changed. It may be called from any goroutine of ours that
// does not hold the stream's lock.
func (l *Ladder) declare() {
	l.declaring.Lock()
	defer l.declaring.Unlock()
	l.mu.Lock()
	jobs := slices.Clone(l.jobs)
	l.mu.Unlock()
	var tracks []*stream.Track
	for _, j := range jobs {
		tracks = append(tracks, j.tracks()...)
	}
	if slices.EqualFunc(tracks, l.declared, func(a, b *stream.Track) bool { return a == b || reflect.DeepEqual(a, b) }) {
		return
	}
	l.declared = tracks
	// After the stream's end there is nobody to tell.
	_ = l.s.Branch().SetTracks(tracks)
}

// info tells how the stream's ladder does.
func (l *Ladder) info() Info {
	l.mu.Lock()
	jobs := slices.Clone(l.jobs)
	in := Info{Stream: l.name, State: Off, Notes: slices.Clone(l.plan.Notes)}
	if l.ladder != nil {
		in.Ladder, in.Mode = l.ladder.Name, string(l.ladder.Mode)
		if in.Mode == "" {
			in.Mode = string(command.Latency)
		}
	}
	l.mu.Unlock()
	now := l.m.opt.Now()
	for _, j := range jobs {
		ji, rungs, notes := j.info(now)
		if ji.State == Off && len(rungs) == 0 {
			continue
		}
		if in.State == Off {
			in.State = ji.State
		}
		in.Jobs = append(in.Jobs, ji)
		in.Rungs = append(in.Rungs, rungs...)
		in.Notes = append(in.Notes, notes...)
	}
	slices.SortFunc(in.Rungs, func(a, b RungInfo) int { return a.Track - b.Track })
	_, in.PosterAt, _ = l.poster.get()
	return in
}

// count adds what the stream has to what the node has.
func (l *Ladder) count(in *NodeInfo) {
	own := l.info()
	for _, j := range own.Jobs {
		if !j.Picture {
			continue
		}
		in.FPS += j.FPS
		if j.Speed > 0 && (in.Slowest == 0 || j.Speed < in.Slowest) {
			in.Slowest = j.Speed
		}
	}
	for _, r := range own.Rungs {
		in.Wanted++
		switch {
		case r.Off != "":
			in.Off++
		case r.State == Running:
			in.Running++
		}
	}
}
