package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// Tokens of the roles, for the stream "show" and for all streams.
const (
	readsShow = "token-that-reads-the-show"
	runsShow  = "token-that-runs-the-show"
	readsAll  = "token-that-reads-all"
	runsAll   = "token-that-runs-all"
	rulesAll  = "token-that-rules-all"
)

func (h *house) permitRoles() {
	h.t.Helper()
	h.permit(
		auth.Entry{Stream: "show", Key: readsShow, Role: auth.Viewer}, auth.Entry{Stream: "show", Key: runsShow, Role: auth.Producer},
		auth.Entry{Stream: "*", Key: readsAll, Role: auth.Viewer}, auth.Entry{Stream: "*", Key: runsAll, Role: auth.Producer},
		auth.Entry{Stream: "*", Key: rulesAll, Role: auth.Admin},
	)
}

// TestEveryRouteAndRole: whatever changes something needs more than reading, what changes the node most of all; a token whose role is not
// enough is told so, in words that name the role, and changes nothing.
func TestEveryRouteAndRole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", lamp)
	h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	h.permitRoles()
	for i := range h.routes {
		rt := &h.routes[i]
		switch {
		case rt.open():
			continue
		case rt.method == http.MethodGet && rt.role != auth.Viewer:
			t.Errorf("%s %s: reading needs the role %s", rt.method, rt.path, rt.role)
		case rt.method != http.MethodGet && !rt.role.Covers(auth.Producer):
			t.Errorf("%s %s: changing needs the role %s only", rt.method, rt.path, rt.role)
		}
		for token, role := range map[string]auth.Role{readsShow: auth.Viewer, runsShow: auth.Producer, readsAll: auth.Viewer, runsAll: auth.Producer} {
			if role.Covers(rt.role) {
				continue // TestEveryRouteAndToken goes there
			}
			a := h.do(rt.method, concrete(rt, "show"), "{}", "Authorization", "Bearer "+token)
			said := a.refused(http.StatusForbidden, overlay.ReasonForbidden, "Authorization")
			if !strings.Contains(said, "role "+string(rt.role)) || !strings.Contains(said, "role "+string(role)) {
				t.Errorf("%s as %s: %s", a.what, role, said)
			}
			if !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope") {
				t.Errorf("%s: WWW-Authenticate is %q", a.what, a.header.Get("WWW-Authenticate"))
			}
		}
	}
	if v := h.do("GET", "/api/v1/streams/show/slots", "", "Authorization", "Bearer "+readsShow); !strings.Contains(string(v.body), `"card": "lamp"`) {
		t.Errorf("a reader changed something, or cannot read: %d %s", v.status, v.body)
	}
	if len(h.guard.strikes) != 0 {
		t.Error("a good token without the role counts as a wrong one")
	}
	if a := h.do("PUT", "/api/v1/sources/new", `{"url":"rtsp://camera.example/1"}`, "Authorization", "Bearer "+rulesAll); a.status != http.StatusCreated {
		t.Errorf("an admin cannot add a source: %d %s", a.status, a.body)
	}
	if a := h.do("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, "Authorization", "Bearer "+runsAll); a.status != http.StatusOK {
		t.Errorf("a producer of all streams cannot show a card: %d %s", a.status, a.body)
	}
}

// TestRoleElsewhere: in a cluster the role decides the same, whichever node is asked; and the origin looks again.
func TestRoleElsewhere(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.permitRoles()
	p.origin.permitRoles()
	p.do("PUT", "/api/v1/streams/show/cards/lamp", lamp, "Authorization", "Bearer "+readsShow).refused(http.StatusForbidden, overlay.ReasonForbidden, "Authorization")
	if n := p.asked.Load(); n != 0 {
		t.Errorf("what is refused was carried to the origin %d times", n)
	}
	if a := p.do("PUT", "/api/v1/streams/show/cards/lamp", lamp, "Authorization", "Bearer "+runsShow); a.status != http.StatusCreated {
		t.Errorf("%s: %d %s", a.what, a.status, a.body)
	}
	p.origin.permit(auth.Entry{Stream: "show", Key: runsShow, Role: auth.Viewer})
	p.do("DELETE", "/api/v1/streams/show/cards/lamp", "", "Authorization", "Bearer "+runsShow).refused(http.StatusForbidden, overlay.ReasonForbidden, "Authorization")
}

// TestVisible: names of streams that are played by signed addresses only are told those alone who may know them.
func TestVisible(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.permitRoles()
	h.opt.Streams = func() []Stream { return []Stream{described("open"), described("show")} }
	h.opt.Visible = func(r *http.Request, stream string) bool { return stream == "open" || r.Header.Get("Signed") == stream }
	h.opt.Publisher = func(stream, secret string) bool { return stream == "show" && secret == "stream-key" }
	for _, tt := range []struct {
		name   string
		header []string
		listed string
		one    int // GET of the stream "show"
		none   int // of one that is not there
	}{
		{"nobody", nil, "open", 401, 401},
		{"a wrong token", []string{"Authorization", "Bearer wrong-token"}, "open", 401, 401},
		{"a viewer's token", []string{"Authorization", "Bearer " + readsShow}, "open show", 200, 401},
		{"an admin", []string{"Authorization", "Bearer " + rulesAll}, "open show", 200, 404},
		{"the publisher", []string{"Authorization", "Bearer stream-key"}, "open show", 200, 401},
		{"a signed address", []string{"Signed", "show"}, "open show", 200, 401},
	} {
		var list StreamList
		h.do("GET", "/api/v1/streams", "", tt.header...).into(&list)
		var names []string
		for _, s := range list.Streams {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != tt.listed {
			t.Errorf("%s gets the list %q, want %q", tt.name, got, tt.listed)
		}
		for stream, want := range map[string]int{"show": tt.one, "elsewhere": tt.none} {
			if a := h.do("GET", "/api/v1/streams/"+stream, "", tt.header...); a.status != want {
				t.Errorf("%s gets %d for the stream %s, want %d: %s", tt.name, a.status, stream, want, a.body)
			}
		}
	}
}

// TestAccess: whoever has a token learns what it is good for and where to watch.
func TestAccess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.permitRoles()
	until := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	for token, want := range map[string]auth.Role{readsShow: auth.Viewer, runsShow: auth.Producer, rulesAll: auth.Admin} {
		for _, prefix := range []string{"", "/p/token"} {
			h.opt.Address = func(string) (string, time.Time) {
				if prefix == "" {
					return "", time.Time{}
				}
				return prefix, until
			}
			var a Access
			h.do("GET", "/api/v1/streams/show/access", "", "Authorization", "Bearer "+token).into(&a)
			if a.Role != want || a.Stream != "show" || a.Watch != prefix+"/watch/show" || a.Playlist != prefix+"/live/show/index.m3u8" || (a.ExpiresAt != nil) != (prefix != "") {
				t.Errorf("%s: %+v", want, a)
			}
		}
	}
}

// TestOrigins: every answer that is for everybody lets the option say which sites may read it, and no other answer does.
func TestOrigins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.opt.Origins = func(head http.Header, r *http.Request) {
		head.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}
	h.must("PUT", "/cards/lamp", lamp)
	h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	const site = "https://shop.example"
	for i := range h.routes {
		rt := &h.routes[i]
		if rt.events {
			continue
		}
		want := ""
		if rt.open() {
			want = site
		}
		if a := h.do(rt.method, concrete(rt, "show"), "", "Origin", site); a.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %q", a.what, a.header.Get("Access-Control-Allow-Origin"))
		}
	}
	for _, ask := range [][2]string{{"OPTIONS", "/live/show/cards/lamp/1.json"}, {"POST", "/live/show/cards/lamp/1.json"}, {"GET", "/api/v1/nothing"}} {
		if a := h.do(ask[0], ask[1], "", "Origin", site); a.header.Get("Access-Control-Allow-Origin") != site {
			t.Errorf("%s: %q", a.what, a.header.Get("Access-Control-Allow-Origin"))
		}
	}
}
