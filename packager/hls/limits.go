package hls

import (
	"net/http"
	"sync"
)

// waiting counts the requests that wait, by address.
type waiting struct {
	mu     sync.Mutex // guards byHost
	byHost map[string]int
}

// enter lets a request wait, or answers it with 429 when too many of its address do. The caller calls release when the
// wait is over.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) (release func(), ok bool) {
	limit := h.opt.Settings().MaxWaitingPerAddress
	from := host(r.RemoteAddr)
	h.waiting.mu.Lock()
	if limit > 0 && h.waiting.byHost[from] >= limit {
		h.waiting.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		h.fail(w, kindOther, http.StatusTooManyRequests, "too many requests of this address are waiting; raise http.max_waiting_per_address for a proxy")
		return nil, false
	}
	h.waiting.byHost[from]++
	h.waiting.mu.Unlock()
	h.opt.Metrics.waiting.Inc()
	return func() {
		h.opt.Metrics.waiting.Dec()
		h.waiting.mu.Lock()
		if h.waiting.byHost[from]--; h.waiting.byHost[from] == 0 {
			delete(h.waiting.byHost, from)
		}
		h.waiting.mu.Unlock()
	}, true
}

// fail answers with an error that caches forget within a moment, or do not keep when it is about the one who asked, or about the
// node's region.
func (h *Handler) fail(w http.ResponseWriter, k kind, status int, message string) {
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", cacheFailure)
	if status == http.StatusTooManyRequests || status == http.StatusUnavailableForLegalReasons {
		head.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	n, _ := w.Write([]byte(message + "\n"))
	h.opt.Metrics.request(k, status, n)
}
