package playback

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	secretOne = "the-first-secret-of-the-tests"
	secretTwo = "another-secret-of-the-tests!!"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustKeys(t testing.TB, keys ...Key) *Keys {
	t.Helper()
	k, err := NewKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustPolicy(t testing.TB, open []string, keys ...Key) *Policy {
	t.Helper()
	p, err := NewPolicy(keys, open)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustSign(t testing.TB, k *Keys, token Token) string {
	t.Helper()
	text, err := k.Sign(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// house is a gate in front of a handler that tells what it sees.
type house struct {
	t       testing.TB
	policy  atomic.Pointer[Policy]
	now     time.Time
	country string
	trusted bool
	reg     *prometheus.Registry
	gate    *Gate
	handler http.Handler
	// Of the last request that was let in.
	path, prefix string
	seen         *http.Request
}

func newHouse(t testing.TB, p *Policy) *house {
	h := &house{t: t, now: noon, reg: prometheus.NewRegistry()}
	h.policy.Store(p)
	h.gate = New(Options{
		Policy: h.policy.Load, Now: func() time.Time { return h.now },
		Country: func(*http.Request) string { return h.country }, Trusted: func(*http.Request) bool { return h.trusted },
		Registerer: h.reg,
	})
	h.handler = h.gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.path, h.prefix, h.seen = r.URL.Path, PrefixOf(r), r
		w.WriteHeader(http.StatusOK)
	}))
	return h
}

// ask sends a request and returns the status and, of a refusal, its reason.
func (h *house) ask(method, target string) (int, Reason) {
	h.t.Helper()
	return h.answer(httptest.NewRequest(method, target, nil))
}

func (h *house) get(target string) (int, Reason) { h.t.Helper(); return h.ask(http.MethodGet, target) }

func (h *house) answer(r *http.Request) (int, Reason) {
	h.t.Helper()
	h.path, h.prefix, h.seen = "", "", nil
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		if h.seen == nil {
			h.t.Errorf("%s: answered without being let in", r.URL)
		}
		return w.Code, ""
	}
	if h.seen != nil {
		h.t.Errorf("%s: refused and let in", r.URL)
	}
	var p struct {
		Status int
		Detail string
		Reason Reason
	}
	if r.Method != http.MethodHead {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || !strings.HasSuffix(p.Detail, ".") {
			h.t.Errorf("%s: %d %s", r.URL, w.Code, w.Body)
		}
	}
	if cache := w.Header().Get("Cache-Control"); cache != "no-store" {
		h.t.Errorf("%s: a refusal may be kept: %q", r.URL, cache)
	}
	if w.Header().Get("Access-Control-Allow-Origin") != "*" {
		h.t.Errorf("%s: players of other sites cannot read why it is refused", r.URL)
	}
	reason := Reason(w.Header().Get(ReasonHeader))
	if p.Reason != reason && r.Method != http.MethodHead {
		h.t.Errorf("%s: the body says %q and the header %q", r.URL, p.Reason, reason)
	}
	return w.Code, reason
}

// want asks for an address and holds the answer to a reason; "" is let in.
func (h *house) want(target string, reason Reason) {
	h.t.Helper()
	status, got := h.get(target)
	wanted := http.StatusOK
	if reason != "" {
		wanted = refusals[reason].Status
	}
	if status != wanted || got != reason {
		h.t.Errorf("GET %.120s: %d %q, want %d %q", target, status, got, wanted, reason)
	}
}

func (h *house) count(name string) float64 {
	h.t.Helper()
	families, err := h.reg.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func (h *house) refusedFor(reason Reason) float64 { return testutil.ToFloat64(h.gate.refused[reason]) }
