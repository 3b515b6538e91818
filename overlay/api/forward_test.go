package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// pair is two nodes: the one that is asked, and the origin of the stream "show".
type pair struct {
	*house
	origin *house
	moved  atomic.Bool // the stream is published to the node that is asked
	lost   atomic.Int32
	after  atomic.Bool // what is lost is lost after it was carried out
	asked  atomic.Int32

	mu   sync.Mutex // guards last
	last http.Header
}

// newPair makes them; requests go from one to the other over a real connection.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{house: newHouse(t), origin: newHouse(t)}
	s := httptest.NewServer(p.origin.Tunnel())
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p.opt.Elsewhere = func(stream string) http.RoundTripper {
		if stream != "show" || p.moved.Load() {
			return nil
		}
		return trip(func(r *http.Request) (*http.Response, error) {
			p.asked.Add(1)
			p.mu.Lock()
			p.last = r.Header.Clone()
			p.mu.Unlock()
			lose := p.lost.Add(-1) >= 0
			if lose && !p.after.Load() {
				return nil, errors.New("no route to the origin")
			}
			r.URL.Host = at.Host
			res, err := transport.RoundTrip(r)
			if lose && err == nil {
				res.Body.Close()
				return nil, errors.New("the connection broke")
			}
			return res, err
		})
	}
	return p
}

// trip is a http.RoundTripper.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sent is what the last request carried.
func (p *pair) sent() http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// TestElsewhere: all that is asked about a stream is done by its origin and answered as there, with its entity tags and refusals;
// other streams, sources and documents are this node's.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	created := p.must("PUT", "/cards/lamp", lamp)
	if created.status != http.StatusCreated || created.header.Get("Location") != "/api/v1/streams/show/cards/lamp" || created.header.Get("ETag") != `"1"` {
		t.Errorf("%d %v", created.status, created.header)
	}
	if _, ok := p.desks.Export("show"); ok {
		t.Error("the node that was asked has a desk of its own for the stream")
	}
	p.must("PUT", "/slots/main", `{"card":"lamp"}`)
	var here, there Slots
	p.must("GET", "/slots", "").into(&here)
	p.origin.must("GET", "/slots", "").into(&there)
	if len(here.Slots) != 1 || here.Slots[0] != there.Slots[0] || here.Epoch != there.Epoch {
		t.Errorf("here %+v, at the origin %+v", here, there)
	}
	p.ask("PATCH", "/cards/lamp", `{"name":"Other"}`, "If-Match", `"7"`, "Content-Type", kindMerge).refused(412, overlay.ReasonStale, "If-Match")
	if a := p.ask("GET", "/cards/lamp", "", "If-None-Match", `"1"`); a.status != http.StatusNotModified {
		t.Errorf("an unchanged card: %d", a.status)
	}
	if a := p.ask("HEAD", "/cards/lamp", ""); a.status != 200 || len(a.body) > 0 {
		t.Errorf("HEAD: %d with %d bytes", a.status, len(a.body))
	}
	p.must("GET", "/cards/lamp/preview?region=DE", "")
	p.must("GET", "/ladder", "")
	if a := p.do("GET", "/api/v1/streams/show", ""); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the open route: %d %v", a.status, a.header)
	}
	before := p.asked.Load()
	p.do("GET", "/api/v1/sources/show", "", "Authorization", "Bearer "+showToken)
	p.do("GET", "/live/show/cards/lamp/1.json", "")
	p.do("PUT", "/api/v1/streams/other/cards/rug", doc("rug"), "Authorization", "Bearer "+otherToken)
	if _, ok := p.desks.Export("other"); !ok || p.asked.Load() != before {
		t.Errorf("%d requests that are this node's went to the origin", p.asked.Load()-before)
	}
}

// TestElsewhereLost: a request whose way was broken is sent again, under a key that was made for it or that the client gave, and so
// done once, however often it arrived.
func TestElsewhereLost(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "my-key"} {
		p := newPair(t)
		p.must("PUT", "/cards/lamp", lamp)
		p.after.Store(true)
		p.lost.Store(2)
		var header []string
		if key != "" {
			header = []string{"Idempotency-Key", key}
		}
		a := p.must("PATCH", "/cards/lamp", `{"name":"Second"}`, append(header, "Content-Type", kindMerge, "If-Match", `"1"`)...)
		var r overlay.Result
		a.into(&r)
		if r.Rev != 2 || p.asked.Load() != 4 {
			t.Errorf("key %q: revision %d after %d requests", key, r.Rev, p.asked.Load())
		}
		if sent := p.sent().Get("Idempotency-Key"); key != "" && sent != key || len(sent) < 6 {
			t.Errorf("key %q was sent as %q", key, sent)
		}
	}
}

// TestElsewhereMovesHere: while a request is being tried the stream comes to this node, with all that the origin had: the request is
// done here, and not a second time where the origin had done it already.
func TestElsewhereMovesHere(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.must("PUT", "/cards/lamp", lamp)
	p.after.Store(true)
	p.lost.Store(1 << 20)
	answers := make(chan *answer)
	before, deadline := p.asked.Load(), time.Now().Add(10*time.Second)
	go func() { answers <- p.ask("PATCH", "/cards/lamp", `{"name":"Second"}`, "Content-Type", kindMerge) }()
	for p.asked.Load() < before+2 { // the first try has been carried out then
		if time.Now().After(deadline) {
			t.Fatal("the request is not sent again")
		}
		time.Sleep(time.Millisecond)
	}
	snapshot, ok := p.origin.desks.Export("show")
	if !ok {
		t.Fatal("the origin has nothing to give")
	}
	if err := p.desks.Import("show", snapshot); err != nil {
		t.Fatal(err)
	}
	p.moved.Store(true)
	a := <-answers
	var r overlay.Result
	a.into(&r)
	if a.status != 200 || r.Rev != 2 || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s", a.status, a.body)
	}
	var v overlay.CardView
	p.must("GET", "/cards/lamp", "").into(&v)
	if v.Rev != 2 || !bytes.Contains(v.Card, []byte("Second")) {
		t.Errorf("the card is %s", v.Card)
	}
}

// TestElsewhereUnreachable: an origin that does not answer, or that is none any more, is told of in words, after ten seconds, with
// the key under which the request can be sent again. A client that goes is waited for no longer.
func TestElsewhereUnreachable(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]trip{
		"broken": func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
		"silent": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"moving": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("{}")), Header: http.Header{}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.opt.Elsewhere = func(string) http.RoundTripper { return answer }
				begin := time.Now()
				a := h.ask("PUT", "/cards/lamp", lamp)
				a.refused(503, reasonOrigin, "")
				if took := time.Since(begin); took < 7*time.Second || took > originTime+firstTry {
					t.Errorf("it took %v", took)
				}
				if a.header.Get("Idempotency-Key") == "" || a.header.Get("Retry-After") == "" {
					t.Errorf("the answer has %v", a.header)
				}
				begin = time.Now()
				h.do("GET", "/api/v1/streams/show", "").refused(503, reasonOrigin, "")
				if took := time.Since(begin); took > strangerTime+firstTry {
					t.Errorf("for a stranger it took %v", took)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/streams/show/cards", nil)
				r.Header.Set("Authorization", "Bearer "+showToken)
				begin = time.Now()
				h.mux.ServeHTTP(httptest.NewRecorder(), r)
				if took := time.Since(begin); took > time.Second {
					t.Errorf("a client that went was waited for: %v", took)
				}
			})
		})
	}
}

// TestElsewhereGuarded: wrong tokens are refused by the node that was asked, without a word to the origin; the origin checks again,
// and holds what others send against nobody's address; two nodes that take each other for the origin send nothing to and fro.
func TestElsewhereGuarded(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for range maxFailures + 1 {
		p.do("GET", "/api/v1/streams/show/cards", "", "Authorization", "Bearer wrong").refused(401, reasonUnauthorized, "Authorization")
	}
	p.do("GET", "/api/v1/streams/show/cards", "", "Authorization", "Bearer wrong").refused(429, reasonBlocked, "Authorization")
	if n := p.asked.Load(); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
	p.origin.permit(auth.Entry{Stream: "show", Key: "another-token"})
	for range maxFailures + 5 {
		p.ask("GET", "/cards", "").refused(401, reasonUnauthorized, "Authorization")
	}
	if n := len(p.origin.guard.strikes); n != 0 {
		t.Errorf("the origin counts %d addresses", n)
	}
	p.origin.permit(auth.Entry{Stream: "show", Key: showToken})
	asked := 0
	p.origin.opt.Elsewhere = func(string) http.RoundTripper {
		return trip(func(*http.Request) (*http.Response, error) {
			asked++
			return nil, errors.New("sent on")
		})
	}
	r := httptest.NewRequest("GET", "/api/v1/streams/show/cards", nil)
	r.Header.Set("Authorization", "Bearer "+showToken)
	w := httptest.NewRecorder()
	p.origin.Tunnel().ServeHTTP(w, r)
	if w.Code != 503 || asked != 0 {
		t.Errorf("a request that was passed on: %d, and passed on %d times more", w.Code, asked)
	}
	p.origin.ask("GET", "/cards", "", hopHeader, "1").refused(503, reasonOrigin, "")
	if asked != 0 {
		t.Error("a request that says it was passed on is passed on again")
	}
	w = httptest.NewRecorder()
	r = httptest.NewRequest("GET", "/api/v1/sources/show", nil)
	r.Header.Set("Authorization", "Bearer "+showToken)
	p.origin.Tunnel().ServeHTTP(w, r)
	if w.Code != 404 {
		t.Errorf("other nodes may ask for sources: %d", w.Code)
	}
}

// TestElsewhereEvents: events come through as they happen, more of them from one node than an address may have, and end when the
// stream moves, from here or to here, so that the client connects anew.
func TestElsewhereEvents(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := httptest.NewServer(p.mux)
	t.Cleanup(s.Close)
	follow := func(base, token string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/v1/streams/show/card-events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for range maxFeedsPerAddress { // by another token, which is counted apart here, and not at the origin
		if res := follow(s.URL, anyToken); res.StatusCode != 200 {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	if res := follow(s.URL, anyToken); res.StatusCode != 429 {
		t.Errorf("one more than an address may have: %d", res.StatusCode)
	}
	res := follow(s.URL, showToken)
	if res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	next := reader(res.Body)
	if first := next(); !strings.Contains(first, `"cards":[]`) {
		t.Errorf("the first event is %q", first)
	}
	p.origin.feeds.mu.Lock()
	if by := p.origin.feeds.byAddress; len(by) != 1 || by[""] != maxFeedsPerAddress+1 {
		t.Errorf("the origin counts by address: %v", by)
	}
	p.origin.feeds.mu.Unlock()
	p.must("PUT", "/cards/lamp", lamp)
	if e := next(); !strings.Contains(e, "lamp") {
		t.Errorf("the next event is %q", e)
	}
	p.moved.Store(true)
	ends(t, res.Body)

	local := follow(s.URL, showToken)
	if e := reader(local.Body)(); !strings.Contains(e, `"cards":[]`) {
		t.Errorf("the first event of this node's is %q", e)
	}
	p.moved.Store(false)
	ends(t, local.Body)
}

// ends reads an event stream to its end, which must come soon.
func ends(t *testing.T, body io.Reader) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, bufio.NewReader(body))
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the events go on")
		<-done
	}
}

// TestKeysChange: the key set is that of now, with an entity tag of its own.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	set := []byte(`{"keys":[]}`)
	h.opt.Keys = func() []byte { return set }
	first := h.do("GET", "/.well-known/jwks.json", "")
	set = []byte(`{"keys":[ ]}`)
	second := h.do("GET", "/.well-known/jwks.json", "", "If-None-Match", first.header.Get("ETag"))
	if first.status != 200 || second.status != 200 || !bytes.Equal(second.body, set) {
		t.Errorf("%d %s, then %d %s", first.status, first.body, second.status, second.body)
	}
	if third := h.do("GET", "/.well-known/jwks.json", "", "If-None-Match", second.header.Get("ETag")); third.status != 304 {
		t.Errorf("unchanged: %d", third.status)
	}
}
