package card

import "slices"

// withheld is all that viewers learn of a card that may not be sold to them.
type withheld struct {
	ID       string `json:"id"`
	Withheld bool   `json:"pushcart:withheld"`
}

// Localise is the document that viewers in a region get: the card in canonical form without the offers that are not for
// them and without the lists of regions, or {"id":"...","pushcart:withheld":true} when the card may not be sold there or
// none of its offers is left. All languages stay in. Region is an ISO 3166-1 alpha-2 code, in whichever case; one that does
// not exist is a place that no list names. "" is a region that is not known, for which everything stays, the lists included.
// The caller must not change the result.
func (c *Card) Localise(region string) (doc []byte) {
	if region == "" {
		return c.JSON()
	}
	region = normalRegion(region)
	p := c.product // a copy; its slices are replaced, not changed
	if !p.sold(region) {
		return c.withhold()
	}
	p.regions, p.Offers = regions{}, nil
	for _, o := range c.product.Offers {
		if o.sold(region) {
			o.regions = regions{}
			p.Offers = append(p.Offers, o)
		}
	}
	if len(p.Offers) == 0 && len(c.product.Offers) > 0 {
		return c.withhold()
	}
	return encode(&p)
}

func (c *Card) withhold() []byte { return encode(withheld{c.ID(), true}) }

// sold tells whether something may be sold in a region.
func (r regions) sold(region string) bool {
	return (len(r.Eligible) == 0 || slices.Contains(r.Eligible, region)) && !slices.Contains(r.Ineligible, region)
}
