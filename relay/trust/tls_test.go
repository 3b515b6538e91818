package trust

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMutual: two nodes of one cluster know each other by name and region.
func TestMutual(t *testing.T) {
	t.Parallel()
	a := authority(t)
	eu, us := open(t, issue(t, a, "eu-1", "eu"), Options{}), open(t, issue(t, a, "us-1", "us"), Options{})
	for name, server := range map[string]*tls.Config{"relay": eu.ServerTLS("http/1.1"), "nats": eu.NATSTLS()} {
		client := us.ClientTLS("eu-1")
		if name == "nats" {
			client = us.NATSTLS()
		}
		client.NextProtos = []string{"http/1.1"}
		seen, serverErr, clientErr := shake(t, server, client)
		if serverErr != nil || clientErr != nil {
			t.Fatalf("%s: %v, %v", name, serverErr, clientErr)
		}
		node, region, err := Peer(seen.PeerCertificates[0])
		if node != "us-1" || region != "us" || err != nil {
			t.Errorf("%s: the server sees %q in %q, %v", name, node, region, err)
		}
		if seen.Version != tls.VersionTLS13 || seen.DidResume {
			t.Errorf("%s: version %x, resumed %v", name, seen.Version, seen.DidResume)
		}
		if name == "relay" && seen.NegotiatedProtocol != "http/1.1" {
			t.Errorf("the protocol is %q", seen.NegotiatedProtocol)
		}
	}
}

// TestRefused: who is not a node of the cluster, or not the node meant, is refused by the side that finds it out, and counted.
func TestRefused(t *testing.T) {
	t.Parallel()
	a, other := authority(t), authority(t)
	reg := prometheus.NewPedanticRegistry()
	eu := open(t, issue(t, a, "eu-1", "eu"), Options{Registerer: reg})
	us := open(t, issue(t, a, "us-1", "us"), Options{})
	stranger := open(t, issue(t, other, "us-1", "us"), Options{})
	// Has the other node's name among its hosts: TLS alone would take it for that node.
	posing := open(t, issue(t, a, "us-2", "us", "eu-1"), Options{})

	older := us.ClientTLS("eu-1")
	older.MinVersion, older.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	nobody := us.ClientTLS("eu-1")
	nobody.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	// A certificate of the right authority that is no node's.
	plain := us.ClientTLS("eu-1")
	plain.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return noNode(t, a), nil }

	for _, tt := range []struct {
		name           string
		server, client *tls.Config
		counted        string // by eu-1, which listens
	}{
		{"client of another authority", eu.ServerTLS(), trusting(stranger, a).ClientTLS("eu-1"), refusedAuthority},
		{"client of another authority, NATS", eu.NATSTLS(), trusting(stranger, a).NATSTLS(), refusedAuthority},
		{"client that is no node", eu.ServerTLS(), plain, refusedIdentity},
		{"client without certificate", eu.ServerTLS(), nobody, refusedIdentity},
		{"TLS 1.2", eu.ServerTLS(), older, ""},
	} {
		before := 0.0
		if tt.counted != "" {
			before = metric(t, reg, "pushcart_relay_handshakes_refused_total", tt.counted)
		}
		_, serverErr, clientErr := shake(t, tt.server, tt.client)
		if serverErr == nil || clientErr == nil {
			t.Errorf("%s: the server says %v, the client %v", tt.name, serverErr, clientErr)
		}
		if tt.counted != "" && metric(t, reg, "pushcart_relay_handshakes_refused_total", tt.counted) != before+1 {
			t.Errorf("%s: not counted as %s (%v)", tt.name, tt.counted, serverErr)
		}
	}
	for _, tt := range []struct {
		name    string
		server  *tls.Config
		dial    string
		counted string // by eu-1, which dials
		is      func(error) bool
	}{
		{"server of another authority", stranger.ServerTLS(), "us-1", refusedAuthority, as[x509.UnknownAuthorityError]},
		{"server of another name", us.ServerTLS(), "us-3", refusedNode, as[x509.HostnameError]},
		{"server that has the name beside its own", posing.ServerTLS(), "eu-1", refusedNode, func(err error) bool { return errors.Is(err, ErrOtherNode) }},
	} {
		before := metric(t, reg, "pushcart_relay_handshakes_refused_total", tt.counted)
		_, _, err := shake(t, tt.server, eu.ClientTLS(tt.dial))
		if err == nil || !tt.is(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := eu.Refused(err); got != tt.counted {
			t.Errorf("%s: refused as %q", tt.name, got)
		}
		if metric(t, reg, "pushcart_relay_handshakes_refused_total", tt.counted) != before+1 {
			t.Errorf("%s: not counted once", tt.name)
		}
	}
	// Without a name any node will do, and still nobody else.
	if _, serverErr, clientErr := shake(t, us.ServerTLS(), eu.ClientTLS("")); serverErr != nil || clientErr != nil {
		t.Errorf("any node: %v, %v", serverErr, clientErr)
	}
	if _, _, err := shake(t, stranger.ServerTLS(), eu.ClientTLS("")); eu.Refused(err) != refusedAuthority {
		t.Errorf("any node, of another authority: %v", err)
	}
	if got := eu.Refused(errors.New("connection refused")); got != "" {
		t.Errorf("an error of the network is %q", got)
	}
}

// TestExpired: a certificate that has run out is refused.
func TestExpired(t *testing.T) {
	t.Parallel()
	a := authority(t)
	reg := prometheus.NewPedanticRegistry()
	later := func() time.Time { return time.Now().Add(48 * time.Hour) }
	dir := t.TempDir()
	save(t, dir, a, "us-1", "us", 24*time.Hour)
	us := open(t, dir, Options{})
	eu := open(t, issue(t, a, "eu-1", "eu"), Options{Now: later, Registerer: reg})
	if _, serverErr, clientErr := shake(t, eu.ServerTLS(), us.ClientTLS("eu-1")); serverErr == nil || clientErr == nil {
		t.Errorf("an expired client: %v, %v", serverErr, clientErr)
	}
	if n := metric(t, reg, "pushcart_relay_handshakes_refused_total", refusedExpired); n != 1 {
		t.Errorf("counted %v times", n)
	}
	if _, _, err := shake(t, us.ServerTLS(), eu.ClientTLS("us-1")); eu.Refused(err) != refusedExpired {
		t.Errorf("an expired server: %v", err)
	}
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// trusting is a node of another authority that would take this one's nodes for its own, as an attacker's would.
func trusting(c *Credentials, a *Authority) *Credentials {
	l := *c.current()
	l.pool = x509.NewCertPool()
	l.pool.AddCert(a.cert)
	return &Credentials{now: c.now, refused: c.refused, dir: c.dir, loaded: &l, checked: time.Now().Add(time.Hour), log: c.log, stamp: c.stamp}
}

// noNode is a certificate of the authority without the URI of a node.
func noNode(t *testing.T, a *Authority) *tls.Certificate {
	t.Helper()
	pair, err := a.Issue("service", "eu", nil, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	template := *made.Leaf
	template.URIs = nil
	template.SerialNumber = nil
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, made.Leaf.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: made.PrivateKey}
}
