package authority

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"pushcart/internal/auth"
)

// Bounds of a token's claims.
const (
	mostPatterns = 64
	mostPattern  = 128 // bytes
	mostSubject  = 256 // bytes
	mostList     = 64  // items of an audience, an action or a scope
)

// claims are those of a token (RFC 7519 4) that let publishers in.
type claims struct {
	issuer    string
	subject   string
	audience  []string
	expires   time.Time
	notBefore time.Time // zero is none
	// streams are the names, or patterns in which * stands for any characters, of what may be published.
	streams []string
	// actions are those of the claims "action" and "scope" (RFC 8693 4.2).
	actions     []string
	ladder      string
	standby     bool
	maxBitrate  int64
	maxDuration time.Duration
}

// readClaims reads a token's payload. What is not known is let be; a known claim of another type or out of its bounds is an error, which
// completes the sentence "the token cannot be used: ...".
func readClaims(payload []byte) (claims, error) {
	var raw struct {
		Issuer     string   `json:"iss"`
		Subject    string   `json:"sub"`
		Audience   words    `json:"aud"`
		Expires    *float64 `json:"exp"`
		NotBefore  *float64 `json:"nbf"`
		Stream     words    `json:"stream"`
		Action     words    `json:"action"`
		Scope      words    `json:"scope"`
		Ladder     string   `json:"ladder"`
		Standby    bool     `json:"standby"`
		MaxBitrate *float64 `json:"max_bitrate"`
		MaxSeconds *float64 `json:"max_duration"`
	}
	if err := json.Unmarshal(payload, &raw); err != nil {
		return claims{}, errors.New("its claims cannot be read")
	}
	c := claims{
		issuer: raw.Issuer, subject: raw.Subject, audience: raw.Audience, streams: raw.Stream,
		ladder: raw.Ladder, standby: raw.Standby, actions: raw.Action,
	}
	for _, s := range raw.Scope {
		c.actions = append(c.actions, strings.Fields(s)...)
	}
	switch {
	case raw.Expires == nil:
		return claims{}, errors.New(`it has no "exp", so that it would be good for ever`)
	case c.subject == "":
		return claims{}, errors.New(`it has no "sub", by which its publisher is known again`)
	case len(c.subject) > mostSubject:
		return claims{}, fmt.Errorf(`its "sub" is longer than %d bytes`, mostSubject)
	case len(c.streams) == 0:
		return claims{}, errors.New(`it has no "stream"`)
	case len(c.streams) > mostPatterns:
		return claims{}, fmt.Errorf(`its "stream" has more than %d items`, mostPatterns)
	case slices.ContainsFunc(c.streams, func(p string) bool { return p == "" || len(p) > mostPattern }):
		return claims{}, fmt.Errorf(`an item of its "stream" is empty or longer than %d bytes`, mostPattern)
	case max(len(c.audience), len(raw.Action), len(raw.Scope)) > mostList:
		return claims{}, fmt.Errorf(`its "aud", "action" or "scope" has more than %d items`, mostList)
	}
	var ok [2]bool
	c.expires, ok[0] = date(raw.Expires)
	c.notBefore, ok[1] = date(raw.NotBefore)
	if !ok[0] || !ok[1] {
		return claims{}, errors.New(`its "exp" or "nbf" is no time`)
	}
	var err error
	if c.maxBitrate, err = bitrate(raw.MaxBitrate); err != nil {
		return claims{}, fmt.Errorf(`its "max_bitrate" %w`, err)
	}
	if c.maxDuration, err = seconds(raw.MaxSeconds); err != nil {
		return claims{}, fmt.Errorf(`its "max_duration" %w`, err)
	}
	if err := validLadder(c.ladder); err != nil {
		return claims{}, fmt.Errorf(`its "ladder" %w`, err)
	}
	return c, nil
}

// date reads a NumericDate (RFC 7519 2).
func date(v *float64) (time.Time, bool) {
	if v == nil {
		return time.Time{}, true
	}
	if !(*v >= 0 && *v < 1<<40) {
		return time.Time{}, false
	}
	whole, part := math.Modf(*v)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// words is a string, or a list of them.
type words []string

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = nil
		if one != "" {
			*w = words{one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// check tells whether a token with these claims lets its publisher in now. The error completes the sentence "the token cannot be used:
// ...".
func (c *claims) check(set JWT, now time.Time) error {
	switch {
	case !now.Add(-set.Leeway).Before(c.expires):
		return errors.New("it has expired")
	case now.Add(set.Leeway).Before(c.notBefore):
		return errors.New("it is not valid yet")
	case set.Issuer != "" && c.issuer != set.Issuer:
		return errors.New("it is from another issuer")
	case set.Audience != "" && !slices.Contains(c.audience, set.Audience):
		return errors.New("it is for another audience")
	case !slices.Contains(c.actions, "publish"):
		return errors.New(`it is not for publishing: neither "action" nor "scope" has "publish"`)
	}
	return nil
}

// name is the stream that the token is for: the one that is asked for, or, where none is, the only one that it names.
func (c *claims) name(asked string) (string, error) {
	if asked == "" {
		if len(c.streams) != 1 || strings.Contains(c.streams[0], "*") {
			return "", errors.New("it is for several streams, and the stream's name was not given")
		}
		return c.streams[0], nil
	}
	if !slices.ContainsFunc(c.streams, func(p string) bool { return matches(p, asked) }) {
		return "", errors.New("it is for another stream")
	}
	return asked, nil
}

// matches tells whether a name is of a pattern, in which * stands for any characters or none.
func matches(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		piece, more, wild := strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(name, piece)
		}
		i := strings.Index(name, piece)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(piece):], more
	}
}

// grant is what the claims grant on a stream.
func (c *claims) grant(name string, pepper []byte) auth.Grant {
	return auth.Grant{
		Name: name, Credential: auth.DigestOf(pepper, "jwt", c.issuer, c.subject).Credential(),
		Ladder: c.ladder, Standby: c.standby, MaxBitrate: c.maxBitrate, MaxDuration: c.maxDuration,
	}
}
