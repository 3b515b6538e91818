package timed

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// MaxToken is how many bytes a token may have: it is sent with every segment, and with every change to every viewer.
const MaxToken = 1024

// tokenType tells what the token is, so that one made for something else is never taken for a state (RFC 8725 3.11).
const tokenType = "pushcart-state+jwt"

// ErrTooLarge is wrapped by the error of Sign when the token would have more than MaxToken bytes: fewer slots, or shorter
// names, are needed.
var ErrTooLarge = errors.New("the state is too large for the media")

// Sign makes the token of a state: a JWS in compact serialization (RFC 7515 7.1). The same state gives the same token.
func (k *Key) Sign(s State) (string, error) {
	if err := s.validate(); err != nil {
		return "", fmt.Errorf("the state cannot be signed: %w", err)
	}
	signed, err := k.signer.Sign(appendState(nil, &s))
	if err != nil {
		return "", fmt.Errorf("sign the state of %s: %w", s.Stream, err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("write the signed state of %s: %w", s.Stream, err)
	}
	if len(token) > MaxToken {
		return "", fmt.Errorf("%w: signed it has %d bytes, %d are allowed; show fewer cards at once or use shorter names", ErrTooLarge, len(token), MaxToken)
	}
	return token, nil
}

// Verify checks a token and returns its state. Only what Sign makes is accepted: EdDSA, our type, no other header, a key of
// p, canonical encoding, MaxToken bytes at most.
func (p PublicKeys) Verify(token string) (State, error) {
	s, err := p.verify(token)
	if err != nil {
		return State{}, fmt.Errorf("the signed state is refused: %w", err)
	}
	return s, nil
}

func (p PublicKeys) verify(token string) (State, error) {
	header, err := checkForm(token)
	if err != nil {
		return State{}, err
	}
	id, err := keyID(header)
	if err != nil {
		return State{}, fmt.Errorf("its header: %w", err)
	}
	public := p.find(id)
	if public == nil {
		return State{}, fmt.Errorf("its key %.60q is not one of the %d known: fetch the key set again, or do not trust it", id, len(p.list))
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return State{}, fmt.Errorf("it is no JSON Web Signature: %w", err)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		return State{}, fmt.Errorf("its signature does not belong to what it says: it was altered or made by somebody else")
	}
	s, err := parseState(payload)
	if err != nil {
		return State{}, fmt.Errorf("its payload: %w", err)
	}
	return s, nil
}

// checkForm looks at the characters of a token and returns its header. A decoder that skips line breaks, or the bits that the
// last character has too many, would let many tokens stand for one.
func checkForm(token string) (header []byte, err error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("it has %d bytes, %d are allowed", len(token), MaxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("it has %d parts, a signed token has three", len(parts))
	}
	for i, part := range parts {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodedLen(len(data)) != len(part) {
			return nil, fmt.Errorf("part %d is not base64url without padding", i+1)
		}
		if i == 0 {
			header = data
		}
	}
	return header, nil
}

// keyID reads the protected header, which must be byte for byte what Sign writes, and returns the key's identifier.
func keyID(header []byte) (string, error) {
	if err := checkJSON(header, headerDepth); err != nil {
		return "", err
	}
	var h map[string]json.RawMessage
	if err := json.Unmarshal(header, &h); err != nil {
		return "", fmt.Errorf("it is not a JSON object: %w", err)
	}
	for _, known := range []struct{ name, want string }{{"alg", string(jose.EdDSA)}, {"typ", tokenType}} {
		if got := string(h[known.name]); got != `"`+known.want+`"` {
			return "", fmt.Errorf("its %q is %.40q, only %q is accepted", known.name, got, known.want)
		}
	}
	var id string
	if err := json.Unmarshal(h["kid"], &id); err != nil || id == "" {
		return "", errors.New("it has no \"kid\" that names a key")
	}
	return id, canonical(header, appendHeader(nil, id))
}

// appendHeader appends the protected header for a key whose identifier is base64url.
func appendHeader(b []byte, id string) []byte {
	b = append(append(b, `{"alg":"`...), jose.EdDSA...)
	b = append(append(b, `","kid":"`...), id...)
	b = append(append(b, `","typ":"`...), tokenType...)
	return append(b, `"}`...)
}
