package card

import (
	"regexp"
	"strings"
)

// decimal is a price: at most twelve digits in front of the point.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})(\.[0-9]+)?$`)

func (d *decoder) price(v value, p place) string {
	if v.kind == kindNumber {
		// A number would be somebody's float before long: 1e999, 19.990000000000002.
		d.fail(p.at, "The %s is a number: write it as a text in quotation marks, like \"19.99\".", p.noun)
	}
	if d.is(v, p, kindText) && !decimal.MatchString(v.text) {
		d.fail(p.at, "The %s %s is not a decimal number: write it like \"19.99\".", p.noun, quote(v.text))
	}
	return v.text
}

func (d *decoder) priorPrice(v value, p place) string {
	if s := d.price(v, p); d.err != nil || strings.Trim(s, "0.") != "" {
		return s
	}
	d.fail(p.at, "The prior price is zero: write the lowest price of the last 30 days, or leave it out.")
	return ""
}

func (d *decoder) currency(v value, p place) string {
	if !d.is(v, p, kindText) {
		return ""
	}
	if _, ok := currencies[v.text]; ok {
		return v.text
	}
	if up := strings.ToUpper(v.text); len(v.text) == len(up) && v.text != up {
		if _, ok := currencies[up]; ok {
			d.fail(p.at, "The currency %s is not in capital letters: write %q.", quote(v.text), up)
		}
	}
	d.fail(p.at, "The currency %s is not a currency in use: write its ISO 4217 code, like \"EUR\".", quote(v.text))
	return ""
}

// scale complains about a price with more digits behind the point than its currency has. A price of "" is none.
func (d *decoder) scale(p place, price, currency string) {
	whole, fraction, _ := strings.Cut(price, ".")
	most := currencies[currency]
	if d.err != nil || len(fraction) <= most {
		return
	}
	if most == 0 {
		d.fail(p.at, "The %s %s has digits behind the point, and %s has none: write it like %q.", p.noun, quote(price), currency, whole)
		return
	}
	d.fail(p.at, "The %s %s has %d digits behind the point, and %s has %d: write it like %q.",
		p.noun, quote(price), len(fraction), currency, most, whole+"."+fraction[:most])
}

// currencies are the digits behind the point of each currency that is in use: ISO 4217, list one, as of 2026, without
// funds, metals and codes for accounting and tests. golang.org/x/text/currency has the list of 2017, without what came
// since, and with the digits that are customary instead of those that there are.
var currencies = func() map[string]int {
	all := map[string]int{}
	for n, codes := range []string{
		"BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
		"",
		`AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE
		CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
		KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
		PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
		TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`,
		"BHD IQD JOD KWD LYD OMR TND",
	} {
		for _, code := range strings.Fields(codes) {
			all[code] = n
		}
	}
	return all
}()
