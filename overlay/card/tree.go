package card

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may be nested in what is read; a card needs four levels.
const maxDepth = 8

// kind is what a JSON value is; also its name in sentences.
type kind string

const (
	kindNull   kind = "null"
	kindBool   kind = "true or false"
	kindNumber kind = "a number"
	kindText   kind = "a text"
	kindList   kind = "a list"
	kindObject kind = "an object"
)

// value is a JSON value (RFC 8259).
type value struct {
	kind    kind
	text    string // a text's characters, a number as it was written
	items   []value
	members []member // in the order of the document, each key once
}

type member struct {
	key   string
	value value
}

// find returns the index of a key; -1 when it is not there.
func (v value) find(key string) int {
	return slices.IndexFunc(v.members, func(m member) bool { return m.key == key })
}

// readTree reads JSON of at most MaxSize bytes. What is the noun for it: "document", "patch".
func readTree(data []byte, what string) (value, *FieldError) {
	fail := func(format string, args ...any) (value, *FieldError) {
		return value{}, &FieldError{Message: fmt.Sprintf(format, args...)}
	}
	if len(data) > MaxSize {
		_, err := fail("The %s has %d bytes, and %d is the most: shorten its texts or leave some languages out.", what, len(data), MaxSize)
		err.TooLarge = true
		return value{}, err
	}
	// encoding/json would put U+FFFD in place of what is not UTF-8.
	if !utf8.Valid(data) {
		return fail("The %s is not UTF-8 text: save it as UTF-8 and send it again.", what)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			return fail("The %s is not JSON: %v. Correct it and send it again.", what, err)
		}
		line, column := position(data, syntax.Offset)
		return fail("The %s is not JSON: %v in line %d, column %d. Check the quotation marks, commas and brackets there.", what, err, line, column)
	}
	r := treeReader{dec: json.NewDecoder(bytes.NewReader(data)), what: what}
	r.dec.UseNumber()
	v := r.value("", 0)
	return v, r.err
}

// position turns the count of bytes read into a line and a column, both from 1; columns count characters.
func position(data []byte, offset int64) (line, column int) {
	before := data[:min(max(offset-1, 0), int64(len(data)))]
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// treeReader builds the tree. Its error is sticky.
type treeReader struct {
	dec  *json.Decoder
	what string
	err  *FieldError
}

func (r *treeReader) fail(at, format string, args ...any) {
	if r.err == nil {
		r.err = &FieldError{Field: at, Message: fmt.Sprintf(format, args...)}
	}
}

// token returns nil after an error, as it does for null.
func (r *treeReader) token() json.Token {
	t, err := r.dec.Token()
	if err != nil {
		r.fail("", "The %s is not JSON: %v. Correct it and send it again.", r.what, err)
	}
	return t
}

func (r *treeReader) value(at string, depth int) value {
	switch t := r.token().(type) {
	case bool:
		return value{kind: kindBool}
	case json.Number:
		return value{kind: kindNumber, text: t.String()}
	case string:
		return value{kind: kindText, text: t}
	case json.Delim:
		if depth++; depth > maxDepth {
			r.fail(at, "The %s is nested deeper than %d levels: a card needs four.", r.what, maxDepth)
			return value{}
		}
		if t == '{' {
			return r.object(at, depth)
		}
		return r.list(at, depth)
	}
	return value{kind: kindNull}
}

func (r *treeReader) list(at string, depth int) value {
	v := value{kind: kindList}
	for r.err == nil && r.dec.More() {
		v.items = append(v.items, r.value(fmt.Sprintf("%s[%d]", at, len(v.items)), depth))
	}
	if r.err == nil {
		r.token() // the bracket
	}
	return v
}

func (r *treeReader) object(at string, depth int) value {
	v := value{kind: kindObject}
	seen := map[string]bool{}
	for r.err == nil && r.dec.More() {
		key, _ := r.token().(string)
		path := pathOf(at, key)
		if seen[key] {
			r.fail(path, "The key %s is there twice: keep one of them.", quote(key))
			break
		}
		seen[key] = true
		v.members = append(v.members, member{key, r.value(path, depth)})
	}
	if r.err == nil {
		r.token() // the brace
	}
	return v
}

// merge applies a merge patch (RFC 7396, 2). Neither argument is changed.
func merge(target, patch value) value {
	if patch.kind != kindObject {
		return patch
	}
	merged := value{kind: kindObject}
	if target.kind == kindObject {
		merged.members = slices.Clone(target.members)
	}
	for _, m := range patch.members {
		i := merged.find(m.key)
		switch {
		case m.value.kind == kindNull && i >= 0:
			merged.members = slices.Delete(merged.members, i, i+1)
		case m.value.kind == kindNull:
		case i >= 0:
			merged.members[i].value = merge(merged.members[i].value, m.value)
		default:
			merged.members = append(merged.members, member{m.key, merge(value{}, m.value)})
		}
	}
	return merged
}
