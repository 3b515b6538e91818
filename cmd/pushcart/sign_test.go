package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pushcart/internal/auth/playback"
)

const signingSecret = "0123456789abcdef0123456789abcdef"

// opens tells what a gate with a key answers for an address, as if it came from a country.
func opens(t *testing.T, id, secret, country, address string) int {
	t.Helper()
	p, err := playback.NewPolicy([]playback.Key{{ID: id, Secret: secret}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	gate := playback.New(playback.Options{Policy: func() *playback.Policy { return p }, Country: func(*http.Request) string { return country }})
	w := httptest.NewRecorder()
	gate.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, httptest.NewRequest("GET", address, nil))
	return w.Code
}

// TestSign: what the command prints opens the stream, and nothing more than was asked for.
func TestSign(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pushcart.yaml")
	text := "playback:\n  keys:\n    - {id: new, secret: " + signingSecret + "}\n    - {id: old, secret: an-older-one-0123456789}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, stdin, begins string
		env, args           []string
		id                  string
	}{
		{"the configuration's key", "", "/p/1.new.show.", nil, []string{"show", "-c", file}, "new"},
		{"the configuration by its variable", "", "/p/1.new.show.", []string{"PUSHCART_CONFIG=" + file}, []string{"show"}, "new"},
		{"a key", "", "https://live.example.com/p/1.k1.show.", nil, []string{"show", "--key", "k1:" + signingSecret, "--url", "https://live.example.com/"}, "k1"},
		{"a key on standard input", "k1:" + signingSecret + "\n", "/p/1.k1.show.", nil, []string{"show", "--key", "-"}, "k1"},
		{"all of it", "", "http://127.0.0.1:8080/p/1.k1.show.", nil, []string{"show", "--key=k1:" + signingSecret, "--url=http://127.0.0.1:8080", "--country=se,NO", "--viewers=100", "--expires=90m"}, "k1"},
	} {
		out, errs, code := feed(t, tt.stdin, tt.env, append([]string{"sign", "--playlist"}, tt.args...)...)
		address := strings.TrimSuffix(out, "\n")
		if code != exitOK || !strings.HasPrefix(address, tt.begins) || !strings.HasSuffix(address, "/live/show/index.m3u8") {
			t.Errorf("%s: %d %q %q", tt.name, code, out, errs)
			continue
		}
		path := address[strings.Index(address, "/p/"):]
		limited := strings.Contains(path, ".cSE-NO.v100.")
		if limited != (tt.name == "all of it") {
			t.Errorf("%s: %s", tt.name, path)
		}
		if got := opens(t, tt.id, signingSecret, "SE", path); got != http.StatusOK {
			t.Errorf("%s: %s is answered with %d", tt.name, path, got)
		}
		if got := opens(t, tt.id, signingSecret, "SE", strings.Replace(path, "/live/show/", "/live/show2/", 1)); got != http.StatusForbidden {
			t.Errorf("%s: another stream is answered with %d", tt.name, got)
		}
		if got := opens(t, tt.id, signingSecret, "DE", path); (got == http.StatusForbidden) != limited {
			t.Errorf("%s: from another country it is answered with %d", tt.name, got)
		}
	}
	if out, _, _ := call(t, nil, "sign", "show", "--key", "k1:"+signingSecret); !strings.HasSuffix(out, "/watch/show\n") {
		t.Errorf("without --playlist: %q", out)
	}
}

// TestSignRefuses: what cannot be signed is not, the sentence says what to do, and a secret is never printed.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		says string
		args []string
	}{
		{"playback.keys", []string{"show"}},
		{"--key", []string{"show", "--key", signingSecret}},
		{"16 to 256", []string{"show", "--key", "k1:tiny-secret"}},
		{"name", []string{"../show", "--key", "k1:" + signingSecret}},
		{"capital", []string{"show", "--country", "Sweden", "--key", "k1:" + signingSecret}},
		{"--expires", []string{"show", "--expires", "-1h", "--key", "k1:" + signingSecret}},
		{"viewers", []string{"show", "--viewers", "1000001", "--key", "k1:" + signingSecret}},
		{"--url", []string{"show", "--url", "live.example.com", "--key", "k1:" + signingSecret}},
		{"--url", []string{"show", "--url", "https://live.example.com/path", "--key", "k1:" + signingSecret}},
	} {
		out, errs, code := call(t, nil, append([]string{"sign"}, tt.args...)...)
		if code == exitOK || out != "" || !strings.Contains(errs, tt.says) {
			t.Errorf("%q: %d %q %q", tt.args, code, out, errs)
		}
		if strings.Contains(errs, signingSecret) || strings.Contains(errs, "tiny-secret") {
			t.Errorf("%q: a secret is printed: %s", tt.args, errs)
		}
	}
}
