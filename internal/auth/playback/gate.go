package playback

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options sets a gate up.
type Options struct {
	// Policy is what is in force. It is asked for each request, from any goroutine; a nil *Policy lets everybody in.
	Policy func() *Policy
	// Country a request comes from (ISO 3166-1 alpha-2, capital letters), "" where that is not known for sure; nil is never known.
	Country func(*http.Request) string
	// Trusted tells that a request comes from a CDN which lets nobody have media without a signed address; nil is that none does.
	Trusted func(*http.Request) bool
	// Address of the client, by which viewers are counted; nil is the connection's, of IPv6 the network of 64 bits.
	Address func(*http.Request) string
	// Origins says in an answer which pages of other sites may read it; nil is all.
	Origins func(h http.Header, r *http.Request)
	// Registerer of the metrics; nil is none.
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Gate lets in who may have what is asked for. It is for any goroutine.
type Gate struct {
	opt     Options
	cache   *cache
	viewers *viewers

	refused   map[Reason]prometheus.Counter
	computed  prometheus.Counter
	uncounted prometheus.Counter
}

// New makes a gate.
func New(opt Options) *Gate {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Address == nil {
		opt.Address = addressOf
	}
	if opt.Origins == nil {
		opt.Origins = func(h http.Header, _ *http.Request) { h.Set("Access-Control-Allow-Origin", "*") }
	}
	g := &Gate{
		opt: opt, cache: &cache{seed: maphash.MakeSeed()}, viewers: newViewers(), refused: map[Reason]prometheus.Counter{},
		computed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_playback_signatures_total", Help: "Signatures of playback addresses that were computed; those that are remembered cost nothing."}),
		uncounted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_playback_uncounted_total", Help: "Playlist requests by addresses with a limit of viewers that were let in without being counted, because there are too many to count."}),
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_playback_refused_total", Help: "Requests for streams that are played by signed addresses only that were refused, by reason."}, []string{"reason"})
	for reason := range refusals {
		g.refused[reason] = refused.WithLabelValues(string(reason))
	}
	if opt.Registerer != nil {
		opt.Registerer.MustRegister(refused, g.computed, g.uncounted)
	}
	return g
}

// addressOf is a connection's address; of IPv6 the network, within which a single host has its pick of addresses.
func addressOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := at.Addr().Unmap().WithZone("")
	if network, err := ip.Prefix(64); err == nil && ip.Is6() {
		return network.String()
	}
	return ip.String()
}

// Handler lets in to next, which sees the address without a token.
func (g *Gate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := g.opt.Policy()
		if strings.HasPrefix(r.URL.Path, Prefix) {
			g.below(w, r, p, next)
			return
		}
		if !p.Off() {
			if f := g.plain(r, p, r.URL.Path); f != nil {
				g.refuse(w, r, f)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// plain decides on an address without a token; nil is let in.
func (g *Gate) plain(r *http.Request, p *Policy, path string) *Refusal {
	kind, stream := classify(path)
	switch {
	case kind != media && kind != whereabouts, r.Method == http.MethodOptions, p.Open(stream):
		return nil
	case kind == media && g.opt.Trusted != nil && g.opt.Trusted(r):
		return nil
	}
	return refusals[Missing]
}

// below answers for an address that begins with /p/.
func (g *Gate) below(w http.ResponseWriter, r *http.Request, p *Policy, next http.Handler) {
	text, rest, ok := split(r.URL.Path)
	kind, stream := classify(rest)
	// An address with escapes is none that a node gives out, and what it stands for may be read in more than one way.
	if !ok || kind == other || r.URL.RawPath != "" {
		g.refuse(w, r, refusals[WrongPath])
		return
	}
	token := &passed{Context: r.Context()}
	if kind == pages {
		// The page is for everybody, and tells its viewer what is wrong with the address. Where it is shared its poster's address
		// goes along, if it is of the right form.
		if _, _, err := parse(text); err == nil {
			token.prefix = r.URL.Path[:len(r.URL.Path)-len(rest)]
		}
	} else if kind != assets && r.Method != http.MethodOptions && !p.Off() && !p.Open(stream) {
		if f := g.check(r, p, text, stream, kind == media && isPlaylist(rest)); f != nil {
			g.refuse(w, r, f)
			return
		}
		token.prefix, token.stream = r.URL.Path[:len(r.URL.Path)-len(rest)], stream
	}
	token.at = *r.URL
	token.at.Path = rest
	inner := r.WithContext(token)
	inner.URL = &token.at
	next.ServeHTTP(w, inner)
}

// check decides on a token for a stream; nil is good. counted asks for a place among the token's viewers.
func (g *Gate) check(r *http.Request, p *Policy, text, stream string, counted bool) *Refusal {
	t, computed, err := g.cache.verify(p.Keys(), text)
	if computed {
		g.computed.Inc()
	}
	if err != nil {
		var f *Refusal
		if !errors.As(err, &f) {
			f = refusals[Malformed] // not reached: verify has no other errors
		}
		return f
	}
	now := g.opt.Now()
	switch {
	case !now.Before(t.Expires):
		return refusals[Expired]
	case t.Stream != stream:
		return refusals[WrongStream]
	}
	if len(t.Countries) > 0 {
		if f := g.country(r, t.Countries); f != nil {
			return f
		}
	}
	if t.Viewers > 0 && counted {
		in, known := g.viewers.admit(text, t.Viewers, g.viewers.who(g.opt.Address(r), r.UserAgent()), now)
		if !known {
			g.uncounted.Inc()
		}
		if !in {
			return refusals[TooMany]
		}
	}
	return nil
}

func (g *Gate) country(r *http.Request, good []string) *Refusal {
	from := ""
	if g.opt.Country != nil {
		from = g.opt.Country(r)
	}
	if from == "" {
		return refusals[UnknownCountry]
	}
	for _, c := range good {
		if c == from {
			return nil
		}
	}
	return refusals[WrongCountry]
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, f *Refusal) {
	g.refused[f.Reason].Inc()
	g.opt.Origins(w.Header(), r)
	f.write(w, r)
}

// Allows tells whether a request may know of a stream what its viewers may: it is open, or the request came by a signed address for
// it. It is for what Handler passes on.
func (g *Gate) Allows(r *http.Request, stream string) bool {
	if g.opt.Policy().Open(stream) {
		return true
	}
	t, ok := r.Context().Value(passedKey{}).(*passed)
	return ok && t.stream == stream && stream != ""
}

// PrefixOf is what stood in front of the address that a handler sees: "/p/TOKEN", or "" where nothing did. Addresses that the handler
// sends a viewer to begin with it.
func PrefixOf(r *http.Request) string {
	if t, ok := r.Context().Value(passedKey{}).(*passed); ok {
		return t.prefix
	}
	return ""
}

// Opened is what Handler has found out about a request: what stood in front of its address, as PrefixOf has it, and the stream that this
// opens, "" where none was looked at. Another process that the request is passed on to takes both by Reopened.
func Opened(r *http.Request) (prefix, stream string) {
	if t, ok := r.Context().Value(passedKey{}).(*passed); ok {
		return t.prefix, t.stream
	}
	return "", ""
}

// Reopened is a request as Handler passes it on. What is given must be what Opened told in a process that is trusted.
func Reopened(r *http.Request, prefix, stream string) *http.Request {
	if prefix == "" && stream == "" {
		return r
	}
	return r.WithContext(&passed{Context: r.Context(), prefix: prefix, stream: stream})
}

// Carry puts the prefix of a request into an absolute URL, such as that of the same playlist on another node. What is no URL stays.
func Carry(r *http.Request, to string) string {
	prefix := PrefixOf(r)
	if prefix == "" || to == "" {
		return to
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" {
		return to
	}
	u.Path, u.RawPath = prefix+u.Path, ""
	return u.String()
}

// passed is a request's context below a signed address. It is a type of its own because media are asked for often, and a value in a
// context of the standard library would be one allocation more.
type passed struct {
	context.Context
	prefix string  // "" where the token is not of the form of one
	stream string  // that it is good for; "" where it was not looked at
	at     url.URL // as the handler sees it
}

type passedKey struct{}

// Value implements context.Context.
func (p *passed) Value(key any) any {
	if key == (passedKey{}) {
		return p
	}
	return p.Context.Value(key)
}
