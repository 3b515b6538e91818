package directory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/relay"
)

// quick is the pace of tests. NATS counts times to live in whole seconds, and its elections take four to nine. What is a limit is
// far above what is usual, since a machine that does much else keeps a goroutine waiting for a second and more.
var quick = pace{
	beat: 200 * time.Millisecond, node: 3 * time.Second, sick: 2 * time.Second,
	entry: 6 * time.Second, renew: time.Second, grave: 30 * time.Second,
	away: 500 * time.Millisecond, claim: 3 * time.Second, retry: 150 * time.Millisecond,
	check: 500 * time.Millisecond, list: 2 * time.Second, grace: 50 * time.Millisecond, cards: 50 * time.Millisecond, silence: 5 * time.Second, keep: 20 * time.Second,
}

// patience is for what has to happen at some time. It is long, since it costs nothing where all is well.
const patience = 90 * time.Second

// site is a node of a test.
type site struct {
	*Directory
	t    testing.TB
	opts Options
	reg  *prometheus.Registry
	stop func()

	mu   sync.Mutex // guards lost
	lost map[string]int64
}

// up starts a node, which is stopped with the test.
func up(t testing.TB, o Options) *site {
	t.Helper()
	s := &site{t: t, opts: o, lost: map[string]int64{}}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts the node, again after a stop.
func (s *site) start() {
	s.t.Helper()
	o := s.opts
	if o.pace == (pace{}) {
		o.pace = quick
	}
	if testing.Verbose() && o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(testWriter{s.t}, &slog.HandlerOptions{Level: logLevel()})).With("at", o.Self.Name)
	}
	s.reg = prometheus.NewRegistry()
	o.Registerer = s.reg
	o.Superseded = func(stream string, gen int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost[stream] = gen
	}
	d, err := Open(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Directory = d
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	s.stop = func() { cancel(); <-done; d.Close() }
}

// kill ends a node without a word to the others, as far as that can be done within one process.
func (s *site) kill() {
	s.server.Shutdown()
	s.stop()
}

func (s *site) supersededBy(stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[stream]
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

// ports counts up from a place that differs between test processes, below those that systems give to outgoing connections: one of
// these could take a port before its server listens there.
var ports atomic.Uint32

func init() { ports.Store(uint32(os.Getpid())) }

// freePorts returns addresses on loopback that were free a moment ago.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var list []string
	for tries := 0; len(list) < n; tries++ {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+ports.Add(1)*7%20000)
		l, err := net.Listen("tcp", address)
		if err != nil {
			if tries > 1000 {
				t.Fatal(err)
			}
			continue
		}
		_ = l.Close()
		list = append(list, address)
	}
	return list
}

func self(i int) relay.Peer {
	regions := []string{"eu", "us", "ap"}
	return relay.Peer{Name: "node-" + strconv.Itoa(i), Region: regions[i%3], Address: fmt.Sprintf("127.0.0.1:%d", 9000+i), Version: "test",
		Started: time.Unix(1700000000, 0).UTC(), Keys: `{"keys":[]}`}
}

// cores starts as many core nodes, and waits until the directory is there.
func cores(t testing.TB, n int, tweak func(i int, o *Options)) []*site {
	t.Helper()
	routes := freePorts(t, n)
	sites := make([]*site, n)
	var wg sync.WaitGroup
	for i := range n {
		o := Options{Self: self(i), Mode: Core, Dir: t.TempDir()}
		if n > 1 {
			o.Cluster, o.Cores = routes[i], routes
		}
		if tweak != nil {
			tweak(i, &o)
		}
		wg.Go(func() { sites[i] = up(t, o) })
	}
	wg.Wait()
	for _, s := range sites {
		await(t, patience, s.opts.Self.Name+" has the directory", func() bool { return ready(s, n-1) })
	}
	return sites
}

func ready(s *site, peers int) bool {
	healthy, _ := s.Healthy()
	s.Directory.mu.Lock()
	defer s.Directory.mu.Unlock()
	alive := 0
	for _, n := range s.nodes {
		if !n.dead {
			alive++
		}
	}
	return healthy && s.synced && alive >= peers
}

// await waits for a condition.
func await(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(within)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func claimOf(stream, credential string) relay.Claim {
	return relay.Claim{Stream: stream, Credential: credential}
}

// claimSoon claims again and again while the directory cannot be reached, as it may be when a busy machine has lost its leader.
func (s *site) claimSoon(c relay.Claim) (e relay.Entry, err error) {
	for end := time.Now().Add(patience); ; {
		if e, err = s.Claim(context.Background(), c); !errors.Is(err, relay.ErrUnreachable) || time.Now().After(end) {
			return e, err
		}
	}
}

// must claims and fails the test when that is refused.
func (s *site) must(c relay.Claim) relay.Entry {
	s.t.Helper()
	e, err := s.claimSoon(c)
	if err != nil {
		s.t.Fatalf("%s claims %s: %v", s.opts.Self.Name, c.Stream, err)
	}
	return e
}

// sees waits until a node knows that a stream has this generation; 0 is no entry.
func (s *site) sees(stream string, gen int64, within time.Duration) {
	s.t.Helper()
	await(s.t, within, fmt.Sprintf("%s sees %s at %d", s.opts.Self.Name, stream, gen), func() bool {
		e, ok := s.Lookup(stream)
		return ok == (gen != 0) && e.Gen == gen
	})
}

// cable is a TCP connection between two places that can be cut: what is sent stays where it is, and nobody is told.
type cable struct {
	address string
	listen  net.Listener

	mu      sync.Mutex // guards what follows
	whole   chan struct{}
	conns   []net.Conn
	severed bool
}

func lay(t testing.TB, target string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: l.Addr().String(), listen: l, whole: make(chan struct{})}
	close(c.whole)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			if c.severed {
				_, _ = near.Close(), far.Close()
			}
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			wg.Go(func() { c.carry(far, near) })
			wg.Go(func() { c.carry(near, far) })
		}
	})
	t.Cleanup(func() {
		c.mend()
		c.sever()
		wg.Wait()
	})
	return c
}

func (c *cable) carry(to, from net.Conn) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		c.mu.Lock()
		whole := c.whole
		c.mu.Unlock()
		<-whole
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = make(chan struct{})
}

// sever ends all connections for good, and both sides notice.
func (c *cable) sever() {
	_ = c.listen.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.severed = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.whole:
	default:
		close(c.whole)
	}
}

// authority issues certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

// config is a node's TLS configuration, as package trust makes it: for both roles, by the authority and not by the host's name.
func (a *authority) config(name string) *tls.Config {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	pair := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair, nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil },
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return io.ErrUnexpectedEOF
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		},
	}
}

// valueOf reads a counter or a gauge.
func valueOf(m prometheus.Metric) float64 {
	var v dto.Metric
	if m.Write(&v) != nil {
		return -1
	}
	if v.Gauge != nil {
		return v.Gauge.GetValue()
	}
	return v.Counter.GetValue()
}

func logLevel() slog.Level {
	if os.Getenv("DIRECTORY_DEBUG") != "" {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
