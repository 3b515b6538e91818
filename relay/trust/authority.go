package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long certificates are valid.
const (
	// AuthorityValidity is that of a new authority.
	AuthorityValidity = 10 * 365 * 24 * time.Hour
	// NodeValidity is that of a node's certificate where nothing else is asked for.
	NodeValidity = 365 * 24 * time.Hour
	// backdate is how long before its making a certificate is valid, because clocks disagree.
	backdate = time.Hour
)

// maxHosts is the most addresses that a certificate may have.
const maxHosts = 64

// Files of an authority and of a node, in their folders.
const (
	AuthorityFile    = "ca.pem"
	AuthorityKeyFile = "ca.key"
	CertificateFile  = "node.pem"
	KeyFile          = "node.key"
)

// Authority issues the certificates of a cluster's nodes.
//
// Its keys and theirs are ECDSA with P-256. Go's TLS takes Ed25519 as well; P-256 is also taken by everything an operator may
// want to use in Go's place (hardware modules and key services of clouds, meshes, older OpenSSL and browsers), and a handshake
// costs about the same.
type Authority struct {
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

// Pair is a certificate and its private key, PEM.
type Pair struct {
	Certificate, Key []byte
}

// NewAuthority makes an authority that is valid from now on for a time. Two authorities never have the same name, so that logs
// tell them apart.
func NewAuthority(now time.Time, validity time.Duration) (*Authority, error) {
	if validity <= 0 {
		return nil, errors.New("an authority has to be valid for some time")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var number [4]byte
	if _, err := rand.Read(number[:]); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Pushcart cluster " + hex.EncodeToString(number[:])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it issues to nodes and to nobody who issues in turn
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, der: der, key: key}, nil
}

// LoadAuthority reads an authority from its folder.
func LoadAuthority(dir string) (*Authority, error) {
	certs, err := readCertificates(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, AuthorityKeyFile)
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: the key is of another kind than ECDSA", file)
	}
	for _, c := range certs {
		if ec.PublicKey.Equal(c.PublicKey) {
			return &Authority{cert: c, der: c.Raw, key: ec}, nil
		}
	}
	return nil, fmt.Errorf("%s has no certificate that belongs to the key %s: one of the two files is another cluster's", filepath.Join(dir, AuthorityFile), file)
}

// Name of the authority.
func (a *Authority) Name() string { return a.cert.Subject.CommonName }

// NotAfter is until when the authority is valid.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Certificate is the authority's, PEM: each node needs it.
func (a *Authority) Certificate() []byte { return encodeCertificate(a.der) }

// Save writes the authority into a folder, which is made when it is not there. One that is there already stays as it is: the
// error then is fs.ErrExist.
func (a *Authority) Save(dir string) error {
	key, err := encodeKey(a.key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key decides who was first; without it the certificate is worth nothing.
	if err := createFile(filepath.Join(dir, AuthorityKeyFile), key); err != nil {
		return err
	}
	file := filepath.Join(dir, AuthorityFile)
	if err := createFile(file, a.Certificate()); err != nil {
		os.Remove(filepath.Join(dir, AuthorityKeyFile)) // a key that nobody has used
		return err
	}
	return nil
}

// Issue makes a node's certificate and key. Hosts are further DNS names and IP addresses of the node, for programs that check
// those; nodes check the name alone. A validity of 0 is NodeValidity. A certificate does not outlast the authority.
func (a *Authority) Issue(name, region string, hosts []string, validity time.Duration, now time.Time) (Pair, error) {
	id := Identity{Name: name, Region: region}
	if err := id.valid(); err != nil {
		return Pair{}, err
	}
	if validity == 0 {
		validity = NodeValidity
	}
	until := now.Add(validity)
	switch {
	case validity < 0:
		return Pair{}, errors.New("a certificate has to be valid for some time")
	case !now.Before(a.cert.NotAfter):
		return Pair{}, fmt.Errorf("the authority expired on %s: make a new one with \"pushcart ca init\" and issue all nodes' certificates anew", date(a.cert.NotAfter))
	case until.After(a.cert.NotAfter):
		until = a.cert.NotAfter
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{name, clusterName},
		URIs:                  []*url.URL{id.uri()},
	}
	if err := addHosts(template, hosts); err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: encodeCertificate(der), Key: private}, nil
}

// addHosts puts addresses into a certificate.
func addHosts(c *x509.Certificate, hosts []string) error {
	if len(hosts) > maxHosts {
		return fmt.Errorf("%d hosts are too many; at most %d fit into a certificate", len(hosts), maxHosts)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
			continue
		}
		if !validDNS(host) {
			return fmt.Errorf("the host %.80q is neither an IP address nor a DNS name: write it without port and scheme", host)
		}
		c.DNSNames = append(c.DNSNames, host)
	}
	return nil
}

// validDNS tells whether a DNS name is written as such (RFC 1123 2.1), in ASCII.
func validDNS(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if ValidName(strings.ToLower(label)) != nil {
			return false
		}
	}
	return true
}

// date writes a day for people.
func date(t time.Time) string { return t.UTC().Format("2 January 2006") }
