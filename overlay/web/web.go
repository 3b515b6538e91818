// Package web holds the pages, built from TypeScript by `make build` and embedded: the watch page, the studio, the page that
// goes live from a browser, the list of live streams and what they load; and the SDK with which pages of others show cards.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// dist holds .gitkeep alone until the pages are built, so that the package compiles before.
//
//go:embed all:dist
var dist embed.FS

// The pages' names in the built site.
const (
	indexPage   = "index.html"
	watchPage   = "watch.html"
	studioPage  = "studio.html"
	publishPage = "publish.html"
)

// How long caches may keep what: names of assets change with their content, names of pages never do, and those of the SDK
// stand in pages of others, which are to have a new version within minutes.
const (
	cacheAsset = "public, max-age=31536000, immutable"
	cachePage  = "no-cache"
	cacheSDK   = "public, max-age=300, stale-while-revalidate=3600"
)

// What pages may use of the device: nothing, but for the page that goes live.
const (
	noDevices   = "camera=(), geolocation=(), microphone=(), payment=()"
	liveDevices = "camera=(self), geolocation=(), microphone=(self), payment=()"
)

// contentPolicy lets pages load what this node serves and nothing else, but for pictures from the hosts that cards may have
// them from (CSP Level 3, 2.3.1). Media goes through Media Source Extensions, whose object URLs are blob: ones.
func contentPolicy(images []string) string {
	var sources strings.Builder
	for _, pattern := range images {
		switch {
		case pattern == "*":
			sources.WriteString(" https:")
		case hostPattern.MatchString(pattern):
			sources.WriteString(" https://" + pattern)
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:" + sources.String() +
		"; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'" + noMarkup
}

// noMarkup has the browser refuse whatever would turn text into markup or script, for which the pages have no need (Trusted Types).
const noMarkup = "; require-trusted-types-for 'script'; trusted-types 'none'"

// hostPattern is the form of a host in an allow-list, with a wildcard for its subdomains or without. What has another form
// could add to the policy more than a host.
var hostPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$`)

// notBuilt is what visitors read when the binary was made without the pages.
const notBuilt = "The pages are not part of this build of Pushcart. Run `make build` and start the node again.\n"

// Register mounts the pages: the list of live streams at /, the watch page at /watch/NAME, the studio at /studio/NAME, the page
// that goes live at /publish/NAME, what they load below /assets/; and the SDK below /sdk/. images gives the hosts that cards may have pictures from, as they are in
// force ("shop.example.com", "*.example.com", "*"); it is called for each page, from any goroutine. prefix is what stood in front of
// the address that a request for a watch page was sent to, so that addresses in the page have it too; nil is nothing. In a binary that was built
// without them, pages answer 503 and say so.
func Register(mux *http.ServeMux, images func() []string, prefix func(*http.Request) string) {
	s := &site{files: builtSite(), prefix: prefix}
	if prefix == nil {
		s.prefix = func(*http.Request) string { return "" }
	}
	s.register(mux, images)
	mux.HandleFunc("GET /sdk/{name}", (&site{files: builtSDK()}).library)
}

// What was built is compressed once for all nodes of a process: it takes long, and nobody changes a file.
var (
	builtSite = sync.OnceValue(func() map[string]*file { return load(built("site")).files })
	builtSDK  = sync.OnceValue(func() map[string]*file { return load(built("sdk")).files })
)

// built is one of the trees that were built.
func built(name string) fs.FS {
	tree, err := fs.Sub(dist, "dist/"+name)
	if err != nil {
		panic(err) // not reached: the path is a constant and valid
	}
	return tree
}

// site serves files that were built; for any number of goroutines.
type site struct {
	files  map[string]*file // by path in the tree
	prefix func(*http.Request) string
}

// load reads what was built, compressing what is worth it.
func load(tree fs.FS) *site {
	s := &site{files: map[string]*file{}, prefix: func(*http.Request) string { return "" }}
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

func (s *site) register(mux *http.ServeMux, images func() []string) {
	mux.HandleFunc("GET /{$}", s.page(indexPage, noDevices, images))
	// One page for every name: its script reads the name from the address.
	mux.HandleFunc("GET /watch/{name}", s.watch(images))
	mux.HandleFunc("GET /studio/{name}", s.page(studioPage, noDevices, images))
	mux.HandleFunc("GET /publish/{name}", s.page(publishPage, liveDevices, images))
	mux.HandleFunc("GET /assets/{name}", s.asset)
}

// page makes the handler of one page, which may use these devices.
func (s *site) page(name, devices string, images func() []string) http.HandlerFunc {
	f := s.files[name]
	return pageOf(f != nil, func(*http.Request) *file { return f }, devices, images)
}

// watch makes the handler of the watch pages, which differ by stream in what other sites show of them.
func (s *site) watch(images func() []string) http.HandlerFunc {
	f := s.files[watchPage]
	each := &shared{page: f, prefix: s.prefix, made: map[string]*file{}}
	return pageOf(f != nil, each.of, noDevices, images)
}

// pageOf makes the handler of pages, which were built or not.
func pageOf(there bool, of func(*http.Request) *file, devices string, images func() []string) http.HandlerFunc {
	if !there {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, notBuilt, http.StatusServiceUnavailable)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy(images()))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", devices)
		of(r).serve(w, r, cachePage)
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

// library answers with a file of the SDK, to pages of any origin.
func (s *site) library(w http.ResponseWriter, r *http.Request) {
	f := s.files[r.PathValue("name")]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	f.serve(w, r, cacheSDK)
}
