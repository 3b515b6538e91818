package conformance

import (
	"bytes"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// checkText looks at the characters of a playlist (rfc8216bis section 4.1). The tab is allowed where
// RECENTLY-REMOVED-DATERANGES separates its IDs by it.
func checkText(text []byte) []issue {
	var issues []issue
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		issues = append(issues, issuef(RuleText, "the playlist starts with a byte order mark"))
	}
	if !utf8.Valid(text) {
		issues = append(issues, issuef(RuleText, "the playlist is not UTF-8"))
	}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		for _, c := range line {
			if c == '\t' && strings.HasPrefix(line, "#EXT-X-SKIP:") {
				continue
			}
			if c < 0x20 || c >= 0x7f && c < 0xa0 {
				issues = append(issues, issuef(RuleText, "line %d has the control character %U", n+1, c))
				break
			}
		}
	}
	return issues
}

// line is one line of a playlist that says something.
type line struct {
	number     int
	tag, value string // tag is "" for a URI line
	hasValue   bool
}

// lines splits a playlist into tags and URIs.
func lines(text []byte) ([]line, []issue) {
	var out []line
	var issues []issue
	all := strings.Split(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))), "\n")
	if strings.TrimSuffix(all[0], "\r") != "#EXTM3U" {
		issues = append(issues, issuef(RuleHeader, "the first line is %q", clip(all[0])))
	}
	for n, raw := range all {
		raw = strings.TrimSuffix(raw, "\r")
		switch {
		case raw == "":
		case raw != strings.TrimSpace(raw):
			issues = append(issues, issuef(RuleTag, "line %d starts or ends with white space: %q", n+1, clip(raw)))
		case strings.HasPrefix(raw, "#EXT"):
			tag, value, ok := strings.Cut(raw, ":")
			out = append(out, line{n + 1, tag, value, ok})
		case raw[0] == '#':
		default:
			out = append(out, line{n + 1, "", raw, true})
		}
	}
	return out, issues
}

// parser holds what the parsers of both kinds of playlist share.
type parser struct {
	base   *url.URL
	folder string // of base, where plain references go; "" until one has been resolved
	issues []issue
	count  map[string]int
	need   int
	reason string
}

func (p *parser) fail(rule RuleID, l line, format string, args ...any) {
	prefix := "line " + strconv.Itoa(l.number) + ": "
	p.issues = append(p.issues, issuef(rule, prefix+format, args...))
}

// requires notes that a feature needs a protocol version (rfc8216bis section 8).
func (p *parser) requires(version int, feature string) {
	if version > p.need {
		p.need, p.reason = version, feature
	}
}

func (p *parser) once(l line) bool {
	p.count[l.tag]++
	if p.count[l.tag] == 2 {
		p.fail(RuleTag, l, "%s stands more than once", l.tag)
	}
	return p.count[l.tag] == 1
}

func (p *parser) bare(l line) {
	if l.hasValue {
		p.fail(RuleTag, l, "%s takes no value", l.tag)
	}
}

func (p *parser) number(l line) int64 {
	n, err := strconv.ParseInt(l.value, 10, 64)
	if err != nil || !decimalInt(l.value) {
		p.fail(RuleTag, l, "%s:%s is no decimal integer", l.tag, clip(l.value))
		return 0
	}
	return n
}

func (p *parser) attributes(l line) *attributes {
	return parseAttributes("line "+strconv.Itoa(l.number)+": "+l.tag, l.value)
}

func (p *parser) finish(a *attributes) { p.issues = append(p.issues, a.done()...) }

// resolve makes a URI absolute; "" stays "".
func (p *parser) resolve(l line, ref string) string {
	if ref == "" {
		return ""
	}
	if p.folder != "" && plain(ref) {
		return p.folder + ref
	}
	u, err := url.Parse(ref)
	if err != nil || strings.ContainsAny(ref, " <>\\^`{|}") {
		p.fail(RuleURI, l, "%q is no URI", clip(ref))
		return ""
	}
	r := p.base.ResolveReference(u)
	if r.Scheme != "http" && r.Scheme != "https" || r.Host == "" {
		p.fail(RuleURI, l, "%q does not resolve to an http URI", clip(ref))
		return ""
	}
	out := r.String()
	if plain(ref) {
		p.folder = strings.TrimSuffix(out, ref)
	}
	return out
}

// plain tells whether a reference is a path that needs but its base's folder in front (RFC 3986 5.2): most are, and all of one
// playlist have the same folder.
func plain(ref string) bool {
	if ref[0] == '/' || ref[0] == '.' || strings.Contains(ref, "/.") || strings.Contains(ref, "//") {
		return false
	}
	return every(ref, len(ref), func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c) || c == '-' || c == '_' || c == '.' || c == '/'
	})
}

// zoned is a date-time that says where it holds.
var zoned = regexp.MustCompile(`(Z|[+-][0-9]{2}:?[0-9]{2})$`)

// parseDate reads a date-time of ISO 8601 as playlists have it. exact tells that it has a zone and milliseconds.
func parseDate(s string) (t time.Time, exact, ok bool) {
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		dot := strings.IndexByte(s, '.')
		digits := 0
		for dot >= 0 && dot+1+digits < len(s) && s[dot+1+digits] >= '0' && s[dot+1+digits] <= '9' {
			digits++
		}
		return t, digits >= 3 && layout != "2006-01-02T15:04:05", true
	}
	return time.Time{}, false, false
}
