package load

import (
	"context"
	"fmt"
	"time"
)

// window is a stretch of a run that is measured.
type window struct {
	*run
	ctx     context.Context
	figures *figures
	from    reading
	since   time.Duration
	before  []outcome // of the viewers that were there
	lag     lag
	stop    context.CancelFunc
}

// open begins to measure.
func (r *run) open(ctx context.Context) *window {
	watching, stop := context.WithCancel(ctx)
	w := &window{run: r, ctx: ctx, figures: &figures{}, stop: stop, since: r.audience.since()}
	for _, v := range r.viewers {
		w.before = append(w.before, v.outcome(w.since))
	}
	w.from = r.meter.begin(ctx)
	w.lag.watch(watching)
	r.audience.figures.Store(w.figures)
	return w
}

// close ends what the window started.
func (w *window) close() {
	w.stop()
	w.lag.group.Wait()
}

// fared sums up how viewers fared in the window.
func (w *window) fared(s *Step, starts *histogram) {
	now := w.audience.since()
	var played, stalled time.Duration
	for i, v := range w.viewers {
		o := v.outcome(now)
		var before outcome
		if i < len(w.before) {
			before = w.before[i]
		}
		if o.Begun {
			s.Playing++
			starts.add(o.Start)
		} else if !o.ended {
			s.Never++
			stalled += now - max(w.since, v.began)
		}
		if o.gaveUp {
			s.GaveUp++
		}
		if o.ended {
			s.Ended++
		}
		if n := o.Stalls - before.Stalls; n > 0 || o.Stalled > before.Stalled {
			s.Stalls += max(n, 1)
			s.StalledViewers++
		}
		played += o.Played - before.Played
		stalled += o.Stalled - before.Stalled
		s.Stalled += o.Stalled - before.Stalled
	}
	if all := played + stalled; all > 0 {
		s.StallShare = stalled.Seconds() / all.Seconds()
	}
}

// end closes the window and returns what was measured. It ends also when ctx has: then the origin is measured all the same.
func (w *window) end(viewers int) *Step {
	w.close()
	ctx := context.WithoutCancel(w.ctx)
	s := &Step{Viewers: viewers, Duration: time.Since(w.from.at)}
	s.Node, s.OwnShare = w.meter.end(ctx, w.from)
	f := w.figures
	var starts histogram
	w.fared(s, &starts)
	s.Start, s.Added, s.Behind, s.Dated = starts.delay(), f.added.delay(), f.behind.delay(), f.dated.delay()
	s.Reload, s.Request, s.Lag = f.reload.delay(), f.request.delay(), w.lag.late.delay()
	s.Parts, s.Playlists, s.Bytes = f.parts.Load(), f.playlists.Load(), f.bytes.Load()
	s.Hints, s.LostHints = f.hints.Load(), f.lost.Load()
	s.CacheHits, s.CacheMiss = f.hits.Load(), f.misses.Load()
	s.Jumps = f.jumps.Load()
	var failed int64
	if s.Errors, failed = f.failed(); failed > 0 {
		s.ErrorShare = float64(failed) / float64(failed+s.Parts+s.Playlists)
	}
	return s
}

// sofar is a line on how it goes.
func (w *window) sofar() string {
	var s Step
	var starts histogram
	w.fared(&s, &starts)
	d, what := w.figures.added.delay(), "added latency"
	if d.Count == 0 {
		d, what = w.figures.behind.delay(), "behind the first"
	}
	_, failed := w.figures.failed()
	elapsed := time.Since(w.from.at)
	return fmt.Sprintf("%s: %d playing, %s stalled, %d errors, %s p99 %s, %s", elapsed.Round(time.Second), s.Playing,
		percent(s.StallShare), failed, what, short(d.P99), rate(int64(per(w.figures.bytes.Load()*8, elapsed))))
}
