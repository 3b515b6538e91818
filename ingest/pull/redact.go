package pull

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hidden stands for what is not shown of a URL.
const hidden = "…"

// shown are the parameters of a URL whose values are no secrets. All others are hidden: each maker of cameras has words of
// its own for a password.
var shown = []string{"channel", "subtype", "resolution", "mode", "latency", "transtype", "pbkeylen", "unicast"}

var (
	shownValue = regexp.MustCompile(`^[A-Za-z0-9.-]{0,16}$`)
	shownName  = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)
	// inPath finds secrets in paths as some cameras take them: /user=admin_password=SECRET_channel=1. Where one ends, nobody
	// can tell.
	inPath = regexp.MustCompile(`(?i)(?:pass|pwd|token|key|secret|auth)[^/=]*=`)
)

// Redact shows a source's URL without its secrets: password, passphrase and whatever in the query may be one stand as "…".
// Of a URL that cannot be read nothing is shown.
func Redact(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return "(a URL that cannot be read)"
	}
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != nil {
		// A user without a password is a token.
		if _, has := u.User.Password(); has {
			b.WriteString(url.User(u.User.Username()).String() + ":")
		}
		b.WriteString(hidden + "@")
	}
	b.WriteString(u.Host)
	path, rest := cutPath(u.EscapedPath())
	b.WriteString(tokens.ReplaceAllStringFunc(path, func(s string) string {
		if isToken(s) {
			return hidden
		}
		return s
	}))
	if rest != "" {
		b.WriteString(hidden)
	}
	if u.RawQuery != "" {
		b.WriteByte('?')
		for i, pair := range strings.Split(u.RawQuery, "&") {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(redactPair(pair))
		}
	}
	if fingerprint.MatchString(u.Fragment) {
		b.WriteString("#" + u.Fragment)
	}
	return b.String()
}

// cutPath parts a path before what may be a secret.
func cutPath(path string) (open, secret string) {
	if at := inPath.FindStringIndex(path); at != nil {
		return path[:at[1]], path[at[1]:]
	}
	return path, ""
}

// tokens are long words in a path, some of which stand in place of a password.
var tokens = regexp.MustCompile(`[A-Za-z0-9]{16,}`)

// isToken tells whether a long word is a secret: one that means something has digits at its end, if it has any.
func isToken(word string) bool {
	return strings.ContainsAny(strings.TrimRight(word, "0123456789"), "0123456789")
}

func redactPair(pair string) string {
	name, value, has := strings.Cut(pair, "=")
	switch {
	case !has || !shownName.MatchString(name):
		return hidden
	case slices.Contains(shown, name) && shownValue.MatchString(value):
		return pair
	}
	return name + "=" + hidden
}

// minScrubbed is the length of the shortest secret that scrub looks for everywhere: shorter ones are in half of all words. In
// front of a host they show.
const minScrubbed = 4

// maxMessage is the length in bytes of the longest error that is told.
const maxMessage = 1024

// scrub takes a source's secrets out of a text, for what a library may have put into an error, and what is not meant to be seen,
// for what the source may have put there.
func scrub(text, source string) string {
	secrets := secretsOf(source)
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, s := range secrets {
		switch {
		case len(s) >= minScrubbed:
			text = strings.ReplaceAll(text, s, hidden)
		case s != "":
			text = strings.NewReplacer(":"+s+"@", ":"+hidden+"@", "//"+s+"@", "//"+hidden+"@").Replace(text)
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + hidden
	}
	return text
}

// secretsOf lists what Redact hides, in each form in which it may be written.
func secretsOf(text string) []string {
	u, err := url.Parse(text)
	if err != nil {
		return []string{text}
	}
	var secrets []string
	add := func(s string) {
		secrets = append(secrets, s, url.QueryEscape(s), url.PathEscape(s), url.UserPassword("", s).String()[1:])
		if plain, err := url.PathUnescape(s); err == nil {
			secrets = append(secrets, plain)
		}
		if plain, err := url.QueryUnescape(s); err == nil {
			secrets = append(secrets, plain)
		}
	}
	if u.User != nil {
		if password, has := u.User.Password(); has {
			add(password)
		} else {
			add(u.User.Username())
		}
	}
	path, secret := cutPath(u.EscapedPath())
	if secret != "" {
		add(secret)
	}
	for _, word := range tokens.FindAllString(path, -1) {
		if isToken(word) {
			add(word)
		}
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if redactPair(pair) == pair {
			continue
		}
		if name, value, has := strings.Cut(pair, "="); has && shownName.MatchString(name) {
			add(value)
		} else {
			add(pair)
		}
	}
	return secrets
}
