package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// worthZipping is the size in bytes below which compression gains nothing.
const worthZipping = 256

// kinds are the media types of what a site consists of; the system's table may lack some or have others.
var kinds = map[string]string{
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".md":    "text/markdown; charset=utf-8",
	".ts":    "application/typescript; charset=utf-8",
	".svg":   "image/svg+xml",
	".json":  "application/json",
	".png":   "image/png",
	".webp":  "image/webp",
	".woff2": "font/woff2",
}

// file is one file of the site, plain and, where that is smaller, gzip.
type file struct {
	name        string
	kind        string
	plain, zip  []byte // zip is nil when it would gain nothing
	tag, zipTag string // entity tags, quoted
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	id := hex.EncodeToString(sum[:12])
	f := &file{name: name, kind: kinds[path.Ext(name)], plain: body, tag: `"` + id + `"`, zipTag: `"` + id + `-gzip"`}
	if f.kind == "" {
		f.kind = mime.TypeByExtension(path.Ext(name))
	}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	if zip := compress(body); len(body) >= worthZipping && len(zip) < len(body)*9/10 {
		f.zip = zip
	}
	return f
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return body // not reached: the level is valid
	}
	// Writing into memory does not fail.
	_, _ = z.Write(body)
	_ = z.Close()
	return b.Bytes()
}

// serve writes the file, or says that the client's copy is still good (RFC 9110 13.1.2).
func (f *file) serve(w http.ResponseWriter, r *http.Request, cache string) {
	body, tag := f.plain, f.tag
	h := w.Header()
	h.Set("Cache-Control", cache)
	if f.zip != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = f.zip, f.zipTag
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		// A client that goes away is no fault of ours.
		_, _ = w.Write(body)
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110 12.5.3): gzip by its name or by *, with a weight above 0.
func acceptsGzip(values []string) bool {
	any := false
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		name, params, _ := strings.Cut(item, ";")
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "gzip", "x-gzip":
			return weight(params) > 0
		case "*":
			any = weight(params) > 0
		}
	}
	return any
}

// weight reads "q=0.5"; what has no weight, or one that cannot be read, weighs 1 or 0.
func weight(params string) float64 {
	_, q, found := strings.Cut(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
	if !found {
		return 1
	}
	v, err := strconv.ParseFloat(q, 64)
	if err != nil {
		return 0
	}
	return v
}

// matches compares an entity tag with If-None-Match, weakly.
func matches(values []string, tag string) bool {
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == "*" || item == tag {
			return true
		}
	}
	return false
}
