package api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay"
)

// shelf is a list of sources in memory.
type shelf struct {
	mu      sync.Mutex // guards what follows
	all     map[string]Source
	put     []SourceRequest
	refusal *overlay.Refusal
}

func newShelf(names ...string) *shelf {
	s := &shelf{all: map[string]Source{}}
	for _, n := range names {
		s.all[n] = stored(n, SourceRequest{URL: "rtsp://user:…@camera.example/" + n})
	}
	return s
}

// stored is a source that has everything.
func stored(name string, r SourceRequest) Source {
	at := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	if r.Transport == "" {
		r.Transport = "auto"
	}
	return Source{
		Stream: name, URL: r.URL, OnDemand: r.OnDemand, Transport: r.Transport, Redirects: r.Redirects, State: "failed", Since: at,
		Error: "It does not answer.", ErrorAt: &at, NextTry: &at, Attempts: 2, Failures: 1,
	}
}

func (s *shelf) List() []Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Source
	for _, v := range s.all {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Stream, b.Stream) })
	return out
}

func (s *shelf) Get(name string) (Source, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[name]
	return v, ok
}

func (s *shelf) Put(name string, r SourceRequest) (Source, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return Source{}, false, s.refusal
	}
	_, there := s.all[name]
	s.put = append(s.put, r)
	r.URL = strings.Replace(r.URL, "secret", "…", 1)
	s.all[name] = stored(name, r)
	return s.all[name], !there, nil
}

func (s *shelf) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return s.refusal
	}
	if _, ok := s.all[name]; !ok {
		return &overlay.Refusal{Reason: overlay.ReasonNotFound, Field: "name", Message: "The stream has no source."}
	}
	delete(s.all, name)
	return nil
}

const sourcePath = "/api/v1/sources/"

// as is do with a token.
func (h *house) as(token, method, target, body string, header ...string) *answer {
	h.t.Helper()
	return h.do(method, target, body, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

// TestSources adds, changes and removes a source.
func TestSources(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var s Source
	a := h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"rtsp://user:secret@camera.example/1"}`)
	if a.into(&s); a.status != http.StatusCreated || a.header.Get("Location") != sourcePath+"cam" || a.header.Get("Cache-Control") != "no-store" ||
		s.URL != "rtsp://user:…@camera.example/1" || s.Stream != "cam" || s.Transport != "auto" {
		t.Errorf("%d %v %+v", a.status, a.header, s)
	}
	a = h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"srt://encoder.example:9000","on_demand":true,"transport":"auto","redirects":false}`)
	if a.into(&s); a.status != http.StatusOK || a.header.Get("Location") != "" || !s.OnDemand {
		t.Errorf("%d %v %+v", a.status, a.header, s)
	}
	want := []SourceRequest{{URL: "rtsp://user:secret@camera.example/1"}, {URL: "srt://encoder.example:9000", OnDemand: true, Transport: "auto"}}
	if !slices.Equal(h.sources.put, want) {
		t.Errorf("%+v", h.sources.put)
	}
	var got Source
	if h.as(anyToken, "GET", sourcePath+"cam", "").into(&got); got.URL != s.URL || got.NextTry == nil || got.Error == "" {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"/api/v1/sources", sourcePath + "cam"} { // RFC 9110 13.1.2: a condition on what has no tag is met
		if a := h.as(anyToken, "GET", path, "", "If-None-Match", `"an-older-one"`); a.status != http.StatusOK {
			t.Errorf("%s with a condition: %d %s", path, a.status, a.body)
		}
	}
	if a := h.as(anyToken, "DELETE", sourcePath+"cam", ""); a.status != http.StatusNoContent || len(a.body) != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	h.as(anyToken, "DELETE", sourcePath+"cam", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	h.as(anyToken, "GET", sourcePath+"cam", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	if h.desks.Peek("cam") != nil {
		t.Error("a source opens a desk")
	}
}

// TestSourceList: a token sees the sources of its streams.
func TestSourceList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for token, want := range map[string][]string{anyToken: {"other", "show"}, showToken: {"show"}, otherToken: {"other"}} {
		var list SourceList
		h.as(token, "GET", "/api/v1/sources", "").into(&list)
		var names []string
		for _, s := range list.Sources {
			names = append(names, s.Stream)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s sees %v", token, names)
		}
	}
	h.as("a-wrong-token", "GET", "/api/v1/sources", "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	h.do("GET", "/api/v1/sources", "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	h.as(showToken, "GET", "/api/v1/sources?all=1", "").refused(http.StatusBadRequest, reasonMalformed, "all")
	h.as(showToken, "GET", sourcePath+"other", "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	h.sources.all = nil
	if a := h.as(showToken, "GET", "/api/v1/sources", ""); !strings.Contains(string(a.body), `"sources": []`) {
		t.Errorf("without any: %s", a.body)
	}
}

// TestWhoMayChangeSources: a source has the node call an address, so a show's own token does not do.
func TestWhoMayChangeSources(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const body = `{"url":"rtsp://10.0.0.1/"}`
	h.as(showToken, "PUT", sourcePath+"show", body).refused(http.StatusForbidden, overlay.ReasonForbidden, "Authorization")
	h.as(showToken, "DELETE", sourcePath+"show", "").refused(http.StatusForbidden, overlay.ReasonForbidden, "Authorization")
	h.as(otherToken, "PUT", sourcePath+"show", body).refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	if len(h.sources.put) != 0 || len(h.sources.List()) != 2 {
		t.Errorf("%+v", h.sources.List())
	}
}

// TestSourceRefusals: what is wrong with a request, and what those who keep the sources say.
func TestSourceRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for body, field := range map[string]string{
		`{}`: "url", `{"url":""}`: "url", `{"url":null}`: "url", `{"url":7}`: "url", `{"url":"rtsp://a/","on_demand":"yes"}`: "on_demand",
		`{"url":"rtsp://a/","stream":"b"}`: "stream", `{"url":"rtsp://a/","url":"rtsp://b/"}`: "url", `[]`: "",
	} {
		h.as(anyToken, "PUT", sourcePath+"cam", body).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, field)
	}
	h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"rtsp://`+strings.Repeat("a", maxSmallBody)+`/"}`).refused(http.StatusRequestEntityTooLarge, overlay.ReasonTooLarge, "")
	h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"rtsp://a/"}`, "If-Match", `"1"`).refused(http.StatusBadRequest, reasonMalformed, "If-Match")
	h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"rtsp://a/"}`, "If-None-Match", `*`).refused(http.StatusBadRequest, reasonMalformed, "If-None-Match")
	h.as(anyToken, "PUT", sourcePath+"-cam", `{"url":"rtsp://a/"}`).refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	h.as(anyToken, "PUT", sourcePath+"cam?dry=1", `{"url":"rtsp://a/"}`).refused(http.StatusBadRequest, reasonMalformed, "dry")
	if len(h.sources.put) != 0 {
		t.Errorf("%+v", h.sources.put)
	}
	for reason, status := range map[overlay.Reason]int{overlay.ReasonInvalid: 422, overlay.ReasonConflict: 409, overlay.ReasonStorage: 507} {
		h.sources.refusal = &overlay.Refusal{Reason: reason, Field: "url", Message: "This is why."}
		h.as(anyToken, "PUT", sourcePath+"cam", `{"url":"rtsp://a/"}`).refused(status, reason, "url")
		h.as(anyToken, "DELETE", sourcePath+"cam", "").refused(status, reason, "url")
	}
}

// TestNoSources: a node that fetches nothing.
func TestNoSources(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.API = New(Options{Tokens: h.tokens, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	mux := http.NewServeMux()
	h.Register(mux)
	h.mux = mux
	if a := h.as(showToken, "GET", "/api/v1/sources", ""); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
	h.as(showToken, "GET", sourcePath+"show", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	h.as(anyToken, "PUT", sourcePath+"show", `{"url":"rtsp://a/"}`).refused(http.StatusForbidden, overlay.ReasonForbidden, "")
	h.as(anyToken, "DELETE", sourcePath+"show", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
}
