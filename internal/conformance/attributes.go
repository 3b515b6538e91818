package conformance

import (
	"strconv"
	"strings"
	"time"
)

// attribute is one NAME=value of an attribute list (rfc8216bis section 4.2).
type attribute struct {
	name, value string
	quoted      bool
}

// attributes reads the values of one tag and keeps the issues it finds, so that a parser can ask for one value after
// the other and look at the issues at the end.
type attributes struct {
	tag    string
	list   []attribute
	used   map[string]bool
	issues []issue
}

// every tells whether text has at least one and at most that many bytes, and only such as are asked for.
func every(text string, most int, allowed func(c byte) bool) bool {
	for i := range len(text) {
		if !allowed(text[i]) {
			return false
		}
	}
	return text != "" && len(text) <= most
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// attributeName is an AttributeName.
func attributeName(s string) bool {
	return every(s, len(s), func(c byte) bool { return c >= 'A' && c <= 'Z' || digit(c) || c == '-' })
}

// decimalInt is a decimal-integer, of at most 20 digits.
func decimalInt(s string) bool { return every(s, 20, digit) }

// decimalFloat is a decimal-floating-point, of at most 18 digits on each side.
func decimalFloat(s string) bool {
	whole, fraction, dot := strings.Cut(s, ".")
	return every(whole, 18, digit) && (!dot || every(fraction, 18, digit))
}

// signedFloat is a signed-decimal-floating-point.
func signedFloat(s string) bool {
	whole, fraction, dot := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return every(whole, len(whole), digit) && (!dot || every(fraction, len(fraction), digit))
}

// hexSequence is a hexadecimal-sequence.
func hexSequence(s string) bool {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "0x")
	return ok && every(digits, len(digits), func(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' })
}

// resolution is a decimal-resolution, of at most nine digits each.
func resolution(s string) bool {
	width, height, ok := strings.Cut(s, "x")
	return ok && every(width, 9, digit) && every(height, 9, digit)
}

// enumerated is an enumerated-string: no quotes, commas and white space.
func enumerated(s string) bool {
	return every(s, len(s), func(c byte) bool { return !strings.ContainsRune("\",\t\n\f\r ", rune(c)) })
}

func parseAttributes(tag, text string) *attributes {
	a := &attributes{tag: tag, used: make(map[string]bool)}
	seen := make(map[string]bool)
	for rest := text; ; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || !attributeName(name) {
			a.fail("no NAME=value at %q", clip(rest))
			return a
		}
		attr := attribute{name: name}
		var tail string
		if quoted, isQuoted := strings.CutPrefix(after, `"`); isQuoted {
			end := strings.IndexByte(quoted, '"')
			if end < 0 {
				a.fail("%s: the quoted string has no end", name)
				return a
			}
			attr.value, attr.quoted, tail = quoted[:end], true, quoted[end+1:]
		} else {
			end := strings.IndexByte(after, ',')
			if end < 0 {
				end = len(after)
			}
			attr.value, tail = after[:end], after[end:]
			if !enumerated(attr.value) {
				a.fail("%s: %q is no unquoted value", name, clip(attr.value))
			}
		}
		if seen[name] {
			a.fail("%s stands twice", name)
		}
		seen[name] = true
		a.list = append(a.list, attr)
		if tail == "" {
			return a
		}
		if tail[0] != ',' {
			a.fail("%s is followed by %q, not by a comma", name, clip(tail))
			return a
		}
		rest = tail[1:]
	}
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

func (a *attributes) fail(format string, args ...any) {
	a.issues = append(a.issues, issuef(RuleAttributes, a.tag+": "+format, args...))
}

func (a *attributes) has(name string) bool {
	for _, attr := range a.list {
		if attr.name == name {
			return true
		}
	}
	return false
}

// get finds an attribute and marks it as known to the tag.
func (a *attributes) get(name string, required bool) (attribute, bool) {
	a.used[name] = true
	for _, attr := range a.list {
		if attr.name == name {
			return attr, true
		}
	}
	if required {
		a.fail("%s is missing", name)
	}
	return attribute{}, false
}

func (a *attributes) quoted(name string, required bool) string {
	attr, ok := a.get(name, required)
	if ok && !attr.quoted {
		a.fail("%s is not a quoted string", name)
	}
	return attr.value
}

func (a *attributes) plain(name string, required bool, form func(string) bool, what string) (string, bool) {
	attr, ok := a.get(name, required)
	if !ok {
		return "", false
	}
	if attr.quoted || !form(attr.value) {
		a.fail("%s=%q is no %s", name, clip(attr.value), what)
		return "", false
	}
	return attr.value, true
}

// integer returns -1 when there is no such value.
func (a *attributes) integer(name string, required bool) int64 {
	s, ok := a.plain(name, required, decimalInt, "decimal-integer")
	if !ok {
		return -1
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		a.fail("%s=%s is out of range", name, s)
		return -1
	}
	return n
}

// seconds returns -1 when there is no such value.
func (a *attributes) seconds(name string, required bool) time.Duration {
	s, ok := a.plain(name, required, decimalFloat, "decimal-floating-point")
	if !ok {
		return -1
	}
	d, ok := parseSeconds(s)
	if !ok {
		a.fail("%s=%s is out of range", name, s)
		return -1
	}
	return d
}

func (a *attributes) enum(name string, required bool, allowed ...string) string {
	s, ok := a.plain(name, required, enumerated, "enumerated-string")
	if !ok {
		return ""
	}
	for _, v := range allowed {
		if s == v {
			return s
		}
	}
	a.fail("%s=%s is none of %v", name, s, allowed)
	return ""
}

// done returns the issues, with one for each attribute that the tag does not define.
func (a *attributes) done() []issue {
	for _, attr := range a.list {
		if !a.used[attr.name] {
			a.fail("%s is not defined for this tag", attr.name)
		}
	}
	return a.issues
}

// parseSeconds reads a decimal number of seconds. It refuses what a duration cannot hold.
func parseSeconds(s string) (time.Duration, bool) {
	if !decimalFloat(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f > 1e9 {
		return 0, false
	}
	return time.Duration(f*1e9 + 0.5), true
}
