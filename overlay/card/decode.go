package card

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds on what a card may have.
const (
	maxOffers   = 16
	maxCount    = 1_000_000_000 // of pieces
	maxName     = 120           // characters, as all that follow
	maxLong     = 500
	maxLabel    = 80
	maxSKU      = 64
	firstYear   = 2000
	lastYear    = 2199
	defaultType = "Product"
)

// decoder takes a tree into a product. Its error is sticky: after it every value that is read is zero, and nothing of the
// product may be used.
type decoder struct {
	policy Policy
	err    *FieldError
}

func (d *decoder) fail(at, format string, args ...any) {
	if d.err == nil {
		d.err = &FieldError{Field: at, Message: fmt.Sprintf(format, args...)}
	}
}

// is complains unless v is of a kind.
func (d *decoder) is(v value, p place, k kind) bool {
	switch {
	case v.kind == k:
	case v.kind == kindNull:
		d.fail(p.at, "The %s is null: leave it out instead, or make it %s.", p.noun, k)
	default:
		d.fail(p.at, "The %s is %s: it must be %s.", p.noun, v.kind, k)
	}
	return d.err == nil
}

// fields is an object that is being read.
type fields struct {
	*decoder
	place
	object value
}

// object complains about whatever is no object, and about keys that are not among those given.
func (d *decoder) object(v value, p place, keys ...string) fields {
	f := fields{d, p, v}
	if !d.is(v, p, kindObject) {
		return f
	}
	for _, m := range v.members {
		if slices.Contains(keys, m.key) {
			continue
		}
		if near := nearest(m.key, keys); near != "" {
			d.fail(pathOf(p.at, m.key), "The key %s is not known: write %q.", quote(m.key), near)
		} else {
			d.fail(pathOf(p.at, m.key), "The key %s is not known: leave it out. The %s has %s.", quote(m.key), p.noun, strings.Join(keys, ", "))
		}
	}
	return f
}

// nearest is the key that was probably meant: one that differs in case or in what stands before its name. "" is none.
func nearest(key string, keys []string) string {
	bare := func(s string) string { return strings.TrimLeft(s[strings.LastIndexByte(s, ':')+1:], "@") }
	for _, k := range keys {
		if strings.EqualFold(bare(k), bare(key)) {
			return k
		}
	}
	return ""
}

// optional reads the value of a key; zero when it is not there.
func optional[T any](f fields, key, noun string, read func(value, place) T) (v T) {
	if i := f.object.find(key); f.err == nil && i >= 0 {
		return read(f.object.members[i].value, f.within(key, noun))
	}
	return v
}

// required reads the value of a key that must be there. Hint completes the sentence "The ... is missing: ...".
func required[T any](f fields, key, noun, hint string, read func(value, place) T) T {
	if f.object.find(key) < 0 {
		f.fail(pathOf(f.at, key), "The %s is missing: %s.", noun, hint)
	}
	return optional(f, key, noun, read)
}

// list reads a list of at most so many entries.
func list[T any](d *decoder, most int, read func(value, place) T) func(value, place) []T {
	return func(v value, p place) (all []T) {
		if v.kind != kindList {
			d.fail(p.at, "There is %s here: make it a list, in square brackets, or leave it out.", v.kind)
		} else if len(v.items) > most {
			d.fail(p.at, "The list has %d entries, and %d is the most: take some out.", len(v.items), most)
		}
		for i, item := range v.items {
			if d.err != nil {
				break
			}
			all = append(all, read(item, p.entry(i)))
		}
		return all
	}
}

func (d *decoder) product(v value) (c product) {
	f := d.object(v, place{"", "card"}, "id", "@type", "name", "description", "image", "url", "brand", "sku", "gtin", "offers",
		"eligibleRegion", "ineligibleRegion", "pushcart:promotion", "pushcart:coupon", "pushcart:giveaway", "pushcart:disclosure")
	c.ID = required(f, "id", "id", `give the card one, like "lamp"`, d.id)
	c.Type = defaultType
	optional(f, "@type", "type", d.productType)
	c.Name = required(f, "name", "name", `give the card one, like "Desk lamp"`, d.words(maxName))
	c.Description = optional(f, "description", "description", d.words(maxLong))
	c.Image = optional(f, "image", "image", d.url)
	c.URL = optional(f, "url", "URL", d.url)
	c.Brand = optional(f, "brand", "brand", d.plain(maxLabel))
	c.SKU = optional(f, "sku", "SKU", d.plain(maxSKU))
	c.GTIN = optional(f, "gtin", "GTIN", d.gtin)
	c.Offers = optional(f, "offers", "offer", list(d, maxOffers, d.offer))
	c.regions = d.regions(f)
	c.Promotion = optional(f, "pushcart:promotion", "promotion", d.promotion)
	c.Coupon = optional(f, "pushcart:coupon", "coupon", d.coupon)
	c.Giveaway = optional(f, "pushcart:giveaway", "giveaway", d.giveaway)
	c.Disclosure = optional(f, "pushcart:disclosure", "disclosure", d.words(maxLabel))
	return c
}

func (d *decoder) offer(v value, p place) (o offer) {
	f := d.object(v, p, "price", "priceCurrency", "availability", "inventoryLevel", "eligibleRegion", "ineligibleRegion", "url",
		"pushcart:priorPrice")
	o.Price = required(f, "price", "price", `give the offer one, like "19.99"`, d.price)
	o.Currency = required(f, "priceCurrency", "currency", `give the offer one, like "EUR"`, d.currency)
	o.PriorPrice = optional(f, "pushcart:priorPrice", "prior price", d.priorPrice)
	d.scale(f.within("price", "price"), o.Price, o.Currency)
	d.scale(f.within("pushcart:priorPrice", "prior price"), o.PriorPrice, o.Currency)
	if o.Availability = optional(f, "availability", "availability", d.availability); o.Availability == "" {
		o.Availability = availabilities[0]
	}
	o.InventoryLevel = optional(f, "inventoryLevel", "inventory level", func(v value, p place) *int64 {
		n := d.count(v, p, 0)
		return &n
	})
	o.regions = d.regions(f)
	o.URL = optional(f, "url", "URL", d.url)
	return o
}

func (d *decoder) promotion(v value, p place) *promotion {
	f := d.object(v, p, "label", "startsAt", "endsAt")
	r := &promotion{
		Label:    required(f, "label", "label", `give the promotion one, like "Flash sale"`, d.words(maxLabel)),
		StartsAt: optional(f, "startsAt", "start", d.time),
		EndsAt:   required(f, "endsAt", "end", "say when the promotion is over, like "+exampleTime, d.time),
	}
	if !r.StartsAt.IsZero() && !r.EndsAt.After(r.StartsAt) {
		d.fail(pathOf(p.at, "endsAt"), "The promotion ends before it has begun: make endsAt later than startsAt.")
	}
	return r
}

func (d *decoder) coupon(v value, p place) *coupon {
	f := d.object(v, p, "code", "label", "endsAt")
	return &coupon{
		Code:   required(f, "code", "code", `give the coupon one, like "SAVE10"`, d.code),
		Label:  required(f, "label", "label", `give the coupon one, like "10 % off"`, d.words(maxLabel)),
		EndsAt: optional(f, "endsAt", "end", d.time),
	}
}

func (d *decoder) giveaway(v value, p place) *giveaway {
	f := d.object(v, p, "label", "opensAt", "closesAt", "quantity", "url")
	r := &giveaway{
		Label:    required(f, "label", "label", `give the giveaway one, like "Win a lamp"`, d.words(maxLabel)),
		OpensAt:  required(f, "opensAt", "opening", "say when the giveaway opens, like "+exampleTime, d.time),
		ClosesAt: required(f, "closesAt", "closing", "say when the giveaway closes, like "+exampleTime, d.time),
		Quantity: optional(f, "quantity", "quantity", func(v value, p place) int64 { return d.count(v, p, 1) }),
		URL:      required(f, "url", "URL", "give the page on which to claim, like \"https://shop.example.com/claim\"", d.url),
	}
	if !r.ClosesAt.After(r.OpensAt) {
		d.fail(pathOf(p.at, "closesAt"), "The giveaway closes before it has opened: make closesAt later than opensAt.")
	}
	return r
}

func (d *decoder) id(v value, p place) string {
	if !d.is(v, p, kindText) {
		return ""
	}
	if err := ValidID(v.text); err != nil {
		d.fail(p.at, "The id %s cannot be used: %v. Choose another one, like \"lamp\".", quote(v.text), err)
	}
	return v.text
}

func (d *decoder) productType(v value, p place) string {
	if d.is(v, p, kindText) && v.text != defaultType {
		d.fail(p.at, "The type %s is not known: make it %q, or leave it out.", quote(v.text), defaultType)
	}
	return v.text
}

// availabilities are the members of https://schema.org/ItemAvailability that are known; the first is the default.
var availabilities = []string{"InStock", "OutOfStock", "LimitedAvailability", "PreOrder", "SoldOut"}

func (d *decoder) availability(v value, p place) string {
	if d.is(v, p, kindText) && !slices.Contains(availabilities, v.text) {
		d.fail(p.at, "The availability %s is not known: use one of %s.", quote(v.text), strings.Join(availabilities, ", "))
	}
	return v.text
}

// count reads a whole number of pieces.
func (d *decoder) count(v value, p place, least int64) int64 {
	if !d.is(v, p, kindNumber) {
		return 0
	}
	// The text is a JSON number: without a point and an exponent it has neither a plus nor a zero in front.
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < least || n > maxCount || v.text == "-0" {
		d.fail(p.at, "The %s %s is not a whole number from %d to %d: write it like 12.", p.noun, quote(v.text), least, maxCount)
		return 0
	}
	return n
}

// exampleTime is a time as texts have to be.
const exampleTime = `"2026-03-01T18:30:00Z"`

// time reads a time (RFC 3339), cut to the millisecond, which is what players can tell apart.
func (d *decoder) time(v value, p place) (t time.Time) {
	if !d.is(v, p, kindText) {
		return t
	}
	// UnmarshalText takes a comma for the point, which RFC 3339 does not have.
	if t.UnmarshalText([]byte(v.text)) != nil || strings.Contains(v.text, ",") {
		d.fail(p.at, "The %s %s is not a time: write it with its offset, like %s.", p.noun, quote(v.text), exampleTime)
		return time.Time{}
	}
	t = t.UTC().Truncate(time.Millisecond)
	if y := t.Year(); y < firstYear || y > lastYear {
		d.fail(p.at, "The %s %s is in the year %d: choose a time between %d and %d.", p.noun, quote(v.text), y, firstYear, lastYear)
	}
	return t
}
