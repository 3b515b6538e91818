package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"pushcart/packager/window"
)

// last waits for the last media.
func (t *Takeover) last(ctx context.Context, n *Node, f final) {
	all := make([]given, len(f.Streams))
	for i := range f.Streams {
		all[i] = f.Streams[i].given
	}
	t.dir.set(all)
	deadline := time.NewTimer(lastTime)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < len(f.Streams); {
		s := &f.Streams[i]
		what := s.behind(n.registry.Get(s.Stream))
		if what == "" {
			i++
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-deadline.C:
			t.log.Warn("a stream goes on without some of its media, which did not come in time", "stream", s.Stream, "lacks", what)
			return
		}
	}
}

// inherited is what is here of a process that has died.
func (t *Takeover) inherited(n *Node) final {
	var f final
	for _, p := range n.registry.All() {
		if _, ok := leadingPosition(p); !ok {
			continue
		}
		s := describe(p)
		if i := slices.IndexFunc(t.streams, func(g given) bool { return g.Stream == p.Stream && g.Gen == p.Gen() }); i >= 0 {
			s.Publisher, s.Wait = t.streams[i].Publisher, time.Duration(n.cfg.Load().Publish.ReconnectWindow)
		}
		f.Streams = append(f.Streams, s)
	}
	return f
}

// adopt makes the copies this process's own. It returns those that go on.
func (t *Takeover) adopt(ctx context.Context, n *Node, f final) map[string]*window.Presentation {
	t.dir.part()
	heirs := map[string]*window.Presentation{}
	var mu sync.Mutex // guards heirs
	var taking sync.WaitGroup
	for i := range f.Streams {
		s := &f.Streams[i]
		if s.Ended {
			if p := n.registry.Get(s.Stream); p != nil {
				n.shows.linger(p, lingers(n.cfg.Load()))
			}
			continue
		}
		taking.Go(func() {
			e, _ := t.dir.Lookup(s.Stream)
			p, err := t.manager.TakeOver(ctx, s.Stream, e)
			if p == nil {
				t.log.Warn("a stream could not be taken over: it begins anew when its publisher comes", "stream", s.Stream, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			heirs[s.Stream] = p
		})
	}
	taking.Wait()
	return heirs
}

// expect has the streams that go on wait for their publishers, as they waited for one another. One that nobody is expected of ends.
func (t *Takeover) expect(n *Node, f final, heirs map[string]*window.Presentation) {
	window := time.Duration(n.cfg.Load().Publish.ReconnectWindow)
	for i := range f.Streams {
		s := &f.Streams[i]
		p := heirs[s.Stream]
		if p == nil {
			continue
		}
		if s.Publisher == (publisher{}) {
			p.End()
			n.shows.linger(p, lingers(n.cfg.Load()))
			continue
		}
		n.expect(p, s.Publisher, min(s.Wait, window))
	}
}
