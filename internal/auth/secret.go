package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// hashPrefix begins a key that is given as its hash: "sha256:" and 64 hexadecimal digits, which
// `printf %s SECRET | sha256sum` prints.
const hashPrefix = "sha256:"

// Bounds of a secret's length in bytes.
const (
	minSecret = 8
	maxSecret = 128
)

// digest is the SHA-256 of a secret. Secrets are kept and compared in this form only.
type digest [sha256.Size]byte

// digestOf reads a configured key, which is a secret or its hash. The key is a ValidKey.
func digestOf(key string) digest {
	if hash, ok := strings.CutPrefix(key, hashPrefix); ok {
		var d digest
		hex.Decode(d[:], []byte(hash))
		return d
	}
	return sha256.Sum256([]byte(key))
}

// ValidKey tells whether an operator may configure this key: a hash, or a secret of 8 to 128 letters, digits and
// "-", "_", ".", "~", "=", which publishing programs carry through a URL unchanged. The error completes the sentence "the
// key cannot be used: ..." and never has the key in it.
func ValidKey(key string) error {
	if hash, ok := strings.CutPrefix(key, hashPrefix); ok {
		raw, err := hex.DecodeString(hash)
		if err != nil || len(raw) != sha256.Size {
			return fmt.Errorf("after %q stand 64 hexadecimal digits, as printed by: printf %%s SECRET | sha256sum", hashPrefix)
		}
		if digest(raw) == sha256.Sum256(nil) {
			return errors.New("it is the hash of nothing, as of a shell variable that is not set")
		}
		return nil
	}
	if key == "" {
		return errors.New("it is empty")
	}
	if len(key) < minSecret {
		return fmt.Errorf("it is shorter than %d characters; a good one: openssl rand -hex 16", minSecret)
	}
	if len(key) > maxSecret {
		return fmt.Errorf("it is longer than %d characters", maxSecret)
	}
	for _, r := range key {
		if !letterOrDigit(r) && !strings.ContainsRune("-_.~=", r) {
			return errors.New("it has a character that a URL does not carry unchanged; use letters, digits and - _ . ~ = only")
		}
	}
	return nil
}

// Generate makes a random secret: 26 lower-case letters and digits with at least 128 bits of randomness, which need no
// escaping in URLs and shells.
func Generate() string { return strings.ToLower(rand.Text()) }

// Credential stands for a secret without telling anything about it: equal for equal secrets, for as long as the process
// runs, or on all nodes of a cluster: see NewSharedKeys. It is how the same publisher is recognised when it comes back. The zero value stands for nobody.
type Credential string

// processPepper makes credentials worthless outside this process, so that one in a log is no help in guessing a weak secret.
var processPepper = sync.OnceValue(func() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
})

func (d digest) credential(pepper []byte) Credential {
	m := hmac.New(sha256.New, pepper)
	m.Write(d[:])
	return Credential(hex.EncodeToString(m.Sum(nil)[:16]))
}
