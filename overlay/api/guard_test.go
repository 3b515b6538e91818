package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// gate is a guard with a clock that the test moves.
type gate struct {
	*guard
	t     *testing.T
	clock time.Time
}

func newGate(t *testing.T) *gate {
	g := &gate{t: t, clock: time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)}
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: showToken}})
	if err != nil {
		t.Fatal(err)
	}
	tokens := &auth.Store{}
	tokens.Store(keys)
	g.guard = &guard{
		tokens: tokens, now: func() time.Time { return g.clock }, log: slog.New(slog.DiscardHandler),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "failed"}), strikes: map[string]*strikes{},
	}
	return g
}

// knock sends a token from an address and returns the status, 200 when it was let in.
func (g *gate) knock(from, token string) int {
	g.t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = from
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := g.admit(r, "show", auth.Producer)
	if err == nil {
		if got != token {
			g.t.Errorf("the token is %q", got)
		}
		return http.StatusOK
	}
	p := problemOf(err)
	if after := p.header.Get("Retry-After"); p.Status == http.StatusTooManyRequests {
		if n, err := strconv.Atoi(after); err != nil || n < 1 || n > int(blockedFor/time.Second)+1 {
			g.t.Errorf("Retry-After is %q", after)
		}
	}
	return p.Status
}

// TestGuessing: who sends too many wrong tokens is turned away for a while, others are not.
func TestGuessing(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	const guesser, other = "192.0.2.1:1000", "192.0.2.2:1000"
	for i := range maxFailures {
		if got := g.knock(guesser, fmt.Sprint("wrong-token-", i)); got != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	if got := g.knock(guesser, showToken); got != http.StatusOK {
		t.Errorf("after %d failures the right token gets %d", maxFailures, got)
	}
	for range 100 {
		if got := g.knock(guesser, ""); got != http.StatusUnauthorized {
			t.Fatalf("no token at all: %d", got)
		}
	}
	g.knock(guesser, "one-too-many")
	for token, want := range map[string]int{
		"another-guess": http.StatusTooManyRequests, "": http.StatusUnauthorized,
		showToken: http.StatusOK, // the host may share the address
	} {
		if got := g.knock("192.0.2.1:2000", token); got != want {
			t.Errorf("token %q from a blocked address gets %d, want %d", token, got, want)
		}
	}
	if got := g.knock(other, showToken); got != http.StatusOK {
		t.Errorf("another address gets %d", got)
	}
	g.clock = g.clock.Add(blockedFor - time.Second)
	if got := g.knock(guesser, "wrong-token"); got != http.StatusTooManyRequests {
		t.Errorf("a second too early: %d", got)
	}
	g.clock = g.clock.Add(time.Second)
	if got := g.knock(guesser, showToken); got != http.StatusOK {
		t.Errorf("afterwards: %d", got)
	}
	// Few at a time are no guessing.
	for i := range 10 * maxFailures {
		g.clock = g.clock.Add(failureSpan / maxFailures)
		if got := g.knock(other, "wrong-token"); got != http.StatusUnauthorized {
			t.Fatalf("failure %d in the long run: %d", i, got)
		}
	}
	// Who goes on guessing stays outside.
	for range 3 {
		for range maxFailures + 1 {
			g.knock(guesser, "wrong-token")
		}
		if got := g.knock(guesser, "wrong-token"); got != http.StatusTooManyRequests {
			t.Errorf("again: %d", got)
		}
		g.clock = g.clock.Add(blockedFor)
	}
}

// TestGuessersAreBounded: neither many addresses fill the memory, nor many addresses of one network count as many.
func TestGuessersAreBounded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for i := range 3 * maxStrikes {
		g.knock(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), "wrong-token")
		if n := len(g.strikes); n > maxStrikes {
			t.Fatalf("%d addresses are remembered", n)
		}
	}
	g.clock = g.clock.Add(failureSpan)
	g.knock("192.0.2.1:1", "wrong-token")
	if n := len(g.strikes); n != 1 {
		t.Errorf("%d addresses are remembered after a minute of silence", n)
	}
	for i := range maxFailures + 1 {
		g.knock(fmt.Sprintf("[2001:db8::%x]:1", i+1), "wrong-token")
	}
	if got := g.knock("[2001:db8::ffff]:1", "wrong-token"); got != http.StatusTooManyRequests {
		t.Errorf("another address of the same network gets %d", got)
	}
	if got := g.knock("[2001:db8:0:1::1]:1", "wrong-token"); got != http.StatusUnauthorized {
		t.Errorf("another network gets %d", got)
	}
}

// TestNoTokens: a node that could not keep one says why nobody gets in.
func TestNoTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.tokens.Store(nil)
	h.ask("GET", "/cards", "").refused(http.StatusInsufficientStorage, overlay.ReasonStorage, "")
	if a := h.do("GET", "/api/v1/streams", ""); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
}

func TestAddressOf(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "@": "@", "": "",
	} {
		if got := addressOf(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
