package playback

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Bounds of a secret's length in bytes. Whoever has a signed address can try secrets on it, as many as a machine does in a second.
const (
	minSecret = 16
	maxSecret = 256
)

// Key signs addresses.
type Key struct {
	// ID names it in the tokens that it signed: 1 to 16 letters, digits, "-" and "_".
	ID string
	// Secret of 16 to 256 bytes.
	Secret string
}

// Keys are those in force: the first signs, all are good. A nil *Keys, and one of none, signs nothing and verifies nothing. It does
// not change, and is for any goroutine.
type Keys struct{ all []Key }

// ErrNoKeys is what signing without keys comes to.
var ErrNoKeys = errors.New("there is no key to sign with: set playback.keys")

// NewKeys makes a set. Its error names the entry, and never has a secret in it.
func NewKeys(keys []Key) (*Keys, error) {
	k := &Keys{}
	for i, key := range keys {
		switch {
		case !validKeyID(key.ID):
			return nil, fmt.Errorf("playback.keys[%d].id: %.40q cannot be used: 1 to %d letters, digits, - and _", i+1, key.ID, maxKeyID)
		case len(key.Secret) < minSecret || len(key.Secret) > maxSecret:
			return nil, fmt.Errorf("playback.keys[%d].secret: has %d characters: it needs %d to %d; a good one: openssl rand -hex 32",
				i+1, len(key.Secret), minSecret, maxSecret)
		case k.find(key.ID) != nil:
			return nil, fmt.Errorf("playback.keys[%d].id: another key has the id %q already", i+1, key.ID)
		}
		k.all = append(k.all, key)
	}
	return k, nil
}

// Empty tells that there are none.
func (k *Keys) Empty() bool { return k == nil || len(k.all) == 0 }

// find returns the key of an id; nil when there is none.
func (k *Keys) find(id string) *Key {
	for i := range k.all {
		if k.all[i].ID == id {
			return &k.all[i]
		}
	}
	return nil
}

// Sign returns a token's text. Its error is ErrNoKeys, or says what the token must not have.
func (k *Keys) Sign(t Token) (string, error) {
	if k.Empty() {
		return "", ErrNoKeys
	}
	if err := t.valid(); err != nil {
		return "", err
	}
	key := &k.all[0]
	head := t.head(key.ID)
	text := head + "." + key.signature(head)
	if len(text) > maxToken {
		return "", fmt.Errorf("the token would have %d characters: name fewer countries", len(text)) // not reached while the bounds of the fields add up to less
	}
	return text, nil
}

// signature of a token's text up to the full stop in front of it.
func (k *Key) signature(head string) string {
	m := hmac.New(sha256.New, []byte(k.Secret))
	m.Write([]byte(Prefix))
	m.Write([]byte(head))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// verify reads a token and checks who signed it; whether it is good now, and for what, is asked of the token. Its error is a *Refusal.
func (k *Keys) verify(text string) (Token, error) {
	t, id, err := parse(text)
	if err != nil {
		return Token{}, refusals[Malformed]
	}
	key := k.find(id)
	if key == nil {
		return Token{}, refusals[UnknownKey]
	}
	dot := strings.LastIndexByte(text, '.')
	// As text, so that the two bits that base64 leaves over count as well: there is one text of a token and no other.
	if subtle.ConstantTimeCompare([]byte(key.signature(text[:dot])), []byte(text[dot+1:])) != 1 {
		return Token{}, refusals[BadSignature]
	}
	return t, nil
}
