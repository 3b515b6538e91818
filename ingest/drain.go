package ingest

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
)

// Drain is how publishers are sent away by a node that stops to take them. The zero value is a node that stops.
type Drain struct {
	// Here tells that another process goes on at the same address, and takes who comes back at once. Otherwise the publisher may find
	// nobody for a while, or another node behind the same name.
	Here bool
}

// Refusal is what a publisher is told.
func (d Drain) Refusal() *Refusal {
	if d.Here {
		return Refuse(ReasonShutdown, "This server is being replaced by a newer one. Reconnect now: the same address takes you.")
	}
	return Refuse(ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
}

// Guests counts publishers by protocol.
type Guests map[string]int

// Sum of all protocols.
func (g Guests) Sum() (n int) {
	for _, v := range g {
		n += v
	}
	return n
}

// Protocols in order.
func (g Guests) Protocols() []string { return slices.Sorted(maps.Keys(g)) }

// Shut has the door refuse everybody who comes from now on, with ReasonShutdown; those who are in stay. A publisher that is on its way
// in when Shut is called is refused or is one of Guests when it returns.
func (d *Door) Shut(how Drain) {
	b := &d.book
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut = &how
}

// Reopen takes Shut back. Those who were asked to leave are not held back.
func (d *Door) Reopen() {
	b := &d.book
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut = nil
}

// Guests are the publishers that are in, those that stand by among them. Streams that the node fetches are not.
func (d *Door) Guests() Guests {
	b := &d.book
	b.mu.Lock()
	defer b.mu.Unlock()
	g := Guests{}
	for v := range b.open {
		if !v.req.Pulled {
			g[v.req.Protocol]++
		}
	}
	return g
}

// SendAway tells everybody to leave and returns at once: who can be asked to come back elsewhere is asked and leaves by itself; of
// the others the session ends with the next key frame, so that what viewers have of the stream ends with a whole segment. Who stays
// in spite of that is for Dismiss. It tells of how many publishers there were, by protocol. Nobody is told twice.
func (d *Door) SendAway(how Drain) Guests {
	told := Guests{}
	for _, v := range d.book.visits() {
		if !v.told.CompareAndSwap(false, true) || v.req.Pulled {
			continue
		}
		told[v.req.Protocol]++
		d.opt.Metrics.told.WithLabelValues(v.req.Protocol).Inc()
		switch {
		case v.idle(): // nothing of it is seen
			v.end(how)
		case v.req.Reconnect != nil:
			v.req.Reconnect(how)
		default:
			v.ending.Store(&how)
		}
	}
	return told
}

// Dismiss ends the sessions of everybody who is still in. It returns at once.
func (d *Door) Dismiss(how Drain) {
	for _, v := range d.book.visits() {
		v.end(how)
	}
}

// book has everybody who is in.
type book struct {
	mu   sync.Mutex // guards what follows
	shut *Drain     // nil while the door is open
	open map[*visit]struct{}
}

// closed tells why nobody is let in; nil when the door is open.
func (b *book) closed() *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut == nil {
		return nil
	}
	return b.shut.Refusal()
}

// sign enters a publication; nil and a refusal if the door was shut meanwhile.
func (b *book) sign(v *visit) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut != nil {
		return b.shut.Refusal()
	}
	if b.open == nil {
		b.open = map[*visit]struct{}{}
	}
	b.open[v] = struct{}{}
	return nil
}

func (b *book) strike(v *visit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, v)
}

func (b *book) visits() []*visit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.open))
}

// receive opens the door, unless it is shut.
func (d *Door) receive(req Request) (Publication, *Refusal) {
	if refusal := d.book.closed(); refusal != nil {
		return nil, refusal
	}
	if kick := req.Kick; kick != nil {
		var once sync.Once
		req.Kick = func(r *Refusal) { once.Do(func() { kick(r) }) }
	}
	p, refusal := d.open(req)
	if refusal != nil {
		return nil, refusal
	}
	return d.admit(req, p)
}

// admit signs a publication in; it is closed again if the door was shut while it was opened.
func (d *Door) admit(req Request, p Publication) (Publication, *Refusal) {
	v := &visit{Publication: p, door: d, req: req, lead: -1}
	if refusal := d.book.sign(v); refusal != nil {
		p.Close(refusal)
		return nil, refusal
	}
	return v, nil
}

// visit is a publication that can be ended at a key frame.
type visit struct {
	Publication
	door   *Door
	req    Request
	told   atomic.Bool
	ending atomic.Pointer[Drain] // to end with the next key frame
	once   sync.Once

	// Of the publisher's goroutine.
	lead  int  // the lowest ID of a video track, -1 without video
	whole bool // the session was ended with a key frame
}

// idle tells of a publisher that stands by and waits.
func (v *visit) idle() bool {
	s, ok := v.Publication.(*standby)
	return ok && s.idles()
}

// end ends the session.
func (v *visit) end(how Drain) {
	if v.req.Kick != nil {
		v.req.Kick(how.Refusal())
	}
}

// SetTrack implements Publication.
func (v *visit) SetTrack(t *stream.Track) error {
	err := v.Publication.SetTrack(t)
	if err == nil && t.Video() && (v.lead < 0 || t.ID < v.lead) {
		v.lead = t.ID
	}
	return err
}

// Write implements Publication.
func (v *visit) Write(f *stream.Frame) error {
	if how := v.ending.Load(); how != nil && (v.lead < 0 || f.Key && f.Track.ID == v.lead) {
		v.whole = true
		return how.Refusal()
	}
	return v.Publication.Write(f)
}

// Close implements Publication.
func (v *visit) Close(cause error) {
	v.once.Do(func() {
		v.door.book.strike(v)
		if v.told.Load() && !v.req.Pulled {
			v.door.opt.Metrics.left.WithLabelValues(v.req.Protocol, v.how(cause)).Inc()
		}
	})
	v.Publication.Close(cause)
}

// How a publisher left that was told to.
const (
	leftItself  = "itself"    // it was asked, or had its own reason
	leftAtKey   = "key_frame" // its session was ended with a key frame
	leftTimeout = "timeout"   // its session was ended when the time was over, or at once
)

func (v *visit) how(cause error) string {
	var r *Refusal
	switch {
	case !errors.As(cause, &r) || r.Reason != ReasonShutdown:
		return leftItself
	case v.whole:
		return leftAtKey
	}
	return leftTimeout
}

// drainMetrics counts publishers that were told to leave.
type drainMetrics struct{ told, left *prometheus.CounterVec }

func newDrainMetrics(reg prometheus.Registerer) drainMetrics {
	m := drainMetrics{
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_drain_publishers_told_total", Help: "Publishers that were told to leave because the node stops or is drained, by protocol."}, []string{"protocol"}),
		left: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_drain_publishers_left_total", Help: "Publishers that were told to leave and left, by protocol and how: by themselves, ended with a key frame, or ended when the time was over."}, []string{"protocol", "how"}),
	}
	reg.MustRegister(m.told, m.left)
	return m
}
