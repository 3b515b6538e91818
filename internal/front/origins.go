package front

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// anyOrigin, in http.allowed_origins and in answers, is all sites.
const anyOrigin = "*"

// Response headers of cross-origin requests (Fetch 3.3), as http.Header has them.
const headerAllowOrigin = "Access-Control-Allow-Origin"

var otherCORS = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
}

// origins are the sites that may have what is open to other sites. They do not change.
type origins struct {
	exact    []string
	below    []pattern
	constant []string // the header's value where it is the same for everybody
}

// pattern is all hosts below a domain: scheme "https://", suffix ".example.com", or ".example.com:8443".
type pattern struct{ scheme, suffix string }

// newOrigins makes them; nil is all.
func newOrigins(list []string) (*origins, error) {
	if len(list) == 0 || slices.Contains(list, anyOrigin) {
		return nil, nil
	}
	o := &origins{}
	for _, s := range list {
		scheme, host, err := splitOrigin(s)
		if err != nil {
			return nil, err
		}
		if domain, ok := strings.CutPrefix(host, "*"); ok {
			o.below = append(o.below, pattern{scheme, domain})
		} else {
			o.exact = append(o.exact, scheme+host)
		}
	}
	if len(o.exact) == 1 && len(o.below) == 0 {
		o.constant = o.exact
	}
	return o, nil
}

// ValidOrigin tells why a text cannot stand in http.allowed_origins; nil when it can: "*", an origin (RFC 6454 6.1) such as
// https://shop.example.com, or https://*.example.com for all hosts below a domain.
func ValidOrigin(s string) error {
	if s == anyOrigin {
		return nil
	}
	_, _, err := splitOrigin(s)
	return err
}

// splitOrigin cuts an origin into its scheme with the slashes, and its host and port as browsers write them.
func splitOrigin(s string) (scheme, host string, err error) {
	at := strings.Index(s, "://")
	if at < 0 {
		return "", "", fmt.Errorf("%q is not of the form https://shop.example.com", clip(s))
	}
	scheme, host = strings.ToLower(s[:at+3]), strings.ToLower(s[at+3:])
	switch scheme {
	case "https://":
		host = strings.TrimSuffix(host, ":443")
	case "http://":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", "", fmt.Errorf("%q begins neither with https:// nor with http://", clip(s))
	}
	name := strings.TrimPrefix(host, "*.")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r))
	}) {
		return "", "", fmt.Errorf("%q has more than a scheme, a host and a port, or * elsewhere than in place of a first label", clip(s))
	}
	if name != host && !strings.Contains(name, ".") {
		return "", "", errors.New("a pattern needs a domain of two labels, such as https://*.example.com")
	}
	return scheme, host, nil
}

// permits tells whether a request's Origin is one of them. Browsers write origins in one form only (RFC 6454 6.1).
func (o *origins) permits(origin string) bool {
	if slices.Contains(o.exact, origin) {
		return true
	}
	for _, p := range o.below {
		label, ok := strings.CutPrefix(origin, p.scheme)
		if !ok {
			continue
		}
		if label, ok = strings.CutSuffix(label, p.suffix); ok && label != "" && !strings.ContainsFunc(label, notOfHost) && label[0] != '.' {
			return true
		}
	}
	return false
}

func notOfHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// originWriter narrows what handlers open to all sites, by Access-Control-Allow-Origin: *, down to those that are allowed.
type originWriter struct {
	http.ResponseWriter
	origins *origins
	origin  []string // of the request
	done    bool
}

var (
	varyOrigin   = []string{"Origin"}
	varyEncoding = []string{"Accept-Encoding, Origin"}
)

// narrow does it, once, before the header is written.
func (w *originWriter) narrow() {
	if w.done {
		return
	}
	w.done = true
	h := w.Header()
	if len(h[headerAllowOrigin]) == 0 {
		return
	}
	if w.origins.constant != nil {
		// The same for everybody, so that caches have one copy; browsers refuse it to all other sites.
		h[headerAllowOrigin] = w.origins.constant
		return
	}
	switch vary := h["Vary"]; {
	case len(vary) == 0:
		h["Vary"] = varyOrigin
	case len(vary) == 1 && vary[0] == "Accept-Encoding":
		h["Vary"] = varyEncoding
	default:
		h["Vary"] = append(slices.Clip(vary), "Origin")
	}
	if len(w.origin) == 1 && w.origins.permits(w.origin[0]) {
		h[headerAllowOrigin] = w.origin
		return
	}
	delete(h, headerAllowOrigin)
	for _, name := range otherCORS {
		delete(h, name)
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *originWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.narrow()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *originWriter) Write(b []byte) (int, error) {
	w.narrow()
	return w.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController: it sends the header.
func (w *originWriter) FlushError() error {
	w.narrow()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *originWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// clip shortens what is quoted in a message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
