package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/internal/webhooks"
	"pushcart/overlay"
	"pushcart/packager/ladder"
)

const (
	// hooksEvery is how often streams are looked at whose start, or cards whose frame, has still to be told.
	hooksEvery = 100 * time.Millisecond
	// tracksWithin is how long a start waits for all tracks to be there.
	tracksWithin = 2 * time.Second
	// webhooksFolder in the data folder is the queue of webhooks.
	webhooksFolder = "webhooks"
)

// hooks makes events of what happens on the node, for webhooks. It looks at each stream once in a while: frames cost it nothing.
type hooks struct {
	dispatcher *webhooks.Dispatcher
	emit       func(webhooks.Event) // the dispatcher's Send
	active     func() bool          // whether anybody wants events
	now        func() time.Time
	log        *slog.Logger
	// view is a desk's newest one; nil when there is none.
	view func(stream string) *overlay.View
	// framed tells the date of the first frame that shows a card, and a name for that showing, which is to be another one than
	// before; "" when there is no frame yet, and live whether there may still be one.
	framed func(stream string, s *overlay.ShownView, before string) (at time.Time, id string, live bool)
	// trouble says what is wrong with a stream's ladder; "" when nothing is.
	trouble func(stream string) string
	// stopping tells whether the node is.
	stopping func() bool

	mu        sync.Mutex // guards what follows
	changes   []change   // of streams, in order
	dirty     map[string]struct{}
	continued map[string]struct{} // streams that go on with what another node had
	signal    chan struct{}       // holds one value when there is something

	// run's.
	shows map[*stream.Stream]*show
	cards cardHooks
}

// change is a state that a stream came to.
type change struct {
	stream *stream.Stream
	state  stream.State
	at     time.Time
}

// show is a stream that has begun, as far as its events go.
type show struct {
	stream    *stream.Stream
	began     time.Time
	continued bool
	started   bool // that was told
	away      bool
	health    health
}

// newHooks makes the node's, which tell nobody until run is called.
func (n *Node) newHooks(cfg *config.Config) (*hooks, error) {
	name := nodeName(cfg)
	if n.cluster != nil {
		name = n.cluster.trust.Identity().Name
	}
	d, err := webhooks.New(webhooks.Options{
		Dir: n.data.path(webhooksFolder), Queue: int64(cfg.Webhooks.Queue), Node: name, Settings: webhookSettings(cfg), Log: n.log, Registerer: n.reg,
	})
	if err != nil {
		return nil, fmt.Errorf("set up webhooks: %w", err)
	}
	h := &hooks{
		dispatcher: d, emit: d.Send, active: d.Active, now: time.Now, log: n.log, view: n.desks.Peek, framed: n.framed,
		trouble: func(string) string { return "" },
	}
	h.stopping = func() bool {
		select {
		case <-n.hub.Closing():
			return true
		default:
			return false
		}
	}
	if n.ladders != nil {
		h.trouble = func(name string) string { return ladderTrouble(n.ladders, name) }
	}
	h.init()
	return h, nil
}

func (h *hooks) init() {
	h.dirty, h.continued, h.signal = map[string]struct{}{}, map[string]struct{}{}, make(chan struct{}, 1)
	h.shows, h.cards = map[*stream.Stream]*show{}, cardHooks{seen: map[string]*seenCards{}}
}

// webhookSettings are the dispatcher's.
func webhookSettings(cfg *config.Config) webhooks.Settings {
	s := webhooks.Settings{RetryFor: time.Duration(cfg.Webhooks.RetryFor)}
	for _, t := range cfg.Webhooks.Targets {
		s.Targets = append(s.Targets, webhooks.Target{
			URL: string(t.URL), Secrets: strings.Fields(string(t.Secret)), Events: t.Events, Streams: t.Streams,
		})
	}
	return s
}

// configure applies new settings.
func (h *hooks) configure(cfg *config.Config) error {
	return h.dispatcher.Configure(webhookSettings(cfg))
}

// streamChanged hears of each state of a stream (stream.Options.Changed).
func (h *hooks) streamChanged(s *stream.Stream, state stream.State) {
	h.mu.Lock()
	h.changes = append(h.changes, change{s, state, h.now()})
	h.mu.Unlock()
	h.wake()
}

// goesOn hears that a stream which is about to begin goes on with what another node had of it.
func (h *hooks) goesOn(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.continued[name] = struct{}{}
}

// deskChanged hears of each change of a stream's cards (overlay.Options.Changed).
func (h *hooks) deskChanged(name string) {
	h.mu.Lock()
	h.dirty[name] = struct{}{}
	h.mu.Unlock()
	h.wake()
}

func (h *hooks) wake() {
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// run makes and sends events until ctx ends. Whatever changes streams or cards has ended by then: it is all told before run
// returns.
func (h *hooks) run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var sender sync.WaitGroup
	sender.Go(func() {
		if err := h.dispatcher.Run(sending); err != nil {
			h.log.Error("the queue of webhooks could not be closed: events of the last moments may be sent once more, or be lost", "error", err)
		}
	})
	soon, often := time.NewTimer(0), time.NewTicker(healthEvery)
	defer soon.Stop()
	defer often.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-h.signal:
		case <-soon.C:
		case <-often.C:
			h.examine(h.now())
		}
		if h.look(h.now(), false) {
			soon.Reset(hooksEvery)
		}
	}
	h.look(h.now(), true)
	stop()
	sender.Wait()
}

// look tells what has changed; waits is true when something has still to be told soon. At the end nothing waits.
func (h *hooks) look(now time.Time, end bool) (waits bool) {
	h.mu.Lock()
	changes, dirty := h.changes, h.dirty
	h.changes, h.dirty = nil, map[string]struct{}{}
	h.mu.Unlock()
	for _, c := range changes {
		h.apply(c)
	}
	for _, s := range h.shows {
		if !s.started {
			waits = h.start(s, now, end) || waits
		}
	}
	for name := range dirty {
		h.readCards(name, now)
	}
	return h.tellCards(now, end) || waits
}

// apply follows a stream.
func (h *hooks) apply(c change) {
	s := h.shows[c.stream]
	switch c.state {
	case stream.Live, stream.Waiting:
		if s == nil {
			s = &show{stream: c.stream, began: c.stream.Info().Created, health: health{troubles: map[string]*trouble{}}}
			h.mu.Lock()
			_, s.continued = h.continued[c.stream.Name()]
			delete(h.continued, c.stream.Name())
			h.mu.Unlock()
			h.shows[c.stream] = s
		}
		s.away = c.state == stream.Waiting
	case stream.Ended:
		// One that goes on with what another node, or process, had was told of there, even if nothing came of it here.
		if s != nil && (s.started || !h.start(s, c.at, true)) && (s.started || s.continued) {
			h.send(webhooks.StreamEnded, s, c.at, webhooks.Ended{
				Show: s.began.UnixMilli(), Reason: h.why(s), DurationSeconds: seconds(c.at.Sub(s.began)), Reconnects: c.stream.Info().Reconnects,
			})
		}
		delete(h.shows, c.stream)
	case stream.Elsewhere: // the show goes on: the other node tells
		delete(h.shows, c.stream)
	}
}

// why a stream has ended.
func (h *hooks) why(s *show) string {
	switch {
	case h.stopping():
		return webhooks.EndedShutdown
	case s.away:
		return webhooks.EndedGone
	}
	return webhooks.EndedStopped
}

// start tells that a stream has begun, once its tracks are known; waits is true while they are not. One on which nothing ever came
// was no show.
func (h *hooks) start(s *show, now time.Time, end bool) (waits bool) {
	in := s.stream.Info()
	some, all := false, len(in.Tracks) > 0
	for _, t := range in.Tracks {
		some, all = some || t.Frames > 0, all && t.Frames > 0
	}
	settled := now.Sub(s.began) >= tracksWithin || end
	if !some || !settled && !(all && len(in.Tracks) > 1) {
		return !end
	}
	s.started = true
	name := s.stream.Name()
	data := webhooks.Started{
		Show: s.began.UnixMilli(), Protocol: in.Protocol, Agent: in.Agent, Continued: s.continued, Tracks: []webhooks.Track{},
		Watch: "/watch/" + name, Playlist: "/live/" + name + "/index.m3u8",
	}
	for _, t := range in.Tracks {
		kind := "audio"
		if t.Track.Video() {
			kind = "video"
		}
		data.Tracks = append(data.Tracks, webhooks.Track{
			Kind: kind, Codec: t.Track.Codec.String(), Width: t.Track.Width, Height: t.Track.Height,
			SampleRate: t.Track.SampleRate, Channels: t.Track.Channels, Language: t.Track.Language,
		})
	}
	h.send(webhooks.StreamStarted, s, s.began, data)
	return false
}

func (h *hooks) send(typ string, s *show, at time.Time, data any) {
	h.emit(webhooks.Event{Type: typ, Stream: s.stream.Name(), Time: at, Data: data})
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return round(max(0, d).Seconds(), 1000) }

// ladderTrouble says what is wrong with what is made of a stream; "" when nothing is.
func ladderTrouble(m *ladder.Manager, name string) string {
	in, ok := m.Info(name)
	if !ok {
		return ""
	}
	for i := range in.Jobs {
		switch in.Jobs[i].State {
		case ladder.Failed:
			return "The renditions of the stream fail: pushcart ladder " + name + " shows why."
		case ladder.Overloaded:
			return "There is no room on this host for the stream's renditions."
		}
	}
	for i := range in.Rungs {
		if in.Rungs[i].Off != "" {
			return "The rendition " + in.Rungs[i].Name + " is not made: " + in.Rungs[i].Off
		}
	}
	return ""
}
