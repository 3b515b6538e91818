package authority

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/internal/auth"
)

// clock is one that a test moves.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is an Authority with a clock, settings that a test changes, and a log.
type bench struct {
	*Authority
	*clock
	t   *testing.T
	reg *prometheus.Registry
	log *logged

	mu  sync.Mutex // guards set
	set Settings
}

// logged is a log that is kept.
type logged struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newBench(t *testing.T, set Settings, entries ...auth.Entry) *bench {
	t.Helper()
	keys, err := auth.NewKeys(entries)
	if err != nil {
		t.Fatal(err)
	}
	store := &auth.Store{}
	store.Store(keys)
	b := &bench{t: t, set: set, reg: prometheus.NewRegistry(), clock: &clock{now: time.Unix(1_767_225_600, 0)}, log: &logged{}}
	b.Authority = New(Options{
		Keys: store, Registerer: b.reg, Now: b.clock.Now, Log: slog.New(slog.NewTextHandler(io.MultiWriter(b.log, t.Output()), nil)),
		Settings: func() Settings {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.set
		},
	})
	t.Cleanup(b.Close)
	return b
}

func (b *bench) change(f func(*Settings)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.set)
}

// value of a metric, all labels that are not given added up.
func (b *bench) value(name string, labels ...string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if labelled(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func labelled(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		found := false
		for _, l := range m.Label {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

var (
	here  = netip.MustParseAddrPort("127.0.0.1:5000")
	away  = netip.MustParseAddrPort("203.0.113.7:5000")
	away2 = netip.MustParseAddrPort("198.51.100.9:5000")
)

func attempt(stream, secret string) auth.Attempt {
	return auth.Attempt{Protocol: "rtmp", Stream: stream, Secret: secret, Remote: away, Agent: "OBS"}
}

// publish asks with a deadline that no test should come to.
func (b *bench) publish(a auth.Attempt) (auth.Grant, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return b.Publish(ctx, a)
}

func (b *bench) in(a auth.Attempt) auth.Grant {
	b.t.Helper()
	g, err := b.publish(a)
	if err != nil {
		b.t.Fatalf("%s with %.12s… is not let in: %v", a.Stream, a.Secret, err)
	}
	return g
}

func (b *bench) out(a auth.Attempt, why auth.Why, words string) {
	b.t.Helper()
	_, err := b.publish(a)
	var d *auth.Denied
	if !errors.As(err, &d) || d.Why != why || !strings.Contains(d.Message, words) {
		b.t.Errorf("%s with %.12s…: %v, want %s with %q", a.Stream, a.Secret, err, why, words)
	}
}

const sharedSecret = "a-secret-that-both-know"

// receiver is a callback. Each request is checked as a receiver of an operator's would.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex // guards what follows
	seen  []request
	ids   map[string]bool
	serve func(http.ResponseWriter, *http.Request, request)
}

func newReceiver(t *testing.T, clock func() time.Time) *receiver {
	r := &receiver{t: t, ids: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return // it went
		}
		if clock != nil {
			if err := auth.VerifySignature(q.Header, sharedSecret, body, clock(), time.Minute); err != nil {
				t.Error(err)
			}
		}
		var got request
		if err := json.Unmarshal(body, &got); err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s of %s: %v", q.Method, q.Header.Get("Content-Type"), err)
		}
		r.mu.Lock()
		if id := q.Header.Get(auth.SignatureID); clock != nil && (r.ids[id] || id == "") {
			t.Error("a request has no identifier of its own")
		} else {
			r.ids[id] = true
		}
		r.seen = append(r.seen, got)
		serve := r.serve
		r.mu.Unlock()
		serve(w, q, got)
	}))
	t.Cleanup(r.Server.Close)
	r.says(`{"allow": true}`)
	return r
}

func (r *receiver) does(f func(http.ResponseWriter, *http.Request, request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve = f
}

func (r *receiver) says(body string) {
	r.does(func(w http.ResponseWriter, _ *http.Request, _ request) { io.WriteString(w, body) })
}

func (r *receiver) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// withCallback is a bench whose callback is a receiver.
func withCallback(t *testing.T, change func(*Callback), entries ...auth.Entry) (*bench, *receiver) {
	t.Helper()
	b := newBench(t, Settings{}, entries...)
	r := newReceiver(t, b.clock.Now)
	b.set.Callback = Callback{URL: r.URL + "/publish?token=not-for-logs", Secret: sharedSecret, Timeout: 10 * time.Second, Cache: time.Minute, Grace: time.Hour}
	if change != nil {
		change(&b.set.Callback)
	}
	return b, r
}
