package card

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestMergePatch is the table of RFC 7396, Appendix A.
func TestMergePatch(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		target, patch := tree(t, test[0]), tree(t, test[1])
		if got := show(merge(target, patch)); got != test[2] {
			t.Errorf("%s with %s is %s, want %s", test[0], test[1], got, test[2])
		}
		if show(target) != test[0] || show(patch) != test[1] {
			t.Errorf("%s with %s: they have become %s and %s", test[0], test[1], show(target), show(patch))
		}
	}
}

func tree(t *testing.T, s string) value {
	t.Helper()
	v, err := readTree([]byte(s), "document")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// show writes a tree as JSON.
func show(v value) string {
	var parts []string
	switch v.kind {
	case kindNumber:
		return v.text
	case kindText:
		return strconv.Quote(v.text)
	case kindList:
		for _, item := range v.items {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case kindObject:
		for _, m := range v.members {
			parts = append(parts, strconv.Quote(m.key)+":"+show(m.value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return string(v.kind)
}

func TestMerge(t *testing.T) {
	t.Parallel()
	c := parse(t, `{"id":"lamp","name":{"en":"Desk lamp","de":"Lampe"},"brand":"x","offers":[{"price":"2","priceCurrency":"EUR"},{"price":"3","priceCurrency":"USD"}],
		"pushcart:promotion":{"label":"Sale","startsAt":"2026-03-01T18:00:00Z","endsAt":"2026-03-01T19:00:00Z"}}`, shop)
	before := string(c.JSON())
	for _, test := range []struct{ patch, want string }{
		{`{}`, before},
		{` { } `, before},
		{`{"id":"lamp"}`, before},
		{`{"@type":null}`, before},
		{`{"description":null,"nothing":null}`, before}, // RFC 7396: what is not there need not be taken out
		{before, before},
		{`{"brand":null,"offers":null,"pushcart:promotion":null}`, `{"id":"lamp","@type":"Product","name":{"de":"Lampe","en":"Desk lamp"}}`},
		{`{"name":{"de":null,"fr":"Lampe"},"brand":null,"offers":[{"price":"1","priceCurrency":"EUR"}],"pushcart:promotion":{"startsAt":null,"endsAt":"2026-03-01T19:30:00Z"}}`,
			`{"id":"lamp","@type":"Product","name":{"en":"Desk lamp","fr":"Lampe"},"offers":[{"price":"1","priceCurrency":"EUR","availability":"InStock"}],` +
				`"pushcart:promotion":{"label":"Sale","endsAt":"2026-03-01T19:30:00Z"}}`},
		{`{"name":"y","brand":null,"offers":[],"pushcart:promotion":null}`, `{"id":"lamp","@type":"Product","name":"y"}`},
	} {
		got, err := c.Merge([]byte(test.patch), shop)
		if err != nil {
			t.Errorf("%s: %v", test.patch, err)
			continue
		}
		if string(got.JSON()) != test.want || got.ID() != "lamp" {
			t.Errorf("%s makes it\n%s\nwant\n%s", test.patch, got.JSON(), test.want)
		}
	}
	if string(c.JSON()) != before {
		t.Errorf("the card has become %s", c.JSON())
	}
}

func TestMergeRefused(t *testing.T) {
	t.Parallel()
	c := parse(t, full, shop)
	for _, test := range []struct{ patch, field, message string }{
		{``, "", "The patch is not JSON"},
		{`{"name":"x"`, "", "The patch is not JSON"},
		{"{\"name\":\"\xff\"}", "", "The patch is not UTF-8"},
		{`[]`, "", "The patch is a list: it must be an object with the keys to change."},
		{`null`, "", "The patch is null"},
		{`"x"`, "", "The patch is a text"},
		{`[{"op":"replace","path":"/name","value":"x"}]`, "", "The patch is a list"}, // RFC 6902
		{`{"id":"other"}`, "id", `The id of a card cannot be changed: leave it "lamp", or make a new card.`},
		{`{"id":null}`, "id", "cannot be changed"},
		{`{"id":["lamp"]}`, "id", "cannot be changed"},
		{`{"name":null}`, "name", "The name is missing"},
		{`{"name":{"ar":null,"de":null,"en-US":null,"zh-Hant":null}}`, "name", "The name has 0 languages"},
		{`{"name":"x","name":"y"}`, "name", "is there twice"},
		{`{"name":{"en-us":"x"}}`, "name.en-us", `The language "en-US" is there twice`},
		{`{"price":"1"}`, "price", "is not known"},
		{`{"offers":[{"price":"1","priceCurrency":null}]}`, "offers[0].priceCurrency", "The currency is null"},
		{`{"offers":[{"price":"1e999","priceCurrency":"EUR"}]}`, "offers[0].price", `The price "1e999" is not a decimal number`},
		{`{"offers":{"0":{"price":"1"}}}`, "offers", "There is an object here: make it a list"},
		{`{"pushcart:promotion":{"endsAt":null}}`, "pushcart:promotion.endsAt", "The end is missing"},
		{`{"pushcart:coupon":{"code":{}}}`, "pushcart:coupon.code", "The code is an object"},
		{`{"url":"https://evil.example/"}`, "url", "not among the hosts"},
		{strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500), "a.a.a.a.a.a.a.a", "The patch is nested deeper"},
	} {
		got, err := c.Merge([]byte(test.patch), shop)
		if err == nil {
			t.Errorf("%s was accepted: %s", test.patch, got.JSON())
			continue
		}
		f := sentence(t, err)
		if got != nil || f.TooLarge || f.Field != test.field || !strings.Contains(f.Message, test.message) {
			t.Errorf("%.200s is refused with %q: %q\nwant %q: %q", test.patch, f.Field, f.Message, test.field, test.message)
		}
	}
	// The policy is that of now, for what stays as well.
	if _, err := c.Merge([]byte(`{"brand":"x"}`), Policy{}); err == nil || sentence(t, err).Field != "image" {
		t.Errorf("with no host allowed: %v", err)
	}
}

func TestMergeTooLarge(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("檯", 300)
	c := parse(t, `{"id":"a","name":"x","description":{"ja":"`+long+`","zh":"`+long+`"}}`, shop)
	for _, patch := range []string{
		`{"name":"` + strings.Repeat("x", MaxSize) + `"}`,
		`{"description":{"ko":"` + long + `","en":"` + long + `","de":"` + long + `"}}`,
	} {
		_, err := c.Merge([]byte(patch), shop)
		if err == nil || !sentence(t, err).TooLarge {
			t.Errorf("%d bytes: %v", len(patch), err)
		}
	}
}

// reference is RFC 7396, 2, over what encoding/json makes of JSON.
func reference(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, _ := target.(map[string]any)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, v := range p {
		if v == nil {
			delete(merged, key)
		} else {
			merged[key] = reference(merged[key], v)
		}
	}
	return merged
}

func decodeAny(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// FuzzMerge: the identifier stays, the result is a card in canonical form, and it is what the reference makes of it.
func FuzzMerge(f *testing.F) {
	for _, patch := range []string{
		`{}`, `null`, `{"name":"x"}`, `{"name":{"de":null}}`, `{"id":"b"}`, `{"offers":[]}`, `{"pushcart:giveaway":null,"brand":"b"}`,
		`{"pushcart:promotion":{"label":{"fr":"x"}}}`, `{"name":{"en":"a","EN":"b"}}`, `{"pushcart:coupon":{"code":"B"}}`,
	} {
		f.Add([]byte(small), []byte(patch))
		f.Add([]byte(full), []byte(patch))
		f.Add([]byte(full), []byte(full))
	}
	f.Fuzz(func(t *testing.T, doc, patch []byte) {
		c, err := Parse(doc, shop)
		if err != nil {
			return
		}
		before := bytes.Clone(c.JSON())
		got, err := c.Merge(patch, shop)
		if !bytes.Equal(c.JSON(), before) {
			t.Fatalf("%s has become %s", before, c.JSON())
		}
		if err != nil {
			sentence(t, err)
			return
		}
		check(t, got)
		if got.ID() != c.ID() {
			t.Fatalf("%s makes %q of %q", patch, got.ID(), c.ID())
		}
		target, err1 := decodeAny(before)
		change, err2 := decodeAny(patch)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if want := marshal(t, reference(target, change)); len(want) <= MaxSize {
			if c := parse(t, want, shop); !bytes.Equal(c.JSON(), got.JSON()) {
				t.Fatalf("%s with %s is\n%s\nwant\n%s", before, patch, got.JSON(), c.JSON())
			}
		}
		if same, err := got.Merge(got.JSON(), shop); err != nil || !bytes.Equal(same.JSON(), got.JSON()) {
			t.Fatalf("%s merged with itself: %v", got.JSON(), err)
		}
	})
}

// marshal writes JSON without the escapes that make it larger than what was read.
func marshal(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(fmt.Errorf("%v: %w", v, err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
