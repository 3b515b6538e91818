package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers by which a receiver of a request of ours knows who sent it (Standard Webhooks 1.0.0, "Signature scheme"; its libraries can
// check them):
//
//	webhook-id: 7QLJTGHFOYHK3NJRK6FRV2PSQE
//	webhook-timestamp: 1767225600
//	webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
// The signature is the base64 of the HMAC-SHA256 of ID.TIMESTAMP.BODY: the two headers and the body as they came, with full stops in
// between. The key is the shared secret's bytes, or, where the secret begins with "whsec_", what the base64 behind that stands for.
// Several signatures have blanks between them. A receiver compares in constant time, takes nothing whose timestamp, in seconds since
// 1970, is more than five minutes from its own clock, and, where a request must not count twice, remembers identifiers for that long.
const (
	SignatureID   = "Webhook-Id"
	SignatureTime = "Webhook-Timestamp"
	Signature     = "Webhook-Signature"
)

// Sign puts the headers of a request's signature, made at a time with a secret.
func Sign(h http.Header, secret, id string, at time.Time, body []byte) {
	t := strconv.FormatInt(at.Unix(), 10)
	h.Set(SignatureID, id)
	h.Set(SignatureTime, t)
	h.Set(Signature, "v1,"+base64.StdEncoding.EncodeToString(signature(secret, id, t, body)))
}

// VerifySignature tells whether a request's headers are those of its body, made within a time of now. It is what a receiver does.
func VerifySignature(h http.Header, secret string, body []byte, now time.Time, within time.Duration) error {
	id, t := h.Get(SignatureID), h.Get(SignatureTime)
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || id == "" {
		return errors.New("the request is not signed: webhook-id or webhook-timestamp is missing")
	}
	want, ok := signature(secret, id, t, body), false
	for one := range strings.FieldsSeq(h.Get(Signature)) {
		version, text, _ := strings.Cut(one, ",")
		sent, err := base64.StdEncoding.DecodeString(text)
		ok = ok || version == "v1" && err == nil && hmac.Equal(sent, want)
	}
	if !ok {
		return errors.New("the signature is not that of the request: is the secret the same on both sides?")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > within || age < -within {
		return errors.New("the signature is from another time: is it sent again, or is a clock wrong?")
	}
	return nil
}

func signature(secret, id, t string, body []byte) []byte {
	m := hmac.New(sha256.New, signingKey(secret))
	m.Write([]byte(id + "." + t + "."))
	m.Write(body)
	return m.Sum(nil)
}

// signingKey is what a secret stands for. One that begins as if it were encoded, and is not, stands for itself.
func signingKey(secret string) []byte {
	text, encoded := strings.CutPrefix(secret, "whsec_")
	if !encoded {
		return []byte(secret)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || len(b) == 0 {
		return []byte(secret)
	}
	return b
}
