package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// logged gathers what is logged.
type logged struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
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

// host is one that serves TLS, and HTTP for the authority, with a source.
type host struct {
	*Source
	t       testing.TB
	reg     *prometheus.Registry
	log     *logged
	address string
	stop    func()
}

// newHost starts one. It ends with the test, or with stop.
func newHost(t testing.TB, a *authority, storage string, domains ...string) *host {
	t.Helper()
	h := &host{t: t, reg: prometheus.NewRegistry(), log: &logged{}}
	h.Source = New(Options{
		Domains: domains, Directory: a.directory(), Root: a.root, Storage: storage, Registerer: h.reg,
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Retry: func(int) time.Duration { return 20 * time.Millisecond },
	})
	config, err := h.Config("h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	clear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = secure.Addr().String()
	a.mu.Lock()
	a.secure, a.clear = h.address, clear.Addr().String()
	a.mu.Unlock()
	server := &http.Server{Handler: h.Challenge(http.NotFoundHandler())}
	var running sync.WaitGroup
	running.Go(func() { server.Serve(clear) })
	running.Go(func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(5 * time.Second))
				if c.(*tls.Conn).Handshake() == nil {
					c.Read(make([]byte, 1))
				}
			})
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.Open(secure.Addr(), clear.Addr()); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { h.Run(ctx) })
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cancel()
			secure.Close()
			server.Close()
			running.Wait()
		})
	}
	t.Cleanup(h.stop)
	return h
}

// serial is that of the certificate that a client gets who asks for a name; 0 where it gets none that is good.
func (h *host) serial(a *authority, name string) int64 {
	c, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: a.pool(), ServerName: name, NextProtos: []string{"h2"}})
	if err != nil {
		return 0
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// until waits for a condition.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 15 s: %s", what)
		}
	}
}

// metric is a metric's value by a label's value; ok is false without one.
func metric(t testing.TB, reg *prometheus.Registry, name, label string) (value float64, ok bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && strings.Contains(fmt.Sprint(labelsOf(m)), label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func labelsOf(m *dto.Metric) (all []string) {
	for _, l := range m.GetLabel() {
		all = append(all, l.GetValue())
	}
	return all
}

// TestACME: certificates for several domains, by each kind of proof, kept where nobody else can read them.
func TestACME(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tls-alpn-01", "http-01"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t, kind)
			storage := filepath.Join(t.TempDir(), "data", "acme")
			one, two := "one."+kind+".example", "two."+kind+".example"
			h := newHost(t, a, storage, one, two)
			for _, name := range []string{one, two} {
				until(t, "a certificate for "+name, func() bool { return h.serial(a, name) != 0 })
				left, ok := metric(t, h.reg, "pushcart_tls_certificate_expiry_seconds", name)
				if !ok || left < 3000 || left > 3600 {
					t.Errorf("%s is valid for %v s", name, left)
				}
			}
			// Who names no host gets the first one's.
			c, err := tls.Dial("tcp", h.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.ConnectionState().PeerCertificates[0].DNSNames[0]; got != one {
				t.Errorf("without a name: %s", got)
			}
			c.Close()
			if h.serial(a, "three."+kind+".example") != 0 {
				t.Error("a name of nobody has a certificate")
			}
			if _, err := h.Source.obtained(&tls.ClientHelloInfo{ServerName: "three.example", Conn: c}); !errors.Is(err, ErrNone) {
				t.Errorf("%v", err)
			}
			if n := a.orders.Load(); n != 2 {
				t.Errorf("%d orders", n)
			}
			h.stop()
			err = filepath.WalkDir(storage, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if info, _ := d.Info(); info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s has the mode %v", path, info.Mode())
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if said := a.said(); said != "" {
				t.Error(said)
			}
			if log := h.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "PRIVATE KEY") || !strings.Contains(log, "new TLS certificate") {
				t.Error(log)
			}
		})
	}
}

// TestACMEFails: what fails is told, counted and tried again until it does not.
func TestACMEFails(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "tls-alpn-01")
	a.failures.Store(2)
	h := newHost(t, a, t.TempDir(), "fails.example")
	until(t, "a certificate", func() bool { return h.serial(a, "fails.example") != 0 })
	if n, _ := metric(t, h.reg, "pushcart_tls_certificate_failures_total", sourceACME); n != 2 || a.orders.Load() != 3 {
		t.Errorf("%v failures of %d orders", n, a.orders.Load())
	}
	if log := h.log.String(); strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, "not today") || !strings.Contains(log, "http.tls_address") {
		t.Error(log)
	}
}

// TestACMEDown: without the authority the stored certificate is served, an old one as well; when the authority is back, it is renewed.
func TestACMEDown(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "tls-alpn-01")
	a.age, a.life = time.Hour, 5*time.Minute // of which less than a third is left
	storage := t.TempDir()
	h := newHost(t, a, storage, "down.example")
	until(t, "a certificate", func() bool { return h.serial(a, "down.example") != 0 })
	h.stop()
	stored := h.serialOf("down.example")

	a.down.Store(true)
	h = newHost(t, a, storage, "down.example")
	if got := h.serial(a, "down.example"); got != stored {
		t.Errorf("certificate %d is served, %d is stored", got, stored)
	}
	until(t, "that it is told", func() bool {
		return strings.Contains(h.log.String(), "the stored certificate, valid until") && strings.Contains(h.log.String(), a.directory())
	})
	if n, _ := metric(t, h.reg, "pushcart_tls_certificate_failures_total", sourceACME); n < 1 {
		t.Error("no failure is counted")
	}
	a.mu.Lock()
	a.age, a.life = 0, time.Hour
	a.mu.Unlock()
	a.down.Store(false)
	until(t, "the renewed certificate", func() bool { got := h.serial(a, "down.example"); return got != 0 && got != stored })
}

// serialOf is that of the certificate that is kept.
func (h *host) serialOf(name string) int64 {
	for _, c := range h.managed.Load().cache.AllMatchingCertificates(name) {
		return c.Leaf.SerialNumber.Int64()
	}
	return 0
}

// TestACMEDownAtFirst: a node that was never there starts all the same, and serves as soon as there is something to serve.
func TestACMEDownAtFirst(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "http-01")
	a.down.Store(true)
	h := newHost(t, a, t.TempDir(), "first.example")
	if h.serial(a, "first.example") != 0 {
		t.Error("there is a certificate")
	}
	until(t, "that it is told", func() bool { return strings.Contains(h.log.String(), "handshakes fail") })
	a.down.Store(false)
	until(t, "a certificate", func() bool { return h.serial(a, "first.example") != 0 })
}

// TestACMEDamaged: what is stored and cannot be used is replaced.
func TestACMEDamaged(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "tls-alpn-01")
	storage := t.TempDir()
	h := newHost(t, a, storage, "damaged.example")
	until(t, "a certificate", func() bool { return h.serial(a, "damaged.example") != 0 })
	h.stop()
	damaged := 0
	err := filepath.WalkDir(storage, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == "damaged.example.key" {
			damaged++
			return os.WriteFile(path, []byte("not a key"), 0o600)
		}
		return err
	})
	if err != nil || damaged != 1 {
		t.Fatalf("%v, %d", err, damaged)
	}
	h = newHost(t, a, storage, "damaged.example")
	until(t, "another certificate", func() bool { return h.serial(a, "damaged.example") != 0 })
	if !strings.Contains(h.log.String(), "stored TLS certificate cannot be used") {
		t.Error(h.log.String())
	}
}

// TestACMEStops: the end of a node does not wait for an authority that is not there, nor for the next attempt.
func TestACMEStops(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "tls-alpn-01")
	a.failures.Store(1 << 30)
	s := New(Options{
		Domains: []string{"stops.example"}, Directory: a.directory(), Root: a.root, Storage: t.TempDir(), Registerer: prometheus.NewRegistry(),
		Log: slog.New(slog.DiscardHandler), Retry: func(int) time.Duration { return time.Hour },
	})
	if err := s.Open(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	until(t, "the first attempt has failed", func() bool { return a.orders.Load() > 0 })
	cancel()
	<-done
	s.Close() // again
}

// TestACMESettings: what cannot be used is said with its setting.
func TestACMESettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"(check acme.root)": {Root: file, Storage: dir}, "check acme.root": {Root: file + ".none", Storage: dir}, "data.directory": {Storage: filepath.Join(file, "acme")},
	} {
		o.Domains, o.Registerer, o.Log = []string{"settings.example"}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
		if err := New(o).Open(nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// Without domains nothing is opened.
	s := New(Options{Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Storage: filepath.Join(file, "acme")})
	if err := s.Open(nil, nil); err != nil {
		t.Error(err)
	}
	s.Run(context.Background())
	s.Close()
}

// TestRetryLater: the wait doubles, up to an hour.
func TestRetryLater(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 5: 8 * time.Minute, 8: time.Hour, 1000: time.Hour} {
		if got := retryLater(n); got != want {
			t.Errorf("behind failure %d: %v", n, got)
		}
	}
}
