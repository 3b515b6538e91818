package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"pushcart/internal/auth"
)

// soakSecret signs webhooks.
const soakSecret = "whsec_c29hay1zb2FrLXNvYWstc29hay1zb2Fr"

// receiver takes webhooks, and fails now and then.
type receiver struct {
	*soak
	*httptest.Server
	mu     sync.Mutex // guards what follows
	rand   *rand.Rand
	seen   map[string]bool   // identifiers
	last   map[string]string // the highest identifier of each stream
	lines  map[string]bool   // cards shown, as "show main:m3/17"
	events int
	twice  int
	failed int
}

func (k *soak) newReceiver() *receiver {
	r := &receiver{soak: k, rand: rand.New(rand.NewPCG(k.seed, 77)), seen: map[string]bool{}, last: map[string]string{}, lines: map[string]bool{}}
	r.Server = httptest.NewServer(r)
	k.t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = auth.VerifySignature(req.Header, soakSecret, body, time.Now(), time.Minute)
	}
	var e struct {
		ID, Type, Stream string
		Data             struct {
			Slot, Card string
			Revision   int64
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		r.fault("webhook: %v: %.300s", err, body)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rand.IntN(12) == 0 {
		r.failed++
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if r.seen[e.ID] {
		r.twice++
		return
	}
	if e.ID <= r.last[e.Stream] {
		r.fault("webhook: %s of %s comes behind %s", e.ID, e.Stream, r.last[e.Stream])
	}
	r.seen[e.ID], r.last[e.Stream] = true, e.ID
	r.events++
	if e.Type == "card.shown" {
		r.lines[fmt.Sprintf("%s %s:%s/%d", e.Stream, e.Data.Slot, e.Data.Card, e.Data.Revision)] = true
	}
}

// missing is how many of a producer's acknowledged lines were not told yet, and one of them.
func (r *receiver) missing(p *producer) (n int, one string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range p.granted {
		if line = p.host.name + " " + line; !r.lines[line] {
			n, one = n+1, line
		}
	}
	return n, one
}
