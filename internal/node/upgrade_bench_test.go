package node_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"pushcart/internal/node"
)

// BenchmarkUpgradable is what it costs each request for media that the node can be upgraded: one atomic load and some letters compared.
func BenchmarkUpgradable(b *testing.B) {
	h := node.Upgradable(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/live/show/video/1795315360196-1795315358.3.m4s", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(nil, r)
	}
}

// TestUpgradableCostsNothing: nothing is allocated on the way of a part.
func TestUpgradableCostsNothing(t *testing.T) {
	h := node.Upgradable(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/live/show/video/1795315360196-1795315358.3.m4s", nil)
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(nil, r) }); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
}
