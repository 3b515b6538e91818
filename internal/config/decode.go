package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// fields takes the keys of a YAML mapping into the struct v. Prefix is the mapping's own key with a dot, "" at the top.
func (l *loader) fields(n ast.Node, v reflect.Value, prefix string) {
	own := strings.TrimSuffix(prefix, ".")
	pairs, ok := pairsOf(n)
	if !ok {
		l.mistake(l.at(startOf(n)), own, "is %s, but must be %s", kindOf(n), expected(v.Type(), ""))
		return
	}
	first := map[string]position{}
	for _, p := range pairs {
		at := l.at(positionOf(p.Key.GetToken()))
		name := p.Key.GetToken().Value
		key := prefix + name
		field, known := fieldOf(v.Type(), name)
		if !known {
			l.mistake(at, prefix+clip(name), "%s", unknown(name, own, v.Type()))
			continue
		}
		if before, twice := first[name]; twice {
			l.mistake(at, key, "is given twice, the first time in line %d", before.line)
			continue
		}
		first[name] = at.position
		l.places[key] = at
		l.value(p.Value, v.FieldByIndex(field.Index), field.Tag, key, at)
	}
}

// pairsOf returns the keys and values of a mapping; false when n is something else.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// startOf returns where a value begins. The token of a mapping without braces is its first colon, which is too late.
func startOf(n ast.Node) position {
	at := positionOf(n.GetToken())
	if pairs, ok := pairsOf(n); ok && len(pairs) > 0 {
		if key := positionOf(pairs[0].Key.GetToken()); key.line < at.line || key.line == at.line && key.column < at.column {
			at = key
		}
	}
	return at
}

func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// unknown words the complaint about a key that the struct t has not, with the key that was probably meant: in the same
// section by choice, else anywhere.
func unknown(name, section string, t reflect.Type) string {
	if s := suggest(name, keysOf(t)); s != "" {
		return fmt.Sprintf("is not a setting; did you mean %q?", s)
	}
	for _, s := range settings() {
		elsewhere := s.key == name || strings.HasSuffix(s.key, "."+name)
		if inList := strings.HasSuffix(section, "]"); elsewhere && !inList {
			return fmt.Sprintf("is not a setting; did you mean %s?", s.key)
		}
	}
	if section == "" {
		return "is not a section; there are " + strings.Join(keysOf(t), ", ")
	}
	return fmt.Sprintf("is not a setting; %s has %s", section, strings.Join(keysOf(t), ", "))
}

// value takes one YAML value into v. At is where its key stands, which is where a value that is not there is reported.
func (l *loader) value(n ast.Node, v reflect.Value, tag reflect.StructTag, key string, at place) {
	if n.Type() != ast.NullType {
		at = l.at(startOf(n))
		l.places[key] = at
	}
	switch {
	case v.Kind() == reflect.Struct:
		if n.Type() == ast.NullType {
			return // a section with all of its keys commented out
		}
		l.fields(n, v, key+".")
	case v.Kind() == reflect.Slice:
		l.list(n, v, key, at)
	default:
		text, ok := scalar(n)
		if !ok {
			l.mistake(at, key, "is %s, but must be %s", kindOf(n), expected(v.Type(), tag))
			return
		}
		if err := setText(v, tag, text); err != nil {
			l.mistake(at, key, "%v", err)
		}
	}
}

// list takes a YAML list into the slice v, whose elements are texts, or structs that need all of their keys but
// the optional ones.
func (l *loader) list(n ast.Node, v reflect.Value, key string, at place) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		l.mistake(at, key, "is %s, but must be %s", kindOf(n), expected(v.Type(), ""))
		return
	}
	all := reflect.MakeSlice(v.Type(), 0, len(seq.Values))
	for i, item := range seq.Values {
		path := fmt.Sprintf("%s[%d]", key, i+1)
		e := reflect.New(v.Type().Elem()).Elem()
		at := l.at(startOf(item))
		l.places[path] = at
		if e.Kind() != reflect.Struct {
			l.value(item, e, "", path, at)
			all = reflect.Append(all, e)
			continue
		}
		l.fields(item, e, path+".")
		for _, name := range neededOf(e.Type()) {
			if _, ok := l.places[path+"."+name]; !ok && !l.wrong[path] {
				l.mistake(at, path+"."+name, "is missing")
			}
		}
		all = reflect.Append(all, e)
	}
	v.Set(all)
}

// scalar returns a plain value as it was written, without quotes; false for mappings, lists and nothing at all.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kindOf names what stands where something else was expected.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	}
	return "a plain value"
}
