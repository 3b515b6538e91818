package ingest

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// QueryValue finds a parameter of a query, "" when it is not there. Unlike in HTML forms, a plus sign means itself: people
// paste secrets as they are.
func QueryValue(query, name string) string {
	for part := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(part, "=")
		if k != name {
			continue
		}
		if plain, err := url.PathUnescape(v); err == nil {
			return plain
		}
		return v
	}
	return ""
}

// PlainText leaves out what is not meant to be seen, such as line breaks, terminal controls and marks that turn the direction
// of the text around them: what a peer says of itself is shown in logs and on pages.
func PlainText(v string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, v)
}

// Clip shortens what a peer sent to some 64 bytes, for messages and logs.
func Clip(v string) string {
	const longest = 64
	if len(v) > longest {
		return strings.ToValidUTF8(v[:longest], "") + "…"
	}
	return v
}
