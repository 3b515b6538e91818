package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/internal/handover"
	"pushcart/packager/window"
	"pushcart/relay"
)

// Names of the two processes, as the relay wants them.
const (
	giver = "giver"
	taker = "taker"
)

// pair is the directory of two processes: one has all streams, the other copies them.
type pair struct {
	self string
	now  time.Time

	mu      sync.Mutex // guards what follows
	entries map[string]relay.Entry
	alone   bool // the other process is not asked any more
	changed chan struct{}
}

func newPair(self string) *pair {
	return &pair{self: self, now: time.Now(), entries: map[string]relay.Entry{}, changed: make(chan struct{})}
}

// set makes these all the streams that there are.
func (d *pair) set(streams []given) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.entries)
	for _, s := range streams {
		d.entries[s.Stream] = relay.Entry{Stream: s.Stream, Origin: giver, Gen: s.Gen, Live: true}
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// part ends the asking of the other process: what is here counts.
func (d *pair) part() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alone = true
}

// Self implements relay.Directory.
func (d *pair) Self() relay.Peer { return relay.Peer{Name: d.self, Started: d.now} }

// Peers implements relay.Directory.
func (d *pair) Peers() []relay.Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.self == giver || d.alone {
		return nil
	}
	return []relay.Peer{{Name: giver, Address: giver, Started: d.now, Seen: time.Now()}}
}

// Lookup implements relay.Directory.
func (d *pair) Lookup(stream string) (relay.Entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[stream]
	return e, ok
}

// Entries implements relay.Directory.
func (d *pair) Entries() []relay.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]relay.Entry, 0, len(d.entries))
	for _, e := range d.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b relay.Entry) int { return strings.Compare(a.Stream, b.Stream) })
	return all
}

// Changed implements relay.Directory.
func (d *pair) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Claim implements relay.Directory: nobody claims anything here.
func (d *pair) Claim(context.Context, relay.Claim) (relay.Entry, error) {
	return relay.Entry{}, relay.ErrUnreachable
}

// SetLive implements relay.Directory.
func (d *pair) SetLive(string, int64, bool) {}

// Release implements relay.Directory.
func (d *pair) Release(string, int64) {}

// Healthy implements relay.Directory.
func (d *pair) Healthy() (bool, time.Time) { return true, d.now }

// copies gives out this process's presentations. The other end of each connection is a process of the same user: that was found out
// before, and stands for the certificate that the relay wants.
func (u *upgrade) copies(dir *pair) http.Handler {
	s := relay.NewServer(relay.ServerOptions{
		Directory: dir, Presentation: u.n.registry.Get, Log: u.n.log,
		Identity: func(*x509.Certificate) (name, region string, err error) { return taker, "", nil },
		Verify:   func(_, _, _ string) error { return nil },
		Limits:   func() relay.Limits { return relay.Limits{MaxPeers: mostStreams, MaxBacklog: 256 << 20} },
	})
	trusted := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.TLS = trusted
		s.ServeHTTP(w, r)
	})
}

// mostStreams is how many presentations can be given.
const mostStreams = 100000

// giveMedia serves copies until the function that it returns is called.
func (u *upgrade) giveMedia(dir *pair) (stop func()) {
	q := handover.NewQueue()
	s := &http.Server{Handler: u.copies(dir), Protocols: onlyHTTP1(), ReadHeaderTimeout: helloTime}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(q) })
	u.copied.Store(q)
	return func() {
		u.copied.Store(nil)
		s.Close()
		serving.Wait()
	}
}

// present lists the presentations that there is something of.
func (u *upgrade) present() []given {
	var all []given
	for _, p := range u.n.registry.All() {
		if _, ok := leadingPosition(p); ok {
			who, _ := publisherOf(u.n.hub, p.Stream)
			all = append(all, given{p.Stream, p.Gen(), who})
		}
	}
	return all
}

// leadingPosition is that of the first rendition's last part; false while there is none.
func leadingPosition(p *window.Presentation) (window.Position, bool) {
	all := p.Load().Renditions
	if len(all) == 0 {
		return window.Position{}, false
	}
	return all[0].Load().Last()
}

// describe tells where a presentation stands.
func describe(p *window.Presentation) finalStream {
	v := p.Load()
	f := finalStream{given: given{Stream: p.Stream, Gen: p.Gen()}, Ended: v.Ended, Variants: len(v.Variants), Renditions: map[string]window.Position{}}
	for _, r := range v.Renditions {
		if last, ok := r.Load().Last(); ok {
			f.Renditions[r.Name] = last
		}
	}
	return f
}

// lacking says what a copy does not have yet; "" is nothing.
func lacking(p *window.Presentation, gen int64) string {
	switch {
	case p == nil:
		return "all of it"
	case p.Gen() != gen:
		return "its newest show"
	}
	if _, ok := leadingPosition(p); !ok {
		return "its first rendition"
	}
	for _, r := range p.Load().Renditions {
		for _, g := range r.Load().Segments {
			if g.Absent() {
				return "media of rendition " + r.Name
			}
		}
	}
	return ""
}

// behind says what a copy does not have yet of what is final; "" is nothing.
func (f *finalStream) behind(p *window.Presentation) string {
	if p == nil || p.Gen() != f.Gen {
		return lacking(p, f.Gen)
	}
	v := p.Load()
	for name, want := range f.Renditions {
		r := v.Rendition(name)
		if r == nil {
			return "rendition " + name
		}
		last, ok := r.Load().Last()
		if !ok || last.MSN < want.MSN || last.MSN == want.MSN && last.Part < want.Part || f.Ended && !r.Load().Ended {
			return "the end of rendition " + name
		}
		for _, g := range r.Load().Segments {
			if g.Absent() {
				return "media of rendition " + name
			}
		}
	}
	if len(v.Variants) != f.Variants || v.Ended != f.Ended {
		return "its variants"
	}
	return ""
}
