package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
)

// scheme of the URI that says who a node is (RFC 5280 4.2.1.6, uniformResourceIdentifier).
const scheme = "pushcart"

// clusterName is a DNS name that every node's certificate has beside its own. NATS dials nodes by addresses of all kinds, and
// asks for this name: any node of the cluster will do.
const clusterName = "cluster.pushcart.internal"

// maxName is the longest name of a node or region: that of a DNS label (RFC 1035 2.3.4).
const maxName = 63

// Identity is who a node is.
type Identity struct {
	// Name of the node, unique in the cluster.
	Name string
	// Region that the node stands in.
	Region string
}

// String writes "NAME in REGION".
func (id Identity) String() string { return id.Name + " in " + id.Region }

// uri is the identity as certificates have it.
func (id Identity) uri() *url.URL {
	return &url.URL{Scheme: scheme, Host: id.Name, RawQuery: "region=" + id.Region}
}

// ValidName tells whether a node or a region may have this name: 1 to 63 of the letters a to z, digits and "-", which neither
// begins nor ends it. The error says what is wrong, without naming the setting.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty; write 1 to 63 of the letters a to z, digits and \"-\"")
	case len(name) > maxName:
		return fmt.Errorf("it is %d characters long; at most %d are allowed", len(name), maxName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("it has a %q; only the letters a to z, digits and \"-\" are allowed", rune(c))
		}
	}
	if name[0] == '-' || name[len(name)-1] == '-' {
		return errors.New("it begins or ends with \"-\"")
	}
	return nil
}

// valid tells what is wrong with an identity.
func (id Identity) valid() error {
	if err := ValidName(id.Name); err != nil {
		return fmt.Errorf("the node's name %.80q cannot be used: %w", id.Name, err)
	}
	if err := ValidName(id.Region); err != nil {
		return fmt.Errorf("the region %.80q cannot be used: %w", id.Region, err)
	}
	return nil
}

// ErrIdentity is that a certificate does not say which node it is of, or not in the one way that is allowed.
var ErrIdentity = errors.New("the certificate is not that of a Pushcart node")

// IdentityOf reads who a certificate is of. It does not check the certificate: TLS with ServerTLS or ClientTLS has done that
// for a peer's. The error is ErrIdentity.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	var found *url.URL
	for _, u := range cert.URIs {
		if u.Scheme != scheme {
			continue // of another system that uses the same certificate
		}
		if found != nil {
			return Identity{}, fmt.Errorf("%w: it has two names", ErrIdentity)
		}
		found = u
	}
	if found == nil {
		return Identity{}, fmt.Errorf("%w: it has no URI %s://NAME?region=REGION; issue one with: pushcart ca issue", ErrIdentity, scheme)
	}
	id := Identity{Name: found.Host, Region: found.Query().Get("region")}
	if err := id.valid(); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	// What is not exactly as it would be written here may be read in two ways.
	if found.String() != id.uri().String() {
		return Identity{}, fmt.Errorf("%w: its URI has more to it than %s", ErrIdentity, id.uri())
	}
	return id, nil
}

// Peer is IdentityOf in the form that the relay's server takes.
func Peer(cert *x509.Certificate) (name, region string, err error) {
	id, err := IdentityOf(cert)
	return id.Name, id.Region, err
}
