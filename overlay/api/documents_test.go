package api

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pushcart/overlay"
	"pushcart/overlay/timed"
)

// TestDocuments: viewers get what was shown, and nothing else.
func TestDocuments(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", `{"id":"lamp","name":"Desk lamp","description":"`+strings.Repeat("Bends where you want it. ", 10)+`End."}`)
	const target = "/live/show/cards/lamp/1.json"
	a := h.do("GET", target, "")
	a.refused(http.StatusNotFound, overlay.ReasonNotFound, "")
	if got := a.header.Get("Cache-Control"); got != "public, max-age=1" {
		t.Errorf("not shown yet: Cache-Control is %q", got)
	}
	h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	plain := h.do("GET", target, "", "Origin", "https://elsewhere.example")
	for name, want := range map[string]string{
		"Cache-Control": "public, max-age=60", "Access-Control-Allow-Origin": "*", "Content-Type": "application/json",
		"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff", "Content-Encoding": "",
	} {
		if got := plain.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if plain.status != http.StatusOK || !strings.HasPrefix(string(plain.body), `{"id":"lamp","rev":1,`) {
		t.Errorf("%d %s", plain.status, plain.body)
	}

	// With the epoch that names it, a document is for ever; with another it may be that of a journal which is lost.
	epoch := h.desks.Peek("show").Epoch
	for query, want := range map[string]string{
		fmt.Sprint("?e=", epoch): "public, max-age=31536000, immutable", fmt.Sprint("?e=", epoch-1): "public, max-age=60",
	} {
		if got := h.get(target + query).header.Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control is %q, want %q", query, got, want)
		}
	}
	zipped := h.get(target, "Accept-Encoding", "br, gzip")
	z, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if text := readAll(t, z); text != string(plain.body) || zipped.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v %s", zipped.header, text)
	}
	if plain.header.Get("ETag") == zipped.header.Get("ETag") {
		t.Error("plain and gzip have the same entity tag")
	}
	for _, a := range []*answer{plain, zipped} {
		encoding := a.header.Get("Content-Encoding")
		again := h.get(target, "Accept-Encoding", encoding, "If-None-Match", a.header.Get("ETag"))
		if again.status != http.StatusNotModified || len(again.body) != 0 || again.header.Get("Content-Encoding") != "" || again.header.Get("ETag") == "" {
			t.Errorf("%q: %d %v", encoding, again.status, again.header)
		}
	}
	if head := h.do("HEAD", target, ""); head.status != http.StatusOK || len(head.body) != 0 || head.header.Get("Content-Length") != plain.header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	if a := h.do("OPTIONS", target, ""); a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS: %d %v", a.status, a.header)
	}

	// What was shown stays the same when the card changes.
	h.must("PATCH", "/cards/lamp", `{"name":"Other lamp"}`)
	if a := h.do("GET", target, ""); !bytes.Equal(a.body, plain.body) {
		t.Errorf("it changed: %s", a.body)
	}
	for _, other := range []string{
		"/live/show/cards/lamp/3.json", "/live/show/cards/lamp/0.json", "/live/show/cards/lamp/01.json", "/live/show/cards/lamp/-1.json",
		"/live/show/cards/lamp/1.JSON", "/live/show/cards/lamp/.json", "/live/show/cards/lamp/9999999999999999999.json", "/live/show/cards/lamp/1.json/",
		"/live/show/cards//1.json", "/live/other/cards/lamp/1.json", "/live//cards/lamp/1.json", "/live/show/cards/sofa/1.json",
		"/live/show/card/lamp/1.json", "/live/show/cards/lamp/x/1.json", "/live/../cards/lamp/1.json", "/live/show/cards/..%2flamp/1.json",
	} {
		h.get(other).refused(http.StatusNotFound, overlay.ReasonNotFound, "")
	}
}

// get asks without holding the answer to the description, whose paths are only those that are well-formed.
func (h *house) get(target string, header ...string) *answer {
	h.t.Helper()
	r, err := http.NewRequest("GET", target, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := &recorder{header: http.Header{}}
	h.Documents().ServeHTTP(w, r)
	return &answer{h.t, "GET " + target, w.status, w.header, w.Bytes()}
}

// recorder is a http.ResponseWriter that leaves everything as it is.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// TestIsDocument: no name of media is taken for a card.
func TestIsDocument(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/live/show/cards/lamp/1.json": true, "/live/show/index.m3u8": false, "/live/show/video.m3u8": false, "/live/json/video/1-2.3.m4s": false,
		"/live/show/video/init-0123456789ab.mp4": false, "/live/show/cards/1-2.m4s": false,
	} {
		if IsDocument(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

// TestKeys: the key set is what a state is verified with.
func TestKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.do("GET", "/.well-known/jwks.json", "")
	keys, err := timed.ParseJWKS(a.body)
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.desks.Desk("show")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := keys.Verify(d.View().Token); err != nil || s.Stream != "show" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, want := range map[string]string{
		"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "Content-Type": "application/jwk-set+json",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a := h.do("GET", "/.well-known/jwks.json", "", "If-None-Match", a.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("again: %d", a.status)
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip; q=0.1": true, "*": true, "*;q=0": false, "gzip;q=0, *": false, "br": false, "gzip;q=x": false,
		"identity, x-gzip": true, ",,;": false,
	} {
		if got := acceptsGzip([]string{value}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
