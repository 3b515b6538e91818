package card

import (
	"encoding/json"
	"time"
)

// product is the content of a card: https://schema.org/Product. The order of the fields is that of the canonical form.
type product struct {
	// ID names the card within its stream: see ValidID. schema.org has identifier.
	ID string `json:"id"`
	// Type is the JSON-LD type: always "Product".
	Type string `json:"@type"`
	// Name is https://schema.org/name: at most 120 characters.
	Name text `json:"name"`
	// Description is https://schema.org/description: at most 500 characters.
	Description text `json:"description,omitzero"`
	// Image is https://schema.org/image: a URL; "" is none.
	Image string `json:"image,omitempty"`
	// URL is https://schema.org/url: the product's page; "" is none.
	URL string `json:"url,omitempty"`
	// Brand is https://schema.org/brand, as a text of at most 80 characters; "" is none.
	Brand string `json:"brand,omitempty"`
	// SKU is https://schema.org/sku: at most 64 characters; "" is none.
	SKU string `json:"sku,omitempty"`
	// GTIN is https://schema.org/gtin: 8, 12, 13 or 14 digits with their check digit; "" is none.
	GTIN string `json:"gtin,omitempty"`
	// Offers is https://schema.org/offers: at most 16.
	Offers []offer `json:"offers,omitempty"`
	regions
	// Promotion is a flash sale; nil is none.
	Promotion *promotion `json:"pushcart:promotion,omitempty"`
	// Coupon is a code to type in; nil is none.
	Coupon *coupon `json:"pushcart:coupon,omitempty"`
	// Giveaway can be claimed for a while; nil is none.
	Giveaway *giveaway `json:"pushcart:giveaway,omitempty"`
	// Disclosure marks advertising, such as "Ad" or "Anzeige": at most 80 characters.
	Disclosure text `json:"pushcart:disclosure,omitzero"`
}

// offer is one price: https://schema.org/Offer.
type offer struct {
	// Price is https://schema.org/price: a decimal number, such as "19.99".
	Price string `json:"price"`
	// Currency is https://schema.org/priceCurrency: an ISO 4217 code.
	Currency string `json:"priceCurrency"`
	// Availability is https://schema.org/availability: a member of ItemAvailability without its address.
	Availability string `json:"availability"`
	// InventoryLevel is https://schema.org/inventoryLevel: how many are left; nil is not known.
	InventoryLevel *int64 `json:"inventoryLevel,omitempty"`
	regions
	// URL is where this offer is to be had; "" is the product's.
	URL string `json:"url,omitempty"`
	// PriorPrice is the lowest price of the 30 days before a reduction (Directive 98/6/EC, Article 6a); "" is none.
	PriorPrice string `json:"pushcart:priorPrice,omitempty"`
}

// regions is where something may be sold: everywhere that is eligible and not ineligible. Codes are of ISO 3166-1, sorted.
type regions struct {
	// Eligible is https://schema.org/eligibleRegion: empty is everywhere.
	Eligible []string `json:"eligibleRegion,omitempty"`
	// Ineligible is https://schema.org/ineligibleRegion.
	Ineligible []string `json:"ineligibleRegion,omitempty"`
}

// promotion is a flash sale with a countdown to its end. schema.org's nearest is priceValidUntil, which knows days only.
type promotion struct {
	// Label is at most 80 characters.
	Label text `json:"label"`
	// StartsAt is when it begins; zero is at once.
	StartsAt time.Time `json:"startsAt,omitzero"`
	// EndsAt is when it is over.
	EndsAt time.Time `json:"endsAt"`
}

// coupon is a code that makes something cheaper. schema.org has discountCode, of orders only.
type coupon struct {
	// Code is up to 32 letters, digits, "-" and "_".
	Code string `json:"code"`
	// Label is at most 80 characters.
	Label text `json:"label"`
	// EndsAt is when the code ceases to be good; zero is not known.
	EndsAt time.Time `json:"endsAt,omitzero"`
}

// giveaway is a red envelope: something that viewers can claim while it is open. schema.org has nothing like it.
type giveaway struct {
	// Label is at most 80 characters.
	Label text `json:"label"`
	// OpensAt and ClosesAt are when it can be claimed.
	OpensAt  time.Time `json:"opensAt"`
	ClosesAt time.Time `json:"closesAt"`
	// Quantity is how many there are; 0 is not known.
	Quantity int64 `json:"quantity,omitempty"`
	// URL is the page on which to claim.
	URL string `json:"url"`
}

// text is words for people: the same for everybody, or by language.
type text struct {
	plain string
	// by has words by BCP 47 tag in its canonical form; nil when the words are the same for everybody.
	by map[string]string
}

// IsZero tells whether there are no words.
func (t text) IsZero() bool { return t.plain == "" && t.by == nil }

// MarshalJSON implements json.Marshaler. Languages come sorted.
func (t text) MarshalJSON() ([]byte, error) {
	if t.by != nil {
		return json.Marshal(t.by)
	}
	return json.Marshal(t.plain)
}

// encode writes v in canonical form: compact, keys in the order of the fields. "<", ">" and "&" are written as escapes, as
// encoding/json does by default, so that the bytes stay the same when they are put into another document.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times of four-digit years can be written
	}
	return b
}
