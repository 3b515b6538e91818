// Package hls serves presentations to viewers over HTTP as low-latency HLS (rfc8216bis with the low-latency server
// configuration profile).
//
// What is sent is made once: a playlist is rendered when the first viewer asks for it and kept with the snapshot, and
// media are the window's own bytes. A viewer that waits costs its connection and one entry in a select.
package hls

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pushcart/packager/window"
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
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Handler answers /live/.
type Handler struct {
	opt     Options
	waiting waiting
}

// NewHandler makes a handler.
func NewHandler(opt Options) *Handler {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Handler{opt: opt, waiting: waiting{byHost: map[string]int{}}}
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
	if rest == "index.m3u8" {
		h.multivariant(w, r, stream)
		return
	}
	if rest == posterName {
		h.poster(w, r, stream)
		return
	}
	e := h.opt.Registry.get(stream)
	if e == nil {
		h.fail(w, kindOther, http.StatusNotFound, noStream)
		return
	}
	if name, ok := strings.CutSuffix(rest, ".m3u8"); ok {
		v := e.presentations[0].Load()
		if !v.Ended {
			// Who comes back to a stream whose source was given up has it fetched again. An ended one is over for good: who goes
			// on asking for its playlist does not want another show.
			h.demand(stream)
		}
		if v.Rendition(name) == nil && len(v.Variants) == 0 {
			// A player that outlived the show before may ask before this one has anything.
			if v = h.started(w, r, kindPlaylist, e.presentations[0]); v == nil {
				return
			}
		}
		if rend := v.Rendition(name); rend != nil {
			h.playlist(w, r, e, rend)
			return
		}
	} else if folder, file, ok := strings.Cut(rest, "/"); ok {
		if h.media(w, r, e, folder, file) {
			return
		}
	}
	h.fail(w, kindOther, http.StatusNotFound, "no such resource in this stream")
}

// noStream is the answer for a name that nothing stands behind.
const noStream = "no such stream, or not live yet"

var anyOrigin = []string{"*"}

// media answers for an initialisation section, a segment or a part; false when the name is none of them.
func (h *Handler) media(w http.ResponseWriter, r *http.Request, e *entry, folder, file string) bool {
	if strings.HasPrefix(file, "init-") {
		for _, p := range e.presentations {
			if rend := p.Load().Rendition(folder); rend != nil {
				if in := rend.Init(file); in != nil {
					h.send(w, r, kindInit, rend.Video, in.Name, [][]byte{in.Data}, len(in.Data))
					return true
				}
			}
		}
		return false
	}
	gen, pos, ok := parseName(file)
	if !ok {
		return false
	}
	for _, p := range e.presentations {
		rend := p.Load().Rendition(folder)
		if rend == nil || p.Settings.Gen != gen {
			continue
		}
		if pos.Part < 0 {
			h.segment(w, r, p, rend, pos)
		} else {
			h.part(w, r, p, rend, pos)
		}
		return true
	}
	return false
}

// parseName reads GEN-MSN.m4s and GEN-MSN.PART.m4s; Part is -1 for the former.
func parseName(file string) (gen int64, pos window.Position, ok bool) {
	file, ok = strings.CutSuffix(file, ".m4s")
	if !ok {
		return 0, pos, false
	}
	g, rest, ok := strings.Cut(file, "-")
	if !ok {
		return 0, pos, false
	}
	m, part, isPart := strings.Cut(rest, ".")
	var err1, err2, err3 error
	gen, err1 = parseNumber(g)
	pos.MSN, err2 = parseNumber(m)
	pos.Part = -1
	if isPart {
		var n int64
		n, err3 = parseNumber(part)
		pos.Part = int(n)
	}
	return gen, pos, err1 == nil && err2 == nil && err3 == nil
}

// parseNumber reads a decimal number as we write it: digits only, no leading zero, at most 15 of them.
func parseNumber(s string) (int64, error) {
	if s == "" || len(s) > 15 || s[0] == '0' && len(s) > 1 || s[0] < '0' || s[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}
