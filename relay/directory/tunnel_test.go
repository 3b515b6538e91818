package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// api is a handler with what carried requests have to cope with.
type api struct {
	calls chan string   // names of endless answers that have begun
	ends  chan string   // and of those whose context ended
	more  chan struct{} // one event each
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		body, _ := io.ReadAll(r.Body)
		for _, h := range []string{"Authorization", "Idempotency-Key", "Cookie", "X-Forwarded-For", "Pushcart-Hop", carriedBy} {
			w.Header().Set("Got-"+h, r.Header.Get(h))
		}
		w.Header().Set("ETag", `"7"`)
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Query", r.URL.RawQuery)
		w.Header().Set("Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, "%s %d", r.Method, len(body))
	case "/large":
		_, _ = w.Write(noise(1 << 20))
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		a.calls <- r.URL.RawQuery
		for i := 0; ; i++ {
			select {
			case <-a.more:
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				a.ends <- r.URL.RawQuery
				return
			}
		}
	case "/flood":
		for {
			if _, err := w.Write(make([]byte, maxData)); err != nil {
				a.ends <- "flood"
				return
			}
		}
	case "/slow":
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			if _, err := w.Write(make([]byte, maxData)); err != nil {
				a.ends <- err.Error()
				return
			}
		}
	case "/panic":
		_, _ = io.WriteString(w, "so far")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// asker sends requests from one node to another.
type asker struct {
	t      *testing.T
	client *http.Client
}

func (x asker) request(ctx context.Context, method, uri string, body []byte) *http.Request {
	x.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://node"+uri, bytes.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

func (x asker) get(uri string) (*http.Response, []byte, error) {
	x.t.Helper()
	resp, err := x.client.Do(x.request(x.t.Context(), http.MethodGet, uri, nil))
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// whole carries requests with bodies of these sizes and their answers.
func whole(t *testing.T, from, to *site, sizes ...int) {
	to.Handle(&api{})
	x := asker{t, &http.Client{Transport: from.Transport(to.opts.Self.Name)}}
	client, request, get := x.client, x.request, x.get
	for _, n := range sizes {
		body := noise(n)
		r := request(t.Context(), http.MethodPatch, "/echo?a=b&c=%20d", body)
		r.Header = http.Header{"Authorization": {"Bearer x"}, "Idempotency-Key": {"k"}, "Cookie": {"no"}, "X-Forwarded-For": {"no"},
			"Pushcart-Hop": {"h"}, carriedBy: {"forged"}}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("a body of %d bytes: %v", n, err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != fmt.Sprintf("PATCH %d", n) || resp.StatusCode != http.StatusCreated {
			t.Errorf("a body of %d bytes: %d %q, %v", n, resp.StatusCode, got, err)
		}
		for name, want := range map[string]string{"Got-Authorization": "Bearer x", "Got-Idempotency-Key": "k", "Got-Cookie": "",
			"Got-X-Forwarded-For": "", "Got-Pushcart-Hop": "h", "Got-" + carriedBy: from.opts.Self.Name, "Etag": `"7"`, "Set-Cookie": "",
			"Query": "a=b&c=%20d", "Sum": fmt.Sprintf("%x", sha256.Sum256(body))} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("header %s is %q, not %q", name, got, want)
			}
		}
	}
	resp, b, err := get("/large")
	if err != nil || !bytes.Equal(b, noise(1<<20)) || resp.StatusCode != 200 {
		t.Errorf("a large answer came as %d bytes, %v", len(b), err)
	}
}

// carried carries requests that are cut off, refused, endless, slow, and too many.
func carried(t *testing.T, from, to *site) {
	h := &api{calls: make(chan string, 300), ends: make(chan string, 300), more: make(chan struct{})}
	to.Handle(h)
	x := asker{t, &http.Client{Transport: from.Transport(to.opts.Self.Name)}}
	client, request, get := x.client, x.request, x.get
	t.Run("refused", func(t *testing.T) {
		if _, err := client.Do(request(t.Context(), http.MethodPost, "/echo", make([]byte, maxBody+1))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a body that is too large: %v", err)
		}
		if _, err := client.Do(request(t.Context(), http.MethodGet, "/echo?"+strings.Repeat("x", maxURI), nil)); err == nil {
			t.Error("a path that is too long was carried")
		}
		if _, err := from.Transport("nobody").RoundTrip(request(t.Context(), http.MethodGet, "/echo", nil)); !errors.Is(err, ErrNoNode) {
			t.Errorf("a node that is not there: %v, not ErrNoNode", err)
		}
		if _, b, err := get("/panic"); !errors.Is(err, io.ErrUnexpectedEOF) || string(b) != "so far" {
			t.Errorf("an aborted answer came as %q, %v", b, err)
		}
	})
	t.Run("events", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := client.Do(request(ctx, http.MethodGet, "/events?one", nil))
		if err != nil {
			t.Fatal(err)
		}
		<-h.calls
		b := make([]byte, 100)
		// Each comes at once, and long after one request's silence would have ended it; more of them than fit in the window.
		until := time.Now().Add(quick.silence + 500*time.Millisecond)
		for i := 0; i < 3*window || time.Now().Before(until); i++ {
			if i == 3*window {
				await(t, patience, "a silence passes", func() bool { return time.Now().After(until) })
			}
			h.more <- struct{}{}
			if n, err := resp.Body.Read(b); err != nil || string(b[:n]) != fmt.Sprintf("data: %d\n\n", i) {
				t.Fatalf("event %d came as %q, %v", i, b[:n], err)
			}
		}
		cancel()
		if _, err := resp.Body.Read(b); !errors.Is(err, context.Canceled) {
			t.Errorf("after the context's end: %v", err)
		}
		expect(t, h.ends, "one")
		// Closing the body ends it too.
		resp, err = client.Do(request(t.Context(), http.MethodGet, "/events?two", nil))
		if err != nil {
			t.Fatal(err)
		}
		<-h.calls
		_ = resp.Body.Close()
		expect(t, h.ends, "two")
	})
	t.Run("slow", func(t *testing.T) {
		resp, err := client.Do(request(t.Context(), http.MethodGet, "/slow", nil))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, h.ends, "i/o timeout")
		_ = resp.Body.Close()
		resp, err = client.Do(request(t.Context(), http.MethodGet, "/flood", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, 4*window*maxData); err != nil {
			t.Error(err)
		}
		_ = resp.Body.Close()
		expect(t, h.ends, "flood")
	})
	t.Run("many", func(t *testing.T) {
		var wg sync.WaitGroup
		responses := make([]*http.Response, maxServedBy+10)
		for i := range responses {
			wg.Go(func() { responses[i], _ = client.Do(request(t.Context(), http.MethodGet, "/events?many", nil)) })
		}
		wg.Wait()
		ok, full := 0, 0
		for _, r := range responses {
			switch {
			case r == nil:
				t.Error("a request got no answer")
				continue
			case r.StatusCode == http.StatusOK:
				ok++
			case r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "":
				full++
			}
			_ = r.Body.Close()
		}
		if ok != maxServedBy || full != 10 {
			t.Errorf("%d were served and %d refused", ok, full)
		}
		for range ok {
			<-h.calls
			expect(t, h.ends, "many")
		}
	})
	await(t, patience, "nothing is left", func() bool {
		return valueOf(from.metrics.open.WithLabelValues(asking)) == 0 && valueOf(to.metrics.open.WithLabelValues(serving)) == 0
	})
}

func expect(t *testing.T, ends <-chan string, want string) {
	t.Helper()
	select {
	case got := <-ends:
		if got != want {
			t.Errorf("%q ended, not %q", got, want)
		}
	case <-time.After(patience):
		t.Errorf("%q did not end", want)
	}
}

// testCarriedVanish has a node die that serves an endless answer, one that stops, and one that asked for it.
func testCarriedVanish(t *testing.T) {
	address := operator(t)
	sites := make([]*site, 3)
	for i := range sites {
		sites[i] = up(t, Options{Self: self(i), Mode: External, URLs: []string{address}})
	}
	h := &api{calls: make(chan string, 10), ends: make(chan string, 10), more: make(chan struct{})}
	begin := func(from, to *site) io.ReadCloser {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://node/events?x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := from.Transport(to.opts.Self.Name).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		<-h.calls
		return resp.Body
	}
	for _, s := range sites {
		s.Handle(h)
		await(t, patience, "the node is connected", s.nc.IsConnected)
	}
	await(t, patience, "the nodes know each other", func() bool { return len(sites[0].Peers()) == 2 })
	vanishing, stopping := begin(sites[0], sites[1]), begin(sites[0], sites[2])
	asker := begin(sites[1], sites[0])
	sites[1].nc.Close() // in silence
	if _, err := vanishing.Read(make([]byte, 1)); !errors.Is(err, ErrNoNode) {
		t.Errorf("a node that vanished: %v, not ErrNoNode", err)
	}
	_ = asker.Close()
	expect(t, h.ends, "x") // the answer to the one that vanished
	sites[2].stop()
	if _, err := stopping.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a node that stopped: %v", err)
	}
}
