package timed

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of a key set.
const (
	maxJWKS = 64 << 10 // bytes
	maxKeys = 256
)

// PublicKeys are keys that check signatures. The zero value has none, and nothing verifies. It is immutable and may be used
// from any goroutine.
type PublicKeys struct {
	list []publicKey // in order of the set, each identifier once
}

type publicKey struct {
	id  string // thumbprint
	key ed25519.PublicKey
}

// Len is how many keys there are.
func (p PublicKeys) Len() int { return len(p.list) }

// find returns nil when there is no such key.
func (p PublicKeys) find(id string) ed25519.PublicKey {
	for _, k := range p.list {
		if k.id == id {
			return k.key
		}
	}
	return nil
}

// JWKS is the keys as a JWK set (RFC 7517 5, RFC 8037 2).
func (p PublicKeys) JWKS() []byte {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range p.list {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key, KeyID: k.id, Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	data, err := json.Marshal(set)
	if err != nil {
		panic("an Ed25519 key has no JWK form: " + err.Error()) // it always has one
	}
	return data
}

// ParseJWKS reads a JWK set. Of its keys those count that sign with Ed25519 and are called by their thumbprint; others are
// for other uses and are passed over, and so are members that we do not know (RFC 7517 4, 5). A set is refused that has a
// private or secret key, more than 256 keys, more than 64 KB, a key twice in one object, or no key that counts.
func ParseJWKS(data []byte) (PublicKeys, error) {
	p, err := parseJWKS(data)
	if err != nil {
		return PublicKeys{}, fmt.Errorf("the key set cannot be used: %w", err)
	}
	return p, nil
}

func parseJWKS(data []byte) (p PublicKeys, err error) {
	if len(data) > maxJWKS {
		return p, fmt.Errorf("it has %d bytes, more than %d", len(data), maxJWKS)
	}
	if err := checkJSON(data, jwksDepth); err != nil {
		return p, err
	}
	var top map[string]json.RawMessage // a struct would take "Keys" for "keys"
	if err := json.Unmarshal(data, &top); err != nil {
		return p, fmt.Errorf("it is not a JWK set: %w", err)
	}
	var keys []map[string]json.RawMessage
	if err := json.Unmarshal(top["keys"], &keys); err != nil || keys == nil {
		return p, errors.New("it has no array \"keys\" of objects")
	}
	if len(keys) > maxKeys {
		return p, fmt.Errorf("it has %d keys, more than %d", len(keys), maxKeys)
	}
	for i, fields := range keys {
		for _, secret := range []string{"d", "k"} {
			if _, ok := fields[secret]; ok {
				return p, fmt.Errorf("keys[%d] has the member %q: it is a private or secret key, which whoever sees it can sign with; publish the public half only", i, secret)
			}
		}
		if k, ok := readJWK(fields); ok && p.find(k.id) == nil {
			p.list = append(p.list, k)
		}
	}
	if len(p.list) == 0 {
		return p, errors.New("it has no Ed25519 signing key (\"kty\":\"OKP\", \"crv\":\"Ed25519\") whose \"kid\" is its thumbprint")
	}
	return p, nil
}

// readJWK reads one key; false when it is not one of ours.
func readJWK(fields map[string]json.RawMessage) (publicKey, bool) {
	text := func(name string) (s string, present bool) {
		raw, present := fields[name]
		if json.Unmarshal(raw, &s) != nil {
			s = ""
		}
		return s, present
	}
	for name, want := range map[string]string{"kty": "OKP", "crv": "Ed25519"} {
		if got, _ := text(name); got != want {
			return publicKey{}, false
		}
	}
	for name, want := range map[string]string{"use": "sig", "alg": string(jose.EdDSA)} {
		if got, present := text(name); present && got != want {
			return publicKey{}, false
		}
	}
	x, _ := text("x")
	public, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(public) != ed25519.PublicKeySize || len(x) != base64.RawURLEncoding.EncodedLen(len(public)) {
		return publicKey{}, false
	}
	id, err := thumbprint(public)
	if kid, _ := text("kid"); err != nil || kid != id {
		return publicKey{}, false
	}
	return publicKey{id, public}, true
}
