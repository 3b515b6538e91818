package packager

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"pushcart/packager/window"
)

// Bounds of what a publisher may call a track.
const (
	longestName     = 64 // characters
	longestLanguage = 35 // bytes: RFC 5646 4.4.1
)

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// cleanLanguage is a publisher's language tag; "" when it is none (RFC 5646 2.1).
func cleanLanguage(tag string) string {
	if len(tag) > longestLanguage || !languageTag.MatchString(tag) {
		return ""
	}
	return tag
}

// cleanName is a publisher's name without what has no place in a quoted string (rfc8216bis 4.2), or turns the text around it:
// control characters, quotes, characters that steer the direction of writing.
func cleanName(name string) string {
	name = strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c == unicode.ReplacementChar, unicode.IsControl(c), unicode.In(c, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return -1
		}
		return c
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	if all := []rune(name); len(all) > longestName {
		name = strings.TrimSpace(string(all[:longestName]))
	}
	return name
}

// memberName is what a group's next member is called: as the publisher says, else by its language, and like no other.
func memberName(members []window.AudioMember, name, tag string) string {
	taken := func(s string) bool {
		return slices.ContainsFunc(members, func(m window.AudioMember) bool { return m.Name == s })
	}
	base := cleanName(name)
	switch {
	case base != "":
	case tag != "":
		base = tag
	case len(members) > 0:
		base = "Audio " + strconv.Itoa(len(members)+1)
	default:
		base = "Original"
	}
	unique := base
	for n := 2; taken(unique); n++ {
		unique = base + " " + strconv.Itoa(n)
	}
	return unique
}
