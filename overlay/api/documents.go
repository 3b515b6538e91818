package api

import (
	"net/http"
	"strconv"
	"strings"

	"pushcart/overlay"
)

// documentPath is where viewers fetch a card's revision. http.ServeMux has no such pattern, and the media's handler, which
// has the paths around it, does without.
const documentPath = "/live/{stream}/cards/{id}/{rev}.json"

// IsDocument tells whether a path below /live/ is for Documents rather than for media: no name of media ends like this. It
// is asked for each part that a viewer fetches.
func IsDocument(path string) bool { return strings.HasSuffix(path, ".json") }

// How long caches may keep a document. Within an epoch a revision has the same bytes for ever. A journal that is lost begins
// to count anew, and another region's document is another: both begin another epoch, which players put into the address.
const (
	cacheEpoch    = "public, max-age=31536000, immutable"
	cacheDocument = "public, max-age=60"
)

// Documents answers viewers who fetch cards.
func (a *API) Documents() http.Handler {
	var get http.HandlerFunc
	for i := range a.routes {
		if a.routes[i].path == documentPath {
			get = a.serve(&a.routes[i])
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			get(w, r)
		case http.MethodOptions:
			h := w.Header()
			a.opt.Origins(h, r)
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "If-None-Match")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
		default:
			a.opt.Origins(w.Header(), r)
			otherMethod([]string{http.MethodGet, http.MethodOptions})(w, r)
		}
	})
}

// document answers with a revision that was shown. Others are not there, and caches forget that within a second: the next
// moment it may be.
func (c *call) document() error {
	stream, card, rev, ok := parseDocument(c.r.URL.Path)
	var doc overlay.Document
	if ok {
		doc, ok = c.api.opt.Document(stream, card, rev)
	}
	h := c.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if !ok {
		h.Set("Cache-Control", "public, max-age=1")
		return problemf(overlay.ReasonNotFound, "", "No such card was shown, or not for a long time.")
	}
	body, tag := doc.Plain, doc.ETag
	if doc.Gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(c.r.Header.Values("Accept-Encoding")) {
			body, tag = doc.Gzip, strings.TrimSuffix(tag, `"`)+`-gzip"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Cache-Control", cacheDocument)
	if e := c.r.URL.Query().Get("e"); e != "" && e == strconv.FormatInt(doc.Epoch, 10) {
		h.Set("Cache-Control", cacheEpoch)
	}
	h.Set("ETag", tag)
	if matches(c.r.Header.Values("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", kindJSON)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		// A viewer who goes away is no fault of ours.
		_, _ = c.w.Write(body)
	}
	return nil
}

// parseDocument takes a path apart: /live/STREAM/cards/CARD/REV.json.
func parseDocument(path string) (stream, card string, rev int64, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "live" || parts[3] != "cards" || parts[2] == "" || parts[4] == "" {
		return "", "", 0, false
	}
	digits, ok := strings.CutSuffix(parts[5], ".json")
	if !ok {
		return "", "", 0, false
	}
	rev, ok = number(digits)
	return parts[2], parts[4], rev, ok && rev > 0
}

// acceptsGzip reads Accept-Encoding (RFC 9110 12.5.3): gzip by its name, else by *, with a weight above 0.
func acceptsGzip(values []string) bool {
	other := false
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		name, params, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return weighs(params)
		case "*":
			other = weighs(params)
		}
	}
	return other
}

// weighs tells whether "q=0.5" is more than nothing; what has no weight is, what cannot be read is not.
func weighs(params string) bool {
	_, q, found := strings.Cut(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
	v, err := strconv.ParseFloat(q, 64)
	return !found || err == nil && v > 0
}
