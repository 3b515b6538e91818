package pull

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var certificateSum = strings.Repeat("0a", 32)

func TestValidate(t *testing.T) {
	t.Parallel()
	sentence := regexp.MustCompile(`^[A-Z].*\.$`)
	for _, tt := range []struct {
		url, field string // "" is a source that can be used
	}{
		{"rtsp://camera.example", ""},
		{"rtsp://camera.example:8554/live/1?channel=1&x", ""},
		{"rtsps://user:p%23ss@[2001:db8::1]:322/a", ""},
		{"rtsp://user:p@ss@192.0.2.1/user=a_password=b_channel=1.sdp?real_stream", ""},
		{"rtsps://camera.example/1#sha256=" + certificateSum, ""},
		{"rtsps://user:pass@camera.example/1?channel=1#sha256=" + strings.ToUpper(certificateSum), ""},
		{"rtsps://camera.example/1#sha256=" + strings.Repeat("AB:", 31) + "AB", ""},
		{"srt://encoder.example:9000", ""},
		{"srt://192.0.2.1:9000?streamid=%23!::r=live/cam,m=request&passphrase=0123456789&latency=200&mode=caller", ""},
		{"", "url"},
		{"camera.example", "url"},
		{"http://camera.example/", "url"},
		{"RTSP:camera", "url"},
		{"rtsp:///stream", "url"},
		{"rtsp://:554/stream", "url"},
		{"rtsp://user:secret@", "url"},
		{"rtsp://user:se#cret@camera.example/", "url"},
		{"rtsp://camera.example/#secret", "url"},
		{"rtsp://camera.example/#", "url"},
		{"rtsp://camera.example/#sha256=" + certificateSum, "url"},
		{"rtsps://camera.example/#sha256=" + certificateSum[2:], "url"},
		{"rtsps://camera.example/#sha256=" + certificateSum + "00", "url"},
		{"rtsps://camera.example/#sha256=" + certificateSum[2:] + "xx", "url"},
		{"rtsps://camera.example/#secret", "url"},
		{"srt://encoder.example:9000#sha256=" + certificateSum, "url"},
		{"rtsp://camera.example:x/secret", "url"},
		{"rtsp://camera.example:/secret", "url"},
		{"rtsp://camera.example:0/secret", "url"},
		{"rtsp://camera.example:65536/secret", "url"},
		{"rtsp://camera.example/a secret", "url"},
		{"rtsp://camera.example/\nsecret", "url"},
		{"rtsp://camera.example/%zzsecret", "url"},
		{"rtsp://user:…@camera.example/", "url"},
		{"rtsp://camera.example/\xffsecret", "url"},
		{"rtsp://camera.example/" + strings.Repeat("secret", 400), "url"},
		{"srt://encoder.example", "url"},
		{"srt://user:secret@encoder.example:9000", "url"},
		{"srt://encoder.example:9000/secret", "url"},
		{"srt://encoder.example:9000?mode=listener", "url"},
		{"srt://encoder.example:9000?passphrase=secret", "url"},
		{"srt://encoder.example:9000?passphrase=", "url"},
		{"srt://encoder.example:9000?passphrase=" + strings.Repeat("secret", 14), "url"},
		{"srt://encoder.example:9000?streamid=#!::r=secret", "url"},
		{"srt://encoder.example:9000?streamid=" + strings.Repeat("secret", 100), "url"},
		{"srt://encoder.example:9000?a;secret", "url"},
	} {
		err := Validate(Source{Stream: "cam", URL: tt.url})
		var e *Error
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%s: %v", tt.url, err)
		case tt.field == "":
		case !errors.As(err, &e) || e.Field != tt.field || e.Reason != ReasonInvalid:
			t.Errorf("%s: %v", tt.url, err)
		case !sentence.MatchString(e.Message) || strings.Contains(strings.ReplaceAll(e.Message, "a secret was hidden: give it with the secret", ""), "secret"):
			t.Errorf("%s: %q", tt.url, e.Message)
		}
	}
	for field, s := range map[string]Source{
		"stream":    {Stream: "../cam", URL: "rtsp://camera.example"},
		"transport": {Stream: "cam", URL: "rtsp://camera.example", Transport: "TCP"},
		"redirects": {Stream: "cam", URL: "srt://camera.example:1", Redirects: true},
	} {
		var e *Error
		if err := Validate(s); !errors.As(err, &e) || e.Field != field || !sentence.MatchString(e.Message) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := Validate(Source{Stream: "cam", URL: "srt://camera.example:1", Transport: "tcp"}); err == nil {
		t.Error("SRT over TCP is taken")
	}
	if err := Validate(Source{Stream: "cam", URL: "rtsps://camera.example", Transport: "udp"}); err == nil {
		t.Error("RTSPS over UDP is taken")
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rtsp://camera.example/live/1":                                      "rtsp://camera.example/live/1",
		"rtsp://user:secret@camera.example:554/1?channel=2":                 "rtsp://user:…@camera.example:554/1?channel=2",
		"rtsp://user:@camera.example/":                                      "rtsp://user:…@camera.example/",
		"rtsp://token@camera.example/":                                      "rtsp://…@camera.example/",
		"rtsp://us%40er:p%40ss@camera.example/":                             "rtsp://us%40er:…@camera.example/",
		"rtsp://[2001:db8::1]:554/a%20b":                                    "rtsp://[2001:db8::1]:554/a%20b",
		"rtsp://camera.example/?channel=1&pwd=x&flag&channel=a/b&p=":        "rtsp://camera.example/?channel=1&pwd=…&…&channel=…&p=…",
		"rtsp://camera.example/user=a_password=b_channel=1.sdp":             "rtsp://camera.example/user=a_password=…",
		"rtsp://camera.example/cgi/PassWd=b/more?x=y":                       "rtsp://camera.example/cgi/PassWd=…?x=…",
		"srt://e.example:9?streamid=%23!::r=a,s=b&passphrase=c&mode=c":      "srt://e.example:9?streamid=…&passphrase=…&mode=c",
		"srt://e.example:9?%70assphrase=c&latency=200":                      "srt://e.example:9?…&latency=200",
		"rtsps://user:secret@camera.example/1?a=b#sha256=" + certificateSum: "rtsps://user:…@camera.example/1?a=…#sha256=" + certificateSum,
		"rtsps://192.0.2.1:7441/aKwHYxcAvVzg0gQ3?enableSrtp":                "rtsps://192.0.2.1:7441/…?…",
		"rtsp://camera.example/a/8f14e45fceea167a5a36/sub":                  "rtsp://camera.example/a/…/sub",
		"rtsp://camera.example/Streaming/Channels/101":                      "rtsp://camera.example/Streaming/Channels/101",
		"rtsp://camera.example/h264Preview_01_main":                         "rtsp://camera.example/h264Preview_01_main",
		"rtsp://camera.example/cam/realmonitor?channel=1":                   "rtsp://camera.example/cam/realmonitor?channel=1",
		"rtsp://camera.example/axis-media/media.amp":                        "rtsp://camera.example/axis-media/media.amp",
		"rtsp://camera.example/MediaInput/AlphanumericVideo":                "rtsp://camera.example/MediaInput/AlphanumericVideo",
		"rtsps://camera.example/1#secret":                                   "rtsps://camera.example/1",
		"nonsense":                                                          "(a URL that cannot be read)",
		"rtsp://user:pa%zz@h/":                                              "(a URL that cannot be read)",
		"rtsp://user:pa#ss@h/":                                              "(a URL that cannot be read)",
		"mailto:user@secret.com":                                            "(a URL that cannot be read)",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	s := Source{Stream: "cam", URL: "rtsp://user:secret@camera.example/"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, s); strings.Contains(text, "secret") {
			t.Errorf("%s writes %s", format, text)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	const source = "rtsp://user:p%40ss/word@camera.example/?token=abc%20def"
	for text, want := range map[string]string{
		"no route to host":                        "no route to host",
		`Get "rtsp://user:p%40ss@camera.example"`: `Get "rtsp://user:…@camera.example"`,
		"401 for user p@ss":                       "401 for user …",
		"abc def or abc%20def":                    "… or …",
	} {
		if got := scrub(text, "rtsp://user:p%40ss@camera.example/?token=abc%20def"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	// What a camera says ends up in logs, on pages and on terminals.
	if got := scrub("it says \x1b[31m\"no\"\r\n\u202e\xff!", "rtsp://h/"); got != `it says [31m"no"!` {
		t.Errorf("%q", got)
	}
	if got := scrub(strings.Repeat("ä", 5000), "rtsp://h/"); len(got) > maxMessage+len(hidden) || !utf8.ValidString(got) || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	// Short passwords are in half of all words, but show in a URL.
	for text, want := range map[string]string{
		`dial "rtsp://abc:ab@camera.example": abc is about`: `dial "rtsp://abc:…@camera.example": abc is about`,
		"dial tcp: lookup ab@camera":                        "dial tcp: lookup ab@camera",
	} {
		if got := scrub(text, "rtsp://abc:ab@camera.example/"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := scrub(`dial "rtsp://tok@camera.example"`, "rtsp://tok@camera.example/"); got != `dial "rtsp://…@camera.example"` {
		t.Error(got)
	}
	if got := scrub("404 for aKwHYxcAvVzg0gQ3", "rtsps://192.0.2.1:7441/aKwHYxcAvVzg0gQ3?enableSrtp"); got != "404 for …" {
		t.Error(got)
	}
	if got := scrub("cannot read "+source, source); strings.Contains(got, "word") {
		t.Errorf("%s", got)
	}
}

// FuzzRedact: what is shown never has the password, the passphrase or the stream identifier in it, however they are
// written, unless the rest of the URL has it too.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{
		"rtsp://user:secret@camera.example:554/1?channel=2", "rtsp://us:er:pass@word@h/", "srt://h:1?streamid=%23!::r=a,s=KEY&passphrase=0123456789",
		"rtsp://h/user=a_password=b_c=1", "rtsps://u%3A:%70%61@[::1]/?passphrase=x;y&PASSPHRASE=z", "//u:p@h", "rtsp:u:p@h", "srt://h?streamid=a=b&streamid=c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := Redact(text)
		u, err := url.Parse(text)
		if err != nil {
			if shown != Redact("nonsense") {
				t.Fatalf("%q is shown as %q", text, shown)
			}
			return
		}
		rest := *u
		rest.RawQuery, rest.User = "", nil
		if u.User != nil {
			rest.User = url.User(u.User.Username())
		}
		open := rest.String() + " " + hidden + " passphrase streamid password " + strings.Join(append(namesOf(u), Redact("nonsense")), " ")
		check := func(what, secret string) {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				if form != "" && strings.Contains(shown, form) && !strings.Contains(open, form) {
					t.Fatalf("%q is shown as %q, with the %s %q", text, shown, what, form)
				}
			}
		}
		if u.User != nil {
			password, _ := u.User.Password()
			check("password", password)
		}
		query := u.Query()
		for _, name := range []string{"passphrase", "streamid"} {
			for _, value := range query[name] {
				check(name, value)
			}
		}
	})
}

// namesOf are the names of the query's parameters, and the pairs that are no secrets.
func namesOf(u *url.URL) (names []string) {
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name, "&", "=", "?")
		if redactPair(pair) == pair && !strings.HasPrefix(pair, "passphrase") && !strings.HasPrefix(pair, "streamid") {
			names = append(names, pair)
		}
	}
	return names
}
