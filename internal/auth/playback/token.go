package playback

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pushcart/internal/auth"
)

// Prefix begins the path of a signed address; the token follows, and behind it the address that it opens.
const Prefix = "/p/"

// Bounds of tokens.
const (
	maxToken     = 256 // characters
	maxKeyID     = 16
	maxExpires   = 11 // digits
	maxCountries = 32
	// MaxViewers is the largest limit of viewers that a token can have.
	MaxViewers = 100_000
	// signatureSize is that of 32 bytes in base64url without padding.
	signatureSize = 43
)

// version begins each token.
const version = "1"

// Letters with which the optional fields begin.
const (
	countriesMark = 'c'
	viewersMark   = 'v'
)

// Token is what a signed address says.
type Token struct {
	// Stream that it opens.
	Stream string
	// Expires is when it is not good any more, in whole seconds.
	Expires time.Time
	// Countries that it is good in, as ISO 3166-1 has them (alpha-2, capital letters); none is everywhere.
	Countries []string
	// Viewers is how many may use it at once; 0 is any number.
	Viewers int
}

// errMalformed is what text comes to that is no token.
var errMalformed = errors.New("it is not of the form 1.KEY.STREAM.EXPIRES.SIGNATURE")

// parse reads a token's text. What it says counts for nothing before its signature was checked.
func parse(text string) (t Token, key string, err error) {
	if len(text) > maxToken {
		return t, "", errMalformed
	}
	fields := strings.Split(text, ".")
	n := len(fields) - 1
	if n < 4 || fields[0] != version || !validKeyID(fields[1]) || auth.ValidName(fields[2]) != nil || len(fields[n]) != signatureSize {
		return t, "", errMalformed
	}
	seconds, ok := decimal(fields[3], maxExpires)
	if !ok {
		return t, "", errMalformed
	}
	t = Token{Stream: fields[2], Expires: time.Unix(seconds, 0)}
	optional := fields[4:n]
	if len(optional) > 0 && strings.HasPrefix(optional[0], string(countriesMark)) {
		t.Countries = strings.Split(optional[0][1:], "-")
		if validCountries(t.Countries) != nil {
			return Token{}, "", errMalformed
		}
		optional = optional[1:]
	}
	if len(optional) > 0 && strings.HasPrefix(optional[0], string(viewersMark)) {
		viewers, ok := decimal(optional[0][1:], 6)
		if !ok || viewers < 1 || viewers > MaxViewers {
			return Token{}, "", errMalformed
		}
		t.Viewers = int(viewers)
		optional = optional[1:]
	}
	if len(optional) > 0 {
		return Token{}, "", errMalformed
	}
	return t, fields[1], nil
}

// head is the token's text without its signature and the full stop in front of that.
func (t Token) head(key string) string {
	var b strings.Builder
	b.WriteString(version + "." + key + "." + t.Stream + "." + strconv.FormatInt(t.Expires.Unix(), 10))
	if len(t.Countries) > 0 {
		b.WriteString("." + string(countriesMark) + strings.Join(t.Countries, "-"))
	}
	if t.Viewers > 0 {
		b.WriteString("." + string(viewersMark) + strconv.Itoa(t.Viewers))
	}
	return b.String()
}

// valid tells why a token cannot be signed.
func (t Token) valid() error {
	if err := auth.ValidName(t.Stream); err != nil {
		return fmt.Errorf("the stream's name %.80q cannot be used: %w", t.Stream, err)
	}
	if seconds := t.Expires.Unix(); seconds < 0 || len(strconv.FormatInt(seconds, 10)) > maxExpires {
		return errors.New("the time at which it expires is before 1970, or thousands of years from now")
	}
	if len(t.Countries) > 0 {
		if err := validCountries(t.Countries); err != nil {
			return err
		}
	}
	if t.Viewers < 0 || t.Viewers > MaxViewers {
		return fmt.Errorf("the limit of viewers is %d: it has to be 1 to %d, or 0 for none", t.Viewers, MaxViewers)
	}
	return nil
}

// validCountries wants some, each once.
func validCountries(all []string) error {
	if len(all) > maxCountries {
		return fmt.Errorf("there are %d countries: a token has %d at most", len(all), maxCountries)
	}
	for i, c := range all {
		if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
			return fmt.Errorf("%.20q is not a country as ISO 3166-1 has it: two capital letters, such as SE", c)
		}
		if slices.Contains(all[:i], c) {
			return fmt.Errorf("the country %s is there twice", c)
		}
	}
	return nil
}

// validKeyID tells whether a key may be named so.
func validKeyID(id string) bool {
	if id == "" || len(id) > maxKeyID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// decimal reads a number of at most some digits, without a leading zero.
func decimal(s string, digits int) (int64, bool) {
	if s == "" || len(s) > digits || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
