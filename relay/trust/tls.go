package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Why a handshake was refused, for the metric.
const (
	refusedAuthority = "other_authority"
	refusedExpired   = "expired"
	refusedIdentity  = "not_a_node"
	refusedNode      = "another_node"
	refusedOther     = "other"
)

// ErrOtherNode: the node that answered is one of the cluster, and not the one that was dialled.
var ErrOtherNode = errors.New("another node answered")

// config is what all have in common. Sessions are never resumed: connections last for hours, and each is to be checked against
// the authority of its time.
func (c *Credentials) config() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		// Without it the first 128 KiB of a connection go out in records of the size of a packet, with a system call for each.
		DynamicRecordSizingDisabled: true,
		Time:                        c.now,
		GetCertificate:              func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.current().pair, nil },
		GetClientCertificate:        func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.current().pair, nil },
		// The certificate is asked for here and verified in VerifyConnection, against the authority of that moment.
		ClientAuth: tls.RequireAnyClientCert,
	}
}

// ServerTLS is how a node listens for the others: TLS 1.3 with a node's certificate on both sides. Peer tells from the
// connection's certificate who came. Protocols are those of ALPN; none is none.
func (c *Credentials) ServerTLS(protocols ...string) *tls.Config {
	config := c.config()
	config.NextProtos = protocols
	config.ClientAuth = tls.RequestClientCert // verifyClient refuses who shows none, and counts it
	config.VerifyConnection = c.verifyClient
	return config
}

// ClientTLS is how a node dials another, by its name. Whoever answers has to be that node: a certificate of the cluster for
// another name is refused, with ErrOtherNode or an x509.HostnameError. Without a name any node of the cluster will do, for those
// of which only the address is known. Make one for each connection: it has the authority of the time of the call.
func (c *Credentials) ClientTLS(expectName string) *tls.Config {
	config := c.config()
	config.RootCAs = c.current().pool
	config.ServerName = expectName
	if expectName == "" {
		config.ServerName = clusterName
	}
	config.VerifyConnection = func(s tls.ConnectionState) error {
		id, err := IdentityOf(s.PeerCertificates[0])
		if err == nil && expectName != "" && id.Name != expectName {
			err = fmt.Errorf("%w: it is %s, not %s; check cluster.advertise of both", ErrOtherNode, id, expectName)
		}
		return c.count(err)
	}
	return config
}

// NATSTLS is for NATS between nodes, listening and dialling alike: any node of the cluster will do, and nobody else. A changed
// authority takes effect for what is dialled at the next start; a changed certificate at once.
func (c *Credentials) NATSTLS() *tls.Config {
	config := c.config()
	config.RootCAs = c.current().pool
	config.ServerName = clusterName
	// Which side this is cannot be told there. The dialling one has verified the chain already and does it once more: a node's
	// certificate is good for both.
	config.VerifyConnection = c.verifyClient
	return config
}

// verifyClient checks who dialled.
func (c *Credentials) verifyClient(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return c.count(fmt.Errorf("%w: there is none", ErrIdentity))
	}
	cert := s.PeerCertificates[0]
	if _, err := c.current().verify(cert, s.PeerCertificates[1:], x509.ExtKeyUsageClientAuth, c.now()); err != nil {
		return c.count(err)
	}
	_, err := IdentityOf(cert)
	return c.count(err)
}

// count counts a refusal and returns it.
func (c *Credentials) count(err error) error {
	if err != nil {
		c.refused.WithLabelValues(reasonOf(err)).Inc()
	}
	return err
}

// reasonOf names why a certificate was refused.
func reasonOf(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return refusedAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return refusedExpired
	case errors.Is(err, ErrIdentity):
		return refusedIdentity
	case errors.Is(err, ErrOtherNode), errors.As(err, &host):
		return refusedNode
	}
	return refusedOther
}

// Refused tells whether a dial failed because of the other side's certificate, and counts it: the reason is one of
// other_authority, expired, not_a_node, another_node, other. Of other errors it is "".
func (c *Credentials) Refused(err error) (reason string) {
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verification):
		// Found by TLS itself, which has counted nothing.
		return reasonOf(c.count(err))
	case errors.Is(err, ErrIdentity), errors.Is(err, ErrOtherNode):
		return reasonOf(err)
	}
	return ""
}
