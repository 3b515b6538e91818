package api

import (
	"net/http"
	"strings"
	"testing"
)

// concrete is a route's address for a stream, with names in the place of its parameters.
func concrete(rt *route, stream string) string {
	return strings.NewReplacer("{name}", stream, "{stream}", stream, "{id}", "lamp", "{slot}", "main", "{schedule}", "s1", "{rev}", "1").Replace(rt.path)
}

// TestEveryRouteAndToken asks for each route without a token, with wrong ones and with right ones.
func TestEveryRouteAndToken(t *testing.T) {
	t.Parallel()
	const nobody, allowed = http.StatusUnauthorized, 0
	tests := []struct {
		name, header string
		want         int // of routes that need a token
	}{
		{"no token", "", nobody},
		{"another stream's", "Bearer " + otherToken, nobody},
		{"a wrong one", "Bearer " + showToken + "x", nobody},
		{"the beginning of the right one", "Bearer " + showToken[:len(showToken)-1], nobody},
		{"an empty one", "Bearer ", nobody},
		{"the right one in another scheme", "Basic " + showToken, nobody},
		{"the right one without a scheme", showToken, nobody},
		{"the right one", "Bearer " + showToken, allowed},
		{"the right one, in small letters", "bearer " + showToken, allowed},
		{"one for any stream", "Bearer " + anyToken, allowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.must("PUT", "/cards/lamp", lamp)
			h.must("PUT", "/slots/main", `{"card":"lamp"}`)
			for i := range h.routes {
				rt := &h.routes[i]
				if strings.HasSuffix(rt.path, "/card-events") && tt.want == allowed {
					continue // it does not end: see TestEvents
				}
				// One address for each, so that they do not add up to too many failures.
				h.guard.strikes = map[string]*strikes{}
				body := ""
				if len(rt.body.kinds) > 0 {
					body = "{}"
				}
				var header []string
				if tt.header != "" {
					header = []string{"Authorization", tt.header}
				}
				a := h.do(rt.method, concrete(rt, "show"), body, header...)
				switch refused := a.status == http.StatusUnauthorized; {
				case rt.open() && a.status != http.StatusOK:
					t.Errorf("%s: %d %s", a.what, a.status, a.body)
				case (rt.path == "/api/v1/sources" || rt.path == "/api/v1/ladder") && tt.header == "Bearer "+otherToken:
					// Any token of the node's is good for it: see TestSourceList and TestLadderNode.
					if a.status != http.StatusOK {
						t.Errorf("%s: %d %s", a.what, a.status, a.body)
					}
				case !rt.open() && refused != (tt.want == nobody):
					t.Errorf("%s: %d %s", a.what, a.status, a.body)
				case !rt.open() && refused:
					a.refused(nobody, reasonUnauthorized, "Authorization")
					if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
						t.Errorf("%s: WWW-Authenticate is %q", a.what, a.header.Get("WWW-Authenticate"))
					}
				}
				// No page of another site may read, or change, what needs a token.
				if cors := a.header.Get("Access-Control-Allow-Origin"); (cors == "*") != rt.open() || cors != "" && cors != "*" {
					t.Errorf("%s: Access-Control-Allow-Origin is %q", a.what, cors)
				}
			}
			if v := h.must("GET", "/slots", ""); tt.want == nobody && !strings.Contains(string(v.body), `"card": "lamp"`) {
				t.Errorf("somebody without the token changed something: %s", v.body)
			}
		})
	}
}

// TestPreflight: browsers ask before a page of another site sends a token, and hear nothing that lets it.
func TestPreflight(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range h.routes {
		rt := &h.routes[i]
		if rt.open() {
			continue
		}
		a := h.do("OPTIONS", concrete(rt, "show"), "", "Origin", "https://elsewhere.example", "Access-Control-Request-Method", rt.method)
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s is %q", a.what, name, a.header.Get(name))
			}
		}
		a.refused(http.StatusMethodNotAllowed, reasonMethod, "")
	}
}

// TestOtherMethodsAndPaths: what is not there says so as everything else does.
func TestOtherMethodsAndPaths(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for target, allow := range map[string]string{
		"POST /api/v1/streams":                      "GET, HEAD",
		"DELETE /api/v1/streams/show":               "GET, HEAD",
		"POST /api/v1/streams/show/cards":           "GET, HEAD, PATCH, PUT",
		"POST /api/v1/streams/show/cards/lamp":      "DELETE, GET, HEAD, PATCH, PUT",
		"GET /api/v1/streams/show/slots/main":       "DELETE, PUT",
		"GET /api/v1/streams/show/schedule/s1":      "DELETE",
		"PUT /api/v1/streams/show/card-settings":    "GET, HEAD, PATCH",
		"POST /api/openapi.yaml":                    "GET, HEAD",
		"PUT /.well-known/jwks.json":                "GET, HEAD",
		"POST /live/show/cards/lamp/1.json":         "GET, HEAD, OPTIONS",
		"TRACE /api/v1/streams/show/card-events":    "GET, HEAD",
		"PATCH /api/v1/streams/show/slots":          "DELETE, GET, HEAD",
		"DELETE /api/v1/streams/show/cards":         "GET, HEAD, PATCH, PUT",
		"PUT /api/v1/streams/show/timeline":         "GET, HEAD",
		"POST /api/v1/sources":                      "GET, HEAD",
		"PATCH /api/v1/sources/show":                "DELETE, GET, HEAD, PUT",
		"POST /api/v1/ladder":                       "GET, HEAD",
		"POST /api/v1/streams/show/ladder":          "GET, HEAD",
		"PUT /api/v1/streams/show/ladder/command":   "GET, HEAD",
		"POST /api/v1/streams/show/cards/x/preview": "GET, HEAD",
	} {
		method, path, _ := strings.Cut(target, " ")
		a := h.do(method, path, "")
		a.refused(http.StatusMethodNotAllowed, reasonMethod, "")
		if got := a.header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", target, got, allow)
		}
	}
	for _, path := range []string{"/api/", "/api/v2/streams", "/api/v1/streams/show/", "/api/v1/streams/show/cards/lamp/other", "/api/v1/other"} {
		h.do("GET", path, "", "Authorization", "Bearer "+showToken).refused(http.StatusNotFound, "not_found", "")
	}
}

// TestHead: whatever can be had can be asked about.
func TestHead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", lamp)
	h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	for i := range h.routes {
		rt := &h.routes[i]
		if rt.method != "GET" {
			continue
		}
		a := h.do("HEAD", concrete(rt, "show"), "", "Authorization", "Bearer "+showToken)
		if a.status != http.StatusOK {
			t.Errorf("%s: %d", a.what, a.status)
		}
	}
}
