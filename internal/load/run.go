package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	rampEach   = 10 * time.Millisecond
	rampLeast  = time.Second
	tellEvery  = 5 * time.Second
	aloneMost  = 5 * time.Second // for measuring the origin without viewers
	aloneLeast = time.Second
	filesEach  = 4 // open files of a viewer on HTTP/1.1 with sound of its own
	filesSpare = 64

	busyShare = 0.8                   // of its CPU time: above it, the load generator may be what is slow
	lateTimer = 20 * time.Millisecond // the same of its timers' 99th percentile
	lateFrame = 100 * time.Millisecond
)

// run is one run.
type run struct {
	Options
	begin      time.Time
	audience   *audience
	hosts      *hosts
	stamps     *Stamps
	meter      meter
	publishers []*Publisher
	gone       atomic.Int64 // publishers that have ended
	viewers    []*viewer
	left       atomic.Int64 // viewers that still watch
	report     *Report
}

// Run puts the load on and returns what it found. When ctx ends, the report has the figures so far. An error is that nothing could be
// measured: the origin cannot be reached, is none, or is not to be put under load like that.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, begin: time.Now(), hosts: &hosts{known: map[string]bool{}}, report: &Report{Publishers: o.Publishers, Passed: true}}
	addresses := make([]Address, o.Streams)
	for i := range addresses {
		if addresses[i], err = ParseAddress(of(o.URL, i)); err != nil {
			return nil, fmt.Errorf("the URL to watch is %w", err)
		}
	}
	if o.Publishers > 0 {
		r.stamps = NewStamps(o.Publishers, r.begin)
	}
	switch {
	case o.PID != 0:
		r.meter = processMeter(o.PID)
	case o.Admin != "":
		r.meter = metricsMeter(o.Admin)
		if _, _, err := r.meter(ctx); err != nil {
			return nil, fmt.Errorf("the node's metrics: %w", err)
		}
	}
	r.audience = &audience{
		dialer: &dialer{agent: o.Agent, secure: o.TLS, timeout: o.Timeout, allowed: r.hosts.allowed},
		lib:    newLibrary(r.begin, r.stamps), now: time.Now, choose: o.chooser(), http2: o.HTTP2,
	}
	r.audience.figures.Store(&figures{})
	if err := r.permitted(addresses[0]); err != nil {
		return nil, err
	}

	// Viewers and publishers outlast ctx until their figures have been taken.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	if r.Publishers > 0 {
		r.report.Idle = r.unwatched(ctx, "without publishers")
	}
	if err := r.publish(ctx, work, &group); err != nil {
		return nil, err
	}
	if err := r.find(ctx, addresses); err != nil {
		return nil, err
	}
	if r.Publishers > 0 {
		r.report.Published = r.unwatched(ctx, "with publishers only")
	}
	r.steps(ctx, work, addresses, &group)
	r.judge()
	return r.report, nil
}

// permitted refuses what strangers would take for an attack.
func (r *run) permitted(at Address) error {
	most := 0
	if len(r.Steps) > 0 {
		most = r.Steps[len(r.Steps)-1]
	}
	if limit := fileLimit(); !r.HTTP2 && limit > 0 && uint64(most*filesEach+r.Publishers+filesSpare) > limit {
		return fmt.Errorf("%d viewers need some %d open files, and the limit is %d: raise it (ulimit -n), or use --http2", most, most*filesEach+filesSpare, limit)
	}
	if r.Consent {
		return nil
	}
	asked := &hosts{known: map[string]bool{at.Host: true}}
	if r.Publishers > 0 {
		t, err := ParseTarget(of(r.Publish, 0))
		if err != nil {
			return err
		}
		asked.known[t.Address] = true
	}
	return r.consented(asked, most)
}

// consented refuses many viewers of another machine, and publishers to one.
func (r *run) consented(asked *hosts, most int) error {
	if r.Consent || most <= politeViewers && r.Publishers == 0 {
		return nil
	}
	others, err := asked.elsewhere()
	if err != nil {
		return err
	}
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	traffic := ""
	if b := r.report.Origin.Bandwidth; b > 0 {
		traffic = fmt.Sprintf(", up to %s,", rate(b*int64(most)))
	}
	return fmt.Errorf("%d viewers and %d publishers%s are load on another machine (%s): say --yes if whoever runs it agrees; without it, %d viewers may watch",
		most, r.Publishers, traffic, strings.Join(others, ", "), politeViewers)
}

// publish starts the publishers, each with its key frames at another moment.
func (r *run) publish(ctx, work context.Context, group *sync.WaitGroup) error {
	if r.Publishers == 0 {
		return nil
	}
	clip := r.Clip
	if clip == nil {
		var err error
		if clip, err = Synthesize(Spec{}); err != nil {
			return err
		}
	}
	r.report.Bitrate = clip.Bitrate()
	reel := NewStampedReel(clip)
	r.Progress("%d publisher%s of %s each", r.Publishers, plural(r.Publishers), rate(clip.Bitrate()))
	begin := time.Now()
	for i := range r.Publishers {
		t, err := ParseTarget(of(r.Publish, i))
		if err != nil {
			return err
		}
		s, err := Publish(ctx, t, r.TLS, r.Timeout)
		if err != nil {
			return fmt.Errorf("publisher %d: %w", i, err)
		}
		// Its writes end with the run.
		context.AfterFunc(work, func() { s.nc.Close() })
		due := begin.Add(time.Duration(i) * synthGroup * time.Second / time.Duration(r.Publishers))
		if now := time.Now(); due.Before(now) {
			due = now
		}
		p := &Publisher{Session: s, Reel: reel, Pace: Pace{Begin: due}, Stamps: r.stamps, Number: i}
		r.publishers = append(r.publishers, p)
		group.Go(func() {
			defer s.Close()
			if err := p.Play(work); err != nil {
				r.gone.Add(1)
				r.Progress("publisher %d: %v", i, err)
			}
		})
	}
	return nil
}

// find looks at the streams before there are viewers.
func (r *run) find(ctx context.Context, addresses []Address) error {
	look := r.audience.probe
	if r.Publishers > 0 {
		look = r.audience.await
	}
	for i, at := range addresses {
		if i > 0 && r.Publishers == 0 && i < len(addresses)-1 {
			continue // the first and the last are enough to tell a wrong address
		}
		o, err := look(ctx, at)
		if err != nil && !errors.Is(err, errNothingYet) {
			return err
		}
		if i == 0 {
			r.report.Origin = o
		}
	}
	o := &r.report.Origin
	o.Streams = len(addresses)
	r.hosts.close()
	if len(r.Steps) > 0 {
		if err := r.consented(r.hosts, r.Steps[len(r.Steps)-1]); err != nil {
			return err
		}
	}
	if o.LowLatency {
		r.Progress("low-latency HLS: parts of up to %s, players %s behind", short(o.PartTarget), short(o.HoldBack))
	} else {
		r.Progress("plain HLS: there are no parts, or the playlist cannot be waited for; players are %s behind", short(o.HoldBack))
	}
	return nil
}

// unwatched measures what the origin uses while there are no viewers, once it has settled; nil where that cannot be told.
func (r *run) unwatched(ctx context.Context, how string) *Usage {
	if r.meter == nil {
		return nil
	}
	r.Progress("measuring the origin %s", how)
	if !sleep(ctx, r.Settle) {
		return nil
	}
	long := max(aloneLeast, min(aloneMost, r.Duration/2))
	if len(r.Steps) == 0 && len(r.publishers) > 0 {
		long = r.Duration // this is all that is measured
	}
	from := r.meter.begin(ctx)
	if !sleep(ctx, long) {
		return nil
	}
	u, _ := r.meter.end(ctx, from)
	return u
}

// steps brings the viewers in, step by step.
func (r *run) steps(ctx, work context.Context, addresses []Address, group *sync.WaitGroup) {
	for n, most := range r.Steps {
		arrive := most - len(r.viewers)
		ramp := r.Ramp
		if ramp == 0 {
			ramp = max(rampLeast, time.Duration(arrive)*rampEach)
		}
		r.Progress("step %d of %d: %d viewers, arriving over %s", n+1, len(r.Steps), most, ramp.Round(100*time.Millisecond))
		w := r.open(ctx)
		begin := time.Now()
		for i := range arrive {
			if !sleep(ctx, time.Until(begin.Add(ramp*time.Duration(i)/time.Duration(arrive)))) {
				break
			}
			id := len(r.viewers)
			v := &viewer{audience: r.audience, number: id / len(addresses), stream: addresses[id%len(addresses)], began: r.audience.since()}
			r.viewers = append(r.viewers, v)
			r.left.Add(1)
			group.Go(func() {
				defer r.left.Add(-1)
				v.run(work)
			})
		}
		if sleep(ctx, r.Settle) {
			w.close()
			w = r.open(ctx)
			r.Progress("measuring for %s", r.Duration)
			r.watch(ctx, w)
		}
		s := w.end(most)
		r.report.Steps = append(r.report.Steps, s)
		s.Why = r.broken(s)
		switch {
		case ctx.Err() != nil:
			r.report.Interrupted = true
			return
		case len(s.Why) > 0:
			if n < len(r.Steps)-1 {
				r.Progress("a limit is passed: no further step")
			}
			return
		}
		r.report.Carries = most
	}
}

// watch waits for the end of a step, and tells how it goes.
func (r *run) watch(ctx context.Context, w *window) {
	end := w.from.at.Add(r.Duration)
	next := w.from.at.Add(tellEvery)
	for now := w.from.at; now.Before(end); now = time.Now() {
		if !sleep(ctx, min(end.Sub(now), tellEvery/25)) || r.left.Load() == 0 {
			return
		}
		if now.After(next) && end.Sub(now) > time.Second {
			r.Progress("%s", w.sofar())
			next = next.Add(tellEvery)
		}
	}
}

// broken says which limits a step passed.
func (r *run) broken(s *Step) (why []string) {
	if s.StallShare > r.MaxStall {
		why = append(why, fmt.Sprintf("%s of the time in stalls, %s allowed", percent(s.StallShare), percent(r.MaxStall)))
	}
	if s.ErrorShare > r.MaxStall {
		why = append(why, fmt.Sprintf("%s of requests failed, %s allowed", percent(s.ErrorShare), percent(r.MaxStall)))
	}
	if s.Never > 0 {
		why = append(why, fmt.Sprintf("%d viewers never played", s.Never))
	}
	if s.GaveUp > 0 {
		why = append(why, fmt.Sprintf("%d viewers gave up after %d failures in a row", s.GaveUp, giveUp))
	}
	if d, what := r.latency(s); r.MaxLatency > 0 && d.Count > 0 && d.P99 > r.MaxLatency {
		why = append(why, fmt.Sprintf("%s is %s for one part in a hundred, %s allowed", what, short(d.P99), short(r.MaxLatency)))
	}
	if n := r.gone.Load(); n > 0 {
		why = append(why, fmt.Sprintf("%d of %d publishers were ended", n, r.Publishers))
	}
	return why
}

// latency is the best that is known of parts' delay.
func (r *run) latency(s *Step) (Delay, string) {
	if s.Added.Count > 0 {
		return s.Added, "added latency"
	}
	return s.Behind, "the delay behind the first viewer"
}

// judge says whether all went well, and what to know about the figures.
func (r *run) judge() {
	o := r.report
	own, lateness := 0.0, time.Duration(0)
	for _, s := range o.Steps {
		o.Passed = o.Passed && len(s.Why) == 0
		own, lateness = max(own, s.OwnShare), max(lateness, s.Lag.P99)
	}
	here := r.PID != 0
	switch {
	case own > busyShare && here:
		o.Notes = append(o.Notes, fmt.Sprintf("the load generator used %s of the CPU time that it may use, and the node runs on the same machine: run it from another one to see what the node can do", percent(own)))
	case own > busyShare:
		o.Notes = append(o.Notes, fmt.Sprintf("the load generator used %s of the CPU time that it may use: it is what was slow; use a larger machine, or several", percent(own)))
	case lateness > lateTimer:
		o.Notes = append(o.Notes, fmt.Sprintf("the load generator's timers were up to %s late: this machine is too busy for exact figures", short(lateness)))
	}
	behind := 0
	for _, p := range r.publishers {
		if p.Behind() > lateFrame {
			behind++
		}
	}
	if behind > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d publishers were late with their frames: the way to the origin, or this machine, is too slow for them", behind))
	}
	if n := len(o.Steps); n > 0 && r.Publishers > 0 && o.Steps[n-1].Parts > 0 && o.Steps[n-1].Added.Count == 0 {
		o.Notes = append(o.Notes, "no stamp of the publishers' was found in the media: the origin codes anew, or takes SEI messages out; latency is told by the first viewer and by dates only")
	}
	if n := len(o.Steps); n > 0 && o.Steps[n-1].Dated.P50 < -max(lateFrame, o.Origin.PartTarget) {
		o.Notes = append(o.Notes, "parts are there long before their end by the playlist's dates: the dates, or the clock of whoever makes them, are ahead")
	}
	if !o.Origin.LowLatency && len(o.Steps) > 0 {
		o.Notes = append(o.Notes, "this is plain HLS: viewers get whole segments, and latency is that of segments")
	}
}
