package hls

import (
	"net/http"
	"net/netip"
	"sync"
)

// waiting counts the requests that wait, by address.
type waiting struct {
	mu     sync.Mutex         // guards byHost
	byHost map[netip.Addr]int // an address, or an IPv6 network of 64 bits, of which one host may have all
}

// network is by what viewers are told apart where their number is limited; the zero Addr for what is no address.
func network(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	a := at.Addr().Unmap()
	if p, err := a.WithZone("").Prefix(64); a.Is6() && err == nil {
		return p.Addr()
	}
	return a
}

// enter lets a request wait, or answers it with 429 when too many of its address do. The caller calls release when the
// wait is over. what is one of the words for Options.Waits.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, what string) (release func(), ok bool) {
	limit := h.opt.Settings().MaxWaitingPerAddress
	from := network(r.RemoteAddr)
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
	var over func()
	if h.opt.Waits != nil {
		over = h.opt.Waits(r, what)
	}
	return func() {
		if over != nil {
			over()
		}
		h.opt.Metrics.waiting.Dec()
		h.waiting.mu.Lock()
		if h.waiting.byHost[from]--; h.waiting.byHost[from] == 0 {
			delete(h.waiting.byHost, from)
		}
		h.waiting.mu.Unlock()
	}, true
}

// What requests wait for.
const (
	waitStream = "stream" // that is to be fetched
	waitStart  = "start"  // of a stream that has nothing to play yet
	waitPart   = "part"   // at the live edge
	waitPoster = "poster" // that may have to be made
)

// stalled counts a wait that ended without what it was for.
func (h *Handler) stalled(what string) { h.opt.Metrics.stalls[what].Inc() }

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
