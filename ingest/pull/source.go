package pull

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"pushcart/internal/auth"
)

// Source is a camera or an encoder that a stream is fetched from.
type Source struct {
	// Stream is the name under which it is published.
	Stream string `json:"stream"`
	// URL of the source, with user and password, or passphrase, where it wants them: a secret. Redact shows it. Behind that of
	// RTSPS may stand #sha256= and the fingerprint of the certificate that is expected.
	URL string `json:"url"`
	// OnDemand sources are fetched while somebody watches; the others always.
	OnDemand bool `json:"on_demand"`
	// Transport of RTSP's media: "udp", "tcp", or "auto" for the first of them that works; "" is "auto".
	Transport string `json:"transport"`
	// Redirects tells that a redirect to another host may be followed.
	Redirects bool `json:"redirects"`
}

// String leaves the secrets out.
func (s Source) String() string { return s.Stream + " from " + Redact(s.URL) }

// GoString leaves the secrets out.
func (s Source) GoString() string { return strconv.Quote(s.String()) }

// Reason says for programs what kind of Error it is.
type Reason string

// The reasons for which something about sources is refused.
const (
	ReasonInvalid  Reason = "invalid"   // the source cannot be used as it is given
	ReasonNotFound Reason = "not_found" // there is no such source
	ReasonConflict Reason = "conflict"  // the configuration has it, or there are too many
	ReasonStorage  Reason = "storage"   // it cannot be kept on the disk
)

// Error says why something about sources was refused.
type Error struct {
	Reason Reason
	// Field of the source that is wrong: "stream", "url", "transport" or "redirects"; "" when it is no single one.
	Field string
	// Message is a sentence that says what to do. It has no secrets in it.
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

func refuse(reason Reason, field, format string, args ...any) *Error {
	return &Error{Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Schemes are those that a source's URL may have.
var Schemes = []string{"rtsp", "rtsps", "srt"}

// Transports are what Source.Transport may be.
var Transports = []string{"auto", "udp", "tcp"}

// fingerprint is what may stand behind a URL, for a certificate that nobody has signed.
var fingerprint = regexp.MustCompile(`^sha256=[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$`)

// maxURL is the length of the longest URL, in bytes.
const maxURL = 2048

// Validate tells whether a source can be used as it is given. Its error is an *Error without secrets.
func Validate(s Source) error {
	if err := auth.ValidName(s.Stream); err != nil {
		return refuse(ReasonInvalid, "stream", "The stream name cannot be used: %v.", err)
	}
	u, err := parse(s.URL)
	if err != nil {
		return err
	}
	if s.Transport != "" && !slices.Contains(Transports, s.Transport) {
		return refuse(ReasonInvalid, "transport", "The transport has to be %s.", strings.Join(Transports, ", "))
	}
	if u.Scheme == "rtsps" && s.Transport == "udp" {
		return refuse(ReasonInvalid, "transport", "An rtsps source is fetched over TCP: say tcp, or auto.")
	}
	if u.Scheme != "srt" {
		return nil
	}
	if s.Transport != "" && s.Transport != "auto" {
		return refuse(ReasonInvalid, "transport", "SRT has one transport only: leave it out, or say auto.")
	}
	if s.Redirects {
		return refuse(ReasonInvalid, "redirects", "SRT knows no redirects: leave them out, or say false.")
	}
	return nil
}

// parse reads a source's URL. Its error is an *Error without secrets.
func parse(text string) (*url.URL, error) {
	wrong := func(format string, args ...any) error { return refuse(ReasonInvalid, "url", format, args...) }
	switch {
	case text == "":
		return nil, wrong("The URL is missing: give one such as rtsp://user:password@camera.example/stream.")
	case len(text) > maxURL:
		return nil, wrong("The URL is longer than %d bytes.", maxURL)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return nil, wrong("The URL has a space or a control character in it: write a space as %%20.")
	case strings.Contains(text, hidden):
		return nil, wrong("The URL has %q where a secret was hidden: give it with the secret.", hidden)
	}
	// The library's error quotes the URL.
	u, err := url.Parse(text)
	if err != nil {
		return nil, wrong("The URL cannot be read. In a user name, a password or a stream identifier, # is written %%23, / is %%2F, ? is %%3F, @ is %%40 and %% is %%25.")
	}
	if !slices.Contains(Schemes, u.Scheme) {
		return nil, wrong("The URL has to begin with %s://.", strings.Join(Schemes, ":// or "))
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return nil, wrong("The URL has no host: write %s://HOST:PORT and what follows.", u.Scheme)
	}
	if strings.Contains(text, "#") && (u.Scheme != "rtsps" || !fingerprint.MatchString(u.Fragment)) {
		return nil, wrong("The URL has a # in it, and what follows would not be sent: in a password or a stream identifier it is written %%23. " +
			"Only the fingerprint of an rtsps certificate stands behind one, as #sha256= and 64 hexadecimal digits.")
	}
	if err := checkPort(u); err != nil {
		return nil, err
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil && u.Scheme == "srt" {
		return nil, wrong("The part of the URL behind the ? cannot be read: it is NAME=VALUE, joined by &.")
	}
	if u.Scheme == "srt" {
		return u, checkSRT(u)
	}
	return u, nil
}

func checkPort(u *url.URL) error {
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		if u.Scheme == "srt" {
			return refuse(ReasonInvalid, "url", "The URL has no port, and SRT has no usual one: write srt://HOST:PORT.")
		}
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return refuse(ReasonInvalid, "url", "The port in the URL has to be a number from 1 to 65535.")
	}
	return nil
}

// Lengths of an SRT passphrase in bytes (draft-sharabayko-srt-01 6.1.1: HaiCrypt takes 10 to 79).
const (
	minPassphrase = 10
	maxPassphrase = 79
)

func checkSRT(u *url.URL) error {
	wrong := func(format string, args ...any) error { return refuse(ReasonInvalid, "url", format, args...) }
	query := u.Query()
	if u.User != nil {
		return wrong("SRT has no user and password: the URL takes ?passphrase=SECRET, and a key within ?streamid=.")
	}
	if u.Path != "" && u.Path != "/" {
		return wrong("An SRT source has no path: the stream is named by ?streamid=, such as ?streamid=%%23!::r=live/cam,m=request.")
	}
	if mode := query.Get("mode"); mode != "" && mode != "caller" {
		return wrong("This node calls its SRT sources: leave mode out of the URL, or say mode=caller.")
	}
	if n := len(query.Get("passphrase")); query.Has("passphrase") && (n < minPassphrase || n > maxPassphrase) {
		return wrong("An SRT passphrase has %d to %d characters.", minPassphrase, maxPassphrase)
	}
	if n := len(query.Get("streamid")); n > 512 {
		return wrong("An SRT stream identifier has at most 512 bytes.")
	}
	return nil
}
