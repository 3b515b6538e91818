package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// withoutSecrets is the log's last defence: whatever a line has that looks like a URL, or like a query of one, loses what may be a
// secret in it. Nothing should get that far. Groups and all kinds of values are looked at.
type withoutSecrets struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withoutSecrets) Handle(ctx context.Context, r slog.Record) error {
	message := redact(r.Message)
	changed := message != r.Message
	if !changed {
		r.Attrs(func(a slog.Attr) bool {
			_, changed = redactAttr(a)
			return !changed
		})
	}
	if !changed {
		return h.Handler.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a, _ = redactAttr(a)
		clean.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h withoutSecrets) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i], _ = redactAttr(a)
	}
	return withoutSecrets{h.Handler.WithAttrs(clean)}
}

// WithGroup implements slog.Handler.
func (h withoutSecrets) WithGroup(name string) slog.Handler {
	return withoutSecrets{h.Handler.WithGroup(name)}
}

// redactAttr cleans an attribute; changed tells that there was something to clean.
func redactAttr(a slog.Attr) (_ slog.Attr, changed bool) {
	v := a.Value.Resolve()
	if slices.Contains(secretAttrs, strings.ToLower(a.Key)) && v.Kind() != slog.KindGroup && v.String() != "" {
		return slog.String(a.Key, redacted), true
	}
	switch v.Kind() {
	case slog.KindString:
		clean := redact(v.String())
		return slog.String(a.Key, clean), clean != v.String()
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i := range group {
			one, is := redactAttr(group[i])
			clean[i], changed = one, changed || is
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}, changed
	case slog.KindAny:
		text, ok := textOf(v.Any())
		if !ok {
			return a, false
		}
		if clean := redact(text); clean != text {
			return slog.String(a.Key, clean), true
		}
	}
	return a, false
}

// textOf is what a handler would write of a value that is neither text nor number; false for what cannot have a URL in it.
func textOf(v any) (text string, ok bool) {
	defer func() {
		if recover() != nil { // a method of a nil pointer's: the handler copes with that
			text, ok = "", false
		}
	}()
	switch v := v.(type) {
	case nil:
		return "", false
	case error:
		return v.Error(), true
	case fmt.Stringer:
		return v.String(), true
	case []byte:
		return string(v), true
	}
	return fmt.Sprintf("%+v", v), true
}

// redacted stands for what was taken out.
const redacted = "REDACTED"

// placeholder is what sentences that tell where a key belongs have in its place.
const placeholder = "SECRET"

// secretNames are the parameters of queries, and of SRT's stream identifiers, whose values are secrets here, or at those from whom
// streams are fetched.
var secretNames = []string{
	"key", "token", "s", "secret", "password", "passphrase", "pass", "pwd", "auth", "access_token", "jwt", "sig", "signature", "hmac",
	"streamkey", "apikey", "api_key", "credential",
}

// secretAttrs are names of attributes whose values are secrets, whatever they look like.
var secretAttrs = []string{"token", "secret", "password", "passphrase", "authorization", "credential"}

// redact takes secrets out of a text: the user and the password of URLs, the values of secret parameters, the token in the paths of
// signed playback, and bearer tokens.
func redact(text string) string {
	if !suspicious(text) {
		return text
	}
	return redactBearer(redactPaths(redactParameters(redactUsers(text))))
}

// suspicious tells whether a text can have a secret that redact finds. Most lines have none.
func suspicious(text string) bool {
	return strings.ContainsAny(text, "=@") || strings.Contains(text, pathMark) || strings.Contains(text, "earer ") || strings.Contains(text, "%3")
}

// redactUsers replaces what stands between :// and @.
func redactUsers(text string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		i += len("://")
		out.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexAny(text, "/?# \t\r\n\"'<>")
		if end < 0 {
			end = len(text)
		}
		if at := strings.LastIndexByte(text[:end], '@'); at >= 0 {
			out.WriteString(redacted)
			text = text[at:]
			continue
		}
		// A password with a slash in it, which URLs should not have, and have.
		if space := strings.IndexAny(text, " \t\r\n\"'<>"); strings.IndexByte(text[:end], ':') > 0 {
			if space < 0 {
				space = len(text)
			}
			if at := strings.LastIndexByte(text[:space], '@'); at > end && !port(text[strings.IndexByte(text, ':')+1:end]) {
				out.WriteString(redacted)
				text = text[at:]
			}
		}
	}
}

// port tells whether a text is a port's number.
func port(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) > 0 && len(text) <= 5
}

// redactParameters replaces the values of parameters whose names are secretNames, as they stand in queries (?a=b&c=d), in SRT's
// stream identifiers (#!::r=live/show,s=SECRET), percent-encoded or not.
func redactParameters(text string) string {
	var out strings.Builder
	from := 0
	for i := 0; i < len(text); {
		width := 1
		switch {
		case text[i] == '=':
		case i+3 <= len(text) && strings.EqualFold(text[i:i+3], "%3d"):
			width = 3
		default:
			i++
			continue
		}
		value := i + width
		end := value
		for end < len(text) && !endsValue(text, end) {
			end++
		}
		if end > value && strings.TrimRight(text[value:end], ".") != placeholder && secretName(text[from:i]) {
			out.WriteString(text[from:value])
			out.WriteString(redacted)
			from = end
		}
		i = max(end, value)
	}
	out.WriteString(text[from:])
	return out.String()
}

// endsValue tells whether a parameter's value ends at an index.
func endsValue(text string, i int) bool {
	if strings.IndexByte("&;, \t\r\n\"'<>#)]}", text[i]) >= 0 {
		return true
	}
	if i+3 > len(text) || text[i] != '%' {
		return false
	}
	switch text[i+1 : i+3] {
	case "26", "2C", "2c", "23", "20", "3B", "3b": // & , # blank ;
		return true
	}
	return false
}

// secretName tells whether the parameter whose name ends a text is a secret.
func secretName(before string) bool {
	start := len(before)
	for start > 0 && nameByte(before[start-1]) {
		start--
	}
	name := before[start:]
	if start > 0 && before[start-1] == '%' && len(name) > 2 {
		name = name[2:] // behind an encoded ? & or ,
	}
	for _, secret := range secretNames {
		if strings.EqualFold(name, secret) {
			return true
		}
	}
	return false
}

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-'
}

// pathMark is the element of a path behind which a signed playback token stands: /p/TOKEN/live/...
const pathMark = "/p/"

// redactPaths replaces what stands behind pathMark.
func redactPaths(text string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, pathMark)
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		i += len(pathMark)
		out.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexAny(text, "/?# \t\r\n\"'<>")
		if end < 0 {
			end = len(text)
		}
		if end > 0 {
			out.WriteString(redacted)
		}
		text = text[end:]
	}
}

// redactBearer replaces the credentials of an Authorization header (RFC 6750 2.1).
func redactBearer(text string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, "earer ")
		if i < 1 || text[i-1]|0x20 != 'b' {
			if i < 0 {
				out.WriteString(text)
				return out.String()
			}
			out.WriteString(text[:i+len("earer ")])
			text = text[i+len("earer "):]
			continue
		}
		i += len("earer ")
		out.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexAny(text, " \t\r\n\"',;<>)]}")
		if end < 0 {
			end = len(text)
		}
		if end >= leastBearer {
			out.WriteString(redacted)
			text = text[end:]
		}
	}
}

// leastBearer is the length of the shortest text behind "bearer" that may be a token and is no plain word.
const leastBearer = 8
