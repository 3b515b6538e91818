package feed

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

const (
	longestLanguage = 35 // bytes; RFC 5646 4.4.1 wants at least that much
	longestName     = 64 // bytes
)

// clean makes a label fit to be shown.
func (l Label) clean() Label {
	return Label{Language: cleanLanguage(l.Language), Name: cleanName(l.Name)}
}

// cleanLanguage returns the BCP 47 tag of a language, whether it came as one or as an ISO 639-2 code of either kind; "" when
// it is none, or says that it is not known.
func cleanLanguage(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > longestLanguage {
		return ""
	}
	t, err := language.Parse(s)
	if err != nil || t == language.Und {
		return ""
	}
	switch base, _ := t.Base(); base.String() {
	case "mis", "mul", "und", "zxx": // no language, or more than one
		return ""
	}
	return t.String()
}

// cleanName leaves out what is not meant to be seen, and cuts what is too long.
func cleanName(s string) string {
	if len(s) > 4*longestName {
		s = s[:4*longestName]
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || r == '"' {
			return -1
		}
		return r
	}, s))
	for len(s) > longestName {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}
