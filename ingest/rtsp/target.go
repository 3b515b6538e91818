package rtsp

import (
	"encoding/base64"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"pushcart/ingest"
)

// app is the first part of every path, as in rtsp://HOST/live/NAME.
const app = "live"

// longestName is the length in bytes above which a stream's name or key cannot be one.
const longestName = 256

// target is what a client wants to publish, and with what right.
type target struct {
	name, key string
	// tried tells that the client sent credentials, right or wrong: it need not be asked for them.
	tried bool
}

// parseTarget takes a request's path and query, and its Authorization header, apart. The key may stand in either; in the
// query it may have a track's control attribute behind it (NAME?key=SECRET/trackID=0), which clients put behind whatever the
// URL ends with. A password comes before the query, because who sends one was asked for it.
func parseTarget(path, query string, authorization base.HeaderValue) (target, *ingest.Refusal) {
	var t target
	first, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	if first != app {
		return t, ingest.Refuse(ingest.ReasonBadName, "There is nothing at this path: publish to rtsp://HOST/%s/NAME.", app)
	}
	t.name = strings.Trim(withoutControl(rest), "/")
	if len(t.name) > longestName {
		return t, ingest.Refuse(ingest.ReasonBadName, "The stream's name is too long: it has %d characters. Copy the address again: rtsp://HOST/%s/NAME.", len(t.name), app)
	}
	t.key = ingest.QueryValue(strings.TrimSuffix(withoutControl(query), "/"), "key")
	t.tried = t.key != ""
	if user, password, ok := basic(authorization); ok {
		t.tried = true
		switch {
		case password != "":
			t.key = password
		case t.key == "": // rtsp://SECRET@HOST: some programs have one field for both
			t.key = user
		}
	}
	if t.name == "" && t.key == "" {
		return t, ingest.Refuse(ingest.ReasonBadName, "The stream's name is missing: publish to rtsp://HOST/%s/NAME.", app)
	}
	return t, nil
}

// withoutControl removes a control attribute, which clients put behind the whole address, from the end of a path or a query.
func withoutControl(v string) string {
	for _, mark := range [...]string{"/trackID=", "/streamid=", "/stream=", "/track"} {
		if i := strings.LastIndex(v, mark); i >= 0 && digits(v[i+len(mark):]) {
			return v[:i]
		}
	}
	return v
}

func digits(v string) bool {
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return v != ""
}

// basic reads an Authorization header of the Basic scheme (RFC 7617 2). Unlike gortsplib's reader it takes a password with a colon
// in it.
func basic(header base.HeaderValue) (user, password string, ok bool) {
	if len(header) != 1 {
		return "", "", false
	}
	scheme, credentials, _ := strings.Cut(header[0], " ")
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(plain), ":")
	return user, password, ok
}
