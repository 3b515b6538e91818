package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Digest stands for some texts together without telling anything about them: an HMAC-SHA256.
type Digest [sha256.Size]byte

// DigestOf makes the digest of texts. The pepper is as with NewSharedKeys; an empty one is this process's own.
func DigestOf(pepper []byte, texts ...string) Digest {
	if len(pepper) == 0 {
		pepper = processPepper()
	}
	m := hmac.New(sha256.New, pepper)
	var length [8]byte
	for _, t := range texts { // each with its length, so that no two lists run together
		binary.BigEndian.PutUint64(length[:], uint64(len(t)))
		m.Write(length[:])
		m.Write([]byte(t))
	}
	return Digest(m.Sum(nil))
}

// Credential is the digest as a Credential.
func (d Digest) Credential() Credential { return Credential(hex.EncodeToString(d[:16])) }
