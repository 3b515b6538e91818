package route

import (
	"strings"
	"testing"

	"golang.org/x/text/language"
)

// TestContinents holds the table against that of golang.org/x/text: every country is there once, in its own continent.
func TestContinents(t *testing.T) {
	t.Parallel()
	groups := map[string]string{africa: "002", asia: "142", europe: "150", northAmerica: "003", oceania: "009", southAmerica: "005"}
	seen := map[string]string{}
	for continent, countries := range continents {
		for country := range strings.FieldsSeq(countries) {
			if before, twice := seen[country]; twice {
				t.Errorf("%s is in %s and %s", country, before, continent)
			}
			seen[country] = continent
			region, err := language.ParseRegion(country)
			if err != nil || !region.IsCountry() {
				t.Errorf("%s is no country: %v", country, err)
				continue
			}
			// CLDR, which x/text follows, has the uninhabited islands elsewhere than the United Nations.
			if continent == antarctica || strings.Contains("BV GS TF HM IO", country) {
				continue
			}
			if !language.MustParseRegion(groups[continent]).Contains(region) {
				t.Errorf("%s is not in %s", country, continent)
			}
		}
	}
	// Codes of parts of countries, of groups of them, and of those that are no more.
	const none = "AC CP DG EA IC TA EZ UN AN CQ CS FQ NT PC SU YU"
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			region, err := language.ParseRegion(code)
			if err != nil || !region.IsCountry() || region.Canonicalize() != region || region.String() != code {
				continue
			}
			if _, ok := seen[code]; !ok && !strings.Contains(none, code) {
				t.Errorf("%s is missing", code)
			}
		}
	}
	if len(seen) != 250 {
		t.Errorf("there are %d, want the standard's 249 and XK", len(seen))
	}
}

func TestCountry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"DE": "DE", "de": "DE", "XX": "", "T1": "", "": "", "DEU": "", "ZZ": "", "XK": "XK", "é": ""} {
		if got := Country(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	for word, ok := range map[string]bool{"DE": true, "de": false, "*": true, "europe": true, "Europe": false, "EU": false, "": false, "ZZ": false} {
		if err := ValidPlace(word); (err == nil) != ok {
			t.Errorf("%q: %v", word, err)
		}
	}
	if err := ValidPlace("EU"); !strings.Contains(err.Error(), "north-america") {
		t.Errorf("the error does not name the continents: %v", err)
	}
}

func TestRegionOf(t *testing.T) {
	t.Parallel()
	places := settings().Countries
	for country, want := range map[string]string{
		"DE": "eu", "FR": "eu", "GB": "us", "MX": "us", "JP": "asia", "BR": "us", "AQ": "us", "AU": "oz", "": "",
	} {
		if got := regionOf(places, country); got != want {
			t.Errorf("%s is in %q, want %q", country, got, want)
		}
	}
	if got := regionOf(nil, "DE"); got != "" {
		t.Errorf("without a map: %q", got)
	}
}

// FuzzCountry: whatever a header says, only countries come out.
func FuzzCountry(f *testing.F) {
	f.Add("de")
	f.Add("T1")
	f.Add("\xff\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if got := Country(text); got != "" && (ValidPlace(got) != nil || !strings.EqualFold(got, text)) {
			t.Errorf("%q is %q", text, got)
		}
	})
}
