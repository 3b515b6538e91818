package node

import (
	"log/slog"
	"sync"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/overlay"
	"pushcart/packager"
	"pushcart/packager/hls"
	"pushcart/packager/window"
)

// presentations makes a packager for each stream, and takes its presentation away some time after the stream's end.
type presentations struct {
	registry *hls.Registry
	metrics  *packager.Metrics
	settings func() *config.Config
	log      *slog.Logger
	now      func() time.Time
	// ladder gives a stream that begins its renditions by ffmpeg; nil leaves it without.
	ladder func(*stream.Stream) stream.Consumer
	// claimed tells the generation that a stream which begins has in the cluster, and what other nodes had of it, to go on with; ok
	// is false where there is no cluster. begun is told what came of it.
	claimed func(name string) (gen int64, copied *window.Presentation, ok bool)
	begun   func(s *stream.Stream, k *packager.Packager)
	// goesOn is told of a stream that begins with what another node had of it; nil is nobody.
	goesOn func(name string)
	// published is told, under the stream's lock, that the first part of an era is there; nil is nobody.
	published func(name string, era int)
	// cards ties a stream that begins to its desk; nil leaves it without.
	cards func(name string, s overlay.Screen) stream.Consumer

	mu      sync.Mutex // guards what follows
	lastMSN map[string]func() int64
	timers  map[*time.Timer]struct{}
	closed  bool
}

// attach is the hub's: it gives a new stream its consumers.
func (p *presentations) attach(s *stream.Stream) []stream.Consumer {
	set := p.settings().HLS
	now := p.now()
	first := firstMSN(now, time.Duration(set.SegmentDuration))
	p.mu.Lock()
	defer p.mu.Unlock()
	// A show that follows one of the same name numbers on, even if the clock has not got so far.
	if last := p.lastMSN[s.Name()]; last != nil {
		first = max(first, last())
	}
	opt := packager.Options{
		Settings: packager.Settings{
			SegmentDuration: time.Duration(set.SegmentDuration), MaxSegmentDuration: time.Duration(set.MaxSegmentDuration),
			PartDuration: time.Duration(set.PartDuration), DVR: time.Duration(set.DVR),
		},
		Gen: now.UnixMilli(), FirstMSN: first,
		Metrics: p.metrics, Log: p.log.With("stream", s.Name()), Now: p.now,
	}
	if p.published != nil {
		opt.Began = func(era int) { p.published(s.Name(), era) }
	}
	if p.claimed != nil {
		if gen, copied, ok := p.claimed(s.Name()); ok {
			opt.Gen, opt.Continue = gen, copied
			if copied != nil && p.goesOn != nil {
				p.goesOn(s.Name())
			}
		}
	}
	k := packager.New(s.Name(), opt)
	if k.Presentation() != opt.Continue {
		p.registry.Add(k.Presentation())
	}
	if p.begun != nil {
		p.begun(s, k)
	}
	p.lastMSN[s.Name()] = k.NextMSN
	consumers := []stream.Consumer{&lingering{Packager: k, p: p, keep: lingers(p.settings()), name: s.Name()}}
	if p.ladder != nil {
		consumers = append(consumers, p.ladder(s))
	}
	if p.cards != nil {
		consumers = append(consumers, p.cards(s.Name(), screen{k}))
	}
	return consumers
}

// lingers is how long a presentation stays fetchable after its end.
func lingers(c *config.Config) time.Duration {
	return time.Duration(c.HLS.DVR) + 4*time.Duration(c.HLS.MaxSegmentDuration)
}

// firstMSN numbers a new show's first segment by the clock, so that a node that lost all state goes forward: two numbers
// for each segment duration, because segments may be shorter than their goal and must not outrun the clock; but never less
// than one a second, so that a longer duration in the next configuration does not take the numbers back.
func firstMSN(now time.Time, segment time.Duration) int64 {
	return max(now.Unix(), 2*now.UnixMilli()/max(1, segment.Milliseconds()))
}

// lingering is a packager whose presentation stays fetchable for a while after its end.
type lingering struct {
	*packager.Packager
	p    *presentations
	keep time.Duration
	name string
}

// End implements stream.Consumer.
func (l *lingering) End() {
	l.Packager.End()
	l.ended()
	l.p.linger(l.Presentation(), l.keep)
}

// Yield is told when another node has the stream: whoever follows it there has the presentation from now on.
func (l *lingering) Yield() {
	l.Packager.Yield()
	l.ended()
}

// ended remembers where the packager stopped, and lets go of it.
func (l *lingering) ended() {
	next := l.NextMSN()
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if len(l.p.lastMSN) > mostNumbered {
		clear(l.p.lastMSN) // the clock numbers on; this is only for shows that follow at once
	}
	l.p.lastMSN[l.name] = func() int64 { return next }
}

// mostNumbered is of how many streams it is remembered where they stopped.
const mostNumbered = 10000

// linger takes a presentation away after a while.
func (p *presentations) linger(what *window.Presentation, keep time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.registry.Remove(what)
		return
	}
	var t *time.Timer
	t = time.AfterFunc(keep, func() {
		p.registry.Remove(what)
		p.mu.Lock()
		delete(p.timers, t)
		p.mu.Unlock()
	})
	p.timers[t] = struct{}{}
}

// close stops the timers.
func (p *presentations) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for t := range p.timers {
		t.Stop()
	}
}
