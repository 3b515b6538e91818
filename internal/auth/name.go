package auth

import (
	"errors"
	"fmt"
)

// maxName is the length of the longest stream name, in bytes.
const maxName = 64

// ValidName tells whether a stream may have this name: one letter or digit, then up to 63 letters, digits, "_" or "-",
// all ASCII, because the name stands in URLs, in file names and in metric labels as it is. The error completes the
// sentence "the name cannot be used: ...".
func ValidName(name string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("it is longer than %d characters", maxName)
	}
	for i, r := range name {
		switch {
		case letterOrDigit(r):
		case r != '_' && r != '-':
			return fmt.Errorf("it has %q in it; a stream name is made of the letters A to Z and a to z, digits, \"-\" and \"_\"", r)
		case i == 0:
			return fmt.Errorf("it begins with %q; a stream name begins with a letter or a digit", r)
		}
	}
	return nil
}

func letterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
