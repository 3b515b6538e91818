package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// complaints loads a file's text and an environment, and returns the mistakes as lines.
func complaints(t *testing.T, text string, env ...string) string {
	t.Helper()
	c, err := parse("f", []byte(text), env)
	if (c == nil) != (err != nil) {
		t.Fatalf("both or neither of a configuration and an error: %v, %v", c, err)
	}
	if err == nil {
		return ""
	}
	var ms Mistakes
	if !errors.As(err, &ms) || len(ms) == 0 {
		t.Fatalf("the error is %T: %v", err, err)
	}
	return ms.Error()
}

// TestMistakes has one case for each thing that can be wrong in a file.
func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"comments only", "# nothing\n", ""},
		{"empty document", "---\n", ""},
		{"empty section", "hls:\n#  dvr: 60s\nlog:\n  level: debug\n", ""},
		{"windows line ends", "\ufefflog:\r\n  level: debug\r\nhls:\r\n  dvr: 2m\r\n", ""},
		{"flow style", `{log: {level: "debug"}, hls: {dvr: 2m}}`, ""},

		{"unknown section", "viewers: 1\n", "f:1:1: viewers: is not a section; there are log, rtmp, rtsp, srt, whip, pull, http, tls, acme, admin, publish, callback, jwt, playback, hls, ladder, cards, studio, node, cluster, relay, routing, drain, upgrade, webhooks, tracing, data"},
		{"mistyped section", "htpp: {}\n", `f:1:1: htpp: is not a setting; did you mean "http"?`},
		{"setting without its section", "part_duration: 1s\n", "f:1:1: part_duration: is not a setting; did you mean hls.part_duration?"},
		{"mistyped key", "hls:\n  part-duraton: 200ms\n", `f:2:3: hls.part-duraton: is not a setting; did you mean "part_duration"?`},
		{"key of another section", "http:\n  part_duration: 200ms\n", "f:2:3: http.part_duration: is not a setting; did you mean hls.part_duration?"},
		{"key of none", "tls:\n  x: 1\n", "f:2:3: tls.x: is not a setting; tls has certificate, key"},
		{"key twice", "log:\n  level: info\n  format: text\n  level: debug\n", "f:4:3: log.level: is given twice, the first time in line 2"},
		{"section twice", "log:\n  level: info\nhls: {}\nlog: {}\n", "f:4:1: log: is given twice, the first time in line 1"},
		{"number as key", "1: 2\n", "f:1:1: 1: is not a section; there are log, rtmp, rtsp, srt, whip, pull, http, tls, acme, admin, publish, callback, jwt, playback, hls, ladder, cards, studio, node, cluster, relay, routing, drain, upgrade, webhooks, tracing, data"},

		{"value for section", "tls: on\n", "f:1:6: tls: is a plain value, but must be a mapping with the keys certificate, key"},
		{"list for section", "tls:\n  - a\n", "f:2:3: tls: is a list, but must be a mapping with the keys certificate, key"},
		{"list for file", "- a\n", "f:1:1: is a list, but must be a mapping with the keys log, rtmp, rtsp, srt, whip, pull, http, tls, acme, admin, publish, callback, jwt, playback, hls, ladder, cards, studio, node, cluster, relay, routing, drain, upgrade, webhooks, tracing, data"},
		{"mapping for value", "hls:\n  dvr:\n    a: 1\n", `f:3:5: hls.dvr: is a mapping, but must be a duration such as "200ms" or "2s"`},
		{"list for value", "rtmp: {max_bitrate: [1]}\n", `f:1:21: rtmp.max_bitrate: is a list, but must be a bit rate such as "800kbps" or "60Mbps"`},
		{"nothing for duration", "hls:\n  dvr:\n", `f:2:3: hls.dvr: is empty, but must be a duration such as "200ms" or "2s"`},
		{"nothing for address", "http:\n  address:\n", `f:2:3: http.address: is empty, but must be an address such as ":8080" or "127.0.0.1:8080", or "" for off`},
		{"nothing for word", "log:\n  level: ~\n", "f:2:3: log.level: is empty, but must be one of debug, info, warn, error"},
		{"nothing for text", "tls:\n  key:\n", `f:2:3: tls.key: is empty, but must be a text, "" for none`},
		{"nothing for size", "http:\n  max_header_size:\n", `f:2:3: http.max_header_size: is empty, but must be a size such as "16KiB" or "8MiB"`},
		{"nothing for number", "http:\n  max_connections:\n", "f:2:3: http.max_connections: is empty, but must be a whole number"},
		{"nothing for switch", "publish:\n  generate_key:\n", "f:2:3: publish.generate_key: is empty, but must be true or false"},
		{"nothing for list", "publish:\n  keys:\n", "f:2:3: publish.keys: is empty, but must be a list, [] for none"},

		{"duration without unit", "hls:\n  part_duration: 200\n", "f:2:18: hls.part_duration: 200 has no unit: write 200ms or 200s"},
		{"no duration", "hls:\n  dvr: long\n", `f:2:8: hls.dvr: "long" is not a duration, such as "200ms", "2s" or "1m30s"`},
		{"negative duration", "hls:\n  dvr: -60s\n", "f:2:8: hls.dvr: -60s is negative"},
		{"duration out of range", "hls:\n  part_duration: 2s\n", "f:2:18: hls.part_duration: 2s is out of range: allowed is 100ms to 1s"},
		{"size without unit", "rtmp:\n  max_message_size: 1000000\n", "f:2:21: rtmp.max_message_size: 1000000 has no unit: B, KiB, MiB or GiB"},
		{"no size", "rtmp:\n  max_message_size: big\n", `f:2:21: rtmp.max_message_size: "big" is not a size, such as "16KiB" or "1.5MiB"`},
		{"size out of range", "http:\n  min_read_rate: 1B\n", "f:2:18: http.min_read_rate: 1B is out of range: allowed is 0, or 1KiB to 10MiB"},
		{"rate without unit", "rtmp:\n  max_bitrate: 60\n", "f:2:16: rtmp.max_bitrate: 60 has no unit: bps, kbps, Mbps or Gbps"},
		{"rate in bytes", "rtmp:\n  max_bitrate: 60MiB\n", `f:2:16: rtmp.max_bitrate: "60MiB" is not a bit rate, such as "800kbps" or "60Mbps"`},
		{"no number", "http:\n  max_connections: many\n", `f:2:20: http.max_connections: "many" is not a whole number`},
		{"broken number", "http:\n  max_connections: 1.5\n", `f:2:20: http.max_connections: "1.5" is not a whole number`},
		{"number out of range", "http:\n  max_connections: 0\n", "f:2:20: http.max_connections: 0 is out of range: allowed is 1 to 10000000"},
		{"no switch", "publish:\n  generate_key: yes\n", `f:2:17: publish.generate_key: "yes" is neither true nor false`},
		{"no such word", "log:\n  level: verbose\n", `f:2:10: log.level: "verbose" is not one of debug, info, warn, error`},
		{"port for address", "http:\n  address: 8080\n", `f:2:12: http.address: 8080 has no host: write ":8080" for all addresses of this host, or "127.0.0.1:8080"`},
		{"host for address", "http:\n  address: localhost\n", `f:2:12: http.address: "localhost" has no port: write "host:port" or ":port"; "" is off`},
		{"bare IPv6 address", "http:\n  address: ::1\n", `f:2:12: http.address: "::1" is not an address: write "host:port", "[IPv6]:port" or ":port"; "" is off`},
		{"bad port", "http:\n  address: :99999\n", `f:2:12: http.address: ":99999" has the port "99999": a port is a number from 0 to 65535`},
		{"bad host", "http:\n  address: a/b:80\n", `f:2:12: http.address: "a/b:80" has the host "a/b", which is neither an IP address nor a host name`},

		{"segment longer than longest", "hls:\n  segment_duration: 5s\n", "f:2:21: hls.segment_duration: hls.max_segment_duration (4s) must be at least hls.segment_duration (5s)"},
		{"longest shorter than segment", "hls:\n  max_segment_duration: 1s\n", "f:2:25: hls.max_segment_duration: hls.max_segment_duration (1s) must be at least hls.segment_duration (2s)"},
		{"longest not whole", "hls:\n  max_segment_duration: 4500ms\n", "f:2:25: hls.max_segment_duration: 4.5s is not a whole number of seconds, as players need it (EXT-X-TARGETDURATION)"},
		{"part as long as segment", "hls:\n  part_duration: 1s\n  segment_duration: 1s\n", "f:2:18: hls.part_duration: hls.part_duration (1s) must be less than hls.segment_duration (1s)"},
		{"short dvr", "hls:\n  dvr: 11s\n", "f:2:8: hls.dvr: hls.dvr (11s) must be at least three times hls.max_segment_duration (4s): 12s"},
		{"short dvr by the other", "hls:\n  max_segment_duration: 30s\n", "f:2:25: hls.max_segment_duration: hls.dvr (60s) must be at least three times hls.max_segment_duration (30s): 90s"},
		{"no rule on a wrong value", "hls:\n  dvr: 5\n  max_segment_duration: 60s\n", "f:2:8: hls.dvr: 5 has no unit: write 5ms or 5s"},
		{"certificate alone", "tls:\n  certificate: a.pem\n", "f:2:16: tls.certificate: tls.certificate and tls.key come together, or not at all"},
		{"key alone", "tls:\n  key: a.pem\n", "f:2:8: tls.key: tls.certificate and tls.key come together, or not at all"},
		{"rtmps without certificate", "rtmp:\n  tls_address: \":1936\"\n", "f:2:16: rtmp.tls_address: rtmp.tls_address needs a certificate: set tls.certificate and tls.key, or acme.domains"},
		{"https without certificate", "http:\n  tls_address: \":8443\"\n", "f:2:16: http.tls_address: http.tls_address needs a certificate: set tls.certificate and tls.key, or acme.domains"},
		{"rtmps with certificate", "rtmp:\n  tls_address: \":1936\"\ntls: {certificate: a, key: b}\n", ""},
		{"same port", "http:\n  address: \":1935\"\n", `f:2:12: http.address: rtmp.address (":1935") and http.address (":1935") would listen on the same port`},
		{"same port on one address", "http:\n  address: \":9090\"\n", `f:2:12: http.address: http.address (":9090") and admin.address ("127.0.0.1:9090") would listen on the same port`},
		{"same port on two addresses", "http:\n  address: \"10.0.0.1:9090\"\n", ""},
		{"any free port", "http: {address: \":0\"}\nadmin: {address: \":0\"}\nrtmp: {address: \"[::]:0\"}\n", ""},

		{"rtsps without certificate", "rtsp:\n  tls_address: \":8322\"\n", "f:2:16: rtsp.tls_address: rtsp.tls_address needs a certificate: set tls.certificate and tls.key, or acme.domains"},
		{"odd port of RTP", "rtsp:\n  udp_address: \":8001\"\n", "f:2:16: rtsp.udp_address: has the odd port 8001: RTP wants an even one, and RTCP takes the next"},
		{"port of RTCP", "srt:\n  address: \":8001\"\n", `f:2:12: srt.address: rtsp.udp_address (":8001") and srt.address (":8001") would listen on the same port`},
		{"UDP beside TCP", "srt:\n  address: \":1935\"\n", ""},
		{"WHIP beside HTTP", "whip:\n  tcp_address: \":8080\"\n", `f:2:16: whip.tcp_address: whip.tcp_address (":8080") and http.address (":8080") would listen on the same port`},
		{"short passphrase", "srt:\n  passphrase: short\n", "f:2:15: srt.passphrase: has 5 characters: SRT takes 10 to 79"},
		{"good passphrase", "srt:\n  passphrase: long enough\n", ""},
		{"public address with a port", "whip:\n  public_addresses: [\"192.0.2.1:8189\"]\n", `f:2:22: whip.public_addresses[1]: "192.0.2.1:8189" is neither an IP address nor a host name: write it without a port`},
		{"public addresses", "whip:\n  public_addresses: [192.0.2.1, \"2001:db8::1\", live.example.com]\n", ""},
		{"no STUN server", "whip:\n  ice_servers: [{url: \"http://example.com\"}]\n", `f:2:23: whip.ice_servers[1].url: "http://example.com" is not a STUN or TURN server: write stun:HOST:PORT or turn:HOST:PORT`},
		{"TURN for nobody", "whip:\n  ice_servers: [{url: \"turn:a.example.com\"}]\n", `f:2:23: whip.ice_servers[1].url: "turn:a.example.com" needs a username and a credential`},
		{"ICE servers", "whip:\n  ice_servers: [{url: \"stun:a.example.com\"}, {url: \"turns:a.example.com\", username: a, credential: b}]\n", ""},
		{"source without URL", "pull:\n  sources: [{stream: a}]\n", "f:2:13: pull.sources[1].url: is missing"},
		{"two sources", "pull:\n  sources: [{stream: a, url: \"rtsp://h/1\"}, {stream: a, url: \"rtsp://h/2\"}]\n", `f:2:54: pull.sources[2].stream: "a" has a source already, number 1 of the list`},
		{"transport of source", "pull:\n  sources: [{stream: a, url: \"rtsp://h/1\", transport: smoke}]\n", `f:2:55: pull.sources[1].transport: "smoke" is not one of auto, udp, tcp`},
		{"sources", "pull:\n  sources: [{stream: a, url: \"rtsp://u:p@h/1\", on_demand: true, transport: tcp, redirects: true}, {stream: b, url: \"srt://h:9000\"}]\n", ""},
		{"no language", "publish:\n  languages: [{stream: a, track: 1, language: spanisch}]\n", `f:2:47: publish.languages[1].language: "spanisch" is not a language: write a BCP 47 tag such as es, pt-BR or zh-Hant`},
		{"no such track", "publish:\n  languages: [{stream: a, track: 0, language: es}]\n", "f:2:34: publish.languages[1].track: 0 is out of range: allowed is 1 to 16"},
		{"name of a language", "publish:\n  languages: [{stream: \"*\", track: 1, language: es, name: \"a\\\"b\"}]\n", `f:2:59: publish.languages[1].name: "a\"b" cannot be used: at most 64 bytes, no quotation marks and no control characters`},

		{"keys not a list", "publish:\n  keys: {show: longsecret}\n", "f:2:9: publish.keys: is a mapping, but must be a list, [] for none"},
		{"key not a mapping", "publish:\n  keys:\n    - longsecret\n", "f:3:7: publish.keys[1]: is a plain value, but must be a mapping with the keys stream, key, ladder, standby, max_bitrate, max_duration"},
		{"key without stream", "publish:\n  keys:\n    - key: longsecret\n", "f:3:7: publish.keys[1].stream: is missing"},
		{"stream without key", "publish:\n  keys:\n    - {stream: a, key: longsecret}\n    - {stream: b}\n", "f:4:7: publish.keys[2].key: is missing"},
		{"empty key", "publish:\n  keys:\n    - stream: a\n      key: \"\"\n", "f:4:12: publish.keys[1].key: cannot be used: it is empty"},
		{"star without quotes", "publish:\n  keys:\n    - stream: *\n      key: longsecret\n", `f:3:15: uses YAML's aliases (*name), which settings do without; a text that begins with "*" stands in quotes`},
		{"bad stream", "publish:\n  keys:\n    - {stream: a/b, key: longsecret}\n", `f:3:16: publish.keys[1].stream: cannot be used: it has '/' in it; ` +
			`a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`},
		{"short key", "publish:\n  keys:\n    - {stream: a, key: 1234567}\n", "f:3:24: publish.keys[1].key: cannot be used: it is shorter than 8 characters; a good one: openssl rand -hex 16"},
		{"bad hash", "publish:\n  keys:\n    - {stream: a, key: \"sha256:12\"}\n", `f:3:24: publish.keys[1].key: cannot be used: after "sha256:" stand 64 hexadecimal digits, as printed by: printf %s SECRET | sha256sum`},
		{"same key twice", "publish:\n  keys:\n    - {stream: a, key: longsecret}\n    - {stream: a, key: longsecret}\n",
			"f:4:24: publish.keys[2].key: cannot be used: entry 1 has the same secret for the same stream"},

		{"token without stream", "studio:\n  tokens:\n    - token: longsecret-of-16\n", "f:3:7: studio.tokens[1].stream: is missing"},
		{"token as key", "studio:\n  tokens:\n    - {stream: a, key: longsecret}\n", "f:3:7: studio.tokens[1].token: is missing\n" +
			"f:3:19: studio.tokens[1].key: is not a setting; studio.tokens[1] has stream, token, role"},
		{"short token", "studio:\n  tokens:\n    - {stream: a, token: 1234567}\n", "f:3:26: studio.tokens[1].token: cannot be used: it is shorter than 16 characters; a good one: openssl rand -hex 16"},
		{"same token twice", "studio:\n  tokens:\n    - {stream: a, token: longsecret-of-16}\n    - {stream: a, token: longsecret-of-16}\n",
			"f:4:26: studio.tokens[2].token: cannot be used: entry 1 has the same secret for the same stream"},
		{"hosts not a list", "cards:\n  hosts: shop.example.com\n", "f:2:10: cards.hosts: is a plain value, but must be a list, [] for none"},
		{"host not a text", "cards:\n  hosts: [{a: b}]\n", `f:2:11: cards.hosts[1]: is a mapping, but must be a text, "" for none`},
		{"host with a path", "cards:\n  hosts:\n    - shop.example.com\n    - https://shop.example.com/\n", `f:4:7: cards.hosts[2]: "https://shop.example.com/" cannot be used: ` +
			`it is more than a host: write only the name, like "shop.example.com", without "https://", port and path`},
		{"no country", "node:\n  region: Germany\n", `f:2:11: node.region: "Germany" cannot be used: it is no country of ISO 3166-1: write its code of two capital letters, like "DE"; "" is none`},
		{"small country", "node:\n  region: de\n", `f:2:11: node.region: "de" cannot be used: its code is "DE": write that; "" is none`},
		{"union of countries", "node:\n  region: EU\n", `f:2:11: node.region: "EU" cannot be used: it is no country of ISO 3166-1: write its code of two capital letters, like "DE"; "" is none`},
		{"nothing for country", "node:\n  region:\n", `f:2:3: node.region: is empty, but must be a country such as "DE", or "" for none`},
		{"no data folder", "data:\n  directory: \"\"\n", "f:2:14: data.directory: is empty, but must be a folder for what the node keeps, such as /var/lib/pushcart"},

		{"syntax", "log:\n  level: [a\n", "f:2:10: is not valid YAML: sequence end token ']' not found"},
		{"tabs", "log:\n\tlevel: info\n", "f:2:1: is not valid YAML: found character '\t' that cannot start any token"},
		{"not text", "log:\n  level: a\x00b\n", "f:2:11: is not plain UTF-8 text"},
		{"not UTF-8", "log: \xff\n", "f:1:6: is not plain UTF-8 text"},
		{"two documents", "log: {}\n---\nhls: {}\n", "f:3:4: has a second document; one is all that is read"},
		{"anchor", "log: &a {}\n", "f:1:6: uses YAML's anchors (&name), which settings do without"},
		{"merge key", "log:\n  <<: {}\n", "f:2:3: uses YAML's merge keys (<<), which settings do without"},
		{"tag", "log: !!map {}\n", `f:1:6: uses YAML's tags (!name), which settings do without; a text that begins with "!" stands in quotes`},
		{"complex key", "? a\n: b\n", "f:1:1: uses YAML's complex keys (?), which settings do without"},
		{"directive", "%YAML 1.2\n---\n", "f:1:1: uses YAML's directives (%NAME), which settings do without"},
		{"deep brackets", strings.Repeat("[", 100000), "f: has more than 50000 words and signs"},
		{"brackets", strings.Repeat("[", 1000), "f:1:9: is nested too deeply"},
		{"dashes", strings.Repeat("- ", 1000), "f:1:65: is nested too deeply"},
		{"deep sections", deep(100), "f:65:65: is nested too deeply"},
		{"large", strings.Repeat("#\n", 1<<19) + "#", "f: is larger than 1MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := complaints(t, tt.text); got != tt.want {
				t.Errorf("got\n  %s\nwant\n  %s", got, tt.want)
			}
		})
	}
}

func deep(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestAllMistakesAtOnce checks that one does not hide another, and their order.
func TestAllMistakesAtOnce(t *testing.T) {
	got := complaints(t, `hls:
  dvr: [1]
  segment_duration: 5s
log:
  level: loud
  colour: red
publish:
  keys:
    - {stream: a b, key: short}
    - {stream: ok, key: long-enough}
    - {}
http:
  address: 8080
`, "PUSHCART_LOG_FORMAT=xml", "PUSHCART_ADMIN_ADRESS=:1")
	want := `f:2:8: hls.dvr: is a list, but must be a duration such as "200ms" or "2s"
f:3:21: hls.segment_duration: hls.max_segment_duration (4s) must be at least hls.segment_duration (5s)
f:5:10: log.level: "loud" is not one of debug, info, warn, error
f:6:3: log.colour: is not a setting; log has level, format
f:9:16: publish.keys[1].stream: cannot be used: it has ' ' in it; a stream name is made of the letters A to Z and a to z, digits, "-" and "_"
f:9:26: publish.keys[1].key: cannot be used: it is shorter than 8 characters; a good one: openssl rand -hex 16
f:11:7: publish.keys[3].key: is missing
f:11:7: publish.keys[3].stream: is missing
f:13:12: http.address: 8080 has no host: write ":8080" for all addresses of this host, or "127.0.0.1:8080"
environment: PUSHCART_ADMIN_ADRESS: is not a setting; did you mean PUSHCART_ADMIN_ADDRESS?
environment: PUSHCART_LOG_FORMAT: "xml" is not one of text, json`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTooManyMistakes(t *testing.T) {
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "x%d: 1\n", i)
	}
	lines := strings.Split(complaints(t, text.String()), "\n")
	if last := lines[len(lines)-1]; len(lines) != maxMistakes+1 || last != "f: has 400 more mistakes" {
		t.Errorf("%d lines, the last is %q", len(lines), last)
	}
}

// TestSecretsStaySecret looks for a key in everything that is said about a file with mistakes around it.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "very-secret-key&"
	for _, text := range []string{
		"publish:\n  keys:\n    - {stream: a, key: \"" + secret + "\"}\n",
		"publish:\n  keys: \"" + secret + "\"\n",
		"publish:\n  keys:\n    - \"" + secret + "\"\n",
		"publish:\n  keys:\n    - {stream: a, key: [\"" + secret + "\"]}\n",
		"publish:\n  keys:\n    - {stream: a, key: \"" + secret + "\n",
		"studio:\n  tokens:\n    - {stream: a, token: \"" + secret + "\"}\n",
		"studio:\n  tokens: [\"" + secret + "\"]\n",
	} {
		if got := complaints(t, text); got == "" || strings.Contains(got, "very-secret") {
			t.Errorf("for %q it says %q", text, got)
		}
	}
	for _, value := range []string{"a=" + secret, secret, `[{stream: a, key: "` + secret + `"}]`, `["` + secret + `"]`, "[" + secret} {
		if got := complaints(t, "", "PUSHCART_PUBLISH_KEYS="+value); got == "" || strings.Contains(got, "very-secret") {
			t.Errorf("for %q it says %q", value, got)
		}
	}
	if got := complaints(t, "", "PUSHCART_STUDIO_TOKENS=a="+secret); got == "" || strings.Contains(got, "very-secret") {
		t.Errorf("it says %q", got)
	}
	c := Default()
	c.Publish.Keys = []Key{{Stream: "a", Key: secret}}
	c.Studio.Tokens = []Token{{Stream: "a", Token: secret}}
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprint(Diff(Default(), c))} {
		if strings.Contains(s, "very-secret") {
			t.Errorf("a printed configuration shows its secret: %s", s)
		}
	}
}

func TestLoadValues(t *testing.T) {
	c, err := parse("f", []byte(`
log: {level: warn, format: json}
rtmp: {address: "", max_message_size: 1.5 MiB, max_bitrate: 2500kbps, idle_timeout: 1m30s}
http: {min_read_rate: 0, max_connections: 7}
publish:
  generate_key: true
  keys:
    - stream: show-1
      key: 12345678
    - stream: "*"
      key: 'sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08'
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Log = Log{"warn", "json"}
	want.RTMP.Address, want.RTMP.MaxMessageSize, want.RTMP.MaxBitrate = "", 3*MiB/2, 2500*Kbps
	want.RTMP.IdleTimeout = Duration(90 * time.Second)
	want.HTTP.MinReadRate, want.HTTP.MaxConnections = 0, 7
	want.Publish.GenerateKey = true
	want.Publish.Keys = []Key{{Stream: "show-1", Key: "12345678"}, {Stream: "*", Key: "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"}}
	if d := Diff(want, c); len(d) > 0 {
		t.Errorf("differs in %v", d)
	}
	if e := c.AuthEntries(); len(e) != 2 || e[0].Stream != "show-1" || e[0].Key != "12345678" {
		t.Errorf("entries are %v", e)
	}
	if got := c.Log.SlogLevel().String(); got != "WARN" {
		t.Errorf("level is %s", got)
	}
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte("log: {level: debug}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func() (*Config, error){
		"given":       func() (*Config, error) { return Load(good, nil) },
		"environment": func() (*Config, error) { return Load("", []string{"A=b", "PUSHCART_CONFIG=" + good}) },
		"given wins":  func() (*Config, error) { return Load(good, []string{"PUSHCART_CONFIG=/nowhere"}) },
	} {
		if c, err := load(); err != nil || c.Log.Level != "debug" {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if c, err := Load("", nil); err != nil || len(Diff(c, Default())) > 0 {
		t.Errorf("no file gives %v, %v", c, err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "cannot be read: no such file or directory",
		dir:                             "cannot be read: is a directory",
	} {
		if _, err := Load(file, nil); err == nil || err.Error() != file+": "+want {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	if data, err := os.ReadFile(documented); err == nil {
		f.Add(data, "")
	}
	for _, s := range []string{
		"hls:\n  part_duration: 200\n", "log: {level: debug}", "publish:\n  keys:\n    - {stream: a, key: longsecret}\n",
		"a: [b, {c: d}]\n---\n", "? a\n: b", "x: |\n  a\n", "x: >-\n  a\n", "\"a\\x41\": 'b'", "- - - a", "{a: {b: [", "a: *b", "a: &b c",
		"rtmp:\n\taddress: 1", "<<: {}", "!!str a", "%YAML 1.2\n---\na: b\n...\n", "a:\r\n b\r\n", ": ", "-", "[,]", "{,}", "a: # c\n  # d\n  b",
	} {
		f.Add([]byte(s), "")
	}
	f.Add([]byte(nil), "a=longsecret,b=otherlong")
	f.Add([]byte(nil), "[{stream: a, key: longsecret}]")
	f.Fuzz(func(t *testing.T, data []byte, keys string) {
		var env []string
		if keys != "" {
			env = []string{"PUSHCART_PUBLISH_KEYS=" + keys}
		}
		c, err := parse("f", data, env)
		if err == nil {
			again, err := parse("f", data, env)
			if err != nil || len(Diff(c, again)) > 0 {
				t.Fatalf("the same text gives another configuration: %v", err)
			}
			for _, s := range settings() {
				if err := inRange(s.in(c), s.tag); err != nil {
					t.Fatalf("%s %v", s.key, err)
				}
			}
			return
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1 // either one ends a line in YAML
		for _, m := range err.(Mistakes) {
			if m.Message == "" || m.Line < 0 || m.Line > lines || (m.Line > 0) != (m.Column > 0) {
				t.Fatalf("mistake %+v in %d lines", m, lines)
			}
		}
	})
}
