package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
)

// secretWord is in every secret of the tests, and may be in no line.
const secretWord = "hunter2"

// TestNoSecretsInTheLog: whatever looks like a URL with a secret in it is in no line, wherever in the line it stands, and what is no
// secret stays.
func TestNoSecretsInTheLog(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Enter it as NAME?key=SECRET.":                                          "Enter it as NAME?key=SECRET.",
		"rtmp://a/live/x?key=SECRETS":                                           "rtmp://a/live/x?key=REDACTED",
		"rtsp://user:hunter2@camera.example:554/main":                           "rtsp://REDACTED@camera.example:554/main",
		"rtsp://user:hun@ter:hunter2@camera/main":                               "rtsp://REDACTED@camera/main",
		"rtsp://user:a/hunter2@camera/main":                                     "rtsp://REDACTED@camera/main",
		"rtmp://host/live/show?key=hunter2":                                     "rtmp://host/live/show?key=REDACTED",
		"GET /live/show?a=1&token=hunter2&b=2 HTTP/1.1":                         "GET /live/show?a=1&token=REDACTED&b=2 HTTP/1.1",
		"srt://host:9000?streamid=#!::r=live/show,m=publish,s=hunter2":          "srt://host:9000?streamid=#!::r=live/show,m=publish,s=REDACTED",
		"srt://host?streamid=%23!::r%3Dshow%2Cs%3Dhunter2%2Cm%3Dpublish":        "srt://host?streamid=%23!::r%3Dshow%2Cs%3DREDACTED%2Cm%3Dpublish",
		"srt://host:9000?PassPhrase=hunter2&latency=200":                        "srt://host:9000?PassPhrase=REDACTED&latency=200",
		"/p/hunter2/live/show/index.m3u8":                                       "/p/REDACTED/live/show/index.m3u8",
		"https://cdn.example/p/hunter2/live/show/index.m3u8?_HLS_msn=1":         "https://cdn.example/p/REDACTED/live/show/index.m3u8?_HLS_msn=1",
		"Authorization: Bearer hunter2hunter2":                                  "Authorization: Bearer REDACTED",
		`Get "https://auth.example/cb?sig=hunter2": connection refused`:         `Get "https://auth.example/cb?sig=REDACTED": connection refused`,
		"two: http://a:hunter2@b/ and http://c:hunter2@d/?access_token=hunter2": "two: http://REDACTED@b/ and http://REDACTED@d/?access_token=REDACTED",
		// What is no secret stays as it is.
		"http://127.0.0.1:4318/v1/traces":            "http://127.0.0.1:4318/v1/traces",
		"read tcp 10.0.0.1:5->10.0.0.2:80: i/o":      "read tcp 10.0.0.1:5->10.0.0.2:80: i/o",
		"mail me@example.com, http://host:80/a@b":    "mail me@example.com, http://host:80/a@b",
		"part_target=200ms codec=h264 keyframe=true": "part_target=200ms codec=h264 keyframe=true",
		"the bearer of this":                         "the bearer of this",
		"key=":                                       "key=",
		"=":                                          "=",
		"50%3 of http://":                            "50%3 of http://",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q\nbecame %q\nwant   %q", text, got, want)
		}
		if !strings.Contains(text, secretWord) {
			continue
		}
		u, _ := url.Parse("http://user:hunter2@host/")
		for name, write := range map[string]func(*slog.Logger){
			"message":    func(l *slog.Logger) { l.Info(text) },
			"string":     func(l *slog.Logger) { l.Info("m", "url", text) },
			"error":      func(l *slog.Logger) { l.Info("m", "error", fmt.Errorf("it failed: %w", errors.New(text))) },
			"stringer":   func(l *slog.Logger) { l.Info("m", "url", u) },
			"slice":      func(l *slog.Logger) { l.Info("m", "urls", []string{"a", text}) },
			"struct":     func(l *slog.Logger) { l.Info("m", "setting", struct{ URL string }{text}) },
			"bytes":      func(l *slog.Logger) { l.Info("m", "body", []byte(text)) },
			"group":      func(l *slog.Logger) { l.Info("m", slog.Group("a", slog.Group("b", "url", text))) },
			"with":       func(l *slog.Logger) { l.With("url", text).Info("m") },
			"with group": func(l *slog.Logger) { l.WithGroup("g").With("url", text).Info("m", "also", text) },
			"valuer":     func(l *slog.Logger) { l.Info("m", "url", valuer(text)) },
			"name":       func(l *slog.Logger) { l.Info("m", "Token", secretWord) },
		} {
			for _, make := range []func(*bytes.Buffer) slog.Handler{
				func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
				func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			} {
				var out bytes.Buffer
				write(slog.New(withoutSecrets{make(&out)}))
				if strings.Contains(out.String(), secretWord) || !strings.Contains(out.String(), redacted) {
					t.Errorf("%s of %q: %s", name, text, out.String())
				}
			}
		}
	}
}

// valuer is resolved by whoever logs it.
type valuer string

func (v valuer) LogValue() slog.Value { return slog.StringValue(string(v)) }

// TestLogLevelsPass: the wrapper leaves to the handler what is logged, and copes with what has no text.
func TestLogLevelsPass(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := withoutSecrets{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})}
	l := slog.New(h)
	var none *url.URL
	l.Info("not this one")
	l.Warn("this one", "nil", nil, "nil pointer", none, "number", 5, "error", error(nil))
	if got := out.String(); strings.Contains(got, "not this one") || !strings.Contains(got, "this one") || !strings.Contains(got, "number=5") {
		t.Error(got)
	}
	if h.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("it takes what the handler does not")
	}
}

// FuzzRedact: no input has it fail, a second time changes nothing, and what it leaves out of a URL's user is gone.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{
		"rtsp://u:p@h/", "?key=a&token=b", "%3D%26s%3d1", "/p/x/p/", "Bearer aaaaaaaaaaa", "://", "://@", "=%", "s=", "bearer bearer ", "k%65y=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := redact(text)
		if again := redact(once); again != once {
			t.Fatalf("%q became %q and then %q", text, once, again)
		}
		if strings.ContainsAny(text, " \t\r\n\"'<>/?#@:=&%") {
			return
		}
		if got := redact("rtsp://user:" + text + "@host/a"); got != "rtsp://REDACTED@host/a" {
			t.Fatalf("%q", got)
		}
	})
}

// BenchmarkLogLine is a line without anything to hide.
func BenchmarkLogLine(b *testing.B) {
	l := slog.New(withoutSecrets{slog.NewTextHandler(discard{}, nil)})
	b.ReportAllocs()
	for b.Loop() {
		l.Info("publisher arrived", "stream", "show", "conn", "abcd", "protocol", "rtmp", "era", 1)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
