// Package hls serves presentations to viewers over HTTP as low-latency HLS (rfc8216bis with the low-latency server
// configuration profile).
//
// What is sent is made once: a playlist is rendered when the first viewer asks for it and kept with the snapshot, and
// media are the window's own bytes. A viewer that waits costs its connection and one entry in a select.
package hls

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// Settings that may change while the handler serves.
type Settings struct {
	// MaxWaitingPerAddress is how many requests of one address may wait at a time; 0 is no limit.
	MaxWaitingPerAddress int
	// MinReadRate is the slowest that a viewer may read a response, in bytes a second; 0 is no limit.
	MinReadRate int64
}

// WriteTimeout is what the server's own write timeout must be: long enough for a wait and a playlist. Media responses, and
// waits for long segments, set their own deadline.
const WriteTimeout = 60 * time.Second

// Options sets a handler up.
type Options struct {
	Registry *Registry
	Settings func() Settings
	Metrics  *Metrics
	// Demand is called when a viewer asks for a stream. It tells whether the node can fetch it, and begins to do so where it
	// does not yet: the viewer then waits for it. It may be called for each playlist, from any goroutine; nil is a node that
	// fetches nothing.
	Demand func(name string) bool
	// Poster returns a stream's latest picture as JPEG and when it was taken; ok is false while there is none. The bytes are
	// not changed afterwards. It may be called from any goroutine; nil is a node without posters.
	Poster func(ctx context.Context, name string) (jpeg []byte, at time.Time, ok bool)
	// Elsewhere tells where a viewer who asks for a stream's multivariant playlist is better served: the URL of that playlist on
	// another node, to which the request is redirected; "" is here. It may be called from any goroutine; nil is here for all.
	Elsewhere func(r *http.Request, name string) string
	// Forbidden tells whether a stream may not be had in the node's region: whatever is asked for of it is answered with 451. It is
	// called for each request, from any goroutine, and has to be quick; nil is a node that may have all.
	Forbidden func(name string) bool
	// Waits is told that a request begins to wait, and for what: "stream" is one that is to be fetched, "start" one that has nothing to
	// play yet, "part" the live edge, "poster" a picture that may have to be made. What it returns is called when the wait is over. It must be quick; it, and what it returns, may be
	// nil.
	Waits func(r *http.Request, what string) func()
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Handler answers /live/.
type Handler struct {
	opt     Options
	waiting waiting
	place   atomic.Pointer[place]
}

// NewHandler makes a handler.
func NewHandler(opt Options) *Handler {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	h := &Handler{opt: opt, waiting: waiting{byHost: map[netip.Addr]int{}}}
	h.place.Store(&place{left: make(chan struct{})})
	return h
}

// Prefix of all paths.
const Prefix = "/live/"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head["Access-Control-Allow-Origin"] = anyOrigin
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		head.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "Range, If-None-Match, If-Range")
		head.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		h.fail(w, kindOther, http.StatusMethodNotAllowed, "use GET or HEAD")
		return
	}
	stream, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	if h.opt.Forbidden != nil && h.opt.Forbidden(stream) {
		h.fail(w, kindOther, http.StatusUnavailableForLegalReasons, "this stream may not be shown in this region")
		return
	}
	switch rest {
	case "index.m3u8":
		h.multivariant(w, r, stream)
		return
	case posterName:
		h.poster(w, r, stream)
		return
	}
	name, isPlaylist := strings.CutSuffix(rest, ".m3u8")
	folder, file, isMedia := strings.Cut(rest, "/")
	if isPlaylist {
		folder = name
	}
	e := h.opt.Registry.get(stream)
	if unknown(e, folder) && (isPlaylist || isMedia && namesMedia(file)) {
		if e = h.brought(w, r, stream, folder); e == nil {
			return
		}
	}
	switch {
	case e == nil:
		h.fail(w, kindOther, http.StatusNotFound, noStream)
		return
	case isPlaylist:
		if h.rendition(w, r, e, stream, name) {
			return
		}
	case isMedia:
		if h.media(w, r, e, folder, file) {
			return
		}
	}
	h.fail(w, kindOther, http.StatusNotFound, "no such resource in this stream")
}

// rendition answers for a media playlist; false when there is no such one.
func (h *Handler) rendition(w http.ResponseWriter, r *http.Request, e *entry, stream, name string) bool {
	p := e.presentations[0]
	v := p.Load()
	if !v.Ended {
		// Who comes back to a stream whose source was given up has it fetched again. An ended one is over for good: who goes
		// on asking for its playlist does not want another show.
		h.demand(stream)
	}
	if v.Rendition(name) == nil && len(v.Variants) == 0 {
		// A player that outlived the show before may ask before this one has anything.
		if v = h.started(w, r, kindPlaylist, p); v == nil {
			return true
		}
	}
	rend := v.Rendition(name)
	if rend != nil {
		h.playlist(w, r, e, rend)
	}
	return rend != nil
}

// noStream is the answer for a name that nothing stands behind.
const noStream = "no such stream, or not live yet"

var anyOrigin = []string{"*"}
