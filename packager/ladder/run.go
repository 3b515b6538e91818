package ladder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
	"pushcart/packager/ladder/nut"
)

// Waits of a run.
const (
	// drainTime is how long a child may take to give what it still has once its input has ended.
	drainTime = 2 * time.Second
	// lastWords is how long a child that closed an output may take to end by itself.
	lastWords = 500 * time.Millisecond
	// watchEvery is how often a child is looked at.
	watchEvery = 250 * time.Millisecond
)

// longestSilence is how long sound may stop for the child to go on. ffmpeg fills a pause with silence, all of it at once, however long
// it was; what is of more than a rung's lag nobody waits for.
const longestSilence = 5 * time.Second

// childStart is the time, in seconds, at which a child's timeline begins: its times are small numbers, and none is below zero even
// where an encoder begins before the first frame or a publisher's PTS are below its DTS.
const childStart = 10

// run is one child, from its start until all that it gave was passed on. It takes the frames of one era and of one description
// of its track. The job's goroutine watches it, one goroutine writes to it and one reads each output.
type run struct {
	j      *job
	asked  *want // what was wanted when it began
	want   *want // what there was room for
	engine command.Engine
	proc   process
	args   []string
	began  time.Time
	before <-chan struct{} // closed when the child before has given all
	done   chan struct{}   // closed when this one has

	table   fedTable
	latest  int64 // PTS of the frame that was fed last; of the feeding goroutine
	outputs []*output
	watch   watch

	stopFeed chan struct{} // closed to end the feeding
	stopOnce sync.Once
	fedUp    chan struct{} // closed when the feeding has ended
	readers  sync.WaitGroup
	failure  chan failure // of one place: the first
	ending   atomic.Bool  // its input has ended, or it was killed: outputs may end
	cut      atomic.Bool  // the next key frame is for another child
	answered atomic.Bool  // something came back
	attempts atomic.Int64 // frames that were written, or are being written
	busy     atomic.Int64 // since when a write lasts, in ns since began; 0 when none does

	mu    sync.Mutex // guards what follows
	begun bool       // the first frame was fed
	era   int
	zero  int64 // second of the stream's timeline that is childStart of the child's

	level level // for Info, written by the job's goroutine
}

// failure is why a child is to be replaced.
type failure struct {
	why string
	err error
}

// start starts a child.
func (j *job) start(ctx context.Context, w *want, e command.Engine, before <-chan struct{}) (*run, error) {
	m := j.l.m
	args, outputs := w.args(e)
	r := &run{
		j: j, asked: w.asked(), want: w, engine: e, began: m.opt.Now(), before: before, done: make(chan struct{}),
		args:     append([]string{w.set.Program}, args...),
		stopFeed: make(chan struct{}), fedUp: make(chan struct{}), failure: make(chan failure, 1),
	}
	j.mu.Lock()
	j.current, j.state = r, Starting
	j.mu.Unlock()
	// The child outlives the stream's end by its own Close, which all paths reach.
	proc, err := m.opt.start(context.WithoutCancel(ctx), child.Spec{
		Program: w.set.Program, Args: args, Outputs: outputs, Nice: w.set.Nice, Env: m.env, Log: j.l.log,
	})
	if err != nil {
		j.mu.Lock()
		j.current = nil
		j.mu.Unlock()
		return nil, err
	}
	r.mu.Lock() // Info may look already
	r.proc = proc
	r.mu.Unlock()
	m.metrics.starts.WithLabelValues(kindOf(j.picture)).Inc()
	return r, nil
}

// serve feeds the child and watches it until it gets no more, for one of many good reasons or a failure. The rest of what it
// gives is taken in the background; done is closed then. why is "" when it did not fail.
func (r *run) serve(ctx context.Context) (why string, err error) {
	r.open()
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			r.j.l.working.Go(r.abort)
			return "", nil
		case <-r.fedUp:
			select {
			case f := <-r.failure: // which ended the feeding
				return r.failed(f)
			default:
			}
			r.j.l.working.Go(r.drain)
			return "", nil
		case f := <-r.failure:
			return r.failed(f)
		case <-r.j.wake:
			r.changed()
		case <-t.C:
			if why, err := r.look(); why != "" {
				r.abort()
				return why, err
			}
		}
	}
}

// failed ends a child that failed, and says how.
func (r *run) failed(f failure) (string, error) {
	err := r.explain(f.err)
	r.abort()
	return f.why, err
}

// open begins to read and to feed.
func (r *run) open() {
	outs := r.proc.Outputs()
	for i, o := range r.want.outputs() {
		out := r.output(o)
		r.outputs = append(r.outputs, out)
		pipe := outs[i]
		r.readers.Go(func() { r.ended(out.read(pipe)) })
	}
	if r.want.poster() != nil {
		pipe := outs[len(outs)-1]
		r.readers.Go(func() { r.ended(r.readPosters(pipe)) })
	}
	r.watch.begin(r)
	r.readers.Go(func() {
		defer close(r.fedUp)
		r.feed()
	})
}

// changed looks whether something else is wanted by now.
func (r *run) changed() {
	switch w := r.j.wanted(); {
	case w == nil:
		r.stop()
	case w.gen == r.want.gen && !w.same(r.asked), r.j.yield.Load():
		r.cut.Store(true)
	case !r.cut.Load() && r.j.pruneFor(r):
		r.cut.Store(true)
	}
}

func (r *run) stop() { r.stopOnce.Do(func() { close(r.stopFeed) }) }

// fail reports what the child is to be replaced for.
func (r *run) fail(why string, err error) {
	select {
	case r.failure <- failure{why, err}:
	default:
	}
}

// ended takes note of an output's end.
func (r *run) ended(why string, err error) {
	if why != "" && !r.ending.Load() {
		r.fail(why, err)
	}
}

// explain says why a child ended, in its own words where it has some.
func (r *run) explain(err error) error {
	if !errors.Is(err, errEnded) {
		return err
	}
	t := time.NewTimer(lastWords)
	defer t.Stop()
	select {
	case <-r.proc.Done():
		if how := r.proc.Wait(); how != nil {
			return how
		}
	case <-t.C:
	}
	return err
}

// errEnded tells of a child that ended before its input did.
var errEnded = errors.New("ffmpeg ended although its input did not")

// drain ends the child's input, takes what it still gives, and ends it.
func (r *run) drain() {
	r.ending.Store(true)
	r.proc.CloseStdin()
	<-r.before // nothing of it is passed on until then
	t := time.AfterFunc(drainTime, func() { r.proc.Close() })
	r.finish()
	t.Stop()
}

// abort ends the child at once.
func (r *run) abort() {
	r.ending.Store(true)
	r.stop()
	r.proc.Close()
	r.finish()
}

// finish waits for the goroutines, and for the child.
func (r *run) finish() {
	r.readers.Wait()
	r.proc.Close()
	r.account()
	lines := r.proc.Stderr()
	r.j.mu.Lock()
	r.j.stderr = lines
	r.j.mu.Unlock()
	<-r.before
	close(r.done)
}

// judge says what becomes of the first frame that waits.
func (r *run) judge(q *queued) verdict {
	switch {
	case q.gen < r.want.gen:
		return pass
	case q.gen > r.want.gen:
		return stop
	case r.begun && q.era != r.era, r.begun && q.key && r.cut.Load() && q.track.Video(), r.cut.Load() && !q.track.Video():
		return stop
	case r.begun && !q.track.Video() && duration(q.pts-r.latest, q.track.ClockRate) > longestSilence:
		return stop
	case !r.begun && !q.key, r.want.keysOnly() && !q.key:
		return pass
	}
	return take
}

// feed writes frames to the child until it is told to stop, they are for another child, or the child does not take them.
func (r *run) feed() {
	rate := r.j.l.rateOf(r.j.source)
	if rate == 0 {
		rate = r.want.frameRate
	}
	head := r.want.header(rate)
	w := nut.NewWriter(head)
	buf := nut.AppendHeader(nil, head)
	if !r.write(buf) {
		return
	}
	for {
		q, v := r.j.feed.next(r.stopFeed, r.judge, r.passedOver)
		if v != take {
			return
		}
		zero := r.note(&q)
		buf = w.Append(buf[:0], nut.Frame{PTS: q.pts - zero, Key: q.key, Payload: q.data})
		r.j.feed.release(q.data)
		if !r.write(buf) {
			return
		}
	}
}

// passedOver counts a frame that goes to no child. Those that a poster does not need are not counted.
func (r *run) passedOver(q *queued) {
	switch {
	case q.gen < r.want.gen:
		r.j.drop(dropOld)
	case !r.want.keysOnly():
		r.j.drop(dropBeforeKey)
	}
}

// note remembers a frame that is going to the child, and returns the zero of the child's timeline in the track's ticks.
func (r *run) note(q *queued) int64 {
	rate := int64(q.track.ClockRate)
	if !r.begun {
		r.mu.Lock()
		// Whole seconds, so that it is exact in any rate.
		r.begun, r.era, r.zero = true, q.era, q.pts/rate-childStart
		r.mu.Unlock()
	}
	r.latest = q.pts
	r.table.add(fed{pts: q.pts, key: q.key, wall: q.wall, at: q.at})
	r.j.l.m.metrics.fed.Inc()
	return r.zero * rate
}

// write writes one whole piece of the file; false when the child does not take it.
func (r *run) write(b []byte) bool {
	r.attempts.Add(1)
	r.busy.Store(max(1, int64(r.j.l.m.opt.Now().Sub(r.began))))
	_, err := r.proc.Write(b)
	r.busy.Store(0)
	if err != nil && !r.ending.Load() {
		r.fail(whyExit, fmt.Errorf("%w: %w", errEnded, err))
		return false
	}
	return err == nil
}

// timeline is the era of the child's frames and the second of the stream's timeline at which the child's begins.
func (r *run) timeline() (era int, zero int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.era, r.zero
}

func (r *run) kind() costKind { return costKind{r.engine.Backend, r.want.mode()} }

// inSource converts a time in another rate into the source's ticks.
func (r *run) inSource(v int64, rate int) int64 {
	return stream.Rescale(v, rate, r.want.track.ClockRate)
}
