package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// description is openapi.yaml, and the means to hold answers to it. It knows the keywords of JSON Schema that the document
// uses and complains about any other.
type description struct{ root map[string]any }

var loaded = sync.OnceValues(func() (*description, error) {
	var tree any
	if err := yaml.UnmarshalWithOptions(openAPI, &tree, yaml.Strict()); err != nil {
		return nil, err
	}
	// In the types that JSON has.
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	d := &description{}
	return d, decodeJSON(text, &d.root)
})

func describedAs(t testing.TB) *description {
	t.Helper()
	d, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decodeJSON reads JSON with its numbers as they are written.
func decodeJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// at follows a path of keys; nil where there is nothing.
func at(node any, keys ...string) any {
	for _, k := range keys {
		m, _ := node.(map[string]any)
		node = m[k]
	}
	return node
}

func object(node any) map[string]any {
	m, _ := node.(map[string]any)
	return m
}

// resolve follows references.
func (d *description) resolve(node any) any {
	for {
		ref, ok := at(node, "$ref").(string)
		if !ok {
			return node
		}
		target, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return nil
		}
		node = at(d.root, strings.Split(target, "/")...)
	}
}

// templates of the paths, the literal ones first.
func (d *description) operation(method, path string) map[string]any {
	if method == "HEAD" {
		method = "GET"
	}
	paths := slices.SortedFunc(maps.Keys(object(d.root["paths"])), func(a, b string) int {
		return strings.Count(a, "{") - strings.Count(b, "{")
	})
	for _, template := range paths {
		pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/]+")
		if regexp.MustCompile("^" + pattern + "$").MatchString(path) {
			return object(at(d.root, "paths", template, strings.ToLower(method)))
		}
	}
	return nil
}

// check holds an answer to what the description says of it.
func (d *description) check(a *answer, method, path string) {
	a.t.Helper()
	var response any
	if op := d.operation(method, path); op != nil {
		if response = at(op, "responses", fmt.Sprint(a.status)); response == nil {
			response = at(op, "responses", "default")
		}
	} else {
		response = at(d.root, "components", "responses", "Problem")
		if method == "OPTIONS" && a.status == 204 {
			return
		}
	}
	content := object(at(d.resolve(response), "content"))
	if content == nil {
		if len(a.body) > 0 {
			a.t.Errorf("%s: %d has a body that is not described: %s", a.what, a.status, a.body)
		}
		return
	}
	if method == "HEAD" {
		return
	}
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	media, ok := content[kind]
	if !ok {
		a.t.Errorf("%s: %d with %q, which is not described: %s", a.what, a.status, kind, a.body)
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var v any
	if err := decodeJSON(a.body, &v); err != nil {
		a.t.Errorf("%s: %v: %s", a.what, err, a.body)
		return
	}
	for _, complaint := range d.validate(at(media, "schema"), v, "") {
		a.t.Errorf("%s: %d: %s: %s", a.what, a.status, complaint, a.body)
	}
}

// validate returns in what a value breaks a schema.
func (d *description) validate(schema, v any, path string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	s := object(schema)
	if s == nil {
		return []string{path + ": there is no such schema"}
	}
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		limit := s[keyword]
		switch keyword {
		case "$ref":
			wrong = append(wrong, d.validate(d.resolve(map[string]any{"$ref": limit}), v, path)...)
		case "description", "default", "example":
		case "type":
			if !hasType(v, limit.(string)) {
				say("%v is no %s", v, limit)
			}
		case "const":
			if !reflect.DeepEqual(v, limit) {
				say("%v is not %v", v, limit)
			}
		case "enum":
			if !slices.ContainsFunc(limit.([]any), func(e any) bool { return reflect.DeepEqual(e, v) }) {
				say("%v is none of %v", v, limit)
			}
		case "oneOf":
			fits := 0
			for _, option := range limit.([]any) {
				if len(d.validate(option, v, path)) == 0 {
					fits++
				}
			}
			if fits != 1 {
				say("%v fits %d of the options", v, fits)
			}
		case "required":
			for _, name := range limit.([]any) {
				if _, ok := object(v)[name.(string)]; object(v) != nil && !ok {
					say("%v is missing", name)
				}
			}
		case "properties", "additionalProperties":
		case "items":
			list, _ := v.([]any)
			for i, e := range list {
				wrong = append(wrong, d.validate(limit, e, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(limit.(string)).MatchString(text) {
				say("%q does not match %v", text, limit)
			}
		case "format":
			if text, ok := v.(string); ok && limit == "date-time" {
				if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
					say("%v", err)
				}
			} else if limit != "date-time" {
				say("format %v is not known here", limit)
			}
		case "minimum", "maximum", "minLength", "maxLength", "maxItems", "minProperties", "maxProperties":
			if !within(keyword, size(v), number2(limit)) {
				say("%v breaks %s %v", v, keyword, limit)
			}
		default:
			say("the keyword %s is not known here", keyword)
		}
	}
	return append(wrong, d.members(s, v, path)...)
}

// members validates an object's members.
func (d *description) members(s map[string]any, v any, path string) (wrong []string) {
	known := object(s["properties"])
	for name, member := range object(v) {
		schema, ok := known[name]
		if !ok {
			if schema, ok = s["additionalProperties"]; !ok {
				continue
			}
			if schema == false {
				wrong = append(wrong, path+": "+name+" is not described")
				continue
			}
		}
		wrong = append(wrong, d.validate(schema, member, path+"."+name)...)
	}
	return wrong
}

func hasType(v any, kind string) bool {
	switch v := v.(type) {
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case json.Number:
		return kind == "number" || kind == "integer" && !strings.ContainsAny(v.String(), ".eE")
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}

// size is what bounds are about: a number, or the length of something.
func size(v any) *big.Rat {
	switch v := v.(type) {
	case json.Number:
		return number2(v)
	case string:
		return big.NewRat(int64(utf8.RuneCountInString(v)), 1)
	case []any:
		return big.NewRat(int64(len(v)), 1)
	case map[string]any:
		return big.NewRat(int64(len(v)), 1)
	}
	return nil
}

func number2(v any) *big.Rat {
	r, _ := new(big.Rat).SetString(fmt.Sprint(v))
	return r
}

func within(keyword string, size, bound *big.Rat) bool {
	if size == nil || bound == nil {
		return false
	}
	if strings.HasPrefix(keyword, "min") {
		return size.Cmp(bound) >= 0
	}
	return size.Cmp(bound) <= 0
}
