package config

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// others are values of settings that take more than their type tells.
var others = map[string]string{
	"node.name": "eu-1", "cluster.region": "eu", "cluster.advertise": "a.example.com:8444", "cluster.public_url": "https://a.example.com",
	"cluster.core": "a:6222,b:6222,c:6222", "cluster.leaf_of": "a:7422,b:7422", "cluster.nats": "nats://a:4222,tls://b:4222",
	"relay.prefetch": "show-*,vip?", "relay.push": "a:8444", "relay.regions": "eu,us", "relay.policies": `[{stream: "vip-*", regions: [eu]}]`,
	"http.trusted_proxies": "10.0.0.0/8,2001:db8::1", "http.allowed_origins": "https://shop.example.com,https://*.example.com:8443",
	"playback.open": "trailer-*", "acme.directory": "https://ca.example.com/acme", "callback.url": "https://shop.example.com/publish",
	"tracing.endpoint":       "http://127.0.0.1:4318/v1/traces",
	"routing.country_header": "CF-IPCountry", "routing.countries": "DE=eu,*=us", "routing.fallback": "eu,us",
}

// other makes a value of a setting that is allowed and is not the default, as it is written in the environment.
func other(t *testing.T, s setting) string {
	t.Helper()
	if text, ok := others[s.key]; ok {
		return text
	}
	switch s.typ {
	case reflect.TypeFor[Word]():
		return map[string]string{"log.level": "error", "log.format": "json", "callback.when_down": "known"}[s.key]
	case reflect.TypeFor[Address]():
		return "127.0.0.1:0"
	case reflect.TypeFor[string]():
		if s.key == "ladder.device" {
			return "/dev/dri/renderD129"
		}
		return "/some/file.pem"
	case reflect.TypeFor[bool]():
		return fmt.Sprint(!s.in(Default()).Bool())
	case reflect.TypeFor[[]Key](), reflect.TypeFor[[]Token]():
		return "show1=long-secret-of-16"
	case reflect.TypeFor[[]Secret]():
		return "name=long-secret-of-16"
	case reflect.TypeFor[[]PlaybackKey]():
		return "k1=long-secret-of-16"
	case reflect.TypeFor[[]WebhookTarget]():
		return "https://shop.example.com/=long-secret-of-16"
	case reflect.TypeFor[[]Source]():
		return "show1=rtsp://192.0.2.1/stream"
	case reflect.TypeFor[[]ICEServer]():
		return "stun:a.example.com,stun:b.example.com"
	case reflect.TypeFor[[]Language]():
		return "[{stream: show1, track: 1, language: es}]"
	case reflect.TypeFor[Secret]():
		return "long-secret-of-16"
	case reflect.TypeFor[[]NamedLadder]():
		return "[{name: mobile, rungs: [480p 900k]}]"
	case reflect.TypeFor[[]StreamLadder]():
		return "show1=none"
	case reflect.TypeFor[[]string]():
		if s.key == "ladder.encoders" {
			return "vaapi,cpu"
		}
		return "shop.example.com,cdn.example.com"
	case reflect.TypeFor[Region]():
		return "DE"
	}
	b, ok := boundsOf(s.typ, s.tag)
	if !ok {
		t.Fatalf("no other value for %s", s.key)
	}
	v := b.high
	if reflect.DeepEqual(v.Interface(), s.in(Default()).Interface()) {
		v = b.low
	}
	return fmt.Sprint(v)
}

// TestEveryVariable sets each setting by its variable, over a file that sets it as well.
func TestEveryVariable(t *testing.T) {
	// What other settings have to be, so that the rules hold.
	also := map[string][]string{
		"rtmp.tls_address":         {"PUSHCART_TLS_CERTIFICATE=c", "PUSHCART_TLS_KEY=k"},
		"rtsp.tls_address":         {"PUSHCART_TLS_CERTIFICATE=c", "PUSHCART_TLS_KEY=k"},
		"http.tls_address":         {"PUSHCART_TLS_CERTIFICATE=c", "PUSHCART_TLS_KEY=k"},
		"tls.certificate":          {"PUSHCART_TLS_KEY=k"},
		"tls.key":                  {"PUSHCART_TLS_CERTIFICATE=c"},
		"hls.segment_duration":     {"PUSHCART_HLS_MAX_SEGMENT_DURATION=60s", "PUSHCART_HLS_DVR=1h"},
		"hls.max_segment_duration": {"PUSHCART_HLS_DVR=1h"},
		"hls.part_duration":        {"PUSHCART_HLS_SEGMENT_DURATION=2s"},
		"cluster.address":          {"PUSHCART_CLUSTER_CORE=a:6222"},
		"cluster.core":             {"PUSHCART_CLUSTER_ADDRESS=:8444"},
		"cluster.leaf_of":          {"PUSHCART_CLUSTER_ADDRESS=:8444"},
		"cluster.nats":             {"PUSHCART_CLUSTER_ADDRESS=:8444"},
		"callback.url":             {"PUSHCART_CALLBACK_SECRET=long-secret-of-16"},
		"acme.domains":             {"PUSHCART_ACME_AGREE=true"},
		"relay.push":               {"PUSHCART_CLUSTER_ADDRESS=:8444", "PUSHCART_CLUSTER_CORE=a:6222"},
	}
	for _, s := range settings() {
		t.Run(s.variable(), func(t *testing.T) {
			text := other(t, s)
			env := append(also[s.key], s.variable()+"="+text)
			c, err := Load(documented, env)
			if err != nil {
				t.Fatal(err)
			}
			got := s.in(c).Interface()
			if reflect.DeepEqual(got, s.in(Default()).Interface()) {
				t.Errorf("%s=%s changes nothing", s.variable(), text)
			}
			if secret, ok := got.(Secret); ok {
				got = string(secret)
			}
			if s.typ.Kind() != reflect.Slice && fmt.Sprint(got) != text {
				t.Errorf("%s=%s gives %v", s.variable(), text, got)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	c, err := parse("f", []byte("hls: {part_duration: 500ms, dvr: 2m}\npublish: {keys: [{stream: old, key: long-secret}]}\n"),
		[]string{"HOME=/", "PUSHCART_HLS_PART_DURATION=300ms", "PUSHCART_CONFIG=ignored", "PUSHCART_RTMP_ADDRESS=",
			"PUSHCART_PUBLISH_KEYS= show1=long=secret= , *=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			"PUSHCART_LOG_LEVEL=warn", "PUSHCART_LOG_LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HLS.PartDuration != Duration(300*time.Millisecond) || c.HLS.DVR != Duration(2*time.Minute) || c.RTMP.Address != "" || c.Log.Level != "debug" {
		t.Errorf("got %+v", c)
	}
	want := []Key{{Stream: "show1", Key: "long=secret="}, {Stream: "*", Key: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}
	if !reflect.DeepEqual(c.Publish.Keys, want) {
		t.Errorf("keys are %v", c.AuthEntries())
	}
	c, err = parse("f", []byte("publish: {keys: [{stream: old, key: long-secret}]}\n"),
		[]string{`PUSHCART_PUBLISH_KEYS=[{stream: show1, key: "long-secret"}, {stream: "*", key: other-secret}]`})
	if err != nil || !reflect.DeepEqual(c.Publish.Keys, []Key{{Stream: "show1", Key: "long-secret"}, {Stream: "*", Key: "other-secret"}}) {
		t.Errorf("a list gives %v, %v", c, err)
	}
	c, err = parse("f", nil, []string{"PUSHCART_WHIP_ICE_SERVERS=stun:a.example.com, stun:b.example.com:3478", "PUSHCART_PULL_SOURCES=cam=rtsp://u:p=@h/1"})
	if err != nil || len(c.WHIP.ICEServers) != 2 || c.WHIP.ICEServers[1].URL != "stun:b.example.com:3478" ||
		len(c.Pull.Sources) != 1 || c.Pull.Sources[0].Stream != "cam" || string(c.Pull.Sources[0].URL) != "rtsp://u:p=@h/1" {
		t.Errorf("lists give %+v %+v, %v", c.WHIP, c.Pull, err)
	}
	for _, none := range []string{"", " ", "[]"} {
		c, err = parse("f", []byte("publish: {keys: [{stream: old, key: long-secret}]}\n"), []string{"PUSHCART_PUBLISH_KEYS=" + none})
		if err != nil || len(c.Publish.Keys) != 0 {
			t.Errorf("%q gives %v, %v", none, c, err)
		}
	}
}

// TestEnvironmentLists sets the lists that are not stream keys.
func TestEnvironmentLists(t *testing.T) {
	c, err := parse("f", []byte("cards: {hosts: [old.example.com]}\nstudio: {tokens: [{stream: old, token: long-secret-of-16}]}\n"),
		[]string{"PUSHCART_CARDS_HOSTS= a.example.com , *.b.example.com", "PUSHCART_STUDIO_TOKENS=show1=long=secret=of=16, *=other-secret-of-16"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.example.com", "*.b.example.com"}; !reflect.DeepEqual(c.Cards.Hosts, want) {
		t.Errorf("hosts are %q", c.Cards.Hosts)
	}
	if want := []Token{{Stream: "show1", Token: "long=secret=of=16"}, {Stream: "*", Token: "other-secret-of-16"}}; !reflect.DeepEqual(c.Studio.Tokens, want) {
		t.Errorf("tokens are %v", c.TokenEntries())
	}
	if e := c.TokenEntries(); len(e) != 2 || e[0].Stream != "show1" || e[0].Key != "long=secret=of=16" {
		t.Errorf("entries are %v", e)
	}
	c, err = parse("f", nil, []string{`PUSHCART_CARDS_HOSTS=["a.example.com", "*"]`, `PUSHCART_STUDIO_TOKENS=[{stream: "*", token: other-secret-of-16}]`})
	if err != nil || len(c.Cards.Hosts) != 2 || c.Cards.Hosts[1] != "*" || len(c.Studio.Tokens) != 1 {
		t.Errorf("lists give %v, %v", c, err)
	}
	for _, none := range []string{"", " ", "[]"} {
		c, err = parse("f", []byte("cards: {hosts: [old.example.com]}\n"), []string{"PUSHCART_CARDS_HOSTS=" + none})
		if err != nil || len(c.Cards.Hosts) != 0 {
			t.Errorf("%q gives %v, %v", none, c, err)
		}
	}
}

// TestClientVariables: what is meant for the commands that talk to a node is no mistake for the node.
func TestClientVariables(t *testing.T) {
	if got := complaints(t, "", "PUSHCART_URL=http://node:8080", "PUSHCART_TOKEN=long-secret", "PUSHCART_STREAM=show1"); got != "" {
		t.Error(got)
	}
}

func TestEnvironmentMistakes(t *testing.T) {
	tests := []struct{ name, env, want string }{
		{"mistyped", "PUSHCART_HLS_PARTDURATION=1s", "PUSHCART_HLS_PARTDURATION: is not a setting; did you mean PUSHCART_HLS_PART_DURATION?"},
		{"mistyped file", "PUSHCART_CONFG=a", "PUSHCART_CONFG: is not a setting; did you mean PUSHCART_CONFIG?"},
		{"nothing like it", "PUSHCART_Z=1", "PUSHCART_Z: is not a setting; settings are named like PUSHCART_HLS_PART_DURATION"},
		{"section", "PUSHCART_HLS={}", "PUSHCART_HLS: is not a setting; did you mean PUSHCART_HLS_DVR?"},
		{"no unit", "PUSHCART_HLS_DVR=60", "PUSHCART_HLS_DVR: 60 has no unit: write 60ms or 60s"},
		{"empty", "PUSHCART_HLS_DVR=", `PUSHCART_HLS_DVR: "" is not a duration, such as "200ms", "2s" or "1m30s"`},
		{"range", "PUSHCART_HLS_DVR=1s", "PUSHCART_HLS_DVR: 1s is out of range: allowed is 3s to 6h"},
		{"rule", "PUSHCART_HLS_DVR=5s", "PUSHCART_HLS_DVR: hls.dvr (5s) must be at least three times hls.max_segment_duration (4s): 12s"},
		{"pair", "PUSHCART_PUBLISH_KEYS=a=long-secret,b", "PUSHCART_PUBLISH_KEYS: [2]: is not of the form NAME=SECRET"},
		{"stream", "PUSHCART_PUBLISH_KEYS=-a=long-secret", `PUSHCART_PUBLISH_KEYS: [1].stream: cannot be used: it begins with '-'; a stream name begins with a letter or a digit`},
		{"key", "PUSHCART_PUBLISH_KEYS=a=b", "PUSHCART_PUBLISH_KEYS: [1].key: cannot be used: it is shorter than 8 characters; a good one: openssl rand -hex 16"},
		{"list", "PUSHCART_PUBLISH_KEYS=[{stream: a}]", "PUSHCART_PUBLISH_KEYS: [1].key: is missing"},
		{"list syntax", "PUSHCART_PUBLISH_KEYS=[", "PUSHCART_PUBLISH_KEYS: is not valid YAML: sequence end token ']' not found"},
		{"languages", "PUSHCART_PUBLISH_LANGUAGES=show=es", "PUSHCART_PUBLISH_LANGUAGES: [1]: has more to it than fits here: write the list as in the file, in brackets, such as [{stream: ..., track: ..., language: ...}]"},
		{"token pair", "PUSHCART_STUDIO_TOKENS=a=long-secret-of-16,b", "PUSHCART_STUDIO_TOKENS: [2]: is not of the form NAME=SECRET"},
		{"token", "PUSHCART_STUDIO_TOKENS=a=b", "PUSHCART_STUDIO_TOKENS: [1].token: cannot be used: it is shorter than 16 characters; a good one: openssl rand -hex 16"},
		{"host", "PUSHCART_CARDS_HOSTS=a.example.com,http://b.example.com", `PUSHCART_CARDS_HOSTS: [2]: "http://b.example.com" cannot be used: ` +
			`it is more than a host: write only the name, like "shop.example.com", without "https://", port and path`},
		{"list item", "PUSHCART_PUBLISH_KEYS=[a]", "PUSHCART_PUBLISH_KEYS: [1]: is a plain value, but must be a mapping with the keys stream, key, ladder, standby, max_bitrate, max_duration"},

		{"Kubernetes host", "PUSHCART_SERVICE_HOST=10.0.0.1", ""},
		{"Kubernetes port", "PUSHCART_SERVICE_PORT_RTMP=1935", ""},
		{"Kubernetes link", "PUSHCART_PORT=tcp://10.0.0.1:1935", ""},
		{"Kubernetes link part", "PUSHCART_PORT_1935_TCP_ADDR=10.0.0.1", ""},
		{"Kubernetes link protocol", "PUSHCART_PORT_1935_TCP_PROTO=tcp", ""},
		{"Kubernetes other service", "PUSHCART_RTMP_PORT=tcp://10.0.0.1:1935", ""},
		{"not Kubernetes", "PUSHCART_RTMP_PORT=https", "PUSHCART_RTMP_PORT: is not a setting; did you mean PUSHCART_RTMP_ADDRESS?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want != "" {
				want = "environment: " + want
			}
			if got := complaints(t, "", tt.env); got != want {
				t.Errorf("got\n  %s\nwant\n  %s", got, want)
			}
		})
	}
}

// TestVariableOverWrongValue checks that the file's mistake stays one, and that the rules look at the variable's value.
func TestVariableOverWrongValue(t *testing.T) {
	got := complaints(t, "hls:\n  dvr: 60\n", "PUSHCART_HLS_DVR=5s")
	want := "f:2:8: hls.dvr: 60 has no unit: write 60ms or 60s\n" +
		"environment: PUSHCART_HLS_DVR: hls.dvr (5s) must be at least three times hls.max_segment_duration (4s): 12s"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
