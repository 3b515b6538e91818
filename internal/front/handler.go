package front

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of request bodies. Handlers have tighter ones of their own.
const (
	// maxBody is the largest, in bytes.
	maxBody = 1 << 20
	// bodyTimeout is how long one may take to arrive.
	bodyTimeout = 30 * time.Second
)

// Handler stands in front of all that viewers ask for: it finds whom a request comes from, bounds its body, and keeps answers to
// the sites that are allowed. What it costs is bounded by the request's header.
func (f *Front) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := f.policy.Load()
		r, wrong := p.identify(r)
		if wrong {
			f.metrics.wrongSecrets.Inc()
		}
		if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			// A writer that knows no deadlines is a test's. The server sets it back for the connection's next request.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		if p.origins == nil {
			next.ServeHTTP(w, r)
			return
		}
		narrow := &originWriter{ResponseWriter: w, origins: p.origins, origin: r.Header["Origin"]}
		next.ServeHTTP(narrow, r)
		narrow.narrow()
	})
}

// Headers of what is no media, unless the handler has others.
var (
	noSniff    = []string{"nosniff"}
	denyAll    = []string{"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
	sameOrigin = []string{"same-origin"}
)

// Pages stands in front of all but media, answers to what is not there included. Unless the handler says otherwise, browsers run
// nothing in the answer (CSP Level 3), show it in no frame, take its type as it stands, and keep it to this site; over TLS they are
// told to come by nothing else from now on (RFC 6797), when http.hsts is set.
func (f *Front) Pages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Content-Security-Policy"] = denyAll
		h["Cross-Origin-Opener-Policy"] = sameOrigin
		h["Cross-Origin-Resource-Policy"] = sameOrigin
		if p := f.policy.Load(); p.hsts != nil && p.secure(r) {
			h["Strict-Transport-Security"] = p.hsts
		}
		next.ServeHTTP(w, r)
	})
}

// ToTLS answers what comes in clear text to a port that is there for certificates only: with the address over TLS, when http.hsts
// is set, and with 404 otherwise. port is that of the TLS listener.
func (f *Front) ToTLS(port int) http.Handler {
	return f.Pages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if f.policy.Load().hsts == nil || host == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.NotFound(w, r)
			return
		}
		if port != 443 {
			host += ":" + strconv.Itoa(port)
		}
		at := url.URL{Scheme: protoTLS, Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", at.String())
		w.WriteHeader(http.StatusPermanentRedirect)
	}))
}

// hostOf is a Host header's host without its port; "" when it is none that could stand in an address.
func hostOf(s string) string {
	host := s
	if end := strings.LastIndexByte(s, ':'); end >= 0 && end > strings.LastIndexByte(s, ']') {
		host = s[:end]
	}
	name := host
	if strings.HasPrefix(host, "[") {
		if !strings.HasSuffix(host, "]") {
			return ""
		}
		name = host[1 : len(host)-1]
	}
	if len(name) > 253 || strings.ContainsFunc(strings.ToLower(name), func(r rune) bool {
		return notOfHost(r) && (r != ':' || name == host)
	}) {
		return ""
	}
	return host
}
