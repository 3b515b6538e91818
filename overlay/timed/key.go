package timed

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// maxPEM bounds the file of a private key, in bytes; one is about 120.
const maxPEM = 16 << 10

// pemType is the label of PKCS#8 (RFC 5958, RFC 7468 10).
const pemType = "PRIVATE KEY"

// Key is an Ed25519 key that signs states. It is immutable and may be used from any goroutine.
type Key struct {
	private ed25519.PrivateKey
	id      string
	signer  jose.Signer
}

// NewKey makes a key.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	return newKey(private)
}

// ParseKey reads a key in PKCS#8 PEM, as PEM writes it and "openssl genpkey -algorithm ed25519" does. The error does not
// repeat anything of the key.
func ParseKey(data []byte) (*Key, error) {
	if len(data) > maxPEM {
		return nil, fmt.Errorf("the signing key has %d bytes, more than any key: give a PEM file with one Ed25519 key", len(data))
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the signing key is not PEM: give a file that begins with \"-----BEGIN PRIVATE KEY-----\"")
	}
	if block.Type != pemType || len(block.Headers) > 0 {
		return nil, fmt.Errorf("the signing key is %.40q in PEM: give an unencrypted %q (PKCS#8) without headers", block.Type, pemType)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("something follows the signing key in its PEM file: leave one key and nothing else in it")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the signing key is not PKCS#8: make one with \"openssl genpkey -algorithm ed25519\"")
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the signing key is a %T: make an Ed25519 key with \"openssl genpkey -algorithm ed25519\"", parsed)
	}
	return newKey(private)
}

func newKey(private ed25519.PrivateKey) (*Key, error) {
	id, err := thumbprint(private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		(&jose.SignerOptions{}).WithType(tokenType))
	if err != nil {
		return nil, fmt.Errorf("prepare the signing key: %w", err)
	}
	return &Key{private, id, signer}, nil
}

// PEM is the private key in PKCS#8 PEM, for a file that only the node may read.
func (k *Key) PEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		panic("an Ed25519 key has no PKCS#8 form: " + err.Error()) // it always has one
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

// ID is the key's identifier in tokens and key sets: its thumbprint (RFC 7638, RFC 8037 2), 43 characters.
func (k *Key) ID() string { return k.id }

// Public is what checks the key's signatures.
func (k *Key) Public() PublicKeys {
	return PublicKeys{list: []publicKey{{k.id, k.private.Public().(ed25519.PublicKey)}}}
}

// thumbprint is the JWK thumbprint of a public key with SHA-256 (RFC 7638 3, RFC 8037 2).
func thumbprint(public ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("take the key's thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
