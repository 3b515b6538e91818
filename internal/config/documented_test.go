package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

const documented = "../../configs/pushcart.yaml"

// TestDocumentedFileEqualsDefaults holds configs/pushcart.yaml to the built-in settings: every key is in it, in the order
// of Config, written as the program itself would write its default, and below a comment with its facts.
func TestDocumentedFileEqualsDefaults(t *testing.T) {
	data, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(documented, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range Diff(Default(), c) {
		t.Errorf("%s: the file has %s, the built-in default is %s", change.Key, change.New, change.Old)
	}

	root, syntax := parseYAML(data)
	if syntax != nil {
		t.Fatal(syntax)
	}
	lines := strings.Split(string(data), "\n")
	var found []string
	eachKey(t, root, "", func(key string, line int, written ast.Node) {
		found = append(found, key)
		i := slices.IndexFunc(settings(), func(s setting) bool { return s.key == key })
		if i < 0 {
			t.Errorf("line %d: %s is not a setting", line, key)
			return
		}
		s := settings()[i]
		if text, ok := scalar(written); ok && text != fmt.Sprint(s.in(Default())) {
			t.Errorf("line %d: %s is written %q; write %v", line, key, text, s.in(Default()))
		}
		facts := strings.TrimSpace(lines[line-2])
		if facts != factsOf(s) {
			t.Errorf("line %d: the line above %s has to be\n  %s\nand is\n  %s", line-1, key, factsOf(s), facts)
		}
		if prose := strings.TrimSpace(lines[line-3]); !strings.HasPrefix(prose, "# ") || strings.HasPrefix(prose, "# [") {
			t.Errorf("line %d: %s has no comment in words", line-2, key)
		}
	})
	var want []string
	for _, s := range settings() {
		want = append(want, s.key)
	}
	if !slices.Equal(found, want) {
		t.Errorf("the file has the keys %v\nwant %v", found, want)
	}
	for i, line := range lines {
		if len(line) > 120 || strings.TrimRight(line, " ") != line {
			t.Errorf("line %d is longer than 120 characters, or ends in a space", i+1)
		}
	}
}

// eachKey calls f with every key of a document and where it stands.
func eachKey(t *testing.T, n ast.Node, prefix string, f func(key string, line int, value ast.Node)) {
	t.Helper()
	pairs, ok := pairsOf(n)
	if !ok {
		t.Fatalf("%s is not a mapping", prefix)
	}
	for _, p := range pairs {
		key := prefix + p.Key.GetToken().Value
		if _, section := pairsOf(p.Value); section {
			eachKey(t, p.Value, key+".", f)
			continue
		}
		f(key, p.Key.GetToken().Position.Line, p.Value)
	}
}

// factsOf is the line of facts that stands above a setting in the documented file.
func factsOf(s setting) string {
	kind := map[reflect.Type]string{
		reflect.TypeFor[Word](): "word", reflect.TypeFor[Address](): "address", reflect.TypeFor[Duration](): "duration",
		reflect.TypeFor[Size](): "size", reflect.TypeFor[Bitrate](): "bit rate", reflect.TypeFor[int](): "number",
		reflect.TypeFor[string](): "text", reflect.TypeFor[bool](): "true or false", reflect.TypeFor[[]Key](): "list",
		reflect.TypeFor[[]Token](): "list", reflect.TypeFor[[]string](): "list", reflect.TypeFor[Region](): "country",
		reflect.TypeFor[[]ICEServer](): "list", reflect.TypeFor[[]Source](): "list", reflect.TypeFor[[]Language](): "list",
		reflect.TypeFor[Secret](): "secret", reflect.TypeFor[[]NamedLadder](): "list", reflect.TypeFor[[]StreamLadder](): "list",
		reflect.TypeFor[[]PlaybackKey](): "list", reflect.TypeFor[[]WebhookTarget](): "list", reflect.TypeFor[[]Secret](): "list",
		reflect.TypeFor[[]Policy](): "list", reflect.TypeFor[[]CountryRegion](): "list",
	}[s.typ]
	value := fmt.Sprint(s.in(Default()))
	if kind == "address" || kind == "text" || kind == "country" || kind == "secret" {
		value = fmt.Sprintf("%q", value)
	}
	facts := []string{kind, "default " + value}
	if words := strings.Fields(s.tag.Get("oneof")); len(words) > 0 {
		facts = append(facts, "one of "+strings.Join(words, ", "))
	}
	if b, ok := boundsOf(s.typ, s.tag); ok {
		facts = append(facts, b.String())
	}
	facts = append(facts, map[Class]string{
		ReloadLive: "change at once", ReloadNewStream: "change for new streams", ReloadRestart: "change at next start",
	}[s.class])
	return "# [" + strings.Join(facts, "; ") + "]"
}

// TestDocumentedExamples takes the examples in the comments out and loads them.
func TestDocumentedExamples(t *testing.T) {
	data, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ section, list string }{
		{"publish", "keys"}, {"publish", "languages"}, {"studio", "tokens"}, {"cards", "hosts"}, {"whip", "public_addresses"},
		{"whip", "ice_servers"}, {"pull", "sources"}, {"http", "trusted_proxies"}, {"playback", "keys"}, {"webhooks", "targets"},
	} {
		_, section, _ := strings.Cut(string(data), "\n"+tt.section+":\n")
		_, example, ok := strings.Cut(section, "#   "+tt.list+":\n")
		if !ok {
			t.Fatalf("no example of %s", tt.list)
		}
		text := tt.section + ":\n  " + tt.list + ":\n"
		for line := range strings.Lines(example) {
			item, ok := strings.CutPrefix(strings.TrimSpace(line), "#     - ")
			if !ok {
				break
			}
			text += "    - " + item + "\n"
		}
		c, err := parse("example", []byte(text), nil)
		if err != nil {
			t.Errorf("the example of %s gives %v:\n%s", tt.list, err, text)
			continue
		}
		i := slices.IndexFunc(settings(), func(s setting) bool { return s.key == tt.section+"."+tt.list })
		if n := settings()[i].in(c).Len(); n != 2 {
			t.Errorf("the example of %s has %d items:\n%s", tt.list, n, text)
		}
	}
}

// TestSchema holds the tags of Config to what the rest of the package takes for granted.
func TestSchema(t *testing.T) {
	classes := []Class{ReloadLive, ReloadNewStream, ReloadRestart}
	variables := map[string]string{}
	for _, s := range settings() {
		if s.key == "" || strings.HasSuffix(s.key, ".") || strings.ToLower(s.key) != s.key {
			t.Errorf("%q is no key", s.key)
		}
		if !slices.Contains(classes, s.class) {
			t.Errorf("%s has the reload class %q", s.key, s.class)
		}
		if other, taken := variables[s.variable()]; taken {
			t.Errorf("%s and %s have the same variable", s.key, other)
		}
		variables[s.variable()] = s.key
		if err := inRange(s.in(Default()), s.tag); err != nil {
			t.Errorf("the default of %s %v", s.key, err)
		}
		b, bounded := boundsOf(s.typ, s.tag)
		if number := s.typ.Kind() == reflect.Int || s.typ.Kind() == reflect.Int64; number != bounded {
			t.Errorf("%s is a number without a range, or something else with one", s.key)
		} else if bounded && b.low.Int() >= b.high.Int() {
			t.Errorf("%s has the range %v", s.key, b)
		}
		if (s.typ == reflect.TypeFor[Word]()) != (s.tag.Get("oneof") != "") {
			t.Errorf("%s is a word without a list, or something else with one", s.key)
		}
	}
	for i, r := range slices.Concat(rules, operatorRules) {
		if complaint := r.check(Default()); complaint != "" {
			t.Errorf("the defaults break rule %d: %s", i, complaint)
		}
		for _, key := range r.keys {
			if _, known := variables["PUSHCART_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))]; !known {
				t.Errorf("rule %d speaks of %s, which is not a setting", i, key)
			}
		}
	}
}
