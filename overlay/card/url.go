package card

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// maxURL is the length of the longest URL, in bytes.
const maxURL = 512

// Policy is what an operator permits.
type Policy struct {
	// Hosts are the hosts that URLs may point to: "shop.example.com"; "*.example.com" for all below example.com, at any
	// depth, but not itself; "*" for any. None allows no URL.
	Hosts []string
}

// allows tells whether URLs may point to a host, in lower case.
func (p Policy) allows(host string) bool {
	for _, pattern := range p.Hosts {
		pattern = strings.ToLower(pattern)
		if pattern == "*" || pattern == host {
			return true
		}
		if base, wild := strings.CutPrefix(pattern, "*."); wild && base != "" && strings.HasSuffix(host, "."+base) {
			return true
		}
	}
	return false
}

// ValidHostPattern tells whether a pattern can stand in Policy.Hosts. The error completes the sentence "the host cannot be
// used: ...".
func ValidHostPattern(p string) error {
	if p == "*" {
		return nil
	}
	host := strings.TrimPrefix(p, "*.")
	switch {
	case strings.Contains(host, "://"), strings.ContainsAny(host, "/?#@:"):
		return errors.New(`it is more than a host: write only the name, like "shop.example.com", without "https://", port and path`)
	case strings.Contains(host, "*"):
		return errors.New(`it has a "*" where none can be: write "*.example.com" for all hosts below example.com, or "*" for any`)
	}
	return hostFault(host)
}

var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// hostFault is what keeps a name from being that of a public host (RFC 1123, 2.1); nil when nothing does.
func hostFault(host string) error {
	switch {
	case host == "":
		return errors.New(`it is empty: write a name, like "shop.example.com"`)
	case len(host) > 253:
		return errors.New("it is longer than 253 characters")
	case strings.ContainsFunc(host, func(r rune) bool { return r > '~' }): // first: the Kelvin sign is "k" in lower case
		return errors.New(`it has letters that are not ASCII: write it in Punycode, like "xn--mbel-5qa.example"`)
	case strings.HasSuffix(host, "."):
		return errors.New("it ends with a point: leave that away")
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			return fmt.Errorf(`it has the part %s: the parts between points are made of letters, digits and, in between, "-"`, quote(label))
		}
	}
	last := labels[len(labels)-1]
	// Browsers read a host that ends in a number as an IPv4 address, hexadecimal too (WHATWG URL, 3.5).
	if strings.Trim(last, digits) == "" || strings.HasPrefix(last, "0x") {
		return errors.New("it is an IP address: write a name instead")
	}
	if len(labels) == 1 {
		return errors.New(`it has one part only: write the full name, like "shop.example.com"`)
	}
	return nil
}

// url reads a URL and returns it with its scheme and host in lower case and without its port. Go's parser and browsers'
// must never see different hosts in it, so whatever any of them might repair or pass over is refused.
func (d *decoder) url(v value, p place) string {
	if !d.is(v, p, kindText) {
		return ""
	}
	if len(v.text) > maxURL {
		d.fail(p.at, "The %s has an address of %d bytes, and %d is the most: use a shorter one.", p.noun, len(v.text), maxURL)
		return ""
	}
	host, rest, fault := splitURL(v.text)
	if fault == "" && !d.policy.allows(host) {
		fault = fmt.Sprintf("points to the host %s, which is not among the hosts that cards may point to: use one of those, or have it added to them", quote(host))
	}
	if fault != "" {
		d.fail(p.at, "The %s %s %s.", p.noun, quote(v.text), fault)
	}
	return "https://" + host + rest
}

var badEscape = regexp.MustCompile(`%([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)`)

// splitURL splits an https URL into its host, in lower case, and what comes behind it. Fault completes the sentence "The
// URL ..."; "" is nothing.
func splitURL(s string) (host, rest, fault string) {
	const scheme = "https://"
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return "", "", `is not an https address: it must begin with "https://"`
	}
	authority, rest := s[len(scheme):], ""
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority, rest = authority[:i], authority[i:]
	}
	if fault = urlFault(s, authority, rest); fault != "" {
		return "", "", fault
	}
	host = strings.ToLower(strings.TrimSuffix(authority, ":443"))
	if strings.Contains(host, ":") {
		return "", "", "names a port: leave it out"
	}
	if err := hostFault(strings.TrimSuffix(authority, ":443")); err != nil {
		return "", "", fmt.Sprintf("has a host that cannot be used: %v", err)
	}
	// What net/url thinks of it must be the same.
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Host != authority {
		return "", "", "is not an address that every browser reads alike: write it anew"
	}
	return host, rest, ""
}

// urlFault finds what makes a URL ambiguous.
func urlFault(s, authority, rest string) string {
	for _, r := range s {
		switch {
		case r <= ' ' || r == 0x7f:
			return `has a space or a control character in it: write a space as "%20"`
		case strings.ContainsRune("\\\"<>^`{|}", r):
			return fmt.Sprintf("has %s in it: write it as %q", quote(string(r)), fmt.Sprintf("%%%02X", r))
		case r > '~' && !strings.ContainsRune(authority, r):
			return fmt.Sprintf("has %s in it, which is not ASCII: write it percent-encoded, as %q", quote(string(r)), url.PathEscape(string(r)))
		}
	}
	path, fragment, _ := strings.Cut(rest, "#")
	switch {
	case strings.Contains(authority, "@"):
		return "has a user name in front of its host: leave out everything up to the \"@\""
	case strings.HasPrefix(authority, "["):
		return "has an IP address for its host: write a name instead"
	case badEscape.MatchString(s):
		return `has a "%" without two hexadecimal digits behind it: write a percent sign as "%25"`
	case strings.HasPrefix(rest, "#"), strings.Contains(fragment, "#"):
		return `has a "#" directly behind its host, or a second one: write "/" in front of the first, and the second as "%23"`
	case strings.Contains(path+fragment, ":~:"):
		return `has a text directive (":~:") in it: leave that out`
	}
	return ""
}
