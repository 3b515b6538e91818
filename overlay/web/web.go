// Package web holds the viewer's pages, built from TypeScript by `make build` and embedded: the watch page, the list of
// live streams and what they load.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

// dist holds .gitkeep alone until the pages are built, so that the package compiles before.
//
//go:embed all:dist
var dist embed.FS

// The pages' names in the built site.
const (
	indexPage = "index.html"
	watchPage = "watch.html"
)

// How long caches may keep what: names of assets change with their content, names of pages never do.
const (
	cacheAsset = "public, max-age=31536000, immutable"
	cachePage  = "no-cache"
)

// contentPolicy lets pages load what this node serves and nothing else. Media goes through Media Source Extensions, whose
// object URLs are blob: ones.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// notBuilt is what visitors read when the binary was made without the pages.
const notBuilt = "The pages are not part of this build of Pushcart. Run `make build` and start the node again.\n"

// Register mounts the pages: the list of live streams at /, the watch page at /watch/NAME, what they load below /assets/.
// In a binary that was built without them, pages answer 503 and say so.
func Register(mux *http.ServeMux) {
	built, err := fs.Sub(dist, "dist/site")
	if err != nil {
		panic(err) // not reached: the path is a constant and valid
	}
	load(built).register(mux)
}

// site serves the pages; for any number of goroutines.
type site struct {
	files map[string]*file // by path: "assets/..." and pages
}

// load reads a built site, compressing what is worth it.
func load(tree fs.FS) *site {
	s := &site{files: map[string]*file{}}
	// Files that are embedded can always be read; what cannot be is not there.
	_ = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if body, err := fs.ReadFile(tree, name); err == nil {
			s.files[name] = newFile(name, body)
		}
		return nil
	})
	return s
}

func (s *site) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page(indexPage))
	// One page for every name: its script reads the name from the address.
	mux.HandleFunc("GET /watch/{name}", s.page(watchPage))
	mux.HandleFunc("GET /assets/{name}", s.asset)
}

// page makes the handler of one page.
func (s *site) page(name string) http.HandlerFunc {
	f := s.files[name]
	if f == nil {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, notBuilt, http.StatusServiceUnavailable)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		f.serve(w, r, cachePage)
	}
}

// asset answers with what pages load.
func (s *site) asset(w http.ResponseWriter, r *http.Request) {
	f := s.files["assets/"+r.PathValue("name")]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	f.serve(w, r, cacheAsset)
}
