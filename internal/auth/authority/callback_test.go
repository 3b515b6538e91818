package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/auth"
)

// TestCallbackIsAsked: what it is told, and what it may say.
func TestCallbackIsAsked(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, nil)
	r.says(`{"allow": true, "stream": "show", "ladder": "mobile", "standby": true, "max_bitrate": 8e6, "max_duration_seconds": 90.5, "credential": "host-7", "new": [1]}`)
	g := b.in(attempt("sk-7", ""))
	if g.Name != "show" || g.Ladder != "mobile" || !g.Standby || g.MaxBitrate != 8_000_000 || g.MaxDuration != 90500*time.Millisecond || g.Anonymous {
		t.Errorf("%+v", g)
	}
	other := b.in(attempt("sk-8", ""))
	if other.Credential != g.Credential {
		t.Error("a publisher with two secrets is two for the node, although the callback says who it is")
	}
	want := request{Action: "publish", Stream: "sk-7", Protocol: "rtmp", Address: "203.0.113.7", Agent: "OBS"}
	if r.seen[0] != want {
		t.Errorf("asked %+v, want %+v", r.seen[0], want)
	}
	r.says(`{"allow": true}`)
	one, two := b.in(attempt("show", "secret-one")), b.in(attempt("show", "secret-two"))
	if one.Name != "show" || one.Credential == two.Credential || one.Credential == "" || strings.Contains(string(one.Credential), "secret") {
		t.Errorf("%+v and %+v", one, two)
	}
	r.says(`{"allow": true}`)
	b.out(attempt("../etc", "secret-one"), auth.WhyName, "cannot be used")
	if b.value("pushcart_auth_attempts_total", "source", "callback", "result", "allowed") != 4 {
		t.Error("attempts are not counted")
	}
}

// TestCallbackRefuses: with a sentence of its own or with the node's.
func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code  int
		body  string
		words string
	}{
		"false":             {200, `{"allow": false, "reason": "Your plan has ended.\n\u202e Buy more."}`, "Your plan has ended. Buy more."},
		"false alone":       {200, `{"allow": false}`, "NAME?key=SECRET"},
		"long":              {200, `{"allow": false, "reason": "` + strings.Repeat("é", 400) + `"}`, strings.Repeat("é", 150) + "…"},
		"401":               {401, ``, "NAME?key=SECRET"},
		"403 with reason":   {403, `{"allow": false, "reason": "Not today."}`, "Not today."},
		"403 that says yes": {403, `{"allow": true}`, "NAME?key=SECRET"},
		"403 with a page":   {403, `<html>`, "NAME?key=SECRET"},
		"400":               {400, `what?`, "NAME?key=SECRET"},
		"422 with reason":   {422, `{"allow": false, "reason": "No such show."}`, "No such show."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := withCallback(t, func(c *Callback) { c.Known = true })
			r.says(`{"allow": true, "cache_seconds": 0}`)
			b.in(attempt("show", "secret"))
			b.pass(3 * time.Second)
			r.does(func(w http.ResponseWriter, _ *http.Request, _ request) {
				w.WriteHeader(tt.code)
				io.WriteString(w, tt.body)
			})
			b.out(attempt("show", "secret"), auth.WhyKey, tt.words)
			// Who was refused is known no more.
			b.pass(time.Minute)
			r.CloseClientConnections()
			r.Listener.Close()
			b.out(attempt("show", "secret"), auth.WhyDown, "Try again")
		})
	}
}

// TestCallbackIsDown: whatever is no answer lets nobody in, but those who are known where that is set.
func TestCallbackIsDown(t *testing.T) {
	t.Parallel()
	say := func(code int, body string) func(http.ResponseWriter, *http.Request, request) {
		return func(w http.ResponseWriter, _ *http.Request, _ request) {
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	elsewhere := make(chan struct{}, 100)
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request, request){
		"500":      say(500, `{"allow": true}`),
		"404":      say(404, `{"allow": true}`),
		"204":      say(204, ""),
		"201":      say(201, `{"allow": true}`),
		"nothing":  say(200, ""),
		"a page":   say(200, "<html>allow</html>"),
		"a list":   say(200, `[{"allow": true}]`),
		"null":     say(200, "null"),
		"no allow": say(200, `{"Allow": true, "ok": 1}`),
		"word":     say(200, `{"allow": "yes"}`),
		"twice":    say(200, `{"allow": false, "allow": true}`),
		"more":     say(200, `{"allow": true} {"allow": false}`),
		"bad name": say(200, `{"allow": true, "stream": "../etc"}`),
		"bitrate":  say(200, `{"allow": true, "max_bitrate": -1}`),
		"duration": say(200, `{"allow": true, "max_duration_seconds": -1e9}`),
		"cache":    say(200, `{"allow": true, "cache_seconds": -1}`),
		"ladder":   say(200, `{"allow": true, "ladder": "a\u0000b"}`),
		"huge":     say(200, `{"allow": true, "reason": "`+strings.Repeat("x", mostAnswer)+`"}`),
		"cut short": func(w http.ResponseWriter, _ *http.Request, _ request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"allow": true}`)
		},
		"hangs up": func(http.ResponseWriter, *http.Request, request) { panic(http.ErrAbortHandler) },
		"redirect": func(w http.ResponseWriter, q *http.Request, got request) {
			if q.URL.Path == "/elsewhere" {
				elsewhere <- struct{}{}
				io.WriteString(w, `{"allow": true}`)
				return
			}
			http.Redirect(w, q, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprint(name, known), func(t *testing.T) {
				t.Parallel()
				b, r := withCallback(t, func(c *Callback) { c.Known = known })
				first := b.in(attempt("show", "secret"))
				left := first.Held()
				b.pass(2 * time.Hour) // the answer is old, and the publisher is in
				r.does(serve)
				b.out(attempt("show", "other-secret"), auth.WhyDown, "Try again in a moment")
				if !strings.Contains(b.log.String(), "callback does not decide") {
					t.Error("the operator is not told of the first call that fails")
				}
				if !known {
					b.out(attempt("show", "secret"), auth.WhyDown, "Try again in a moment")
					return
				}
				if g := b.in(attempt("show", "secret")); g.Credential != first.Credential || g.Name != "show" {
					t.Errorf("%+v, was %+v", g, first)
				}
				left()
				b.pass(59 * time.Minute)
				b.in(attempt("show", "secret")) // within the grace since it was last in
				b.pass(2 * time.Minute)
				b.out(attempt("show", "secret"), auth.WhyDown, "Try again in a moment")
				if strings.Contains(b.log.String(), "not-for-logs") || strings.Contains(b.log.String(), "secret\"") {
					t.Error("the log has a secret in it")
				}
				if !strings.Contains(b.log.String(), "callback does not decide") {
					t.Error("the operator is not told")
				}
				r.says(`{"allow": true}`)
				b.in(attempt("show", "secret"))
				if !strings.Contains(b.log.String(), "decides again") {
					t.Error("the operator is not told that it is back")
				}
			})
		}
	}
	t.Cleanup(func() {
		if len(elsewhere) > 0 {
			t.Error("a redirect was followed: the secret went where no operator sent it")
		}
	})
}

// TestCache: an answer holds for as long as it says, or as is set, from anywhere; a refusal for a moment.
func TestCache(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body         string
		cache        time.Duration
		holds, never time.Duration
	}{
		"as set":       {`{"allow": true}`, time.Minute, 59 * time.Second, 61 * time.Second},
		"as it says":   {`{"allow": true, "cache_seconds": 300}`, time.Minute, 299 * time.Second, 301 * time.Second},
		"a day most":   {`{"allow": true, "cache_seconds": 1e300}`, time.Minute, 23 * time.Hour, 25 * time.Hour},
		"refusal":      {`{"allow": false}`, time.Minute, 4 * time.Second, 6 * time.Second},
		"its own":      {`{"allow": false, "cache_seconds": 3}`, time.Minute, 2900 * time.Millisecond, 3100 * time.Millisecond},
		"set to 0":     {`{"allow": true}`, 0, 0, 0},
		"said to be 0": {`{"allow": true, "cache_seconds": 0}`, time.Minute, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := withCallback(t, func(c *Callback) { c.Cache = tt.cache })
			r.says(tt.body)
			ask := func(from netip.AddrPort, want int) {
				t.Helper()
				a := attempt("show", "secret")
				a.Remote = from
				b.publish(a)
				if r.calls() != want {
					t.Errorf("%d calls, want %d", r.calls(), want)
				}
			}
			ask(away, 1)
			ask(away, 1) // from the same network always for a moment
			if tt.holds == 0 {
				ask(away2, 2)
				return
			}
			b.pass(tt.holds)
			ask(away2, 1)
			b.pass(tt.never - tt.holds)
			ask(away2, 2)
			b.change(func(s *Settings) { s.Callback.URL += "&other" })
			ask(away2, 3) // another callback has another opinion
		})
	}
}

// TestProbe: a protocol that asks first makes no call of its own, with a secret or without.
func TestProbe(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, func(c *Callback) { c.Cache = 0 })
	first := attempt("show", "")
	first.Probe = true
	b.out(first, auth.WhyKey, "")
	if r.calls() != 0 {
		t.Error("the callback is asked about who was not asked for a key yet")
	}
	first.Secret = "secret"
	b.in(first)
	b.in(attempt("show", "secret"))
	if r.calls() != 1 {
		t.Errorf("%d calls for one publisher", r.calls())
	}
	if n := b.value("pushcart_auth_attempts_total"); n != 1 {
		t.Errorf("%v attempts counted", n)
	}
	// A callback that is down is asked once too.
	r.does(func(w http.ResponseWriter, _ *http.Request, _ request) { w.WriteHeader(500) })
	again := attempt("show", "other")
	again.Probe = true
	b.out(again, auth.WhyDown, "")
	again.Probe = false
	b.out(again, auth.WhyDown, "")
	if r.calls() != 2 {
		t.Errorf("%d calls", r.calls())
	}
}

// TestThousand: while the callback hangs, whoever need not ask it joins at once, and who must gets an answer in time; the number of
// calls and of those who wait is bounded, also for each network.
func TestThousand(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, func(c *Callback) { c.Known = true }, auth.Entry{Stream: "*", Key: "master-key"})
	for i := range 150 {
		b.in(attempt(fmt.Sprint("cached", i), "secret"))
	}
	for i := range 150 {
		b.in(attempt(fmt.Sprint("known", i), "secret"))
	}
	var flying, most atomic.Int64
	release, free := blocker(t)
	r.does(func(w http.ResponseWriter, q *http.Request, _ request) {
		n := flying.Add(1)
		defer flying.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		select {
		case <-release:
		case <-q.Context().Done():
		}
		io.WriteString(w, `{"allow": true}`)
	})
	var strangers sync.WaitGroup
	var refused atomic.Int64
	for i := range 1400 {
		strangers.Go(func() {
			a := attempt(fmt.Sprint("stranger", i), "secret")
			a.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 20)}), 1)
			if _, err := b.publish(a); err != nil {
				var d *auth.Denied
				if !errors.As(err, &d) || d.Why != auth.WhyBusy {
					t.Error(err)
				}
				refused.Add(1)
			}
		})
	}
	until(t, func() bool { return flying.Load() == mostCalls && refused.Load() == 1400-mostCalls-mostWaiting })
	// None of these waits for anything: they come one after the other, while nothing that hangs is let go.
	for i := range 200 {
		b.in(attempt(fmt.Sprint("static", i), "master-key"))
		if i < 150 {
			b.in(attempt(fmt.Sprint("cached", i), "secret"))
		}
	}
	if b.value("pushcart_auth_callback_in_flight") != mostCalls || b.value("pushcart_auth_callback_waiting") != mostWaiting {
		t.Error("the gauges tell something else")
	}
	// There is no place to wait in; who is known needs none.
	b.pass(2 * time.Minute)
	b.in(attempt("known7", "secret"))
	free()
	strangers.Wait()
	if most.Load() > mostCalls {
		t.Errorf("%d calls at once", most.Load())
	}
	if n := b.value("pushcart_auth_attempts_total", "result", "limit"); n != float64(refused.Load()) {
		t.Errorf("%v refusals counted, %d were", n, refused.Load())
	}
	until(t, func() bool { return b.value("pushcart_auth_callback_in_flight") == 0 })
	if len(b.gate.of) != 0 || len(b.gate.waiting) != 0 || len(b.calls) != 0 {
		t.Error("something is left of the calls")
	}
}

// blocker makes a channel for a receiver to hang on, and what lets go of it: at the end of the test at the latest.
func blocker(t *testing.T) (release chan struct{}, free func()) {
	release = make(chan struct{})
	free = sync.OnceFunc(func() { close(release) })
	t.Cleanup(free) // before the receiver is closed, which was made earlier
	return release, free
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// TestOneNetworkHasNotAll: publishers of one network cannot take all calls.
func TestOneNetworkHasNotAll(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, nil)
	var hanging atomic.Int64
	release, free := blocker(t)
	r.does(func(w http.ResponseWriter, _ *http.Request, got request) {
		if got.Address == "203.0.113.7" {
			hanging.Add(1)
			<-release
		}
		io.WriteString(w, `{"allow": true}`)
	})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { b.publish(attempt(fmt.Sprint("show", i), "secret")) })
	}
	until(t, func() bool {
		return hanging.Load() == mostCallsOfNetwork && b.value("pushcart_auth_callback_waiting") == 200-mostCallsOfNetwork
	})
	other := attempt("other", "secret")
	other.Remote = away2
	b.in(other) // with 184 in front of it
	if hanging.Load() != mostCallsOfNetwork {
		t.Error("a network has more than its share")
	}
	free()
	wg.Wait()
}

// TestSame: who asks the same at the same time waits for one call; who goes does not take it away from the others.
func TestSame(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, nil)
	release, free := blocker(t)
	r.does(func(w http.ResponseWriter, _ *http.Request, _ request) {
		<-release
		io.WriteString(w, `{"allow": true}`)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	gone := make(chan error, 1)
	wg.Go(func() {
		_, err := b.Publish(ctx, attempt("show", "secret"))
		gone <- err
	})
	until(t, func() bool { return r.calls() == 1 })
	for range 50 {
		wg.Go(func() { b.in(attempt("show", "secret")) })
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("a publisher that went is let in")
	}
	until(t, func() bool { return b.value("pushcart_auth_callback_cache_total", "result", "miss") == 51 })
	free()
	wg.Wait()
	if r.calls() != 1 {
		t.Errorf("%d calls", r.calls())
	}
}

// TestTimeout: a call is given up in time, and so is one whose turn does not come.
func TestTimeout(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, func(c *Callback) { c.Timeout = 100 * time.Millisecond })
	r.does(func(_ http.ResponseWriter, q *http.Request, _ request) { <-q.Context().Done() })
	var wg sync.WaitGroup
	for i := range mostCallsOfNetwork + 5 {
		wg.Go(func() { b.out(attempt(fmt.Sprint("show", i), "secret"), auth.WhyDown, "Try again") })
	}
	wg.Wait()
	overdue, made := b.value("pushcart_auth_callback_overdue_total"), b.value("pushcart_auth_callback_duration_seconds", "result", "down")
	if made < mostCallsOfNetwork || overdue+made != mostCallsOfNetwork+5 {
		t.Errorf("%v calls and %v whose turn did not come", made, overdue)
	}
}

// TestKnownDoesNotWait: once the callback is known to be down, a show goes on with the reconnect and not with the timeout; the call that
// is made meanwhile finds out when it is back.
func TestKnownDoesNotWait(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, func(c *Callback) { c.Known, c.Cache = true, 0 })
	b.in(attempt("show", "secret"))
	r.does(func(w http.ResponseWriter, _ *http.Request, _ request) { w.WriteHeader(502) })
	for i := range enoughFailures {
		b.out(attempt(fmt.Sprint("other", i), "secret"), auth.WhyDown, "")
	}
	b.pass(5 * time.Second)
	release, free := blocker(t)
	r.does(func(w http.ResponseWriter, _ *http.Request, _ request) {
		<-release
		io.WriteString(w, `{"allow": true}`)
	})
	b.in(attempt("show", "secret")) // would hang
	until(t, func() bool { return r.calls() == 2+enoughFailures })
	free()
	until(t, func() bool { return !b.health.down(b.Now()) })
}

// TestCloseEndsCalls: a node that stops waits for no callback.
func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, nil)
	release, free := blocker(t)
	defer free()
	r.does(func(_ http.ResponseWriter, q *http.Request, _ request) {
		select {
		case <-q.Context().Done():
		case <-release:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { b.Run(ctx); close(ran) }()
	done := make(chan error, 1)
	go func() {
		_, err := b.Publish(context.Background(), attempt("show", "secret"))
		done <- err
	}()
	until(t, func() bool { return r.calls() == 1 })
	cancel()
	<-ran
	var d *auth.Denied
	if err := <-done; !errors.As(err, &d) || d.Why != auth.WhyDown {
		t.Error(err)
	}
	if _, err := b.Publish(context.Background(), attempt("show", "secret")); err == nil {
		t.Error("afterwards somebody is let in")
	}
}

// checkAnswer: what is read is within its bounds.
func checkAnswer(t *testing.T, a answer) {
	t.Helper()
	if a.stream != "" && auth.ValidName(a.stream) != nil || a.maxBitrate < 0 || a.maxDuration < 0 || a.cache > mostCache ||
		len(a.reason) > mostReason+len("…") || len(a.credential) > mostCredential || strings.ContainsAny(a.reason+a.ladder, "\n\r\x00\x1b") {
		t.Errorf("%+v", a)
	}
	if !a.allow && (a.stream != "" || a.standby || a.maxBitrate != 0) {
		t.Errorf("a refusal grants something: %+v", a)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		`{"allow": true}`, `{"allow": false, "reason": "no\n"}`, `{"allow": true, "stream": "show", "max_bitrate": 1e11, "max_duration_seconds": 1e300, "cache_seconds": 1e-9}`,
		`{"allow": true, "credential": "` + strings.Repeat("x", 300) + `"}`, `{"allow": null}`, `[]`, `{"allow":true,"ladder":"\ufffd"}`, strings.Repeat(`{"allow":`, 1000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := readAnswer(b); err == nil {
			checkAnswer(t, a)
		}
	})
}
