package authority

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Bounds of a key set.
const (
	mostKeySet = 256 << 10 // bytes
	mostKeys   = 64
	mostKeyID  = 256 // bytes
	// leastRSA and mostRSA are the bits of a modulus (RFC 7518 3.3 asks for 2048).
	leastRSA = 2048
	mostRSA  = 8192
)

// readKeySet reads a JWK set (RFC 7517 5). Keys that tokens cannot be checked by, such as those for encryption, of unknown types, or
// secrets, are left out, as that says. A set without any other is an error.
func readKeySet(b []byte) ([]jose.JSONWebKey, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, errors.New(`it is no JSON Web Key Set: an object with a list of "keys"`)
	}
	if len(raw.Keys) > mostKeys {
		return nil, errors.New("it has more than 64 keys")
	}
	var keys []jose.JSONWebKey
	for _, one := range raw.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(one) == nil && usable(&k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no public key by which a token could be checked: RSA of 2048 bits or more, EC or Ed25519")
	}
	return keys, nil
}

func usable(k *jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" || len(k.KeyID) > mostKeyID {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= leastRSA && key.N.BitLen() <= mostRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
