package api

import (
	"net/http"
	"slices"
	"strings"

	"pushcart/internal/auth"
)

// route is one thing that can be asked of the API.
type route struct {
	method string
	// path in the form of http.ServeMux, which is also that of OpenAPI.
	path   string
	handle func(*call) error
	// role that a token needs; "" is that the route is for everybody. Reading needs one too: a card that was not shown yet is
	// nobody's business.
	role auth.Role
	// query has the parameters taken.
	query []string
	// body that the request must have; the zero value is none.
	body bodyRule
	// condition that a request that changes something may state.
	condition condition
	// deskless routes are about what the node fetches or makes, not about a stream's cards: there need be no desk, and what they
	// do is the same however often it is sent.
	deskless bool
	// here tells that the route is about this node even where it names a stream: what it fetches, or a document that it has.
	here bool
	// events tells that the answer is an event stream.
	events bool
	// viewers tells that the route is about a stream as its viewers know it: see Options.Visible.
	viewers bool
	// apart tells that Register leaves the route out: see Documents.
	apart bool
}

// open tells whether the route is for everybody.
func (rt *route) open() bool { return rt.role == "" }

// changes tells whether the route is one that changes what a desk has, and so takes an Idempotency-Key.
func (rt *route) changes() bool { return rt.method != http.MethodGet && !rt.deskless }

// Sizes of bodies in bytes. A card is held to its own limit by what reads it, which says so in better words.
const (
	maxCardBody   = 32 << 10
	maxSmallBody  = 4 << 10
	maxOrderBody  = 128 << 10
	maxImportBody = 4 << 20
)

// table lists all routes.
func (a *API) table() []route {
	const base, source = "/api/v1/streams/{name}", "/api/v1/sources/{name}"
	plain := func(limit int64) bodyRule { return bodyRule{[]string{kindJSON}, limit} }
	patch := func(limit int64) bodyRule { return bodyRule{[]string{kindMerge, kindJSON}, limit} }
	at := []string{"at"}
	const reads, runs, admin = auth.Viewer, auth.Producer, auth.Admin
	return []route{
		{method: "GET", path: "/api/v1/streams", handle: (*call).streams},
		{method: "GET", path: base, handle: (*call).oneStream, viewers: true},
		{method: "GET", path: "/api/openapi.yaml", handle: (*call).openAPI},

		{method: "GET", path: base + "/cards", handle: (*call).listCards, role: reads},
		{method: "PUT", path: base + "/cards", handle: (*call).importCards, role: runs, body: plain(maxImportBody)},
		{method: "PATCH", path: base + "/cards", handle: (*call).orderCards, role: runs, body: patch(maxOrderBody)},
		{method: "GET", path: base + "/cards/{id}", handle: (*call).getCard, role: reads},
		{method: "PUT", path: base + "/cards/{id}", handle: (*call).putCard, role: runs, body: plain(maxCardBody), condition: byRevOrNew},
		{method: "PATCH", path: base + "/cards/{id}", handle: (*call).patchCard, role: runs, body: patch(maxCardBody), condition: byRev},
		{method: "DELETE", path: base + "/cards/{id}", handle: (*call).deleteCard, role: runs, condition: byRev},
		{method: "GET", path: base + "/cards/{id}/preview", handle: (*call).previewCard, role: reads, query: []string{"region"}},

		{method: "GET", path: base + "/slots", handle: (*call).getSlots, role: reads},
		{method: "DELETE", path: base + "/slots", handle: (*call).hide, role: runs, query: at, condition: bySeq},
		{method: "PUT", path: base + "/slots/{slot}", handle: (*call).show, role: runs, body: plain(maxSmallBody), condition: bySeq},
		{method: "DELETE", path: base + "/slots/{slot}", handle: (*call).hide, role: runs, query: at, condition: bySeq},
		{method: "DELETE", path: base + "/schedule/{schedule}", handle: (*call).cancel, role: runs},
		{method: "GET", path: base + "/timeline", handle: (*call).timeline, role: reads},
		{method: "GET", path: base + "/card-settings", handle: (*call).getSettings, role: reads},
		{method: "PATCH", path: base + "/card-settings", handle: (*call).patchSettings, role: runs, body: patch(maxSmallBody)},
		{method: "GET", path: base + "/card-events", handle: (*call).events, role: reads, events: true},

		{method: "GET", path: "/api/v1/sources", handle: (*call).listSources, role: reads, deskless: true},
		{method: "GET", path: source, handle: (*call).getSource, role: reads, deskless: true, here: true},
		{method: "PUT", path: source, handle: (*call).putSource, role: admin, deskless: true, here: true, body: plain(maxSmallBody)},
		{method: "DELETE", path: source, handle: (*call).deleteSource, role: admin, deskless: true, here: true},

		{method: "GET", path: "/api/v1/ladder", handle: (*call).ladderNode, role: reads, deskless: true},
		{method: "GET", path: base + "/ladder", handle: (*call).ladder, role: reads, deskless: true},
		{method: "GET", path: base + "/ladder/command", handle: (*call).ladderCommand, role: reads, deskless: true, query: []string{"source"}},

		{method: "GET", path: documentPath, handle: (*call).document, apart: true, here: true, query: []string{"e"}},
		{method: "GET", path: base + "/access", handle: (*call).access, role: reads, deskless: true, here: true},

		{method: "GET", path: "/.well-known/jwks.json", handle: (*call).jwks},
	}
}

// Route is what can be asked of the API, and who may ask it.
type Route struct {
	// Method and Path as http.ServeMux has them.
	Method, Path string
	// Role that a token needs; "" is that it needs none.
	Role auth.Role
}

// Routes lists all, those of Documents among them.
func (a *API) Routes() []Route {
	all := make([]Route, len(a.routes))
	for i, rt := range a.routes {
		all[i] = Route{Method: rt.method, Path: rt.path, Role: rt.role}
	}
	return all
}

// Register mounts the API. What is asked for below /api/ and is not there is answered here, too.
func (a *API) Register(mux *http.ServeMux) {
	a.register(mux, func(rt *route) bool { return !rt.apart })
}

// register mounts some of the routes, and what answers where there are none.
func (a *API) register(mux *http.ServeMux, mounted func(*route) bool) {
	methods := map[string][]string{}
	for i := range a.routes {
		rt := &a.routes[i]
		if !mounted(rt) {
			continue
		}
		mux.HandleFunc(rt.method+" "+rt.path, a.serve(rt))
		methods[rt.path] = append(methods[rt.path], rt.method)
	}
	for path, there := range methods {
		mux.HandleFunc(path, otherMethod(there))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		a.opt.Origins(w.Header(), r)
		problemf("not_found", "", "There is no such resource. GET /api/openapi.yaml tells what there is.").write(w)
	})
}

// otherMethod answers for a path that is there, but not with the method asked for.
func otherMethod(there []string) http.HandlerFunc {
	if slices.Contains(there, http.MethodGet) {
		there = append(there, http.MethodHead)
	}
	slices.Sort(there)
	allow := strings.Join(there, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		problemf(reasonMethod, "", "This address does not take %s, but %s.", clip(r.Method), allow).with("Allow", allow).write(w)
	}
}
