package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"pushcart/overlay"
)

// FuzzImport: whatever is sent, what comes out is an array of JSON values, or a sentence.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"[" + lamp + "]", `{"cards":[` + lamp + `]}`, `{"list":3,"cards":[{"id":"lamp","rev":2,"updated_at":"2026-03-01T20:15:00Z","card":` + lamp + `}]}`,
		`{"cards":null}`, `[null,1,"x",{}]`, `{"cards":[],"cards":[]}`, `[{"card":null}]`, `[[[]]]`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := wellFormed(body); err != nil {
			if p := problemOf(err); p.Reason != reasonMalformed || !utf8.ValidString(p.Detail) {
				t.Fatalf("%q: %+v", body, p)
			}
			return
		}
		docs, err := documentsOf(body)
		if err != nil {
			if p := problemOf(err); p.Status != http.StatusUnprocessableEntity && p.Status != http.StatusBadRequest || p.Detail == "" {
				t.Fatalf("%q: %+v", body, p)
			}
			return
		}
		var list []json.RawMessage
		if err := json.Unmarshal(docs, &list); err != nil || list == nil || !utf8.Valid(docs) || bytes.ContainsRune(docs, '\n') {
			t.Fatalf("%q: %q: %v", body, docs, err)
		}
	})
}

// FuzzDecode: what is taken is what the same text says to a reader who overlooks nothing.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"card":"lamp"}`, `{"card":"lamp","at":"2026-03-01T20:15:00Z"}`, `{"card":"a","card":"b"}`, `{"Card":"a"}`, `{"card":null}`, `{}`, `[]`,
		`{"card":"a","at":"9999-12-31T23:59:59-01:00"}`, `{"card":"a","at":"0000-01-01T00:00:00+01:00"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if wellFormed(body) != nil {
			return
		}
		var s ShowRequest
		if decode(body, &s) != nil {
			return
		}
		var members map[string]any
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		said := func(name string) string { text, _ := members[name].(string); return text }
		at := ""
		if s.At != nil {
			at = *s.At
		}
		if s.Card != said("card") || at != said("at") || len(members) > 2 {
			t.Fatalf("%q: %+v", body, s)
		}
		if at, err := instant(at, "at"); err == nil {
			fingerprint(&overlay.Command{At: at})
		}
	})
}

// FuzzHeaders: no header does harm, and what is read out of one is within its bounds.
func FuzzHeaders(f *testing.F) {
	f.Add("Bearer token", `"17"`, "key-1", "gzip;q=0.5, *")
	f.Add("bearer  ", `"1763731200123-17"`, "", "")
	f.Add("", `W/"1", "2"`, "\x00", ";;q=")
	f.Fuzz(func(t *testing.T, authorization, match, key, encoding string) {
		if token, ok := bearer([]string{authorization}); ok && (token == "" || !strings.Contains(authorization, token)) {
			t.Fatalf("%q: token %q", authorization, token)
		}
		acceptsGzip([]string{encoding})
		matches([]string{match}, `"x"`)
		c := &call{r: &http.Request{Header: http.Header{"If-Match": {match}, "Idempotency-Key": {key}}}}
		if err := c.preconditions(byRev); err == nil && (c.ifRev == nil || *c.ifRev < 1 || revTag(*c.ifRev) != strings.TrimSpace(match)) {
			t.Fatalf("If-Match %q: %v", match, c.ifRev)
		}
		if got, err := c.idempotencyKey(); err == nil && (got != key || len(got) > maxKey || got == "") {
			t.Fatalf("Idempotency-Key %q: %q", key, got)
		}
	})
}

// FuzzDocumentPath: a path that is taken apart is the one that it is put together to.
func FuzzDocumentPath(f *testing.F) {
	f.Add("/live/show/cards/lamp/1.json")
	f.Add("/live/../cards//01.json")
	f.Fuzz(func(t *testing.T, path string) {
		stream, card, rev, ok := parseDocument(path)
		if !ok {
			return
		}
		if got := "/live/" + stream + "/cards/" + card + "/" + strings.Trim(revTag(rev), `"`) + ".json"; got != path || rev < 1 {
			t.Fatalf("%q: %q", path, got)
		}
	})
}
