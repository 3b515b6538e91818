package front

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/textproto"
)

// Request headers by which proxies and CDNs tell whom they ask for, as http.Header has them.
const (
	headerForwarded = "Forwarded" // RFC 7239
	headerFor       = "X-Forwarded-For"
	headerProto     = "X-Forwarded-Proto"
	headerCDN       = "Pushcart-Cdn" // written Pushcart-CDN
)

// trusted marks, in a request's context, that a CDN asks which has proved itself with a secret.
type trusted struct{}

// Trusted tells whether a CDN asks that has proved itself, by one of http.cdn_secrets or by a certificate of http.cdn_client_ca. It
// answers for its viewers then. A trusted proxy is not one: it is believed about addresses, and vouches for nobody.
func Trusted(r *http.Request) bool {
	return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 || r.Context().Value(trusted{}) != nil
}

// Client returns the viewer's address, without a zone; the zero Addr where it is not known. Behind Handler that is whom a trusted
// proxy asks for.
func Client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return bare(at.Addr())
}

// Country returns the viewer's country as two capital letters (ISO 3166-1), as a trusted proxy or CDN tells it in the header that
// routing.country_header names; "" where it is not known, or where anybody could have said so, since nobody is trusted.
func (f *Front) Country(r *http.Request) string {
	p := f.policy.Load()
	if p.country == "" || !p.asks {
		return ""
	}
	values := r.Header[p.country] // only there when it is to be believed
	if len(values) != 1 || len(values[0]) != 2 {
		return ""
	}
	a, b := values[0][0]&^0x20, values[0][1]&^0x20
	switch {
	case a < 'A' || a > 'Z' || b < 'A' || b > 'Z', a == 'X' && b == 'X': // XX is what CDNs say of those they do not know
		return ""
	case a == values[0][0] && b == values[0][1]:
		return values[0]
	}
	return string([]byte{a, b})
}

// secure tells whether the viewer came by TLS, to this node or to a proxy that is believed.
func (p *policy) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	proto := r.Header[headerProto]
	return p.asks && len(proto) == 1 && proto[0] == protoTLS
}

const (
	protoTLS   = "https"
	protoPlain = "http"
)

// Values of X-Forwarded-Proto as handlers get them.
var (
	overTLS   = []string{protoTLS}
	overPlain = []string{protoPlain}
)

// unknownViewer is the address of whoever comes by a proxy on this host that is not believed, or does not say from where: he must not pass
// for a program of this host, which may publish where nothing is configured.
const unknownViewer = "0.0.0.0:0"

// identify finds whom a request comes from. Afterwards RemoteAddr is the viewer's; X-Forwarded-Proto is there when it is to be
// believed, as is the header with the country; the secret and the chain of proxies are gone. Where nobody is trusted, the last two
// of these headers stay as they came, since there is nobody to tell right from wrong.
func (p *policy) identify(r *http.Request) (_ *http.Request, wrongSecret bool) {
	cdn := false
	if given, ok := r.Header[headerCDN]; ok {
		cdn = p.knows(given)
		wrongSecret = !cdn
		delete(r.Header, headerCDN)
	}
	believed := cdn || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	var peer netip.AddrPort
	if believed || len(p.networks) > 0 {
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			peer = netip.AddrPortFrom(bare(at.Addr()), at.Port())
			believed = believed || p.proxy(peer.Addr())
		}
	}
	proxied := len(r.Header[headerForwarded])+len(r.Header[headerFor])+len(r.Header[headerProto]) > 0
	said := false
	if believed {
		said = p.follow(r, peer)
	} else if p.asks {
		delete(r.Header, headerProto)
		if p.country != "" {
			delete(r.Header, p.country)
		}
	}
	if proxied && !said && Client(r).IsLoopback() {
		r.RemoteAddr = unknownViewer
	}
	delete(r.Header, headerForwarded)
	delete(r.Header, headerFor)
	if cdn {
		r = r.WithContext(context.WithValue(r.Context(), trusted{}, true))
	}
	return r, wrongSecret
}

// maxSecret is the length of what is compared at most.
const maxSecret = 1024

// knows tells whether a header's values are one of the secrets. All of them are compared, in a time that depends on none.
func (p *policy) knows(values []string) bool {
	if len(values) != 1 || len(values[0]) > maxSecret {
		return false
	}
	sum := sha256.Sum256([]byte(values[0]))
	good := 0
	for i := range p.secrets {
		good |= subtle.ConstantTimeCompare(sum[:], p.secrets[i][:])
	}
	return good == 1
}

// follow goes back through the proxies that are trusted to the first address that is not one of theirs: the viewer's. said is false where
// none of them tells of another address than its own.
func (p *policy) follow(r *http.Request, peer netip.AddrPort) (said bool) {
	forwarded, chain := r.Header[headerForwarded], r.Header[headerFor]
	viewer, proto := peer, ""
	switch {
	case len(forwarded) > 0 && len(chain) > 0:
		// Proxies set the one and pass the other on as it came: what only the viewer can have made differ counts for nothing.
		a, by := p.viewerOfForwarded(forwarded, peer)
		if b := p.viewerOfChain(chain, peer); a.Addr() == b.Addr() {
			viewer, proto = a, by
		}
	case len(forwarded) > 0:
		viewer, proto = p.viewerOfForwarded(forwarded, peer)
	case len(chain) > 0:
		viewer = p.viewerOfChain(chain, peer)
	}
	if proto == "" {
		proto = lastOf(r.Header[headerProto])
	}
	switch {
	case asciiEqual(proto, protoTLS):
		r.Header[headerProto] = overTLS
	case asciiEqual(proto, protoPlain):
		r.Header[headerProto] = overPlain
	default:
		delete(r.Header, headerProto)
	}
	if viewer != peer {
		r.RemoteAddr = viewer.String()
	}
	return viewer != peer
}

// bare is an address as it is compared: without a zone, and IPv4 as such.
func bare(a netip.Addr) netip.Addr {
	if a.Zone() != "" {
		a = a.WithZone("")
	}
	return a.Unmap()
}

func canonical(header string) string { return textproto.CanonicalMIMEHeaderKey(header) }
