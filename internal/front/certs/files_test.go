package certs

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pair is a certificate that signed itself, in two files.
type pair struct{ certificate, key string }

// write puts a new certificate of a serial number into the files.
func (p pair) write(t testing.TB, serial int64, until time.Time) *x509.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"files.example"}, NotBefore: until.Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.store(t, pemOf("CERTIFICATE", der), keyPEM(t, key))
	cert, _ := x509.ParseCertificate(der)
	return cert
}

func keyPEM(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("EC PRIVATE KEY", der)
}

func (p pair) store(t testing.TB, certificate, key []byte) {
	t.Helper()
	for file, text := range map[string][]byte{p.certificate: certificate, p.key: key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// clock is one that is set by hand.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func fromFiles(t testing.TB) (*Source, pair, *clock, *logged, *prometheus.Registry) {
	t.Helper()
	dir := t.TempDir()
	p := pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	c, log, reg := &clock{at: time.Now()}, &logged{}, prometheus.NewRegistry()
	s := New(Options{
		Files: func() (string, string) { return p.certificate, p.key }, Now: c.now, Registerer: reg, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	return s, p, c, log, reg
}

// TestFiles: new files are taken up, and what cannot be used leaves the certificate as it is, which is told once.
func TestFiles(t *testing.T) {
	t.Parallel()
	s, p, clock, log, reg := fromFiles(t)
	if _, err := s.Config("h2"); err == nil || !strings.Contains(err.Error(), "check tls.certificate and tls.key") {
		t.Fatalf("without files: %v", err)
	}
	p.write(t, 1, clock.now().Add(time.Hour))
	config, err := s.Config("h2")
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		c, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.Int64()
	}
	if left, ok := metric(t, reg, "pushcart_tls_certificate_expiry_seconds", "files.example"); !ok || left < 3598 || left > 3600 {
		t.Errorf("valid for %v s", left)
	}
	p.write(t, 2, clock.now().Add(2*time.Hour))
	if serial() != 1 {
		t.Error("the files are looked at with each handshake")
	}
	clock.pass(recheck)
	if serial() != 2 || !strings.Contains(log.String(), "TLS certificate reloaded") {
		t.Errorf("new files are not taken up: %s", log)
	}
	for what, damage := range map[string]func(){
		"a key of another": func() { p.store(t, pemOf("CERTIFICATE", p.write(t, 3, clock.now()).Raw), keyPEM(t, newKey(t))) },
		"an empty file":    func() { p.store(t, nil, nil) },
		"no file":          func() { os.Remove(p.key) },
	} {
		before, _ := metric(t, reg, "pushcart_tls_certificate_failures_total", sourceFile)
		damage()
		for range 3 {
			clock.pass(recheck)
			if serial() != 2 {
				t.Errorf("%s: the old certificate is gone", what)
			}
		}
		if after, _ := metric(t, reg, "pushcart_tls_certificate_failures_total", sourceFile); after != before+1 {
			t.Errorf("%s: %v failures are counted", what, after-before)
		}
	}
	if n := strings.Count(log.String(), "cannot be used; the old one stays"); n != 3 {
		t.Errorf("told %d times", n)
	}
	p.write(t, 4, clock.now().Add(-time.Minute))
	clock.pass(recheck)
	if serial() != 4 {
		t.Error("files that were mended are not taken up")
	}
	if left, _ := metric(t, reg, "pushcart_tls_certificate_expiry_seconds", "files.example"); left >= 0 {
		t.Errorf("one that is no longer valid is so for %v s", left)
	}
}

// TestFilesMidTraffic: handshakes go on while files change under them.
func TestFilesMidTraffic(t *testing.T) {
	t.Parallel()
	s, p, clock, _, _ := fromFiles(t)
	p.write(t, 1, clock.now().Add(time.Hour))
	config, err := s.Config("http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			running.Go(func() {
				c.(*tls.Conn).Handshake()
				c.Close()
			})
		}
	})
	const last = 12
	done := make(chan struct{})
	var seen sync.Map
	var dialing sync.WaitGroup
	for range 3 {
		dialing.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Errorf("a handshake failed: %v", err)
					return
				}
				seen.Store(c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), true)
				c.Close()
			}
		})
	}
	for i := int64(2); i <= last; i++ {
		p.write(t, i, clock.now().Add(time.Hour))
		clock.pass(recheck)
	}
	until(t, "the last certificate", func() bool { _, ok := seen.Load(int64(last)); clock.pass(recheck); return ok })
	close(done)
	dialing.Wait()
	l.Close()
	running.Wait()
}

func BenchmarkFiles(b *testing.B) {
	s, p, clock, _, _ := fromFiles(b)
	p.write(b, 1, clock.now().Add(time.Hour))
	config, err := s.Config("h2")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		config.GetCertificate(nil)
	}
}
