package trust

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A token lets one node copy one stream for some minutes. Whoever can read the stream's secret in the directory can make it.
//
//	"1." EXPIRES "." base64url(HMAC-SHA-256(secret, message))
//
// EXPIRES is a unix time in seconds, decimal. The message is
//
//	"pushcart relay token 1\n" | EXPIRES u64 | length of stream u16 | stream | length of node u16 | node
//
// in big endian, so that no two of (stream, node, time) give the same.
const (
	tokenVersion = "1"
	tokenPurpose = "pushcart relay token 1\n"
)

// Limits of tokens.
const (
	// TokenLife is for how long a token is made.
	TokenLife = 5 * time.Minute
	// tokenLeeway is how long after its time a token is still taken, because requests take time; clockSkew is by how much
	// the clocks of two nodes may differ.
	tokenLeeway = 30 * time.Second
	clockSkew   = 5 * time.Second
	// minSecret is the shortest secret, in bytes. An empty one would let everybody make tokens.
	minSecret = 16
	maxToken  = 128
	// maxTokenName is the longest name of a stream or node in a token.
	maxTokenName = 255
)

// Errors of Verify, which wraps them with what is wrong.
var (
	// ErrExpired: the token was good once.
	ErrExpired = errors.New("the token has expired")
	// ErrForged: the token was not made with this secret for this stream and node, or is no token at all.
	ErrForged = errors.New("the token is not good for this stream and node")
)

// Token makes a token with which node may copy stream until expires, which is TokenLife from now. The secret is the stream's,
// at least 16 bytes. Of what cannot be right it makes "", which Verify refuses.
func Token(secret []byte, stream, node string, expires time.Time) string {
	if !tokenFor(secret, stream, node) || expires.Unix() <= 0 {
		return ""
	}
	b := make([]byte, 0, maxToken)
	b = append(b, tokenVersion...)
	b = append(b, '.')
	b = strconv.AppendInt(b, expires.Unix(), 10)
	b = append(b, '.')
	b = base64.RawURLEncoding.AppendEncode(b, tokenSum(secret, stream, node, expires.Unix()))
	return string(b)
}

// Verify tells whether a token lets node copy stream now: nil, ErrExpired or ErrForged. A token is taken up to 35 s after its
// time, and not when its time is further off than that of a token made now.
func Verify(secret []byte, token, stream, node string, now time.Time) error {
	expires, sum, err := parseToken(token)
	if err != nil {
		return err
	}
	if !tokenFor(secret, stream, node) {
		return fmt.Errorf("%w: the stream has no secret, or a name is too long", ErrForged)
	}
	// The sum comes first: what a stranger writes is not told from what has only expired.
	if !hmac.Equal(sum, tokenSum(secret, stream, node, expires)) {
		return ErrForged
	}
	left := time.Unix(expires, 0).Sub(now)
	switch slack := tokenLeeway + clockSkew; {
	case left < -slack:
		return fmt.Errorf("%w %v ago: ask with a new one", ErrExpired, (-left).Round(time.Second))
	case left > TokenLife+slack:
		return fmt.Errorf("%w: it is good for %v, longer than tokens last: compare the clocks of the two nodes", ErrForged, left.Round(time.Second))
	}
	return nil
}

func tokenFor(secret []byte, stream, node string) bool {
	return len(secret) >= minSecret && stream != "" && node != "" && len(stream) <= maxTokenName && len(node) <= maxTokenName
}

// parseToken takes a token apart.
func parseToken(token string) (expires int64, sum []byte, err error) {
	if len(token) > maxToken {
		return 0, nil, fmt.Errorf("%w: it is longer than tokens are", ErrForged)
	}
	version, rest, _ := strings.Cut(token, ".")
	number, text, ok := strings.Cut(rest, ".")
	if !ok || version != tokenVersion {
		return 0, nil, fmt.Errorf("%w: it is no token", ErrForged)
	}
	expires, err = strconv.ParseInt(number, 10, 64)
	if err != nil || expires <= 0 || expires > 1<<40 || strconv.FormatInt(expires, 10) != number {
		return 0, nil, fmt.Errorf("%w: its time cannot be read", ErrForged)
	}
	sum, err = base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sum) != sha256.Size || strings.ContainsAny(text, "\r\n") {
		return 0, nil, fmt.Errorf("%w: its sum cannot be read", ErrForged)
	}
	return expires, sum, nil
}

// tokenSum is the token's HMAC.
func tokenSum(secret []byte, stream, node string, expires int64) []byte {
	message := make([]byte, 0, 256)
	message = append(message, tokenPurpose...)
	message = binary.BigEndian.AppendUint64(message, uint64(expires))
	for _, name := range []string{stream, node} {
		message = binary.BigEndian.AppendUint16(message, uint16(len(name)))
		message = append(message, name...)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(message)
	return mac.Sum(nil)
}
