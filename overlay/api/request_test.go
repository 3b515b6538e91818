package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pushcart/overlay"
)

// TestIdempotency: a request is carried out once under its key, and answered each time.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.must("PUT", "/cards/lamp", lamp, "Idempotency-Key", "key-1")
	again := h.must("PUT", "/cards/lamp", lamp, "Idempotency-Key", "key-1")
	if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("replayed: %q, then %q", first.header.Get("Idempotency-Replayed"), again.header.Get("Idempotency-Replayed"))
	}
	if again.status != first.status || string(again.body) != string(first.body) || again.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("%d %s, then %d %s", first.status, first.body, again.status, again.body)
	}
	// Whatever else the request says makes it another one.
	h.must("PUT", "/cards/sofa", doc("sofa"))
	h.must("PUT", "/slots/main", `{"card":"lamp"}`, "Idempotency-Key", "key-2")
	for _, tt := range [][]string{
		{"PUT", "/cards/lamp", strings.Replace(lamp, "19", "18", 1), "key-1"},
		{"PUT", "/cards/lamp", lamp, "key-1", "If-Match", `"1"`},
		{"PATCH", "/cards/lamp", lamp, "key-1"},
		{"PUT", "/slots/main", `{"card":"sofa"}`, "key-2"},
		{"PUT", "/slots/offer", `{"card":"lamp"}`, "key-2"},
		{"PUT", "/slots/main", `{"card":"lamp","at":"2026-03-01T20:15:00Z"}`, "key-2"},
		{"DELETE", "/slots/main", "", "key-2"},
		{"DELETE", "/slots", "", "key-2"},
	} {
		h.ask(tt[0], tt[1], tt[2], append([]string{"Idempotency-Key", tt[3]}, tt[4:]...)...).
			refused(http.StatusUnprocessableEntity, overlay.ReasonReused, "key")
	}
	for _, key := range []string{"", strings.Repeat("k", 65), "two words", "schlüssel", "tab\there"} {
		h.ask("DELETE", "/slots", "", "Idempotency-Key", key).refused(http.StatusBadRequest, reasonMalformed, "Idempotency-Key")
	}
	if s := h.slots(); len(s.Slots) != 1 || s.Slots[0].Card != "lamp" {
		t.Errorf("%+v", s)
	}
}

// TestConditions: a change that is based on something else than what there is does not happen.
func TestConditions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", lamp, "If-None-Match", "*")
	h.ask("PUT", "/cards/lamp", lamp, "If-None-Match", "*").refused(http.StatusPreconditionFailed, overlay.ReasonStale, "If-None-Match")
	h.must("PATCH", "/cards/lamp", `{"brand":"Lumen"}`, "If-Match", `"1"`)
	s := h.slots()
	tests := []struct {
		method, path, body string
		header             []string
		status             int
		field              string
	}{
		{"PATCH", "/cards/lamp", `{"brand":"Other"}`, []string{"If-Match", `"1"`}, 412, "If-Match"},
		{"PUT", "/cards/lamp", lamp, []string{"If-Match", `"1"`}, 412, "If-Match"},
		{"PUT", "/cards/new", doc("new"), []string{"If-Match", `"1"`}, 412, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `"3"`}, 412, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `"list-1"`}, 412, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `"0"`}, 412, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `"-1"`}, 412, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `W/"2"`}, 400, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `2`}, 400, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `*`}, 400, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-Match", `"1", "2"`}, 400, "If-Match"},
		{"DELETE", "/cards/lamp", "", []string{"If-None-Match", `*`}, 400, "If-None-Match"},
		{"PUT", "/cards/lamp", lamp, []string{"If-None-Match", `"2"`}, 400, "If-None-Match"},
		{"PUT", "/cards/lamp", lamp, []string{"If-None-Match", `*`, "If-Match", `"2"`}, 400, "If-Match"},
		{"PUT", "/cards", "[]", []string{"If-Match", `"list-2"`}, 400, "If-Match"},
		{"PATCH", "/card-settings", `{"in_band":false}`, []string{"If-Match", `"1"`}, 400, "If-Match"},
		{"PUT", "/slots/main", `{"card":"lamp"}`, []string{"If-Match", slotsTag(s.Epoch, s.Seq+1)}, 412, "If-Match"},
		{"PUT", "/slots/main", `{"card":"lamp"}`, []string{"If-Match", slotsTag(s.Epoch-1, s.Seq)}, 412, "If-Match"},
		{"PUT", "/slots/main", `{"card":"lamp"}`, []string{"If-Match", `"2"`}, 412, "If-Match"},
		{"DELETE", "/slots/main", "", []string{"If-Match", slotsTag(s.Epoch, s.Seq+1)}, 412, "If-Match"},
		{"DELETE", "/slots", "", []string{"If-Match", slotsTag(s.Epoch, s.Seq+1)}, 412, "If-Match"},
	}
	for _, tt := range tests {
		reason := overlay.ReasonStale
		if tt.status == 400 {
			reason = reasonMalformed
		}
		h.ask(tt.method, tt.path, tt.body, tt.header...).refused(tt.status, reason, tt.field)
	}
	h.must("PUT", "/slots/main", `{"card":"lamp"}`, "If-Match", slotsTag(s.Epoch, s.Seq))
	h.ask("PUT", "/slots/main", `{"card":"lamp"}`, "If-Match", slotsTag(s.Epoch, s.Seq)).refused(412, overlay.ReasonStale, "If-Match")
	h.must("DELETE", "/slots/main", "", "If-Match", slotsTag(s.Epoch, s.Seq+1))
	h.must("DELETE", "/cards/lamp", "", "If-Match", `"2"`)
}

// TestBodies: what is no JSON of the right kind is refused before anything looks at it.
func TestBodies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tests := []struct {
		name, method, path, kind, body string
		status                         int
		reason                         overlay.Reason
		field                          string
	}{
		{"a form", "PUT", "/cards/lamp", "application/x-www-form-urlencoded", lamp, 415, reasonMediaType, "Content-Type"},
		{"no type", "PUT", "/cards/lamp", "", lamp, 415, reasonMediaType, "Content-Type"},
		{"no such type", "PUT", "/cards/lamp", "json", lamp, 415, reasonMediaType, "Content-Type"},
		{"a patch to be put", "PUT", "/cards/lamp", kindMerge, lamp, 415, reasonMediaType, "Content-Type"},
		{"JSON patch", "PATCH", "/cards/lamp", "application/json-patch+json", "[]", 415, reasonMediaType, "Content-Type"},
		{"another encoding", "PUT", "/cards/lamp", "application/json; charset=iso-8859-1", lamp, 415, reasonMediaType, "Content-Type"},
		{"nothing", "PUT", "/cards/lamp", kindJSON, " ", 400, reasonMalformed, ""},
		{"cut off", "PUT", "/cards/lamp", kindJSON, lamp[:20], 400, reasonMalformed, ""},
		{"two documents", "PUT", "/cards/lamp", kindJSON, lamp + lamp, 400, reasonMalformed, ""},
		{"something behind", "PUT", "/slots/main", kindJSON, `{"card":"lamp"}]`, 400, reasonMalformed, ""},
		{"no UTF-8", "PUT", "/cards/lamp", kindJSON, "{\"id\":\"lamp\",\"name\":\"\xff\"}", 400, reasonMalformed, ""},
		{"nested deeply", "PUT", "/cards", kindJSON, strings.Repeat("[", 100_000), 400, reasonMalformed, ""},
		{"a large show", "PUT", "/slots/main", kindJSON, `{"card":"` + strings.Repeat("l", 5000) + `"}`, 413, overlay.ReasonTooLarge, ""},
		{"a large list", "PUT", "/cards", kindJSON, "[" + strings.Repeat(" ", maxImportBody) + "]", 413, overlay.ReasonTooLarge, ""},
		{"an unknown member", "PUT", "/slots/main", kindJSON, `{"card":"lamp","slot":"main"}`, 422, overlay.ReasonInvalid, "slot"},
		{"a member twice", "PUT", "/slots/main", kindJSON, `{"card":"lamp","card":"sofa"}`, 422, overlay.ReasonInvalid, "card"},
		{"a member in other letters", "PUT", "/slots/main", kindJSON, `{"Card":"lamp"}`, 422, overlay.ReasonInvalid, "Card"},
		{"null", "PUT", "/slots/main", kindJSON, `{"card":null}`, 422, overlay.ReasonInvalid, "card"},
		{"a number", "PUT", "/slots/main", kindJSON, `{"card":7}`, 422, overlay.ReasonInvalid, "card"},
		{"no card", "PUT", "/slots/main", kindJSON, `{}`, 422, overlay.ReasonInvalid, "card"},
		{"no object", "PUT", "/slots/main", kindJSON, `["lamp"]`, 422, overlay.ReasonInvalid, ""},
		{"no order", "PATCH", "/cards", kindJSON, `{}`, 422, overlay.ReasonInvalid, "order"},
		{"an order of numbers", "PATCH", "/cards", kindJSON, `{"order":[1]}`, 422, overlay.ReasonInvalid, "order"},
		{"an order of others", "PATCH", "/cards", kindJSON, `{"order":["sofa"]}`, 422, overlay.ReasonInvalid, "order"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := h.ask(tt.method, tt.path, tt.body, "Content-Type", tt.kind)
			a.t = t
			a.refused(tt.status, tt.reason, tt.field)
			if tt.status == 415 && (a.header.Get("Accept-Patch") != "") != (tt.method == "PATCH") {
				t.Errorf("Accept-Patch is %q", a.header.Get("Accept-Patch"))
			}
		})
	}
	h.must("PUT", "/cards/lamp", lamp, "Content-Type", "application/json; charset=UTF-8")
}

// TestSlowBody: who sends a body in drips does not hold a connection for ever, and one that was read in time is not cut off
// by its deadline later.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	deadlines := make(chan time.Time, 4)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mux.ServeHTTP(&noted{w, deadlines}, r)
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := time.Now()
	fmt.Fprintf(conn, "PUT /api/v1/streams/show/cards/lamp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", showToken, len(lamp))
	if limit := <-deadlines; limit.Before(before.Add(bodyTime)) || limit.After(time.Now().Add(bodyTime)) {
		t.Errorf("the body may take until %v", limit.Sub(before))
	}
	if _, err := io.WriteString(conn, lamp); err != nil {
		t.Fatal(err)
	}
	if limit := <-deadlines; !limit.IsZero() {
		t.Errorf("the deadline stays: %v", limit)
	}
	head := make([]byte, len("HTTP/1.1 201"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 201" {
		t.Errorf("%q, %v", head, err)
	}
}

// noted tells the test which deadlines are set for reading.
type noted struct {
	http.ResponseWriter
	deadlines chan time.Time
}

// SetReadDeadline is for http.ResponseController.
func (n *noted) SetReadDeadline(t time.Time) error {
	n.deadlines <- t
	return http.NewResponseController(n.ResponseWriter).SetReadDeadline(t)
}

// TestRefusals: each reason has its status, and passes the sentence and the field on.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for reason, status := range map[overlay.Reason]int{
		overlay.ReasonInvalid: 422, overlay.ReasonNotFound: 404, overlay.ReasonConflict: 409, overlay.ReasonStale: 412, overlay.ReasonReused: 422,
		overlay.ReasonTooLarge: 413, overlay.ReasonBusy: 429, overlay.ReasonStorage: 507, overlay.ReasonClosed: 503, overlay.ReasonForbidden: 403,
	} {
		h := newHouse(t)
		h.refusal = &overlay.Refusal{Reason: reason, Field: "offers[0].price", Message: "This is why."}
		a := h.ask("PUT", "/slots/main", `{"card":"lamp"}`)
		if got := a.refused(status, reason, "offers[0].price"); got != "This is why." {
			t.Errorf("%s: %q", reason, got)
		}
		if passes := reason == overlay.ReasonBusy || reason == overlay.ReasonClosed; (a.header.Get("Retry-After") != "") != passes {
			t.Errorf("%s: Retry-After %q", reason, a.header.Get("Retry-After"))
		}
		// A desk that does not open says no to reading, too.
		h.broken = &overlay.Refusal{Reason: reason, Message: "This is why."}
		h.ask("GET", "/cards", "").refused(status, reason, "")
		h.ask("GET", "/card-events", "").refused(status, reason, "")
	}
}

// TestStreams: they are there for everybody, on pages of other sites as well.
func TestStreams(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var list StreamList
	a := h.do("GET", "/api/v1/streams", "")
	if a.into(&list); len(list.Streams) != 1 || list.Streams[0].Name != "show" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v %+v", a.header, list)
	}
	var s Stream
	if h.do("GET", "/api/v1/streams/show", "").into(&s); s.Cards != 1 || len(s.Tracks) != 2 {
		t.Errorf("%+v", s)
	}
	h.do("GET", "/api/v1/streams/other", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	h.do("GET", "/api/v1/streams/-bad-/cards", "", "Authorization", "Bearer "+anyToken).refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
}
