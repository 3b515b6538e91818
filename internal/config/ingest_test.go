package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestAudioLabel(t *testing.T) {
	c := Default()
	c.Publish.Languages = []Language{
		{Stream: "show", Track: 2, Language: "es", Name: "Español"}, {Stream: "*", Track: 2, Language: "fr"}, {Stream: "*", Track: 1, Language: "en"},
		{Stream: "late", Track: 1, Language: "de"}, {Stream: "*", Track: 1, Language: "it"},
	}
	for _, tt := range []struct {
		stream, language, name string
		track                  int
		ok                     bool
	}{
		{"show", "es", "Español", 2, true}, {"show", "en", "", 1, true}, {"show", "", "", 3, false},
		{"other", "fr", "", 2, true}, {"late", "de", "", 1, true},
	} {
		language, name, ok := c.AudioLabel(tt.stream, tt.track)
		if language != tt.language || name != tt.name || ok != tt.ok {
			t.Errorf("track %d of %s: %q, %q, %v", tt.track, tt.stream, language, name, ok)
		}
	}
}

// TestSecretsStayHidden: what has a password in it is not for logs.
func TestSecretsStayHidden(t *testing.T) {
	c := Default()
	c.SRT.Passphrase = "open sesame now"
	c.Pull.Sources = []Source{{Stream: "a", URL: "rtsp://user:sesame@h/"}}
	c.WHIP.ICEServers = []ICEServer{{URL: "turn:a.example.com", Username: "u", Credential: "sesame"}}
	text := fmt.Sprintf("%v %+v %#v %v", *c, c.SRT, c.Pull, Diff(Default(), c))
	if strings.Contains(text, "sesame") {
		t.Errorf("a secret shows in %s", text)
	}
	if s := Secret("").String(); s != "" {
		t.Errorf("no secret shows as %q", s)
	}
}
