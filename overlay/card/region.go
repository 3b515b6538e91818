package card

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// maxRegions is the length of the longest list of regions: all that there are.
const maxRegions = 250

// countries are the officially assigned codes of ISO 3166-1, and XK. golang.org/x/text/language has more: codes kept back
// for other uses, and those of states that are gone.
var countries = func() map[string]bool {
	all := map[string]bool{}
	for _, code := range strings.Fields(`AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
	CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
	FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
	JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
	MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
	PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
	TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK`) {
		all[code] = true
	}
	return all
}()

// ValidRegion tells whether a region is one that a card can name: an ISO 3166-1 alpha-2 code in capital letters, or XK,
// which that standard leaves to its users and which they have for Kosovo. The error completes the sentence "the region
// cannot be used: ...".
func ValidRegion(region string) error {
	if countries[region] {
		return nil
	}
	if meant := normalRegion(region); countries[meant] {
		return fmt.Errorf("its code is %q: write that", meant)
	}
	return errors.New(`it is no country of ISO 3166-1: write its code of two capital letters, like "DE"`)
}

// normalRegion is the code that lists of regions have for a region that is given in another way: "de", "UK", "DEU".
func normalRegion(s string) string {
	r, err := language.ParseRegion(s)
	if err != nil {
		return strings.ToUpper(s)
	}
	return r.Canonicalize().String()
}

// regions reads both lists of an object.
func (d *decoder) regions(f fields) regions {
	return regions{
		Eligible:   d.regionList(f, "eligibleRegion"),
		Ineligible: d.regionList(f, "ineligibleRegion"),
	}
}

func (d *decoder) regionList(f fields, key string) []string {
	all := optional(f, key, "region", list(d, maxRegions, d.region))
	sorted := slices.Sorted(slices.Values(all))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			d.fail(pathOf(f.at, key), "The region %q is in the list twice: keep one of them.", sorted[i])
		}
	}
	return sorted
}

func (d *decoder) region(v value, p place) string {
	if !d.is(v, p, kindText) {
		return ""
	}
	if err := ValidRegion(v.text); err != nil {
		d.fail(p.at, "The region %s cannot be used: %v.", quote(v.text), err)
	}
	return v.text
}
