package ingest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pushcart/internal/stream"
)

// ErrStandby is what Options.Claim answers to a standby while the stream has an origin that is well: the publisher is let in
// and waits.
var ErrStandby = errors.New("the stream has an origin that is well, and this publisher stands by for it")

// Bounds of standing by.
const (
	// standbyRetry is how often a standby that waits tries on a node alone, where that costs nothing but a look.
	standbyRetry = 250 * time.Millisecond
	// standbyClaim is how often it tries where the cluster has to be asked, besides when it is told.
	standbyClaim = time.Second
	// standbyPace is the least time between two tries, however often it is told.
	standbyPace = 100 * time.Millisecond
	// standbySound is how long sound waits for the first key frame when a standby goes on with the stream, where it has video.
	standbySound = 4 * time.Second
)

// standby is the publication of a publisher with a standby key. While another publisher has the stream it looks its frames over
// and drops them; when that one has gone it claims the stream, in a goroutine of its own, and writes from the next key frame on.
// When the other returns it waits again. So the publisher's connection lasts over all of that.
type standby struct {
	door    *Door
	req     Request
	who     guest
	log     *slog.Logger
	cancel  context.CancelFunc // ends run
	ended   chan struct{}      // closed when run has returned
	left    func()             // tells the authority that the publisher is gone
	lost    chan struct{}      // holds one value when the stream went to another publisher
	kicking sync.Once
	closing sync.Once

	mu     sync.Mutex            // guards what follows, and whatever is called of held
	held   *publication          // nil while it waits
	idle   *publication          // looks over what comes meanwhile; it has no session
	tracks map[int]*stream.Track // as they were declared
	since  time.Time             // when held began
	keyed  bool                  // a key frame came since
	closed bool
}

// stand lets a publisher in that stands by. The first try is made at once: without anybody to stand by for it publishes.
func (d *Door) stand(req Request, who guest) (*standby, *Refusal) {
	s := &standby{
		door: d, req: req, who: who, ended: make(chan struct{}), lost: make(chan struct{}, 1),
		idle: d.publication(req, who), tracks: map[int]*stream.Track{},
	}
	s.who.journey = nil // the first try's alone
	s.log = s.idle.log
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	d.standbys.take(s)
	p, err := d.enter(ctx, req, who, s.kicked)
	switch {
	case err == nil:
		s.held, s.since = p, d.opt.Now()
		s.log.Info("publisher arrived that stands by; nobody else has the stream", "agent", req.Agent)
	case waits(err):
		d.opt.Metrics.waiting.Inc()
		who.journey.Ended(journeyWaits) // what it gets to later is not a join
		s.log.Info("publisher arrived that stands by, and waits", "agent", req.Agent)
	default:
		if ctx.Err() != nil { // by the next of the same key
			err = stream.ErrSuperseded
		}
		cancel()
		d.standbys.leave(s)
		close(s.ended)
		return nil, d.refusal(who.Name, err)
	}
	s.left = held(who.Grant)
	d.opt.Metrics.opened(req.Protocol)
	go s.run(ctx) // Close waits for it
	return s, nil
}

// waits tells whether an error of enter is one that a standby waits on.
func waits(err error) bool {
	var taken *stream.TakenError
	var refused *Refusal
	return errors.Is(err, ErrStandby) || errors.As(err, &taken) || errors.As(err, &refused) && refused.Reason == ReasonNameTaken
}

// kicked hears that held may not write any more. The stream's lock may be held.
func (s *standby) kicked(p *publication, cause error) {
	if !errors.Is(cause, stream.ErrGaveWay) && !errors.Is(cause, stream.ErrElsewhere) {
		s.kick(gone(cause))
		return
	}
	p.lost.Store(true)
	select {
	case s.lost <- struct{}{}:
	default:
	}
}

// kick ends the session.
func (s *standby) kick(why *Refusal) {
	s.kicking.Do(func() {
		if s.req.Kick != nil {
			s.req.Kick(why)
		}
	})
}

// run tries to get the stream whenever that is worthwhile, until ctx ends.
func (s *standby) run(ctx context.Context) {
	defer close(s.ended)
	pause := standbyRetry
	if s.door.opt.Claim != nil {
		pause = standbyClaim
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		var promoted <-chan struct{}
		var again <-chan time.Time
		if s.waiting() {
			if s.door.opt.Promoted != nil {
				promoted = s.door.opt.Promoted(s.who.Name)
			}
			timer.Reset(pause)
			again = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-s.door.opt.Hub.Closing():
			s.kick(gone(stream.ErrClosed))
			return
		case <-s.lost:
			continue
		case <-promoted:
		case <-again:
		}
		s.try(ctx)
		// The channel may be closed as long as a try is worthwhile, and the claim refused all the same.
		select {
		case <-ctx.Done():
			return
		case <-time.After(standbyPace):
		}
	}
}

// waiting lets go of a stream that went to another publisher, and tells whether nothing is held.
func (s *standby) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil && s.held.lost.Load() {
		s.giveWayLocked()
	}
	return s.held == nil
}

// try claims the stream.
func (s *standby) try(ctx context.Context) {
	if refusal := s.door.over(s.who, s.door.publisher(s.req, s.who), false); refusal != nil {
		s.kick(refusal)
		return
	}
	p, err := s.door.enter(ctx, s.req, s.who, s.kicked)
	switch {
	case err == nil:
		s.take(p)
	case waits(err) || ctx.Err() != nil:
	case errors.Is(err, stream.ErrClosed):
		s.kick(gone(err))
	default: // such as a cluster that does not answer: it may yet
		s.log.Debug("a publisher that stands by could not claim its stream", "error", err)
	}
}

// take goes on with the stream.
func (s *standby) take(p *publication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		p.leave()
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.tracks)) {
		if err := p.SetTrack(s.tracks[id]); err != nil { // it has gone to another one already
			p.leave()
			return
		}
	}
	s.held, s.since, s.keyed = p, s.door.opt.Now(), false
	s.door.opt.Metrics.waiting.Dec()
	s.door.opt.Metrics.promoted.Inc()
	s.log.Warn("the publisher that stands by goes on with the stream", "era", p.time.era)
}

// giveWayLocked lets the stream go and waits again.
func (s *standby) giveWayLocked() {
	s.held.leave()
	s.held.journey.Ended(journeyWaits)
	s.held = nil
	s.door.opt.Metrics.waiting.Inc()
	s.log.Info("the publisher that stands by gives way, and waits")
}

// settleLocked takes the error of one of held's methods. That the stream went to another publisher is none for the session.
func (s *standby) settleLocked(err error) error {
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != ReasonStandby && r.Reason != ReasonElsewhere {
		return err
	}
	s.giveWayLocked()
	select {
	case s.lost <- struct{}{}: // so that run begins to wait
	default:
	}
	return nil
}

// idles tells that nothing is held.
func (s *standby) idles() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held == nil
}

// Name implements Publication.
func (s *standby) Name() string { return s.who.Name }

// SetTrack implements Publication.
func (s *standby) SetTrack(t *stream.Track) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refusal := s.idle.declare(t); refusal != nil {
		return refusal
	}
	s.tracks[t.ID] = t
	if s.held == nil {
		return nil
	}
	return s.settleLocked(s.held.SetTrack(t))
}

// Write implements Publication.
func (s *standby) Write(f *stream.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		pass, err := s.idle.admit(f, s.door.opt.Now()) // what would end the session then, ends it now, while nobody needs it yet
		if pass {
			s.idle.Drop(DropStandby)
		}
		return err
	}
	if f.Track.Video() {
		s.keyed = s.keyed || f.Key
	} else if !s.keyed && s.pictured() && s.door.opt.Now().Sub(s.since) < standbySound {
		s.held.Drop(DropStandby)
		return nil
	}
	return s.settleLocked(s.held.Write(f))
}

// pictured tells whether the publisher sends video.
func (s *standby) pictured() bool {
	for _, t := range s.tracks {
		if t.Video() {
			return true
		}
	}
	return false
}

// WriteData implements Publication.
func (s *standby) WriteData(d *stream.Data) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		return s.settleLocked(s.held.WriteData(d))
	}
	s.idle.Drop(DropStandby)
	if d.Reply != nil {
		d.Reply(stream.Reply{Refused: "Another publisher has the stream, and this one stands by for it: nothing was done. Send the command with the other's media, or over the API."})
	}
	return nil
}

// Drop implements Publication.
func (s *standby) Drop(reason DropReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.held.Drop(reason)
		return
	}
	s.idle.Drop(reason)
}

// Close implements Publication.
func (s *standby) Close(cause error) {
	s.closing.Do(func() {
		s.cancel()
		<-s.ended
		s.door.standbys.leave(s)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		if s.held != nil {
			s.held.leave()
			s.held.journey.Ended("")
			s.held = nil
		} else {
			s.door.opt.Metrics.waiting.Dec()
		}
		s.left()
		s.idle.farewell(cause)
	})
}
