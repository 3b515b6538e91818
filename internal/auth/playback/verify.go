package playback

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// VerifyPath is where Verify is mounted.
const VerifyPath = "/api/v1/playback/verify"

// Headers of a proxy that asks.
const (
	uriHeader    = "X-Original-URI"
	methodHeader = "X-Original-Method"
)

// verdictKeeps is how long a cache may keep that an address is good, by which much a token outlives its key, and a viewer who is asked
// for that often keeps its place.
const verdictKeeps = 5 * time.Second

// Verify answers proxies that ask, request by request, whether a viewer may have what it asks for, as nginx does by auth_request: 204 is
// yes; 401 and 403 are no, with the reason in the header Pushcart-Refused. The address asked about is in X-Original-URI, and its
// method in X-Original-Method, GET where that is missing. The country and the viewer are those of the request for the verdict. A yes may
// be kept for some seconds, for the same token, stream and viewer: viewers are counted on whatever they ask for below /live/. Trusted is
// not asked: it is for those who verify by themselves.
func (g *Gate) Verify() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Vary", uriHeader+", "+methodHeader+", User-Agent")
		keep, f := g.verdict(r)
		if f != nil {
			if f.Status == http.StatusNotFound {
				no := *f
				no.Status = http.StatusForbidden // proxies take 401 and 403 for a no, and all else for a failure
				f = &no
			}
			g.refuse(w, r, f)
			return
		}
		if keep >= time.Second {
			w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(int(keep/time.Second)))
		} else {
			w.Header().Set("Cache-Control", "no-store")
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// verdict decides on the address that a proxy asks about, and tells for how long a yes holds.
func (g *Gate) verdict(r *http.Request) (keep time.Duration, _ *Refusal) {
	p := g.opt.Policy()
	if p.Off() || strings.EqualFold(r.Header.Get(methodHeader), http.MethodOptions) {
		return verdictKeeps, nil
	}
	u, err := url.ParseRequestURI(r.Header.Get(uriHeader))
	// What a proxy may read in another way than a node is not looked at further: see cleaned.
	if err != nil || u.Host != "" || u.RawPath != "" || !cleaned(u.Path) {
		return 0, refusals[WrongPath]
	}
	kind, stream := classify(u.Path)
	text, below := "", strings.HasPrefix(u.Path, Prefix)
	if below {
		var rest string
		var ok bool
		text, rest, ok = split(u.Path)
		if kind, stream = classify(rest); !ok || kind == other {
			return 0, refusals[WrongPath]
		}
	}
	switch {
	case kind != media && kind != whereabouts && !(below && kind == about), p.Open(stream):
		return verdictKeeps, nil
	case !below:
		return 0, refusals[Missing]
	}
	if f := g.check(r, p, text, stream, kind == media); f != nil {
		return 0, f
	}
	t, _, err := g.cache.verify(p.Keys(), text)
	if err != nil {
		return 0, nil // not reached: it was good
	}
	return min(verdictKeeps, t.Expires.Sub(g.opt.Now())), nil
}

// cleaned tells whether a path is absolute and has no segments that are empty, "." or "..", but for an empty one at its end. A node
// takes those for names, and proxies for steps.
func cleaned(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && path != "/" {
			return false
		}
	}
	return true
}
