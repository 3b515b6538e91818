package hls

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"pushcart/packager/playlist"
	"pushcart/packager/window"
)

// Caching of playlists. One that was asked for by position is right for as long as it can be of use to anyone: the
// low-latency profile asks for six target durations. The bare one is out of date within a part.
const (
	cacheBare    = "public, max-age=1"
	cacheFailure = "public, max-age=1"
)

const playlistType = "application/vnd.apple.mpegurl"

// directives are the _HLS_ parameters of a request (rfc8216bis 6.2.5).
type directives struct {
	position window.Position // Part is -1 when only a segment is asked for
	block    bool
	skip     playlist.Skip
}

// parseDirectives reads the query. Directives it does not know are ignored, as the specification asks.
func parseDirectives(query string) (d directives, err error) {
	d.position.Part = -1
	if query == "" {
		return d, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return d, fmt.Errorf("the query cannot be parsed")
	}
	if v, ok := values["_HLS_msn"]; ok {
		if d.position.MSN, err = parseNumber(v[0]); err != nil {
			return d, fmt.Errorf("_HLS_msn must be a decimal number")
		}
		d.block = true
	}
	if v, ok := values["_HLS_part"]; ok {
		n, err := parseNumber(v[0])
		if err != nil {
			return d, fmt.Errorf("_HLS_part must be a decimal number")
		}
		if !d.block {
			return d, fmt.Errorf("_HLS_part needs _HLS_msn")
		}
		d.position.Part = int(n)
	}
	if v, ok := values["_HLS_skip"]; ok {
		switch v[0] {
		case "YES":
			d.skip = playlist.SkipSegments
		case "v2":
			d.skip = playlist.SkipDateRanges
		default:
			return d, fmt.Errorf("_HLS_skip must be YES or v2")
		}
	}
	return d, nil
}

// document is a rendered playlist.
type document struct {
	plain []byte
	etag  string

	once sync.Once
	zip  []byte
}

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

// gzip compresses the document when the first viewer asks for it so.
func (d *document) gzip() []byte {
	d.once.Do(func() {
		var b bytes.Buffer
		w := gzipWriters.Get().(*gzip.Writer)
		w.Reset(&b)
		w.Write(d.plain)
		w.Close()
		gzipWriters.Put(w)
		d.zip = bytes.Clone(b.Bytes())
	})
	return d.zip
}

// Memo slots of a snapshot.
const (
	memoFull = iota
	memoSkipSegments
	memoSkipDateRanges
)

// render returns a snapshot's playlist.
func render(p *window.Presentation, s *window.Snapshot, skip playlist.Skip, m *Metrics) *document {
	slot, suffix := memoFull, ""
	switch skip {
	case playlist.SkipSegments:
		slot, suffix = memoSkipSegments, "-s"
	case playlist.SkipDateRanges:
		slot, suffix = memoSkipDateRanges, "-v2"
	}
	return s.Memo[slot].Get(func() any {
		m.rendered.Inc()
		return &document{plain: playlist.Media(s, p.Settings, skip), etag: tip(s) + suffix}
	}).(*document)
}

// tip names a snapshot's state, for ETags: the same on the origin and on every copy.
func tip(s *window.Snapshot) string {
	gen := s.Gen
	last, ok := s.Last()
	if ok {
		gen = s.Segments[len(s.Segments)-1].Gen
	}
	tag := strconv.FormatInt(gen, 10) + "-" + strconv.FormatInt(last.MSN, 10) + "." + strconv.Itoa(last.Part)
	if s.Gen != gen {
		tag += "g" + strconv.FormatInt(s.Gen, 10) // another origin goes on, and has given nothing yet
	}
	if n := len(s.Reports); n > 0 {
		tag += "r" + strconv.Itoa(n) // the first report on a rendition comes without a part
	}
	if s.Amended > 0 {
		tag += "a" + strconv.Itoa(s.Amended)
	}
	if s.Open() == nil {
		tag += "c"
	}
	if s.Ended {
		tag += "e"
	}
	return tag
}

// multivariant answers for index.m3u8.
func (h *Handler) multivariant(w http.ResponseWriter, r *http.Request, name string) {
	if h.opt.Elsewhere != nil {
		if at := h.opt.Elsewhere(r, name); at != "" {
			h.redirect(w, at)
			return
		}
	}
	e, v := h.arrived(w, r, name)
	if v == nil {
		return
	}
	e.audience.seen(r, h.opt.Now())
	h.sendPlaylist(w, r, kindMultivariant, renderMultivariant(v, h.opt.Metrics), cacheBare)
}

// renderMultivariant returns a view's playlist. Its ETag is of the text alone, which views of different nodes may share.
func renderMultivariant(v *window.View, m *Metrics) *document {
	return v.Memo.Get(func() any {
		m.rendered.Inc()
		text := playlist.Multivariant(v)
		sum := sha256.Sum256(text)
		return &document{plain: text, etag: hex.EncodeToString(sum[:8])}
	}).(*document)
}

// redirect sends a viewer to another node. Where to depends on who asks, so that no cache may keep it.
func (h *Handler) redirect(w http.ResponseWriter, at string) {
	head := w.Header()
	head.Set("Location", at)
	head.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTemporaryRedirect)
	h.opt.Metrics.request(kindMultivariant, http.StatusTemporaryRedirect, 0)
}

// playlist answers for a media playlist.
func (h *Handler) playlist(w http.ResponseWriter, r *http.Request, e *entry, rend *window.Rendition) {
	p := e.presentations[0]
	d, err := parseDirectives(r.URL.RawQuery)
	if err != nil {
		h.fail(w, kindPlaylist, http.StatusBadRequest, err.Error())
		return
	}
	e.audience.seen(r, h.opt.Now())
	s := rend.Load()
	last, ok := s.Last()
	if !ok {
		last = window.Position{MSN: s.NextMSN, Part: -1} // the first part is on its way
	}
	if d.block && !s.Ended && tooFar(d.position, last, s.PartTarget) && !reached(p.Load(), d.position) {
		h.fail(w, kindPlaylist, http.StatusBadRequest, "that position is too far ahead of the live edge")
		return
	}
	cache := cacheBare
	if d.block {
		cache = "public, max-age=" + strconv.Itoa(6*p.Settings.TargetDuration)
	} else {
		d.position = window.Position{MSN: s.NextMSN, Part: 0}
	}
	if d.block || !ok {
		if s = h.await(w, r, kindPlaylist, p, rend, false, func(s *window.Snapshot) bool { return s.Has(d.position) || s.Ended }); s == nil {
			return
		}
	}
	if s.Ended {
		cache, d.skip = cacheBare, playlist.NoSkip // an ended playlist is given whole: 6.2.5.1
	}
	h.sendPlaylist(w, r, kindPlaylist, render(p, s, d.skip, h.opt.Metrics), cache)
}

// tooFar tells whether a position is further ahead than a playlist may be asked for (rfc8216bis 6.2.5.2): two segments, or
// the advance part limit.
func tooFar(want, last window.Position, partTarget window.Ticks) bool {
	limit := 3
	if partTarget > 0 && partTarget < window.Rate {
		limit = int((3*window.Rate + partTarget - 1) / partTarget)
	}
	switch {
	case want.MSN > last.MSN+2:
		return true
	case want.MSN > last.MSN:
		return want.Part > limit
	}
	return want.MSN == last.MSN && want.Part > last.Part+limit
}

// reached tells whether a rendition of a presentation has a position, or will have it soon enough to be asked for it. Who
// changes over to a rendition that comes later than the one before may ask it for what that one had, and is to wait for it.
func reached(v *window.View, want window.Position) bool {
	for _, r := range v.Renditions {
		s := r.Load()
		last, ok := s.Last()
		switch {
		case !ok:
		case want.MSN >= last.MSN:
			if !tooFar(want, last, v.PartTarget) {
				return true
			}
		default:
			// One index behind the last is the first part of the next segment.
			if g := s.Segment(want.MSN); g != nil && want.Part <= len(g.Parts) {
				return true
			}
		}
	}
	return false
}

// sendPlaylist answers with a document.
func (h *Handler) sendPlaylist(w http.ResponseWriter, r *http.Request, k kind, doc *document, cache string) {
	body, etag := doc.plain, `"`+doc.etag+`"`
	head := w.Header()
	if acceptsGzip(r) {
		body, etag = doc.gzip(), `"`+doc.etag+`-gz"`
		head["Content-Encoding"] = encodingGzip
	}
	head["Vary"] = varyEncoding
	head["Content-Type"] = typePlaylist
	head["Cache-Control"] = []string{cache}
	head["Etag"] = []string{etag}
	if matches(r.Header.Get("If-None-Match"), etag) {
		delete(head, "Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		h.opt.Metrics.request(k, http.StatusNotModified, 0)
		return
	}
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	if r.Method == http.MethodHead {
		body = nil
	}
	n, _ := w.Write(body)
	h.opt.Metrics.request(k, http.StatusOK, n)
}

var (
	encodingGzip = []string{"gzip"}
	varyEncoding = []string{"Accept-Encoding"}
	typePlaylist = []string{playlistType}
)

// acceptsGzip tells whether the client takes gzip; a quality of zero means that it does not.
func acceptsGzip(r *http.Request) bool {
	for field := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(field, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			q = strings.ReplaceAll(q, " ", "")
			return strings.Trim(strings.TrimPrefix(q, "q="), "0.") != "" || q == ""
		}
	}
	return false
}

// matches tells whether an If-None-Match field names the tag (RFC 9110 13.1.2).
func matches(field, etag string) bool {
	if field == "" {
		return false
	}
	for f := range strings.SplitSeq(field, ",") {
		f = strings.TrimPrefix(strings.TrimSpace(f), "W/")
		if f == etag || f == "*" {
			return true
		}
	}
	return false
}
