package hls

import (
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/packager/window"
)

// Registry knows which presentations can be asked for under which name.
type Registry struct {
	// NumbersBack is told each time that numbers of a stream went back, which they never may: within a presentation, or from one to the
	// next. It must not block, and is set before anything is added; nil is nobody.
	NumbersBack func()

	mu      sync.RWMutex // guards what follows
	entries map[string]*entry
	added   chan struct{} // closed by the next Add; nil while nobody waits for it
}

// entry is one stream name's presentations, the newest first: the older ones only for their segments.
type entry struct {
	presentations []*window.Presentation
	audience      *audience
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{entries: map[string]*entry{}} }

// Add makes a presentation the one that its name stands for.
func (g *Registry) Add(p *window.Presentation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := &entry{presentations: []*window.Presentation{p}, audience: newAudience()}
	if g.NumbersBack != nil {
		p.OnRegress(g.NumbersBack)
	}
	if old := g.entries[p.Stream]; old != nil {
		if before := old.presentations[0]; g.NumbersBack != nil && before != p && p.Settings.FirstMSN < reachedBy(before) {
			g.NumbersBack()
		}
		next.presentations = append(next.presentations, old.presentations...)
		next.audience = old.audience
	}
	g.entries[p.Stream] = next
	if g.added != nil {
		close(g.added)
		g.added = nil
	}
}

// reachedBy is the number behind the last segment of a presentation.
func reachedBy(p *window.Presentation) (next int64) {
	for _, r := range p.Load().Renditions {
		if s := r.Load(); len(s.Segments) > 0 {
			next = max(next, s.NextMSN)
		}
	}
	return next
}

// Remove forgets a presentation.
func (g *Registry) Remove(p *window.Presentation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.entries[p.Stream]
	if old == nil {
		return
	}
	next := &entry{audience: old.audience}
	next.presentations = slices.DeleteFunc(slices.Clone(old.presentations), func(o *window.Presentation) bool { return o == p })
	if len(next.presentations) == 0 {
		delete(g.entries, p.Stream)
		return
	}
	g.entries[p.Stream] = next
}

// Get returns the presentation that a name stands for; nil when there is none.
func (g *Registry) Get(name string) *window.Presentation {
	if e := g.get(name); e != nil {
		return e.presentations[0]
	}
	return nil
}

// All returns the presentation that each name stands for, by name.
func (g *Registry) All() []*window.Presentation {
	g.mu.RLock()
	defer g.mu.RUnlock()
	all := make([]*window.Presentation, 0, len(g.entries))
	for _, e := range g.entries {
		all = append(all, e.presentations[0])
	}
	slices.SortFunc(all, func(a, b *window.Presentation) int { return strings.Compare(a.Stream, b.Stream) })
	return all
}

func (g *Registry) get(name string) *entry {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.entries[name]
}

// watch returns the entry of a name, nil when there is none, and a channel that is closed once a presentation of whatever
// name is added: one for all who wait.
func (g *Registry) watch(name string) (*entry, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.added == nil {
		g.added = make(chan struct{})
	}
	return g.entries[name], g.added
}

// Viewers estimates how many distinct viewers asked for a playlist of the stream in the ten seconds before now.
func (g *Registry) Viewers(name string, now time.Time) int {
	if e := g.get(name); e != nil {
		return e.audience.count(now)
	}
	return 0
}

// Bytes is how much media all presentations keep in memory.
func (g *Registry) Bytes() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := 0
	for _, e := range g.entries {
		for _, p := range e.presentations {
			for _, r := range p.Load().Renditions {
				n += r.Load().Bytes()
			}
		}
	}
	return n
}
