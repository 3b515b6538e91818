package route

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(t *testing.T, f *fake, method, target, country string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	router(f, settings()).Register(mux)
	r := httptest.NewRequest(method, target, nil)
	if country != "" {
		r.Header.Set("CF-IPCountry", country)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// TestWhere holds the whole answer against what it has to be.
func TestWhere(t *testing.T) {
	t.Parallel()
	f := world()
	f.peers = f.peers[2:]
	w := ask(t, f, http.MethodGet, "/api/v1/where/show?country=us", "DE")
	place := func(name, region, cpu, held string) string {
		return fmt.Sprintf(`{"node":%q,"region":%q,"url":"https://%[1]s.example.com","playlist":"https://%[1]s.example.com/live/show/index.m3u8",%[3]s,"viewers":7,"cpu":%[4]s,"full":false}`,
			name, region, held, cpu)
	}
	holds := func(lag string) string {
		return `"holds":true,"position":{"gen":1700000000000,"msn":42,"part":3},"lag":` + lag
	}
	want := `{"stream":"show","live":true,"origin":{"node":"eu-1","region":"eu"},"nearest":` + place("us-2", "us", "0.1", holds("0.087")) + `,"nodes":[` +
		place("eu-1", "eu", "1", holds("0")) + "," + place("us-1", "us", "0.1", `"holds":false,"lag":0`) + "," + place("us-2", "us", "0.1", holds("0.087")) + "]}\n"
	if got := w.Body.String(); w.Code != http.StatusOK || got != want {
		t.Errorf("%d\n%s\nwant\n%s", w.Code, got, want)
	}
	for name, value := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=1", "Content-Type": "application/json", "Vary": "", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s is %q", name, got)
		}
	}
	// What is only between nodes is not told.
	for _, secret := range []string{"8444", "internal", "secret", "credential"} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("it tells %q", secret)
		}
	}
}

func TestWhereByHeader(t *testing.T) {
	t.Parallel()
	w := ask(t, world(), http.MethodGet, "/api/v1/where/show", "US")
	var a Where
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Nearest == nil || a.Nearest.Node != "us-2" || w.Header().Get("Vary") != "CF-IPCountry" {
		t.Errorf("%v %+v, %v", err, a.Nearest, w.Header())
	}
	f := world()
	f.entries[0].Regions = []string{"us"}
	f.peers[2].URL, f.peers[3].URL = "", "ftp://us-2"
	w = ask(t, f, http.MethodGet, "/api/v1/where/show", "US")
	if !strings.Contains(w.Body.String(), `"nearest":null,"nodes":[{"node":"us-1","region":"us","holds"`) || strings.Contains(w.Body.String(), "eu-2") {
		t.Errorf("nobody can be reached, and only us may have it: %s", w.Body)
	}
}

func TestWhereRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, target string
		status         int
		body           string
	}{
		{http.MethodGet, "/api/v1/where/nothing", http.StatusNotFound, `"reason":"not_found"`},
		{http.MethodGet, "/api/v1/where/show?country=Germany", http.StatusBadRequest, `"field":"country"`},
		{http.MethodGet, "/api/v1/where/show?country=%3Cb", http.StatusBadRequest, `"reason":"malformed"`},
		{http.MethodGet, "/api/v1/where/show?country=XX", http.StatusOK, `"node":"eu-1"`},
		{http.MethodHead, "/api/v1/where/show", http.StatusOK, ""},
		{http.MethodOptions, "/api/v1/where/show", http.StatusNoContent, ""},
		{http.MethodPost, "/api/v1/where/show", http.StatusMethodNotAllowed, ""},
	} {
		w := ask(t, world(), tt.method, tt.target, "")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s %s: %d %s", tt.method, tt.target, w.Code, w.Body)
		}
		if tt.status/100 == 4 && tt.method == http.MethodGet && (w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "public, max-age=1") {
			t.Errorf("%s: %v", tt.target, w.Header())
		}
	}
}
