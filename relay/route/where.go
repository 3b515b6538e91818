package route

import (
	"encoding/json"
	"net/http"
	"strings"

	"pushcart/relay"
)

// maxNodes is the most nodes that an answer lists.
const maxNodes = 1000

// Where tells where a stream is, for players and CDNs that choose by themselves.
type Where struct {
	Stream string `json:"stream"`
	// Live tells that the publisher is there.
	Live   bool   `json:"live"`
	Origin Origin `json:"origin"`
	// Nearest is the node to fetch from; nil when viewers can reach none.
	Nearest *Place `json:"nearest"`
	// Nodes are those that may have the stream, by name.
	Nodes []Place `json:"nodes"`
}

// Origin is where a stream comes in.
type Origin struct {
	Node   string `json:"node"`
	Region string `json:"region"`
}

// Place is a node as viewers see it: nothing by which nodes reach each other is in it.
type Place struct {
	Node   string `json:"node"`
	Region string `json:"region"`
	// URL at which viewers reach it, and Playlist of the stream there; "" when they cannot.
	URL      string `json:"url,omitempty"`
	Playlist string `json:"playlist,omitempty"`
	// Holds tells that it has the stream at this moment. The others fetch it for their first viewer.
	Holds bool `json:"holds"`
	// Position that it has got to; nil where it does not hold the stream.
	Position *Position `json:"position,omitempty"`
	// Lag behind the origin in seconds.
	Lag float64 `json:"lag"`
	// Viewers that it serves, of all streams; CPU that it takes, in cores; Full when it takes no further nodes that copy from it.
	Viewers int     `json:"viewers"`
	CPU     float64 `json:"cpu"`
	Full    bool    `json:"full"`
}

// Position of a part: generation, media sequence number, and the part's index in the segment.
type Position struct {
	Gen  int64 `json:"gen"`
	MSN  int64 `json:"msn"`
	Part int   `json:"part"`
}

// Register puts the routes for viewers on a mux: GET /api/v1/where/{name}.
func (t *Router) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/where/{name}", t.where)
	mux.HandleFunc("OPTIONS /api/v1/where/{name}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	})
}

// where answers GET /api/v1/where/{name}?country=DE.
func (t *Router) where(w http.ResponseWriter, r *http.Request) {
	s := t.opt.Settings()
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=1")
	query := r.URL.Query()
	if !query.Has("country") && s.CountryHeader != "" {
		h.Set("Vary", s.CountryHeader)
	}
	if text := query.Get("country"); text != "" && (len(text) != 2 || strings.Trim(strings.ToUpper(text), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "") {
		problem(w, http.StatusBadRequest, "malformed", "country has to be two letters, as in ISO 3166-1, such as DE", "country")
		return
	}
	e, ok := t.opt.Directory.Lookup(r.PathValue("name"))
	if !ok {
		problem(w, http.StatusNotFound, "not_found", "No node has this stream: it is not live, or not of this name.", "")
		return
	}
	writeJSON(w, http.StatusOK, t.whereIs(e, t.order(s, viewerCountry(r, s), t.opt.Directory.Self())))
}

// whereIs collects the answer.
func (t *Router) whereIs(e relay.Entry, order []string) Where {
	a := Where{Stream: e.Stream, Live: e.Live, Origin: Origin{Node: e.Origin, Region: e.Region}, Nodes: []Place{}}
	if best, ok := t.nearest(e, order); ok {
		place := placeOf(best, e.Stream)
		a.Nearest = &place
	}
	for _, p := range t.nodes() {
		if allowed(e, p.Region) && len(a.Nodes) < maxNodes {
			a.Nodes = append(a.Nodes, placeOf(p, e.Stream))
		}
	}
	return a
}

// placeOf is what viewers may know of a node.
func placeOf(p relay.Peer, stream string) Place {
	place := Place{
		Node: p.Name, Region: p.Region, URL: publicURL(p), Playlist: playlist(p, stream),
		Viewers: p.Load.Viewers, CPU: finite(p.Load.CPU), Full: p.Load.Full,
	}
	if h, ok := held(p, stream); ok {
		place.Holds, place.Lag = true, finite(h.Lag)
		place.Position = &Position{Gen: h.Gen, MSN: h.MSN, Part: h.Part}
	}
	return place
}

// problem answers with a problem document (RFC 9457), of the same form as the API's others.
func problem(w http.ResponseWriter, status int, reason, detail, field string) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSON(w, status, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Reason string `json:"reason"`
		Field  string `json:"field,omitempty"`
	}{"about:blank", http.StatusText(status), status, detail, reason, field})
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who asked is gone: nothing to do
}
