package card

import (
	"fmt"
	"strings"
	"testing"
)

// hostile are documents that must be refused: the field, and a part of what is said.
var hostile = []struct{ doc, field, message string }{
	// Not JSON, not UTF-8, not a card.
	{``, "", "is not JSON"},
	{`{"id":"a","name":"x"`, "", "is not JSON"},
	{"{\n  \"id\":\"a\",\n  \"name\" \"x\"}", "", "in line 3, column 10"},
	{`{"id":"a","name":"x",}`, "", "is not JSON"},
	{`{"id":"a","name":"x"} {}`, "", "is not JSON"},
	{`{"id":"a","name":"x"/**/}`, "", "is not JSON"},
	{`{"id":"a","name":NaN}`, "", "is not JSON"},
	{"\ufeff" + small, "", "is not JSON"},
	{"{\"id\":\"a\",\"name\":\"x\xff\"}", "", "is not UTF-8"},
	{"{\"id\":\"a\",\"name\":\"\xed\xa0\x80\"}", "", "is not UTF-8"}, // a surrogate
	{"{\"id\":\"a\",\"name\":\"\xc0\xbcb\"}", "", "is not UTF-8"},    // "<" in two bytes
	{`[` + small + `]`, "", "The card is a list: it must be an object."},
	{`null`, "", "The card is null"},
	{`"lamp"`, "", "The card is a text"},

	// Keys.
	{`{}`, "id", `The id is missing: give the card one, like "lamp".`},
	{`{"id":"a"}`, "name", "The name is missing"},
	{with(`"price":"1"`), "price", `The key "price" is not known: leave it out. The card has id, @type, name`},
	{with(`"promotion":{}`), "promotion", `write "pushcart:promotion".`},
	{with(`"Brand":"x"`), "Brand", `write "brand".`},
	{with(`"type":"Product"`), "type", `write "@type".`},
	{with(`"rev":1`), "rev", "is not known"},
	{with(`"pushcart:withheld":true`), "pushcart:withheld", "is not known"},
	{with(`"":1`), `""`, "is not known"},
	{with(`"<script>":1`), `"<script>"`, "is not known"},
	{with(`"\u202ed":1`), `"\u202ed"`, "is not known"},
	{with(`"` + strings.Repeat("k", 2000) + `":1`), `"` + strings.Repeat("k", 40) + `..."`, "is not known"},
	{with(`"__proto__":{}`), "__proto__", "is not known"},
	{offerWith(`,"priceValidUntil":"x"`), "offers[0].priceValidUntil", "The offer has price, priceCurrency"},
	{with(`"pushcart:promotion":{"label":"x","endsAt":"2026-03-01T18:00:00Z","href":"x"}`), "pushcart:promotion.href", "is not known"},
	{with(`"pushcart:coupon":{"code":"A","label":"x","url":"x"}`), "pushcart:coupon.url", "is not known"},
	{with(`"pushcart:giveaway":{"onclick":"x"}`), "pushcart:giveaway.onclick", "is not known"},
	{`{"id":"a","id":"a","name":"x"}`, "id", `The key "id" is there twice: keep one of them.`},
	{`{"id":"a","n\u0061me":"x","name":"x"}`, "name", "is there twice"},
	{`{"id":"a","name":{"en":"x","en":"y"}}`, "name.en", "is there twice"},
	{offerWith(`,"price":"1"`), "offers[0].price", "is there twice"},
	{with(`"x":[[{"y":1,"y":2}]]`), "x[0][0].y", "is there twice"},
	{with(`"pushcart:coupon":{"code":"A","label":"x","code":"B"}`), "pushcart:coupon.code", "is there twice"},

	// Depth and counts.
	{with(`"offers":` + strings.Repeat("[", 1500) + strings.Repeat("]", 1500)), "offers[0][0][0][0][0][0][0]", "nested deeper than 8 levels"},
	{strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600), "a.a.a.a.a.a.a.a", "nested deeper"},
	{with(`"offers":[` + strings.Repeat(`{},`, 1000) + `{}]`), "offers", "The list has 1001 entries, and 16 is the most"},
	{with(`"eligibleRegion":[` + strings.Repeat(`"DE",`, 500) + `"DE"]`), "eligibleRegion", "The list has 501 entries, and 250 is the most"},
	{`{"id":"a","name":{` + languages(13) + `}}`, "name", "The name has 13 languages: give it 1 to 12"},
	{`{"id":"a","name":{}}`, "name", "The name has 0 languages"},

	// Kinds.
	{`{"id":7,"name":"x"}`, "id", "The id is a number: it must be a text."},
	{`{"id":"a","name":null}`, "name", "The name is null: leave it out instead"},
	{`{"id":"a","name":["x"]}`, "name", "The name is a list"},
	{`{"id":"a","name":true}`, "name", "The name is true or false"},
	{`{"id":"a","name":{"en":{"en":"x"}}}`, "name.en", "The name is an object"},
	{with(`"@type":"Event"`), "@type", `The type "Event" is not known: make it "Product"`},
	{with(`"@type":["Product"]`), "@type", "The type is a list"},
	{with(`"offers":{"price":"1","priceCurrency":"EUR"}`), "offers", "There is an object here: make it a list"},
	{with(`"offers":["1 EUR"]`), "offers[0]", "The offer is a text: it must be an object."},
	{with(`"offers":[null]`), "offers[0]", "The offer is null"},
	{with(`"eligibleRegion":"DE"`), "eligibleRegion", "There is a text here: make it a list"},
	{with(`"pushcart:promotion":"now"`), "pushcart:promotion", "The promotion is a text"},
	{with(`"pushcart:giveaway":[]`), "pushcart:giveaway", "The giveaway is a list"},
	{with(`"brand":{"en":"x"}`), "brand", "The brand is an object"},

	// Identifiers.
	{`{"id":"","name":"x"}`, "id", "it is empty"},
	{`{"id":"Lamp","name":"x"}`, "id", `The id "Lamp" cannot be used: it has 'L' in it`},
	{`{"id":"../../etc","name":"x"}`, "id", "cannot be used"},
	{`{"id":"-a","name":"x"}`, "id", "it begins with '-'"},
	{`{"id":"l\u00e4mp","name":"x"}`, "id", "cannot be used"},
	{`{"id":"a\u0000","name":"x"}`, "id", `The id "a\x00" cannot be used`},
	{`{"id":"` + strings.Repeat("a", 41) + `","name":"x"}`, "id", "it is longer than 40 characters"},

	// Texts.
	{named(`<b>Lamp</b>`), "name", `The name has markup in it ("<b"): write plain text`},
	{named(`<script>alert(1)</script>`), "name", "has markup in it"},
	{named(`\u003cscript\u003e`), "name", "has markup in it"},
	{named(`</p`), "name", "has markup in it"},
	{named(`<!-- x`), "name", "has markup in it"},
	{named(`<?xml`), "name", "has markup in it"},
	{named(`a<b`), "name", "has markup in it"},
	{named(`<img src=x onerror=alert(1)>`), "name", "has markup in it"},
	{named(`<é`), "name", "has markup in it"},
	{named(`&lt;b&gt;`), "name", "has a character reference"},
	{named(`&#60;b`), "name", "has a character reference"},
	{named(`&#x3C;b`), "name", "has a character reference"},
	{named(`&#60b`), "name", "has a character reference"},
	{named(`&ltscript`), "name", "has a character reference"},
	{named(`&NewLine;`), "name", "has a character reference"},
	{named(`&#0;`), "name", "has a character reference"},
	{named(`a\u202eb`), "name", "has the character U+202E in it, which turns the direction of writing"},
	{named(`a\u2066b`), "name", "U+2066"},
	{named("a\u202ab"), "name", "U+202A"},
	{named("a\u2069"), "name", "U+2069"},
	{named(`a\nb`), "name", "has the control character U+000A in it"},
	{named(`a\u0000b`), "name", "U+0000"},
	{named(`a\u001bb`), "name", "U+001B"},
	{named("a\u0085b"), "name", "U+0085"},
	{named(`a\u007fb`), "name", "U+007F"},
	{named(`a\u2028b`), "name", "U+2028"},
	{named(`a\u2029b`), "name", "U+2029"},
	{named(`\ufeffa`), "name", "U+FEFF"},
	{named(`a\ufffd`), "name", "U+FFFD in it, which stands for one that was lost"},
	{named(`\ud800`), "name", "U+FFFD"}, // half of a character
	{named(`a\udc00\ud800b`), "name", "U+FFFD"},
	{named(`a\uffff`), "name", "U+FFFF"},
	{named(`a\ufdd0`), "name", "U+FDD0"},
	{named(`a\ud83f\udffe`), "name", "U+1FFFE"},
	{named(`a\ue000`), "name", "U+E000"},
	{named(`a\udbff\udffd`), "name", "U+10FFFD"},
	{named(``), "name", "The name is empty"},
	{named(` `), "name", "begins or ends with a space"},
	{named(` a`), "name", "begins or ends with a space"},
	{named(`a\u00a0`), "name", "begins or ends with a space"},
	{named(`\u200d\u200e`), "name", "The name is empty"},
	{named(`\u3164`), "name", "The name is empty"},
	{named(`\u2800`), "name", "The name is empty"},
	{named(`a` + strings.Repeat(`\u0301`, 9)), "name", "more than 8 combining marks"},
	{named(`a` + strings.Repeat(`\u0301\u200d`, 9)), "name", "more than 8 combining marks"},
	{named(strings.Repeat("x", 121)), "name", "The name has 121 characters, and 120 is the most: shorten it."},
	{named(strings.Repeat("x", 4000)), "name", "The name has 4000 characters"},
	{named(strings.Repeat("x", 4096)), "", "The document has "},
	{`{"id":"a","name":{"en":"x","de":"<b>"}}`, "name.de", "has markup in it"},
	{with(`"description":"` + strings.Repeat("x", 501) + `"`), "description", "501 characters, and 500"},
	{with(`"description":"&amp;"`), "description", "has a character reference"},
	{with(`"brand":"` + strings.Repeat("x", 81) + `"`), "brand", "81 characters"},
	{with(`"sku":"` + strings.Repeat("x", 65) + `"`), "sku", "65 characters"},
	{with(`"sku":"\u202e"`), "sku", "turns the direction"},
	{with(`"pushcart:disclosure":"` + strings.Repeat("x", 81) + `"`), "pushcart:disclosure", "81 characters"},
	{with(`"pushcart:disclosure":{"en":""}`), "pushcart:disclosure.en", "is empty"},

	// Languages.
	{`{"id":"a","name":{"english":"x"}}`, "name.english", `The language "english" is not known`},
	{`{"id":"a","name":{"xx":"x"}}`, "name.xx", "is not known"},
	{`{"id":"a","name":{"und":"x"}}`, "name.und", "is not known"},
	{`{"id":"a","name":{"en_US":"x"}}`, "name.en_US", "cannot be used"},
	{`{"id":"a","name":{"":"x"}}`, `name.""`, "is not known"},
	{`{"id":"a","name":{"en-x-secret":"x"}}`, "name.en-x-secret", "has an extension"},
	{`{"id":"a","name":{"x-secret":"x"}}`, "name.x-secret", "is not known"},
	{`{"id":"a","name":{"en-u-ca-buddhist":"x"}}`, "name.en-u-ca-buddhist", "has an extension"},
	{`{"id":"a","name":{"` + strings.Repeat("en-", 20) + `":"x"}}`, `name."` + strings.Repeat("en-", 13) + `e..."`, "cannot be used"},
	{`{"id":"a","name":{"en-us":"x","en-US":"y"}}`, "name.en-US", `The language "en-US" is there twice`},
	{`{"id":"a","name":{"iw":"x","he":"y"}}`, "name.he", `"he" is there twice`},

	// Money.
	{priced(`"1e999"`, "EUR"), "offers[0].price", `The price "1e999" is not a decimal number: write it like "19.99".`},
	{priced(`1e999`, "EUR"), "offers[0].price", `The price is a number: write it as a text in quotation marks, like "19.99".`},
	{priced(`19.99`, "EUR"), "offers[0].price", "The price is a number"},
	{priced(`null`, "EUR"), "offers[0].price", "The price is null"},
	{priced(`"-1"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"+1"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"01"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`""`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1."`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`".5"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1,99"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1 999"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1\n"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"0x10"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"NaN"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"Infinity"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"١٩"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1000000000000"`, "EUR"), "offers[0].price", "is not a decimal number"},
	{priced(`"1.999"`, "EUR"), "offers[0].price", `The price "1.999" has 3 digits behind the point, and EUR has 2: write it like "1.99".`},
	{priced(`"1.5"`, "JPY"), "offers[0].price", `The price "1.5" has digits behind the point, and JPY has none: write it like "1".`},
	{priced(`"1.0000"`, "KWD"), "offers[0].price", "KWD has 3"},
	{priced(`"1"`, "XXX1"), "offers[0].priceCurrency", `The currency "XXX1" is not a currency in use: write its ISO 4217 code, like "EUR".`},
	{priced(`"1"`, "XXX"), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, "XTS"), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, "XAU"), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, "DEM"), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, "€"), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, ""), "offers[0].priceCurrency", "is not a currency in use"},
	{priced(`"1"`, "eur"), "offers[0].priceCurrency", `The currency "eur" is not in capital letters: write "EUR".`},
	{with(`"offers":[{"price":"1"}]`), "offers[0].priceCurrency", "The currency is missing"},
	{with(`"offers":[{"price":"1","priceCurrency":"EUR"},{"priceCurrency":"EUR"}]`), "offers[1].price", "The price is missing"},
	{offerWith(`,"pushcart:priorPrice":"1e9"`), "offers[0].pushcart:priorPrice", `The prior price "1e9" is not a decimal number`},
	{offerWith(`,"pushcart:priorPrice":"0.00"`), "offers[0].pushcart:priorPrice", "The prior price is zero"},
	{offerWith(`,"pushcart:priorPrice":"1.234"`), "offers[0].pushcart:priorPrice", "has 3 digits behind the point"},
	{offerWith(`,"availability":"https://schema.org/InStock"`), "offers[0].availability", "use one of InStock, OutOfStock"},
	{offerWith(`,"availability":""`), "offers[0].availability", "is not known"},
	{offerWith(`,"inventoryLevel":-1`), "offers[0].inventoryLevel", "is not a whole number from 0 to 1000000000"},
	{offerWith(`,"inventoryLevel":-0`), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":1.5`), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":1e3`), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":1e999`), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":1000000001`), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":` + strings.Repeat("9", 500)), "offers[0].inventoryLevel", "is not a whole number"},
	{offerWith(`,"inventoryLevel":"12"`), "offers[0].inventoryLevel", "The inventory level is a text: it must be a number."},

	// Regions.
	{with(`"eligibleRegion":["de"]`), "eligibleRegion[0]", `The region "de" cannot be used: its code is "DE": write that.`},
	{with(`"eligibleRegion":["DE","UK"]`), "eligibleRegion[1]", `its code is "GB"`},
	{with(`"eligibleRegion":["EU"]`), "eligibleRegion[0]", "it is no country of ISO 3166-1"},
	{with(`"ineligibleRegion":["ZZ"]`), "ineligibleRegion[0]", "it is no country"},
	{with(`"ineligibleRegion":["001"]`), "ineligibleRegion[0]", "it is no country"},
	{with(`"ineligibleRegion":["Germany"]`), "ineligibleRegion[0]", "it is no country"},
	{with(`"ineligibleRegion":["DE","DE"]`), "ineligibleRegion", `The region "DE" is in the list twice`},
	{with(`"ineligibleRegion":[["DE"]]`), "ineligibleRegion[0]", "The region is a list"},
	{offerWith(`,"eligibleRegion":["DEU"]`), "offers[0].eligibleRegion[0]", `its code is "DE"`},
	{offerWith(`,"ineligibleRegion":[""]`), "offers[0].ineligibleRegion[0]", "it is no country"},

	// Numbers of articles, codes and times.
	{with(`"gtin":"4006381333930"`), "gtin", "has a wrong check digit: it would have to end in 1"},
	{with(`"gtin":"400638133393"`), "gtin", "has a wrong check digit"},
	{with(`"gtin":"1234567"`), "gtin", "is not a number of 8, 12, 13 or 14 digits"},
	{with(`"gtin":"1234567895"`), "gtin", "is not a number of 8"},
	{with(`"gtin":"4006381 333931"`), "gtin", "is not a number of 8"},
	{with(`"gtin":4006381333931`), "gtin", "The GTIN is a number: it must be a text."},
	{with(`"pushcart:coupon":{"label":"x"}`), "pushcart:coupon.code", "The code is missing"},
	{with(`"pushcart:coupon":{"code":"A"}`), "pushcart:coupon.label", "The label is missing"},
	{with(`"pushcart:coupon":{"code":"A B","label":"x"}`), "pushcart:coupon.code", `The code "A B" cannot be used`},
	{with(`"pushcart:coupon":{"code":"","label":"x"}`), "pushcart:coupon.code", "cannot be used"},
	{with(`"pushcart:coupon":{"code":"` + strings.Repeat("A", 33) + `","label":"x"}`), "pushcart:coupon.code", "cannot be used"},
	{with(`"pushcart:coupon":{"code":"A","label":"x","endsAt":"tomorrow"}`), "pushcart:coupon.endsAt", `The end "tomorrow" is not a time: write it with its offset`},
	{with(`"pushcart:promotion":{"label":"x"}`), "pushcart:promotion.endsAt", "The end is missing"},
	{with(`"pushcart:promotion":{"endsAt":"2026-03-01T18:00:00Z"}`), "pushcart:promotion.label", "The label is missing"},
	{promotionUntil(`"2026-03-01T18:00:00"`), "pushcart:promotion.endsAt", "is not a time"},
	{promotionUntil(`"2026-03-01 18:00:00Z"`), "pushcart:promotion.endsAt", "is not a time"},
	{promotionUntil(`"2026-02-30T18:00:00Z"`), "pushcart:promotion.endsAt", "is not a time"},
	{promotionUntil(`"2026-03-01T18:00:00,5Z"`), "pushcart:promotion.endsAt", "is not a time"},
	{promotionUntil(`"2026-03-01T18:00:00+99:00"`), "pushcart:promotion.endsAt", "is not a time"},
	{promotionUntil(`"1970-01-01T00:00:00Z"`), "pushcart:promotion.endsAt", "is in the year 1970"},
	{promotionUntil(`"9999-12-31T23:59:59-23:00"`), "pushcart:promotion.endsAt", "is in the year 10000"},
	{promotionUntil(`1772388000`), "pushcart:promotion.endsAt", "The end is a number: it must be a text."},
	{with(`"pushcart:promotion":{"label":"x","startsAt":"2026-03-01T18:00:00Z","endsAt":"2026-03-01T18:00:00Z"}`), "pushcart:promotion.endsAt", "ends before it has begun"},
	{giveawayWith(`"opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T17:59:59Z"`), "pushcart:giveaway.closesAt", "closes before it has opened"},
	{giveawayWith(`"opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T18:00:00.0009Z"`), "pushcart:giveaway.closesAt", "closes before it has opened"},
	{giveawayWith(`"opensAt":"2026-03-01T18:00:00Z"`), "pushcart:giveaway.closesAt", "The closing is missing"},
	{giveawayWith(`"closesAt":"2026-03-01T18:00:00Z"`), "pushcart:giveaway.opensAt", "The opening is missing"},
	{giveawayWith(`"opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T19:00:00Z","quantity":0`), "pushcart:giveaway.quantity", "is not a whole number from 1"},
	{with(`"pushcart:giveaway":{"label":"x","opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T19:00:00Z"}`), "pushcart:giveaway.url", "The URL is missing"},
	{with(`"pushcart:giveaway":{"label":"x","opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T19:00:00Z","url":"https://evil.example/"}`), "pushcart:giveaway.url", "not among the hosts"},

	// URLs have their own table; these are the places where one can stand.
	{with(`"url":"javascript:alert(1)"`), "url", `The URL "javascript:alert(1)" is not an https address: it must begin with "https://".`},
	{with(`"image":"data:image/svg+xml,x"`), "image", "is not an https address"},
	{with(`"image":{"url":"https://shop.example.com/"}`), "image", "The image is an object"},
	{offerWith(`,"url":"http://shop.example.com/"`), "offers[0].url", "is not an https address"},
	{with(`"url":"https://evil.example/"`), "url", `points to the host "evil.example", which is not among the hosts`},
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for i, test := range hostile {
		c, err := Parse([]byte(test.doc), shop)
		if err == nil {
			t.Errorf("%d: %.200s was accepted: %s", i, test.doc, c.JSON())
			continue
		}
		f := sentence(t, err)
		if c != nil || f.Field != test.field || !strings.Contains(f.Message, test.message) {
			t.Errorf("%d: %.200s\nis refused with %q: %q\nwant           %q: %q", i, test.doc, f.Field, f.Message, test.field, test.message)
		}
		if large := len(test.doc) > MaxSize; f.TooLarge != large {
			t.Errorf("%d: %d bytes, and TooLarge is %v", i, len(test.doc), f.TooLarge)
		}
	}
}

// with is a card with more in it.
func with(more string) string { return `{"id":"a","name":"x",` + more + `}` }

func named(name string) string { return `{"id":"a","name":"` + name + `"}` }

func priced(price, currency string) string {
	return with(`"offers":[{"price":` + price + `,"priceCurrency":"` + currency + `"}]`)
}

func promotionUntil(end string) string {
	return with(`"pushcart:promotion":{"label":"x","endsAt":` + end + `}`)
}

func giveawayWith(more string) string {
	return with(`"pushcart:giveaway":{"label":"x","url":"https://shop.example.com/",` + more + `}`)
}

func languages(n int) string {
	tags := strings.Fields("ar cs da de el en es fi fr he hi hu it ja ko nl pl pt")[:n]
	for i, tag := range tags {
		tags[i] = fmt.Sprintf("%q:%q", tag, "x")
	}
	return strings.Join(tags, ",")
}

// TestFriendly: what looks suspicious and is right.
func TestFriendly(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		named("a < b"), named("AT&T"), named("R&D; more"), named("x <3"), named("1<2"), named("5 > 4"), named("<"), named("&"),
		named("Q&A"), named("fish&chips"), named("100 %"), named("'quoted' \\\"text\\\" \\\\ `x` ${y} {{z}}"),
		named("👩‍👩‍👧‍👦"), named("🏴󠁧󠁢󠁥󠁮󠁧󠁿"), named("می\u200cخواهم"), named("عربي\u200f 12"), named("a\u200eb"), named("नमस्ते"), named("ภาษาไทยที่"),
		named("Z" + strings.Repeat("\u0301", 8)), named("1"), named("!"), named("€"),
		named(strings.Repeat("檯", 120)), `{"id":"a","name":{` + languages(12) + `}}`,
		with(`"description":"` + strings.Repeat("é", 500) + `"`),
		with(`"gtin":"96385074"`), with(`"gtin":"036000291452"`), with(`"gtin":"4006381333931"`), with(`"gtin":"10012345678902"`),
		priced(`"0"`, "EUR"), priced(`"0.00"`, "EUR"), priced(`"0.5"`, "EUR"), priced(`"999999999999.99"`, "EUR"),
		priced(`"1.999"`, "KWD"), priced(`"150"`, "JPY"), priced(`"19.99"`, "RSD"), priced(`"19.99"`, "SLE"), priced(`"9.99"`, "XCG"),
		offerWith(`,"inventoryLevel":0`), offerWith(`,"inventoryLevel":1000000000`), offerWith(`,"pushcart:priorPrice":"0.01"`),
		with(`"eligibleRegion":["DE"],"ineligibleRegion":["DE"]`), with(`"eligibleRegion":["XK"]`),
		giveawayWith(`"opensAt":"2026-03-01T18:00:00Z","closesAt":"2026-03-01T18:00:00.001Z","quantity":1`),
		promotionUntil(`"2199-12-31T23:59:59.999Z"`), promotionUntil(`"2026-03-01T18:00:00.123456789-11:30"`),
		with(`"offers":[` + strings.Repeat(`{"price":"1","priceCurrency":"EUR"},`, 15) + `{"price":"1","priceCurrency":"EUR"}]`),
	} {
		c, err := Parse([]byte(doc), shop)
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		if again := parse(t, string(c.JSON()), shop); string(again.JSON()) != string(c.JSON()) {
			t.Errorf("read back it is\n%s\nwant\n%s", again.JSON(), c.JSON())
		}
	}
}
