package front

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pushcart/internal/front/certs"
)

// authority is one that gives certificates in tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue gives a certificate for a host, for servers and clients.
func (a *authority) issue(t testing.TB, host string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

const host = "live.example"

// edge is a server behind a front, over TLS or in clear text.
type edge struct {
	*Front
	address string
	ca      *authority
	server  *http.Server
	hold    chan struct{} // what waits for it goes on when it is closed
}

// serve starts one, which ends with the test.
func serve(t testing.TB, s Settings, secure bool, change func(*edge, *tls.Config), opt ...func(*Options)) *edge {
	t.Helper()
	e := &edge{Front: start(t, s, opt...), hold: make(chan struct{})}
	e.server = e.Server(ServerOptions{
		HeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/wait":
				<-r.Context().Done()
			case "/hold":
				<-e.hold
			case "/body":
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
					return
				}
			}
			fmt.Fprintf(w, "%v %s", Trusted(r), r.Proto)
		}),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.address = l.Addr().String()
	if secure {
		e.ca = newAuthority(t)
		pair := e.ca.issue(t, host)
		config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", certs.ChallengeProtocol}, Certificates: []tls.Certificate{pair}}
		if change != nil {
			change(e, config)
		}
		l = e.TLSListener(l, config)
	} else {
		l = e.Listener(l)
	}
	done := make(chan error, 1)
	go func() { done <- e.server.Serve(l) }()
	t.Cleanup(func() {
		e.server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return e
}

// client makes TLS configurations for clients.
func (e *edge) client(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: e.ca.pool(), ServerName: host, NextProtos: protocols}
}

// dialFrom connects from a loopback address.
func dialFrom(t testing.TB, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refused tells whether a further connection from an address is closed at once.
func refused(t testing.TB, from, to string) bool {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", to)
	if errors.Is(err, syscall.ECONNRESET) {
		return true // before the dialer looked
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return closed(t, c)
}

// until waits for a condition.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}

// closed tells whether the other side has closed a connection, waiting for it.
func closed(t testing.TB, c net.Conn) bool {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	return !(errors.As(err, &late) && late.Timeout())
}

func get(t testing.TB, c net.Conn, path string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

// TestConnectionsOfAddress: an address gets no more connections than it may have, others go on, and one that ends makes room.
func TestConnectionsOfAddress(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		e := serve(t, Settings{MaxConnections: 100, MaxConnectionsPerAddress: 20}, secure, nil)
		dial := func(from string) net.Conn {
			c := dialFrom(t, from, e.address)
			if secure {
				return tls.Client(c, e.client("http/1.1"))
			}
			return c
		}
		var held []net.Conn
		for i := range 20 {
			c := dial("127.0.0.2")
			if got := get(t, c, "/"); got != "false HTTP/1.1" {
				t.Fatalf("connection %d: %q", i, got)
			}
			held = append(held, c)
		}
		if !refused(t, "127.0.0.2", e.address) {
			t.Error("one over the limit is let in")
		}
		if got := value(t, e.metrics.refused[tooManyOfAddress]); got != 1 {
			t.Errorf("%v refusals", got)
		}
		if got := get(t, dial("127.0.0.3"), "/"); got != "false HTTP/1.1" {
			t.Errorf("another address: %q", got)
		}
		if got := get(t, held[7], "/"); got != "false HTTP/1.1" {
			t.Errorf("one that was in: %q", got)
		}
		held[3].Close()
		until(t, "the place is free", func() bool { open, _ := e.places.counts(); return open == 20 })
		if got := get(t, dial("127.0.0.2"), "/"); got != "false HTTP/1.1" {
			t.Errorf("in the place that became free: %q", got)
		}
	}
}

// TestConnectionsInAll: the limit over all addresses, changed while the server runs.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{MaxConnections: 2}, false, nil)
	for i := range 2 {
		if got := get(t, dialFrom(t, fmt.Sprintf("127.0.0.%d", 2+i), e.address), "/"); got != "false HTTP/1.1" {
			t.Fatal(got)
		}
	}
	if !refused(t, "127.0.0.9", e.address) || value(t, e.metrics.refused[tooMany]) != 1 {
		t.Error("one over the limit is let in")
	}
	if err := e.Configure(Settings{MaxConnections: 3}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, dialFrom(t, "127.0.0.9", e.address), "/"); got != "false HTTP/1.1" {
		t.Errorf("behind a higher limit: %q", got)
	}
}

// TestSlowHandshakes: who begins a handshake and goes no further keeps few places, for a time that is bounded, and nobody waits
// for it.
func TestSlowHandshakes(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{MaxConnections: 1000, MaxConnectionsPerAddress: 100, HandshakeTimeout: 2 * time.Second}, true, nil)
	var slow []net.Conn
	for i := range 25 {
		c := dialFrom(t, "127.0.0.2", e.address)
		if i%2 == 0 {
			c.Write([]byte{22, 3, 1, 2, 0, 1}) // the beginning of a ClientHello
		}
		slow = append(slow, c)
	}
	until(t, "all are in their handshake", func() bool { _, shaking := e.places.counts(); return shaking == 25 })
	if !refused(t, "127.0.0.2", e.address) || value(t, e.metrics.refused[tooManyHandshakes]) != 1 {
		t.Error("the 26th handshake of the address is begun")
	}
	if got := get(t, tls.Client(dialFrom(t, "127.0.0.3", e.address), e.client("http/1.1")), "/"); got != "false HTTP/1.1" {
		t.Errorf("another viewer meanwhile: %q", got)
	}
	for _, c := range slow {
		if !closed(t, c) {
			t.Fatal("a slow handshake goes on behind its timeout")
		}
	}
	until(t, "all places are free", func() bool { _, shaking := e.places.counts(); return shaking == 0 })
	if got := value(t, e.metrics.failures[failedTimeout]); got != 25 {
		t.Errorf("%v handshakes timed out", got)
	}
}

// TestHandshakeFailures: each is counted by its reason, and HTTP on this port is told where it is.
func TestHandshakeFailures(t *testing.T) {
	t.Parallel()
	other := newAuthority(t)
	cdn := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pemOf(cdn), 0o600); err != nil {
		t.Fatal(err)
	}
	none := false
	e := serve(t, Settings{}, true, func(e *edge, c *tls.Config) {
		if err := TrustClients(c, file); err != nil {
			t.Fatal(err)
		}
		pair := c.Certificates[0]
		c.Certificates = nil
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if none {
				return nil, fmt.Errorf("asked: %w", certs.ErrNone)
			}
			return &pair, nil
		}
	}, func(o *Options) { o.ClientCA = true })
	shake := func(c *tls.Config) error {
		conn := tls.Client(dialFrom(t, "127.0.0.1", e.address), c)
		err := conn.Handshake()
		if err == nil {
			// With TLS 1.3 the client hears of it when it reads.
			conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err = conn.Read(make([]byte, 1))
		}
		return err
	}
	clear := dialFrom(t, "127.0.0.1", e.address)
	if got := get(t, clear, "/"); !strings.Contains(got, "https://") {
		t.Errorf("in clear text: %q", got)
	}
	dialFrom(t, "127.0.0.1", e.address).Close()
	shake(&tls.Config{ServerName: host}) // does not know the authority
	stranger := e.client("http/1.1")
	stranger.Certificates = []tls.Certificate{other.issue(t, "cdn.example")}
	// The client says so even though it is not of the authorities asked for.
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger.Certificates[0], nil }
	if err := shake(stranger); err == nil {
		t.Error("a certificate of another authority is let in")
	}
	shake(&tls.Config{RootCAs: e.ca.pool(), ServerName: host, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	for why, want := range map[string]float64{failedNoTLS: 1, failedGone: 1, failedByClient: 1, failedClientCertificate: 1, failedProtocol: 1} {
		until(t, why, func() bool { return value(t, e.metrics.failures[why]) == want })
	}
	until(t, "all are gone", func() bool { open, _ := e.places.counts(); return open == 0 })

	if got := get(t, tls.Client(dialFrom(t, "127.0.0.1", e.address), e.client("http/1.1")), "/"); got != "false HTTP/1.1" {
		t.Errorf("a viewer without a certificate: %q", got)
	}
	good := e.client("http/1.1")
	good.Certificates = []tls.Certificate{cdn.issue(t, "cdn.example")}
	if got := get(t, tls.Client(dialFrom(t, "127.0.0.1", e.address), good), "/"); got != "true HTTP/1.1" {
		t.Errorf("the CDN: %q", got)
	}
	// An authority that looks for its proof is answered and sent away.
	proof := tls.Client(dialFrom(t, "127.0.0.1", e.address), e.client(certs.ChallengeProtocol))
	if err := proof.Handshake(); err != nil || !closed(t, proof) {
		t.Errorf("acme-tls/1: %v", err)
	}
	none = true
	shake(e.client("http/1.1"))
	until(t, failedNoCertificate, func() bool { return value(t, e.metrics.failures[failedNoCertificate]) == 1 })
}

// TestTrustClients: what cannot be used is said with its setting.
func TestTrustClients(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".none"} {
		if err := TrustClients(&tls.Config{}, file); err == nil || !strings.Contains(err.Error(), "http.cdn_client_ca") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestTLSListenerCloses: handshakes under way end with the listener, and nothing is left behind.
func TestTLSListenerCloses(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{}, true, nil)
	var slow []net.Conn
	for range 5 {
		slow = append(slow, dialFrom(t, "127.0.0.1", e.address))
	}
	until(t, "they are in their handshake", func() bool { _, shaking := e.places.counts(); return shaking == 5 })
	e.server.Close()
	for _, c := range slow {
		if !closed(t, c) {
			t.Error("a handshake outlives its listener")
		}
	}
	if open, shaking := e.places.counts(); open != 0 || shaking != 0 {
		t.Errorf("%d are open, %d in handshakes", open, shaking)
	}
}

// TestBody: one that is too large is cut off.
func TestBody(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{}, false, nil)
	for size, want := range map[int]string{maxBody: "false HTTP/1.1", maxBody + 1: "http: request body too large\n"} {
		c := dialFrom(t, "127.0.0.1", e.address)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			fmt.Fprintf(c, "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size)
			c.Write(bytes.Repeat([]byte("x"), size))
			fmt.Fprint(c, "\r\n0\r\n\r\n")
		}()
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		if string(body) != want {
			t.Errorf("%d bytes: %q", size, body)
		}
	}
}

// TestHeader: a header of 100 KB is refused.
func TestHeader(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{}, false, nil)
	c := dialFrom(t, "127.0.0.1", e.address)
	go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\n\r\n", strings.Repeat("1.2.3.4,", 12500))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v %v", r, err)
	}
}

// wire is an HTTP/2 connection, frame by frame.
func wire(t *testing.T, e *edge) (*tls.Conn, *http2.Framer) {
	t.Helper()
	c := tls.Client(dialFrom(t, "127.0.0.1", e.address), e.client("h2"))
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c, f
}

func fields(path string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", path}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

// TestHTTP2Settings: what a connection may ask for, as it is told, and kept.
func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	e := serve(t, Settings{}, true, nil)
	_, f := wire(t, e)
	refused := 0
	for settled := false; refused == 0; {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if frame.IsAck() || settled {
				continue
			}
			settled = true
			for id, want := range map[http2.SettingID]uint32{
				http2.SettingMaxConcurrentStreams: 100, http2.SettingMaxFrameSize: 16 << 10, http2.SettingMaxHeaderListSize: 16<<10 + 320,
			} {
				if got, ok := frame.Value(id); !ok || got != want {
					t.Errorf("%v is %d, want %d", id, got, want)
				}
			}
			f.WriteSettingsAck()
			for i := range 101 {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: fields("/wait"), EndStream: true, EndHeaders: true})
			}
		case *http2.RSTStreamFrame:
			refused++
			if frame.StreamID != 201 {
				t.Errorf("stream %d is refused with %v", frame.StreamID, frame.ErrCode)
			}
		case *http2.GoAwayFrame:
			t.Fatalf("the connection ends: %v", frame)
		}
	}
}

// TestHTTP2Floods: of requests that are taken back at once (CVE-2023-44487), whose handlers are at work still, and of headers
// without end (CVE-2023-45288) the connection ends.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(f *http2.Framer, i int) error{
		"reset": func(f *http2.Framer, i int) error {
			id := uint32(2*i + 1)
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields("/hold"), EndStream: true, EndHeaders: true}); err != nil {
				return err
			}
			return f.WriteRSTStream(id, http2.ErrCodeCancel)
		},
		"continuation": func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields("/wait"), EndStream: true})
			}
			var b bytes.Buffer
			hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: fmt.Sprint("x-", i), Value: strings.Repeat("y", 8000)})
			return f.WriteContinuation(1, false, b.Bytes())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, Settings{}, true, nil)
			_, f := wire(t, e)
			ended := false
			for i := 0; i < 5000 && !ended; i++ {
				ended = flood(f, i) != nil
			}
			for !ended { // the server may be behind with reading
				frame, err := f.ReadFrame()
				if _, bye := frame.(*http2.GoAwayFrame); bye || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					ended = true
				} else if err != nil {
					t.Fatal("5,000 of them are taken")
				}
			}
			close(e.hold)
			until(t, "the connection is gone", func() bool { open, _ := e.places.counts(); return open == 0 })
		})
	}
}

func pemOf(a *authority) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
