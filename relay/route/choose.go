package route

import (
	"cmp"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"pushcart/relay"
)

// Settings that may change while the router works.
type Settings struct {
	// Redirect sends viewers to a node that is nearer to them, by Redirect.
	Redirect bool
	// CountryHeader is the request header in which a CDN tells the viewer's country, such as CF-IPCountry; "" is none.
	CountryHeader string
	// Countries maps countries, continents and "*" to regions: see ValidPlace.
	Countries map[string]string
	// Fallback are regions in the order in which they stand in for one that has no node.
	Fallback []string
}

// Options sets a router up.
type Options struct {
	// Directory tells of nodes and streams.
	Directory relay.Directory
	// Settings returns those in force. It is called for each request.
	Settings func() Settings
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Router finds the nearest node for viewers. All methods are for any goroutine.
type Router struct{ opt Options }

// New makes a router.
func New(opt Options) *Router {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Router{opt: opt}
}

// via is the query parameter of an address that a viewer was sent to. Who has it is not sent on: two nodes may differ for a
// moment in what they know.
const via = "via"

// Elsewhere returns the address of a stream's multivariant playlist on a node that is nearer to the viewer; "" when there is
// none, this one is as near, or redirects are off. Where the stream may not be in this node's region, any node that may have it
// is nearer. It does no I/O.
func (t *Router) Elsewhere(r *http.Request, stream string) string {
	s := t.opt.Settings()
	if !s.Redirect || r.URL.Query().Has(via) {
		return ""
	}
	e, ok := t.opt.Directory.Lookup(stream)
	if !ok {
		return ""
	}
	self := t.opt.Directory.Self()
	order := t.order(s, viewerCountry(r, s), self)
	best, ok := t.nearest(e, order)
	if !ok || best.Name == self.Name {
		return ""
	}
	leaving := self.Load.Draining && !best.Load.Draining
	if allowed(e, self.Region) && !leaving && rank(order, best.Region) >= rank(order, self.Region) {
		return ""
	}
	return playlist(best, stream) + "?" + via + "=" + url.QueryEscape(self.Name)
}

// Redirect answers a request for a stream's multivariant playlist with 307 where Elsewhere knows a nearer node, and returns
// whether it did. Caches do not keep the answer, since it depends on who asks.
func (t *Router) Redirect(w http.ResponseWriter, r *http.Request, stream string) bool {
	target := t.Elsewhere(r, stream)
	if target == "" {
		return false
	}
	w.Header().Set("Location", target)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return true
}

// viewerCountry is where a request comes from: the query says so, or else the CDN; "" is not known.
func viewerCountry(r *http.Request, s Settings) string {
	if q := r.URL.Query(); q.Has("country") {
		return Country(q.Get("country"))
	}
	if s.CountryHeader == "" {
		return ""
	}
	return Country(r.Header.Get(s.CountryHeader))
}

// order lists regions, the nearest first. A viewer of whom nothing is known is near to the node that it came to.
func (t *Router) order(s Settings, country string, self relay.Peer) []string {
	var all []string
	if region := regionOf(s.Countries, country); region != "" {
		all = append(append(all, region), s.Fallback...)
		return append(all, self.Region)
	}
	return append(append(all, self.Region), s.Fallback...)
}

// rank is a region's place in the order; those that are not in it are last, and alike.
func rank(order []string, region string) int {
	if i := slices.Index(order, region); i >= 0 {
		return i
	}
	return len(order)
}

// allowed tells whether a stream may be in a region.
func allowed(e relay.Entry, region string) bool {
	return len(e.Regions) == 0 || slices.Contains(e.Regions, region)
}

// nearest finds the node to send a viewer to: of those that viewers can reach and that are not drained, one in the first region of the
// order that has any;
// there one that holds the stream, with the least load; of such, always the same one for a stream. Whether a node takes
// further peers (Load.Full) is nothing to viewers.
func (t *Router) nearest(e relay.Entry, order []string) (relay.Peer, bool) {
	var best relay.Peer
	var bestKey []float64
	for _, p := range t.nodes() {
		if publicURL(p) == "" || !allowed(e, p.Region) {
			continue
		}
		_, holds := held(p, e.Stream)
		// Smaller is better, the first that differs decides.
		key := []float64{one(p.Load.Draining), float64(rank(order, p.Region)), one(!holds), loadStep(p.Load), rendezvous(e.Stream, p.Name)}
		if bestKey == nil || slices.Compare(key, bestKey) < 0 || slices.Compare(key, bestKey) == 0 && p.Name < best.Name {
			best, bestKey = p, key
		}
	}
	return best, bestKey != nil
}

// nodes are this one and the others, by name.
func (t *Router) nodes() []relay.Peer { return nodesOf(t.opt.Directory) }

func nodesOf(d relay.Directory) []relay.Peer {
	all := append([]relay.Peer{d.Self()}, d.Peers()...)
	slices.SortStableFunc(all, func(a, b relay.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// one is 1 for true.
func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// loadStep is how loaded a node is, in steps of half a core, so that nodes which are about as busy count as alike and viewers
// of a stream stay together.
func loadStep(l relay.Load) float64 {
	if math.IsNaN(l.CPU) {
		return 0
	}
	return math.Floor(2 * l.CPU)
}

// rendezvous is a number that is always the same for a stream and a node, and in no order otherwise.
func rendezvous(stream, node string) float64 { return float64(relay.Weight(stream, node) >> 11) }

// held returns what a node holds of a stream.
func held(p relay.Peer, stream string) (relay.Held, bool) {
	i := slices.IndexFunc(p.Streams, func(h relay.Held) bool { return h.Stream == stream })
	if i < 0 {
		return relay.Held{}, false
	}
	return p.Streams[i], true
}

// publicURL is where viewers reach a node; "" when they cannot, or what it says of itself is no such address.
func publicURL(p relay.Peer) string {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	return u.String()
}

// playlist is the address of a stream's multivariant playlist on a node; "" where viewers cannot reach it.
func playlist(p relay.Peer, stream string) string {
	base := publicURL(p)
	if base == "" {
		return ""
	}
	return base + "/live/" + url.PathEscape(stream) + "/index.m3u8"
}
