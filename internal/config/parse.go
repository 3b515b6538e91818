package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on YAML. The parser recurses by nesting, and per key of a mapping as well, and copies a mapping for each of its
// keys; these keep both far from harm. They leave room for some thousands of stream keys.
const (
	maxFile   = 1 << 20 // bytes
	maxTokens = 50_000
	maxFlow   = 8  // brackets inside one another
	maxColumn = 64 // at which a key or a list item may begin
)

// position is a place in a file, counted from 1.
type position struct{ line, column int }

func positionOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

// syntaxError is why a text cannot be read as YAML.
type syntaxError struct {
	position
	message string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.message }

func syntaxErrorf(at position, format string, args ...any) *syntaxError {
	return &syntaxError{at, fmt.Sprintf(format, args...)}
}

// parseYAML reads one document; nil is an empty one. Of YAML it takes what settings need: no anchors, aliases and merge
// keys, with which a small file becomes a huge one, no tags, no directives and no second document.
func parseYAML(data []byte) (ast.Node, *syntaxError) {
	if len(data) > maxFile {
		return nil, syntaxErrorf(position{}, "is larger than %v", Size(maxFile))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at, ok := plainText(data); !ok {
		return nil, syntaxErrorf(at, "is not plain UTF-8 text")
	}
	tokens := lexer.Tokenize(string(data))
	if err := guard(tokens); err != nil {
		return nil, err
	}
	file, err := parseTokens(tokens)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			return nil, syntaxErrorf(positionOf(syntax.Token), "is not valid YAML: %s", syntax.Message)
		}
		return nil, syntaxErrorf(position{}, "is not valid YAML: %v", err)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.CommentGroupType {
			continue
		}
		if body != nil {
			return nil, syntaxErrorf(positionOf(doc.Body.GetToken()), "has a second document; one is all that is read")
		}
		body = doc.Body
	}
	return body, nil
}

// parseTokens runs the parser. A node reads its file again while streams are live: a text that the parser trips over must
// not end them, so its panic is a mistake in the file like any other.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// plainText tells whether data is text, and where it is not.
func plainText(data []byte) (position, bool) {
	at := position{1, 1}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return at, false
		case r == '\n':
			at = position{at.line + 1, 1}
		default:
			at.column++
		}
		data = data[n:]
	}
	return at, true
}

// refused are the parts of YAML that settings do without.
var refused = map[token.Type]string{
	token.AnchorType:     "anchors (&name)",
	token.AliasType:      "aliases (*name)",
	token.MergeKeyType:   "merge keys (<<)",
	token.TagType:        "tags (!name)",
	token.DirectiveType:  "directives (%NAME)",
	token.MappingKeyType: "complex keys (?)",
}

// guard stops what would be dangerous to parse or is not meant to be used.
func guard(tokens token.Tokens) *syntaxError {
	if len(tokens) > maxTokens {
		return syntaxErrorf(position{}, "has more than %d words and signs", maxTokens)
	}
	flow := 0
	for _, t := range tokens {
		if name, ok := refused[t.Type]; ok {
			hint := ""
			if t.Type == token.AliasType || t.Type == token.TagType {
				hint = `; a text that begins with "` + t.Value[:min(1, len(t.Value))] + `" stands in quotes`
			}
			return syntaxErrorf(positionOf(t), "uses YAML's %s, which settings do without%s", name, hint)
		}
		switch t.Type {
		case token.InvalidType:
			return syntaxErrorf(positionOf(t), "is not valid YAML: %s", t.Error)
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > maxFlow {
				return syntaxErrorf(positionOf(t), "is nested too deeply")
			}
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType:
			if t.Position.Column > maxColumn {
				return syntaxErrorf(positionOf(t), "is nested too deeply")
			}
		case token.MappingValueType:
			if key := t.Prev; flow == 0 && key != nil && key.Position.Column > maxColumn {
				return syntaxErrorf(positionOf(key), "is nested too deeply")
			}
		}
	}
	return nil
}
