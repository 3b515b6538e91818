package route

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Words of a map of countries beside the countries themselves. Continents are written out, because their codes are those of
// countries too (AF is Afghanistan, NA Namibia, SA Saudi Arabia).
const (
	// Everywhere stands for all countries that nothing else in the map names.
	Everywhere = "*"

	africa       = "africa"
	antarctica   = "antarctica"
	asia         = "asia"
	europe       = "europe"
	northAmerica = "north-america"
	oceania      = "oceania"
	southAmerica = "south-america"
)

// continents has the countries of each (ISO 3166-1 alpha-2, continents as in UN M49), and Kosovo's XK, which is not of the
// standard but which CDNs use.
var continents = map[string]string{
	africa: "DZ AO BJ BW BF BI CV CM CF TD KM CG CD CI DJ EG GQ ER SZ ET GA GM GH GN GW KE LS LR LY MG MW ML MR MU YT MA MZ NA " +
		"NE NG RE RW SH ST SN SC SL SO ZA SS SD TZ TG TN UG EH ZM ZW IO TF",
	antarctica: "AQ",
	asia: "AF AM AZ BH BD BT BN KH CN CY GE HK IN ID IR IQ IL JP JO KZ KW KG LA LB MO MY MV MN MM NP KP OM PK PS PH QA SA SG " +
		"KR LK SY TW TJ TH TL TR TM AE UZ VN YE",
	europe: "AX AL AD AT BY BE BA BG HR CZ DK EE FO FI FR DE GI GR GG HU IS IE IM IT JE LV LI LT LU MT MD MC ME NL MK NO PL PT " +
		"RO RU SM RS SK SI ES SJ SE CH UA GB VA XK",
	northAmerica: "AI AG AW BS BB BZ BM BQ VG CA KY CR CU CW DM DO SV GL GD GP GT HT HN JM MQ MX MS NI PA PR BL KN LC MF PM VC " +
		"SX TT TC US VI",
	oceania:      "AS AU CX CC CK FJ PF GU HM KI MH FM NR NC NZ NU NF MP PW PG PN WS SB TK TO TV UM VU WF",
	southAmerica: "AR BO BV BR CL CO EC FK GF GY PY PE GS SR UY VE",
}

// continentOf has each country's.
var continentOf = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for name, countries := range continents {
		for country := range strings.FieldsSeq(countries) {
			all[country] = name
		}
	}
	return all
})

// Country reads a viewer's country as CDNs and people write it, in either case; "" when it is none, as CDNs' words for unknown
// places (XX, T1).
func Country(text string) string {
	if len(text) != 2 {
		return ""
	}
	country := strings.ToUpper(text)
	if _, ok := continentOf()[country]; !ok {
		return ""
	}
	return country
}

// ValidPlace tells whether a map of countries may have this word: a country as two capital letters, a continent, or "*".
func ValidPlace(word string) error {
	_, continent := continents[word]
	if continent || word == Everywhere || Country(word) == word && word != "" {
		return nil
	}
	names := make([]string, 0, len(continents))
	for name := range continents {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Errorf(`%.40q is neither a country (ISO 3166-1, such as DE) nor a continent (%s) nor "*" for all others`, word, strings.Join(names, ", "))
}

// regionOf finds a country's region in the map: its own entry, its continent's, that of all others; "" when there is none, or
// the country is "".
func regionOf(places map[string]string, country string) string {
	if country == "" {
		return ""
	}
	for _, word := range []string{country, continentOf()[country], Everywhere} {
		if region := places[word]; region != "" {
			return region
		}
	}
	return ""
}
