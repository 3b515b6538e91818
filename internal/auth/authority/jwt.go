package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"pushcart/internal/auth"
)

// algorithms are those by which a token may be signed (RFC 7518 3.1, RFC 8037): public keys only. A key that everybody may fetch must
// never be taken for the secret of an HMAC.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// mostToken is the length of the longest token, in bytes.
const mostToken = 8 << 10

// header is what is looked at of a token's header (RFC 7515 4.1). Keys that it brings, or names by a URL, are never used.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// isToken tells whether a secret is a token: three parts of base64url, of which the first is a header (RFC 7515 7.1).
func isToken(secret string) bool {
	_, ok := readHeader(secret)
	return ok
}

func readHeader(token string) (h header, ok bool) {
	if strings.Count(token, ".") != 2 {
		return h, false
	}
	first, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if !base64url(payload) || !base64url(signature) {
		return h, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &h) != nil {
		return h, false
	}
	return h, h.Algorithm != ""
}

func base64url(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// errNoKeys is a token that cannot be checked, since there are no keys yet.
var errNoKeys = errors.New("the keys that tokens are signed by could not be fetched yet")

// byToken decides an attempt with a token.
func (a *Authority) byToken(ctx context.Context, set JWT, token, stream string) (auth.Grant, error) {
	c, err := a.verify(ctx, set, token)
	if errors.Is(err, errNoKeys) {
		return auth.Grant{}, denyDown()
	}
	if err != nil {
		return auth.Grant{}, badToken(err)
	}
	if err := c.check(set, a.opt.Now()); err != nil {
		return auth.Grant{}, badToken(err)
	}
	name, err := c.name(stream)
	if err != nil {
		return auth.Grant{}, badToken(err)
	}
	if err := auth.ValidName(name); err != nil {
		return auth.Grant{}, badName(name, err)
	}
	return c.grant(name, a.opt.Pepper), nil
}

// verify checks a token's signature and reads its claims. Its error is errNoKeys, or completes the sentence "the token cannot be used:
// ...".
func (a *Authority) verify(ctx context.Context, set JWT, token string) (claims, error) {
	if len(token) > mostToken {
		return claims{}, errors.New("it is too long")
	}
	h, _ := readHeader(token)
	if !slices.Contains(algorithms, jose.SignatureAlgorithm(h.Algorithm)) {
		return claims{}, errors.New("it is not signed by an algorithm that is taken: RS, PS, ES or EdDSA")
	}
	switch strings.ToLower(strings.TrimPrefix(strings.ToLower(h.Type), "application/")) {
	case "", "jwt", "at+jwt": // RFC 8725 3.11: a token of another kind is none
	default:
		return claims{}, errors.New(`its "typ" is neither JWT nor at+jwt`)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.Algorithm)})
	if err != nil {
		return claims{}, errors.New("it cannot be read")
	}
	for _, again := range []bool{false, true} {
		keys, named, err := a.jwks.find(ctx, set, h, again)
		if err != nil {
			return claims{}, err
		}
		for _, k := range keys {
			if payload, err := signed.Verify(k.Key); err == nil {
				return readClaims(payload)
			}
		}
		if named {
			break // a newer set has no other key of that name
		}
	}
	return claims{}, errors.New("its signature is wrong")
}

// fits tells whether a key is one for an algorithm.
func fits(k *jose.JSONWebKey, algorithm string) bool {
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: string(jose.ES256), 384: string(jose.ES384), 521: string(jose.ES512)}[key.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}
