package card

import "fmt"

// MaxSize is how large a card may be, as it is sent and in canonical form, in bytes.
const MaxSize = 4096

// Card is a product card that keeps all rules. It never changes.
type Card struct {
	product product
	json    []byte
}

// Parse reads a card document of at most MaxSize bytes. The error is a *FieldError: the first thing found.
func Parse(data []byte, p Policy) (*Card, error) {
	tree, fault := readTree(data, "document")
	if fault != nil {
		return nil, fault
	}
	return build(tree, p)
}

// build makes a card of a document's tree.
func build(tree value, p Policy) (*Card, error) {
	d := decoder{policy: p}
	c := &Card{product: d.product(tree)}
	if d.err != nil {
		return nil, d.err
	}
	c.json = encode(&c.product)
	if len(c.json) > MaxSize {
		return nil, &FieldError{TooLarge: true, Message: fmt.Sprintf(
			"The card has %d bytes in canonical form, and %d is the most: shorten its texts or leave some languages out.", len(c.json), MaxSize)}
	}
	return c, nil
}

// ID names the card within its stream.
func (c *Card) ID() string { return c.product.ID }

// JSON is the card in canonical form: compact, keys in a fixed order, "@type" and availability always there, languages and
// regions sorted, times in UTC to the millisecond, hosts of URLs in lower case. Cards of the same content have the same
// bytes, and Parse takes them back. The caller must not change them.
func (c *Card) JSON() []byte { return c.json[:len(c.json):len(c.json)] }

// Merge applies a JSON merge patch (RFC 7396) of at most MaxSize bytes: keys that are null are taken out, objects are
// merged, everything else is replaced, lists as a whole. The identifier stays. All of the new card is checked as by Parse,
// with the policy of now: so a card whose host is no longer allowed can only be changed along with its URL. The error is a
// *FieldError.
func (c *Card) Merge(patch []byte, p Policy) (*Card, error) {
	changes, fault := readTree(patch, "patch")
	if fault != nil {
		return nil, fault
	}
	if changes.kind != kindObject {
		return nil, &FieldError{Message: fmt.Sprintf("The patch is %s: it must be an object with the keys to change.", changes.kind)}
	}
	if i := changes.find("id"); i >= 0 && (changes.members[i].value.kind != kindText || changes.members[i].value.text != c.ID()) {
		return nil, &FieldError{Field: "id", Message: fmt.Sprintf("The id of a card cannot be changed: leave it %s, or make a new card.", quote(c.ID()))}
	}
	tree, fault := readTree(c.json, "document")
	if fault != nil {
		return nil, fault
	}
	return build(merge(tree, changes), p)
}
