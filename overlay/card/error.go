package card

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError tells what is wrong with a document: the first thing found.
type FieldError struct {
	// Field is the path of what is wrong, such as "offers[0].price"; "" is the document as a whole.
	Field string
	// Message is one or more whole sentences that say what is wrong and what to do.
	Message string
	// TooLarge tells that the document or the patch has more than MaxSize bytes.
	TooLarge bool
}

// Error implements error.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// place is where a value stands and what sentences call it.
type place struct {
	at   string // path
	noun string // "price"
}

// entry is the place of an element in a list.
func (p place) entry(i int) place { return place{fmt.Sprintf("%s[%d]", p.at, i), p.noun} }

// within is the place of a key in an object.
func (p place) within(key, noun string) place { return place{pathOf(p.at, key), noun} }

// pathOf extends a path by a key. Keys that are none of ours are shortened and quoted if need be, since paths go into
// responses and logs.
func pathOf(at, key string) string {
	if len(key) > maxShown || strings.Trim(key, pathCharacters) != "" || key == "" {
		key = quote(key)
	}
	if at == "" {
		return key
	}
	return at + "." + key
}

const pathCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@:_-"

// maxShown is how much of what somebody sent is repeated in a message, in characters.
const maxShown = 40

// quote shows what somebody sent: in quotation marks, shortened, with everything escaped that is not visible.
func quote(s string) string {
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s)[:maxShown]) + "..."
	}
	return strconv.Quote(s)
}
