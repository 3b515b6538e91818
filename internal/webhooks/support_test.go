package webhooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// message is what a receiver has got.
type message struct {
	id, typ, stream string
	n               int // of the test's numbering
	at              time.Time
	header          http.Header
	body            []byte
	status          int
}

// receiver is a service that is told. answer decides on each message; nil takes all.
type receiver struct {
	answer func(m *message) (status int, header http.Header)

	mu  sync.Mutex
	got []message
}

func (r *receiver) take(h http.Header, body []byte, now time.Time) (int, http.Header) {
	var e struct {
		ID, Type, Stream string
		Data             struct{ N int }
	}
	m := message{header: h, body: body, at: now, status: 200}
	if err := json.Unmarshal(body, &e); err != nil {
		m.typ = err.Error()
	} else {
		m.id, m.typ, m.stream, m.n = e.ID, e.Type, e.Stream, e.Data.N
	}
	var header http.Header
	if r.answer != nil {
		m.status, header = r.answer(&m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
	return m.status, header
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	status, header := r.take(q.Header, body, time.Now())
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
}

// all returns what was got.
func (r *receiver) all() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

// taken lists the numbers that were answered with success, of a stream or of all.
func (r *receiver) taken(stream string) []int {
	var n []int
	for _, m := range r.all() {
		if m.status/100 == 2 && (stream == "" || m.stream == stream) {
			n = append(n, m.n)
		}
	}
	return n
}

// hosts is a network in memory: receivers by host.
type hosts map[string]*receiver

// RoundTrip implements http.RoundTripper.
func (h hosts) RoundTrip(q *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(q.Body)
	q.Body.Close()
	r := h[q.URL.Host]
	if r == nil {
		return nil, fmt.Errorf("no such host")
	}
	status, header := r.take(q.Header, body, time.Now())
	if err := q.Context().Err(); err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("")), Request: q}, nil
}

type number struct {
	N   int    `json:"n"`
	Pad string `json:"pad,omitempty"`
}

// running is a dispatcher that runs.
type running struct {
	*Dispatcher
	reg  *prometheus.Registry
	stop func() error
}

// start runs a dispatcher until the test ends.
func start(t testing.TB, opt Options) *running {
	t.Helper()
	r := &running{reg: prometheus.NewRegistry()}
	opt.Registerer = r.reg
	if opt.Grace == 0 {
		opt.Grace = time.Millisecond
	}
	d, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r.Dispatcher = d
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *running) send(stream string, from, to int) {
	for n := from; n <= to; n++ {
		r.Send(Event{Type: StreamStarted, Stream: stream, Data: number{N: n}})
	}
}

// counted is the value of a counter.
func (r *running) counted(name string, labels ...string) float64 {
	m := r.metrics
	return testutil.ToFloat64(map[string]*prometheus.CounterVec{"delivered": m.delivered, "failed": m.failed, "dropped": m.dropped}[name].WithLabelValues(labels...))
}

// eventually waits for something.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func upTo(from, to int) []int {
	var n []int
	for i := from; i <= to; i++ {
		n = append(n, i)
	}
	return n
}

// verify checks a signature as a receiver would, written from the specification and without what sends it.
func verify(m message, secret []byte) error {
	id, stamp := m.header.Get("webhook-id"), m.header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, m.body)
	for s := range strings.FieldsSeq(m.header.Get("webhook-signature")) {
		version, text, _ := strings.Cut(s, ",")
		sum, err := base64.StdEncoding.DecodeString(text)
		if version == "v1" && err == nil && hmac.Equal(sum, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q fits", m.header.Get("webhook-signature"))
}

// copyOf copies a folder as a crash at this moment would leave it.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// sizeOf is how large the files in a folder are.
func sizeOf(t testing.TB, dir string) (n int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if st, err := f.Info(); err == nil {
			n += st.Size()
		}
	}
	return n
}

// lines takes a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
