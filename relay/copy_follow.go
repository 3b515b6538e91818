package relay

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// maxInits bounds how many initialisation sections one log may bring.
const maxInits = 1024

// tracker reads the log of a rendition and applies it.
type tracker struct {
	link *link
	rep  *replica

	// shadow has what the source has, while that is behind what this node has published, or another source is the better one until
	// its media have come: viewers see nothing of it before. nil: the tracker has the pen, or no state has come.
	shadow  *window.Presentation
	shadowR *window.Rendition

	stated bool // a state has come
	inits  map[string]*window.Init
	state  *wire.State // its records so far; nil between states

	// The part that is arriving, and the one that is being filled in. aside is where parts of a shadow come.
	in          *Incoming
	at          Position
	size        int
	aside       *Incoming
	back        *Incoming
	backAt      Position
	backSize    int
	filled      [][]byte // media from fillAt on that are verified, and not yet given to the window
	fillAt      Position
	filledBytes int
	progress    bool          // something was applied
	ended       bool          // its log has; guarded by the target's mu
	had         bool          // it has had the pen; guarded by the target's mu
	gone        chan struct{} // closed when it has
}

// follow copies one rendition over a link until its end, opening its log anew where that may help.
func (l *link) follow(rep *replica) {
	failures := 0
	for l.ctx.Err() == nil {
		f := &tracker{link: l, rep: rep, inits: map[string]*window.Init{}, aside: NewIncoming(), back: NewIncoming(), gone: make(chan struct{})}
		err := f.run(l.ctx, l.spare())
		if err != nil && f.replaced() {
			err = errReplaced // whatever it was that did not fit then
		}
		f.release()
		if errors.Is(err, errReplaced) && l.ctx.Err() == nil {
			// This link is about to be left. If the other one fails before it is, this one is needed again.
			select {
			case <-rep.without(f):
			case <-l.ctx.Done():
			}
			continue
		}
		if l.ctx.Err() != nil || err == nil {
			return
		}
		if errors.Is(err, errGiven) {
			l.abort(err)
			return
		}
		reason := reasonOf(err)
		if failures++; f.progress {
			failures = 1
		}
		if !again[reason] || failures > patience {
			l.abort(err)
			return
		}
		l.m.metrics.failures.WithLabelValues(reason).Inc()
		l.m.opt.Log.Debug("a rendition's log is opened anew", "stream", l.entry.Stream, "rendition", rep.name, "node", l.peer.Name, "error", err)
		pause(l.ctx, backOff(failures-1, rand.Float64()))
	}
}

// run reads one log; nil when the rendition has ended.
func (f *tracker) run(ctx context.Context, conn net.Conn) error {
	log, err := f.link.m.open(ctx, f.link.peer, conn, f.link.entry, f.rep.name, have(f.rep.r.Load()))
	if err != nil {
		return err
	}
	defer log.Close()
	for {
		record, err := log.Next()
		if err != nil {
			if f.snapshot().Ended {
				return nil
			}
			return err
		}
		if f.replaced() {
			return errReplaced
		}
		if end, err := f.take(record); end || err != nil {
			return err
		}
	}
}

// take does what a record says; end tells that the log is over.
func (f *tracker) take(record wire.Record) (end bool, err error) {
	if record.Type != wire.TypeChunk || record.Flags&wire.FlagBackfill == 0 {
		if err := f.flush(); err != nil {
			return false, err
		}
	}
	switch record.Type {
	case wire.TypeHello:
		err = f.hello(record.Payload)
	case wire.TypeInit:
		err = f.init(record.Payload)
	case wire.TypeState:
		err = f.takeState(record)
	case wire.TypeChunk:
		if record.Flags&wire.FlagBackfill != 0 {
			err = f.backfill(record.Payload)
		} else {
			err = f.chunk(record.Payload)
		}
	case wire.TypeStep:
		err = f.step(record)
	case wire.TypePing:
		_, err = wire.ParsePing(record.Payload)
	case wire.TypeBye:
		var bye *wire.Bye
		if bye, err = wire.ParseBye(record.Payload); err == nil {
			if err = said(bye); err == nil && !f.snapshot().Ended {
				err = fail(failClosed, "it says that the show is over, and has not told its end")
			}
		}
		return true, err
	}
	return false, err
}

// release gives up what was arriving.
func (f *tracker) release() {
	f.link.t.mu.Lock()
	defer f.link.t.mu.Unlock()
	f.ended = true
	close(f.gone)
	if f.rep.holder == f {
		f.rep.incoming.Abort()
	}
}

// snapshot is the state that the next step is for.
func (f *tracker) snapshot() *window.Snapshot {
	if f.shadow != nil {
		return f.shadowR.Load()
	}
	return f.rep.r.Load()
}

// replaced tells whether another node's log has taken the pen from this one.
func (f *tracker) replaced() bool {
	f.link.t.mu.Lock()
	defer f.link.t.mu.Unlock()
	return f.had && f.rep.holder != f
}

// without is closed when the tracker that has the pen in place of f has ended.
func (r *replica) without(f *tracker) <-chan struct{} {
	f.link.t.mu.Lock()
	defer f.link.t.mu.Unlock()
	return r.holder.gone
}

func (f *tracker) hello(payload []byte) error {
	h, err := wire.ParseHello(payload)
	if err != nil {
		return err
	}
	if err := checkHello(h, f.link); err != nil {
		return err
	}
	if !same(f.link.presentation, h) {
		return fail(failSuperseded, "it has another presentation by now")
	}
	return nil
}

func (f *tracker) init(payload []byte) error {
	record, err := wire.ParseInit(payload)
	if err != nil {
		return err
	}
	i, err := windowInit(record)
	if err != nil {
		return fail(failSum, "%w", err)
	}
	if len(f.inits) >= maxInits {
		return fail(failTooLong, "more than %d initialisation sections", maxInits)
	}
	if f.inits[i.Name] == nil {
		f.inits[i.Name] = i
	}
	return nil
}

// section returns an initialisation section that came; nil for one that did not.
func (f *tracker) section(name string) *window.Init { return f.inits[name] }

func (f *tracker) takeState(record wire.Record) error {
	if f.state == nil {
		f.state = &wire.State{}
	}
	more, err := f.state.Parse(record)
	if more || err != nil {
		return err
	}
	s := f.state
	f.state = nil
	f.at, f.size, f.backSize = Position{}, 0, 0
	if err := checkGen(s.Gen, f.link); err != nil {
		return err
	}
	snapshot, err := snapshotOf(s, f.section)
	if err != nil {
		return err
	}
	f.stated = true
	return f.adopt(snapshot)
}

// adopt takes the pen with a state, or goes on in a shadow while it is behind.
func (f *tracker) adopt(s *window.Snapshot) error {
	err := f.link.t.adopt(f, s)
	if f.link.gather && (err == nil || errors.Is(err, window.ErrBehind)) {
		f.link.t.mu.Lock()
		f.link.stated[f.rep.name] = true
		f.link.t.mu.Unlock()
		defer f.link.look()
	}
	switch {
	case err == nil:
		f.shadow, f.shadowR = nil, nil
		f.progress = true
		f.link.m.metrics.states.WithLabelValues(stateAdopted).Inc()
		f.link.look()
		return nil
	case errors.Is(err, window.ErrBehind):
		f.link.m.metrics.states.WithLabelValues(stateBehind).Inc()
	case !errors.Is(err, errEarly):
		return err
	}
	if f.shadow == nil {
		f.shadow = window.NewCopy(f.link.entry.Stream, f.link.presentation.Settings)
		err := f.shadow.CopyView(window.ViewHead{Renditions: []window.RenditionHead{{Name: f.rep.name, Video: f.rep.r.Video}}})
		if err != nil {
			return err
		}
		f.shadowR = f.shadow.Load().Rendition(f.rep.name)
	}
	return f.shadow.Adopt(f.shadowR, s)
}

// emerge lets viewers have what the shadow has, once it has passed what was published.
func (f *tracker) emerge() error {
	is, ok := f.shadowR.Load().Last()
	if was, had := f.rep.r.Load().Last(); !ok || had && (is.MSN < was.MSN || is.MSN == was.MSN && is.Part < was.Part) {
		return nil
	}
	err := f.link.t.adopt(f, f.shadowR.Load())
	if errors.Is(err, window.ErrBehind) || errors.Is(err, errEarly) {
		return nil
	}
	if err == nil {
		f.shadow, f.shadowR = nil, nil
		f.progress = true
		f.link.m.metrics.states.WithLabelValues(stateAdopted).Inc()
		f.link.look()
	}
	return err
}

// expected tells whether a part at a position is the next one that can come.
func expected(s *window.Snapshot, at Position) bool {
	if g := s.Open(); g != nil && at.MSN == g.MSN {
		return at.Gen == g.Gen && at.Part == len(g.Parts)
	}
	return at.Part == 0 && at.MSN == s.NextMSN && at.Gen >= s.Gen
}

// chunk takes a stretch of the part that comes next.
func (f *tracker) chunk(payload []byte) error {
	c, err := wire.ParseChunk(payload)
	if err != nil {
		return err
	}
	at := Position{Gen: c.Gen, MSN: c.MSN, Part: c.Part}
	t := f.link.t
	t.mu.Lock()
	defer t.mu.Unlock()
	holds := f.rep.holder == f && !t.given
	if c.Offset == 0 {
		if !f.stated || !expected(f.snapshot(), at) {
			return fail(failPosition, "media of part %s come, which is not next", position(at))
		}
		if f.in = f.aside; holds {
			f.in = f.rep.incoming
		}
		f.at, f.size = at, c.Size
		f.in.Begin(c.Gen, c.MSN, c.Part, c.Size)
	}
	if f.in == f.rep.incoming && !holds {
		return errReplaced
	}
	if f.size == 0 || at != f.at || c.Size != f.size || c.Offset != len(f.in.Bytes()) {
		return fail(failPosition, "media of part %s come from %d on, where others were to come", position(at), c.Offset)
	}
	f.in.Write(c.Data)
	return nil
}

// step takes the rendition one snapshot further.
func (f *tracker) step(record wire.Record) error {
	w, err := wire.ParseStep(record.Payload)
	if err != nil {
		return err
	}
	if !f.stated {
		return fail(failPosition, "a step comes in front of all states")
	}
	if err := checkGen(w.Gen, f.link); err != nil {
		return err
	}
	st, err := windowStep(w, f.section)
	if err != nil {
		return err
	}
	arrived := false
	if st.Part != nil && !st.Part.Gap && record.Flags&wire.FlagAbsent == 0 {
		if st.Part.Data, err = f.arrived(&st); err != nil {
			return err
		}
		arrived = true
		f.link.m.metrics.live.Add(float64(len(st.Part.Data)))
	}
	if f.shadow != nil {
		if err := f.shadow.Apply(f.shadowR, st); err != nil {
			return err
		}
		f.at, f.size = Position{}, 0
		return f.emerge()
	}
	if err := f.link.t.apply(f, st, arrived); err != nil {
		return err
	}
	if arrived {
		f.at, f.size = Position{}, 0
	}
	f.progress = true
	return nil
}

// arrived returns the media of a step's part, which came in front of it.
func (f *tracker) arrived(st *window.Step) ([]byte, error) {
	gen := f.at.Gen
	if st.Begin != nil {
		gen = st.Begin.Gen
	} else if g := f.snapshot().Open(); g != nil {
		gen = g.Gen
	}
	at := Position{Gen: gen, MSN: st.Last.MSN, Part: st.Last.Part}
	if f.size == 0 || f.at != at || f.size != st.Part.Size {
		return nil, fail(failPosition, "part %s is announced, and its media have not come", position(at))
	}
	data := f.in.Bytes()
	if len(data) != f.size {
		return nil, fail(failPosition, "part %s is announced with %d bytes, and %d have come", position(at), f.size, len(data))
	}
	if sha256.Sum256(data) != st.Part.Sum {
		return nil, fail(failSum, "the media of part %s are not the origin's: their SHA-256 is another", position(at))
	}
	return data, nil
}
