package pull

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// Options sets a manager up.
type Options struct {
	// Door that the Pullers bring their streams to.
	Door *Door
	// Pullers by the scheme of the URLs that they fetch: "rtsp", "rtsps", "srt".
	Pullers map[string]ingest.Puller
	// File where sources that were added through the API are kept; "" keeps them in memory only.
	File string
	// Viewers tells how many watch a stream at this moment. It must not call the manager.
	Viewers func(stream string) int
	// Idle is after how long without viewers a source on demand is stopped; 0 is DefaultIdle. Asked anew each time; nil is
	// DefaultIdle.
	Idle func() time.Duration

	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Random is a number from 0 to below 1 that spreads attempts; nil is math/rand.
	Random func() float64
}

// DefaultIdle is how long a source on demand goes on without viewers where nothing else is said.
const DefaultIdle = 60 * time.Second

// Manager keeps the sources and fetches each one always, or while somebody watches. Its methods are for any goroutine.
type Manager struct {
	opt     Options
	metrics *metrics

	saving sync.Mutex // one change of the file at a time; taken before mu
	file   *file      // nil without one
	broken error      // why the file must not be written; nil when it may; set by New

	mu         sync.RWMutex // guards what follows, and what each feed says it does
	configured map[string]Source
	made       map[string]Source // through the API
	feeds      map[string]*feed  // what is in force: a configured source comes before one of the same name that was made
	ending     map[string]<-chan struct{}
	ctx        context.Context // that of Run; nil before
	over       bool            // Run has ended, or is about to
	group      sync.WaitGroup  // goroutines of feeds
}

// New makes a manager and reads the file. One that is damaged is kept aside, and the log says so: what can be used of it is.
func New(opt Options) *Manager {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Random == nil {
		opt.Random = rand.Float64
	}
	m := &Manager{
		opt: opt, metrics: newMetrics(opt.Registerer), configured: map[string]Source{}, made: map[string]Source{}, feeds: map[string]*feed{},
		ending: map[string]<-chan struct{}{},
	}
	if opt.File != "" {
		m.file = &file{opt.File}
		m.load()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applyLocked()
	return m
}

// normal gives sources that mean the same the same form.
func normal(s Source) Source {
	s.Transport = cmp.Or(s.Transport, "auto")
	return s
}

// Configure sets the sources of the configuration, at the start and after each change of it: those that are new are
// started, those that are gone stopped, those that changed started anew; the others go on. They have to be valid and their
// names must differ: what is not so is left out, and the log says it.
func (m *Manager) Configure(sources []Source) {
	next := map[string]Source{}
	for _, s := range sources {
		if err := Validate(s); err != nil {
			m.opt.Log.Error("a configured source cannot be used", "stream", s.Stream, "error", err)
			continue
		}
		if _, twice := next[s.Stream]; twice {
			m.opt.Log.Error("a stream has two configured sources: the first is used", "stream", s.Stream)
			continue
		}
		next[s.Stream] = normal(s)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configured = next
	for stream := range next {
		if _, both := m.made[stream]; both {
			m.opt.Log.Warn("a source of the configuration comes before the one that was added through the API", "stream", stream)
		}
	}
	m.applyLocked()
}

// applyLocked brings the feeds in line with the sources.
func (m *Manager) applyLocked() {
	for stream, f := range m.feeds {
		if s, configured, ok := m.sourceLocked(stream); !ok || s != f.source {
			m.dropLocked(f)
		} else {
			f.configured = configured
		}
	}
	for _, list := range []map[string]Source{m.configured, m.made} {
		for stream := range list {
			if m.feeds[stream] == nil {
				s, configured, _ := m.sourceLocked(stream)
				m.addLocked(s, configured)
			}
		}
	}
}

// sourceLocked returns the source that is in force for a stream.
func (m *Manager) sourceLocked(stream string) (s Source, configured, ok bool) {
	if s, ok = m.configured[stream]; ok {
		return s, true, true
	}
	s, ok = m.made[stream]
	return s, false, ok
}

// addLocked takes a source in.
func (m *Manager) addLocked(s Source, configured bool) {
	f := &feed{m: m, source: s, configured: configured, again: make(chan struct{}, 1), state: Waiting, since: m.opt.Now()}
	m.metrics.sources[Waiting].Inc()
	m.feeds[s.Stream] = f
	if !s.OnDemand {
		m.startLocked(f)
	}
}

// dropLocked stops a source and forgets it. Another one for its stream waits until it has ended.
func (m *Manager) dropLocked(f *feed) {
	delete(m.feeds, f.source.Stream)
	m.metrics.sources[f.state].Dec()
	f.dropped = true
	if f.running {
		f.stop()
		m.ending[f.source.Stream] = f.done
	}
}

// startLocked starts a feed's goroutine, if it does not run and may.
func (m *Manager) startLocked(f *feed) {
	if m.ctx == nil || m.over || f.running || f.dropped {
		return
	}
	ctx, stop := context.WithCancel(m.ctx)
	f.running, f.stop, f.done = true, stop, make(chan struct{})
	done, before := f.done, m.ending[f.source.Stream]
	m.group.Go(func() {
		defer stop()
		f.run(ctx, before)
		m.ended(f.source.Stream, done)
	})
}

// ended lets the stream's next source begin.
func (m *Manager) ended(stream string, done chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(done)
	if m.ending[stream] == done {
		delete(m.ending, stream)
	}
}

// lookEvery is how often viewers are counted.
const lookEvery = time.Second

// Run fetches the sources until ctx ends and everything that it started has ended. It is called once.
func (m *Manager) Run(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	for _, f := range m.feeds {
		if !f.source.OnDemand || m.wantedLocked(f) {
			m.startLocked(f)
		}
	}
	m.mu.Unlock()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-look.C:
			m.look()
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.group.Wait()
}

// look stops the sources on demand that nobody has watched for long enough.
func (m *Manager) look() {
	var running []*feed
	m.mu.RLock()
	for _, f := range m.feeds {
		if f.source.OnDemand && f.running {
			running = append(running, f)
		}
	}
	m.mu.RUnlock()
	for _, f := range running {
		if m.opt.Viewers(f.source.Stream) > 0 {
			f.asked.Store(m.opt.Now().UnixNano())
			continue
		}
		m.mu.Lock()
		if f.rest != nil && !m.wantedLocked(f) {
			f.rest(errIdle)
		}
		m.mu.Unlock()
	}
}

// wantedLocked tells whether somebody asked for a source, or watched it, a short while ago.
func (m *Manager) wantedLocked(f *feed) bool {
	idle := DefaultIdle
	if m.opt.Idle != nil {
		idle = cmp.Or(m.opt.Idle(), DefaultIdle)
	}
	asked := f.asked.Load()
	return asked != 0 && m.opt.Now().Sub(time.Unix(0, asked)) < idle
}

// Demand tells that somebody asks for a stream: whether there is a source for it, which is started if it waits for that. It
// may be called for each request.
func (m *Manager) Demand(stream string) bool {
	m.mu.RLock()
	f := m.feeds[stream]
	there := f != nil && !m.over
	running := there && f.running
	if there {
		// Under the lock: a feed that is about to rest sees it, or has rested by now.
		f.asked.Store(m.opt.Now().UnixNano())
	}
	m.mu.RUnlock()
	if there && !running {
		m.mu.Lock()
		m.startLocked(f)
		m.mu.Unlock()
	}
	return there
}

// List tells of all sources, by stream.
func (m *Manager) List() []Status {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]Status, 0, len(m.feeds))
	for _, f := range m.feeds {
		list = append(list, f.statusLocked())
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Stream, b.Stream) })
	return list
}

// Get tells of one stream's source; false when it has none.
func (m *Manager) Get(stream string) (Status, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f := m.feeds[stream]
	if f == nil {
		return Status{}, false
	}
	return f.statusLocked(), true
}
