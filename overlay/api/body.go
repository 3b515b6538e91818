package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pushcart/overlay"
)

// bodyTime is how long a request's body may take to arrive.
const bodyTime = 15 * time.Second

// bodyRule is what a route's body has to be; the zero value is none.
type bodyRule struct {
	// kinds are the media types taken, the preferred one first.
	kinds []string
	// limit of its size in bytes.
	limit int64
}

const (
	kindJSON  = "application/json"
	kindMerge = "application/merge-patch+json" // RFC 7396 4
)

// readBody reads a request's body, which is JSON.
func (c *call) readBody(rule bodyRule) error {
	if err := c.checkKind(rule.kinds); err != nil {
		return err
	}
	large := problemf(overlay.ReasonTooLarge, "", "The body has more than the %d bytes that are read here.", rule.limit)
	if c.r.ContentLength > rule.limit {
		return large.with("Connection", "close")
	}
	// The server gives headers their time, and bodies none.
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // what cannot be limited is not, as in a test's recorder
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, rule.limit))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		if over := new(http.MaxBytesError); errors.As(err, &over) {
			return large
		}
		return problemf(reasonMalformed, "", "The body did not arrive whole: %v.", err)
	}
	if err := wellFormed(body); err != nil {
		return err
	}
	c.body = body
	return nil
}

// checkKind holds the request's media type to those that the route takes.
func (c *call) checkKind(kinds []string) error {
	given := c.r.Header.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(given)
	charset := strings.ToLower(params["charset"])
	if err == nil && slices.Contains(kinds, kind) && (charset == "" || charset == "utf-8") {
		return nil
	}
	p := problemf(reasonMediaType, "Content-Type", "The Content-Type of this request has to be %s, in UTF-8.", strings.Join(kinds, " or "))
	if c.r.Method == http.MethodPatch {
		p.with("Accept-Patch", strings.Join(kinds, ", ")) // RFC 5789 3.1
	}
	return p
}

// wellFormed tells where a text stops being JSON.
func wellFormed(body []byte) error {
	if !utf8.Valid(body) {
		return problemf(reasonMalformed, "", "The body is not UTF-8.")
	}
	var any json.RawMessage
	err := json.Unmarshal(body, &any)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return problemf(reasonMalformed, "", "The body is not JSON: %v, at byte %d of %d.", syntax, syntax.Offset, len(body))
	}
	return problemf(reasonMalformed, "", "The body is not JSON: %v.", err)
}

// decode takes a well-formed JSON object into a struct. Members that the struct has not, that come twice or that are null
// are refused: encoding/json would pass over all three.
func decode(body []byte, into any) error {
	if err := checkMembers(body, keysOf(reflect.TypeOf(into).Elem())); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return problemf(overlay.ReasonInvalid, wrong.Field, "It is a JSON %s, but must be %s.", wrong.Value, kindOf(wrong.Type))
	}
	if err != nil {
		return problemf(overlay.ReasonInvalid, "", "The body cannot be read: %v.", err)
	}
	return nil
}

// keysOf lists the JSON members of a struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			keys = append(keys, name)
		}
	}
	return keys
}

// checkMembers walks an object's members.
func checkMembers(body []byte, known []string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return problemf(overlay.ReasonInvalid, "", "The body has to be a JSON object.")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return problemf(reasonMalformed, "", "The body is not JSON: %v.", err)
		}
		name, _ := t.(string)
		switch {
		case !slices.Contains(known, name):
			return problemf(overlay.ReasonInvalid, clip(name), "It is not known here. There are %s.", quoted(known))
		case seen[name]:
			return problemf(overlay.ReasonInvalid, name, "It is given twice.")
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return problemf(reasonMalformed, "", "The body is not JSON: %v.", err)
		}
		if string(value) == "null" {
			return problemf(overlay.ReasonInvalid, name, "It is null. Leave it out, or give it a value.")
		}
	}
	return nil
}

// kindOf names what a member has to be.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Struct:
		return "an object"
	case reflect.Int64:
		return "a whole number"
	}
	return "a string"
}

// clip shortens what a message quotes from a request.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// instant reads a time (RFC 3339).
func instant(text, field string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		hint := ""
		if strings.Contains(text, " ") {
			hint = ` In an address, "+" is written "%2B".`
		}
		return t, problemf(overlay.ReasonInvalid, field, "%q is not a time as in 2026-03-01T20:15:00Z or 2026-03-01T21:15:00.5+01:00 (RFC 3339).%s", clip(text), hint)
	}
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return t, problemf(overlay.ReasonInvalid, field, "%q is too far away.", clip(text))
	}
	return t, nil
}
