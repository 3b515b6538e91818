package relay

import (
	"errors"
	"slices"
	"sync"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// target is a presentation that logs are applied to. Several links may bring their logs at a time; of each rendition one
// tracker holds the pen.
type target struct {
	stream  string
	now     func() time.Time
	metrics *copyMetrics

	mu       sync.Mutex // serialises what writes the presentation, and guards what follows
	p        *window.Presentation
	replicas map[string]*replica
	index    *link // the link whose index log counts
	viewed   bool  // a view was applied
	ending   *window.ViewHead
	path     []string // from the origin to this node
	keys     string
	given    bool // the presentation belongs to somebody else: nothing more is applied
	bytes    uint64
	// changed is closed when the presentation is another one, when the first view is there and when the show has ended.
	changed chan struct{}
}

// replica is a rendition of a copy.
type replica struct {
	name     string
	r        *window.Rendition
	incoming *Incoming
	holder   *tracker      // whose steps are applied; nil: the first one's that has a state. Guarded by the target's mu
	lag      time.Duration // of the last part against the origin's clock; guarded by the target's mu
}

func newTarget(stream string, now func() time.Time, metrics *copyMetrics) *target {
	return &target{stream: stream, now: now, metrics: metrics, replicas: map[string]*replica{}, changed: make(chan struct{})}
}

func (t *target) changedLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// errGiven ends logs whose presentation has an owner of its own now.
var errGiven = errors.New("the copy was taken over")

// same tells whether a hello is of the presentation that is copied: one show keeps its settings, whoever is its origin.
func same(p *window.Presentation, h *wire.Hello) bool {
	s := p.Settings
	return s.TargetDuration == h.TargetDuration && s.DVR == time.Duration(h.DVR) && s.FirstMSN == h.FirstMSN && s.Gen == h.FirstGen
}

// meet takes the hello of an index log. Another presentation than the one so far begins a new one, when its generation is
// higher; the one before is returned then.
func (t *target) meet(l *link, h *wire.Hello) (before *window.Presentation, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.given {
		return nil, errGiven
	}
	if t.p != nil {
		if h.Gen < t.p.Gen() && !l.gather {
			return nil, fail(failGeneration, "it is at generation %d, this node has seen %d", h.Gen, t.p.Gen())
		}
		if same(t.p, h) {
			return nil, nil
		}
		if h.FirstGen <= t.p.Settings.Gen {
			return nil, fail(failGeneration, "it has an older presentation, begun with generation %d", h.FirstGen)
		}
		before = t.p
	}
	t.p = window.NewCopy(t.stream, settingsOf(h, t.now))
	t.replicas = map[string]*replica{}
	t.viewed, t.ending, t.index = false, nil, nil
	t.changedLocked()
	return before, nil
}

// view takes the view of an index log, whose renditions it returns. Of several links the one that told a view last counts;
// a view that lacks what is there already comes from a node that is behind, and counts for nothing.
func (t *target) view(l *link, head window.ViewHead) (replicas []*replica, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.given {
		return nil, errGiven
	}
	now := t.p.Load()
	named := map[string]bool{}
	for _, r := range head.Renditions {
		named[r.Name] = true
	}
	behind := now.Ended && !head.Ended || now.PartTarget != 0 && head.PartTarget == 0 || len(now.Variants) > 0 && len(head.Variants) == 0
	for _, r := range now.Renditions {
		behind = behind || !named[r.Name]
	}
	if !behind {
		t.index = l
		ended := head.Ended
		if ended {
			t.ending = &head
		}
		head.Ended = now.Ended // the end is told when everything has come
		if err := t.p.CopyView(head); err != nil {
			return nil, fail(failMalformed, "%w", err)
		}
		if !t.viewed {
			t.viewed = true
			t.changedLocked()
		}
	}
	for _, r := range t.p.Load().Renditions {
		rep := t.replicas[r.Name]
		if rep == nil {
			rep = &replica{name: r.Name, r: r, incoming: NewIncoming()}
			t.replicas[r.Name] = rep
		}
		if named[r.Name] {
			replicas = append(replicas, rep)
		}
	}
	t.endLocked()
	return replicas, nil
}

// endLocked ends the presentation once all its renditions have ended.
func (t *target) endLocked() {
	if t.ending == nil || t.p.Load().Ended {
		return
	}
	for _, r := range t.p.Load().Renditions {
		if !r.Load().Ended {
			return
		}
	}
	head := *t.ending
	head.Ended = true
	if t.p.CopyView(head) == nil {
		t.changedLocked()
	}
}

// errReplaced ends a rendition's log because another node's brings it now.
var errReplaced = errors.New("another node's log has taken its place")

// errEarly is a state of another node that is further than what this one has, in parts whose media have not come: the node that
// is copied from brings them sooner.
var errEarly = errors.New("it is further, and has not brought the media yet")

// adopt has a tracker take the pen with a whole state. ErrBehind and errEarly leave everything as it is.
func (t *target) adopt(f *tracker, s *window.Snapshot) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.given:
		return errGiven
	case t.replicas[f.rep.name] != f.rep:
		return fail(failSuperseded, "another presentation is copied by now")
	}
	if h := f.rep.holder; h != nil && h.link != f.link && !h.ended && h.link.ctx.Err() == nil && lacks(s, f.rep.r.Load()) {
		return errEarly
	}
	if err := t.p.Adopt(f.rep.r, s); err != nil {
		if errors.Is(err, window.ErrConflict) {
			return fail(failSum, "%w", err)
		}
		return err
	}
	if f.rep.holder != f {
		f.rep.incoming.Abort()
		f.rep.holder, f.had = f, true
	}
	t.endLocked()
	return nil
}

// lacks tells whether a state has absent parts behind those of another.
func lacks(s, than *window.Snapshot) bool {
	last, has := than.Last()
	for _, g := range s.Segments {
		for k := range g.Parts {
			if g.Parts[k].Absent() && (!has || sooner(last, window.Position{MSN: g.MSN, Part: k})) {
				return true
			}
		}
	}
	return false
}

// holdsLocked tells whether a tracker has the pen.
func (t *target) holdsLocked(f *tracker) error {
	switch {
	case t.given:
		return errGiven
	case t.replicas[f.rep.name] != f.rep:
		return fail(failSuperseded, "another presentation is copied by now")
	case f.rep.holder != f:
		return errReplaced
	}
	return nil
}

// apply takes a rendition one step further. With arrived, the media of the step's part are verified, and came just before it.
func (t *target) apply(f *tracker, st window.Step, arrived bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.holdsLocked(f); err != nil {
		return err
	}
	if arrived && f.in == f.rep.incoming {
		f.in.Done()
	}
	if err := t.p.Apply(f.rep.r, st); err != nil {
		return err
	}
	t.metrics.steps.Inc()
	if st.Part != nil {
		f.rep.lag = max(t.now().Sub(st.At), 0)
		t.metrics.lag.Observe(f.rep.lag.Seconds())
		t.bytes += uint64(len(st.Part.Data))
	}
	t.endLocked()
	return nil
}

// fill brings the bytes of parts that are known of.
func (t *target) fill(f *tracker, at Position, media [][]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.holdsLocked(f); err != nil {
		return err
	}
	for _, data := range media {
		t.bytes += uint64(len(data))
	}
	if err := t.p.Fill(f.rep.r, at.Gen, at.MSN, at.Part, media...); err != nil {
		return fail(failPosition, "%w", err)
	}
	return nil
}

// end ends the presentation for viewers, whose origin is gone for good.
func (t *target) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.given || t.p == nil || t.p.Load().Ended {
		return
	}
	t.p.End()
	t.changedLocked()
}

// take gives the presentation away: no log is applied any more.
func (t *target) take() *window.Presentation {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = true
	for _, r := range t.replicas {
		r.incoming.Abort()
	}
	t.changedLocked()
	return t.p
}

// complete tells whether all media are there.
func (t *target) complete() bool {
	p, _, _, _ := t.presentation()
	for _, r := range p.Load().Renditions {
		for _, g := range r.Load().Segments {
			if g.Absent() {
				return false
			}
		}
	}
	return true
}

// presentation returns what is copied, nil while that is not known, whether there was a view, whether it has ended, and a
// channel that is closed when one of these changes.
func (t *target) presentation() (p *window.Presentation, viewed, ended bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.p, t.viewed, t.p != nil && t.p.Load().Ended, t.changed
}

// gen is the highest generation that was seen.
func (t *target) gen() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.p == nil {
		return 0
	}
	return t.p.Gen()
}

// settled tells whether l's trackers have the pen of all renditions.
func (t *target) settled(l *link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.index != l {
		return false
	}
	for _, rep := range t.replicas {
		if rep.holder == nil || rep.holder.link != l {
			return false
		}
	}
	return true
}

// checkHello tells why a hello's sender is none to copy from; nil when it is.
func checkHello(h *wire.Hello, l *link) error {
	if h.Version != wire.Version {
		return fail(failAnswer, "it speaks version %d of the protocol, this node %d: both should run the same release", h.Version, wire.Version)
	}
	if h.Stream != l.entry.Stream || h.Node != l.peer.Name {
		return fail(failAnswer, "it is node %q with stream %q", h.Node, h.Stream)
	}
	if why := checkPath(h.Path, l.m.self.Name, l.peer.Name); why != "" && !l.gather {
		if l.presentation == nil || slices.Contains(h.Path, l.m.self.Name) || h.Path[len(h.Path)-1] != l.peer.Name {
			return fail(failLoop, "%s", why)
		}
		l.far.Do(func() { close(l.unfit) }) // it is good until there is a better one
	}
	if h.Gen < l.floor {
		return fail(failGeneration, "it is at generation %d, the stream's origin has %d", h.Gen, l.floor)
	}
	return checkGen(h.Gen, l)
}

// ahead is how far in the future a generation may be, which is a clock's milliseconds: more than clocks differ.
const ahead = 10 * time.Minute

// checkGen refuses generations that nobody can have claimed: taken in, they would keep the true origin out.
func checkGen(gen int64, l *link) error {
	if gen > l.entry.Gen && gen > l.m.opt.Now().Add(ahead).UnixMilli() {
		return fail(failGeneration, "generation %d is of the future", gen)
	}
	return nil
}
