package config

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/token"
)

// TestParserPanic checks that a panic of the YAML parser, here over tokens that no text gives, ends as an error.
func TestParserPanic(t *testing.T) {
	file, err := parseTokens(token.Tokens{nil})
	if file != nil || err == nil || !strings.HasPrefix(err.Error(), "the parser gave up: ") {
		t.Errorf("got %v, %v", file, err)
	}
}
