package node

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/packager/hls"
)

// How a drain goes on.
const (
	// publisherGrace is how long publishers that were told to leave may take: two key frames, as a rule.
	publisherGrace = 5 * time.Second
	// closeSpread is over how long viewers' connections are closed: not all of them are to come to other nodes at once.
	closeSpread = 10 * time.Second
	// drainLook is how often is looked at who is still there.
	drainLook = 50 * time.Millisecond
	// drainTell is how often the log tells what is waited for.
	drainTell = 5 * time.Second
	// shortestQuiet is how long no viewer must have asked for anything, at least, to be taken for gone.
	shortestQuiet = time.Second
)

// drain is what the node does when it is to be left: on demand, or because it stops.
//
// On demand (POST /drain) it tells load balancers that it is not ready, takes no publisher that comes, and closes viewers' connections
// behind their responses; it serves whoever is there or comes all the same, and DELETE /drain takes it back. Stopping begins with the same,
// and goes on: publishers are sent away, shows end, and viewers are served until they have what there is.
type drain struct {
	log    *slog.Logger
	hurry  chan struct{} // closed by Hurry
	spread time.Duration // closeSpread, but for tests

	told   atomic.Bool  // viewers' requests are looked at
	began  atomic.Int64 // when it began, in ns of Unix time; 0 is not at all
	asked  atomic.Int64 // when a viewer asked for media last, likewise
	open   atomic.Int64 // requests for media that are being answered
	closed atomic.Int64 // connections that were closed behind a response

	mu       sync.Mutex // guards what follows
	stopping bool
	hurried  bool
}

func newDrain(log *slog.Logger, reg prometheus.Registerer) *drain {
	d := &drain{log: log, hurry: make(chan struct{}), spread: closeSpread}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_draining", Help: "1 while the node is drained or stops, else 0."}, func() float64 {
			if d.began.Load() != 0 {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pushcart_drain_duration_seconds", Help: "For how long the node has been drained; 0 while it is not."}, func() float64 {
			return d.since(time.Now()).Seconds()
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "pushcart_drain_connections_closed_total", Help: "Viewers' connections that were closed behind a response because the node is drained."},
			func() float64 { return float64(d.closed.Load()) }),
	)
	return d
}

// since tells for how long the drain has lasted; 0 without one.
func (d *drain) since(now time.Time) time.Duration {
	if began := d.began.Load(); began != 0 {
		return now.Sub(time.Unix(0, began))
	}
	return 0
}

// begin starts the drain; false tells that it goes on already.
func (d *drain) begin(now time.Time) bool {
	first := d.began.CompareAndSwap(0, now.UnixNano())
	d.told.Store(true)
	return first
}

// order begins a drain on demand, with the door shut; false tells that one goes on already.
func (d *drain) order(now time.Time, shut func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	shut()
	return d.begin(now)
}

// takeBack ends a drain that was begun on demand, and opens the door; false is one of a node that stops, or none.
func (d *drain) takeBack(reopen func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping || d.began.Load() == 0 {
		return false
	}
	d.told.Store(false)
	d.began.Store(0)
	reopen()
	return true
}

// unlessBegun opens the door again that was shut for another reason than a drain: during one it stays shut.
func (d *drain) unlessBegun(reopen func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.began.Load() == 0 {
		reopen()
	}
}

// stops tells whether the node does; ordered whether it is drained on demand.
func (d *drain) stops() (stops, ordered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopping, !d.stopping && d.began.Load() != 0
}

// stop makes the drain one that cannot be taken back.
func (d *drain) stop(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopping = true
	d.begin(now)
}

// unready tells why the node is not ready; "" when it is not drained.
func (d *drain) unready() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.stopping:
		return "stopping"
	case d.began.Load() != 0:
		return "drained since " + time.Unix(0, d.began.Load()).UTC().Format(time.RFC3339) + "; DELETE /drain takes that back"
	}
	return ""
}

// watch looks at viewers' requests while the node is drained: who asks, and that their connections end.
func (d *drain) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.told.Load() {
			next.ServeHTTP(w, r)
			return
		}
		if d.lastOne(time.Now()) {
			// HTTP/1.1: the connection ends behind the response (RFC 9112 9.6). With HTTP/2 the server sends GOAWAY.
			w.Header().Set("Connection", "close")
			d.closed.Add(1)
		}
		if isMedia(r.URL.Path) {
			d.open.Add(1)
			defer func() {
				d.asked.Store(time.Now().UnixNano())
				d.open.Add(-1)
			}()
		}
		next.ServeHTTP(w, r)
	})
}

// isMedia tells whether a path is of a segment or a part. Playlists do not tell a viewer from a page that waits for the next show.
func isMedia(path string) bool {
	return strings.HasPrefix(path, hls.Prefix) && (strings.HasSuffix(path, ".m4s") || strings.HasSuffix(path, ".mp4"))
}

// lastOne tells whether a response is its connection's last: more and more of them are, and all once the spread is over.
func (d *drain) lastOne(now time.Time) bool {
	since := d.since(now)
	return since >= d.spread || rand.Int64N(int64(d.spread)) < int64(since)
}

// wait waits until done, for the time that is left, or until somebody is in a hurry. It tells whether it is done, and the log in between.
func (d *drain) wait(within time.Duration, done func(now time.Time) bool, tell func(left time.Duration)) bool {
	began := time.Now()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for told := began; ; {
		now := time.Now()
		if done(now) {
			return true
		}
		left := within - now.Sub(began)
		if left <= 0 {
			return false
		}
		if now.Sub(told) >= drainTell {
			tell(left.Round(time.Second))
			told = now
		}
		select {
		case <-look.C:
		case <-d.hurry:
			return false
		}
	}
}

// viewersGone tells that nobody has asked for media for a while.
func (d *drain) viewersGone(quiet time.Duration) func(now time.Time) bool {
	return func(now time.Time) bool {
		return d.open.Load() == 0 && now.Sub(time.Unix(0, d.asked.Load())) >= quiet
	}
}

// Hurry has a node that stops wait for nobody any more. It may be called from any goroutine, also before Run.
func (n *Node) Hurry() {
	d := n.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.hurried {
		d.hurried = true
		close(d.hurry)
	}
}

// audience is how many viewers there are, as far as they were seen in the last seconds.
func (n *Node) audience(now time.Time) (sum int) {
	for _, p := range n.registry.All() {
		sum += n.registry.Viewers(p.Stream, now)
	}
	return sum
}

// askPublishers lets no publisher in any more, and asks those that are in to come back: at once when another process goes on here.
func (n *Node) askPublishers(here bool) ingest.Guests {
	n.door.Shut(ingest.Drain{Here: here})
	return n.door.SendAway(ingest.Drain{Here: here})
}

// dismissPublishers ends the sessions of those who are still in.
func (n *Node) dismissPublishers(here bool) { n.door.Dismiss(ingest.Drain{Here: here}) }

// seePublishersOff asks publishers to leave and waits until they have, for the time given at most. Those who stay are dismissed.
func (n *Node) seePublishersOff(here bool, within time.Duration) {
	told := n.askPublishers(here)
	if told.Sum() > 0 {
		args := []any{"publishers", told.Sum(), "for", within}
		for _, protocol := range told.Protocols() {
			args = append(args, protocol, told[protocol])
		}
		n.log.Info("stopping: publishers are told to reconnect", args...)
	}
	n.drain.wait(within, func(time.Time) bool { return n.door.Guests().Sum() == 0 }, func(left time.Duration) {
		n.log.Info("stopping: waiting for publishers to leave", "publishers", n.door.Guests().Sum(), "left", left)
	})
	if stay := n.door.Guests(); stay.Sum() > 0 {
		n.log.Warn("stopping: publishers did not leave by themselves; their sessions are ended", "publishers", stay.Sum())
		n.dismissPublishers(here)
	}
}

// seeViewersOff serves viewers until nobody has asked for media in the time of two segments, for the time given at most.
func (n *Node) seeViewersOff(within time.Duration) {
	d := n.drain
	quiet := max(shortestQuiet, 2*time.Duration(n.cfg.Load().HLS.SegmentDuration))
	if now := time.Now(); n.audience(now) > 0 {
		d.asked.CompareAndSwap(0, now.UnixNano())
	}
	if d.viewersGone(quiet)(time.Now()) || within <= 0 {
		return
	}
	n.log.Info("stopping: viewers are served what there is", "viewers", n.audience(time.Now()), "for", within.Round(time.Second))
	began := time.Now()
	if d.wait(within, d.viewersGone(quiet), func(left time.Duration) {
		n.log.Info("stopping: waiting for viewers", "viewers", n.audience(time.Now()), "open_requests", d.open.Load(),
			"asked_ago", time.Since(time.Unix(0, d.asked.Load())).Round(100*time.Millisecond), "left", left)
	}) {
		n.log.Info("stopping: no viewer asks for media any more", "took", time.Since(began).Round(100*time.Millisecond))
		return
	}
	n.log.Warn("stopping: viewers are left", "viewers", n.audience(time.Now()), "open_requests", d.open.Load(),
		"hint", "set drain.timeout for more time")
}

// inheritDrain goes on with the drain of the process before. Where shows go on that is not done: their publishers come back here, and a
// drained node lets nobody in.
func (n *Node) inheritDrain(shows int) {
	if shows > 0 {
		n.log.Warn("the process before was drained, and this one is ready: the publishers of its shows come back here", "streams", shows,
			"hint", "POST /drain again if the node is to stay drained")
		return
	}
	n.drain.order(time.Now(), func() { n.door.Shut(ingest.Drain{}) })
	n.log.Warn("drained, as the process before was: DELETE /drain takes that back")
}

// leave is how a node stops: it is ready no more, sends publishers away, ends its shows, or leaves them to the cluster's other nodes, and
// serves viewers on for a while.
func (n *Node) leave(stopFetching func()) {
	n.drain.stop(time.Now())
	n.ready.Store(false)
	timeout := time.Duration(n.cfg.Load().Drain.Timeout)
	until := time.Now().Add(timeout)
	n.log.Info("stopping", "drain_timeout", timeout, "publishers", n.door.Guests().Sum(), "viewers", n.audience(time.Now()),
		"hint", "a second signal ends the waiting; whoever stops the node has to give it that time, as docker stop --time and TimeoutStopSec do")
	stopFetching()
	if timeout > 0 {
		n.seePublishersOff(false, min(publisherGrace, timeout))
	} else {
		n.door.Shut(ingest.Drain{})
	}
	if n.cluster != nil {
		n.cluster.leave()
	}
	n.hub.Close()
	n.seeViewersOff(time.Until(until))
	n.log.Info("stopping: drained", "took", n.drain.since(time.Now()).Round(100*time.Millisecond))
}

// registerDrain mounts what load balancers and operators ask and do.
func (n *Node) registerDrain(mux *http.ServeMux) {
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		why := n.drain.unready()
		if why == "" && !n.ready.Load() {
			why = "starting"
		}
		if why != "" {
			http.Error(w, "not ready: "+why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("/drain", notOfPages(http.HandlerFunc(n.serveDrain)))
}

// notOfPages refuses requests that change something and come from a page in a browser: programs send neither of these headers, and
// browsers send one with each such request (Fetch 3.2, Fetch Metadata 2). That a page is of the same site means nothing: a name can be made
// to stand for this host, and the admin port has pages of its own that change nothing.
func notOfPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !asks && len(r.Header["Origin"])+len(r.Header["Sec-Fetch-Site"]) > 0 {
			http.Error(w, "This is not for pages in a browser: ask with a program such as curl.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveDrain answers GET, POST and DELETE of /drain.
func (n *Node) serveDrain(w http.ResponseWriter, r *http.Request) {
	d := n.drain
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		move := r.URL.Query().Get("publishers")
		if move != "" && move != "keep" && move != "move" {
			http.Error(w, "publishers is keep, which is the default, or move", http.StatusBadRequest)
			return
		}
		if d.order(time.Now(), func() { n.door.Shut(ingest.Drain{}) }) {
			n.log.Warn("drained: the node is not ready, takes no new publishers, and closes viewers' connections", "by", r.RemoteAddr,
				"publishers", n.door.Guests().Sum(), "viewers", n.audience(time.Now()))
		}
		if move == "move" {
			n.log.Warn("drained: publishers are told to reconnect", "publishers", n.door.SendAway(ingest.Drain{}).Sum())
		}
	case http.MethodDelete:
		if d.takeBack(n.door.Reopen) {
			n.log.Warn("the drain is taken back: the node is ready", "by", r.RemoteAddr)
		} else if d.unready() != "" {
			http.Error(w, "The node stops: that cannot be taken back.", http.StatusConflict)
			return
		}
	default:
		w.Header().Set("Allow", "DELETE, GET, HEAD, POST")
		http.Error(w, "GET tells of the drain, POST begins it, DELETE takes it back.", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(n.drained(time.Now()))
}

// drainState is what GET /drain tells.
type drainState struct {
	// State is "ready", "drained" or "stopping".
	State string `json:"state"`
	// Seconds for which that has been so, 0 when it is ready.
	Seconds float64 `json:"seconds"`
	// Publishers that are in, by protocol.
	Publishers ingest.Guests `json:"publishers"`
	// Viewers that were seen in the last seconds.
	Viewers int `json:"viewers"`
}

func (n *Node) drained(now time.Time) drainState {
	s := drainState{State: "ready", Seconds: n.drain.since(now).Seconds(), Publishers: n.door.Guests(), Viewers: n.audience(now)}
	n.drain.mu.Lock()
	defer n.drain.mu.Unlock()
	switch {
	case n.drain.stopping:
		s.State = "stopping"
	case s.Seconds > 0:
		s.State = "drained"
	}
	return s
}
