package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOperatorMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"callback without secret", "callback:\n  url: https://a.example.com/publish\n", "f:2:8: callback.url: callback.secret needs 16 characters or more, so that the service can tell who asks; a good one: openssl rand -hex 32"},
		{"callback no address", "callback: {url: a.example.com, secret: long-secret-of-16}\n", "f:1:17: callback.url: is not an address such as https://auth.example.com/publish"},
		{"short playback key", "playback:\n  keys:\n    - {id: k1, secret: short}\n", "f:3:24: playback.keys[1].secret: is shorter than 16 characters; a good one: openssl rand -hex 32"},
		{"playback id", "playback:\n  keys:\n    - {id: k.1, secret: long-secret-of-16}\n", `f:3:12: playback.keys[1].id: "k.1" cannot be used: 1 to 16 letters, digits, - and _`},
		{"playback id twice", "playback:\n  keys:\n    - {id: k1, secret: long-secret-of-16}\n    - {id: k1, secret: long-secret-of-17}\n", `f:4:12: playback.keys[2].id: "k1" is the id of entry 1 already`},
		{"open pattern", "playback: {open: [\"a/b\"]}\n", `f:1:19: playback.open[1]: "a/b" cannot be used: write a stream's name, with * for any characters and ? for any one, such as show-*`},
		{"proxy", "http: {trusted_proxies: [proxy.example.com]}\n", `f:1:26: http.trusted_proxies[1]: "proxy.example.com" is neither an IP address nor a network such as 10.0.0.0/8`},
		{"origin with a path", "http: {allowed_origins: [\"https://a.example.com/\"]}\n", `f:1:26: http.allowed_origins[1]: "https://a.example.com/" has more than a scheme, a host and a port, or * elsewhere than in place of a first label`},
		{"origin without a scheme", "http: {allowed_origins: [a.example.com]}\n", `f:1:26: http.allowed_origins[1]: "a.example.com" is not of the form https://shop.example.com`},
		{"CDN secret", "http: {cdn_secrets: [short]}\n", "f:1:22: http.cdn_secrets[1]: cannot be used: it takes 16 printable characters or more; a good one: openssl rand -hex 32"},
		{"terms", "acme: {domains: [live.example.com]}\n", "f:1:17: acme.domains: acme.domains needs acme.agree: true, which says that you accept the terms of the certificate authority"},
		{"no domain", "acme: {domains: [localhost], agree: true}\n", `f:1:18: acme.domains[1]: "localhost" is not a domain that a certificate can be had for, such as live.example.com`},
		{"two certificates", "acme: {domains: [live.example.com], agree: true}\ntls: {certificate: c, key: k}\n", "f:1:17: acme.domains: acme.domains and tls.certificate are two ways to a certificate: give one of them"},
		{"port of the authority", "acme: {domains: [live.example.com], agree: true, http_address: \":8080\"}\n", `f:1:64: acme.http_address: http.address (":8080") and acme.http_address (":8080") would listen on the same port`},
		{"webhook without secret", "webhooks: {targets: [{url: https://a.example.com/, secret: \"\"}]}\n", "f:1:60: webhooks.targets[1].secret: is empty: messages are signed; a good one: openssl rand -hex 32"},
		{"webhook twice", "webhooks: {targets: [{url: https://a.example.com/, secret: long-secret-of-16}, {url: https://a.example.com/, secret: long-secret-of-17}]}\n", "f:1:86: webhooks.targets[2].url: is that of entry 1: give one entry all events and streams"},
		{"webhook event", "webhooks: {targets: [{url: https://a.example.com/, secret: long-secret-of-16, events: [stream.begun]}]}\n", `f:1:88: webhooks.targets[1].events[1]: "stream.begun" is not one of stream.started, stream.ended, stream.degraded, stream.recovered, card.shown, card.hidden`},
		{"collector no address", "tracing: {endpoint: \"localhost:4318\"}\n", "f:1:21: tracing.endpoint: is not an address such as http://127.0.0.1:4318/v1/traces"},
		{"header", "tracing: {headers: [Authorization]}\n", "f:1:21: tracing.headers[1]: is not of the form NAME=VALUE"},
		{"role", "studio: {tokens: [{stream: a, token: long-secret-of-16, role: owner}]}\n", `f:1:63: studio.tokens[1].role: "owner" is not one of viewer, producer, admin`},
		{"admin of one stream", "studio: {tokens: [{stream: a, token: long-secret-of-16, role: admin}]}\n", `f:1:63: studio.tokens[1].role: cannot be used: admin is for the whole node: give it to an entry for the stream "*"`},
		{"rate of a key", "publish: {keys: [{stream: a, key: long-secret, max_bitrate: 1kbps}]}\n", "f:1:61: publish.keys[1].max_bitrate: 1kbps is out of range: allowed is 0, or 100kbps to 1Gbps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse("f", []byte(tt.text), nil)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got\n  %v\nwant\n  %s", err, tt.want)
			}
		})
	}
}

// TestValueFromFile gives secrets by files, which the environment names.
func TestValueFromFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, token, binary := filepath.Join(dir, "keys"), filepath.Join(dir, "token"), filepath.Join(dir, "binary")
	put(t, keys, "show1=secret-of-show1,show2=secret-of-show2\r\n")
	put(t, token, "* = \n")
	put(t, binary, "a\x00b")
	c, err := parse("f", nil, []string{"PUSHCART_PUBLISH_KEYS_FILE=" + keys, "PUSHCART_HLS_PART_DURATION_FILE=" + filepath.Join(dir, "none"), "PUSHCART_HLS_PART_DURATION=300ms"})
	if c != nil || err == nil || !strings.Contains(err.Error(), "PUSHCART_HLS_PART_DURATION_FILE: and PUSHCART_HLS_PART_DURATION are both there") {
		t.Errorf("a setting given twice: %v", err)
	}
	c, err = parse("f", nil, []string{"PUSHCART_PUBLISH_KEYS_FILE=" + keys})
	if err != nil || len(c.Publish.Keys) != 2 || c.Publish.Keys[1].Key != "secret-of-show2" {
		t.Errorf("keys from a file: %v, %v", c, err)
	}
	for _, tt := range []struct{ variable, want string }{
		{"PUSHCART_STUDIO_TOKENS_FILE=" + token, "PUSHCART_STUDIO_TOKENS_FILE: [1].token: cannot be used: it is empty"},
		{"PUSHCART_SRT_PASSPHRASE_FILE=" + binary, "is not plain UTF-8 text"},
		{"PUSHCART_SRT_PASSPHRASE_FILE=" + filepath.Join(dir, "none"), "cannot be read: no such file or directory"},
		{"PUSHCART_SRT_PASSPHRAS_FILE=" + token, "is not a setting; did you mean PUSHCART_SRT_PASSPHRASE?"},
	} {
		if _, err := parse("f", nil, []string{tt.variable}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s gives %v, want %s", tt.variable, err, tt.want)
		}
	}
}

// TestWatchValueFiles changes a secret in a file that the environment names: the configuration is read again.
func TestWatchValueFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "level")
	put(t, file, "debug\n")
	env := []string{"PUSHCART_LOG_LEVEL_FILE=" + file}
	watchingEnv(t, "", env, func(t *testing.T, w *watched) {
		expect(t, "nothing happened", w.after(3), "")
		put(t, file, "error\n\n")
		expect(t, "the value's file changed", w.after(2), "error")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got := w.after(2); !strings.Contains(got, "mistake") {
			t.Errorf("without the file: %q", got)
		}
	})
}
