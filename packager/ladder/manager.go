package ladder

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
)

// Manager is the node's: it knows the engines and what the host has room for, and makes a Ladder for each stream.
type Manager struct {
	opt     Options
	log     *slog.Logger
	env     []string
	metrics *metrics
	engines *engines
	room    *admission

	ctx    context.Context // of all streams' goroutines
	cancel context.CancelFunc
	known  chan struct{} // closed when the program is known, or the trial is over
	ready  chan struct{} // closed when an engine works, or the trial is over
	tried  chan struct{} // closed when the trial is over
	trying chan struct{} // of one place, taken by who makes it

	mu        sync.Mutex // guards what follows
	streams   map[string]*Ladder
	codecs    []stream.Codec // that engines were tried with
	again     time.Time      // when a trial after which nothing works is made anew; zero while one is made
	complaint string         // what the operator was told last of why nothing works
	closed    bool
	working   sync.WaitGroup // one for each stream's owner, and trials

	posters atomic.Int64 // streams that have a child for their poster alone
}

// New makes a Manager. Nothing is called before Run.
func New(opt Options) (*Manager, error) {
	if opt.Settings == nil {
		return nil, errors.New("a ladder without settings")
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Environ == nil {
		opt.Environ = os.Environ()
	}
	if opt.start == nil {
		opt.start = startChild
	}
	if opt.trial == nil {
		opt.trial = tryEngines
	}
	if opt.host == nil {
		opt.host = newProcStat().sample
	}
	m := &Manager{
		opt: opt, log: opt.Log, env: child.Environment(opt.Environ),
		known: make(chan struct{}), ready: make(chan struct{}), tried: make(chan struct{}),
		trying: make(chan struct{}, 1), streams: map[string]*Ladder{},
	}
	m.metrics = newMetrics(opt.Registerer)
	m.engines = newEngines(opt.Now, m.metrics)
	m.room = newAdmission(opt.Settings, opt.Now, m.metrics)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// sampleEvery is how often the host is looked at.
const sampleEvery = time.Second

// Run tries the engines and watches the host until ctx ends. It ends all children, and waits for them, before it returns;
// streams that begin later get no ladder. Its error is nil: a host on which nothing can be encoded is told of by Node, Advice
// and the log, and does not keep the node from running.
func (m *Manager) Run(ctx context.Context) error {
	defer m.close()
	m.working.Go(func() { m.try(ctx) })
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			m.room.look(m.opt.host)
			m.count()
			if m.lacks() || m.isDue() {
				m.working.Go(func() { m.search(ctx) })
			}
		}
	}
}

// try makes the first trial; who comes second waits for its end, and makes it where the first one was told to stop.
func (m *Manager) try(ctx context.Context) {
	select {
	case m.trying <- struct{}{}:
		defer func() { <-m.trying }()
	case <-ctx.Done():
		return
	}
	select {
	case <-m.tried:
		return
	default:
	}
	if m.search(ctx); ctx.Err() == nil {
		close(m.tried)
	}
}

// search makes a trial. Streams go on as soon as an engine works.
func (m *Manager) search(ctx context.Context) {
	set := m.opt.Settings()
	m.mu.Lock()
	m.codecs, m.again = set.codecs(), time.Time{}
	m.mu.Unlock()
	defer m.searched()
	defer func() {
		if ctx.Err() == nil {
			m.begin()
		}
	}()
	if set.Program == "" {
		return
	}
	err := m.opt.trial(ctx, set, m.env, m.log, func(t trial) {
		m.engines.set(set.Program, t, nil)
		if t.works() {
			m.begin()
		} else {
			m.know()
		}
	})
	switch working := m.engines.names(); {
	case ctx.Err() != nil:
	case err != nil && len(working) > 0:
		// What worked before goes on; the program may be in the middle of an upgrade.
		m.log.Warn("encoders could not be tried anew", "error", err)
	case err != nil:
		m.engines.set(set.Program, trial{}, err)
		m.complain(&set, err)
	case len(working) == 0:
		m.complain(&set, nil)
	default:
		m.log.Info("encoders were tried", "program", m.engines.versionOf(), "work", working)
	}
}

// know lets streams make what needs no encoder of pictures.
func (m *Manager) know() {
	m.mu.Lock()
	defer m.mu.Unlock()
	closeLocked(m.known)
}

// begin lets streams make all, or what can be made by now.
func (m *Manager) begin() {
	m.mu.Lock()
	closeLocked(m.known)
	closeLocked(m.ready)
	m.mu.Unlock()
	for _, l := range m.all() {
		l.signal()
	}
}

// closeLocked closes a channel that may be closed.
func closeLocked(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (m *Manager) isReady() bool {
	select {
	case <-m.ready:
		return true
	default:
		return false
	}
}

// lacks tells whether the settings have come to need a codec that no engine was tried with.
func (m *Manager) lacks() bool {
	select {
	case <-m.tried:
	default:
		return false
	}
	set := m.opt.Settings()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range set.codecs() {
		if !slices.Contains(m.codecs, c) {
			m.codecs = append(m.codecs, c) // this search is for it
			return true
		}
	}
	return false
}

// close ends all streams' goroutines and waits for them.
func (m *Manager) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.working.Wait()
}

// Attach makes a new stream's Ladder. It is the hub's, and does not block.
func (m *Manager) Attach(s *stream.Stream) stream.Consumer {
	l := newLadder(m, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.opt.Settings().Program == "" {
		l.off = true
		return l
	}
	m.streams[s.Name()] = l
	m.working.Go(l.own)
	return l
}

// forget takes a stream that has ended off the list.
func (m *Manager) forget(l *Ladder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[l.name] == l {
		delete(m.streams, l.name)
	}
}

// of finds a stream's ladder; nil when there is none.
func (m *Manager) of(name string) *Ladder {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams[name]
}

// all are the ladders of all streams.
func (m *Manager) all() []*Ladder {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Ladder, 0, len(m.streams))
	for _, l := range m.streams {
		out = append(out, l)
	}
	return out
}

// Converts tells whether what is coded so gets a rendition that viewers can play: doors may take it then. It is what the
// settings say, and what the trial found once it is over.
func (m *Manager) Converts(c stream.Codec) bool {
	set := m.opt.Settings()
	if set.Program == "" || !set.Convert {
		return false
	}
	switch c {
	case stream.VP8, stream.VP9, stream.Opus, stream.PCMA, stream.PCMU:
	default: // goes to viewers as it is
		return false
	}
	select {
	case <-m.ready:
		return m.engines.usable(c.Video())
	default:
		return true
	}
}

// Info tells how a stream's ladder does; false when there is no such stream.
func (m *Manager) Info(name string) (Info, bool) {
	l := m.of(name)
	if l == nil {
		return Info{}, false
	}
	return l.info(), true
}

// Poster returns a stream's newest poster and when it came; false when there is none. The bytes do not change. Of a stream that
// nothing else is made of, posters are made while somebody asks for them: it waits some seconds for the first, or until ctx ends.
func (m *Manager) Poster(ctx context.Context, name string) (jpeg []byte, at time.Time, ok bool) {
	if l := m.of(name); l != nil {
		return l.askPoster(ctx)
	}
	return nil, time.Time{}, false
}

// Advice is what could be done better about a stream's ladder: whole sentences, none when all is well.
func (m *Manager) Advice(name string) []string {
	l := m.of(name)
	if l == nil {
		return nil
	}
	return m.advise(l)
}

// Node tells how the room does.
func (m *Manager) Node() NodeInfo {
	set := m.opt.Settings()
	in := NodeInfo{Program: set.Program, MaxTranscodes: set.MaxTranscodes}
	select {
	case <-m.ready:
		in.Ready = true
	default:
	}
	m.engines.describe(&in)
	m.room.describe(&in)
	for _, l := range m.all() {
		l.count(&in)
	}
	return in
}

// count brings the gauges up to date.
func (m *Manager) count() {
	in := m.Node()
	m.metrics.look(&in)
}
