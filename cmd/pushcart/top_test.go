package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/top"
)

// shownNode is what top asks, with a publisher that would like to write to the terminal.
type shownNode struct {
	down    atomic.Bool
	started atomic.Int64
	asked   atomic.Int64
	token   atomic.Value // what was sent with the last request for streams
	leaked  atomic.Bool  // it was sent elsewhere
}

func (n *shownNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.down.Load() {
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path != "/api/v1/streams" && r.Header.Get("Authorization") != "" {
		n.leaked.Store(true)
	}
	switch r.URL.Path {
	case "/api/v1/streams":
		n.token.Store(r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") == "Bearer wrong" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked := n.asked.Add(1)
		fmt.Fprintf(w, `{"streams":[{"name":"show","state":"live","protocol":"rtmp","agent":"\u001b]0;owned\u0007","viewers":%d,"tracks":[],"drops":{},"advice":["\u001b[2J"]}]}`, asked)
	case "/metrics":
		fmt.Fprintf(w, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %d\n# TYPE pushcart_hls_response_bytes_total counter\npushcart_hls_response_bytes_total %d\n", n.started.Load(), n.asked.Load()*125000)
	default:
		http.NotFound(w, r)
	}
}

func newShownNode(t *testing.T) (*shownNode, *httptest.Server) {
	n := &shownNode{}
	n.started.Store(1000)
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	return n, s
}

// TestTopOnce prints one table, with rates, where the output is no terminal; without the admin port it says so.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	n, s := newShownNode(t)
	host := strings.TrimPrefix(s.URL, "http://")
	var stdout, stderr bytes.Buffer
	code := run([]string{"top", "--url", s.URL, "--admin", host}, surroundings{env: []string{"LANG=C"}, stdout: &stdout, stderr: &stderr})
	out := stdout.String()
	if code != exitOK || !regexp.MustCompile(`(?m)^show +live +rtmp`).MatchString(out) || !strings.Contains(out, "out 1.0 Mbit/s") && !strings.Contains(out, "out 9") || strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("%d\n%q%s", code, out, stderr.String())
	}
	if n.token.Load() != "" {
		t.Errorf("a token that nobody has: %v", n.token.Load())
	}
	stdout.Reset()
	if run([]string{"top", "--url", s.URL, "--admin", host}, surroundings{env: []string{"PUSHCART_TOKEN=sesame"}, stdout: &stdout, stderr: &stderr}); n.token.Load() != "Bearer sesame" || n.leaked.Load() {
		t.Errorf("the token goes to the API and nowhere else: %v, %v", n.token.Load(), n.leaked.Load())
	}
	if code := run([]string{"top", "--url", s.URL, "--token", "wrong"}, surroundings{stdout: &stdout, stderr: &stderr}); code != exitFailure || !strings.Contains(stderr.String(), "--token") {
		t.Errorf("%d %s", code, stderr.String())
	}
	stdout.Reset()
	code = run([]string{"top", "--once", "--url", s.URL, "--admin", "127.0.0.1:1", "--advice"}, surroundings{stdout: &stdout, stderr: &stderr})
	if out := stdout.String(); code != exitOK || !strings.Contains(out, "no metrics: the admin port 127.0.0.1:1: connect: connection refused") || !strings.Contains(out, "?[2J") {
		t.Errorf("%d\n%s", code, out)
	}
	stderr.Reset()
	if code = run([]string{"top", "--once", "--url", "http://127.0.0.1:1"}, surroundings{stdout: &stdout, stderr: &stderr}); code != exitFailure || !strings.Contains(stderr.String(), "connection refused") {
		t.Errorf("%d %s", code, stderr.String())
	}
	if code = run([]string{"top", "--url", s.URL + "/elsewhere"}, surroundings{stdout: &stdout, stderr: &stderr}); code != exitFailure || !strings.Contains(stderr.String(), "is it a Pushcart node?") {
		t.Errorf("%d %s", code, stderr.String())
	}
}

// paper is a terminal that keeps what is drawn.
type paper struct {
	typed chan []byte
	sizes chan os.Signal

	mu    sync.Mutex
	last  string
	drawn int
}

func (p *paper) size() (columns, rows int) { return 100, 20 }
func (p *paper) keys() <-chan []byte       { return p.typed }
func (p *paper) resized() <-chan os.Signal { return p.sizes }
func (p *paper) Write(b []byte) (n int, e error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.drawn = string(b), p.drawn+1
	return len(b), nil
}

// shows waits until the screen has a text.
func (p *paper) shows(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		last := p.last
		p.mu.Unlock()
		if strings.Contains(last, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the screen does not show %q but %q", text, last)
		}
	}
}

// TestTopLive: it goes on while the node is away, says so, and that it was restarted; keys work, and q leaves.
func TestTopLive(t *testing.T) {
	t.Parallel()
	n, s := newShownNode(t)
	c := &topCommand{URL: s.URL, Admin: strings.TrimPrefix(s.URL, "http://"), Sort: "name"}
	ask, err := c.asker(surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	p := &paper{typed: make(chan []byte), sizes: make(chan os.Signal)}
	ended := make(chan error, 1)
	go func() { ended <- topLive(t.Context(), surroundings{}, ask, c.view(), p, top.Screen{}) }()
	p.shows(t, "show")
	p.shows(t, "sorted by name")
	p.typed <- []byte("v")
	p.shows(t, "sorted by viewers")
	n.down.Store(true)
	p.shows(t, "NO ANSWER for")
	p.shows(t, "show")
	n.started.Store(2000)
	n.down.Store(false)
	p.shows(t, "RESTARTED")
	p.typed <- []byte("/nothing\r")
	p.shows(t, "0 of 1 streams")
	p.typed <- []byte("q")
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestTopEnds: a signal ends it, and so does a terminal that is gone.
func TestTopEnds(t *testing.T) {
	t.Parallel()
	_, s := newShownNode(t)
	ask, err := (&topCommand{URL: s.URL, Admin: strings.TrimPrefix(s.URL, "http://")}).asker(surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := topLive(ctx, surroundings{}, ask, &top.View{}, &paper{}, top.Screen{}); err != nil {
		t.Error(err)
	}
	gone := &paper{typed: make(chan []byte)}
	close(gone.typed)
	if err := topLive(t.Context(), surroundings{}, ask, &top.View{}, gone, top.Screen{}); err != nil {
		t.Error(err)
	}
	if err := topLive(t.Context(), surroundings{}, ask, &top.View{}, tornPaper{}, top.Screen{}); !errors.Is(err, errTorn) {
		t.Error(err)
	}
}

var errTorn = errors.New("torn")

// tornPaper cannot be written.
type tornPaper struct{}

func (tornPaper) size() (columns, rows int) { return 80, 24 }
func (tornPaper) keys() <-chan []byte       { return nil }
func (tornPaper) resized() <-chan os.Signal { return nil }
func (tornPaper) Write([]byte) (int, error) { return 0, errTorn }
