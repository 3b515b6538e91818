package card

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
)

// TestRegions tries every code of two letters, and holds the table against the one in golang.org/x/text.
func TestRegions(t *testing.T) {
	t.Parallel()
	if len(countries) != maxRegions {
		t.Errorf("there are %d countries, and a list can have %d", len(countries), maxRegions)
	}
	// Codes kept back for other uses, and those of states that are gone: countries there, and not in ISO 3166-1.
	others := strings.Fields("AC AN CP CQ CS DG EA EZ FQ IC NT PC SU TA UN YU")
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string(a) + string(b)
			r, err := language.ParseRegion(code)
			want := err == nil && r.IsCountry() && r.Canonicalize() == r && !slices.Contains(others, code)
			if err := ValidRegion(code); (err == nil) != want {
				t.Errorf("%s: %v", code, err)
			}
			if want && normalRegion(strings.ToLower(code)) != code {
				t.Errorf("%s in small letters is taken for %s", code, normalRegion(strings.ToLower(code)))
			}
		}
	}
}

// TestCurrencies holds the table against the one in golang.org/x/text, which was right in 2017.
func TestCurrencies(t *testing.T) {
	t.Parallel()
	since := strings.Fields("MRU SLE VED VES XCG ZWG")
	gone := strings.Fields("ANG BGN CUC HRK MRO SLL VEF")
	old := map[string]bool{"SVC": true} // has no country there, as the dollar took its place
	for all := currency.Query(currency.Date(time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC))); all.Next(); {
		old[all.Unit().String()] = true
	}
	for _, code := range since {
		if _, ok := currencies[code]; !ok || old[code] {
			t.Errorf("%s: in use %v, in 2017 %v", code, ok, old[code])
		}
		old[code] = true
	}
	for _, code := range gone {
		if _, ok := currencies[code]; ok || !old[code] {
			t.Errorf("%s: in use %v, in 2017 %v", code, ok, old[code])
		}
		old[code] = false
	}
	for code, was := range old {
		if _, ok := currencies[code]; ok != was {
			t.Errorf("%s: in use %v, want %v", code, ok, was)
		}
	}
	for code := range currencies {
		if !old[code] {
			t.Errorf("%s is in the table", code)
		}
	}
	for code, want := range map[string]int{"JPY": 0, "KRW": 0, "EUR": 2, "USD": 2, "RSD": 2, "IDR": 2, "KWD": 3, "TND": 3, "IQD": 3} {
		if currencies[code] != want {
			t.Errorf("%s has %d digits, want %d", code, currencies[code], want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		id, slot bool
	}{
		{"", false, false},
		{"a", true, true},
		{"1", true, false},
		{"lamp-2", true, true},
		{"lamp_2", true, false},
		{"-a", false, false},
		{"_a", false, false},
		{"a-", true, true},
		{"A", false, false},
		{"ä", false, false},
		{"a b", false, false},
		{"a\x00", false, false},
		{"a\xff", false, false},
		{"a/b", false, false},
		{"..", false, false},
		{strings.Repeat("a", 16), true, true},
		{strings.Repeat("a", 17), true, false},
		{strings.Repeat("a", 40), true, false},
		{strings.Repeat("a", 41), false, false},
	} {
		if err := ValidID(test.name); (err == nil) != test.id {
			t.Errorf("the id %q: %v", test.name, err)
		}
		if err := ValidSlot(test.name); (err == nil) != test.slot {
			t.Errorf("the slot %q: %v", test.name, err)
		}
	}
}
