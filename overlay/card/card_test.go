package card

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got = append(bytes.Clone(got), '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// shop is the policy of most tests.
var shop = Policy{Hosts: []string{"shop.example.com", "*.cdn.example.net"}}

// full is a card with everything in it, in an order and in forms that are not canonical.
const full = `{
	"pushcart:disclosure": {"de": "Anzeige", "EN": "Ad"},
	"pushcart:giveaway": {
		"url": "https://shop.example.com/claim", "quantity": 50, "closesAt": "2026-03-01T20:35:00+02:00",
		"opensAt": "2026-03-01T18:30:00.0004Z", "label": "Win a lamp"
	},
	"pushcart:coupon": {"endsAt": "2026-03-02T00:00:00Z", "label": {"en": "10 % off"}, "code": "SAVE-10_x"},
	"pushcart:promotion": {"label": {"en": "Flash sale", "de": "Blitzangebot"}, "startsAt": "2026-03-01T18:00:00.500Z", "endsAt": "2026-03-01T19:00:00.250000Z"},
	"ineligibleRegion": ["US", "CA"],
	"eligibleRegion": [],
	"offers": [
		{"pushcart:priorPrice": "29.99", "url": "HTTPS://Shop.Example.COM:443/de?a=1&b=2#Farbe", "eligibleRegion": ["DE", "AT"], "priceCurrency": "EUR", "price": "19.99", "inventoryLevel": 12},
		{"price": "17", "priceCurrency": "GBP", "availability": "LimitedAvailability", "eligibleRegion": ["GB"], "inventoryLevel": 0},
		{"price": "3500", "priceCurrency": "JPY", "ineligibleRegion": ["GB", "DE", "AT", "CN"], "availability": "PreOrder"}
	],
	"gtin": "4006381333931",
	"sku": "LAMP-1",
	"brand": "Müller & Söhne",
	"url": "https://shop.example.com/lamp",
	"image": "https://eu.img.cdn.example.net/lamp.jpg",
	"description": "a < b, AT&T, 👩‍👩‍👧 and می\u200cخواهم: all of it is text.",
	"name": {"zh-hant": "檯燈", "de": "Schreibtischlampe", "ar": "مصباح مكتب", "en-us": "Desk lamp"},
	"@type": "Product",
	"id": "lamp"
}`

// small is about the smallest card.
const small = `{"id":"lamp","name":"Desk lamp"}`

func parse(t testing.TB, doc string, p Policy) *Card {
	t.Helper()
	c, err := Parse([]byte(doc), p)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return c
}

// TestCanonical holds the bytes of canonical forms.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{"full": full, "small": small} {
		c := parse(t, doc, shop)
		golden(t, name+".json", c.JSON())
		if c.ID() != "lamp" {
			t.Errorf("%s: the id is %q", name, c.ID())
		}
		if again := parse(t, string(c.JSON()), shop); !bytes.Equal(again.JSON(), c.JSON()) {
			t.Errorf("%s: read back it is\n%s\nwant\n%s", name, again.JSON(), c.JSON())
		}
	}
}

// TestSameContent: cards that say the same are the same bytes.
func TestSameContent(t *testing.T) {
	t.Parallel()
	for name, docs := range map[string][]string{
		"type, order and space":    {small, " {\n\"name\" : \"Desk lamp\", \"@type\":\"Product\",\"id\":\"lamp\"}\n"},
		"empty lists":              {small, `{"id":"lamp","name":"Desk lamp","offers":[],"eligibleRegion":[],"ineligibleRegion":[]}`},
		"escapes":                  {small, `{"id":"\u006camp","name":"Desk\u0020lamp"}`},
		"surrogates":               {`{"id":"a","name":"👍"}`, `{"id":"a","name":"\ud83d\udc4d"}`},
		"the default availability": {offerWith(``), offerWith(`,"availability":"InStock"`)},
		"the order of regions":     {offerWith(`,"eligibleRegion":["DE","AT"]`), offerWith(`,"eligibleRegion":["AT","DE"]`)},
		"languages":                {`{"id":"a","name":{"de":"x","EN-us":"y"}}`, `{"id":"a","name":{"en-US":"y","de":"x"}}`},
		"times": {
			`{"id":"a","name":"x","pushcart:promotion":{"label":"l","endsAt":"2026-03-01T18:00:00Z"}}`,
			`{"id":"a","name":"x","pushcart:promotion":{"label":"l","endsAt":"2026-03-01T20:00:00.000+02:00"}}`,
		},
		"hosts": {
			`{"id":"a","name":"x","url":"https://shop.example.com/A"}`,
			`{"id":"a","name":"x","url":"HTTPS://SHOP.example.com:443/A"}`,
		},
	} {
		a, b := parse(t, docs[0], shop), parse(t, docs[1], shop)
		if !bytes.Equal(a.JSON(), b.JSON()) {
			t.Errorf("%s:\n%s\n%s", name, a.JSON(), b.JSON())
		}
	}
}

func offerWith(more string) string {
	return `{"id":"lamp","name":"Desk lamp","offers":[{"price":"19.99","priceCurrency":"EUR"` + more + `}]}`
}

// TestEmbedded: a card in another document keeps its bytes, whichever way the document is written.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	c := parse(t, full, shop)
	for _, escape := range []bool{true, false} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(escape)
		if err := e.Encode([]json.RawMessage{c.JSON()}); err != nil {
			t.Fatal(err)
		}
		if want := "[" + string(c.JSON()) + "]\n"; b.String() != want {
			t.Errorf("escaping %v: it is\n%s\nwant\n%s", escape, b.String(), want)
		}
	}
}

// TestJSONIsKept: what a caller appends to a card's bytes does not reach the card.
func TestJSONIsKept(t *testing.T) {
	t.Parallel()
	c := parse(t, small, shop)
	before := string(c.JSON())
	_ = append(c.JSON(), "more"...)
	_ = append(c.Localise(""), "more"...)
	if string(c.JSON()) != before {
		t.Errorf("it has become %s", c.JSON())
	}
}

// TestSize: both sizes count, as sent and in canonical form, to the byte.
func TestSize(t *testing.T) {
	t.Parallel()
	spaces := func(n int) []byte { return append([]byte(small), strings.Repeat(" ", n-len(small))...) }
	if _, err := Parse(spaces(MaxSize), shop); err != nil {
		t.Errorf("%d bytes: %v", MaxSize, err)
	}
	var f *FieldError
	if _, err := Parse(spaces(MaxSize+1), shop); !errors.As(err, &f) || !f.TooLarge || f.Field != "" {
		t.Errorf("%d bytes: %v", MaxSize+1, err)
	}
	// 300 bytes of "&" are 1800 in canonical form, three times.
	long := strings.Repeat("& ", 249) + "&"
	doc := `{"id":"a","name":"x","description":{"en":"` + long + `","de":"` + long + `","fr":"` + long + `"}}`
	f = nil
	if _, err := Parse([]byte(doc), shop); len(doc) > MaxSize || !errors.As(err, &f) || !f.TooLarge || !strings.Contains(f.Message, "canonical") {
		t.Errorf("%d bytes: %v", len(doc), err)
	}
}

// sentence complains unless an error is a *FieldError whose message can be shown to people.
func sentence(t *testing.T, err error) *FieldError {
	t.Helper()
	var f *FieldError
	if !errors.As(err, &f) {
		t.Fatalf("the error is a %T: %v", err, err)
	}
	first, _ := utf8.DecodeRuneInString(f.Message)
	if !unicode.IsUpper(first) || !strings.HasSuffix(f.Message, ".") || strings.HasSuffix(f.Message, "..") || len(f.Message) > 600 {
		t.Errorf("the message is no sentence: %q", f.Message)
	}
	for _, r := range f.Error() {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			t.Errorf("the message has %U in it: %q", r, f.Error())
			break
		}
	}
	if want := f.Field + ": " + f.Message; f.Field != "" && f.Error() != want || f.Field == "" && f.Error() != f.Message {
		t.Errorf("the error says %q, want %q", f.Error(), want)
	}
	return f
}
