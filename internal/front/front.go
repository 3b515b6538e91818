// Package front is the node's edge towards viewers: whom a request comes from, how many connections there may be, TLS
// handshakes, and what headers every answer has. It knows nothing of what is served behind it.
package front

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Settings are what may change while the node runs. The zero value believes nobody, limits nothing and lets pages of all sites in.
type Settings struct {
	// TrustedProxies are the networks of proxies that are believed whom they ask for.
	TrustedProxies []netip.Prefix
	// CDNSecrets are what a CDN that is trusted sends in the header Pushcart-CDN; any of them is good. None is no such CDN.
	CDNSecrets []string
	// CountryHeader is the request header in which a CDN tells the viewer's country, such as CF-IPCountry; "" is none.
	CountryHeader string
	// MaxConnections is how many may be open at once, over all listeners; 0 is no limit.
	MaxConnections int
	// MaxConnectionsPerAddress is how many of them one IPv4 address may have, or one IPv6 network of 64 bits; 0 is no limit.
	// Trusted proxies may have any number.
	MaxConnectionsPerAddress int
	// HandshakeTimeout is how long a TLS handshake may take; 0 is 10 s.
	HandshakeTimeout time.Duration
	// AllowedOrigins are the sites whose pages may have what is open to other sites, as ValidOrigin has them; none, or "*", is all.
	AllowedOrigins []string
	// HSTS is for how long browsers are to come by TLS only; 0 says nothing to them.
	HSTS time.Duration
}

// Options sets a front up.
type Options struct {
	// Registerer takes the metrics; never nil.
	Registerer prometheus.Registerer
	// Log is where the front reports; never nil.
	Log *slog.Logger
	// ClientCA tells that the TLS listener has client certificates verified (see TrustClients), so that there may be a trusted CDN
	// without a secret.
	ClientCA bool
}

// Front is the edge of one node. Its methods are for any goroutine.
type Front struct {
	opt     Options
	metrics *metrics
	policy  atomic.Pointer[policy]
	places  places
}

// New makes a front. It fails when the settings cannot be used.
func New(opt Options, s Settings) (*Front, error) {
	f := &Front{opt: opt}
	if err := f.Configure(s); err != nil {
		return nil, err
	}
	f.metrics = newMetrics(opt.Registerer, &f.places)
	return f, nil
}

// Configure puts settings into force, for connections that are open as well. When they cannot be used, those before stay.
func (f *Front) Configure(s Settings) error {
	p := &policy{Settings: s}
	for _, secret := range s.CDNSecrets {
		p.secrets = append(p.secrets, sha256.Sum256([]byte(secret)))
	}
	for _, n := range s.TrustedProxies {
		p.networks = append(p.networks, unmapped(n))
	}
	p.asks = len(p.networks) > 0 || len(p.secrets) > 0 || f.opt.ClientCA
	p.country = canonical(s.CountryHeader)
	var err error
	if p.origins, err = newOrigins(s.AllowedOrigins); err != nil {
		return fmt.Errorf("http.allowed_origins: %w", err)
	}
	if s.HSTS > 0 {
		p.hsts = []string{"max-age=" + strconv.Itoa(int(s.HSTS/time.Second))}
	}
	if p.HandshakeTimeout <= 0 {
		p.HandshakeTimeout = defaultHandshakeTimeout
	}
	f.policy.Store(p)
	return nil
}

// policy is Settings, made ready to be asked at each request. It does not change.
type policy struct {
	Settings
	networks []netip.Prefix
	secrets  [][sha256.Size]byte
	asks     bool     // somebody is trusted, so that all others are not believed
	country  string   // CountryHeader as http.Header has it
	origins  *origins // nil: all
	hsts     []string // nil: none
}

// proxy tells whether an address is that of a trusted proxy.
func (p *policy) proxy(a netip.Addr) bool {
	for _, n := range p.networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// unmapped is an IPv4 network that was written as an IPv6 one, as addresses are compared: without.
func unmapped(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96).Masked()
	}
	return n.Masked()
}
