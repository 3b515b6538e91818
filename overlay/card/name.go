package card

import (
	"errors"
	"fmt"
	"strings"
)

// Lengths of the longest names, in bytes.
const (
	maxID   = 40
	maxSlot = 16
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// ValidID tells whether a card may have this identifier: a letter or digit, then up to 39 letters, digits, "-" or "_",
// all of them lower-case ASCII, because it stands in URLs and in the media as it is. The error completes the sentence "the
// id cannot be used: ...".
func ValidID(id string) error {
	return validName(id, maxID, lower+digits, lower+digits+"-_", `it is made of the letters a to z, digits, "-" and "_"`, "a letter or a digit")
}

// ValidSlot tells whether a slot may have this name: a letter, then up to 15 letters, digits or "-", all of them lower-case
// ASCII. The error completes the sentence "the name cannot be used: ...".
func ValidSlot(name string) error {
	return validName(name, maxSlot, lower, lower+digits+"-", `it is made of the letters a to z, digits and "-"`, "a letter")
}

// validName checks a name against the characters that it may begin with and those that it may have in it. Rule and begin
// say in words which these are.
func validName(s string, most int, first, all, rule, begin string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	if len(s) > most {
		return fmt.Errorf("it is longer than %d characters", most)
	}
	for _, r := range s {
		if !strings.ContainsRune(all, r) {
			return fmt.Errorf("it has %q in it; %s", r, rule)
		}
	}
	if !strings.ContainsRune(first, rune(s[0])) {
		return fmt.Errorf("it begins with %q; it must begin with %s", s[0], begin)
	}
	return nil
}
