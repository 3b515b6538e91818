package trust

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// authority makes one, valid from now.
func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority(time.Now(), AuthorityValidity)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a node's folder.
func issue(t *testing.T, a *Authority, name, region string, hosts ...string) string {
	t.Helper()
	dir := t.TempDir()
	save(t, dir, a, name, region, NodeValidity, hosts...)
	return dir
}

func save(t *testing.T, dir string, a *Authority, name, region string, validity time.Duration, hosts ...string) {
	t.Helper()
	pair, err := a.Issue(name, region, hosts, validity, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := ReplaceNode(dir, a.Certificate(), pair); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string, opt Options) *Credentials {
	t.Helper()
	c, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shake makes a connection between two sides and returns what each says of it.
func shake(t *testing.T, server, client *tls.Config) (seen tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(conn, server)
		if serverErr = s.Handshake(); serverErr == nil {
			seen = s.ConnectionState()
			_, serverErr = s.Write([]byte("hello"))
			s.Close()
		}
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(conn, client)
	// In TLS 1.3 the dialling side learns of a refusal of its certificate with the first read.
	var got []byte
	if got, clientErr = io.ReadAll(c); clientErr == nil && string(got) != "hello" {
		t.Errorf("read %q", got)
	}
	conn.Close()
	wg.Wait()
	return seen, serverErr, clientErr
}

// metric reads a metric's value by its name and the value of its only label.
func metric(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %s", name, label)
	return 0
}

// buffer collects a log.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func logTo(b *buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
