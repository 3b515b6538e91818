package relay

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// Limits of what a Server gives.
type Limits struct {
	// MaxPeers is how many copies other nodes make from this one at the same time, each of one stream; 0 is 64. Who comes then is
	// sent to another holder.
	MaxPeers int
	// MaxBacklog is how many bytes of media a peer may be behind before it gets a new state instead of what it missed; 0 is 8 MiB.
	MaxBacklog int
}

// Times of a log.
const (
	// pingEvery is how long a log is silent at most. Peers take 2.5 s of silence for the end.
	pingEvery = 800 * time.Millisecond
	// pingAtLeast is how often pings come among other records, for their clock: each wakes both ends.
	pingAtLeast = 10 * time.Second
	// checkEvery is how often it is looked at whether the peer may still have the log.
	checkEvery = time.Second
	// writeWithin is how long a peer may take for maxWrite bytes before it is cut.
	writeWithin = 5 * time.Second
	// behindMost is how much media a peer may be behind before it gets a new state.
	behindMost = 3 * window.Rate
	// farMost is how long a log goes on whose way has become too long.
	farMost = 6 * time.Second
	// absentMost is how long a log of a presentation that is over waits for media that this node does not have itself.
	absentMost = 10 * time.Second
)

// CardsState is what there is to tell of a stream's cards at one moment.
type CardsState struct {
	// Cards are all that the stream has or had, in no order.
	Cards []wire.Card
	// Desk is what the cards are continued from at another node, opaque; nil is none.
	Desk []byte
	// Keys is the JSON Web Key Set that the origin's states are verified with; "" on the origin, whose own the directory has.
	Keys string
	// Changed is closed at the next change; nil is never.
	Changed <-chan struct{}
}

// Cards are a stream's.
type Cards interface {
	// Snapshot returns the present state, whose slices are not to be changed by anybody. It is for any goroutine and does no I/O.
	Snapshot() CardsState
}

// ServerOptions are what a Server needs. Functions are for any goroutine, and do no I/O.
type ServerOptions struct {
	// Directory of the cluster.
	Directory Directory
	// Identity returns the name and region of the node that a verified certificate belongs to.
	Identity func(*x509.Certificate) (name, region string, err error)
	// Verify checks a stream's token for a node.
	Verify func(token, stream, node string) error
	// Presentation returns the newest one of a stream that this node holds, own or copied; nil: none.
	Presentation func(stream string) *window.Presentation
	// Await is asked where Presentation has none: a peer of the region may come before any viewer did. It has the stream copied, and
	// waits until there is something, within a bound of its own; nil: none. A nil Await is 404 at once.
	Await func(ctx context.Context, stream, peer string) *window.Presentation
	// Path returns the names of the nodes from the stream's origin to this one, both among them; nil for a stream whose origin
	// this node is, as is a nil Path.
	Path func(stream string) []string
	// Incoming returns what is arriving of a copied rendition; nil for one's own, as is a nil Incoming.
	Incoming func(stream, rendition string) *Incoming
	// Cards returns a stream's; nil is none, as is a nil Cards.
	Cards func(stream string) Cards
	// Reverse answers POST /relay/1/reverse, by which peers that cannot be dialled offer connections; nil is 404. It has to find
	// out by itself who asks.
	Reverse http.Handler
	// Limits in force; nil is Limits{}.
	Limits func() Limits
	// Log may be nil.
	Log *slog.Logger
	// Registerer for metrics; may be nil.
	Registerer prometheus.Registerer
	// Now is the clock that pings tell; nil is time.Now.
	Now func() time.Time
}

// Server gives out the presentations of this node as logs, to peers with a certificate of the cluster and the stream's token. It
// is an http.Handler for HTTP/1.1 over TLS:
//
//	GET /relay/1/{stream}                   the index log: hello, view, cards
//	GET /relay/1/{stream}/{rendition}       a rendition's log: state, media, steps
//	    ?have=GEN:MSN.PART-GEN:MSN.PART,…   what the peer has media of already: 8 ranges at most, ends included
//	POST /relay/1/reverse                   see ServerOptions.Reverse
//
// Requests have Authorization: Bearer TOKEN, and may have Pushcart-Path (the names of the nodes that the copy goes to, separated
// by commas) and Pushcart-Gen (the generation that the peer knows of; 409 where this node's is another).
type Server struct {
	opts    ServerOptions
	self    Peer // as the node began: what changes of it is nothing to peers
	mux     *http.ServeMux
	metrics *serverMetrics

	mu     sync.Mutex
	closed bool                          // guarded by mu
	logs   map[logKey]*log               // guarded by mu
	peers  map[peerKey]int               // how many logs each has; guarded by mu
	sums   map[*window.Rendition]*sumSet // guarded by mu
	wait   sync.WaitGroup                // added to under mu while not closed
}

// peerKey is a copy of a stream by another node; logKey is one of its logs, with "" for the index.
type (
	peerKey struct{ node, stream string }
	logKey  struct {
		peerKey
		rendition string
	}
)

// NewServer makes a server.
func NewServer(opts ServerOptions) *Server {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Limits == nil {
		opts.Limits = func() Limits { return Limits{} }
	}
	s := &Server{
		opts: opts, self: opts.Directory.Self(), mux: http.NewServeMux(),
		logs: map[logKey]*log{}, peers: map[peerKey]int{}, sums: map[*window.Rendition]*sumSet{},
	}
	s.metrics = newServerMetrics(opts.Registerer, s)
	s.mux.HandleFunc("GET /relay/1/{stream}", s.serve)
	s.mux.HandleFunc("GET /relay/1/{stream}/{rendition}", s.serve)
	if opts.Reverse != nil {
		s.mux.Handle("POST /relay/1/reverse", opts.Reverse)
	}
	return s
}

// ServeHTTP answers a request of a peer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends all logs with a bye that says so, and waits for them. Requests that come later are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.logs {
		l.end(wire.Stopping)
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// Peers is how many other nodes copy a stream from this one.
func (s *Server) Peers(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k := range s.peers {
		if k.stream == stream {
			n++
		}
	}
	return n
}

// Load is how many copies are made from this node, and whether it takes no further ones.
func (s *Server) Load() (peers int, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers), len(s.peers) >= s.limits().MaxPeers
}

func (s *Server) limits() Limits {
	l := s.opts.Limits()
	if l.MaxPeers <= 0 {
		l.MaxPeers = 64
	}
	if l.MaxBacklog <= 0 {
		l.MaxBacklog = 8 << 20
	}
	return l
}

// enter admits a log. It ends the one that the same node had of the same before, which it has lost then.
func (s *Server) enter(l *log) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return refuse(http.StatusServiceUnavailable, "stopping", "this node is about to end")
	}
	if s.peers[l.key.peerKey] == 0 && len(s.peers) >= s.limits().MaxPeers {
		return refuse(http.StatusServiceUnavailable, "full", "this node gives as many copies as it may; relay.max_peers has the limit")
	}
	if old := s.logs[l.key]; old != nil {
		old.end(wire.Replaced)
	}
	s.logs[l.key] = l
	s.peers[l.key.peerKey]++
	s.wait.Add(1)
	return nil
}

// leave is enter's opposite.
func (s *Server) leave(l *log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[l.key] == l {
		delete(s.logs, l.key)
	}
	if s.peers[l.key.peerKey]--; s.peers[l.key.peerKey] == 0 {
		delete(s.peers, l.key.peerKey)
	}
	s.wait.Done()
}

// path of a stream from its origin to this node.
func (s *Server) path(stream string) []string {
	if s.opts.Path != nil {
		if p := s.opts.Path(stream); p != nil {
			return p
		}
	}
	return []string{s.self.Name}
}

// allowed tells whether a region may have a stream now.
func allowed(e *Entry, region string) bool {
	return len(e.Regions) == 0 || slices.Contains(e.Regions, region)
}
