package node

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/handover"
)

// TestUpgradeKeepsSignedAddresses: a request by a signed address that is passed on to the process that has taken over is known there as
// one by that address, and nobody can say so of himself.
func TestUpgradeKeepsSignedAddresses(t *testing.T) {
	t.Parallel()
	policy, err := playback.NewPolicy([]playback.Key{{ID: "k1", Secret: "0123456789abcdef"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	gate := playback.New(playback.Options{Policy: func() *playback.Policy { return policy }})
	token, err := policy.Keys().Sign(playback.Token{Stream: "show", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}

	// The process that has taken over.
	dir, err := os.MkdirTemp("", "up") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := handover.Listen(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	queue, ran := handover.NewQueue(), make(chan error, 1)
	go func() {
		ran <- l.Run(ctx, func(ctx context.Context, _ handover.Purpose, c *net.UnixConn) { queue.Put(ctx, c) })
	}()
	after := handover.Passed((&upgrade{}).passes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen-Prefix", playback.PrefixOf(r))
		w.Header().Set("Seen-Headers", r.Header.Get(headPrefix)+r.Header.Get(headOpens))
		if gate.Allows(r, "show") {
			w.Header().Set("Seen-Allowed", "yes")
		}
	})))
	served := make(chan error, 1)
	go func() { served <- after.Serve(queue) }()
	t.Cleanup(func() {
		cancel()
		after.Close()
		<-ran
		<-served
	})

	// The process before.
	to := handover.NewForward(path)
	t.Cleanup(to.Close)
	before := &upgrade{}
	before.phase.Store(&phase{is: moved, to: to, over: make(chan struct{})})
	front := gate.Handler(before)
	for _, c := range []struct {
		path    string
		headers []string
		prefix  string
		allowed string
	}{
		{"/p/" + token + "/api/v1/streams/show", nil, "/p/" + token, "yes"},
		{"/p/" + token + "/watch/show", nil, "/p/" + token, ""},
		{"/api/v1/streams/show", nil, "", ""},
		{"/api/v1/streams/show", []string{headPrefix, "/p/x", headOpens, "show"}, "", ""},
		{"/p/" + token + "/watch/show", []string{headOpens, "show"}, "/p/" + token, ""},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		front.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Seen-Prefix") != c.prefix || h.Get("Seen-Allowed") != c.allowed || h.Get("Seen-Headers") != "" {
			t.Errorf("%s with %v: %d, %v", c.path, c.headers, w.Code, h)
		}
	}
}
