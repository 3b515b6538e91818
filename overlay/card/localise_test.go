package card

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestLocalise holds what viewers get, by region.
func TestLocalise(t *testing.T) {
	t.Parallel()
	c := parse(t, full, shop)
	for _, region := range []string{"", "DE", "GB", "CN", "US", "FR"} {
		golden(t, "full."+region+".json", c.Localise(region))
	}
	if !bytes.Equal(c.Localise(""), c.JSON()) {
		t.Error("where the region is not known something is left out")
	}
	for _, pair := range [][2]string{{"de", "DE"}, {"DEU", "DE"}, {"UK", "GB"}, {"us", "US"}, {"ZZ", "FR"}, {"nowhere at all", "FR"}} {
		if a, b := c.Localise(pair[0]), c.Localise(pair[1]); !bytes.Equal(a, b) {
			t.Errorf("%s gets\n%s\nand %s gets\n%s", pair[0], a, pair[1], b)
		}
	}
	if again := parse(t, full, shop); !bytes.Equal(c.JSON(), again.JSON()) {
		t.Error("the card has changed")
	}
}

func TestWithheld(t *testing.T) {
	t.Parallel()
	const withheld = `{"id":"lamp","pushcart:withheld":true}`
	const offer = `{"id":"lamp","name":"x","offers":[{"price":"1","priceCurrency":"EUR",%s}]}`
	for _, test := range []struct {
		doc, region string
		want        bool // withheld
	}{
		{small, "DE", false}, // no offers at all
		{`{"id":"lamp","name":"x","eligibleRegion":["DE"]}`, "DE", false},
		{`{"id":"lamp","name":"x","eligibleRegion":["DE"]}`, "US", true},
		{`{"id":"lamp","name":"x","eligibleRegion":["DE"]}`, "ZZ", true},
		{`{"id":"lamp","name":"x","ineligibleRegion":["DE"]}`, "DE", true},
		{`{"id":"lamp","name":"x","ineligibleRegion":["DE"]}`, "de", true},
		{`{"id":"lamp","name":"x","ineligibleRegion":["GB"]}`, "UK", true},
		{`{"id":"lamp","name":"x","ineligibleRegion":["DE"]}`, "US", false},
		{`{"id":"lamp","name":"x","eligibleRegion":["DE"],"ineligibleRegion":["DE"]}`, "DE", true},
		{fmt.Sprintf(offer, `"eligibleRegion":["DE"]`), "DE", false},
		{fmt.Sprintf(offer, `"eligibleRegion":["DE"]`), "US", true},
		{fmt.Sprintf(offer, `"ineligibleRegion":["US"]`), "US", true},
		{fmt.Sprintf(offer, `"ineligibleRegion":["US"]`), "", false},
	} {
		got := string(parse(t, test.doc, shop).Localise(test.region))
		if (got == withheld) != test.want || !test.want && strings.Contains(got, "withheld") {
			t.Errorf("%s in %q is %s", test.doc, test.region, got)
		}
	}
}

// TestLocaliseNothingElse makes cards at random and holds what each region gets against an account of its own: every offer
// that is for the region in its order, none that is not, no trace of a region's list, and nothing else changed.
func TestLocaliseNothingElse(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	places := []string{"AT", "CH", "DE", "GB", "US"}
	some := func() (list []string) {
		for _, p := range places {
			if random.IntN(4) == 0 {
				list = append(list, p)
			}
		}
		return list
	}
	// one returns an object with lists of regions at random, and whether it is for a region.
	one := func(o map[string]any) func(string) bool {
		in, out := some(), some()
		if in != nil {
			o["eligibleRegion"] = in
		}
		if out != nil {
			o["ineligibleRegion"] = out
		}
		return func(r string) bool { return (in == nil || slices.Contains(in, r)) && !slices.Contains(out, r) }
	}
	held, offered := 0, 0
	for range 2000 {
		doc := map[string]any{"id": "lamp", "name": "Desk lamp", "url": "https://shop.example.com/x"}
		whole := func(string) bool { return true }
		if random.IntN(3) == 0 {
			whole = one(doc)
		}
		var offers []any
		var fits []func(string) bool
		for i := range random.IntN(5) {
			o := map[string]any{"price": fmt.Sprint(i), "priceCurrency": "EUR", "availability": "InStock"}
			fits, offers = append(fits, one(o)), append(offers, o)
		}
		doc["offers"] = offers
		if offers == nil {
			delete(doc, "offers")
		}
		c := parse(t, string(encode(doc)), shop)
		for _, region := range append(places, "FR") {
			want := map[string]any{"id": "lamp", "@type": "Product", "name": "Desk lamp", "url": "https://shop.example.com/x"}
			var left []any
			for i, fit := range fits {
				if fit(region) {
					left = append(left, map[string]any{"price": fmt.Sprint(i), "priceCurrency": "EUR", "availability": "InStock"})
				}
			}
			if left != nil {
				want["offers"] = left
			}
			if !whole(region) || offers != nil && left == nil {
				want = map[string]any{"id": "lamp", "pushcart:withheld": true}
				held++
			}
			offered += len(left)
			var got map[string]any
			if err := json.Unmarshal(c.Localise(region), &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encode(got), encode(want)) {
				t.Fatalf("%s in %s is\n%s\nwant\n%s", c.JSON(), region, encode(got), encode(want))
			}
		}
	}
	if held < 100 || offered < 1000 {
		t.Errorf("%d cards were withheld and %d offers made: that tests little", held, offered)
	}
}
