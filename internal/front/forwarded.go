package front

import (
	"net/netip"
	"strings"
)

// maxHops is how many proxies are gone back through at most.
const maxHops = 16

// viewerOfChain reads X-Forwarded-For from the right, where the nearest proxy has put the address that it was asked from. An entry
// that is not an address ends it: the viewer counts as the proxy that passed it on.
func (p *policy) viewerOfChain(lines []string, peer netip.AddrPort) netip.AddrPort {
	at, hops := peer, 0
	for i := len(lines) - 1; i >= 0; i-- {
		line, more := lines[i], true
		for more {
			entry := line
			if comma := strings.LastIndexByte(line, ','); comma >= 0 {
				line, entry = line[:comma], line[comma+1:]
			} else {
				more = false
			}
			next, ok := parseNode(strings.Trim(entry, " \t"))
			if !ok {
				return at
			}
			at = next
			if hops++; hops == maxHops || !p.proxy(at.Addr()) {
				return at
			}
		}
	}
	return at
}

// viewerOfForwarded does the same with Forwarded (RFC 7239). proto is by which protocol the viewer came; "" where that is not said.
// Fields are read from the left, because commas may stand in quotes: one that cannot be read ends it.
func (p *policy) viewerOfForwarded(lines []string, peer netip.AddrPort) (_ netip.AddrPort, proto string) {
	at, hops := peer, 0
	for i := len(lines) - 1; i >= 0; i-- {
		elements, n, ok := parseForwarded(lines[i])
		if !ok {
			return at, proto
		}
		for ; n > 0; n-- {
			if hops == maxHops {
				return at, proto
			}
			e := elements[(n-1)%maxHops]
			next, ok := parseNode(e.node)
			if !ok {
				return at, proto
			}
			at, proto = next, e.proto
			if hops++; !p.proxy(at.Addr()) {
				return at, proto
			}
		}
	}
	return at, proto
}

// element is what one proxy says in Forwarded.
type element struct{ node, proto string }

// parseForwarded reads a field line (RFC 7239 4). n is how many elements it has; the last maxHops of them are kept, the one with
// index i at i modulo maxHops. Elements without for= have an empty node.
func parseForwarded(line string) (elements [maxHops]element, n int, ok bool) {
	rest := line
	for {
		var e element
		var seen uint8 // which of for and proto
		for {
			rest = strings.TrimLeft(rest, " \t")
			if rest == "" || rest[0] == ',' || rest[0] == ';' {
				// Lists may have empty elements (RFC 9110 5.6.1), and people write a semicolon too many.
			} else {
				name, value, after, ok := parsePair(rest)
				if !ok {
					return elements, 0, false
				}
				var bit uint8
				switch {
				case asciiEqual(name, "for"):
					bit, e.node = 1, value
				case asciiEqual(name, "proto"):
					bit, e.proto = 2, value
				}
				if seen&bit != 0 {
					return elements, 0, false // "Each parameter MUST NOT occur more than once per field-value"
				}
				seen |= bit
				rest = strings.TrimLeft(after, " \t")
			}
			if rest == "" || rest[0] != ';' {
				break
			}
			rest = rest[1:]
		}
		if seen != 0 {
			elements[n%maxHops] = e
			n++
		}
		if rest == "" {
			return elements, n, true
		}
		if rest[0] != ',' {
			return elements, 0, false
		}
		rest = rest[1:]
	}
}

// parsePair reads token "=" value, a value being a token or a quoted string.
func parsePair(s string) (name, value, rest string, ok bool) {
	n := tokenLength(s)
	if n == 0 || n == len(s) || s[n] != '=' {
		return "", "", "", false
	}
	name, s = s[:n], s[n+1:]
	if s == "" || s[0] != '"' {
		n = tokenLength(s)
		return name, s[:n], s[n:], n > 0
	}
	escaped := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			value = s[1:i]
			if escaped {
				value = unescape(value)
			}
			return name, value, s[i+1:], true
		}
	}
	return "", "", "", false
}

// unescape takes the backslashes out of a quoted string (RFC 9110 5.6.4).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// tokenLength is how much of s is a token (RFC 9110 5.6.2). Colons and brackets are taken as well: proxies leave the quotes away.
func tokenLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~:[]", c) >= 0) {
			return i
		}
	}
	return len(s)
}

// parseNode reads the address of a node (RFC 7239 6): 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:4711.
// A port that is hidden counts as 0. What is unknown or hidden is no address.
func parseNode(s string) (netip.AddrPort, bool) {
	if len(s) < 2 || len(s) > 64 {
		return netip.AddrPort{}, false
	}
	host, port := s, ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.AddrPort{}, false
		}
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' || strings.IndexByte(host, ':') < 0 {
			return netip.AddrPort{}, false
		}
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 && colon == strings.LastIndexByte(s, ':') {
		host, port = s[:colon], s[colon:]
	}
	number, ok := parsePort(port)
	if !ok {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(bare(a), number), true
}

// parsePort reads "", ":4711" or ":_hidden".
func parsePort(s string) (uint16, bool) {
	if s == "" {
		return 0, true
	}
	s = s[1:]
	if s == "" || len(s) > 32 {
		return 0, false
	}
	if s[0] == '_' {
		return 0, tokenLength(s) == len(s)
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || len(s) > 5 {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return uint16(n), n <= 65535
}

// lastOf is the last item of a header that may be a list.
func lastOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	if comma := strings.LastIndexByte(line, ','); comma >= 0 {
		line = line[comma+1:]
	}
	return strings.Trim(line, " \t")
}

// asciiEqual compares with what is written in small letters, whatever the case.
func asciiEqual(s, small string) bool {
	if len(s) != len(small) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != small[i] {
			return false
		}
	}
	return true
}
